//! Which system, which gallery of it, and which engine was measured.

use crate::{ANSWER_SECONDS_MAX, Error, GALLERY_ID_CHARS_MAX};
use hyper::Uri;
use std::{net::IpAddr, sync::Arc, time::Duration};
use tokio_rustls::rustls::{
    ClientConfig, RootCertStore,
    crypto::aws_lc_rs::default_provider,
    pki_types::{CertificateDer, ServerName, pem::PemObject as _},
};

/// Which system, which gallery of it, and which engine was measured.
#[derive(Clone)]
pub struct Settings {
    /// Where the interface begins: `https://abis.example/osia`, without `/v1`. `http` on this machine only.
    pub url: String,
    /// The gallery's id there; not `ALL`, which means every gallery.
    pub gallery: String,
    /// The engine's maker, as the interface's templates say it.
    pub vendor: String,
    /// The engine's algorithm, as the interface's templates say it.
    pub algorithm: String,
    /// The least score that the engine gives.
    pub score_min: f64,
    /// The highest score that the engine gives; higher is more alike.
    pub score_max: f64,
    /// How long a search may take, all calls together: 1 to [`ANSWER_SECONDS_MAX`] seconds.
    pub answer_within: Duration,
    /// The bearer token that is sent with each call.
    pub token: Option<String>,
    /// PEM certificates of the authorities that the system's own certificate is proved by. Needed for `https`.
    pub authorities: Vec<u8>,
}

impl std::fmt::Debug for Settings {
    // The token must not reach a log by way of `{:?}`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Settings({}, {}, {} {})", self.url, self.gallery, self.vendor, self.algorithm)
    }
}

/// Settings that were checked, taken apart for a call.
pub(crate) struct Server {
    pub host: String,
    pub port: u16,
    /// What the address says before `/v1`.
    pub prefix: String,
    pub tls: Option<(Arc<ClientConfig>, ServerName<'static>)>,
}

impl Settings {
    pub(crate) fn server(&self) -> Result<Server, Error> {
        let no = |why: &str| Error::Settings(why.to_owned());
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        let id = &self.gallery;
        let fits = !id.is_empty() && id.len() <= GALLERY_ID_CHARS_MAX && id.chars().all(plain) && id.chars().any(|c| c != '.');
        if !fits {
            return Err(Error::Settings(format!("a gallery's id has 1 to {GALLERY_ID_CHARS_MAX} letters, digits or any of - _ .")));
        }
        if id == "ALL" {
            return Err(no("ALL means every gallery there: name the one that was assessed"));
        }
        for name in [&self.vendor, &self.algorithm] {
            if name.is_empty() || name.len() > 60 || !name.chars().all(|c| c.is_ascii_graphic() || c == ' ') {
                return Err(no("vendor and algorithm have 1 to 60 printable ASCII characters, as its templates say them"));
            }
        }
        if !(self.score_min.is_finite() && self.score_max.is_finite() && self.score_min < self.score_max) {
            return Err(no("the engine's least score is a number below its highest"));
        }
        if !(1..=ANSWER_SECONDS_MAX).contains(&self.answer_within.as_secs()) {
            return Err(Error::Settings(format!("a search may take 1 to {ANSWER_SECONDS_MAX} seconds")));
        }
        if self.token.as_ref().is_some_and(|t| t.is_empty() || !t.chars().all(|c| c.is_ascii_graphic())) {
            return Err(no("the token is not one word of printable ASCII"));
        }
        let uri: Uri = self.url.parse().map_err(|_| no("url is not an address"))?;
        let host = uri.host().unwrap_or_default().trim_matches(['[', ']']).to_owned();
        let secure = uri.scheme_str() == Some("https");
        if host.is_empty() || !(secure || uri.scheme_str() == Some("http")) || uri.query().is_some() || self.url.contains('@') {
            return Err(no("url is https://HOST[:PORT][/PATH], without a question mark or a name"));
        }
        let here = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
        if !secure && !here {
            return Err(no("http is for this machine alone: faces go out over https"));
        }
        let tls = if secure {
            Some((self.trust()?, ServerName::try_from(host.clone()).map_err(|_| no("url has no host's name"))?))
        } else {
            None
        };
        let port = uri.port_u16().unwrap_or(if secure { 443 } else { 80 });
        Ok(Server { host, port, prefix: uri.path().trim_end_matches('/').to_owned(), tls })
    }

    fn trust(&self) -> Result<Arc<ClientConfig>, Error> {
        let no = |why: String| Error::Settings(why);
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(&self.authorities) {
            let certificate = certificate.map_err(|e| no(format!("the authorities' certificates cannot be read: {e}")))?;
            roots.add(certificate).map_err(|e| no(format!("an authority's certificate cannot be used: {e}")))?;
        }
        if roots.is_empty() {
            return Err(no("https needs the certificate of the authority that the ABIS's own is proved by".into()));
        }
        let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|e| no(e.to_string()))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Arc::new(config))
    }
}
