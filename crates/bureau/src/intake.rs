//! intake: drafts, images, sending to an approver, copying a rejected form.

use crate::{
    Bureau, BureauError, Result,
    act::{Done, Once, With, investigation},
};
use casework::{
    access::{self, Action},
    clause::Clause,
    command::Command,
    decide::Context,
    form::{Field, Form, FormImage},
    ids::{BlobId, DraftId, PersonId, ProbeId, RequestId},
    limits::IMAGES_PER_REQUEST_MAX,
    people::{Actor, Register, Role},
    record::{GalleryId, RetentionClass, StreamId},
    refusal::{Refusal, refuse, refuse_field},
    request::{Request, State},
    retain,
};
use jiff::{Timestamp, civil::Date};
use serde::{Deserialize, Serialize};
use store::{CommitError, PutDraft, StoreError};
use strum::IntoEnumIterator;

/// Drafts that one person may hold.
pub const DRAFTS_PER_PERSON_MAX: u32 = 100;

/// A draft as kept: the form, and the rejected request that it replaces.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Kept {
    form: Form,
    replaces: Option<RequestId>,
}

/// A draft as its owner sees it.
#[derive(Clone, Debug, Serialize)]
pub struct DraftView {
    /// Its id, which the request keeps.
    pub id: RequestId,
    /// Optimistic version.
    pub version: u64,
    /// When it was last saved.
    pub changed_at: Timestamp,
    /// The London date on which it goes unless it is saved again.
    pub goes: Date,
    /// The form.
    pub form: Form,
    /// The rejected request that it replaces.
    pub replaces: Option<RequestId>,
    /// Why an approver returned it.
    pub returned: Option<String>,
    /// Everything that is missing, at once (S1).
    pub missing: Vec<Refusal>,
    /// Which of the nine sections have nothing missing.
    pub complete: [bool; 9],
}

impl Bureau {
    fn requester(&self, actor: &Actor) -> Result<()> {
        if actor.has(Role::Requester) && actor.leo.is_some() {
            Ok(())
        } else {
            Err(vec![refuse(&[Clause::R2], "Only a requester of a police force or other law enforcement organisation fills in a request.")]
                .into())
        }
    }

    /// Begins an empty form. One that was begun and not written in is given again, so that asking twice
    /// (the server was killed before it could answer) leaves no second one.
    ///
    /// # Errors
    /// Refused to anyone who is not a requester, or holds too many drafts.
    pub async fn new_draft(&self, who: PersonId) -> Result<RequestId> {
        self.keep_new(who, Kept { form: Form::new(), replaces: None }).await
    }

    async fn keep_new(&self, who: PersonId, kept: Kept) -> Result<RequestId> {
        let (_, actor) = self.actor(who).await?;
        self.requester(&actor)?;
        let held = self.store.drafts_of(who, DRAFTS_PER_PERSON_MAX).await?;
        for summary in held.iter().filter(|d| d.version == 1) {
            if self.is_kept(who, summary.id, 1, &serde_json::to_vec(&kept)?).await? {
                return Ok(RequestId(summary.id.0));
            }
        }
        if held.len() >= DRAFTS_PER_PERSON_MAX as usize {
            return Err(vec![refuse(
                &[],
                format!("You hold {DRAFTS_PER_PERSON_MAX} drafts, which is the limit. Send or discard one first."),
            )]
            .into());
        }
        let id = self.id::<RequestId>()?;
        self.keep(&actor, id, 0, &kept).await?;
        Ok(id)
    }

    async fn keep(&self, actor: &Actor, id: RequestId, expected: u64, kept: &Kept) -> Result<u64> {
        let mut kept = kept.clone();
        let galleries = kept.form.nationality.map_or_else(|| GalleryId::iter().collect(), |n| n.galleries().to_vec());
        self.judge(&mut kept.form, &galleries);
        let leo = actor.leo.ok_or_else(|| vec![access::unknown()])?;
        let (draft, bytes) = (DraftId(id.0), serde_json::to_vec(&kept)?);
        let put = PutDraft { id: draft, owner: actor.person, leo, expected, bytes: bytes.clone(), blobs: blobs(&kept.form) };
        match self.store.put_draft(put, self.now()).await {
            Ok(version) => Ok(version),
            // Saved before by the same form, of whose answer nothing was heard: then this is no failure.
            Err(StoreError::Stale { .. }) if self.is_kept(actor.person, draft, expected + 1, &bytes).await? => Ok(expected + 1),
            Err(StoreError::Stale { .. }) => Err(BureauError::Overtaken),
            Err(e) => Err(e.into()),
        }
    }

    /// Whether a person's draft is exactly this at this version.
    async fn is_kept(&self, who: PersonId, id: DraftId, version: u64, bytes: &[u8]) -> Result<bool> {
        let found = self.store.get_draft(id).await?;
        Ok(found.is_some_and(|d| d.summary.owner == who && d.summary.version == version && d.bytes == bytes))
    }

    async fn kept(&self, who: PersonId, id: RequestId) -> Result<(Actor, u64, Timestamp, Kept)> {
        let (_, actor) = self.actor(who).await?;
        self.requester(&actor)?;
        let draft = self.store.get_draft(DraftId(id.0)).await?.filter(|d| d.summary.owner == who).ok_or_else(|| vec![access::unknown()])?;
        Ok((actor, draft.summary.version, draft.summary.changed_at, serde_json::from_slice(&draft.bytes)?))
    }

    /// One's own drafts, newest first.
    ///
    /// # Errors
    /// Refused to anyone who is not a requester.
    pub async fn drafts(&self, who: PersonId) -> Result<Vec<DraftView>> {
        let (_, actor) = self.actor(who).await?;
        self.requester(&actor)?;
        let mut out = vec![];
        for summary in self.store.drafts_of(who, DRAFTS_PER_PERSON_MAX).await? {
            out.push(self.draft(who, RequestId(summary.id.0)).await?);
        }
        out.sort_by_key(|d| std::cmp::Reverse(d.changed_at));
        Ok(out)
    }

    /// One's own draft.
    ///
    /// # Errors
    /// Refused as unknown to everybody else.
    pub async fn draft(&self, who: PersonId, id: RequestId) -> Result<DraftView> {
        let (_, version, changed_at, kept) = self.kept(who, id).await?;
        let returned = self.open(id).await?.returned;
        Ok(DraftView {
            id,
            version,
            changed_at,
            goes: retain::draft_goes(changed_at, self.policy()),
            missing: kept.form.missing(self.policy()),
            complete: kept.form.complete_sections(self.policy()),
            form: kept.form,
            replaces: kept.replaces,
            returned,
        })
    }

    /// Saves a draft. Images are not taken from `form`: they change through their own calls only.
    ///
    /// # Errors
    /// [`BureauError::Overtaken`] when another tab saved first; nothing is lost there or here.
    pub async fn save_draft(&self, who: PersonId, id: RequestId, version: u64, mut form: Form) -> Result<u64> {
        let (actor, _, _, kept) = self.kept(who, id).await?;
        form.images = kept.form.images;
        self.keep(&actor, id, version, &Kept { form, replaces: kept.replaces }).await
    }

    /// Adds an image. The answer says at once what is wrong with it, if anything. Sent again from a page
    /// that is older than the form (the server was killed before it could answer), it is added once.
    ///
    /// # Errors
    /// Refused when it is not an acceptable image, or the form is full.
    pub async fn add_image(
        &self,
        who: PersonId,
        id: RequestId,
        version: u64,
        bytes: &[u8],
        name: Option<&str>,
    ) -> Result<(u64, ProbeId, Vec<Refusal>)> {
        let (actor, held, _, mut kept) = self.kept(who, id).await?;
        let digest = crate::sha256(bytes);
        if let Some(image) = kept.form.images.iter().find(|i| i.digest == digest).filter(|_| version < held) {
            return Ok((version + 1, image.probe, vec![]));
        }
        if kept.form.images.len() >= IMAGES_PER_REQUEST_MAX {
            return Err(vec![refuse_field(
                Clause::S1,
                Field::Images,
                format!("A form carries at most {IMAGES_PER_REQUEST_MAX} images. Remove one first."),
            )]
            .into());
        }
        if kept.form.images.iter().any(|i| i.digest == digest) {
            return Err(vec![refuse_field(
                Clause::S2,
                Field::Images,
                "This image is already on the form. Each image needs to be added once.",
            )]
            .into());
        }
        let (image, mut notes) = self.take_in(id, bytes, name).await?;
        if self.seen_before(id, None, &[digest], Some(who)).await? {
            notes.push(refuse_field(Clause::S2, Field::Images, "This image is already in another of your requests. That is allowed where it belongs to another investigation; staff will see a note."));
        }
        let (probe, original, rendering) = (image.probe, image.original, image.rendering);
        kept.form.images.push(image);
        match self.keep(&actor, id, version, &kept).await {
            Ok(version) => Ok((version, probe, notes)),
            Err(e) => {
                // Overtaken: what was taken in belongs to nothing, so it goes at once.
                self.store.delete_blob(original).await?;
                self.store.delete_blob(rendering).await?;
                Err(e)
            }
        }
    }

    /// Chooses the face to search with, and where the image comes from.
    ///
    /// # Errors
    /// Refused when there is no such face.
    pub async fn describe_image(
        &self,
        who: PersonId,
        id: RequestId,
        version: u64,
        probe: ProbeId,
        face: Option<usize>,
        source: Option<casework::form::Source>,
    ) -> Result<u64> {
        let (actor, _, _, mut kept) = self.kept(who, id).await?;
        let image = kept.form.images.iter_mut().find(|i| i.probe == probe).ok_or_else(|| vec![access::unknown()])?;
        if let Some(face) = face {
            if face >= image.faces.len() {
                return Err(vec![refuse_field(
                    Clause::A3,
                    Field::Images,
                    format!("The image shows {} faces; choose one of them.", image.faces.len()),
                )]
                .into());
            }
            if image.chosen != Some(face) {
                image.quality = self.quality_of(image, face).await?;
                image.chosen = Some(face);
            }
        }
        image.source = source.or(image.source);
        self.keep(&actor, id, version, &kept).await
    }

    /// Takes an image off the form and destroys it. Asked again from a page that is older than the form,
    /// it is gone already.
    ///
    /// # Errors
    /// Refused when there is no such image.
    pub async fn remove_image(&self, who: PersonId, id: RequestId, version: u64, probe: ProbeId) -> Result<u64> {
        let (actor, held, _, mut kept) = self.kept(who, id).await?;
        let Some(at) = kept.form.images.iter().position(|i| i.probe == probe) else {
            return if version < held { Ok(held) } else { Err(vec![access::unknown()].into()) };
        };
        let gone = kept.form.images.remove(at);
        let version = self.keep(&actor, id, version, &kept).await?;
        // A returned request's events still name its blobs; they go with the request.
        if self.open(id).await?.version == 0 {
            self.store.delete_blob(gone.original).await?;
            self.store.delete_blob(gone.rendering).await?;
        }
        Ok(version)
    }

    /// The rendering of a draft's image, for its owner.
    ///
    /// # Errors
    /// Refused as unknown to everybody else.
    pub async fn draft_image(&self, who: PersonId, id: RequestId, probe: ProbeId) -> Result<Vec<u8>> {
        let (_, _, _, kept) = self.kept(who, id).await?;
        let image = kept.form.images.iter().find(|i| i.probe == probe).ok_or_else(|| vec![access::unknown()])?;
        self.rendering(image).await
    }

    /// Throws a draft away, with its images unless a returned request still names them.
    ///
    /// # Errors
    /// Refused as unknown to everybody but its owner.
    pub async fn discard_draft(&self, who: PersonId, id: RequestId) -> Result<()> {
        let (_, _, _, kept) = self.kept(who, id).await?;
        self.store.delete_draft(DraftId(id.0)).await?;
        if self.open(id).await?.version == 0 {
            for blob in blobs(&kept.form) {
                self.store.delete_blob(blob).await?;
            }
        }
        Ok(())
    }

    /// Sends a draft to an approver: one request, or the linked pair when the force is unsure (S3).
    /// Returns the ids, passport gallery first.
    ///
    /// # Errors
    /// Refused with everything that is missing; the draft stays.
    pub async fn send(&self, who: PersonId, id: RequestId, version: u64, once: Option<Once>) -> Result<Vec<RequestId>> {
        if let Some(ids) = self.sent_before(who, id, once.as_ref()).await? {
            return Ok(ids);
        }
        match self.send_now(who, id, version, once.as_ref()).await {
            Ok(ids) => Ok(ids),
            // Sent by the same form's other copy since the question above: then this is no failure.
            Err(e) => self.sent_before(who, id, once.as_ref()).await?.ok_or(e),
        }
    }

    async fn send_now(&self, who: PersonId, id: RequestId, version: u64, once: Option<&Once>) -> Result<Vec<RequestId>> {
        let (register, _) = self.actor(who).await?;
        let (actor, held, _, kept) = self.kept(who, id).await?;
        if held != version {
            return Err(BureauError::Overtaken);
        }
        let form = kept.form;
        let galleries: Vec<GalleryId> = form.nationality.map_or_else(|| vec![GalleryId::Passport], |n| n.galleries().to_vec());
        let request = self.open(id).await?;
        let twin = match (galleries.len() > 1, request.twin) {
            (true, None) => Some(self.id::<RequestId>()?),
            (true, Some(twin)) => Some(twin),
            (false, _) => None,
        };
        let first = request.gallery.filter(|g| galleries.contains(g)).or(galleries.first().copied()).unwrap_or(GalleryId::Passport);
        let mut ids = vec![id];
        let mut parts = vec![(request, first, form.clone(), twin)];
        // A returned half of a pair goes again alone: its other half has a life of its own.
        if let (Some(second), Some(gallery)) = (twin, galleries.iter().find(|g| **g != first)) {
            let other = self.open(second).await?;
            if other.version == 0 {
                // Refused before the images are copied, where it can be.
                self.prepared(&actor, &register, &parts[0], kept.replaces, With::default()).await?;
                parts.push((other, *gallery, self.copied_images(&form, second).await?, Some(id)));
                ids.push(second);
            }
        }
        let mut commits = vec![];
        for (n, part) in parts.iter().enumerate() {
            let with = With {
                blobs: blobs(&part.2),
                drop_draft: (n == 0).then_some((DraftId(id.0), version)),
                once: once.cloned().filter(|_| n == 0),
                ..With::default()
            };
            commits.push(self.prepared(&actor, &register, part, kept.replaces, with).await?);
        }
        match self.store.commit_all(commits).await {
            Ok(_) => Ok(ids),
            // Saved in another tab meanwhile: that is not lost, and not sent unseen.
            Err(CommitError::Conflict { .. } | CommitError::Duplicate { .. } | CommitError::Store(StoreError::Stale { .. })) => {
                Err(BureauError::Overtaken)
            }
            Err(CommitError::NotAlone) => {
                // Another form for this investigation was first: decided again, this one is told why not (S2).
                for part in &parts {
                    self.prepared(&actor, &register, part, kept.replaces, With::default()).await?;
                }
                Err(BureauError::Overtaken)
            }
            Err(CommitError::Store(e)) => Err(e.into()),
        }
    }

    /// The requests that this very form was sent as, if it was.
    async fn sent_before(&self, who: PersonId, id: RequestId, once: Option<&Once>) -> Result<Option<Vec<RequestId>>> {
        let Some(token) = once else { return Ok(None) };
        if self.store.done_before(&token.of(Some(who), id, None)).await?.is_none() {
            return Ok(None);
        }
        let request = self.open(id).await?;
        Ok(Some([Some(id), request.twin].into_iter().flatten().collect()))
    }

    async fn prepared(
        &self,
        actor: &Actor,
        register: &Register,
        part: &(Request, GalleryId, Form, Option<RequestId>),
        replaces: Option<RequestId>,
        with: With,
    ) -> Result<store::Commit> {
        let (request, gallery, form, twin) = part;
        let mut form = form.clone();
        self.judge(&mut form, &[*gallery]);
        let digests: Vec<_> = form.images.iter().map(|i| i.digest).collect();
        let same_investigation = self.same_investigation(actor, request.id, *gallery, &form.investigation).await?;
        let command = Command::Prepare {
            form: Box::new(form),
            gallery: *gallery,
            twin: *twin,
            replaces,
            same_investigation,
            image_seen_before: self.seen_before(request.id, *twin, &digests, None).await?,
        };
        let (commit, _, _) = self.decided(Some(actor), register, request, &command, None, &with)?;
        Ok(commit)
    }

    /// The form with its images copied under the key of the other request of a pair.
    async fn copied_images(&self, form: &Form, to: RequestId) -> Result<Form> {
        let mut form = form.clone();
        for image in &mut form.images {
            image.probe = self.id::<ProbeId>()?;
            for blob in [&mut image.original, &mut image.rendering] {
                let bytes = self.store.get_blob(*blob).await?.ok_or(BureauError::Gone)?;
                *blob = self.store.put_blob(StreamId::Request(to), RetentionClass::Images, &bytes, self.now()).await?;
            }
        }
        Ok(form)
    }

    async fn same_investigation(&self, actor: &Actor, id: RequestId, gallery: GalleryId, reference: &str) -> Result<Option<RequestId>> {
        let Some(leo) = actor.leo else { return Ok(None) };
        for other in self.store.lookup("investigation", &investigation(leo, gallery, reference)).await? {
            if other != id {
                let state = self.store.queue_row(other).await?.and_then(|r| r.state.parse::<State>().ok());
                if state.is_some_and(State::is_open) {
                    return Ok(Some(other));
                }
            }
        }
        Ok(None)
    }

    /// Whether an image is in another request that is not sensitive; with `own`, in one of that person's own.
    async fn seen_before(
        &self,
        id: RequestId,
        twin: Option<RequestId>,
        digests: &[casework::ids::Digest],
        own: Option<PersonId>,
    ) -> Result<bool> {
        for digest in digests {
            for other in self.store.lookup("image", &digest.0).await? {
                // V1: a sensitive request does not show itself in this way either.
                let known = self.store.queue_row(other).await?.is_some_and(|r| !r.sensitive && own.is_none_or(|p| p == r.requester));
                if other != id && Some(other) != twin && known {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    /// Opens a returned request as a draft again, under its own id.
    ///
    /// # Errors
    /// Refused unless it was returned and is one's own.
    pub async fn edit_returned(&self, who: PersonId, id: RequestId) -> Result<RequestId> {
        let (register, actor) = self.actor(who).await?;
        let request = self.open(id).await?;
        let ctx = Context { actor: Some(&actor), register: &register, policy: self.policy(), now: self.now(), running: None };
        let refusals = access::refusals(&request, Action::Prepare, &ctx);
        if !refusals.is_empty() {
            return Err(refusals.into());
        }
        if self.store.get_draft(DraftId(id.0)).await?.is_none() {
            let form = request.form.clone().ok_or(BureauError::Gone)?;
            self.keep(&actor, id, 0, &Kept { form, replaces: request.replaces }).await?;
        }
        Ok(id)
    }

    /// Copies a rejected request's answers into a new draft (S1). Images and declarations are given afresh.
    ///
    /// # Errors
    /// Refused unless it is rejected and one's own.
    pub async fn copy_rejected(&self, who: PersonId, id: RequestId) -> Result<RequestId> {
        let (_, actor) = self.actor(who).await?;
        let request = self.open(id).await?;
        if !access::may_know(&request, &actor) || request.version == 0 {
            return Err(vec![access::unknown()].into());
        }
        if request.state != State::Rejected || request.requester != Some(who) {
            return Err(vec![refuse(&[Clause::S1], "Only your own rejected request can be copied into a new form.")].into());
        }
        let form = request.form.ok_or(BureauError::Gone)?.copied();
        self.keep_new(who, Kept { form, replaces: Some(id) }).await
    }

    /// Approves or returns a request, or does another thing to it; the worker then carries on.
    ///
    /// # Errors
    /// As [`Bureau::act`].
    pub async fn act_and_work(
        &self,
        who: PersonId,
        id: RequestId,
        command: Command,
        seen: Option<u64>,
        once: Option<Once>,
    ) -> Result<Done> {
        // M2: what follows from an examiner's step would take longer when the other had already finished,
        // so it is left to the worker.
        let blind = matches!(command.action(), Action::Examine | Action::GiveVisual | Action::GiveInformed | Action::ConcludeEmpty);
        let done = self.act(who, id, command, seen, once).await?;
        if blind {
            return Ok(done);
        }
        if let Err(error) = self.work("inline").await {
            // It is decided and recorded; a worker will carry on.
            tracing::warn!(%error, "what follows from a decision is left to a worker");
        }
        Ok(Done { request: self.open(id).await?, events: done.events })
    }
}

fn blobs(form: &Form) -> Vec<BlobId> {
    form.images.iter().flat_map(|FormImage { original, rendering, .. }| [*original, *rendering]).collect()
}
