//! The decoder's child for the bureau's own tests: the product's binary runs the same one as
//! `countersign decode-child`.

fn main() -> std::process::ExitCode {
    decoder::child_main()
}
