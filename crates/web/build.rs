//! Embeds what the pages are made of: `build/assets` and `build/templates` (brought at set-up, never
//! committed) and our own `templates/`. The product is one file; nothing is read from disk at run time.

use std::{
    env,
    fmt::Write as _,
    fs,
    hash::{DefaultHasher, Hash, Hasher},
    path::{Path, PathBuf},
    process::ExitCode,
};

fn main() -> ExitCode {
    match generate() {
        Ok(()) => ExitCode::SUCCESS,
        Err(words) => {
            // `cargo::error` puts the sentence where it is read, without a back trace.
            println!("cargo::error={words}");
            ExitCode::FAILURE
        }
    }
}

fn generate() -> Result<(), String> {
    let here = PathBuf::from(env::var("CARGO_MANIFEST_DIR").map_err(|e| e.to_string())?);
    let root = here.join("../..");
    let out = PathBuf::from(env::var("OUT_DIR").map_err(|e| e.to_string())?).join("embedded.rs");
    let assets = root.join("build/assets");
    let macros = root.join("build/templates");
    let own = here.join("templates");
    for folder in [&assets, &macros, &own] {
        println!("cargo::rerun-if-changed={}", folder.display());
    }
    if !assets.join("app.css").is_file() || !macros.is_dir() {
        return Err("what the pages are made of has not been brought yet: run `make setup` (or tools/assets/build.sh) first".into());
    }

    let mut text = String::from(
        "/// Style sheet, scripts and icons: path below `/assets/…/`, then bytes.\npub(crate) static ASSETS: &[(&str, &[u8])] = &[\n",
    );
    // Cache busting, not security: it need only differ when the files differ.
    let mut digest = DefaultHasher::new();
    for (name, path) in files(&assets)? {
        let bytes = fs::read(&path).map_err(|e| format!("{}: {e}", path.display()))?;
        (&name, &bytes).hash(&mut digest);
        let _ = writeln!(text, "    ({name:?}, include_bytes!({:?})),", path.display().to_string());
    }
    text.push_str("];\n\n/// Templates: name, then source.\npub(crate) static TEMPLATES: &[(&str, &str)] = &[\n");
    for folder in [&macros, &own] {
        for (name, path) in files(folder)? {
            let _ = writeln!(text, "    ({name:?}, include_str!({:?})),", path.display().to_string());
        }
    }
    let hash = format!("{:016x}", digest.finish());
    let _ = write!(
        text,
        "];\n\n/// Names everything in [`ASSETS`] together: it changes when any of it changes.\npub(crate) const ASSETS_HASH: &str = {hash:?};\n"
    );
    fs::write(&out, text).map_err(|e| format!("{}: {e}", out.display()))
}

/// Every file below a folder, with its path inside it, in a fixed order.
fn files(folder: &Path) -> Result<Vec<(String, PathBuf)>, String> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(&next).map_err(|e| format!("{}: {e}", next.display()))? {
            let path = entry.map_err(|e| e.to_string())?.path();
            if path.is_dir() {
                folders.push(path);
            } else if let Ok(inside) = path.strip_prefix(folder) {
                found.push((inside.display().to_string(), path.clone()));
            }
        }
    }
    found.sort();
    Ok(found)
}
