//! Who calls, what they sent, and how a step on a request is carried out.

use super::{problem::ApiError, words::State};
use crate::{
    AppState,
    desk::Person,
    limits::{FORM_MAX_BYTES, UPLOAD_MAX_BYTES},
};
use axum::{
    Json,
    body::Bytes,
    extract::{FromRequest, FromRequestParts, Path, Query, Request},
    http::{HeaderMap, HeaderValue, header, request::Parts},
    response::{IntoResponse, Response},
};
use bureau::{Bureau, Once};
use casework::{
    command::Command,
    ids::{CandidateId, PersonId, ProbeId, RequestId},
};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{self, DeserializeOwned, Unexpected, Visitor},
};
use std::{fmt, sync::Arc};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        RefOr,
        schema::{ObjectBuilder, Schema, SchemaFormat, Type},
    },
};
use uuid::Uuid;

/// The header by which a repeat is recognised.
pub(crate) const IDEMPOTENCY_KEY: &str = "idempotency-key";
/// Characters of an idempotency key.
pub(crate) const IDEMPOTENCY_KEY_CHARS_MAX: usize = 200;
/// The largest number that a JSON reader is sure to read back exactly: 2^53 − 1.
pub(crate) const INTEGER_MAX: u64 = 9_007_199_254_740_991;

/// An answer in JSON, or a problem.
pub(crate) type Answer<T> = Result<Json<T>, ApiError>;

/// Who calls: a person on the register today, by a good bearer token.
pub(crate) struct Caller {
    /// The person's id.
    pub(crate) id: PersonId,
    /// The person, as the frame shows them.
    pub(crate) person: Person,
    /// The use cases.
    pub(crate) bureau: Arc<Bureau>,
    /// What is called: method and path, to keep the keys of different steps apart.
    what: String,
    key: Option<HeaderValue>,
}

impl FromRequestParts<AppState> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, ApiError> {
        let bureau = state.bureau().map_err(|_| ApiError::internal("this API has no use cases behind it"))?.clone();
        let token = bearer(&parts.headers).ok_or_else(ApiError::unauthorised)?;
        let id = bureau.bearer(token).await?.ok_or_else(ApiError::unauthorised)?;
        if !state.rates().session(id.0) {
            return Err(ApiError::too_many());
        }
        // Somebody who has left holds no good token any more (R1).
        let person = state.desk().person(id.0).await.map_err(|_| ApiError::unavailable())?.ok_or_else(ApiError::unauthorised)?;
        let what = format!("{} {}", parts.method, parts.uri.path());
        Ok(Self { id, person, bureau, what, key: parts.headers.get(IDEMPOTENCY_KEY).cloned() })
    }
}

/// The token, when exactly one is shown and it could be one.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut all = headers.get_all(header::AUTHORIZATION).iter();
    let (scheme, token) = all.next()?.to_str().ok()?.split_once(' ')?;
    (all.next().is_none() && scheme.eq_ignore_ascii_case("bearer")).then(|| token.trim())
}

impl Caller {
    /// The call's idempotency key, kept apart by person and by what is called, so that nobody meets
    /// another's and the same key may serve for two different steps.
    pub(crate) fn once(&self) -> Result<Option<Once>, ApiError> {
        let Some(key) = &self.key else { return Ok(None) };
        let good = (1..=IDEMPOTENCY_KEY_CHARS_MAX).contains(&key.len()) && key.as_bytes().iter().all(u8::is_ascii_graphic);
        match key.to_str() {
            Ok(key) if good => Ok(Some(Once(format!("api {} {} {key}", self.id, self.what)))),
            _ => Err(ApiError::bad(format!("Idempotency-Key takes 1 to {IDEMPOTENCY_KEY_CHARS_MAX} visible ASCII characters."))),
        }
    }

    /// Carries out a step, lets due jobs follow, and says how the request stands.
    pub(crate) async fn step(&self, id: RequestId, version: Version, command: Command) -> Answer<Stepped> {
        let done = self.bureau.act_and_work(self.id, id, command, Some(version.number()), self.once()?).await?;
        let r = done.request;
        // A step can be the last that its caller knows of a request (V1), and so can a repeat of one.
        let (_, actor) = self.bureau.actor(self.id).await?;
        let known = casework::access::may_know(&r, &actor);
        Ok(Json(Stepped {
            id: r.id.0,
            reference: r.id.reference(),
            state: known.then_some(r.state.into()),
            version: known.then_some(Version::of(r.version)),
        }))
    }

    /// Carries out a step whose caller need not know how the rest of the request stands.
    pub(crate) async fn quietly(&self, id: RequestId, command: Command) -> Result<(), ApiError> {
        self.bureau.act_and_work(self.id, id, command, None, self.once()?).await?;
        Ok(())
    }
}

/// How a request stands after a step.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Stepped {
    /// Its id.
    id: Uuid,
    /// Its short reference.
    reference: String,
    /// Its state; nothing where the caller may not know of it any more.
    state: Option<State>,
    /// Its version, for the next step; as `state`.
    version: Option<Version>,
}

/// A whole number from 0 to `MAX`, however JSON writes it: `2` and `2.0` are the same number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub(crate) struct Whole<const MAX: u64>(pub(crate) u64);

impl<'de, const MAX: u64> Deserialize<'de> for Whole<MAX> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Number<const MAX: u64>;
        impl<const MAX: u64> Visitor<'_> for Number<MAX> {
            type Value = Whole<MAX>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "a whole number from 0 to {MAX}")
            }
            fn visit_u64<E: de::Error>(self, n: u64) -> Result<Self::Value, E> {
                if n <= MAX { Ok(Whole(n)) } else { Err(E::invalid_value(Unexpected::Unsigned(n), &self)) }
            }
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)] // whole and in range
            fn visit_f64<E: de::Error>(self, n: f64) -> Result<Self::Value, E> {
                if n.fract() == 0.0 && (0.0..=MAX as f64).contains(&n) {
                    self.visit_u64(n as u64)
                } else {
                    Err(E::invalid_value(Unexpected::Float(n), &self))
                }
            }
        }
        d.deserialize_any(Number::<MAX>)
    }
}

impl<const MAX: u64> PartialSchema for Whole<MAX> {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(0)).maximum(Some(MAX)).into()
    }
}

impl<const MAX: u64> ToSchema for Whole<MAX> {}

/// Which face on an image, from the left: at most 30 are found on one.
pub(crate) type FaceIndex = Whole<29>;

/// How many of something.
pub(crate) type Count = Whole<INTEGER_MAX>;

/// The number of a task.
pub(crate) type TaskNumber = Whole<INTEGER_MAX>;

/// An optimistic version: a step that names an old one is answered with 409 and not done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Version(Whole<INTEGER_MAX>);

impl PartialSchema for Version {
    fn schema() -> RefOr<Schema> {
        Whole::<INTEGER_MAX>::schema()
    }
}

impl ToSchema for Version {}

impl Version {
    /// The version as the use cases count it.
    pub(crate) fn of(n: u64) -> Self {
        Self(Whole(n))
    }

    /// Its number.
    pub(crate) fn number(self) -> u64 {
        self.0.0
    }
}

/// The ids in the path. One that is not an id names nothing, so it is not found.
pub(crate) struct At<T>(pub(crate) T);

impl<T: DeserializeOwned + Send> FromRequestParts<AppState> for At<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, ApiError> {
        Path::from_request_parts(parts, state).await.map(|Path(t)| Self(t)).map_err(|_| ApiError::not_found())
    }
}

/// Ids in a path that begin with a request's.
pub(crate) trait OfRequest: Copy {
    /// The request's.
    fn request(self) -> RequestId;
}
impl OfRequest for RequestId {
    fn request(self) -> RequestId {
        self
    }
}
impl OfRequest for (RequestId, ProbeId) {
    fn request(self) -> RequestId {
        self.0
    }
}
impl OfRequest for (RequestId, ProbeId, CandidateId) {
    fn request(self) -> RequestId {
        self.0
    }
}

/// The query, every part known.
pub(crate) struct Asked<T>(pub(crate) T);

impl<T: DeserializeOwned + Send> FromRequestParts<AppState> for Asked<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, ApiError> {
        let read = Query::from_request_parts(parts, state).await;
        read.map(|Query(t)| Self(t))
            .map_err(|_| ApiError::bad("A part of the query is unknown, missing, there twice, or not of its documented shape."))
    }
}

/// The JSON that was sent.
pub(crate) struct Sent<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequest<AppState> for Sent<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &AppState) -> Result<Self, ApiError> {
        json(request, FORM_MAX_BYTES).await.map(Self)
    }
}

/// The image that was sent.
pub(crate) struct Picture(pub(crate) Bytes);

impl FromRequest<AppState> for Picture {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &AppState) -> Result<Self, ApiError> {
        if !matches!(media_type(request.headers()).as_deref(), Some("image/jpeg" | "image/png")) {
            return Err(ApiError::unsupported("image/jpeg or image/png"));
        }
        collect(request, UPLOAD_MAX_BYTES).await.map(Self)
    }
}

/// The JSON that was sent, where it carries a file.
pub(crate) struct Large<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequest<AppState> for Large<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &AppState) -> Result<Self, ApiError> {
        json(request, UPLOAD_MAX_BYTES).await.map(Self)
    }
}

async fn json<T: DeserializeOwned>(request: Request, limit: usize) -> Result<T, ApiError> {
    if media_type(request.headers()).as_deref() != Some("application/json") {
        return Err(ApiError::unsupported("application/json"));
    }
    serde_json::from_slice(&collect(request, limit).await?).map_err(|e| ApiError::bad(without_values(&e)))
}

fn media_type(headers: &HeaderMap) -> Option<String> {
    let text = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    Some(text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase())
}

async fn collect(request: Request, limit: usize) -> Result<Bytes, ApiError> {
    match Limited::new(request.into_body(), limit).collect().await {
        Ok(all) => Ok(all.to_bytes()),
        Err(e) if e.is::<LengthLimitError>() => Err(ApiError::too_large(limit)),
        Err(_) => Err(ApiError::bad("The message broke off.")),
    }
}

/// What is wrong with some JSON, without the values that were in it.
pub(crate) fn without_values(e: &serde_json::Error) -> String {
    let text = e.to_string();
    let place = format!("line {}, column {}", e.line(), e.column());
    if !e.is_data() {
        return format!("This is not JSON, from {place}.");
    }
    let text = text.split(" at line ").next().unwrap_or_default();
    if text.starts_with("missing field") || text.starts_with("duplicate field") {
        return format!("At {place}: {text}.");
    }
    let expected = text.split_once(", expected ").map(|(_, e)| format!(": expected {e}")).unwrap_or_default();
    let what = if text.starts_with("unknown field") { "an unknown field" } else { "a value of another kind or range" };
    format!("At {place} stands {what}{expected}.")
}

/// A picture as it is served: always a JPEG that the house itself wrote.
pub(crate) fn jpeg(bytes: Vec<u8>) -> Response {
    ([(header::CONTENT_TYPE, "image/jpeg")], bytes).into_response()
}

/// The bytes of a picture, for the document.
pub(crate) struct PictureBytes;

impl PartialSchema for PictureBytes {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new().schema_type(Type::String).format(Some(SchemaFormat::Custom("binary".into()))).into()
    }
}

impl ToSchema for PictureBytes {}

/// The body of a step: it names the version that it was decided on.
pub(crate) trait StepBody: DeserializeOwned {
    /// That version.
    fn version(&self) -> Version;
}

/// Bodies that hold a `version` and are steps.
macro_rules! step_bodies {
    ($($body:ty),+ $(,)?) => {
        $(impl $crate::api::call::StepBody for $body {
            fn version(&self) -> $crate::api::call::Version {
                self.version
            }
        })+
    };
}
pub(crate) use step_bodies;

/// A step on a request: an endpoint that turns its path and body into a command and says how the
/// request then stands.
///
/// `name "path" in "tag" takes Body at PathIds => |ids, body| command`
macro_rules! step {
    ($(#[$doc:meta])* $name:ident $path:tt in $tag:tt takes $body:ident at $at:ty => $command:expr) => {
        $(#[$doc])*
        #[utoipa::path(post, path = $path, tag = $tag, request_body = $body,
            responses((status = 200, description = "Done, or done before with the same key: how the request stands", body = $crate::api::call::Stepped)))]
        pub(crate) async fn $name(
            who: $crate::api::call::Caller,
            $crate::api::call::At(at): $crate::api::call::At<$at>,
            $crate::api::call::Sent(body): $crate::api::call::Sent<$body>,
        ) -> $crate::api::call::Answer<$crate::api::call::Stepped> {
            use $crate::api::call::{OfRequest, StepBody};
            let make: fn($at, $body) -> casework::command::Command = $command;
            let version = body.version();
            who.step(OfRequest::request(at), version, make(at, body)).await
        }
    };
}
pub(crate) use step;
