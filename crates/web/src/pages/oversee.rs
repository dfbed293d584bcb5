//! What a team leader sets right when work stands still: a task that failed for good is tried again, and
//! an examiner who is absent is replaced.

use super::{Routes, assess::who};
use crate::{AppState, errors::PageError, forms::Posted, page::Page};
use axum::{Router, extract::Path, response::Response, routing::post};

pub(crate) fn routes() -> Routes {
    Routes::pages(Router::<AppState>::new().route("/assess/team/tasks/{job}", post(try_again)))
}

/// Lets a worker try again; what was refused, or done by a colleague, is said on a page of its own.
async fn try_again(page: Page, Path(job): Path<u64>, _posted: Posted) -> Result<Response, PageError> {
    page.state.bureau()?.try_again(who(&page), job).await?;
    page.done("It is being tried again. If it fails again, it comes back to this list.", "/assess/team").await
}
