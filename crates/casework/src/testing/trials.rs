//! Known-answer trials of the test world.

use super::{Case, World, desk};
use crate::{
    command::Command,
    disclosure::Biography,
    form::{Mode, Source},
    ids::{CandidateId, RequestId},
    policy::BioField,
    record::GalleryId,
    trial::{Known, Material, Words},
};

impl World {
    /// What a leader puts before the examiners: candidates that are the same person, or not.
    #[must_use]
    pub fn material(&mut self, same_person: &[bool]) -> Material {
        let known = |w: &mut Self, same: bool| Known {
            candidate: CandidateId::fixed(w.fresh()),
            image: w.image(),
            biography: Biography([(BioField::Name, "Invented Person".into())].into()),
            same_person: Some(same),
        };
        let words = Words {
            origin: "Two portraits of each of ten colleagues, who agreed to it.".into(),
            mode: Some(Mode::Unidentified),
            source: Some(Source::Unsupervised),
            offence: "A theft by deception, invented.".into(),
            person: "About forty.".into(),
            urgent: false,
            came_in_days_ago: 3,
        };
        Material { words, probe: Some(self.image()), candidates: same_person.iter().map(|same| known(self, *same)).collect() }
    }

    /// A known-answer trial that waits for examiners, put before them by the passport team's leader.
    pub fn trial(&mut self, same_person: &[bool]) -> Case {
        let mut case = Case::new(RequestId::fixed(self.fresh()));
        let material = Box::new(self.material(same_person));
        self.done(desk(GalleryId::Passport).leader, &mut case, Command::SeedTrial { material });
        case
    }
}
