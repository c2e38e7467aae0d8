//! The provider as the rest of the server sees it: begin a login, finish it, verify a bearer token.

use std::sync::Arc;

use serde_json::{Map, Value};

use crate::cache::Cache;
use crate::claims;
use crate::completion::{self, Completion, SealedCompletion};
use crate::error::{OpenIdError, quoted};
use crate::exchange;
use crate::flow::{self, Begun, Flow};
use crate::http::Http;
use crate::identity::{Identity, lacks_any};
use crate::jwt::Jwt;
use crate::keys::{self, Found, Keys};
use crate::metadata::{self, Metadata};
use crate::seal::Sealers;
use crate::settings::Settings;

/// One OpenID provider. Cloning shares its caches; nothing is asked before it is needed, so one that is away stops no start.
#[derive(Clone)]
pub struct Provider(Arc<Inner>);

struct Inner {
    settings: Settings,
    sealers: Sealers,
    http: Http,
    metadata: Cache<Metadata>,
    keys: Cache<Keys>,
}

impl std::fmt::Debug for Provider {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_tuple("Provider").field(&self.0.settings).finish()
    }
}

/// The query with which the browser came back. Texts of the attacker's choice until proven otherwise.
#[derive(Clone, Copy, Debug, Default)]
pub struct Callback<'a> {
    /// `state`.
    pub state: &'a str,
    /// `code`, when the login succeeded.
    pub code: Option<&'a str>,
    /// `iss`, when the provider names itself.
    pub iss: Option<&'a str>,
    /// `error`, when it did not.
    pub error: Option<&'a str>,
}

/// A login that ended well.
#[derive(Clone, Debug)]
pub struct Finished {
    /// Who logged in.
    pub identity: Identity,
    /// The local path that `begin` was given.
    pub return_to: Option<String>,
}

impl Provider {
    /// Refuses settings that cannot work; asks nobody anything.
    pub fn new(settings: Settings) -> Result<Self, OpenIdError> {
        settings.check()?;
        let (sealers, http) = (Sealers::new(&settings.cookie_secrets)?, Http::new()?);
        let (metadata, keys) = (Cache::new(metadata::AGES, settings.clock.clone()), Cache::new(keys::AGES, settings.clock.clone()));
        Ok(Self(Arc::new(Inner { settings, sealers, http, metadata, keys })))
    }

    /// Begins a login. `return_to` is a path on this server, with one slash at its beginning, of at most 1024 bytes.
    pub async fn begin(&self, return_to: Option<&str>) -> Result<Begun, OpenIdError> {
        let Inner { settings, sealers, .. } = &*self.0;
        let (flow, cookie) = Flow::begin(sealers, &settings.clock, return_to)?;
        let metadata = self.metadata().await?;
        let url = flow.authorization_url(&metadata.authorization_endpoint, &settings.client_id, &settings.redirect_uri, &settings.scopes);
        Ok(Begun { authorization_url: url, state: Flow::into_state(cookie, &settings.redirect_uri) })
    }

    /// Ends the login that `cookie` is of. The provider lets a code be used once, so this is called once per callback.
    pub async fn finish(&self, cookie: &str, callback: Callback<'_>) -> Result<Finished, OpenIdError> {
        let Inner { settings, sealers, http, .. } = &*self.0;
        let flow = Flow::open(sealers, &settings.clock, cookie)?;
        flow.check_state(callback.state)?;
        let metadata = self.metadata().await?;
        match callback.iss {
            Some(issuer) if issuer == metadata.issuer => {}
            Some(issuer) => return Err(OpenIdError::flow(format!("the answer is of the issuer {}", quoted(issuer)))),
            None if metadata.names_itself => return Err(OpenIdError::flow("the answer does not name its issuer, as this provider's do")),
            None => {}
        }
        if let Some(error) = callback.error {
            return Err(OpenIdError::Refused { reason: quoted(error) });
        }
        let code = callback.code.ok_or_else(|| OpenIdError::flow("the answer has no code"))?;
        let tokens = exchange::exchange(http, &metadata, settings, code, &flow.pkce_verifier).await?;
        let check = |jwt: &Jwt<'_>| {
            claims::check_id_token(jwt, &settings.client_id, &flow.nonce)?;
            claims::check_access_token(jwt, tokens.access_token.as_deref())
        };
        let mut claims = self.verified("id", &tokens.id_token, check).await?;
        if let Some(token) = tokens.access_token.as_deref().filter(|_| lacks_any(&claims, &settings.claim_names)) {
            exchange::complete(http, &metadata, token, &mut claims).await?;
        }
        Ok(Finished { identity: Identity::read(claims, &settings.claim_names)?, return_to: flow.return_to })
    }

    /// Who is behind an access token of the same issuer that was made for our audience. Without a call to the provider as long as
    /// its keys are known.
    pub async fn verify_bearer(&self, token: &str) -> Result<Identity, OpenIdError> {
        let settings = &self.0.settings;
        let claims = self.verified("bearer", token, |jwt| claims::check_bearer(jwt, settings.audience())).await?;
        Identity::read(claims, &settings.claim_names)
    }

    /// A code that says for 60 seconds, to any replica, who logged in with this cookie's login. Take groups out of the identity
    /// that are not needed: more than some 60 do not fit.
    pub fn seal_completion(&self, identity: &Identity, cookie: &str) -> Result<SealedCompletion, OpenIdError> {
        completion::seal(&self.0.sealers, &self.0.settings.clock, identity, cookie)
    }

    /// What such a code says, when the same browser brings it in time. That it is used only once is for the caller to see to.
    pub fn open_completion(&self, code: &str, cookie: &str) -> Result<Completion, OpenIdError> {
        completion::open(&self.0.sealers, &self.0.settings.clock, code, cookie)
    }

    /// The `Set-Cookie` header that ends the login's cookie.
    pub fn clear_cookie(&self) -> String {
        flow::cookie("", 0, self.0.settings.redirect_uri.starts_with("https:"))
    }

    /// Whether a token claims to be of this provider, from its text alone: for choosing who verifies it. Proves nothing.
    pub fn may_have_issued(&self, token: &str) -> bool {
        let issuer = |jwt: Jwt<'_>| jwt.claims.get("iss").and_then(Value::as_str).map(|issuer| issuer.trim_end_matches('/').to_owned());
        Jwt::parse(token).ok().and_then(issuer).is_some_and(|issuer| issuer == self.0.settings.issuer_base())
    }

    /// The claims of a token that is of the provider, in time, and passes `check`.
    async fn verified(
        &self,
        kind: &'static str,
        token: &str,
        check: impl Fn(&Jwt<'_>) -> Result<(), OpenIdError>,
    ) -> Result<Map<String, Value>, OpenIdError> {
        let result = self.verify(token, check).await;
        let outcome = match &result {
            Ok(_) => "accepted",
            Err(OpenIdError::Away { .. } | OpenIdError::Answer { .. }) => "undecided",
            Err(_) => "refused",
        };
        metrics::counter!("pulp_openid_tokens_total", "kind" => kind, "outcome" => outcome).increment(1);
        result
    }

    async fn verify(&self, token: &str, check: impl Fn(&Jwt<'_>) -> Result<(), OpenIdError>) -> Result<Map<String, Value>, OpenIdError> {
        let jwt = Jwt::parse(token)?;
        // The cheap half first: a token that fails here costs no call to the provider and no arithmetic.
        claims::check_common(&jwt.claims, self.0.settings.issuer_base(), &self.0.settings.clock)?;
        check(&jwt)?;
        let mut keys = self.0.keys.get(|| self.clone().fetch_keys()).await?;
        if let Found::Unknown(_) = keys.find(&jwt) {
            keys = self.0.keys.newer(&keys, || self.clone().fetch_keys()).await.unwrap_or(keys);
        }
        match keys.find(&jwt) {
            Found::Key(key) => jwt.verify(key)?,
            Found::Unknown(error) | Found::Refused(error) => return Err(error),
        }
        claims::issuer_is(&jwt.claims, &keys.issuer)?;
        Ok(jwt.claims)
    }

    async fn metadata(&self) -> Result<Arc<Metadata>, OpenIdError> {
        let this = self.clone();
        self.0.metadata.get(|| async move { Metadata::fetch(this.0.http.clone(), &this.0.settings).await }).await
    }

    async fn fetch_keys(self) -> Result<Keys, OpenIdError> {
        let metadata = self.metadata().await?;
        Keys::fetch(self.0.http.clone(), &metadata).await
    }
}
