//! Why bytes were not taken.

use std::io;

use crate::media_type::MediaType;

/// Why bytes were not taken. The sentences are for the person who uploaded them.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// The bytes are of no accepted type; the contract's `unsupported_media_type`.
    #[error("{found} is not accepted; accepted are PNG, JPEG, GIF, WebP, AVIF, SVG, TTF, OTF, WOFF, WOFF2 and PDF")]
    Unsupported {
        /// What the bytes look like.
        found: &'static str,
    },
    /// The declared type or the ending of the file's name says one thing and the bytes another; the contract's `asset_mime_mismatch`.
    #[error("the file is declared as {declared}, and its bytes are {found}")]
    Mismatch {
        /// The declared type, or the ending of the name with its dot; at most 60 characters.
        declared: String,
        /// What the bytes are.
        found: &'static str,
    },
    /// The bytes begin as the type does and then break its rules.
    #[error("the file begins as {found} and is broken: {why}")]
    Broken {
        /// What the bytes begin as.
        found: MediaType,
        /// The rule that is broken, and where.
        why: String,
    },
    /// A valid file with something of another kind in it or behind it.
    #[error("the file is {found} and carries something else: {why}")]
    Foreign {
        /// What the bytes begin as.
        found: MediaType,
        /// What else there is, and where.
        why: String,
    },
    /// Something in the file is larger than the limit.
    #[error("the file is {found} with {value} {what}; at most {limit} are accepted")]
    TooLarge {
        /// What the bytes begin as.
        found: MediaType,
        /// What there is too much of, in the plural: "pixels", "bytes".
        what: &'static str,
        /// How much the file has or declares.
        value: u64,
        /// How much is accepted.
        limit: u64,
    },
    /// The bytes could not be read.
    #[error("the file could not be read: {0}")]
    Read(#[from] io::Error),
}

pub(crate) fn broken(found: MediaType, why: impl Into<String>) -> Refusal {
    Refusal::Broken { found, why: why.into() }
}

pub(crate) fn foreign(found: MediaType, why: impl Into<String>) -> Refusal {
    Refusal::Foreign { found, why: why.into() }
}

pub(crate) fn at_most(found: MediaType, what: &'static str, value: u64, limit: u64) -> Result<(), Refusal> {
    if value > limit { Err(Refusal::TooLarge { found, what, value, limit }) } else { Ok(()) }
}
