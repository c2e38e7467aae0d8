//! A login under way: what the browser carries to the provider and back, and where it goes afterwards.

use domain::Clock;
use jiff::{SignedDuration, Timestamp};
use reqwest::Url;
use serde::{Deserialize, Serialize};

use crate::error::OpenIdError;
use crate::seal::{Purpose, Sealer, Sealers, equal, random, sha256};

/// The name of the cookie that keeps a login together.
pub const COOKIE_NAME: &str = "pulp_oidc";
/// Where the cookie is sent: all paths of the login begin with it.
const COOKIE_PATH: &str = "/auth";
/// Within which a person must have logged in at the provider.
const MINUTES: i64 = 10;
const RETURN_TO_BYTES: usize = 1024;

/// A login that began: send the browser to the address, with the cookie.
#[derive(Clone, Debug)]
pub struct Begun {
    /// Where the browser goes (302 or 303).
    pub authorization_url: String,
    /// What it must carry.
    pub state: FlowState,
}

/// The cookie of one login, good for 10 minutes. It holds a random number from which the server alone derives state, nonce and
/// PKCE verifier, so that none of them can be read from it.
#[derive(Clone)]
pub struct FlowState {
    sealed: String,
    secure: bool,
}

impl std::fmt::Debug for FlowState {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("FlowState")
    }
}

impl FlowState {
    /// The value alone.
    pub fn cookie_value(&self) -> &str {
        &self.sealed
    }

    /// The whole `Set-Cookie` header: HttpOnly, SameSite=Lax, for `/auth`, for 10 minutes, and Secure when the callback uses https.
    pub fn set_cookie(&self) -> String {
        cookie(&self.sealed, MINUTES * 60, self.secure)
    }
}

/// A `Set-Cookie` header with these attributes.
pub(crate) fn cookie(value: &str, max_age_s: i64, secure: bool) -> String {
    let secure = if secure { "; Secure" } else { "" };
    format!("{COOKIE_NAME}={value}; Path={COOKIE_PATH}; Max-Age={max_age_s}; HttpOnly; SameSite=Lax{secure}")
}

/// The value of the login's cookie in a `Cookie` header.
pub fn flow_cookie(header: &str) -> Option<&str> {
    header.split(';').filter_map(|pair| pair.trim().split_once('=')).find(|(name, _)| *name == COOKIE_NAME).map(|(_, value)| value)
}

#[derive(Serialize, Deserialize)]
struct Sealed {
    #[serde(rename = "i")]
    id: String,
    #[serde(rename = "t")]
    begun_at_ms: i64,
    #[serde(rename = "r", default, skip_serializing_if = "Option::is_none")]
    return_to: Option<String>,
}

/// The secrets of one login, derived anew from its cookie.
pub(crate) struct Flow {
    pub(crate) state: String,
    pub(crate) nonce: String,
    pub(crate) pkce_verifier: String,
    pub(crate) return_to: Option<String>,
}

impl Flow {
    /// A new one, and the value of its cookie.
    pub(crate) fn begin(sealers: &Sealers, clock: &Clock, return_to: Option<&str>) -> Result<(Self, String), OpenIdError> {
        let return_to = return_to.map(local_path).transpose()?;
        let sealed = Sealed { id: random()?, begun_at_ms: clock.now().as_millisecond(), return_to };
        let cookie = sealers.current.seal(Purpose::Flow, &sealed).map_err(|error| OpenIdError::flow(error.to_string()))?;
        Ok((Self::derive(sealed, &sealers.current), cookie))
    }

    /// The one of that cookie, if it is ours and not older than 10 minutes.
    pub(crate) fn open(sealers: &Sealers, clock: &Clock, cookie: &str) -> Result<Self, OpenIdError> {
        let opened: Option<(Sealed, &Sealer)> = sealers.open(Purpose::Flow, cookie);
        let (content, sealer) = opened.ok_or_else(|| OpenIdError::flow("the cookie is missing or was not made with our secret"))?;
        let begun_at = Timestamp::from_millisecond(content.begun_at_ms).map_err(|error| OpenIdError::flow(error.to_string()))?;
        let age = clock.now().duration_since(begun_at);
        if age > SignedDuration::from_mins(MINUTES) || age < SignedDuration::from_mins(-1) {
            return Err(OpenIdError::flow(format!("it began {} s ago, within {MINUTES} minutes it must end", age.as_secs())));
        }
        Ok(Self::derive(content, sealer))
    }

    fn derive(content: Sealed, sealer: &Sealer) -> Self {
        let secret = |purpose| sealer.derive(purpose, &content.id);
        let (state, nonce, pkce_verifier) = (secret(Purpose::State), secret(Purpose::Nonce), secret(Purpose::PkceVerifier));
        Self { state, nonce, pkce_verifier, return_to: content.return_to }
    }

    pub(crate) fn check_state(&self, state: &str) -> Result<(), OpenIdError> {
        if equal(&self.state, state) { Ok(()) } else { Err(OpenIdError::flow("the state is not that of this browser's login")) }
    }

    pub(crate) fn authorization_url(&self, endpoint: &Url, client_id: &str, redirect_uri: &str, scopes: &str) -> String {
        let mut url = endpoint.clone();
        url.query_pairs_mut()
            .append_pair("response_type", "code")
            .append_pair("client_id", client_id)
            .append_pair("redirect_uri", redirect_uri)
            .append_pair("scope", scopes)
            .append_pair("state", &self.state)
            .append_pair("nonce", &self.nonce)
            .append_pair("code_challenge", &sha256(&self.pkce_verifier))
            .append_pair("code_challenge_method", "S256");
        url.into()
    }

    pub(crate) fn into_state(cookie: String, redirect_uri: &str) -> FlowState {
        FlowState { sealed: cookie, secure: redirect_uri.starts_with("https:") }
    }
}

/// A path on this server and nothing that a browser could take for another one.
fn local_path(text: &str) -> Result<String, OpenIdError> {
    let refuse = |problem: &str| Err(OpenIdError::flow(format!("the path to return to {problem}")));
    if text.len() > RETURN_TO_BYTES {
        return refuse("is longer than 1024 bytes");
    }
    if !text.starts_with('/') || text.contains("//") {
        return refuse("does not begin with one slash, or has two together");
    }
    // Browsers read a backslash as a slash and skip tabs and line breaks.
    if text.contains('\\') || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return refuse("has a backslash, or characters that must be percent-encoded");
    }
    Ok(text.to_owned())
}
