//! The calls to the provider: few, short, bounded, counted, and never redirected.

use std::time::{Duration, Instant};

use reqwest::redirect::Policy;
use reqwest::{Client, RequestBuilder, StatusCode, Url};
use serde_json::Value;

use crate::error::OpenIdError;

/// For the connection, and for the whole call with its answer. A healthy provider takes under a second.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Of an answer. The largest real ones, key sets with certificate chains, have some 30 KiB.
const ANSWER_BYTES: usize = 256 * 1024;
const IDLE_CONNECTIONS: usize = 4;

/// What the provider is asked.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Call {
    Discovery,
    Keys,
    Token,
    UserInfo,
}

impl Call {
    /// The label of the metrics, and the word in the log.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Discovery => "discovery",
            Self::Keys => "keys",
            Self::Token => "token",
            Self::UserInfo => "userinfo",
        }
    }

    pub(crate) fn refused(self, reason: impl Into<String>) -> OpenIdError {
        OpenIdError::Answer { call: self.name(), reason: reason.into() }
    }
}

/// The HTTP client. Cloning shares its connections.
#[derive(Clone)]
pub(crate) struct Http(Client);

impl Http {
    pub(crate) fn new() -> Result<Self, OpenIdError> {
        let client = Client::builder()
            .user_agent(concat!("pulp-engine/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(TIMEOUT)
            .timeout(TIMEOUT)
            .redirect(Policy::none())
            .referer(false)
            // Not what the environment says: a proxy would be a setting of ours.
            .no_proxy()
            .no_gzip()
            .pool_max_idle_per_host(IDLE_CONNECTIONS)
            .build();
        // The one thing that can fail here is finding the certificates of the machine.
        client.map(Self).map_err(|error| {
            let problem = format!(
                "needs certificates to check the provider's (the package ca-certificates; or SSL_CERT_FILE): {}",
                described(&error)
            );
            OpenIdError::Setting { setting: "OIDC_DISCOVERY_URL", problem }
        })
    }

    pub(crate) async fn get(&self, call: Call, url: &Url, bearer: Option<&str>) -> Result<Value, OpenIdError> {
        let request = self.0.get(url.clone()).header("Accept", "application/json");
        let request = if let Some(token) = bearer { request.bearer_auth(token) } else { request };
        match send(call, request).await? {
            (StatusCode::OK, answer) => Ok(answer),
            (status, _) => Err(call.refused(format!("its status is {status}"))),
        }
    }

    /// Posts an encoded form. The status comes with the answer, as a refusal says why.
    pub(crate) async fn post(
        &self,
        call: Call,
        url: &Url,
        form: String,
        basic: Option<String>,
    ) -> Result<(StatusCode, Value), OpenIdError> {
        let request = self.0.post(url.clone()).header("Accept", "application/json");
        let request = request.header("Content-Type", "application/x-www-form-urlencoded").body(form);
        send(call, if let Some(basic) = basic { request.header("Authorization", basic) } else { request }).await
    }
}

async fn send(call: Call, request: RequestBuilder) -> Result<(StatusCode, Value), OpenIdError> {
    let since = Instant::now();
    let result = read(call, request).await;
    let outcome = match &result {
        Ok((StatusCode::OK, _)) => "ok",
        Ok(_) | Err((Outcome::Status, _)) => "status",
        Err((Outcome::Timeout, _)) => "timeout",
        Err((Outcome::Unreachable, _)) => "unreachable",
        Err((Outcome::TooLarge, _)) => "too_large",
        Err((Outcome::Malformed, _)) => "malformed",
    };
    metrics::counter!("pulp_openid_requests_total", "call" => call.name(), "outcome" => outcome).increment(1);
    metrics::histogram!("pulp_openid_request_seconds", "call" => call.name()).record(since.elapsed().as_secs_f64());
    result.map_err(|(_, error)| error)
}

enum Outcome {
    Status,
    Timeout,
    Unreachable,
    TooLarge,
    Malformed,
}

async fn read(call: Call, request: RequestBuilder) -> Result<(StatusCode, Value), (Outcome, OpenIdError)> {
    let away = |error: &reqwest::Error| {
        let outcome = if error.is_timeout() { Outcome::Timeout } else { Outcome::Unreachable };
        let reason = if error.is_timeout() { format!("nothing within {} s", TIMEOUT.as_secs()) } else { described(error) };
        (outcome, OpenIdError::Away { call: call.name(), reason })
    };
    let mut response = request.send().await.map_err(|error| away(&error))?;
    let status = response.status();
    if status.is_redirection() {
        return Err((Outcome::Status, call.refused(format!("its status is {status}, and redirects are not followed"))));
    }
    if status.is_server_error() {
        return Err((Outcome::Status, OpenIdError::Away { call: call.name(), reason: format!("its status is {status}") }));
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| away(&error))? {
        if body.len() + chunk.len() > ANSWER_BYTES {
            return Err((Outcome::TooLarge, call.refused(format!("it is larger than {ANSWER_BYTES} bytes"))));
        }
        body.extend_from_slice(&chunk);
    }
    match serde_json::from_slice(&body) {
        Ok(answer) => Ok((status, answer)),
        // What a refusal says is only for the log.
        Err(_) if status != StatusCode::OK => Ok((status, Value::Null)),
        Err(error) => Err((Outcome::Malformed, call.refused(format!("it is not JSON: {error}")))),
    }
}

/// The error with what caused it; reqwest's own text stops before the interesting part.
fn described(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
