//! A provider that knows us, and a clock that can be moved.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use domain::Clock;
use domain::SecretText;
use jiff::{SignedDuration, Timestamp};
use openid::{Callback, Finished, OpenIdError, Provider, Settings};
use reqwest::Url;
use testkit::openid::OpenIdProvider;

pub const CLIENT: &str = "pulp engine";
/// With everything that an encoding can get wrong.
pub const CLIENT_SECRET: &str = "s:e/c+r&e=t %é";
pub const REDIRECT_URI: &str = "https://pulp.example/auth/oidc/callback";

pub struct World {
    pub idp: OpenIdProvider,
    /// Our clock stands still unless it is moved, so that no test depends on how fast the machine is.
    began_at: Timestamp,
    ahead_seconds: Arc<AtomicI64>,
}

/// The query with which the browser comes back.
#[derive(Clone, Debug, Default)]
pub struct Back {
    pub state: String,
    pub code: Option<String>,
    pub iss: Option<String>,
    pub error: Option<String>,
}

impl World {
    pub fn start() -> Self {
        let idp = OpenIdProvider::start();
        idp.add_client(CLIENT, Some(CLIENT_SECRET), REDIRECT_URI);
        Self { idp, began_at: Clock::system().now(), ahead_seconds: Arc::default() }
    }

    /// Moves the clock of all our replicas.
    pub fn pass(&self, seconds: i64) {
        self.ahead_seconds.fetch_add(seconds, Ordering::Relaxed);
    }

    /// A time claim that many seconds from now.
    pub fn in_seconds(&self, seconds: i64) -> i64 {
        self.began_at.as_second() + self.ahead_seconds.load(Ordering::Relaxed) + seconds
    }

    pub fn settings(&self) -> Settings {
        let (began_at, ahead) = (self.began_at, Arc::clone(&self.ahead_seconds));
        let clock = Clock::from_source(move || began_at + SignedDuration::from_secs(ahead.load(Ordering::Relaxed)));
        let mut settings = Settings::new(&self.idp.issuer(), CLIENT, REDIRECT_URI, cookie_secret("one"), clock);
        settings.client_secret = Some(CLIENT_SECRET.into());
        settings.claim_names.groups = Some("groups".into());
        settings
    }

    pub fn provider(&self) -> Provider {
        Provider::new(self.settings()).unwrap()
    }

    /// A whole login: to the provider, and back with the same browser.
    pub async fn log_in(&self, provider: &Provider, user: &str) -> Result<Finished, OpenIdError> {
        let begun = provider.begin(None).await?;
        let back = Back::parse(&self.idp.log_in(&begun.authorization_url, user));
        provider.finish(begun.state.cookie_value(), back.callback()).await
    }
}

impl Back {
    pub fn parse(location: &str) -> Self {
        let url = Url::parse(location).unwrap();
        assert!(location.starts_with(REDIRECT_URI), "{location}");
        let field = |name: &str| url.query_pairs().find(|(found, _)| found == name).map(|(_, value)| value.into_owned());
        Self { state: field("state").unwrap(), code: field("code"), iss: field("iss"), error: field("error") }
    }

    pub fn callback(&self) -> Callback<'_> {
        Callback { state: &self.state, code: self.code.as_deref(), iss: self.iss.as_deref(), error: self.error.as_deref() }
    }
}

pub fn cookie_secret(which: &str) -> SecretText {
    SecretText::from(format!("{which} cookie secret of forty characters or so"))
}

/// That it failed, with these words in the operator's log.
#[track_caller]
pub fn assert_refused<T: std::fmt::Debug>(result: Result<T, OpenIdError>, words: &str) {
    let error = result.expect_err(words).to_string();
    assert!(error.contains(words), "{words:?} is not in {error:?}");
}
