//! Connections: accepted up to a bound, each with limits on how long a client may take, ended politely.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tower::ServiceBuilder;

use crate::clients::Peer;
use crate::progress::WriteProgress;
use crate::router;

/// How long a request's head may take, and how long a connection may idle between two: longer than the 60 s that
/// balancers usually keep one, so that they and not we end it.
const HEAD_TIMEOUT: Duration = Duration::from_secs(75);
/// How long a client may take no byte of its answer.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);
/// The pause after the system refused to accept, which it does without files to spare.
const PAUSE: Duration = Duration::from_millis(50);

/// Serves until `shutdown`; then lets requests under way end. At most `most` connections are open; more wait in the
/// system's queue.
pub(crate) async fn serve(listener: TcpListener, router: Router, most: usize, shutdown: CancellationToken) -> io::Result<()> {
    // Outside the router, because it decides which route is meant.
    let service = ServiceBuilder::new()
        .map_request(|request: Request<Incoming>| router::with_lower_case_encoding(router::without_trailing_slash(request.map(Body::new))))
        .service(router);
    let service = TowerToHyperService::new(service);
    let places = Arc::new(Semaphore::new(most.max(1)));
    let graceful = GracefulShutdown::new();
    loop {
        let accepted = tokio::select! {
            () = shutdown.cancelled() => break,
            accepted = accept(&listener, &places) => accepted,
        };
        let (stream, peer, place) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted; are there files to spare (ulimit -n)?");
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        metrics::gauge!("pulp_http_connections").set(f64::from(u32::try_from(most - places.available_permits()).unwrap_or(u32::MAX)));
        let mut builder = http1::Builder::new();
        builder.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT);
        let answers = service.clone();
        let answering = service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(peer);
            answers.call(request)
        });
        let connection = builder.serve_connection(TokioIo::new(WriteProgress::new(stream, WRITE_TIMEOUT)), answering);
        let watched = graceful.watch(connection);
        tokio::spawn(async move {
            // How a client ends its connection is its own affair.
            if let Err(error) = watched.await {
                tracing::debug!(%error, "a connection ended early");
            }
            drop(place);
        });
    }
    drop(listener);
    graceful.shutdown().await;
    Ok(())
}

async fn accept(listener: &TcpListener, places: &Arc<Semaphore>) -> io::Result<(TcpStream, Peer, OwnedSemaphorePermit)> {
    let place = Arc::clone(places).acquire_owned().await.map_err(io::Error::other)?;
    let (stream, address) = listener.accept().await?;
    // Answers are written whole: waiting to fill a packet only delays them.
    let _ = stream.set_nodelay(true);
    Ok((stream, Peer(address), place))
}
