//! API keys of a tenant: their text, and when one lets its holder in.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jiff::Timestamp;

use crate::networks::IpNetwork;
use crate::peppers::KeyMac;

const PREFIX: &str = "pulp_";
const LOOKUP_CHARS: usize = 22;
const SECRET_CHARS: usize = 43;
const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// The public part of a key, by which it is found: 22 characters of `0-9`, `A-Z` and `a-z`. It stays when the key is rotated.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct ApiKeyLookup(Box<str>);

/// The text of a key: `pulp_<lookup>_<secret>`, the secret being 32 bytes in base64url. It is shown once and never kept.
#[derive(Clone)]
pub struct ApiKeyText {
    text: Box<str>,
}

/// The text is not a key of this kind.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("not an API key of the form pulp_<22 letters and digits>_<43 characters of base64url>")]
pub struct InvalidApiKey;

impl ApiKeyText {
    /// Random bytes that a new key is made of.
    pub const RANDOM_BYTES: usize = 48;
    /// Characters at the end of a key that stay visible, to tell keys apart.
    pub const HINT_CHARS: usize = 4;
    /// The longest time that a rotated key still works, in seconds: 30 days.
    pub const MAX_OVERLAP_SECONDS: u32 = 30 * 24 * 3600;

    /// A new key from bytes of the system's random source: 16 for the lookup, 32 for the secret.
    pub fn generate(random: [u8; Self::RANDOM_BYTES]) -> Self {
        let (mut id, mut secret) = ([0; 16], [0; 32]);
        id.copy_from_slice(&random[..16]);
        secret.copy_from_slice(&random[16..]);
        Self::assemble(&base62(u128::from_be_bytes(id)), secret)
    }

    /// The next key of a rotation: the same lookup, another secret from the system's random source.
    pub fn rotated(lookup: &ApiKeyLookup, secret: [u8; 32]) -> Self {
        Self::assemble(lookup.as_str(), secret)
    }

    fn assemble(lookup: &str, secret: [u8; 32]) -> Self {
        Self { text: format!("{PREFIX}{lookup}_{}", BASE64_URL_SAFE_NO_PAD.encode(secret)).into() }
    }

    /// The part by which it is found.
    pub fn lookup(&self) -> ApiKeyLookup {
        ApiKeyLookup(self.text[PREFIX.len()..PREFIX.len() + LOOKUP_CHARS].into())
    }

    /// The last characters, to tell keys apart.
    pub fn hint(&self) -> &str {
        &self.text[self.text.len() - Self::HINT_CHARS..]
    }

    /// The whole key, for the answer to whoever made it and for its MAC.
    pub fn reveal(&self) -> &str {
        &self.text
    }
}

impl FromStr for ApiKeyText {
    type Err = InvalidApiKey;

    /// Accepts exactly what is made here: every key has one spelling.
    fn from_str(text: &str) -> Result<Self, InvalidApiKey> {
        let rest = text.strip_prefix(PREFIX).ok_or(InvalidApiKey)?;
        let (lookup, secret) = rest.split_once('_').ok_or(InvalidApiKey)?;
        lookup.parse::<ApiKeyLookup>()?;
        // Leftover bits that are not zero would be a second spelling.
        let decodes = secret.len() == SECRET_CHARS && BASE64_URL_SAFE_NO_PAD.decode(secret).is_ok();
        if decodes { Ok(Self { text: text.into() }) } else { Err(InvalidApiKey) }
    }
}

impl fmt::Debug for ApiKeyText {
    /// Only what is no secret.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "ApiKeyText({PREFIX}{}_…{})", self.lookup(), self.hint())
    }
}

impl ApiKeyLookup {
    /// The characters.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ApiKeyLookup {
    type Err = InvalidApiKey;

    fn from_str(text: &str) -> Result<Self, InvalidApiKey> {
        let fits = text.len() == LOOKUP_CHARS && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
        if fits { Ok(Self(text.into())) } else { Err(InvalidApiKey) }
    }
}

impl fmt::Display for ApiKeyLookup {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

fn base62(mut number: u128) -> String {
    let mut digits = [b'0'; LOOKUP_CHARS];
    for digit in digits.iter_mut().rev() {
        // Less than 62, whatever the number.
        *digit = BASE62[usize::try_from(number % 62).unwrap_or(0)];
        number /= 62;
    }
    digits.iter().map(|digit| char::from(*digit)).collect()
}

/// What decides whether a key lets its holder in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiKeyRules {
    /// The key in use.
    pub current: KeyMac,
    /// The key before the last rotation, and the first moment at which it does not work any more.
    pub previous: Option<(KeyMac, Timestamp)>,
    /// The first moment at which the key does not work any more.
    pub expires_at: Option<Timestamp>,
    /// Since when it is withdrawn.
    pub revoked_at: Option<Timestamp>,
    /// Where it may be used from; anywhere when there are none.
    pub allowed_ips: Vec<IpNetwork>,
}

/// Which of the two keys of a rotation was shown; tells the operator when the old one is still in use.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ApiKeyGeneration {
    /// The one in use.
    Current,
    /// The one before the last rotation, within its overlap.
    Previous {
        /// When it stops.
        until: Timestamp,
    },
}

/// Why a key does not let its holder in. All but the first are known only to who holds the key itself.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ApiKeyRefusal {
    /// The lookup is known and the secret is not the key's.
    #[error("the secret is not that of the key")]
    WrongSecret,
    /// It was rotated and its overlap is over.
    #[error("the key was rotated and stopped working at {until}")]
    Rotated {
        /// The first moment at which it did not work.
        until: Timestamp,
    },
    /// It was withdrawn.
    #[error("the key was revoked at {at}")]
    Revoked {
        /// Since when.
        at: Timestamp,
    },
    /// Its life is over.
    #[error("the key expired at {at}")]
    Expired {
        /// The first moment at which it did not work.
        at: Timestamp,
    },
    /// It may not be used from there, or where the request comes from is not known.
    #[error("the key may not be used from {}", .address.map_or_else(|| "an unknown address".to_owned(), |address| address.to_string()))]
    Address {
        /// Where the request comes from.
        address: Option<IpAddr>,
    },
}

impl ApiKeyRules {
    /// Whether the key that was shown lets its holder in at `now` from `address`. Its secret is judged first, so that nobody
    /// without it learns anything about the key.
    pub fn judge(&self, shown: &KeyMac, now: Timestamp, address: Option<IpAddr>) -> Result<ApiKeyGeneration, ApiKeyRefusal> {
        // Both comparisons in every case: the time taken does not tell which one fits.
        let (is_current, is_previous) = (self.current == *shown, self.previous.filter(|(previous, _)| previous == shown));
        let generation = match (is_current, is_previous) {
            (true, _) => ApiKeyGeneration::Current,
            (false, Some((_, until))) => ApiKeyGeneration::Previous { until },
            (false, None) => return Err(ApiKeyRefusal::WrongSecret),
        };
        if let ApiKeyGeneration::Previous { until } = generation
            && self.revoked_at.is_none()
            && now >= until
        {
            return Err(ApiKeyRefusal::Rotated { until });
        }
        self.judge_bearer(now, address)?;
        Ok(generation)
    }

    /// Whether what was exchanged for the key, such as a token, still lets its bearer in: the same without the secret.
    pub fn judge_bearer(&self, now: Timestamp, address: Option<IpAddr>) -> Result<(), ApiKeyRefusal> {
        if let Some(at) = self.revoked_at {
            return Err(ApiKeyRefusal::Revoked { at });
        }
        if let Some(at) = self.expires_at.filter(|at| now >= *at) {
            return Err(ApiKeyRefusal::Expired { at });
        }
        let reaches = |address: IpAddr| self.allowed_ips.iter().any(|network| network.contains(address));
        if !self.allowed_ips.is_empty() && !address.is_some_and(reaches) {
            return Err(ApiKeyRefusal::Address { address });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peppers::Pepper;

    fn random() -> [u8; ApiKeyText::RANDOM_BYTES] {
        std::array::from_fn(|index| u8::try_from(index * 5).unwrap())
    }

    #[test]
    fn a_key_is_found_by_its_lookup_and_has_one_spelling() {
        let key = ApiKeyText::generate(random());
        let text = key.reveal();
        assert_eq!(text.len(), 5 + 22 + 1 + 43);
        assert_eq!(text.parse::<ApiKeyText>().unwrap().lookup(), key.lookup());
        assert!(text.ends_with(key.hint()) && !format!("{key:?}").contains(&text[30..66]));
        let last = text.len() - 1;
        let other_bits = format!("{}{}", &text[..last], char::from(text.as_bytes()[last] + 1));
        for wrong in [
            "",
            "pulp_",
            &text[..last],
            &text.to_uppercase(),
            &format!("{text}="),
            &format!(" {text}"),
            &format!("{text}\n"),
            &text.replacen('_', "-", 1),
            &text.replacen("pulp_", "pulp__", 1),
            &other_bits,
        ] {
            assert_eq!(wrong.parse::<ApiKeyText>().unwrap_err(), InvalidApiKey, "{wrong:?}");
        }
    }

    #[test]
    fn the_ends_of_the_random_range_make_lookups_of_the_same_length() {
        assert_eq!(ApiKeyText::generate([0; 48]).lookup().as_str(), "0".repeat(22));
        assert_eq!(ApiKeyText::generate([255; 48]).lookup().as_str(), "7n42DGM5Tflk9n8mt7Fhc7");
    }

    #[test]
    fn a_rotation_keeps_the_lookup_and_changes_the_secret() {
        let old = ApiKeyText::generate(random());
        let new = ApiKeyText::rotated(&old.lookup(), [9; 32]);
        assert_eq!(new.lookup(), old.lookup());
        assert_ne!(new.reveal(), old.reveal());
        assert!(new.reveal().parse::<ApiKeyText>().is_ok());
    }

    #[test]
    fn every_rule_refuses_by_itself_and_only_who_holds_the_key_learns_which() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let pepper = Pepper::from_random([7; 32]);
        let (current, previous, wrong) = (pepper.mac("current"), pepper.mac("previous"), pepper.mac("wrong"));
        let open = ApiKeyRules { current, previous: Some((previous, at(200))), expires_at: None, revoked_at: None, allowed_ips: vec![] };
        let judge = |rules: &ApiKeyRules, shown, now, address: Option<&str>| {
            rules.judge(shown, at(now), address.map(|address| address.parse().unwrap()))
        };
        assert_eq!(judge(&open, &current, 100, None), Ok(ApiKeyGeneration::Current));
        assert_eq!(judge(&open, &previous, 199, None), Ok(ApiKeyGeneration::Previous { until: at(200) }));
        assert_eq!(judge(&open, &previous, 200, None), Err(ApiKeyRefusal::Rotated { until: at(200) }));
        assert_eq!(judge(&open, &current, 200, None), Ok(ApiKeyGeneration::Current));

        let closed = ApiKeyRules { expires_at: Some(at(50)), revoked_at: Some(at(40)), ..open.clone() };
        assert_eq!(judge(&closed, &wrong, 100, None), Err(ApiKeyRefusal::WrongSecret));
        assert_eq!(judge(&closed, &current, 10, None), Err(ApiKeyRefusal::Revoked { at: at(40) }));
        let expired = ApiKeyRules { revoked_at: None, ..closed };
        assert_eq!(judge(&expired, &current, 49, None), Ok(ApiKeyGeneration::Current));
        assert_eq!(judge(&expired, &current, 50, None), Err(ApiKeyRefusal::Expired { at: at(50) }));

        let local = ApiKeyRules { allowed_ips: vec!["10.0.0.0/8".parse().unwrap()], ..open };
        assert_eq!(judge(&local, &current, 0, Some("10.1.2.3")), Ok(ApiKeyGeneration::Current));
        for address in [Some("11.1.2.3"), None] {
            assert!(matches!(judge(&local, &current, 0, address), Err(ApiKeyRefusal::Address { .. })), "{address:?}");
        }
    }
}
