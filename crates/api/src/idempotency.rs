//! `Idempotency-Key`: a request that is sent again is carried out once, and answered as it was the first time.
//!
//! The first request takes the key in the database, for a while that is renewed as long as it runs, and runs to its end also when
//! its caller is gone: a caller that lost the answer finds it. Whoever comes meanwhile waits for it. Renders that store nothing can
//! be repeated as they are, and ask nobody about their key.

use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, HttpBody as _};
use axum::extract::{Extension, FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use bytes::{Bytes, BytesMut};
use domain::idempotency_keys::KeyClaim;
use domain::ids::DocumentId;
use domain::{Actor, ErrorCode};
use futures_util::{FutureExt as _, StreamExt as _, stream};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use store::{AnswerBody, HeldLease, KeyOutcome, KeyedRequest, LeaseKind, STORED_ANSWER_BYTES, StoredAnswer, TenantStore};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use tracing::Instrument as _;
use uuid::Uuid;

use crate::Setup;
use crate::auth::Caller;
use crate::documents::DOCUMENT_ID;
use crate::error::ApiError;
use crate::incoming;
use crate::job_body::idempotency_key;
use crate::requests;

/// How long after the death of its server a key is free for the same request. It is renewed at a third of that.
const LEASE: Duration = Duration::from_secs(10);
/// How long a request waits for another one under its key: longer than the lease, so that whoever tries again after a death gets
/// through.
const PATIENCE: Duration = Duration::from_secs(12);
/// Pauses between two looks at a key that is taken: the first, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(20), Duration::from_millis(400));
/// Requests that wait for others at the same time; more are refused at once.
const MOST_WAITING: usize = 64;
/// How often keeping an answer is tried, and the pause between.
const KEEPING: (u32, Duration) = (3, Duration::from_millis(200));
/// Pieces of an answer between whoever makes it and whoever sends it.
const PIECES: usize = 8;
/// Headers that belong to what is asked for.
const CONDITIONS: [&str; 3] = ["if-match", "x-pulpengine-change-note", "x-pulp-engine-bucket"];

/// Says that an answer was given before.
pub(crate) const REPLAYED: (HeaderName, HeaderValue) = (HeaderName::from_static("idempotent-replayed"), HeaderValue::from_static("true"));

/// Those that wait for requests under the same key.
#[derive(Clone, Debug)]
pub struct Repeats {
    waiting: Arc<Semaphore>,
}

impl Default for Repeats {
    fn default() -> Self {
        Self { waiting: Arc::new(Semaphore::new(MOST_WAITING)) }
    }
}

/// What a request says about being sent again.
pub(crate) struct Attempt(Option<Given>);

struct Given {
    key: Result<String, ApiError>,
    about: Sha256,
}

impl<S: Send + Sync> FromRequestParts<S> for Attempt {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Infallible> {
        let Some(key) = idempotency_key(&parts.headers).map(|key| key.map(str::to_owned)).transpose() else { return Ok(Self(None)) };
        let mut about = Sha256::new();
        put(&mut about, parts.uri.path().as_bytes());
        put(&mut about, parts.uri.query().unwrap_or_default().as_bytes());
        for name in CONDITIONS {
            put(&mut about, parts.headers.get(name).map_or(&[], HeaderValue::as_bytes));
        }
        Ok(Self(Some(Given { key, about })))
    }
}

impl Attempt {
    /// The request under its key, `body` being the hash of what it brings; none where it has no key. Refuses a key that is none.
    pub(crate) fn of(self, caller: &Caller, body: impl FnOnce() -> [u8; 32]) -> Result<Option<KeyedRequest>, ApiError> {
        // A render token keeps nothing, and is one of many in the hands of people whom nobody tells apart.
        let Some(given) = self.0.filter(|_| caller.render_token.is_none()) else { return Ok(None) };
        let key = given.key?;
        let request_sha256 = given.about.chain_update(body()).finalize().into();
        Ok(Some(KeyedRequest { credential: credential_of(caller), key, request_sha256 }))
    }
}

/// Each part with its length, so that no two lists of parts look the same.
fn put(hash: &mut Sha256, part: &[u8]) {
    hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
    hash.update(part);
}

/// Several parts as one.
pub(crate) fn hash_of_parts<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in parts {
        put(&mut hash, part);
    }
    hash.finalize().into()
}

/// JSON by its value: the same object in another order is the same.
pub(crate) fn hash_of_json(body: &Value) -> [u8; 32] {
    let mut body = body.clone();
    body.sort_all_objects();
    Sha256::digest(body.to_string()).into()
}

/// Who calls, and what the credential is limited to: one that is narrowed does not get what it was given before.
fn credential_of(caller: &Caller) -> [u8; 32] {
    let listed = |words: Option<Vec<String>>| words.map_or_else(|| "all".to_owned(), |words| format!("these {}", words.join(" ")));
    let key = caller.api_key.as_ref().map(ToString::to_string).unwrap_or_default();
    let kind = format!("{:?}", caller.credential);
    let templates = listed(caller.templates.as_ref().map(|templates| templates.iter().map(ToString::to_string).collect()));
    let actions = listed(caller.actions.as_ref().map(|actions| actions.iter().map(ToString::to_string).collect()));
    let parts = [kind.as_str(), &*caller.actor.name, key.as_str(), caller.scope.as_str(), templates.as_str(), actions.as_str()];
    hash_of_parts(parts.map(str::as_bytes))
}

/// Carries a request with a JSON body, or none, out once.
pub(crate) async fn keyed(
    State(setup): State<Setup>,
    Extension(caller): Extension<Caller>,
    attempt: Attempt,
    request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    if attempt.0.is_none() {
        return Ok(next.run(request).await);
    }
    let (parts, body) = request.into_parts();
    let body = incoming::read(Request::from_parts(parts.clone(), body), setup.body_limit_bytes).await?;
    // What is no JSON is refused by whoever reads it; until then it is bytes.
    let hash = || serde_json::from_slice(&body).map_or_else(|_| Sha256::digest(&body).into(), |value| hash_of_json(&value));
    let named = attempt.of(&caller, hash)?;
    let request = Request::from_parts(parts, Body::from(body));
    let Some(named) = named else { return Ok(next.run(request).await) };
    let work = |caller: Caller| {
        let mut request = request;
        request.extensions_mut().insert(caller);
        next.run(request)
    };
    Ok(once(&setup, &caller, named, work).await)
}

/// Carries a request out, unless it was or is being carried out: then the answer is what it was. `work` is to act as the caller that
/// it is given, whose changes count only while the key is its own.
pub(crate) async fn once<F>(setup: &Setup, caller: &Caller, request: KeyedRequest, work: impl FnOnce(Caller) -> F) -> Response
where
    F: Future<Output = Response> + Send + 'static,
{
    let begun = begin(setup, caller, &request).await;
    let outcome = match &begun {
        Ok(Begun::First(_)) => "first",
        Ok(Begun::Before(answer)) if answer.body != AnswerBody::NotKept => "replayed",
        Ok(Begun::Before(_)) => "unavailable",
        Err(refusal) if refusal.code() == ErrorCode::IdempotencyKeyReused => "reused",
        Err(refusal) if refusal.code() == ErrorCode::IdempotencyKeyInUse => "in_use",
        Err(_) => "failed",
    };
    metrics::counter!("pulp_engine_keyed_requests_total", "outcome" => outcome).increment(1);
    let answer = match begun {
        Ok(Begun::First(claim)) => {
            let actor = Actor { claim: Some(Arc::new(claim.clone())), ..caller.actor.clone() };
            let work = work(Caller { actor, ..caller.clone() });
            Ok(first(setup, caller, claim, work).await)
        }
        Ok(Begun::Before(answer)) => again(setup, caller, answer).await,
        Err(refusal) => Err(refusal),
    };
    answer.into_response()
}

enum Begun {
    First(KeyClaim),
    Before(StoredAnswer),
}

async fn begin(setup: &Setup, caller: &Caller, request: &KeyedRequest) -> Result<Begun, ApiError> {
    let tenant = setup.store.tenant(caller.tenant.clone());
    let (mut pause, deadline) = (PAUSES.0, Instant::now() + PATIENCE);
    let mut place = None;
    loop {
        match tenant.idempotency_keys().claim(request, caller.actor.request_id, LEASE).await? {
            KeyOutcome::Claimed(claim) => return Ok(Begun::First(claim)),
            KeyOutcome::Answered(answer) => return Ok(Begun::Before(answer)),
            KeyOutcome::Reused => {
                let said = "something else was asked for under this Idempotency-Key; use another key for another request";
                return Err(ApiError::new(ErrorCode::IdempotencyKeyReused, said));
            }
            KeyOutcome::InUse => {}
        }
        place = place.or_else(|| setup.repeats.waiting.try_acquire().ok());
        if place.is_none() || Instant::now() >= deadline {
            let said = "a request under this Idempotency-Key is still under way; send it again in a moment to get its answer";
            return Err(ApiError::new(ErrorCode::IdempotencyKeyInUse, said).retry_after(2));
        }
        sleep(pause).await;
        pause = (pause * 2).min(PAUSES.1);
    }
}

/// Carries it out apart from the connection: a caller that goes away does not stop it halfway.
async fn first(setup: &Setup, caller: &Caller, claim: KeyClaim, work: impl Future<Output = Response> + Send + 'static) -> Response {
    let (answer, answered) = oneshot::channel();
    let tenant = setup.store.tenant(caller.tenant.clone());
    let first = First { tenant, claim, _holding: setup.store.holding(LeaseKind::IdempotencyKey) };
    tokio::spawn(requests::carried(first.run(work, answer)).in_current_span());
    let lost = |_| ApiError::new(ErrorCode::InternalError, "something is broken on our side").into_response();
    answered.await.unwrap_or_else(lost)
}

/// Whoever carries a request out.
struct First {
    tenant: TenantStore,
    claim: KeyClaim,
    _holding: HeldLease,
}

impl First {
    async fn run(self, work: impl Future<Output = Response> + Send, answer: oneshot::Sender<Response>) {
        let mut renewing = JoinSet::new();
        renewing.spawn(renew(self.tenant.clone(), self.claim.clone()));
        let Ok(response) = AssertUnwindSafe(work).catch_unwind().await else {
            // The sender is dropped: its receiver says so.
            return self.let_go(StatusCode::INTERNAL_SERVER_ERROR).await;
        };
        if !is_final(&response) {
            self.let_go(response.status()).await;
            let _ = answer.send(response);
            return;
        }
        let document = document_of(&response);
        let (parts, body) = response.into_parts();
        let told = |body: AnswerBody| StoredAnswer { status: parts.status.as_u16(), headers: written(&parts.headers), body };
        if let Some(id) = document {
            self.keep(&told(AnswerBody::Document(id))).await;
            let _ = answer.send(Response::from_parts(parts, body));
            return;
        }
        if body.size_hint().exact().is_some() {
            // It is in memory already.
            let Ok(bytes) = axum::body::to_bytes(body, usize::MAX).await else { return };
            self.keep(&told(within_bounds(&bytes))).await;
            let _ = answer.send(Response::from_parts(parts, Body::from(bytes)));
            return;
        }
        let (pieces, sent) = mpsc::channel(PIECES);
        let sent = Body::from_stream(stream::unfold(sent, async |mut sent| sent.recv().await.map(|piece| (piece, sent))));
        let mut streamed = Response::new(sent);
        (*streamed.status_mut(), *streamed.headers_mut()) = (parts.status, parts.headers.clone());
        let _ = answer.send(streamed);
        let kept = pass_on(body, &pieces).await;
        self.keep(&told(kept)).await;
    }

    async fn keep(&self, answer: &StoredAnswer) {
        for attempt in 1..=KEEPING.0 {
            match self.tenant.idempotency_keys().answer(&self.claim, answer).await {
                Ok(true) => return,
                Ok(false) => return tracing::warn!("an idempotency key was lost to another request while this one ran"),
                Err(error) => {
                    let error = &error as &dyn std::error::Error;
                    tracing::warn!(error, attempt, "the answer to a request with a key was not kept");
                }
            }
            sleep(KEEPING.1).await;
        }
    }

    /// Nothing was done where it was refused; where it failed, the database may have heard of it.
    async fn let_go(&self, status: StatusCode) {
        let keys = self.tenant.idempotency_keys();
        let free = if status.is_server_error() { keys.give_up(&self.claim).await } else { keys.release(&self.claim).await };
        if let Err(error) = free {
            tracing::warn!(error = &error as &dyn std::error::Error, "an idempotency key was not let go of; its lease ends by itself");
        }
    }
}

/// Keeps the key for as long as that works; dropped when the work has ended.
async fn renew(tenant: TenantStore, claim: KeyClaim) {
    loop {
        sleep(LEASE / 3).await;
        match tenant.idempotency_keys().renew(&claim, LEASE).await {
            Ok(true) => {}
            Ok(false) => return,
            Err(error) => tracing::warn!(error = &error as &dyn std::error::Error, "an idempotency key could not be renewed"),
        }
    }
}

/// Passes an answer on piece by piece, to its end also when nobody listens any more; gives what is kept of it.
async fn pass_on(body: Body, pieces: &mpsc::Sender<Result<Bytes, axum::Error>>) -> AnswerBody {
    let mut kept = Some(BytesMut::new());
    let mut body = body.into_data_stream();
    while let Some(piece) = body.next().await {
        match &piece {
            Ok(piece) => {
                kept = kept.filter(|kept| kept.len() + piece.len() <= STORED_ANSWER_BYTES).map(|mut kept| {
                    kept.extend_from_slice(piece);
                    kept
                });
            }
            Err(_) => kept = None,
        }
        let _ = pieces.send(piece).await;
    }
    kept.map_or(AnswerBody::NotKept, |kept| AnswerBody::Bytes(kept.to_vec()))
}

fn within_bounds(bytes: &Bytes) -> AnswerBody {
    if bytes.len() <= STORED_ANSWER_BYTES { AnswerBody::Bytes(bytes.to_vec()) } else { AnswerBody::NotKept }
}

/// Whether the same request would be answered so again. What is our fault or passes by itself is tried anew.
fn is_final(response: &Response) -> bool {
    let status = response.status();
    let passes = status.is_server_error() || status == StatusCode::REQUEST_TIMEOUT || status == StatusCode::TOO_MANY_REQUESTS;
    !passes && (status.is_success() || !response.headers().contains_key(header::RETRY_AFTER))
}

/// The stored document that the body of an answer is.
fn document_of(response: &Response) -> Option<DocumentId> {
    let is_the_document = response.status() == StatusCode::OK && response.headers().contains_key(header::CONTENT_DISPOSITION);
    response.headers().get(DOCUMENT_ID).filter(|_| is_the_document)?.to_str().ok()?.parse::<Uuid>().ok().map(DocumentId::from)
}

fn written(headers: &HeaderMap) -> String {
    let kept = headers.iter().filter(|(name, _)| *name != header::CONTENT_LENGTH);
    let pairs = kept.filter_map(|(name, value)| Some(Value::from(vec![name.as_str(), value.to_str().ok()?])));
    Value::Array(pairs.collect()).to_string()
}

fn read(headers: &str) -> HeaderMap {
    let pairs: Vec<(String, String)> = serde_json::from_str(headers).unwrap_or_default();
    pairs.into_iter().filter_map(|(name, value)| Some((name.parse::<HeaderName>().ok()?, value.parse().ok()?))).collect()
}

/// The answer of before.
async fn again(setup: &Setup, caller: &Caller, answer: StoredAnswer) -> Result<Response, ApiError> {
    let mut response = match answer.body {
        AnswerBody::Bytes(bytes) => Response::new(Body::from(bytes)),
        AnswerBody::Document(id) => {
            let content = setup.renderer.documents().content_of(&caller.tenant, id).await?;
            let content = content.ok_or_else(|| unavailable("the document that it led to was removed"))?;
            let length = content.length_bytes();
            let mut response = Response::new(Body::from_stream(Box::pin(content)));
            response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(length));
            response
        }
        AnswerBody::NotKept => return Err(unavailable("its answer was too large to be kept, or was lost with the server that made it")),
    };
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::OK);
    response.headers_mut().extend(read(&answer.headers));
    response.headers_mut().insert(REPLAYED.0, REPLAYED.1);
    Ok(response)
}

fn unavailable(why: &str) -> ApiError {
    let said = format!(
        "the request under this Idempotency-Key was carried out, but {why}; look at what there is before sending it under another key"
    );
    ApiError::new(ErrorCode::IdempotencyReplayUnavailable, said)
}
