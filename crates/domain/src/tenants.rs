//! Whose data it is.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Names a tenant: 1–64 characters of `a-z`, `0-9`, `-` and `_`, beginning with a letter or digit.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TenantId(Box<str>);

/// The text is not a tenant id.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("a tenant id is 1–64 characters of a-z, 0-9, '-' and '_', beginning with a letter or digit")]
pub struct InvalidTenantId;

impl TenantId {
    /// The tenant that owns everything while multi-tenancy is off.
    pub fn default_tenant() -> Self {
        Self("default".into())
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for TenantId {
    type Err = InvalidTenantId;

    fn from_str(text: &str) -> Result<Self, InvalidTenantId> {
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_');
        let starts_well = text.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
        if starts_well && text.len() <= 64 && text.bytes().all(allowed) { Ok(Self(text.into())) } else { Err(InvalidTenantId) }
    }
}

impl TryFrom<String> for TenantId {
    type Error = InvalidTenantId;

    fn try_from(text: String) -> Result<Self, InvalidTenantId> {
        text.parse()
    }
}

impl From<TenantId> for String {
    fn from(id: TenantId) -> Self {
        id.0.into()
    }
}

impl fmt::Display for TenantId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// What a tenant takes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum TenantStatus {
    /// Reads, writes and renders.
    Active,
    /// Reads; writes and renders are refused.
    Archived,
    /// Nothing: all it had is gone, and only its name remains, so that nobody gets it again.
    Purged,
}

/// The text is no status of a tenant.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("a tenant is active, archived or purged")]
pub struct UnknownTenantStatus;

impl TenantStatus {
    /// Every status.
    pub const ALL: [Self; 3] = [Self::Active, Self::Archived, Self::Purged];

    /// The word on the wire and in the table.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Archived => "archived",
            Self::Purged => "purged",
        }
    }

    /// The allowed changes: only what was archived can be purged, and purging has no way back.
    pub fn can_become(self, next: Self) -> bool {
        matches!((self, next), (Self::Active, Self::Archived) | (Self::Archived, Self::Active | Self::Purged))
    }
}

impl FromStr for TenantStatus {
    type Err = UnknownTenantStatus;

    fn from_str(text: &str) -> Result<Self, UnknownTenantStatus> {
        Self::ALL.into_iter().find(|status| status.as_str() == text).ok_or(UnknownTenantStatus)
    }
}
