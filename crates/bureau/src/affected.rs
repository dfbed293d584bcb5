//! certificate: which searches rest on one, so that people can decide whether those cases are looked at again when it
//! was found not to hold (P1). Read off the log: the record of each search names its certificate.

use crate::{Bureau, Result, act::Flags, assess::examines, views::viewer};
use casework::{
    access::{self, Action},
    calendar,
    certificate::{Held, Revoked},
    event::{Entry, Event},
    ids::{Digest, PersonId, RequestId},
    people::{Actor, Register, Role},
    processing::HouseKind,
    record::{GalleryId, StreamId},
    request::{Outcome, State},
};
use jiff::{Timestamp, ToSpan as _};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet, btree_map::Entry as Place};
use store::{EntryFilter, QueueRow, log::ENTRIES_PAGE_LIMIT};

/// Searches on one page.
pub const SEARCHES_ON_PAGE: usize = 50;

/// A search that was made under a certificate, and where its case is now. Nobody who was searched for and no score.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AffectedSearch {
    /// The request.
    pub request: RequestId,
    /// Its short reference.
    pub reference: String,
    /// When the search was recorded.
    pub searched_at: Timestamp,
    /// The gallery that was searched.
    pub gallery: GalleryId,
    /// The certificate that it names: SHA-256 of its note.
    pub certificate: Digest,
    /// Where the request is now.
    pub state: State,
    /// The answer in one word, where there is one.
    pub outcome: Option<Outcome>,
}

/// What rests on a certificate and on those that stopped counting with it; of one that counts, what its revocation
/// would touch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Affected {
    /// The gallery.
    pub gallery: GalleryId,
    /// The certificate: SHA-256 of its note.
    pub certificate: Digest,
    /// That it was revoked.
    pub revoked: Option<Revoked>,
    /// The others that stopped, or would stop, counting with it, newest first.
    pub with: Vec<Digest>,
    /// How much there is in all.
    pub count: AffectedCount,
    /// The searches that are for this reader to see, newest first.
    pub searches: Vec<AffectedSearch>,
}

/// How many searches rest on a certificate and on those that stop counting with it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct AffectedCount {
    /// Searches that name one of them.
    pub searches: usize,
    /// The cases that they belong to.
    pub cases: usize,
    /// Of the searches, those of cases that the reader examines, and so stays blind to until they are answered (M2).
    pub withheld: usize,
    /// Searches of the time in which they counted whose record was erased, so that nobody can say what they rest on (D3).
    pub erased: usize,
}

impl Affected {
    /// One page of the searches, from 1; empty beyond the last.
    #[must_use]
    pub fn page(&self, number: usize) -> &[AffectedSearch] {
        self.searches.chunks(SEARCHES_ON_PAGE).nth(number.saturating_sub(1)).unwrap_or_default()
    }

    /// Pages in all, at least one.
    #[must_use]
    pub fn pages(&self) -> usize {
        self.searches.len().div_ceil(SEARCHES_ON_PAGE).max(1)
    }
}

/// A search's record: of which request, when, and under which certificate.
struct Made {
    request: RequestId,
    at: Timestamp,
    certificate: Digest,
}

impl Bureau {
    /// The searches that rest on a certificate, named by the SHA-256 of its note, and on those that stopped counting with
    /// it, for the gallery's owner, its team leaders and the auditor. The look is recorded.
    ///
    /// # Errors
    /// Refused to others; a certificate that is not there or is another gallery's is unknown.
    pub async fn affected(&self, who: PersonId, certificate: Digest) -> Result<Affected> {
        let (register, actor) = self.actor(who).await?;
        let (gallery, ending) = self.traced(&register, &actor, certificate)?;
        let (made, erased) = self.made_under(gallery, &ending).await?;
        let mut rows: BTreeMap<RequestId, Option<QueueRow>> = BTreeMap::new();
        let (mut searches, mut withheld) = (vec![], 0);
        for m in &made {
            let row = match rows.entry(m.request) {
                Place::Occupied(there) => there.into_mut(),
                Place::Vacant(place) => place.insert(self.store.queue_row(m.request).await?),
            };
            match row {
                // M2: how far a request has come would tell an examiner of it what another examiner did.
                Some(row) if viewer(&actor).sees(row) && !examines(row, who) => searches.push(standing(m, row)),
                _ => withheld += 1,
            }
        }
        let count = AffectedCount { searches: made.len(), cases: cases(&made), withheld, erased };
        let words = format!("which searches rest on certificate {certificate}: {} in {} cases", count.searches, count.cases);
        self.note_house(HouseKind::SearchesTraced, who, &words, Some(gallery)).await?;
        let signed = ending.iter().filter_map(|h| h.genuine);
        let mut with: Vec<Digest> = vec![];
        for other in signed.filter(|d| *d != certificate) {
            if !with.contains(&other) {
                with.push(other);
            }
        }
        let revoked = ending.iter().find(|h| h.genuine == Some(certificate)).and_then(|h| h.revoked.clone());
        Ok(Affected { gallery, certificate, revoked, with, count, searches })
    }

    /// How many searches and cases that is: for the question before a certificate is revoked. Names no case.
    ///
    /// # Errors
    /// As [`Bureau::affected`].
    pub async fn affected_count(&self, who: PersonId, certificate: Digest) -> Result<AffectedCount> {
        let (register, actor) = self.actor(who).await?;
        let (gallery, ending) = self.traced(&register, &actor, certificate)?;
        let (made, erased) = self.made_under(gallery, &ending).await?;
        Ok(AffectedCount { searches: made.len(), cases: cases(&made), withheld: 0, erased })
    }

    /// The gallery of a certificate, and those that stop counting together with it.
    fn traced<'r>(&self, register: &'r Register, actor: &Actor, certificate: Digest) -> Result<(GalleryId, Vec<&'r Held>)> {
        self.house_access(actor, Action::TraceSearches)?;
        let own = |g: GalleryId| actor.has(Role::Auditor) || actor.gallery == Some(g);
        let all = register.settings.iter().filter(|(g, _)| own(**g)).map(|(g, s)| (*g, s.ending_with(certificate)));
        Ok(all.into_iter().find(|(_, ending)| !ending.is_empty()).ok_or_else(|| vec![access::unknown()])?)
    }

    /// Every search of a gallery that names one of these certificates, newest first; and how many of the time in which they
    /// counted are erased.
    async fn made_under(&self, gallery: GalleryId, ending: &[&Held]) -> Result<(Vec<Made>, usize)> {
        self.store.sequence(self.now()).await?;
        let named: BTreeSet<Digest> = ending.iter().filter_map(|h| h.genuine).collect();
        // A search is made on a day on which its certificate counts, and on none after it was revoked.
        let from = ending.iter().map(|h| h.certificate.issued).min();
        let until = ending.iter().map(|h| h.revoked.as_ref().map_or(h.certificate.until, |r| r.on.min(h.certificate.until))).max();
        let mut filter = EntryFilter {
            kind: Some("searched".into()),
            gallery: Some(gallery),
            from: from.map(calendar::start_of),
            until: until.and_then(|d| d.checked_add(1.day()).ok()).map(calendar::start_of),
            limit: ENTRIES_PAGE_LIMIT,
            ..EntryFilter::default()
        };
        let (mut made, mut erased) = (vec![], 0);
        loop {
            let page = self.store.entries_opened(&filter).await?;
            let Some(last) = page.last() else { return Ok((made, erased)) };
            filter.before = Some(last.index);
            for record in &page {
                let StreamId::Request(request) = record.stream else { continue };
                let Some(payload) = &record.payload else {
                    erased += 1;
                    continue;
                };
                let Event::Searched { facts, .. } = serde_json::from_slice::<Entry>(payload)?.event else { continue };
                if named.contains(&facts.certificate) {
                    made.push(Made { request, at: record.header.at, certificate: facts.certificate });
                }
            }
        }
    }
}

/// A search, and where its case is now.
fn standing(made: &Made, row: &QueueRow) -> AffectedSearch {
    let flags: Flags = serde_json::from_str(&row.flags).unwrap_or_default();
    AffectedSearch {
        request: made.request,
        reference: made.request.reference(),
        searched_at: made.at,
        gallery: row.gallery,
        certificate: made.certificate,
        state: row.state.parse().unwrap_or_default(),
        outcome: flags.outcome.and_then(|o| o.parse().ok()),
    }
}

fn cases(made: &[Made]) -> usize {
    made.iter().map(|m| m.request).collect::<BTreeSet<_>>().len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn searches_come_in_pages_of_fifty() {
        let search = |n| AffectedSearch {
            request: RequestId::fixed(n),
            reference: String::new(),
            searched_at: Timestamp::UNIX_EPOCH,
            gallery: GalleryId::Passport,
            certificate: Digest([1; 32]),
            state: State::Closed,
            outcome: None,
        };
        let of = |n: u128| Affected {
            gallery: GalleryId::Passport,
            certificate: Digest([1; 32]),
            revoked: None,
            with: vec![],
            count: AffectedCount::default(),
            searches: (0..n).map(search).collect(),
        };
        for (searches, pages, last) in [(0, 1, 0), (1, 1, 1), (50, 1, 50), (51, 2, 1), (120, 3, 20)] {
            let all = of(searches);
            assert_eq!((all.pages(), all.page(pages).len(), all.page(pages + 1).len()), (pages, last, 0), "{searches}");
        }
        let all = of(120);
        let ids = (1..=3).flat_map(|n| all.page(n)).map(|s| s.request).collect::<Vec<_>>();
        assert_eq!(ids, all.searches.iter().map(|s| s.request).collect::<Vec<_>>());
    }
}
