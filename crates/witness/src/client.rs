//! Asking a witness.

use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{Request, Uri, body::Bytes, client::conn::http1, header};
use hyper_util::rt::TokioIo;
use ledger::witness::AddCheckpoint;
use std::time::Duration;
use tokio::net::TcpStream;

/// Longest answer read, in bytes: a hundred cosignatures.
pub const MAX_ANSWER_BYTES: usize = 32 * 1024;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The URL is not one that is asked.
    #[error("a witness's address is http://HOST[:PORT][/PREFIX]; put a proxy before one that needs more")]
    Url,
    /// No answer in time.
    #[error("the witness did not answer in time")]
    TimedOut,
    /// The connection failed.
    #[error("the witness could not be reached")]
    Unreachable,
    /// It answered what no witness answers.
    #[error("the witness's answer is not one of the protocol")]
    Answer,
}

/// What a witness said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// Signature lines; whose they are and whether they verify is for the caller to check.
    Cosigned(Vec<String>),
    /// The last checkpoint that it cosigned has this size.
    Conflict(u64),
    /// It refused, with this status.
    Refused(u16),
}

/// Host, port and path of a submission prefix.
///
/// # Errors
/// [`ClientError::Url`].
pub fn endpoint(url: &str) -> Result<(String, u16, String), ClientError> {
    let uri: Uri = url.parse().map_err(|_| ClientError::Url)?;
    let host = uri.host().filter(|h| !h.is_empty()).ok_or(ClientError::Url)?;
    if uri.scheme_str() != Some("http") || uri.query().is_some() || url.contains('@') {
        return Err(ClientError::Url);
    }
    let path = format!("{}/add-checkpoint", uri.path().trim_end_matches('/'));
    Ok((host.trim_matches(['[', ']']).to_owned(), uri.port_u16().unwrap_or(80), path))
}

/// Asks the witness at a submission prefix to cosign, waiting at most `timeout` for the whole of it.
///
/// # Errors
/// [`ClientError`].
pub async fn add_checkpoint(url: &str, request: &AddCheckpoint, timeout: Duration) -> Result<Said, ClientError> {
    let asked = tokio::time::timeout(timeout, ask(url, request)).await;
    asked.unwrap_or(Err(ClientError::TimedOut))
}

async fn ask(url: &str, request: &AddCheckpoint) -> Result<Said, ClientError> {
    let (host, port, path) = endpoint(url)?;
    let unreachable = |_| ClientError::Unreachable;
    let stream = TcpStream::connect((host.as_str(), port)).await.map_err(|_| ClientError::Unreachable)?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(unreachable)?;
    let driven = tokio::spawn(connection);
    let host = if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
    let request = Request::post(path)
        .header(header::HOST, host)
        .header(header::CONNECTION, "close")
        .body(Full::new(Bytes::from(request.to_body())))
        .map_err(|_| ClientError::Url)?;
    let answer = async {
        let response = sender.send_request(request).await.map_err(unreachable)?;
        let (head, body) = response.into_parts();
        let kind = head.headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default().to_owned();
        let body = Limited::new(body, MAX_ANSWER_BYTES).collect().await.map_err(|_| ClientError::Answer)?.to_bytes();
        let text = String::from_utf8(body.to_vec()).map_err(|_| ClientError::Answer)?;
        match head.status.as_u16() {
            200 => Ok(Said::Cosigned(text.lines().map(str::to_owned).collect())),
            // A 409 with another type would be some proxy's.
            409 if kind == "text/x.tlog.size" => {
                let size = text.strip_suffix('\n').ok_or(ClientError::Answer)?;
                let n: u64 = size.parse().map_err(|_| ClientError::Answer)?;
                if n.to_string() == size && n <= ledger::tree::MAX_SIZE { Ok(Said::Conflict(n)) } else { Err(ClientError::Answer) }
            }
            status => Ok(Said::Refused(status)),
        }
    }
    .await;
    driven.abort();
    answer
}
