//! The HTTP around a witness: `POST /add-checkpoint`, and nothing else.

use crate::{Answer, Witness};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::{Method, Request, Response, StatusCode, body::Bytes, body::Incoming, header, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use ledger::witness::MAX_REQUEST_BYTES;
use std::{convert::Infallible, future::Future, io, sync::Arc, time::Duration};
use tokio::{net::TcpListener, sync::Semaphore};

/// Connections served at once; more wait.
pub const CONNECTIONS_MAX: usize = 64;
/// How long one connection may last, whatever it does.
pub const CONNECTION_MAX: Duration = Duration::from_secs(30);
/// How long what is in progress may go on after a stop.
const GRACE: Duration = Duration::from_secs(5);

/// Serves until `stop` completes; what is in progress then is finished.
///
/// # Errors
/// When the listener breaks; a single broken connection is only logged.
pub async fn serve(listener: TcpListener, witness: Arc<Witness>, stop: impl Future<Output = ()> + Send) -> io::Result<()> {
    let slots = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut http = hyper::server::conn::http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(Duration::from_secs(10));
    tokio::pin!(stop);
    loop {
        let slot = tokio::select! {
            slot = slots.clone().acquire_owned() => slot.map_err(io::Error::other)?,
            () = &mut stop => break,
        };
        let stream = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            },
            () = &mut stop => break,
        };
        let witness = witness.clone();
        let service = service_fn(move |request| answer(witness.clone(), request));
        let connection = http.serve_connection(TokioIo::new(stream), service);
        tokio::spawn(async move {
            let _slot = slot;
            match tokio::time::timeout(CONNECTION_MAX, connection).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::debug!(%error, "a connection ended early"),
                Err(_) => tracing::debug!("a connection lasted too long"),
            }
        });
    }
    drop(listener);
    // Every slot back means that every connection has ended.
    let all = u32::try_from(CONNECTIONS_MAX).unwrap_or(u32::MAX);
    let _ = tokio::time::timeout(GRACE, slots.acquire_many(all)).await;
    Ok(())
}

async fn answer(witness: Arc<Witness>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let answer = match (request.method(), request.uri().path()) {
        (&Method::POST, "/add-checkpoint") => asked(witness, request.into_body()).await,
        (_, "/add-checkpoint") => Answer::text(405, "only POST is answered here\n"),
        _ => Answer::text(404, "only /add-checkpoint is answered here\n"),
    };
    tracing::info!(status = answer.status, "answered");
    let mut response = Response::new(Full::new(Bytes::from(answer.body)));
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(answer.kind));
    Ok(response)
}

async fn asked(witness: Arc<Witness>, body: Incoming) -> Answer {
    let body = match Limited::new(body, MAX_REQUEST_BYTES).collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) if error.is::<LengthLimitError>() => {
            return Answer::text(413, format!("a request has at most {MAX_REQUEST_BYTES} bytes\n"));
        }
        Err(_) => return Answer::text(400, "the request ended early\n"),
    };
    let Ok(body) = String::from_utf8(body.to_vec()) else { return Answer::text(400, "the request is not UTF-8\n") };
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |d| d.as_secs());
    let judged = tokio::task::spawn_blocking(move || witness.add_checkpoint(&body, now)).await;
    judged.unwrap_or_else(|_| Answer::text(500, "the request could not be judged\n"))
}
