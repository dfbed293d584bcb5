//! The OpenAPI document in `docs/` is the one that is served.

use std::{fs, path::Path};

#[test]
fn the_document_in_the_repository_is_current() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/openapi.json");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&golden, web::api::openapi()).unwrap();
    }
    let held = fs::read_to_string(&golden).unwrap_or_default();
    assert!(
        held == web::api::openapi(),
        "docs/openapi.json is not what is served; run this test with UPDATE_GOLDEN=1 and read the difference"
    );
}
