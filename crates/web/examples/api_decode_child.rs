//! The decoder's child for the tests of the API: the product's binary runs the same one as
//! `countersign decode-child`.

fn main() -> std::process::ExitCode {
    decoder::child_main()
}
