//! Texts that only the holders of the cookie secret can make, and secrets derived from it.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;
use domain::SecretText;
use hmac::{Hmac, KeyInit, Mac};
use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::error::OpenIdError;
use crate::settings::CookieSecrets;

/// What a sealed or derived text is for. A text of one purpose is never accepted for another.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Purpose {
    Flow,
    State,
    Nonce,
    PkceVerifier,
    Completion,
}

impl Purpose {
    fn label(self) -> &'static [u8] {
        match self {
            Self::Flow => b"pulp-engine openid flow 1",
            Self::State => b"pulp-engine openid state 1",
            Self::Nonce => b"pulp-engine openid nonce 1",
            Self::PkceVerifier => b"pulp-engine openid pkce 1",
            Self::Completion => b"pulp-engine openid completion 1",
        }
    }
}

/// Signs with one secret.
pub(crate) struct Sealer(Hmac<Sha256>);

/// The sealer that makes texts, and those that are asked whether they made one.
pub(crate) struct Sealers {
    pub(crate) current: Sealer,
    previous: Option<Sealer>,
}

impl Sealers {
    pub(crate) fn new(secrets: &CookieSecrets) -> Result<Self, OpenIdError> {
        let sealer = |secret: &SecretText| match Hmac::new_from_slice(secret.reveal().as_bytes()) {
            Ok(keyed) => Ok(Sealer(keyed)),
            Err(error) => Err(OpenIdError::Setting { setting: "OIDC_COOKIE_SECRET", problem: error.to_string() }),
        };
        Ok(Self { current: sealer(&secrets.current)?, previous: secrets.previous.as_ref().map(sealer).transpose()? })
    }

    /// What was sealed, and by whom. Whether it has expired is for the caller to ask.
    pub(crate) fn open<T: DeserializeOwned>(&self, purpose: Purpose, sealed: &str) -> Option<(T, &Sealer)> {
        let (payload, mac) = sealed.rsplit_once('.')?;
        let mac = BASE64.decode(mac).ok()?;
        let made_by = |sealer: &&Sealer| bool::from(sealer.mac(purpose, payload.as_bytes()).ct_eq(&mac));
        let maker = [Some(&self.current), self.previous.as_ref()].into_iter().flatten().find(made_by)?;
        Some((serde_json::from_slice(&BASE64.decode(payload).ok()?).ok()?, maker))
    }
}

impl Sealer {
    /// `payload.mac`, both in base64url without padding: letters, digits, `-`, `_` and one dot.
    pub(crate) fn seal(&self, purpose: Purpose, content: &impl Serialize) -> Result<String, serde_json::Error> {
        let payload = BASE64.encode(serde_json::to_vec(content)?);
        let mac = BASE64.encode(self.mac(purpose, payload.as_bytes()));
        Ok(format!("{payload}.{mac}"))
    }

    /// 43 characters that follow from `seed` for those who know the secret, and tell nothing to all others.
    pub(crate) fn derive(&self, purpose: Purpose, seed: &str) -> String {
        BASE64.encode(self.mac(purpose, seed.as_bytes()))
    }

    fn mac(&self, purpose: Purpose, message: &[u8]) -> [u8; 32] {
        // The zero ends the label, so no label and message read as another label and message.
        self.0.clone().chain_update(purpose.label()).chain_update([0]).chain_update(message).finalize().into_bytes().into()
    }
}

/// 256 random bits as 43 characters.
pub(crate) fn random() -> Result<String, OpenIdError> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|_| OpenIdError::Random)?;
    Ok(BASE64.encode(bytes))
}

/// The SHA-256 of a text in base64url, as PKCE and the binding of completion codes want it.
pub(crate) fn sha256(text: &str) -> String {
    BASE64.encode(Sha256::digest(text.as_bytes()))
}

/// Compares in a time that does not tell where the texts differ.
pub(crate) fn equal(one: &str, other: &str) -> bool {
    one.as_bytes().ct_eq(other.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PURPOSES: [Purpose; 5] = [Purpose::Flow, Purpose::State, Purpose::Nonce, Purpose::PkceVerifier, Purpose::Completion];

    #[test]
    fn what_is_made_for_one_purpose_or_secret_is_nothing_for_another() {
        let sealers = |secret: &str| {
            let current = SecretText::from(secret);
            Sealers::new(&CookieSecrets { current, previous: None }).unwrap()
        };
        let (ours, theirs) = (sealers("ours"), sealers("theirs"));
        for (at, purpose) in PURPOSES.into_iter().enumerate() {
            let sealed = ours.current.seal(purpose, &"content").unwrap();
            for (other_at, other) in PURPOSES.into_iter().enumerate() {
                let opened = ours.open::<String>(other, &sealed).map(|(content, _)| content);
                assert_eq!(opened.as_deref(), (at == other_at).then_some("content"), "{purpose:?} as {other:?}");
                assert_eq!(ours.current.derive(purpose, "x") == ours.current.derive(other, "x"), at == other_at);
            }
            assert!(theirs.open::<String>(purpose, &sealed).is_none());
            assert_ne!(ours.current.derive(purpose, "x"), theirs.current.derive(purpose, "x"));
        }
    }
}
