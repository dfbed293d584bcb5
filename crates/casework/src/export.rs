//! export: references that a gallery's owner takes out as files, outside any request. Only the owner does, for the own
//! gallery, saying to whom and why; it is recorded before the first file is written (D5).

use crate::{
    access::{Action, ruling},
    clause::Clause,
    ids::{PersonId, ReferenceId},
    limits::{EXPORT_REFERENCES_MAX, TEXT_CHARS_MAX},
    people::{Actor, Role},
    record::GalleryId,
    refusal::{Refusal, refuse},
    request::State,
};
use serde::{Deserialize, Serialize};

/// What is exported: the sealed payload of the event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Export {
    /// Who exports.
    pub by: PersonId,
    /// From which gallery.
    pub gallery: GalleryId,
    /// To whom.
    pub recipient: String,
    /// Why.
    pub reasons: String,
    /// In which format.
    pub format: String,
    /// What: each reference with picture and biography.
    pub references: Vec<ReferenceId>,
}

impl Export {
    /// Everything against it, at once [rule: D5].
    ///
    /// # Errors
    /// Refused to anybody but the owner of this gallery; without recipient, reasons or references; past
    /// [`EXPORT_REFERENCES_MAX`].
    pub fn allowed(&self, actor: &Actor) -> Result<(), Vec<Refusal>> {
        let action = Action::ExportReferences;
        let mut out = vec![];
        // No request is concerned, so it stands in no state; the row is the same in all of them.
        let decided = actor.roles.iter().map(|r| ruling(*r, State::Received, action)).find(|r| r.allowed);
        if decided.is_none() {
            let clause = ruling(Role::Siao, State::Received, action).clause;
            out.push(refuse(&[clause], "Only the gallery's owner (SIAO) exports from it; your role does not include this."));
        }
        if actor.gallery != Some(self.gallery) {
            out.push(refuse(&[Clause::R3], "This is another gallery: its own owner exports from it."));
        }
        for (what, text) in [("to whom they go", &self.recipient), ("why", &self.reasons)] {
            if text.trim().is_empty() {
                out.push(refuse(&[Clause::D5], format!("Say {what}: an export is recorded with its recipient and its reasons.")));
            } else if text.chars().count() > TEXT_CHARS_MAX {
                out.push(refuse(&[Clause::D5], format!("What says {what} is longer than {TEXT_CHARS_MAX} characters.")));
            }
        }
        if self.references.is_empty() {
            out.push(refuse(&[Clause::D5], "No reference is named that has a picture here."));
        } else if self.references.len() > EXPORT_REFERENCES_MAX {
            let words = format!(
                "{} references are more than the {EXPORT_REFERENCES_MAX} of one export: name those that are needed.",
                self.references.len()
            );
            out.push(refuse(&[Clause::D5], words));
        }
        if out.is_empty() { Ok(()) } else { Err(out) }
    }
}
