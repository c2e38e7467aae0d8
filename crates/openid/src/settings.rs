//! What the operator says about the provider, checked once at the start.

use std::net::IpAddr;

use domain::{Clock, SecretText};
use reqwest::Url;

use crate::error::{OpenIdError, quoted};

const DISCOVERY_PATH: &str = "/.well-known/openid-configuration";
/// Shorter secrets could be guessed from one cookie.
const COOKIE_SECRET_CHARACTERS: usize = 32;

/// What signs the cookie of a login and its completion code. The same on every replica.
#[derive(Clone, Debug)]
pub struct CookieSecrets {
    /// `OIDC_COOKIE_SECRET`: signs and verifies; at least 32 characters.
    pub current: SecretText,
    /// `OIDC_COOKIE_SECRET_PREVIOUS`: verifies only, while the secret is being changed.
    pub previous: Option<SecretText>,
}

/// Which claims say who somebody is. A name that is no claim is read as a path: `realm_access.roles`
/// is the member `roles` of the claim `realm_access`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimNames {
    /// `OIDC_CLAIM_SUB`: the claim that names the person for ever.
    pub subject: String,
    /// `OIDC_CLAIM_EMAIL`.
    pub email: String,
    /// `OIDC_CLAIM_DISPLAY_NAME`.
    pub display_name: String,
    /// `OIDC_CLAIM_GROUPS`: a list of texts, or one text. Without it nobody has groups.
    pub groups: Option<String>,
    /// `OIDC_CLAIM_TENANT`: one text.
    pub tenant: Option<String>,
    /// `OIDC_CLAIM_ROLE`: one text.
    pub role: Option<String>,
}

impl Default for ClaimNames {
    fn default() -> Self {
        Self { subject: "sub".into(), email: "email".into(), display_name: "name".into(), groups: None, tenant: None, role: None }
    }
}

/// Everything that a [`crate::Provider`] is made from.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `OIDC_DISCOVERY_URL`: the issuer, with or without `/.well-known/openid-configuration`.
    pub discovery_url: String,
    /// `OIDC_CLIENT_ID`.
    pub client_id: String,
    /// `OIDC_CLIENT_SECRET`; none for a public client, which PKCE alone protects.
    pub client_secret: Option<SecretText>,
    /// `OIDC_REDIRECT_URI`: our own callback as the browser reaches it.
    pub redirect_uri: String,
    /// `OIDC_SCOPES`, separated by spaces; `openid` must be among them.
    pub scopes: String,
    /// Whom bearer tokens must be made for. The client id when not given.
    pub audience: Option<String>,
    /// `OIDC_CLAIM_*`.
    pub claim_names: ClaimNames,
    /// `OIDC_COOKIE_SECRET` and its predecessor.
    pub cookie_secrets: CookieSecrets,
    /// Tells the time for tokens and caches.
    pub clock: Clock,
}

impl Settings {
    /// A public client with the usual scopes and claims; the remaining fields are for the caller to change.
    pub fn new(discovery_url: &str, client_id: &str, redirect_uri: &str, cookie_secret: SecretText, clock: Clock) -> Self {
        Self {
            discovery_url: discovery_url.to_owned(),
            client_id: client_id.to_owned(),
            client_secret: None,
            redirect_uri: redirect_uri.to_owned(),
            scopes: "openid profile email".to_owned(),
            audience: None,
            claim_names: ClaimNames::default(),
            cookie_secrets: CookieSecrets { current: cookie_secret, previous: None },
            clock,
        }
    }

    /// The issuer without a slash at its end; some providers have one there, others not.
    pub(crate) fn issuer_base(&self) -> &str {
        let url = self.discovery_url.trim();
        url.strip_suffix(DISCOVERY_PATH).unwrap_or(url).trim_end_matches('/')
    }

    pub(crate) fn discovery_address(&self) -> String {
        format!("{}{DISCOVERY_PATH}", self.issuer_base())
    }

    pub(crate) fn audience(&self) -> &str {
        self.audience.as_deref().unwrap_or(&self.client_id)
    }

    /// Refuses the first setting that cannot work.
    pub(crate) fn check(&self) -> Result<(), OpenIdError> {
        let refuse = |setting, problem: String| Err(OpenIdError::Setting { setting, problem });
        let discovery = self.discovery_address();
        if let Err(problem) = endpoint(&discovery, Plain::OnLoopback) {
            return refuse("OIDC_DISCOVERY_URL", problem);
        }
        if discovery.contains(['?', '#']) {
            return refuse("OIDC_DISCOVERY_URL", "must not have a query or a fragment".into());
        }
        if let Err(problem) = endpoint(&self.redirect_uri, Plain::OnLoopback) {
            return refuse("OIDC_REDIRECT_URI", problem);
        }
        if self.client_id.is_empty() {
            return refuse("OIDC_CLIENT_ID", "must not be empty".into());
        }
        if self.client_secret.as_ref().is_some_and(|secret| secret.reveal().is_empty()) {
            return refuse("OIDC_CLIENT_SECRET", "must not be empty; leave it out for a public client".into());
        }
        if !self.scopes.split_whitespace().any(|scope| scope == "openid") {
            return refuse("OIDC_SCOPES", format!("must contain openid, found {}", quoted(&self.scopes)));
        }
        let secrets = [
            ("OIDC_COOKIE_SECRET", Some(&self.cookie_secrets.current)),
            ("OIDC_COOKIE_SECRET_PREVIOUS", self.cookie_secrets.previous.as_ref()),
        ];
        for (setting, secret) in secrets {
            let characters = secret.map_or(COOKIE_SECRET_CHARACTERS, |secret| secret.reveal().chars().count());
            if characters < COOKIE_SECRET_CHARACTERS {
                return refuse(setting, format!("must have at least {COOKIE_SECRET_CHARACTERS} characters, found {characters}"));
            }
        }
        Ok(())
    }
}

/// Whether plain HTTP is good enough.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Plain {
    /// To our own machine only, where nobody listens in.
    OnLoopback,
    /// Not even there: the provider is elsewhere, and has no business on our machine.
    Never,
}

/// An address that secrets and keys may travel to and from.
pub(crate) fn endpoint(text: &str, plain: Plain) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| format!("is not a URL: {error} in {}", quoted(text)))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err("must not carry a user name or a password".into());
    }
    if url.fragment().is_some() {
        return Err("must not have a fragment".into());
    }
    match url.scheme() {
        "https" => Ok(url),
        "http" if plain == Plain::OnLoopback && is_loopback(&url) => Ok(url),
        _ => Err(format!("must use https (http only on this machine, 127.0.0.1), found {}", quoted(text))),
    }
}

/// Whether the address is this machine, whatever a name server says.
pub(crate) fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}
