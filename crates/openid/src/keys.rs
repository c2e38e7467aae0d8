//! The provider's public keys: which of a key set may prove anything, and which one a token needs.

use std::collections::{HashMap, HashSet};

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;
use jiff::SignedDuration;
use jsonwebtoken::{Algorithm, DecodingKey};
use serde_json::{Map, Value};

use crate::cache::Ages;
use crate::error::{OpenIdError, quoted};
use crate::http::{Call, Http};
use crate::jwt::{Family, Jwt, algorithm};
use crate::metadata::Metadata;

/// Ten minutes until a withdrawn key stops counting; an hour through which an absent provider locks nobody out.
pub(crate) const AGES: Ages =
    Ages { fresh: SignedDuration::from_mins(10), usable: SignedDuration::from_hours(1), pause: SignedDuration::from_secs(10) };

/// Real providers have two to ten.
const MOST_KEYS: usize = 100;
const KEY_ID_BYTES: usize = 256;
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;
/// The smallest public exponent in use; with 1 everybody could sign.
const RSA_EXPONENT: u64 = 65_537;
/// Members of a key that only its owner may have. A key that the whole world can read them of proves nothing.
const PRIVATE_MEMBERS: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

/// The keys of one answer of the provider, with its exact name at that time.
#[derive(Debug)]
pub(crate) struct Keys {
    pub(crate) issuer: String,
    usable: Vec<Key>,
    refused: HashMap<String, String>,
}

#[derive(Debug)]
struct Key {
    id: Option<String>,
    family: Family,
    /// The only algorithm that it is for, when it says so.
    algorithm: Option<Algorithm>,
    decoding: DecodingKey,
}

/// What the keys say to a token.
pub(crate) enum Found<'a> {
    Key(&'a DecodingKey),
    /// No such key here; a newer key set may have it.
    Unknown(OpenIdError),
    /// No key set will change that.
    Refused(OpenIdError),
}

impl Keys {
    pub(crate) async fn fetch(http: Http, metadata: &Metadata) -> Result<Self, OpenIdError> {
        let document = http.get(Call::Keys, &metadata.keys_address, None).await?;
        let keys = Self::read(&document, &metadata.issuer).map_err(|reason| Call::Keys.refused(reason))?;
        for (key_id, reason) in &keys.refused {
            tracing::warn!(key_id = %quoted(key_id), %reason, "a key of the OpenID provider is not used");
        }
        Ok(keys)
    }

    pub(crate) fn read(document: &Value, issuer: &str) -> Result<Self, String> {
        let entries = document["keys"].as_array().ok_or("it has no list of keys")?;
        if entries.len() > MOST_KEYS {
            return Err(format!("it has {} keys, at most {MOST_KEYS} are read", entries.len()));
        }
        let mut keys = Self { issuer: issuer.to_owned(), usable: Vec::new(), refused: HashMap::new() };
        let mut seen = HashSet::new();
        let ids = entries.iter().filter_map(|entry| entry["kid"].as_str());
        let twice: HashSet<&str> = ids.filter(|id| !seen.insert(*id)).collect();
        for entry in entries {
            let id = entry["kid"].as_str();
            let read = match id {
                Some(id) if twice.contains(id) => Err("two keys have this id".to_owned()),
                _ => entry.as_object().ok_or_else(|| "it is not an object".to_owned()).and_then(Key::read),
            };
            match read {
                Ok(key) => keys.usable.push(key),
                Err(reason) => drop(keys.refused.insert(id.unwrap_or_default().chars().take(KEY_ID_BYTES).collect(), reason)),
            }
        }
        Ok(keys)
    }

    /// The key that the token's header asks for, if it may sign with that algorithm.
    pub(crate) fn find(&self, jwt: &Jwt<'_>) -> Found<'_> {
        let fits = |key: &&Key| key.family == jwt.family && key.algorithm.is_none_or(|only| only == jwt.algorithm);
        let Some(id) = jwt.key_id.as_deref() else {
            let mut fitting = self.usable.iter().filter(fits);
            return match (fitting.next(), fitting.next()) {
                (Some(key), None) => Found::Key(&key.decoding),
                (None, _) => Found::Unknown(OpenIdError::token("it names no key, and the provider has none for its algorithm")),
                (Some(_), Some(_)) => Found::Refused(OpenIdError::token("it names no key, and the provider has several for its algorithm")),
            };
        };
        let Some(key) = self.usable.iter().find(|key| key.id.as_deref() == Some(id)) else {
            return match self.refused.get(id) {
                Some(reason) => Found::Refused(OpenIdError::token(format!("its key {} is not used: {reason}", quoted(id)))),
                None => Found::Unknown(OpenIdError::token(format!("the provider has no key {}", quoted(id)))),
            };
        };
        if fits(&key) {
            Found::Key(&key.decoding)
        } else {
            Found::Refused(OpenIdError::token(format!("its key {} is not for the algorithm {:?}", quoted(id), jwt.algorithm)))
        }
    }
}

impl Key {
    fn read(entry: &Map<String, Value>) -> Result<Self, String> {
        if let Some(member) = PRIVATE_MEMBERS.iter().find(|member| entry.contains_key(**member)) {
            return Err(format!("it shows its secret part {member}"));
        }
        if entry.get("use").is_some_and(|purpose| purpose != "sig") {
            return Err("it is not for signatures".into());
        }
        let verifies = |operations: &Value| operations.as_array().is_some_and(|list| list.iter().any(|one| one == "verify"));
        if !entry.get("key_ops").is_none_or(verifies) {
            return Err("it is not for verifying".into());
        }
        let text = |name: &str| entry.get(name).and_then(Value::as_str).ok_or_else(|| format!("it has no {name}"));
        let bytes = |name: &str| BASE64.decode(text(name)?).map_err(|_| format!("its {name} is not base64url"));
        let coordinate = |name: &str| match bytes(name)?.len() {
            32 => text(name),
            length => Err(format!("its {name} has {length} bytes, not 32")),
        };
        let failed = |error: jsonwebtoken::errors::Error| error.to_string();
        let curve = |expected: &str| if text("crv")? == expected { Ok(()) } else { Err(format!("its curve is not {expected}")) };
        let (family, decoding) = match text("kty")? {
            "RSA" => {
                let (modulus, exponent) = (bytes("n")?, bytes("e")?);
                check_rsa(&modulus, &exponent)?;
                (Family::Rsa, DecodingKey::from_rsa_components(text("n")?, text("e")?).map_err(failed)?)
            }
            "EC" => {
                curve("P-256")?;
                (Family::P256, DecodingKey::from_ec_components(coordinate("x")?, coordinate("y")?).map_err(failed)?)
            }
            "OKP" => {
                curve("Ed25519")?;
                (Family::Ed25519, DecodingKey::from_ed_components(coordinate("x")?).map_err(failed)?)
            }
            other => return Err(format!("keys of type {} prove nothing", quoted(other))),
        };
        let only = match entry.get("alg") {
            None => None,
            Some(name) => match name.as_str().and_then(algorithm) {
                Some((only, needed)) if needed == family => Some(only),
                Some(_) => return Err(format!("its algorithm {name} does not fit its type")),
                None => return Err(format!("its algorithm {} is not accepted", quoted(&name.to_string()))),
            },
        };
        let id = match entry.get("kid") {
            None => None,
            Some(Value::String(id)) if id.len() <= KEY_ID_BYTES => Some(id.clone()),
            Some(_) => return Err(format!("its id is not a text of at most {KEY_ID_BYTES} bytes")),
        };
        Ok(Self { id, family, algorithm: only, decoding })
    }
}

fn check_rsa(modulus: &[u8], exponent: &[u8]) -> Result<(), String> {
    let significant = |bytes: &[u8]| bytes.iter().position(|byte| *byte != 0).map_or(0, |start| bytes.len() - start);
    let first = modulus.iter().find(|byte| **byte != 0).map_or(0, |byte| byte.leading_zeros() as usize);
    let bits = (significant(modulus) * 8).saturating_sub(first);
    if !RSA_BITS.contains(&bits) {
        return Err(format!("its RSA key has {bits} bits, {} to {} are accepted", RSA_BITS.start(), RSA_BITS.end()));
    }
    if significant(exponent) > 8 {
        return Err("its RSA exponent is too large".into());
    }
    let exponent = exponent.iter().fold(0_u64, |value, byte| value << 8 | u64::from(*byte));
    if exponent < RSA_EXPONENT || exponent.is_multiple_of(2) {
        return Err(format!("its RSA exponent {exponent} is not an odd number from {RSA_EXPONENT}"));
    }
    Ok(())
}
