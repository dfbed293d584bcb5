//! Serving a router on a listener: bounded connections, bounded time for headers, and a stop that lets
//! requests in progress finish.

use crate::{
    envelope::Peer,
    limits::{CONNECTIONS_MAX, HEADER_MAX_S, SHUTDOWN_GRACE_S},
};
use axum::{Router, body::Body, http::Request};
use hyper::body::Incoming;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
    service::TowerToHyperService,
};
use std::{future::Future, io, sync::Arc, time::Duration};
use tokio::{net::TcpListener, sync::Semaphore};
use tower::ServiceExt;

/// Serves until `shutdown` completes, then finishes what is in progress (for at most
/// [`SHUTDOWN_GRACE_S`] seconds). HTTP/1.1; put a reverse proxy in front for TLS and HTTP/2.
///
/// # Errors
/// When the listener breaks; a single broken connection is only logged.
pub async fn serve(listener: TcpListener, router: Router, shutdown: impl Future<Output = ()> + Send) -> io::Result<()> {
    let slots = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let graceful = GracefulShutdown::new();
    let mut http = hyper::server::conn::http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(Duration::from_secs(HEADER_MAX_S));
    tokio::pin!(shutdown);
    loop {
        let slot = tokio::select! {
            slot = slots.clone().acquire_owned() => slot.map_err(io::Error::other)?,
            () = &mut shutdown => break,
        };
        let (stream, peer) = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok(pair) => pair,
                Err(e) if is_of_one_connection(&e) => continue,
                Err(e) => {
                    // Out of file descriptors, most likely: waiting a little lets some go.
                    tracing::error!(error = %e, "a connection could not be accepted");
                    tokio::time::sleep(Duration::from_millis(200)).await;
                    continue;
                }
            },
            () = &mut shutdown => break,
        };
        let service = router.clone().map_request(move |request: Request<Incoming>| {
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(Peer(peer));
            request
        });
        let connection = http.serve_connection(TokioIo::new(stream), TowerToHyperService::new(service));
        let watched = graceful.watch(connection);
        tokio::spawn(async move {
            let _slot = slot;
            if let Err(e) = watched.await {
                tracing::debug!(error = %e, "a connection ended early");
            }
        });
    }
    drop(listener);
    tracing::info!("stopping: no new connections; finishing what is in progress");
    if tokio::time::timeout(Duration::from_secs(SHUTDOWN_GRACE_S), graceful.shutdown()).await.is_err() {
        tracing::warn!("some requests were still in progress after {SHUTDOWN_GRACE_S} seconds and were cut off");
    }
    Ok(())
}

/// Completes when the process is asked to stop (Ctrl-C, or SIGTERM from a service manager).
///
/// # Errors
/// When the process cannot listen for signals.
pub async fn asked_to_stop() -> io::Result<()> {
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    tokio::select! {
        done = tokio::signal::ctrl_c() => done,
        _ = terminate.recv() => Ok(()),
    }
}

fn is_of_one_connection(e: &io::Error) -> bool {
    matches!(e.kind(), io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset)
}
