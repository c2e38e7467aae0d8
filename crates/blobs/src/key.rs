//! The names of stored bytes.

use std::fmt;
use std::str::FromStr;

use domain::TenantId;
use jiff::Timestamp;

/// Longer texts are no keys; S3 has the same bound.
const KEY_BYTES: usize = 1024;

/// What stored bytes are for. The word is part of the key, for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum BlobKind {
    /// Images, fonts and files that people uploaded.
    Assets,
    /// Data that was uploaded to be rendered from.
    Datasets,
    /// Finished documents: the results of jobs, and what is kept as a stored document. Both by their hash, so that one and the
    /// same file of a tenant is there once.
    Outputs,
    /// Pictures of what moving a label would change.
    Proofs,
}

impl BlobKind {
    /// Every kind, in the order of their words.
    pub const ALL: [Self; 4] = [Self::Assets, Self::Datasets, Self::Outputs, Self::Proofs];

    /// The word in keys.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Assets => "assets",
            Self::Datasets => "datasets",
            Self::Outputs => "outputs",
            Self::Proofs => "proofs",
        }
    }
}

/// The name of stored bytes: whose they are, what they are for, and their SHA-256. As text
/// `tenants/<tenant>/<kind>/<64 hexadecimal digits>`, 1024 bytes at most, of `a-z`, `0-9`, `-`, `_` and `/`.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct BlobKey {
    tenant: TenantId,
    kind: BlobKind,
    sha256: [u8; 32],
}

/// The text is not a key of stored bytes.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
#[error("a key is tenants/<tenant>/<kind>/<the SHA-256 in 64 digits of 0-9 and a-f>")]
pub struct InvalidBlobKey;

impl BlobKey {
    /// The key of the bytes with this SHA-256.
    pub fn new(tenant: TenantId, kind: BlobKind, sha256: [u8; 32]) -> Self {
        Self { tenant, kind, sha256 }
    }

    /// Whose they are.
    pub fn tenant(&self) -> &TenantId {
        &self.tenant
    }

    /// What they are for.
    pub fn kind(&self) -> BlobKind {
        self.kind
    }

    /// The SHA-256 of the bytes.
    pub fn sha256(&self) -> &[u8; 32] {
        &self.sha256
    }
}

impl fmt::Display for BlobKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "tenants/{}/{}/{}", self.tenant, self.kind.as_str(), hex::encode(self.sha256))
    }
}

impl fmt::Debug for BlobKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl FromStr for BlobKey {
    type Err = InvalidBlobKey;

    fn from_str(text: &str) -> Result<Self, InvalidBlobKey> {
        if text.len() > KEY_BYTES {
            return Err(InvalidBlobKey);
        }
        let mut parts = text.split('/');
        let mut next = || parts.next().ok_or(InvalidBlobKey);
        let (first, tenant, kind, digits) = (next()?, next()?, next()?, next()?);
        let kind = BlobKind::ALL.into_iter().find(|known| known.as_str() == kind).ok_or(InvalidBlobKey)?;
        let tenant = tenant.parse().map_err(|_| InvalidBlobKey)?;
        let mut sha256 = [0; 32];
        hex::decode_to_slice(digits, &mut sha256).map_err(|_| InvalidBlobKey)?;
        // One text for each key: the digits of other spellings are refused, and so is anything behind them.
        let plain = first == "tenants" && parts.next().is_none() && !digits.bytes().any(|byte| byte.is_ascii_uppercase());
        if plain { Ok(Self { tenant, kind, sha256 }) } else { Err(InvalidBlobKey) }
    }
}

/// One line of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its name.
    pub key: BlobKey,
    /// How many bytes it has.
    pub size_bytes: u64,
    /// When it was last put, by the clock of the place. Putting the same bytes again makes it new.
    pub put_at: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn a_key_reads_back_from_its_text() {
        for text in [format!("tenants/default/assets/{HASH}"), format!("tenants/0-a_b/outputs/{HASH}")] {
            let key: BlobKey = text.parse().unwrap();
            assert_eq!(key.to_string(), text);
            assert_eq!(BlobKey::new(key.tenant().clone(), key.kind(), *key.sha256()), key);
        }
    }

    #[test]
    fn hostile_texts_are_no_keys() {
        let upper = HASH.to_uppercase();
        let long = format!("tenants/{}/assets/{HASH}", "a".repeat(2000));
        for text in [
            String::new(),
            HASH.to_owned(),
            format!("/tenants/default/assets/{HASH}"),
            format!("tenants/../assets/{HASH}"),
            format!("tenants/./assets/{HASH}"),
            format!("tenants//assets/{HASH}"),
            format!("tenants/default/../{HASH}"),
            format!("tenants/default/secrets/{HASH}"),
            format!("tenants/default/assets/../{HASH}"),
            format!("tenants/default/assets/{HASH}/"),
            format!("tenants/default/assets/{HASH}/x"),
            format!("tenants/default/assets/{HASH}\n"),
            format!("tenants/default/assets/{}", &HASH[1..]),
            format!("tenants/default/assets/{HASH}00"),
            format!("tenants/default/assets/{upper}"),
            format!("tenants/Default/assets/{HASH}"),
            format!("tenants/de\0fault/assets/{HASH}"),
            format!("tenants/de fault/assets/{HASH}"),
            format!("tenants/%2e%2e/assets/{HASH}"),
            format!("tenants\\default\\assets\\{HASH}"),
            format!("tenants/dé/assets/{HASH}"),
            long,
        ] {
            assert_eq!(text.parse::<BlobKey>(), Err(InvalidBlobKey), "{text:?}");
        }
    }

    #[test]
    fn the_kinds_stand_in_the_order_of_their_words() {
        assert!(BlobKind::ALL.is_sorted_by_key(|kind| kind.as_str()));
    }
}
