//! A PostgreSQL server of this test alone: a new cluster in a temporary folder, reached by a socket in it, and
//! gone with the value (or with the test's process, should that be killed).
#![allow(dead_code, reason = "three rooms' tests use it, none of them all of it")]

use std::ffi::OsString;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Where Debian's packages put the server's programs; another place by `COUNTERSIGN_TEST_POSTGRES_BIN`.
const BIN: &str = "/usr/lib/postgresql/15/bin";

pub struct Cluster {
    folder: PathBuf,
    server: Child,
    /// Goes last.
    own: Option<tempfile::TempDir>,
}

fn bin() -> PathBuf {
    std::env::var_os("COUNTERSIGN_TEST_POSTGRES_BIN").unwrap_or_else(|| OsString::from(BIN)).into()
}

/// The server refuses to run as root; then it runs as the user that its package made. It dies with this process.
fn server_command(program: &str) -> Command {
    let mut command = Command::new("setpriv");
    // The thread that started it may end before the process does: a watcher of the thread is of no use to `Drop`,
    // yet is what takes the server away when a test is killed.
    // It ends its own processes first (QUIT): killed outright, it was seen to leave one behind now and then.
    command.args(["--pdeathsig", "QUIT"]);
    if nix_root() {
        command.args(["--reuid", "postgres", "--regid", "postgres", "--clear-groups"]);
    }
    command.arg("--").arg(bin().join(program)).env_remove("PGDATA").current_dir("/");
    command
}

fn nix_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|m| std::os::unix::fs::MetadataExt::uid(&m) == 0)
}

impl Cluster {
    /// A cluster in a folder of its own. `None`, with a word on standard error, where PostgreSQL is not installed.
    pub fn start() -> Option<Self> {
        let own = tempfile::Builder::new().prefix("countersign-pg-").tempdir_in("/tmp").unwrap();
        let mut cluster = Self::start_in(own.path())?;
        cluster.own = Some(own);
        Some(cluster)
    }

    /// A cluster in a folder that somebody else removes. A socket's path has at most 107 bytes.
    pub fn start_in(folder: &Path) -> Option<Self> {
        if !bin().join("initdb").exists() {
            eprintln!("NOT RUN: no PostgreSQL in {} (Debian: postgresql-15)", bin().display());
            return None;
        }
        std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o755)).unwrap();
        if nix_root() {
            let given = Command::new("chown").arg("postgres").arg(folder).status().unwrap();
            assert!(given.success());
        }
        let made = server_command("initdb")
            .args(["--auth=trust", "--username=postgres", "--encoding=UTF8", "--locale=C", "--no-sync", "-D"])
            .arg(folder.join("data"))
            .stdout(Stdio::null())
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let server = Self::serve(folder);
        let cluster = Self { folder: folder.to_owned(), server, own: None };
        cluster.sql("postgres", "CREATE DATABASE records");
        cluster.sql("postgres", "CREATE DATABASE keys");
        Some(cluster)
    }

    fn serve(folder: &Path) -> Child {
        let log = std::fs::File::create(folder.join("log")).unwrap();
        let mut server = server_command("postgres")
            .arg("-D")
            .arg(folder.join("data"))
            .arg("-k")
            .arg(folder)
            .args(["-c", "listen_addresses=", "-c", "max_connections=200", "-c", "shared_buffers=16MB"])
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        for _ in 0..600 {
            let up = Command::new(bin().join("pg_isready")).arg("-q").arg("-h").arg(folder).status().unwrap();
            if up.success() {
                return server;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        let _ = server.kill();
        let _ = server.wait();
        panic!("the server did not start: {}", std::fs::read_to_string(folder.join("log")).unwrap());
    }

    /// The address of one of its databases.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://postgres@localhost/{database}?host={}", self.folder.display())
    }

    /// Runs statements as the administrator and returns what they print.
    pub fn sql(&self, database: &str, text: &str) -> String {
        let out = Command::new(bin().join("psql"))
            .args(["-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1", "-U", "postgres", "-d", database, "-c", text, "-h"])
            .arg(&self.folder)
            .output()
            .unwrap();
        assert!(out.status.success(), "{text}: {}", String::from_utf8_lossy(&out.stderr));
        String::from_utf8(out.stdout).unwrap().trim().to_owned()
    }

    /// What `pg_dump` makes of one of its databases.
    pub fn dump(&self, database: &str) -> Vec<u8> {
        let out =
            Command::new(bin().join("pg_dump")).args(["-Fc", "-U", "postgres", "-h"]).arg(&self.folder).arg(database).output().unwrap();
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        out.stdout
    }

    /// Throws a database away and brings back what was dumped of it, with `pg_restore`.
    pub fn bring_back(&self, database: &str, dump: &[u8]) {
        use std::io::Write;
        self.sql("postgres", &format!("DROP DATABASE {database} WITH (FORCE)"));
        self.sql("postgres", &format!("CREATE DATABASE {database}"));
        let mut restore = Command::new(bin().join("pg_restore"))
            .args(["--exit-on-error", "-U", "postgres", "-d", database, "-h"])
            .arg(&self.folder)
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        restore.stdin.take().unwrap().write_all(dump).unwrap();
        assert!(restore.wait().unwrap().success());
    }

    /// The files of the server that hold these bytes.
    pub fn holding(&self, needle: &[u8]) -> Vec<PathBuf> {
        assert!(needle.len() >= 12, "a short needle is found by chance");
        let mut waiting = vec![self.folder.join("data")];
        let mut found = Vec::new();
        while let Some(folder) = waiting.pop() {
            for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
                let path = entry.path();
                if path.is_dir() {
                    waiting.push(path);
                } else if std::fs::read(&path).is_ok_and(|bytes| bytes.windows(needle.len()).any(|w| w == needle)) {
                    found.push(path);
                }
            }
        }
        found
    }

    /// Stops the server as a power cut would, and starts it again.
    pub fn crash(&mut self) {
        self.stop();
        self.start_again();
    }

    /// Stops the server as a power cut would.
    pub fn stop(&mut self) {
        let pid = std::fs::read_to_string(self.folder.join("data/postmaster.pid")).unwrap();
        let pid = pid.lines().next().unwrap().to_owned();
        assert!(Command::new("kill").args(["-QUIT", &pid]).status().unwrap().success());
        self.server.wait().unwrap();
    }

    /// Starts it again on what it has written.
    pub fn start_again(&mut self) {
        self.server = Self::serve(&self.folder);
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // Everything it holds is thrown away: no need to let it shut down tidily.
        let told = Command::new("kill").args(["-QUIT", &self.server.id().to_string()]).status();
        if !told.is_ok_and(|status| status.success()) {
            let _ = self.server.kill(); // it may have ended
        }
        let _ = self.server.wait();
    }
}
