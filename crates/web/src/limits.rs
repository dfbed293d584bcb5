//! Every limit of the pages, in one place, with its unit in its name. An answer that says no because
//! of one of them says the limit.

/// Bytes of an ordinary form, and of anything that is read from somebody who is not signed in. A form
/// kept while somebody signs in again is bounded by the same.
pub const FORM_MAX_BYTES: usize = 256 * 1024;

/// Bytes of a form that carries images.
pub const UPLOAD_MAX_BYTES: usize = 32 * 1024 * 1024;

/// Bytes of a refused body that are let run by behind the answer, so that the browser gets to read it.
pub const DRAIN_MAX_BYTES: usize = 128 * 1024 * 1024;

/// Fields (and files) of one form.
pub const FORM_MAX_FIELDS: usize = 500;

/// Seconds without a click after which a session ends.
pub const SESSION_IDLE_S: i64 = 60 * 60;

/// Seconds after signing in when a session ends, however busy.
pub const SESSION_MAX_S: i64 = 12 * 60 * 60;

/// Seconds for which a form typed into an ended session is kept for its owner to sign in again.
pub const KEPT_MAX_S: i64 = 30 * 60;

/// Seconds between two writes of "still here" for a busy session.
pub const SESSION_TOUCH_S: i64 = 60;

/// Seconds that answering one request may take.
pub const REQUEST_MAX_S: u64 = 30;

/// Seconds in which a request's headers must have arrived.
pub const HEADER_MAX_S: u64 = 10;

/// Connections served at one time; more wait.
pub const CONNECTIONS_MAX: usize = 512;

/// Seconds that requests in progress are given when the server stops.
pub const SHUTDOWN_GRACE_S: u64 = 20;

/// Requests a second from one address, on average, and at once.
pub const ADDRESS_PER_S: u32 = 50;
/// See [`ADDRESS_PER_S`].
pub const ADDRESS_BURST: u32 = 400;

/// Requests a second in one signed-in session, on average, and at once.
pub const SESSION_PER_S: u32 = 10;
/// See [`SESSION_PER_S`].
pub const SESSION_BURST: u32 = 120;
