//! What the provider says about itself: its exact name and where to ask.

use jiff::SignedDuration;
use reqwest::Url;
use serde_json::Value;

use crate::cache::Ages;
use crate::error::{OpenIdError, quoted};
use crate::http::{Call, Http};
use crate::settings::{Plain, Settings, endpoint, is_loopback};

/// Endpoints hardly ever move; a provider that is away is asked again soon, as people wait to log in.
pub(crate) const AGES: Ages =
    Ages { fresh: SignedDuration::from_hours(1), usable: SignedDuration::from_hours(1), pause: SignedDuration::from_secs(2) };

/// The discovery document, as far as it is used.
#[derive(Clone, Debug)]
pub(crate) struct Metadata {
    pub(crate) issuer: String,
    pub(crate) authorization_endpoint: Url,
    pub(crate) token_endpoint: Url,
    pub(crate) keys_address: Url,
    pub(crate) userinfo_endpoint: Option<Url>,
    /// The provider promises to name itself when it sends the browser back, so an answer without its name is not its own.
    pub(crate) names_itself: bool,
    pub(crate) client_secret_by: SecretBy,
}

/// How the client secret travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SecretBy {
    Basic,
    /// For the providers that accept nothing else.
    Form,
}

impl Metadata {
    pub(crate) async fn fetch(http: Http, settings: &Settings) -> Result<Self, OpenIdError> {
        // Plain HTTP only to a provider that is on this machine itself: one elsewhere must not send us to our own services.
        let address = settings.discovery_address();
        let url =
            endpoint(&address, Plain::OnLoopback).map_err(|problem| OpenIdError::Setting { setting: "OIDC_DISCOVERY_URL", problem })?;
        let document = http.get(Call::Discovery, &url, None).await?;
        let plain = if is_loopback(&url) { Plain::OnLoopback } else { Plain::Never };
        Self::read(&document, settings.issuer_base(), plain).map_err(|reason| Call::Discovery.refused(reason))
    }

    fn read(document: &Value, issuer_base: &str, plain: Plain) -> Result<Self, String> {
        let text = |name: &str| document[name].as_str().ok_or_else(|| format!("it has no {name}"));
        let address = |name: &str| endpoint(text(name)?, plain).map_err(|problem| format!("its {name} {problem}"));
        let issuer = text("issuer")?;
        // A slash at the end is lost when the discovery address is made of the issuer, so both are the right name.
        if issuer.strip_suffix('/').unwrap_or(issuer) != issuer_base {
            return Err(format!("its issuer is {}, expected {issuer_base:?}", quoted(issuer)));
        }
        let methods = document["token_endpoint_auth_methods_supported"].as_array();
        let takes = |method: &str| methods.is_some_and(|methods| methods.iter().any(|name| name == method));
        let userinfo = if document["userinfo_endpoint"].is_null() { None } else { Some(address("userinfo_endpoint")?) };
        Ok(Self {
            issuer: issuer.to_owned(),
            authorization_endpoint: address("authorization_endpoint")?,
            token_endpoint: address("token_endpoint")?,
            keys_address: address("jwks_uri")?,
            userinfo_endpoint: userinfo,
            names_itself: document["authorization_response_iss_parameter_supported"] == true,
            client_secret_by: if takes("client_secret_post") && !takes("client_secret_basic") { SecretBy::Form } else { SecretBy::Basic },
        })
    }
}
