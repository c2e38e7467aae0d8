//! The client: one for the whole process, so that connections are used again.

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use domain::outbound::{OutboundPolicy, OutboundRefusal, OutboundUrl, check_url};
use jiff::fmt::rfc2822;
use reqwest::header::{CONTENT_TYPE, DATE, LOCATION, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::tls::Certificate;
use reqwest::{Client, RequestBuilder, Response};
use tokio::time::timeout;

use crate::call::{Answer, Call, Method, TooLong};
use crate::error::OutboundError;
use crate::resolver::{Judge, Lookup};

/// For the connection and the handshake. A receiver far away needs less than one.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// A connection that nobody used for so long is closed.
const IDLE: Duration = Duration::from_secs(30);
const IDLE_CONNECTIONS: usize = 2;
/// Nobody is left alone for longer, whatever is asked for; whoever calls may have a shorter bound.
const LONGEST_RETRY_AFTER: Duration = Duration::from_hours(24);

/// What may be called, and who is trusted there.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// What may be called.
    pub policy: OutboundPolicy,
    /// Certificates, as PEM, that are trusted beside those of the machine.
    pub more_certificates: Vec<u8>,
    /// How names become addresses.
    pub lookup: Lookup,
}

/// The one way to addresses that somebody else named. Cloning shares its connections.
#[derive(Clone)]
pub struct Outbound {
    judge: Arc<Judge>,
    /// Or why there is none, which every call then says.
    client: Result<Client, Arc<str>>,
}

impl Outbound {
    /// Prepares the client. That the machine has no certificates stops nothing but the calls.
    pub fn new(options: Options) -> Result<Self, OutboundError> {
        let unreadable =
            |error: reqwest::Error| OutboundError::Unreachable(format!("the certificates cannot be read: {}", described(error)));
        let more = Certificate::from_pem_bundle(&options.more_certificates).map_err(unreadable)?;
        if more.is_empty() && !options.more_certificates.is_empty() {
            return Err(OutboundError::Unreachable(
                "the certificates cannot be read: there is none between BEGIN and END lines".to_owned(),
            ));
        }
        let judge = Arc::new(Judge { policy: Arc::new(options.policy), lookup: options.lookup });
        let client: Result<Client, Arc<str>> = Client::builder()
            .user_agent(concat!("pulp-engine/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT_TIMEOUT)
            .redirect(Policy::none())
            .referer(false)
            // Not what the environment says: it would connect where nobody judged.
            .no_proxy()
            .no_gzip()
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(IDLE_CONNECTIONS)
            .tls_certs_merge(more)
            .dns_resolver(Arc::clone(&judge))
            .build()
            .map_err(|error| described(error).into());
        if let Err(reason) = &client {
            tracing::warn!(
                reason = &**reason,
                "calls outside are not possible (the package ca-certificates, or SSL_CERT_FILE, may be missing)"
            );
        }
        Ok(Self { judge, client })
    }

    /// Whether a URL may be called, as far as it tells by itself.
    pub fn check(&self, url: &str) -> Result<OutboundUrl, OutboundRefusal> {
        check_url(url, &self.judge.policy)
    }

    /// Whether a URL may be called, by what its name leads to now. That it leads nowhere now is no refusal.
    pub async fn judge(&self, url: &str) -> Result<(), OutboundError> {
        let url = self.check(url).map_err(refused)?;
        match self.judge.addresses(url.host()).await {
            Err(refusal @ OutboundError::Refused(_)) => Err(refusal),
            _ => Ok(()),
        }
    }

    /// Makes one call, once.
    pub async fn send(&self, call: Call<'_>) -> Result<Answer, OutboundError> {
        let since = Instant::now();
        let result = timeout(call.timeout, self.attempt(call)).await.unwrap_or(Err(OutboundError::TimedOut { after: call.timeout }));
        let outcome = match &result {
            Ok(answer) if answer.is_success() => "ok",
            Ok(_) => "status",
            Err(error) => error.label(),
        };
        metrics::counter!("pulp_outbound_requests_total", "purpose" => call.purpose, "outcome" => outcome).increment(1);
        metrics::histogram!("pulp_outbound_request_seconds", "purpose" => call.purpose).record(since.elapsed().as_secs_f64());
        result
    }

    async fn attempt(&self, call: Call<'_>) -> Result<Answer, OutboundError> {
        let url = self.check(call.url).map_err(refused)?;
        // An address in the URL is never resolved, so it is judged here; a name is judged where it is resolved.
        let client = self.client.as_ref().map_err(|reason| OutboundError::Unreachable(reason.to_string()))?;
        let request = match call.method {
            Method::Get => client.get(url.as_str()),
            Method::Post => client.post(url.as_str()),
        };
        let request = call.headers.iter().fold(request, |request, (name, value)| request.header(*name, value));
        let request = if let Some(body) = call.body { request.body(body.to_vec()) } else { request };
        let since = Instant::now();
        let response = start(request, call.timeout).await?;
        let status = response.status();
        if status.is_redirection() {
            let to = text(&response, LOCATION).unwrap_or_default();
            let to = to.split(['?', '#']).next().unwrap_or_default().chars().take(200).collect();
            return Err(OutboundError::Redirected { status: status.as_u16(), to });
        }
        let retry_after = text(&response, RETRY_AFTER).and_then(|after| retry_after(&after, text(&response, DATE).as_deref()));
        let content_type = text(&response, CONTENT_TYPE);
        let left = call.timeout.saturating_sub(since.elapsed());
        let body = match timeout(left, read(response, call)).await {
            Ok(body) => body?,
            Err(_) if call.too_long == TooLong::Cut => Vec::new(),
            Err(_) => return Err(OutboundError::TimedOut { after: call.timeout }),
        };
        Ok(Answer { status: status.as_u16(), retry_after, content_type, body })
    }
}

async fn start(request: RequestBuilder, limit: Duration) -> Result<Response, OutboundError> {
    request.send().await.map_err(|error| failure(error, limit))
}

async fn read(mut response: Response, call: Call<'_>) -> Result<Vec<u8>, OutboundError> {
    let mut body = Vec::new();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) if body.len() + chunk.len() > call.answer_bytes => {
                if call.too_long == TooLong::Fails {
                    return Err(OutboundError::TooLong { limit_bytes: call.answer_bytes });
                }
                body.extend_from_slice(&chunk[..call.answer_bytes - body.len()]);
                return Ok(body);
            }
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            Ok(None) => return Ok(body),
            Err(_) if call.too_long == TooLong::Cut => return Ok(body),
            Err(error) => return Err(failure(error, call.timeout)),
        }
    }
}

/// Seconds, or a moment by the clock of whoever says it: how far that is away says the `Date` beside it. Without one nobody knows.
fn retry_after(after: &str, date: Option<&str>) -> Option<Duration> {
    if let Ok(seconds) = after.trim().parse() {
        return Some(Duration::from_secs(seconds).min(LONGEST_RETRY_AFTER));
    }
    let moment = |text: &str| rfc2822::parse(text.trim()).ok().map(|zoned| zoned.timestamp());
    let away = moment(after)?.duration_since(moment(date?)?);
    Some(Duration::try_from(away).unwrap_or_default().min(LONGEST_RETRY_AFTER))
}

fn text(response: &Response, name: reqwest::header::HeaderName) -> Option<String> {
    response.headers().get(name)?.to_str().ok().map(str::to_owned)
}

fn refused(refusal: OutboundRefusal) -> OutboundError {
    OutboundError::Refused(refusal.into())
}

fn failure(error: reqwest::Error, limit: Duration) -> OutboundError {
    let mut cause: Option<&(dyn Error + 'static)> = Some(&error);
    while let Some(found) = cause {
        // Our own resolver's, wrapped by the client.
        match found.downcast_ref::<OutboundError>() {
            Some(OutboundError::Refused(reason)) => return OutboundError::Refused(reason.clone()),
            Some(OutboundError::TimedOut { after }) => return OutboundError::TimedOut { after: *after },
            _ => cause = found.source(),
        }
    }
    if error.is_timeout() {
        return OutboundError::TimedOut { after: if error.is_connect() { CONNECT_TIMEOUT } else { limit } };
    }
    OutboundError::Unreachable(described(error))
}

/// The innermost causes; reqwest's own text is the URL, which may hold secrets.
fn described(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = String::new();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = error.to_string();
        cause = error.source();
    }
    if text.is_empty() { error.to_string() } else { text }
}

impl fmt::Debug for Outbound {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Outbound").field("policy", &self.judge.policy).finish_non_exhaustive()
    }
}
