//! What all signed tokens share: the strict encoding, the limits of time, and why one is refused.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jiff::{SignedDuration, Timestamp};

use crate::secrets::SignedWith;
use crate::tenants::TenantId;

/// How far the clocks of two replicas may be apart before a token of the one looks forged to the other.
pub const CLOCK_SKEW_SECONDS: i64 = 60;

/// A time as tokens carry it: what is finer than a millisecond is cut off.
pub fn in_milliseconds(time: Timestamp) -> Timestamp {
    Timestamp::from_millisecond(time.as_millisecond()).unwrap_or(time)
}

/// A token whose signature and times are good, and which secret vouches for it.
#[derive(Clone, PartialEq, Debug)]
pub struct Verified<T> {
    /// What the token says.
    pub token: T,
    /// The secret it was signed with.
    pub signed_with: SignedWith,
}

/// Why a token is refused. The text is for the operator's log; a client learns only that its token is not valid.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum TokenRefusal {
    /// Longer than any token this server makes; nothing of it was looked at.
    #[error("the token has {size_bytes} bytes; at most {limit_bytes} are read")]
    TooLong {
        /// Its length.
        size_bytes: usize,
        /// The longest that is read.
        limit_bytes: usize,
    },
    /// Not a token of this kind.
    #[error("the token is malformed: {0}")]
    Malformed(#[from] TokenFlaw),
    /// No known secret signed it: tampered with, or of another installation, or of a secret that is gone.
    #[error("the token's signature fits none of the {secrets} configured secrets")]
    BadSignature {
        /// How many secrets were tried.
        secrets: usize,
    },
    /// Truly signed, and not valid at this moment.
    #[error("the token of {holder:?} in tenant {tenant}, signed with {signed_with:?}, {why}")]
    Time {
        /// Whom it was made out to.
        holder: Box<str>,
        /// Of which tenant.
        tenant: TenantId,
        /// The secret it was signed with.
        signed_with: SignedWith,
        /// What is wrong with its times.
        why: TimeRefusal,
    },
}

/// What keeps a text from being a token.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum TokenFlaw {
    /// Too few or too many parts.
    #[error("it has {found} parts between dots instead of {expected}")]
    Parts {
        /// Parts of such a token.
        expected: usize,
        /// Parts of this one.
        found: usize,
    },
    /// A part is not base64url: a foreign character, padding, or leftover bits that are not zero.
    #[error("its part {part} is not canonical base64url without padding")]
    Base64 {
        /// The name of the part.
        part: &'static str,
    },
    /// The first part names another kind or generation of tokens.
    #[error("it does not begin with {expected:?}")]
    Kind {
        /// How this kind begins.
        expected: &'static str,
    },
    /// Truly signed, but the content is nothing this version makes: it may be of a newer one, with limits unknown here.
    #[error("its part {part} was signed but cannot be read: {reason}")]
    Content {
        /// The name of the part.
        part: &'static str,
        /// What is wrong there.
        reason: Box<str>,
    },
    /// Truly signed, but not spelled as this server spells that content.
    #[error("it was signed but is not spelled as this server spells it")]
    Spelling,
}

/// What is wrong with the times of a token.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum TimeRefusal {
    /// Its life is over.
    #[error("expired at {expired_at}, {} seconds ago", since.as_secs())]
    Expired {
        /// The first moment at which it was not valid.
        expired_at: Timestamp,
        /// How long ago that was.
        since: SignedDuration,
    },
    /// Issued later than now, by more than clocks may differ ([`CLOCK_SKEW_SECONDS`]).
    #[error("says it was issued at {issued_at}, {} seconds from now", ahead.as_secs())]
    IssuedInTheFuture {
        /// What it says.
        issued_at: Timestamp,
        /// How far ahead of this server's clock that is.
        ahead: SignedDuration,
    },
    /// Issued before everything older was declared void.
    #[error("was issued at {issued_at}, before the cut-over at {cut_over}")]
    BeforeCutOver {
        /// What it says.
        issued_at: Timestamp,
        /// The first moment of which tokens are accepted.
        cut_over: Timestamp,
    },
    /// Lives longer than this server lets any token live, or not at all.
    #[error("lives {life_seconds} seconds; accepted: 1–{longest_seconds}")]
    Life {
        /// From issue to expiry.
        life_seconds: i64,
        /// The longest accepted.
        longest_seconds: i64,
    },
}

/// Why no token can be made.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum MintRefusal {
    /// It would be longer than this server reads: too many selectors, or too much fixed data.
    #[error("the token would have {size_bytes} bytes; at most {limit_bytes} are accepted")]
    TooLong {
        /// Its length.
        size_bytes: usize,
        /// The longest that is read.
        limit_bytes: usize,
    },
    /// It would live too long or not at all, or its times are before 1970.
    #[error("the token {0}")]
    Time(TimeRefusal),
    /// A value in it is outside its limits.
    #[error("the token's {field} is not acceptable: {reason}")]
    Content {
        /// The name of the value.
        field: &'static str,
        /// What would be accepted.
        reason: Box<str>,
    },
}

/// The times of a token, as signed.
#[derive(Clone, Copy)]
pub(crate) struct Life {
    pub issued_at: Timestamp,
    pub expires_at: Timestamp,
    pub longest_seconds: i64,
}

impl Life {
    /// Whether such a token may exist at all.
    pub fn check_length(self) -> Result<(), TimeRefusal> {
        let life = self.expires_at.duration_since(self.issued_at);
        let longest = SignedDuration::from_secs(self.longest_seconds);
        if life > SignedDuration::ZERO && life <= longest {
            Ok(())
        } else {
            Err(TimeRefusal::Life { life_seconds: life.as_secs(), longest_seconds: self.longest_seconds })
        }
    }

    /// Whether it is valid at `now`; tokens issued before `issued_after` are not.
    pub fn check_at(self, now: Timestamp, issued_after: Option<Timestamp>) -> Result<(), TimeRefusal> {
        self.check_length()?;
        let Self { issued_at, expires_at, .. } = self;
        let ahead = issued_at.duration_since(now);
        if ahead > SignedDuration::from_secs(CLOCK_SKEW_SECONDS) {
            return Err(TimeRefusal::IssuedInTheFuture { issued_at, ahead });
        }
        if let Some(cut_over) = issued_after.filter(|cut_over| issued_at < *cut_over) {
            return Err(TimeRefusal::BeforeCutOver { issued_at, cut_over });
        }
        if now >= expires_at {
            return Err(TimeRefusal::Expired { expired_at: expires_at, since: now.duration_since(expires_at) });
        }
        Ok(())
    }
}

/// Base64url without padding (RFC 4648 §5).
pub(crate) fn encode(bytes: impl AsRef<[u8]>) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

/// Accepts exactly what [`encode`] makes: bits beyond the last byte must be zero, or one token had several spellings.
pub(crate) fn decode(text: &str, part: &'static str) -> Result<Vec<u8>, TokenFlaw> {
    BASE64_URL_SAFE_NO_PAD.decode(text).map_err(|_| TokenFlaw::Base64 { part })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64url_has_one_spelling_for_each_content() {
        assert_eq!(decode("_-8", "x"), Ok(vec![0xff, 0xef]));
        for text in ["_-9", "/+8", "_-8=", "_-8\n", " _-8", "_-8A_", "A"] {
            assert_eq!(decode(text, "x"), Err(TokenFlaw::Base64 { part: "x" }), "{text:?}");
        }
    }

    #[test]
    fn every_edge_of_a_life_is_where_the_limits_say() {
        let at = |seconds| Timestamp::from_second(1_800_000_000 + seconds).unwrap();
        let check = |issued, expires, now, cut: Option<i64>| {
            Life { issued_at: at(issued), expires_at: at(expires), longest_seconds: 100 }.check_at(at(now), cut.map(at)).err()
        };
        assert_eq!(check(0, 100, 99, Some(0)), None);
        assert_eq!(check(60, 100, 0, None), None, "a clock that is 60 s behind");
        assert!(matches!(check(61, 100, 0, None), Some(TimeRefusal::IssuedInTheFuture { ahead, .. }) if ahead.as_secs() == 61));
        assert!(matches!(check(0, 100, 100, None), Some(TimeRefusal::Expired { since, .. }) if since.is_zero()));
        assert!(matches!(check(0, 100, 50, Some(1)), Some(TimeRefusal::BeforeCutOver { .. })));
        assert!(matches!(check(0, 101, 50, None), Some(TimeRefusal::Life { life_seconds: 101, .. })));
        assert!(matches!(check(50, 50, 0, None), Some(TimeRefusal::Life { life_seconds: 0, .. })));
        assert!(matches!(check(50, 40, 0, None), Some(TimeRefusal::Life { life_seconds: -10, .. })));
    }
}
