//! Names, versions and hashes of stored templates.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Names a template within its tenant: 1–128 characters of letters, digits, `.`, `_` and `-`,
/// beginning with a letter or digit. It is safe in a URL path and in a file name as it stands.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TemplateKey(Box<str>);

/// The text is not a template key.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "a template key is 1–128 characters of letters, digits, '.', '_' and '-', beginning with a letter or digit, such as \"invoice-2026\""
)]
pub struct InvalidTemplateKey;

impl TemplateKey {
    /// The key as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for TemplateKey {
    type Err = InvalidTemplateKey;

    fn from_str(text: &str) -> Result<Self, InvalidTemplateKey> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
        let starts_well = text.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric());
        if starts_well && text.len() <= 128 && text.bytes().all(allowed) { Ok(Self(text.into())) } else { Err(InvalidTemplateKey) }
    }
}

impl TryFrom<String> for TemplateKey {
    type Error = InvalidTemplateKey;

    fn try_from(text: String) -> Result<Self, InvalidTemplateKey> {
        text.parse()
    }
}

impl From<TemplateKey> for String {
    fn from(key: TemplateKey) -> Self {
        key.0.into()
    }
}

impl fmt::Display for TemplateKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// The number of an immutable template version, `major.minor.patch`. Each save counts the patch up by one.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TemplateVersion {
    /// Set by the author in the definition of the first save.
    pub major: u32,
    /// Set by the author in the definition of the first save.
    pub minor: u32,
    /// Counted up by every save.
    pub patch: u32,
}

/// The text is not a version.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("a version is three numbers without leading zeros, such as \"1.0.3\"")]
pub struct InvalidTemplateVersion;

impl TemplateVersion {
    /// What a template starts with when its author names no version.
    pub const FIRST: Self = Self { major: 1, minor: 0, patch: 0 };

    /// The version that the next save makes.
    #[must_use]
    pub fn next(self) -> Self {
        Self { patch: self.patch.saturating_add(1), ..self }
    }
}

impl FromStr for TemplateVersion {
    type Err = InvalidTemplateVersion;

    fn from_str(text: &str) -> Result<Self, InvalidTemplateVersion> {
        let mut numbers = text.split('.').map(|part| {
            let plain = part.bytes().all(|byte| byte.is_ascii_digit()) && (part == "0" || !part.starts_with('0'));
            // The database keeps each number in a signed 32-bit column.
            part.parse::<u32>().ok().filter(|number| plain && i32::try_from(*number).is_ok()).ok_or(InvalidTemplateVersion)
        });
        let mut take = || numbers.next().ok_or(InvalidTemplateVersion)?;
        let version = Self { major: take()?, minor: take()?, patch: take()? };
        if numbers.next().is_none() { Ok(version) } else { Err(InvalidTemplateVersion) }
    }
}

impl TryFrom<String> for TemplateVersion {
    type Error = InvalidTemplateVersion;

    fn try_from(text: String) -> Result<Self, InvalidTemplateVersion> {
        text.parse()
    }
}

impl From<TemplateVersion> for String {
    fn from(version: TemplateVersion) -> Self {
        version.to_string()
    }
}

impl fmt::Display for TemplateVersion {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

/// SHA-256 of a definition's JSON text as it is stored, or of a file's bytes: equal hashes mean equal content.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct ContentHash([u8; 32]);

impl ContentHash {
    /// The hash of `definition` as compact JSON with the author's order of properties.
    pub fn of(definition: &serde_json::Value) -> Self {
        Self(Sha256::digest(definition.to_string()).into())
    }

    /// The hash of these bytes.
    pub fn of_bytes(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// The 32 bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl From<[u8; 32]> for ContentHash {
    fn from(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl fmt::Display for ContentHash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&hex::encode(self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_safe_in_a_path() {
        for good in ["invoice", "a", "Invoice_2026.v2-x", "0"] {
            assert_eq!(good.parse::<TemplateKey>().unwrap().as_str(), good);
        }
        for bad in ["", ".", "..", "a/b", "-a", "a b", "ä", "a\u{0}", &"x".repeat(129)] {
            assert!(bad.parse::<TemplateKey>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_version_is_three_plain_numbers_and_counts_its_patch_up() {
        let version: TemplateVersion = "1.0.9".parse().unwrap();
        assert_eq!(version.next().to_string(), "1.0.10");
        assert!(version < version.next());
        for bad in ["", "1", "1.0", "1.0.0.0", "01.0.0", "1.0.-1", "1.0.+1", "1.0.x", "1.0.4294967295", "v1.0.0", "1..0"] {
            assert!(bad.parse::<TemplateVersion>().is_err(), "{bad:?}");
        }
    }
}
