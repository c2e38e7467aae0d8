//! Signed tokens: their three parts, the algorithms that count, and the signature itself.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;
use jsonwebtoken::{Algorithm, DecodingKey};
use serde_json::{Map, Value};

use crate::error::{OpenIdError, quoted};

/// Of one token. A person in 500 groups has some 24 KiB; HTTP servers cut headers off before that.
pub(crate) const TOKEN_BYTES: usize = 32 * 1024;

/// The kind of key that an algorithm needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    Rsa,
    P256,
    Ed25519,
}

/// The only algorithms accepted, whatever a header or a key says. None has a shared secret.
const ALGORITHMS: [(&str, Algorithm, Family); 4] = [
    ("RS256", Algorithm::RS256, Family::Rsa),
    ("PS256", Algorithm::PS256, Family::Rsa),
    ("ES256", Algorithm::ES256, Family::P256),
    ("EdDSA", Algorithm::EdDSA, Family::Ed25519),
];

/// The algorithm of that name, and the key that it needs.
pub(crate) fn algorithm(name: &str) -> Option<(Algorithm, Family)> {
    ALGORITHMS.iter().find(|(known, ..)| *known == name).map(|(_, algorithm, family)| (*algorithm, *family))
}

/// A token taken apart. Nothing in it is proven before [`Jwt::verify`].
#[derive(Debug)]
pub(crate) struct Jwt<'a> {
    pub(crate) algorithm: Algorithm,
    pub(crate) family: Family,
    pub(crate) key_id: Option<String>,
    /// In lower case and without `application/`.
    pub(crate) kind: Option<String>,
    pub(crate) claims: Map<String, Value>,
    signed: &'a str,
    signature: &'a str,
}

impl<'a> Jwt<'a> {
    pub(crate) fn parse(token: &'a str) -> Result<Self, OpenIdError> {
        if token.len() > TOKEN_BYTES {
            return Err(OpenIdError::token(format!("it has {} bytes, at most {TOKEN_BYTES} are read", token.len())));
        }
        let not_one = || OpenIdError::token("it is not a signed JWT of three parts");
        let (signed, signature) = token.rsplit_once('.').ok_or_else(not_one)?;
        let (header, claims) = signed.split_once('.').ok_or_else(not_one)?;
        let (header, claims) = (object(header).ok_or_else(not_one)?, object(claims).ok_or_else(not_one)?);
        let name = header.get("alg").and_then(Value::as_str).unwrap_or("none");
        let (algorithm, family) =
            algorithm(name).ok_or_else(|| OpenIdError::token(format!("the algorithm {} is not accepted", quoted(name))))?;
        if header.contains_key("crit") {
            return Err(OpenIdError::token("its header demands extensions (crit) that are not known here"));
        }
        let text = |name: &str| match header.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(_) => Err(OpenIdError::token(format!("the {name} of its header is not a text"))),
        };
        let kind = text("typ")?.map(|kind| kind.to_ascii_lowercase());
        let kind = kind.map(|kind| kind.strip_prefix("application/").map(str::to_owned).unwrap_or(kind));
        Ok(Self { algorithm, family, key_id: text("kid")?, kind, claims, signed, signature })
    }

    pub(crate) fn verify(&self, key: &DecodingKey) -> Result<(), OpenIdError> {
        match jsonwebtoken::crypto::verify(self.signature, self.signed.as_bytes(), key, self.algorithm) {
            Ok(true) => Ok(()),
            Ok(false) => Err(OpenIdError::token("its signature is not of the provider's key")),
            Err(error) => Err(OpenIdError::token(format!("its signature cannot be checked: {error}"))),
        }
    }
}

fn object(part: &str) -> Option<Map<String, Value>> {
    serde_json::from_slice(&BASE64.decode(part).ok()?).ok()
}
