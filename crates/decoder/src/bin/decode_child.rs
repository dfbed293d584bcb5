//! The decoding child alone, so that this crate's tests can start a real one.

fn main() -> std::process::ExitCode {
    decoder::child_main()
}
