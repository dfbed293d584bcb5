//! The calls: each on a connection of its own, bounded in time and bytes.

use crate::{
    ANSWER_BYTES_MAX, Asked, CONNECT_WITHIN, Candidate, Error, Settings,
    answer::{believed, reference},
    settings::Server,
    wire::{Computed, Encounter, Everybody, Face, Identify, PersonIds},
};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::{
    Method, Request, StatusCode,
    body::Bytes,
    client::conn::http1,
    header::{ACCEPT, AUTHORIZATION, CONNECTION, CONTENT_TYPE, HOST},
};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::TlsConnector;
use uuid::Uuid;

/// What became of a reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Enrolled {
    /// It is enrolled now.
    New,
    /// It was already.
    Already,
}

/// A biometric system elsewhere: one gallery of it.
pub struct Abis {
    settings: Settings,
    server: Server,
}

impl std::fmt::Debug for Abis {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Abis({:?})", self.settings)
    }
}

impl Abis {
    /// Checks the settings. Nothing is sent yet.
    ///
    /// # Errors
    /// [`Error::Settings`].
    pub fn new(settings: Settings) -> Result<Self, Error> {
        let server = settings.server()?;
        Ok(Self { settings, server })
    }

    /// The settings.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The host that is asked.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.server.host
    }

    /// The model that was measured: vendor and algorithm.
    #[must_use]
    pub fn model(&self) -> String {
        format!("{} {}", self.settings.vendor, self.settings.algorithm)
    }

    /// Searches the whole gallery for one face, a JPEG without metadata that shows nobody else.
    ///
    /// # Errors
    /// Any [`Error`]; then nothing of the answer is to be used, and the search may be made again.
    pub async fn identify(&self, jpeg: &[u8], asked: &Asked) -> Result<Vec<Candidate>, Error> {
        self.in_time(async {
            let sample = self.whole(asked.held, asked.transaction).await?;
            self.measured(sample, asked.transaction).await?;
            let query = form_urlencoded::Serializer::new(String::new())
                .append_pair("transactionId", &asked.transaction.to_string())
                .append_pair("maxNbCand", &asked.most.to_string())
                .append_pair("threshold", &asked.threshold.to_string())
                .finish();
            let body = to_json(&Identify { filter: Everybody {}, biometric_data: [Face::of(jpeg)] })?;
            let (status, answer) = self.call(Method::POST, &format!("/v1/identify/{}?{query}", self.settings.gallery), body).await?;
            let list = believed(json(&ok(status, answer)?)?, asked, &self.settings)?;
            // Whoever changes the engine while it searches changes what the list means.
            self.measured(sample, asked.transaction).await?;
            Ok(list)
        })
        .await
    }

    /// Whether the gallery holds exactly so many references, and its engine is the one that was measured.
    ///
    /// # Errors
    /// Any [`Error`], where that is not so or cannot be told.
    pub async fn check(&self, held: u64, transaction: Uuid) -> Result<(), Error> {
        self.in_time(async {
            let sample = self.whole(held, transaction).await?;
            self.measured(sample, transaction).await
        })
        .await
    }

    /// Enrols a reference: a JPEG that shows one face.
    ///
    /// # Errors
    /// Any [`Error`]; made again, it does not enrol twice.
    pub async fn enrol(&self, reference: Uuid, jpeg: &[u8], transaction: Uuid) -> Result<Enrolled, Error> {
        let encounter = Encounter {
            status: "ACTIVE",
            encounter_type: "REFERENCE",
            galleries: [&self.settings.gallery],
            biometric_data: [Face::of(jpeg)],
        };
        let body = to_json(&encounter)?;
        let path = format!("/v1/persons/{reference}/encounters/{reference}?transactionId={transaction}");
        let (status, _) = self.in_time(self.call(Method::POST, &path, body)).await?;
        match status {
            StatusCode::OK | StatusCode::CREATED => Ok(Enrolled::New),
            StatusCode::CONFLICT => Ok(Enrolled::Already),
            other => Err(other_status(other)),
        }
    }

    /// Whether a reference is enrolled.
    ///
    /// # Errors
    /// Any [`Error`], where it cannot be told.
    pub async fn holds(&self, reference: Uuid, transaction: Uuid) -> Result<bool, Error> {
        let path = format!("/v1/persons/{reference}/encounters/{reference}?transactionId={transaction}");
        let (status, _) = self.in_time(self.call(Method::GET, &path, vec![])).await?;
        match status {
            StatusCode::OK => Ok(true),
            StatusCode::NOT_FOUND => Ok(false),
            other => Err(other_status(other)),
        }
    }

    /// That the gallery holds exactly so many: at the last place there is one, and none behind it. Gives that one.
    async fn whole(&self, held: u64, transaction: Uuid) -> Result<Uuid, Error> {
        let Some(last) = held.checked_sub(1) else { return Err(Error::Empty) };
        let path = format!("/v1/galleries/{}?transactionId={transaction}&offset={last}&limit=2", self.settings.gallery);
        let (status, answer) = self.call(Method::GET, &path, vec![]).await?;
        let page: Vec<PersonIds> = json(&ok(status, answer)?)?;
        let [one] = page.as_slice() else { return Err(Error::Incomplete(held)) };
        if one.encounter_id != one.person_id {
            return Err(Error::Id);
        }
        reference(&one.person_id)
    }

    /// That a reference's template is by the engine that was measured.
    async fn measured(&self, sample: Uuid, transaction: Uuid) -> Result<(), Error> {
        let path = format!("/v1/persons/{sample}/encounters/{sample}/templates?biometricType=FACE&transactionId={transaction}");
        let (status, answer) = self.call(Method::GET, &path, vec![]).await?;
        let templates: Vec<Computed> = json(&ok(status, answer)?)?;
        let ours = |c: &Computed| {
            c.biometric_type == "FACE"
                && c.vendor.as_ref() == Some(&self.settings.vendor)
                && c.algorithm.as_ref() == Some(&self.settings.algorithm)
        };
        if !templates.is_empty() && templates.iter().all(ours) { Ok(()) } else { Err(Error::Model) }
    }

    async fn in_time<T>(&self, calls: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        let within = self.settings.answer_within;
        timeout(within, calls).await.unwrap_or(Err(Error::Late(within.as_secs())))
    }

    /// One call, on a connection of its own.
    async fn call(&self, method: Method, path: &str, body: Vec<u8>) -> Result<(StatusCode, Bytes), Error> {
        let to = (self.server.host.as_str(), self.server.port);
        let connected = timeout(CONNECT_WITHIN, TcpStream::connect(to)).await.unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into()));
        let stream = connected.map_err(Error::Unreachable)?;
        match &self.server.tls {
            None => self.exchange(stream, method, path, body).await,
            Some((config, name)) => {
                let stream = TlsConnector::from(config.clone()).connect(name.clone(), stream).await.map_err(Error::Tls)?;
                self.exchange(stream, method, path, body).await
            }
        }
    }

    async fn exchange<S>(&self, stream: S, method: Method, path: &str, body: Vec<u8>) -> Result<(StatusCode, Bytes), Error>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|_| Error::CutOff)?;
        let (host, port) = (&self.server.host, self.server.port);
        let host = if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.server.prefix))
            .header(HOST, host)
            .header(ACCEPT, "application/json")
            .header(CONNECTION, "close");
        if !body.is_empty() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        if let Some(token) = &self.settings.token {
            request = request.header(AUTHORIZATION, format!("Bearer {token}"));
        }
        let request = request.body(Full::new(Bytes::from(body))).map_err(|_| Error::Settings("url cannot be sent".into()))?;
        let answer = async {
            let answer = sender.send_request(request).await.map_err(|_| Error::CutOff)?;
            let status = answer.status();
            if status.is_redirection() {
                return Err(Error::Redirect(status.as_u16()));
            }
            let said = answer.headers().get(CONTENT_TYPE).and_then(|t| t.to_str().ok()).unwrap_or_default();
            let is_json = said.split(';').next().is_some_and(|t| t.trim().eq_ignore_ascii_case("application/json"));
            if status == StatusCode::OK && !is_json {
                return Err(Error::NotJson);
            }
            let bytes = Limited::new(answer.into_body(), ANSWER_BYTES_MAX)
                .collect()
                .await
                .map_err(|e| if e.downcast_ref::<LengthLimitError>().is_some() { Error::TooLong } else { Error::CutOff })?;
            Ok((status, bytes.to_bytes()))
        };
        // The connection works while the answer is awaited, and is gone with it.
        let working = async {
            let _ = connection.await; // what went wrong with it, the answer says
            std::future::pending::<()>().await;
        };
        tokio::select! {
            answer = answer => answer,
            () = working => Err(Error::CutOff),
        }
    }
}

fn to_json(value: &impl serde::Serialize) -> Result<Vec<u8>, Error> {
    serde_json::to_vec(value).map_err(|_| Error::Form)
}

fn ok(status: StatusCode, answer: Bytes) -> Result<Bytes, Error> {
    if status == StatusCode::OK { Ok(answer) } else { Err(other_status(status)) }
}

fn other_status(status: StatusCode) -> Error {
    if status == StatusCode::ACCEPTED { Error::Later } else { Error::Status(status.as_u16()) }
}

fn json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Error> {
    serde_json::from_slice(bytes).map_err(|e| if e.is_data() { Error::Form } else { Error::NotJson })
}
