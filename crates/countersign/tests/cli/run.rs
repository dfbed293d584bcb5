//! Running the binary.

use serde_json::Value;
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};
use tempfile::TempDir;

pub const BINARY: &str = env!("CARGO_BIN_EXE_countersign");

/// What a run printed and how it ended.
#[derive(Debug)]
pub struct Ran {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl From<Output> for Ran {
    fn from(o: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Self { code: o.status.code(), out: text(o.stdout), err: text(o.stderr) }
    }
}

impl Ran {
    /// The run went well.
    pub fn well(self) -> Self {
        assert_eq!(self.code, Some(0), "{self:#?}");
        self
    }
    /// The run failed, and said why, in words and without a stack.
    pub fn badly(self) -> Self {
        assert_eq!(self.code, Some(1), "{self:#?}");
        assert!(!self.err.contains("panicked") && !self.err.contains("stack backtrace"), "{self:#?}");
        self
    }
    /// The last line, which is JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(self.out.lines().last().unwrap_or_default()).unwrap_or_else(|e| panic!("{e}: {self:#?}"))
    }
    /// Words as they were written, whatever the width of the terminal.
    pub fn said(&self) -> String {
        format!("{} {}", self.out, self.err).replace(['│', '×', '╰', '─', '▶'], " ").split_whitespace().collect::<Vec<_>>().join(" ")
    }
}

pub fn command(args: &[&str]) -> Command {
    let mut command = Command::new(BINARY);
    command.args(args).env_remove("COUNTERSIGN_CONFIG").env_remove("RUST_LOG").env("NO_COLOR", "1").stdin(Stdio::null());
    command
}

pub fn run(args: &[&str]) -> Ran {
    command(args).output().unwrap().into()
}

/// A data folder of its own with a configuration file that names it.
pub struct Place {
    pub folder: TempDir,
    pub data: PathBuf,
    pub config: PathBuf,
}

impl Place {
    pub fn new() -> Self {
        // In memory where there is some: a killed process loses nothing that it handed to the kernel, so
        // it is as good a test, and quicker.
        let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
        let data = folder.path().join("data");
        let config = folder.path().join("countersign.toml");
        fs::write(&config, format!("data_dir = {:?}\n", data.display().to_string())).unwrap();
        Self { folder, data, config }
    }
    /// A run with this place's configuration.
    pub fn run(&self, args: &[&str]) -> Ran {
        self.command(args).output().unwrap().into()
    }
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = command(args);
        command.arg("--config").arg(&self.config);
        command
    }
    /// The log verifies and every request folds to its row; returns what verification counted.
    pub fn holds(&self) -> Value {
        let verified = self.run(&["audit", "verify", "--json"]).well().json();
        assert_eq!((&verified["verified"], &verified["fault"]), (&Value::Bool(true), &Value::Null), "{verified}");
        let replayed = self.run(&["audit", "replay", "--json"]).well().json();
        assert_eq!(replayed["differing"], serde_json::json!([]), "{replayed}");
        verified
    }
}

pub fn photograph(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../node_modules/@vladmandic/face-api/demo");
    let path = folder.join(name);
    assert!(path.exists(), "{} is missing: run make setup", path.display());
    path
}
