//! Links to stored documents: whoever has one may fetch one document for a while, without a credential.
//!
//! `dl1.<claims>.<signature>`: the claims are JSON, the signature is the HMAC-SHA256 of `document:dl1:` and that JSON; both are
//! base64url. No other token's signed bytes begin so.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::ids::DocumentId;
use crate::options::Disposition;
use crate::secrets::{Secret, Secrets};
use crate::signed_tokens::{TimeRefusal, TokenFlaw, TokenRefusal, Verified, decode, encode};
use crate::tenants::TenantId;

const KIND: &str = "dl1";

/// What a link opens. A claim that this version does not know may be a limit: such a link is refused.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct DocumentLink {
    /// Whose document.
    pub tenant: TenantId,
    /// Which one.
    pub document: DocumentId,
    /// The document's count of revocations when the link was made: links of another count are void.
    pub version: u32,
    /// Whether a browser shows it or saves it.
    #[serde(default, skip_serializing_if = "Shown::is_saved")]
    pub shown: Shown,
    /// The first moment at which it is not valid. Carried in whole milliseconds.
    #[serde(with = "jiff::fmt::serde::timestamp::millisecond::required")]
    pub expires_at: Timestamp,
}

/// [`Disposition`] as links spell it.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Shown {
    /// Saved.
    #[default]
    Attachment,
    /// Shown.
    Inline,
}

impl Shown {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes the field by reference")]
    fn is_saved(&self) -> bool {
        *self == Self::Attachment
    }
}

impl From<Disposition> for Shown {
    fn from(disposition: Disposition) -> Self {
        match disposition {
            Disposition::Inline => Self::Inline,
            Disposition::Attachment => Self::Attachment,
        }
    }
}

impl From<Shown> for Disposition {
    fn from(shown: Shown) -> Self {
        match shown {
            Shown::Inline => Self::Inline,
            Shown::Attachment => Self::Attachment,
        }
    }
}

impl DocumentLink {
    /// The longest text that is read; the longest that is made has some 400 bytes.
    pub const MAX_BYTES: usize = 1024;

    /// The link as text of letters, digits, `-`, `_` and two dots.
    pub fn sign(&self, secret: &Secret) -> String {
        let claims = self.claims();
        format!("{KIND}.{}.{}", encode(&claims), encode(secret.sign(&signed_bytes(claims.as_bytes()))))
    }

    /// What a link opens, if one of the secrets signed it and it is valid at `now`. The signature is checked before anything
    /// that it covers is read. Whether it was revoked, and whether there is such a document, is not known here.
    pub fn verify(text: &str, secrets: &Secrets, now: Timestamp) -> Result<Verified<Self>, TokenRefusal> {
        if text.len() > Self::MAX_BYTES {
            return Err(TokenRefusal::TooLong { size_bytes: text.len(), limit_bytes: Self::MAX_BYTES });
        }
        let parts = || TokenFlaw::Parts { expected: 3, found: text.split('.').count() };
        let (kind, rest) = text.split_once('.').ok_or_else(parts)?;
        let (claims, signature) = rest.split_once('.').filter(|(_, last)| !last.contains('.')).ok_or_else(parts)?;
        if kind != KIND {
            return Err(TokenFlaw::Kind { expected: KIND }.into());
        }
        let (claims, signature) = (decode(claims, "claims")?, decode(signature, "signature")?);
        let signed_with =
            secrets.verify(&signed_bytes(&claims), &signature).ok_or(TokenRefusal::BadSignature { secrets: secrets.count() })?;
        let content = |error: serde_json::Error| TokenFlaw::Content { part: "claims", reason: error.to_string().into() };
        let token: Self = serde_json::from_slice(&claims).map_err(content)?;
        if token.claims().as_bytes() != claims {
            return Err(TokenFlaw::Spelling.into());
        }
        if now < token.expires_at {
            return Ok(Verified { token, signed_with });
        }
        let why = TimeRefusal::Expired { expired_at: token.expires_at, since: now.duration_since(token.expires_at) };
        Err(TokenRefusal::Time { holder: format!("link to document {}", token.document).into(), tenant: token.tenant, signed_with, why })
    }

    fn claims(&self) -> String {
        // Texts and numbers only: writing them cannot fail, and nothing verifies against empty claims.
        serde_json::to_string(self).unwrap_or_default()
    }
}

fn signed_bytes(claims: &[u8]) -> [&[u8]; 2] {
    [b"document:dl1:", claims]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::secrets::SignedWith;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    fn link() -> DocumentLink {
        let document = DocumentId::from(uuid::Uuid::from_u128(7));
        DocumentLink { tenant: "acme".parse().unwrap(), document, version: 3, shown: Shown::Inline, expires_at: at(100) }
    }

    fn secret(text: &str) -> Secret {
        Secret::new(text).unwrap()
    }

    #[test]
    fn a_link_reads_back_until_its_end_and_with_an_earlier_secret_too() {
        let text = link().sign(&secret("new"));
        assert!(text.len() < 400 && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte)), "{text}");
        let new = Secrets { current: secret("new"), previous: vec![secret("old")] };
        assert_eq!(DocumentLink::verify(&text, &new, at(99)), Ok(Verified { token: link(), signed_with: SignedWith::Current }));
        let by_old = DocumentLink::verify(&link().sign(&secret("old")), &new, at(0)).unwrap();
        assert_eq!(by_old.signed_with, SignedWith::Previous { position: 0 });
        assert!(matches!(DocumentLink::verify(&text, &new, at(100)), Err(TokenRefusal::Time { .. })), "an end is no part of it");
        let others = Secrets::from(secret("another installation"));
        assert!(matches!(DocumentLink::verify(&text, &others, at(0)), Err(TokenRefusal::BadSignature { secrets: 1 })));
    }

    #[test]
    fn what_was_signed_for_something_else_is_no_link() {
        let key = secret("k");
        let claims = link().claims();
        let foreign = format!("{KIND}.{}.{}", encode(&claims), encode(key.sign(&[b"render:rt1:", claims.as_bytes()])));
        assert!(matches!(DocumentLink::verify(&foreign, &key.into(), at(0)), Err(TokenRefusal::BadSignature { .. })));
        let (key, more) = (secret("k"), claims.replacen('{', r#"{"only":"mondays","#, 1));
        let newer = format!("{KIND}.{}.{}", encode(&more), encode(key.sign(&signed_bytes(more.as_bytes()))));
        assert!(matches!(DocumentLink::verify(&newer, &key.into(), at(0)), Err(TokenRefusal::Malformed(TokenFlaw::Content { .. }))));
        let long = "x".repeat(DocumentLink::MAX_BYTES + 1);
        assert!(matches!(DocumentLink::verify(&long, &secret("k").into(), at(0)), Err(TokenRefusal::TooLong { .. })));
    }

    proptest! {
        #[test]
        fn no_link_survives_a_changed_character(place in 0_usize..300, byte in prop::sample::select(&b"AZaz09-_."[..])) {
            let (text, secrets) = (link().sign(&secret("k")), Secrets::from(secret("k")));
            let mut bytes = text.clone().into_bytes();
            let place = place % bytes.len();
            prop_assume!(bytes[place] != byte);
            bytes[place] = byte;
            let changed = String::from_utf8(bytes).unwrap();
            prop_assert!(DocumentLink::verify(&changed, &secrets, at(0)).is_err(), "{}", changed);
        }

        #[test]
        fn whatever_comes_is_refused_and_nothing_panics(text in any::<String>()) {
            prop_assert!(DocumentLink::verify(&text, &Secrets::from(secret("k")), at(0)).is_err());
        }
    }
}
