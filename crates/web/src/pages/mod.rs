//! The pages, one file per word of the flow (intake, assess, search, review, respond, retain, report)
//! and a few around them. Each file has `pub(crate) fn routes() -> Routes`, merged in [`routes`].
//!
//! A page is a handler and a template:
//!
//! ```ignore
//! pub(crate) fn routes() -> Routes {
//!     Routes::pages(Router::new().route("/assess/{id}/note", get(show).post(save)))
//! }
//!
//! async fn show(page: Page, Path(id): Path<RequestId>) -> Result<Response, PageError> {
//!     form(&page, id, Value::UNDEFINED, vec![]).await
//! }
//!
//! async fn save(page: Page, Path(id): Path<RequestId>, posted: Posted) -> Result<Response, PageError> {
//!     let Some(note) = posted.text("note") else {
//!         let missing = RefusalLine::on("note", "Enter a note");
//!         return form(&page, id, posted.values(), vec![missing]).await;
//!     };
//!     // ask the use case, with posted.version()? and posted.once()?; its refusals go the same way
//!     page.done("The note was added.", &format!("/assess/{id}")).await
//! }
//!
//! async fn form(page: &Page, id: RequestId, values: Value, errors: Vec<RefusalLine>) -> Result<Response, PageError> {
//!     page.view("assess/note.html", "Add a note")
//!         .back(format!("/assess/{id}"))
//!         .with(context! { id => id.to_string(), version => 7, values })
//!         .errors(errors)
//!         .draw()
//!         .await
//! }
//! ```
//!
//! ```jinja
//! {% extends "layout.html" %}
//! {% block content %}
//! {{ page_heading(heading) }}
//! <form method="post" novalidate>
//!   {{ form_fields(version=version) }}
//!   {{ govukTextarea({'id': 'note', 'name': 'note', 'label': {'text': 'Note'}, 'value': values.note,
//!                     'errorMessage': error(errors, 'note')}) }}
//!   {{ govukButton({'text': 'Add note', 'preventDoubleClick': true}) }}
//! </form>
//! {% endblock %}
//! ```

mod about;
mod accuracy;
mod answers;
mod assess;
mod image_log;
mod intake;
mod oversee;
pub(crate) mod processing;
mod quality;
mod register;
mod report;
mod respond;
mod retain;
mod review;
mod search;
mod sign_in;
mod team;
mod trials;

use crate::AppState;
use axum::Router;

/// The routes of some pages: most take ordinary forms, a few take images.
#[derive(Default)]
pub struct Routes {
    /// Pages whose forms hold at most [`crate::limits::FORM_MAX_BYTES`].
    pub pages: Router<AppState>,
    /// Pages whose forms hold at most [`crate::limits::UPLOAD_MAX_BYTES`]: images and nothing typed.
    /// Words belong in a form of their own, since a large form whose session has ended is not read.
    pub uploads: Router<AppState>,
}

impl Routes {
    /// Ordinary pages.
    #[must_use]
    pub fn pages(pages: Router<AppState>) -> Self {
        Self { pages, uploads: Router::new() }
    }

    /// These, with some that take images.
    #[must_use]
    pub fn with_uploads(self, uploads: Router<AppState>) -> Self {
        Self { pages: self.pages, uploads: self.uploads.merge(uploads) }
    }

    /// These and those.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self { pages: self.pages.merge(other.pages), uploads: self.uploads.merge(other.uploads) }
    }
}

/// Signing in and the pages about the service: what there is around the work.
#[must_use]
pub fn frame() -> Routes {
    sign_in::routes().and(about::routes())
}

/// Every page of the product.
#[must_use]
pub fn routes() -> Routes {
    frame()
        .and(intake::routes())
        .and(answers::routes())
        .and(review::routes())
        .and(register::routes())
        .and(report::routes())
        .and(processing::routes())
        .and(image_log::routes())
        .and(accuracy::routes())
        .and(retain::routes())
        .and(assess::routes())
        .and(search::routes())
        .and(respond::routes())
        .and(team::routes())
        .and(trials::routes())
        .and(oversee::routes())
}
