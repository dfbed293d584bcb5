//! For this crate's tests: puts layers on itself and then tries something. `try-confined LAYER[,LAYER…] DEED`.
//! Exit code 0: it could; 10: it was refused (the reason is on standard output); 2: not understood.

use decoder::{Layer, confine};
use std::{fs::File, net::TcpListener, os::unix::process::CommandExt, process::ExitCode};

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let (Some(layers), Some(deed)) = (args.next(), args.next()) else {
        return ExitCode::from(2);
    };
    let named = |name: &str| match name {
        "limits" => Some(Layer::Limits),
        "landlock" => Some(Layer::Landlock),
        "seccomp" => Some(Layer::Seccomp),
        _ => None,
    };
    let layers: Vec<Layer> = layers.split(',').filter_map(named).collect();
    if confine(&layers).is_err() {
        return ExitCode::from(3);
    }
    let done = match deed.as_str() {
        "nothing" => Ok(()),
        "open" => File::open("/etc/passwd").map(drop),
        "create" => File::create("/tmp/countersign-try-confined").map(drop),
        "listen" => TcpListener::bind("127.0.0.1:0").map(drop),
        "thread" => std::thread::Builder::new().spawn(|| ()).map(drop),
        "process" => std::process::Command::new("/bin/true").spawn().map(drop),
        // Only returns if it could not.
        "exec" => Err(std::process::Command::new("/bin/true").exec()),
        _ => return ExitCode::from(2),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            println!("{e}");
            ExitCode::from(10)
        }
    }
}
