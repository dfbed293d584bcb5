//! The pages and the JSON API of Countersign. Talks to the use cases (`bureau`) only; decides nothing.
//!
//! | file | what lives there |
//! | --- | --- |
//! | [`mod@serve`] | the listener: connections, header time, graceful stop |
//! | [`envelope`] | around every answer: Host, request id, log line, security headers, rates, error pages |
//! | [`session`], [`desk`] | sealed sessions; what the frame asks of the house |
//! | [`guard`], [`kept`], [`forms`] | what stands before a change; forms whose session ended; what was sent |
//! | [`page`], [`render`], [`nav`], [`assets`] | a page around its content; templates; navigation; style |
//! | [`errors`] | what goes wrong, as people read it |
//! | [`pages`] | the pages themselves, one file per word of the flow |
//! | [`api`] | the JSON API under `/api/v1` |
//!
//! To add a page, see [`pages`].

pub mod api;
pub mod assets;
pub mod desk;
mod desk_of_bureau;
pub mod envelope;
pub mod errors;
pub mod forms;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
pub mod guard;
pub mod kept;
pub mod limits;
pub mod nav;
pub mod page;
pub mod pages;
pub mod render;
pub mod serve;
pub mod session;

pub use serve::{asked_to_stop, serve};

use axum::{Router, extract::State, http::StatusCode, middleware::from_fn_with_state, routing::get};
use desk::Desk;
use envelope::Rates;
use guard::Guard;
use limits::{FORM_MAX_BYTES, REQUEST_MAX_S, UPLOAD_MAX_BYTES};
use std::{sync::Arc, time::Duration};
use tower_http::{catch_panic::CatchPanicLayer, compression::CompressionLayer, timeout::TimeoutLayer};

/// How the pages are served.
#[derive(Clone, Debug)]
pub struct Config {
    /// The `Host` headers that are answered, with port: `127.0.0.1:8080`. Any other gets 421.
    pub hosts: Vec<String>,
    /// Whether this is the demo: a banner on every page, and sign-in by choosing a person, from this
    /// machine only. Never with real data.
    pub demo: bool,
    /// Whether browsers reach it over HTTPS (through a proxy): secure cookies, HSTS.
    pub secure: bool,
    /// The proxies in front, whose `X-Forwarded-For` is believed when addresses are counted; usually
    /// none or one.
    pub trusted_proxies: Vec<ipnet::IpNet>,
}

/// Why the pages cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// No host is allowed.
    #[error("no host name is allowed, so nobody could be answered: name at least one, with its port")]
    NoHost,
    /// The demo's sign-in would be open to others.
    #[error("the demo signs anybody in, so it is for this machine only: {0:?} is not a loopback address")]
    DemoNotLocal(String),
    /// A template does not parse.
    #[error("the pages' templates are broken: {0}")]
    Templates(#[from] minijinja::Error),
}

/// What every handler can reach. Cheap to clone.
#[derive(Clone)]
pub struct AppState(Arc<Inner>);

struct Inner {
    config: Config,
    desk: Arc<dyn Desk>,
    bureau: Option<Arc<bureau::Bureau>>,
    rates: Rates,
}

impl AppState {
    /// The application over a house.
    ///
    /// # Errors
    /// When the configuration would be unsafe or the templates do not parse.
    pub fn new(config: Config, desk: Arc<dyn Desk>) -> Result<Self, ConfigError> {
        Self::assemble(config, desk, None)
    }

    /// The product: the pages over the use cases.
    ///
    /// # Errors
    /// As [`AppState::new`].
    pub fn over(config: Config, bureau: Arc<bureau::Bureau>) -> Result<Self, ConfigError> {
        let desk = Arc::new(desk_of_bureau::BureauDesk::new(bureau.clone()));
        Self::assemble(config, desk, Some(bureau))
    }

    fn assemble(config: Config, desk: Arc<dyn Desk>, bureau: Option<Arc<bureau::Bureau>>) -> Result<Self, ConfigError> {
        if config.hosts.is_empty() {
            return Err(ConfigError::NoHost);
        }
        if config.demo
            && let Some(open) = config.hosts.iter().find(|h| !is_loopback(h))
        {
            return Err(ConfigError::DemoNotLocal(open.clone()));
        }
        render::check()?;
        Ok(Self(Arc::new(Inner { config, desk, bureau, rates: Rates::new() })))
    }

    /// How the pages are served.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.0.config
    }

    /// What the frame asks of the house.
    #[must_use]
    pub fn desk(&self) -> &dyn Desk {
        &*self.0.desk
    }

    /// The use cases.
    ///
    /// # Errors
    /// A server fault when these pages stand alone, as in tests of the frame.
    pub fn bureau(&self) -> Result<&Arc<bureau::Bureau>, errors::PageError> {
        self.0.bureau.as_ref().ok_or_else(|| errors::PageError::internal("these pages have no use cases behind them"))
    }

    fn rates(&self) -> &Rates {
        &self.0.rates
    }
}

fn is_loopback(host: &str) -> bool {
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    name == "localhost" || name.trim_matches(['[', ']']).parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// The whole application.
pub fn router(state: AppState) -> Router {
    router_with(state, pages::routes(), api::routes())
}

/// The frame around any pages and any API: for the product, and for tests of the frame alone.
///
/// `api` is mounted below `/api/`: no cookies, no form tokens; it authenticates by itself.
pub fn router_with(state: AppState, pages: pages::Routes, api: Router<AppState>) -> Router {
    let guarded =
        |routes: Router<AppState>, limit: usize| routes.layer(from_fn_with_state(Guard { state: state.clone(), limit }, guard::check));
    let pages = guarded(pages.pages.merge(kept::routes()), FORM_MAX_BYTES)
        .merge(guarded(pages.uploads, UPLOAD_MAX_BYTES))
        .fallback(|| async { StatusCode::NOT_FOUND })
        .layer(from_fn_with_state(state.clone(), envelope::know_visitor))
        .layer(session::layer(state.0.desk.clone(), state.config().secure));
    let open = Router::new()
        // Only assets are compressed: compressing a page that holds both a secret token and what
        // somebody sent would let its length give the token away.
        .route("/assets/{hash}/{*name}", get(assets::serve).layer(CompressionLayer::new()))
        .route("/favicon.ico", get(|| async { axum::response::Redirect::permanent(&assets::asset_url("favicon.svg")) }))
        .route("/health/live", get(|| async { "alive\n" }))
        .route("/health/ready", get(ready))
        .nest("/api", api.fallback(|| async { StatusCode::NOT_FOUND }));
    Router::new()
        .merge(pages)
        .merge(open)
        .layer(CatchPanicLayer::custom(panicked))
        .layer(TimeoutLayer::with_status_code(StatusCode::REQUEST_TIMEOUT, Duration::from_secs(REQUEST_MAX_S)))
        .layer(from_fn_with_state(state.clone(), envelope::wrap))
        .with_state(state)
}

async fn ready(State(state): State<AppState>) -> (StatusCode, &'static str) {
    match state.desk().ready().await {
        Ok(()) => (StatusCode::OK, "ready\n"),
        Err(_) => (StatusCode::SERVICE_UNAVAILABLE, "not ready: the records cannot be reached\n"),
    }
}

/// A panic is a fault of ours: logged (without its message, which may quote what somebody sent), and a page.
fn panicked(_: Box<dyn std::any::Any + Send>) -> axum::response::Response {
    axum::response::IntoResponse::into_response(errors::PageError::internal("a handler panicked"))
}
