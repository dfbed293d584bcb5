//! One fuzzer for every target: `FUZZ_TARGET` names it. Run by tools/fuzz/fuzz.sh.
#![no_main]

use std::sync::LazyLock;

#[allow(dead_code, reason = "only its reader is wanted here")]
#[path = "../../crates/countersign/src/evaluate/sample.rs"]
mod sample;

static TARGET: LazyLock<fn(&[u8])> = LazyLock::new(|| {
    // What panics in a library that decodes pictures is caught where the product catches it; anything else ends the fuzzer.
    let ending = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        let file = info.location().map(|l| l.file()).unwrap_or_default();
        if !["/zune-jpeg-", "/png-", "/image-"].iter().any(|library| file.contains(library)) {
            ending(info);
        }
    }));
    target()
});

fn target() -> fn(&[u8]) {
    match std::env::var("FUZZ_TARGET").as_deref() {
        Ok("picture") => decoder::fuzz::picture,
        Ok("answer") => decoder::fuzz::answer,
        Ok("note") => ledger::fuzz::note,
        Ok("certificate") => casework::fuzz::certificate,
        Ok("form") => casework::fuzz::form,
        Ok("pack") => face::fuzz::pack,
        Ok("evaluation") => face::fuzz::evaluation,
        Ok("pairs") => face::fuzz::pairs,
        Ok("groups") => sample::fuzz::groups,
        Ok("nist") => nist::fuzz::nist,
        Ok("index") => gallery::fuzz::index,
        Ok("gallery") => gallery::fuzz::gallery,
        #[cfg(feature = "pages")]
        Ok("multipart") => web::fuzz::multipart,
        #[cfg(feature = "pages")]
        Ok("body") => web::fuzz::body,
        other => panic!("FUZZ_TARGET is {other:?}, which is no target"),
    }
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| TARGET(bytes));
