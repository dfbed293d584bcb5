//! What people's decisions ask of workers, and whether a request still asks for it. A task that is
//! owed may be carried out again and again until it is done; one that is not owed is done or void.

use crate::{
    calendar,
    clause::Clause,
    ids::{AuthorisationId, ProbeId},
    policy::Policy,
    record::RetentionClass,
    request::{ProbeState, Request, State},
    retain,
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Work for a worker. It names ids only: the rest is read from the request when it is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, strum::IntoStaticStr)]
#[serde(rename_all = "kebab-case", tag = "job")]
#[strum(serialize_all = "kebab-case")]
pub enum Task {
    /// Make the search that leave was used for.
    Search {
        /// The image.
        probe: ProbeId,
        /// The leave.
        authorisation: AuthorisationId,
    },
    /// Note that leave ran out.
    Expire {
        /// The image.
        probe: ProbeId,
    },
    /// Let the answer leave.
    Release,
    /// Close what has ended, or was abandoned, and lain idle.
    Close,
    /// Destroy a class of data that is due.
    Erase {
        /// The class.
        class: RetentionClass,
    },
}

impl Task {
    /// Its kind, kebab-case, e.g. `search`.
    #[must_use]
    pub fn kind(self) -> &'static str {
        self.into()
    }

    /// The clause that it serves.
    #[must_use]
    pub fn clause(self) -> Clause {
        match self {
            Self::Search { .. } | Self::Expire { .. } => Clause::M1,
            Self::Release => Clause::O10,
            Self::Close | Self::Erase { .. } => Clause::D3,
        }
    }

    /// Whether the request, as it stands now, still asks for it. A search is owed while its started leave
    /// is unfinished and alive: doing it is the one use of that leave, however often it takes (M1).
    #[must_use]
    pub fn owed(self, request: &Request, policy: &Policy, now: Timestamp) -> bool {
        let today = calendar::london_date(now);
        match self {
            Self::Search { probe, authorisation } => {
                request.leave_to_search(probe, authorisation).is_some_and(|l| now < l.authorisation().expires)
            }
            Self::Expire { probe } => {
                let at_work = matches!(request.state, State::Assessing | State::Clarifying | State::Searching | State::Comparing);
                let over = |s: &ProbeState| matches!(s, ProbeState::Authorised(a) | ProbeState::Started(a) if now >= a.expires);
                at_work && request.probe(probe).is_some_and(|p| over(&p.state))
            }
            Self::Release => request.state == State::Answering,
            Self::Close => !request.waits_for_us() && retain::close_due(request, policy).is_some_and(|due| due <= today),
            // Once recorded as erased, the key and the bytes may still have to go; but never a list that
            // people are at work on.
            Self::Erase { class } => {
                let recorded = request.erased.contains(&class) && (class != RetentionClass::Candidates || retain::candidates_go(request));
                recorded || retain::due(request, policy, today).iter().any(|d| d.class == class)
            }
        }
    }
}
