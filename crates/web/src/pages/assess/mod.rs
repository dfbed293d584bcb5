//! assess: the lists that caseworkers work from, a case with its tabs, and the assessment.
//!
//! | file | what lives there |
//! | --- | --- |
//! | [`lists`] | your list, waiting, all open, ended; get next; look-up by reference |
//! | [`open`] | what stands before a case: conflict of interest, vulnerability |
//! | [`case`] | the tabs Request, Images and History; the image route |
//! | [`said`] | what the force says, by section, and image by image |
//! | [`deeds`] | small things done to a case: put back, ask, flag, let in, close |
//! | [`reject`] | rejecting an incomplete form, with the letter previewed |
//! | [`assessment`], [`findings`] | the assessment of one image: its pages, and the form's values |

pub(super) mod assessment;
mod case;
mod deeds;
mod findings;
mod lists;

pub(super) mod open;
mod reject;
pub(super) mod said;

pub(super) use case::jpeg;

use super::Routes;
use crate::{
    errors::{PageError, RefusalLine},
    forms::Posted,
    page::Page,
};
use bureau::{BureauError, Once};
use casework::{
    ids::PersonId,
    refusal::{Refusal, refuse},
};

pub(crate) fn routes() -> Routes {
    lists::routes().and(open::routes()).and(case::routes()).and(deeds::routes()).and(reject::routes()).and(assessment::routes())
}

/// Who is looking, as the use cases know them.
pub(super) fn who(page: &Page) -> PersonId {
    PersonId(page.person.id)
}

/// The form's one-time token, as the use cases know it.
pub(super) fn once(posted: &Posted) -> Result<Option<Once>, PageError> {
    Ok(Some(Once(posted.once()?.to_string())))
}

/// What a form page shows again with everything that was typed: the policy's refusals, or that the
/// request has moved on meanwhile. Anything else is a page of its own.
pub(super) fn refused(e: BureauError) -> Result<Vec<Refusal>, PageError> {
    match e {
        BureauError::Refused(all) if all.first() != Some(&casework::access::unknown()) => Ok(all),
        BureauError::Overtaken => Ok(vec![refuse(
            &[],
            "This request has changed since you opened this page, so nothing was done. What you typed is kept: look again, then send it again if it still makes sense.",
        )]),
        other => Err(other.into()),
    }
}

/// Refusals as lines, each led to the field that `anchor` names for it, unless it names its own.
pub(super) fn lines(all: Vec<Refusal>, anchor: impl Fn(&Refusal) -> Option<String>) -> Vec<RefusalLine> {
    all.into_iter()
        .map(|r| {
            let field = anchor(&r);
            let line = RefusalLine::from(r);
            RefusalLine { field: field.or(line.field), ..line }
        })
        .collect()
}
