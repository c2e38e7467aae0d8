//! Connections: accepted up to a bound, each with limits on how long a client may take, ended politely.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use hyper::body::{Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tower::ServiceBuilder;

use crate::Readiness;
use crate::clients::Peer;
use crate::error::{ApiError, raw_answer};
use crate::head_scan;
use crate::places::{Activity, Full, Place, Places};
use crate::progress::{Patience, Progress};
use crate::requests;
use crate::router;

/// How long a client may take for what.
const PATIENCE: Patience = Patience { head: Duration::from_secs(10), write: Duration::from_secs(30) };
/// How long a connection may idle: longer than the 60 s that balancers usually keep one, so that they and not we end it.
const IDLE: Duration = Duration::from_secs(75);
/// Bytes of a request's head, its first line included.
const HEAD_BYTES: usize = 32 * 1024;
/// The pause after the system refused to accept, which it does without files to spare.
const PAUSE: Duration = Duration::from_millis(50);
/// Connections that are told at the same time that there is no place; more are closed without a word.
const REFUSALS: usize = 64;
/// How long they have to take it.
const REFUSAL_TIMEOUT: Duration = Duration::from_millis(500);
/// When it is worth to come back.
const RETRY_AFTER_S: u64 = 5;

type Answers = TowerToHyperService<tower::util::MapRequest<Router, fn(Request<Incoming>) -> Request>>;

/// Serves until `shutdown`; then lets requests under way end. While `readiness` is off each answer is the last one of its connection.
pub(crate) async fn serve(
    listener: TcpListener,
    router: Router,
    places: Places,
    readiness: Readiness,
    shutdown: CancellationToken,
) -> io::Result<()> {
    // Outside the router, because it decides which route is meant.
    let service = ServiceBuilder::new().map_request(prepared as fn(Request<Incoming>) -> Request).service(router);
    let service = TowerToHyperService::new(service);
    let refusals = Arc::new(Semaphore::new(REFUSALS));
    let graceful = GracefulShutdown::new();
    loop {
        let accepted = tokio::select! {
            () = shutdown.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        let (stream, address) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted; are there files to spare (ulimit -n)?");
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        // Answers are written whole: waiting to fill a packet only delays them.
        let _ = stream.set_nodelay(true);
        match places.take(address.ip()) {
            Ok(place) => answer(stream, Peer(address), place, &service, &readiness, &graceful),
            Err(full) => refuse(stream, full, &refusals),
        }
    }
    drop(listener);
    graceful.shutdown().await;
    Ok(())
}

fn prepared(request: Request<Incoming>) -> Request {
    router::with_lower_case_encoding(router::without_trailing_slash(request.map(Body::new)))
}

/// Answers what comes on this connection, until it ends.
fn answer(stream: TcpStream, peer: Peer, place: Place, service: &Answers, readiness: &Readiness, graceful: &GracefulShutdown) {
    let activity = Arc::clone(&place.activity);
    let mut builder = http1::Builder::new();
    // How long a head may take is counted from its first byte, by the stream.
    builder.timer(TokioTimer::new()).header_read_timeout(None).max_header_size(HEAD_BYTES).max_buf_size(4 * HEAD_BYTES);
    let answers = service.clone();
    let seen = Arc::clone(&activity);
    let readiness = readiness.clone();
    let answering = service_fn(move |mut request: Request<Incoming>| {
        let turn = Turn::begin(&seen, &request);
        let answer = if turn.is_ambiguous {
            Err(ambiguous())
        } else {
            request.extensions_mut().insert(peer);
            Ok(answers.call(request))
        };
        let readiness = readiness.clone();
        async move {
            let mut response = match answer {
                Ok(answer) => answer.await?,
                Err(refusal) => refusal,
            };
            if !readiness.is_on() {
                // A connection that is kept would break when the listener closes, perhaps under a request.
                response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            Ok::<_, std::convert::Infallible>(response.map(|body| Answer { body, _turn: turn }))
        }
    });
    let stream = Progress::new(stream, PATIENCE, Arc::clone(&activity));
    let watched = graceful.watch(builder.serve_connection(TokioIo::new(stream), answering));
    tokio::spawn(async move {
        tokio::select! {
            // How a client ends its connection is its own affair.
            ended = watched => if let Err(error) = ended {
                tracing::debug!(%error, "a connection ended early");
            },
            () = activity.evicted.notified() => {}
            () = activity.idles_for(IDLE) => {}
        }
        drop(place);
    });
}

/// Tells a client for which there is no place to come back, if there is time for it.
fn refuse(mut stream: TcpStream, full: Full, refusals: &Arc<Semaphore>) {
    let (reason, said) = match full {
        Full::Server => ("server", "as many connections are open as this server has places for; try again in a moment"),
        Full::Network => ("network", "your address has as many connections open as it may have here; use them, or close some"),
    };
    metrics::counter!("pulp_http_connections_refused_total", "reason" => reason).increment(1);
    let Ok(turn) = Arc::clone(refusals).try_acquire_owned() else { return };
    tokio::spawn(async move {
        let told = async {
            stream.write_all(&raw_answer(StatusCode::SERVICE_UNAVAILABLE, said, Some(RETRY_AFTER_S))).await?;
            stream.shutdown().await?;
            // What nobody reads would take the answer away from the client.
            let mut room = [0; 4096];
            while stream.read(&mut room).await? > 0 {}
            io::Result::Ok(())
        };
        let _ = tokio::time::timeout(REFUSAL_TIMEOUT, told).await;
        drop(turn);
    });
}

/// One request on a connection, from its head to the end of its answer.
struct Turn {
    activity: Arc<Activity>,
    is_ambiguous: bool,
}

impl Turn {
    fn begin(activity: &Arc<Activity>, request: &Request<Incoming>) -> Self {
        let head = activity.request_begins();
        // Who stands in front may have gone by the other statement, and taken the next request for a part of this body.
        let is_ambiguous =
            request.headers().contains_key(header::TRANSFER_ENCODING) && head & (head_scan::WHOLE | head_scan::LENGTH) != head_scan::WHOLE;
        Self { activity: Arc::clone(activity), is_ambiguous }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.activity.request_ends();
    }
}

/// The refusal of a request whose end two readers can see in two places. Nothing more is read on its connection.
fn ambiguous() -> Response {
    metrics::counter!("pulp_engine_refusals_total", "reason" => "ambiguous_length").increment(1);
    let said =
        "the request has both Content-Length and Transfer-Encoding, or was sent before the answer to the one before; send one of them";
    let mut response = requests::named(|| ApiError::bad_request(said).into_response());
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}

/// The body of an answer. The connection is idle when it has been handed over.
struct Answer {
    body: Body,
    _turn: Turn,
}

impl hyper::body::Body for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
