//! What the developer's tools and a test share.

use face::{OnnxEngine, Pack};
use std::path::{Path, PathBuf};

/// The JPEG and PNG files below a folder, in order.
pub fn photographs(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("the folder can be read");
    let mut paths: Vec<PathBuf> = entries.map(|e| e.expect("an entry").path()).collect();
    paths.sort();
    let one = |path: PathBuf| {
        if path.is_dir() {
            return photographs(&path);
        }
        let wanted = path.extension().is_some_and(|e| e == "jpg" || e == "png");
        if wanted { vec![path] } else { vec![] }
    };
    paths.into_iter().flat_map(one).collect()
}

/// The engine of a tool's first two arguments, PACK and LIBRARY, and the photographs below its third,
/// FOLDER. Without them it says how it is used, and ends.
#[allow(dead_code, reason = "the test has an engine of its own")]
pub fn engine_and_photographs(tool: &str) -> (OnnxEngine, Vec<PathBuf>) {
    let args: Vec<String> = std::env::args().collect();
    let [_, pack, library, folder] = args.as_slice() else {
        eprintln!("usage: {tool} PACK LIBRARY FOLDER");
        std::process::exit(2);
    };
    let pack = Pack::open(pack.as_ref()).expect("the pack opens");
    (OnnxEngine::load(&pack, library.as_ref()).expect("the engine loads"), photographs(folder.as_ref()))
}
