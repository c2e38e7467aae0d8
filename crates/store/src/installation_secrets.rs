//! Secrets that the installation makes for itself, the same for all replicas.

use domain::api_keys::ApiKeyText;
use domain::peppers::{KeyMac, Pepper};
use domain::users::UserKey;

use crate::connect::{Store, speak};
use crate::error::StoreError;

/// Under this name lies the pepper that the installation made.
const PEPPER: &str = "pepper";
/// Under this name lies the fingerprint of the pepper that the operator configured.
const FINGERPRINT: &str = "pepper-fingerprint";

/// How a configured pepper stands to the one that stored keys were made with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub enum PepperStanding {
    /// It is the same, or the first.
    Known,
    /// Another one was used before: no key that was stored then works any more.
    Changed,
}

/// What is kept of a key: enough to recognise it, and nothing to make it from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KeptSecret {
    /// The MAC of the whole key under the installation's pepper.
    pub mac: KeyMac,
    /// Its last four characters.
    pub hint: String,
}

impl KeptSecret {
    /// What is kept of a program's key.
    pub fn of_api_key(key: &ApiKeyText, pepper: &Pepper) -> Self {
        Self { mac: pepper.mac(key.reveal()), hint: key.hint().to_owned() }
    }

    /// What is kept of a person's key.
    pub fn of_user_key(key: &UserKey, pepper: &Pepper) -> Self {
        Self { mac: pepper.mac(key.reveal()), hint: key.hint() }
    }
}

impl Store {
    /// The pepper of this installation. The first of all replicas to ask makes it of `fresh`, 32 bytes of the system's random
    /// source; the others get that one.
    ///
    /// It lies in the same database as what it protects, so it is of use against whoever sees the hashes alone and of none
    /// against whoever has the whole database or a dump of it. An operator who wants more configures a pepper
    /// ([`Pepper::new`]) and has it checked by [`Store::check_pepper`] instead of asking here.
    pub async fn pepper(&self, fresh: [u8; 32]) -> Result<Pepper, StoreError> {
        Ok(Pepper::from_random(self.first_secret(PEPPER, fresh).await?))
    }

    /// What signing secrets that are made of keys are bound to. As with [`Store::pepper`], the first to ask makes it of `fresh`.
    pub async fn token_binding(&self, fresh: [u8; 32]) -> Result<[u8; 32], StoreError> {
        self.first_secret("token-binding", fresh).await
    }

    /// What links to stored documents are signed with where the operator has configured nothing. As with [`Store::pepper`], the
    /// first to ask makes it of `fresh`.
    pub async fn document_link_secret(&self, fresh: [u8; 32]) -> Result<[u8; 32], StoreError> {
        self.first_secret("document-links", fresh).await
    }

    /// Says whether stored keys were made with this pepper. The first configured pepper becomes the known one.
    pub async fn check_pepper(&self, pepper: &Pepper) -> Result<PepperStanding, StoreError> {
        let mine = pepper.fingerprint();
        let known = KeyMac::from(self.first_secret(FINGERPRINT, *mine.as_bytes()).await?);
        Ok(if known == mine { PepperStanding::Known } else { PepperStanding::Changed })
    }

    /// What lies under that name; `fresh`, if nothing did.
    async fn first_secret(&self, name: &'static str, fresh: [u8; 32]) -> Result<[u8; 32], StoreError> {
        speak!(self, "installation_secrets.get", {
            let mut connection = self.acquire().await?;
            sqlx::query!(
                "INSERT INTO installation_secrets (name, secret, created_at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
                name,
                fresh.as_slice(),
                self.now() as _
            )
            .execute(&mut *connection)
            .await?;
            let secret =
                sqlx::query_scalar!("SELECT secret FROM installation_secrets WHERE name = $1", name).fetch_one(&mut *connection).await?;
            secret.as_slice().try_into().map_err(|_| StoreError::inconsistent("installation_secrets", "a secret is not 32 bytes"))
        })
        .await
    }
}
