//! Style sheet, scripts, icons and templates, embedded in the binary by `build.rs`.
//!
//! All assets are served below one folder named after everything in it (`/assets/3f9c…/app.css`), so
//! that a page may be sure of what it gets, files may name one another relatively, and a browser may
//! keep them for a year. They are the only answers that may be kept at all.

use axum::{
    extract::Path,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};

include!(concat!(env!("OUT_DIR"), "/embedded.rs"));

/// How long a browser may keep an asset: a year, in seconds.
const ASSET_MAX_AGE_S: u32 = 31_536_000;

/// The address of an asset, such as `app.css`.
#[must_use]
pub fn asset_url(name: &str) -> String {
    format!("/assets/{ASSETS_HASH}/{name}")
}

/// `GET /assets/{hash}/{*name}`. A hash from an older build is answered too, but may not be kept.
pub(crate) async fn serve(Path((hash, name)): Path<(String, String)>) -> Response {
    let Some((_, bytes)) = ASSETS.iter().find(|(n, _)| *n == name) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let kind = match name.rsplit('.').next() {
        Some("css") => "text/css; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        _ => "application/octet-stream",
    };
    let cache = if hash == ASSETS_HASH { format!("public, max-age={ASSET_MAX_AGE_S}, immutable") } else { "no-store".to_owned() };
    ([(header::CONTENT_TYPE, kind.to_owned()), (header::CACHE_CONTROL, cache)], *bytes).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_embedded_carries_neither_crest_nor_transport() {
        let (_, css) = ASSETS.iter().find(|(n, _)| *n == "app.css").unwrap();
        let css = std::str::from_utf8(css).unwrap();
        assert!(css.contains(".govuk-button") && css.contains(".moj-timeline") && css.contains(".app-clause"));
        for word in ["Transport", "crest", "crown", "@font-face"] {
            assert!(!css.contains(word), "the style sheet mentions {word}");
        }
    }
}
