//! The pepper of an installation: the secret under which the keys of people and programs are kept.
//!
//! A stored key is HMAC-SHA256(pepper, key). Keys made here have 256 random bits, so that their hash alone already tells
//! nothing; keys that people choose may be weak, and for those the pepper decides. Where it lies in the same database as
//! the hashes, it protects against whoever sees the hashes alone (a log of statements, one table of a dump, an index)
//! and not against whoever has the whole database. Against those, only a pepper from outside it helps.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// The secret under which keys are kept. It is never shown, not in `Debug` either.
#[derive(Clone)]
pub struct Pepper(Hmac<Sha256>);

/// The text is too short for a pepper.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("a pepper has at least {} bytes", Pepper::MIN_BYTES)]
pub struct WeakPepper;

impl Pepper {
    /// The shortest pepper of an operator's own, in bytes.
    pub const MIN_BYTES: usize = 32;

    /// The pepper that an operator configured, at least [`Pepper::MIN_BYTES`] long.
    pub fn new(text: &str) -> Result<Self, WeakPepper> {
        if text.len() < Self::MIN_BYTES { Err(WeakPepper) } else { Ok(Self::from_random(Sha256::digest(text).into())) }
    }

    /// A pepper of 32 bytes from the system's random source.
    pub fn from_random(bytes: [u8; 32]) -> Self {
        let mut block = [0; 64];
        block[..32].copy_from_slice(&bytes);
        Self(Hmac::new(&block.into()))
    }

    /// How a key is kept.
    pub fn mac(&self, key: &str) -> KeyMac {
        self.keyed(b"key:", key.as_bytes())
    }

    /// A value that tells whether two processes have the same pepper, and nothing else about it.
    pub fn fingerprint(&self) -> KeyMac {
        self.keyed(b"fingerprint:", b"1")
    }

    fn keyed(&self, purpose: &[u8], text: &[u8]) -> KeyMac {
        let mut mac = self.0.clone();
        mac.update(purpose);
        mac.update(text);
        KeyMac(mac.finalize().into_bytes().into())
    }
}

impl fmt::Debug for Pepper {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Pepper(hidden)")
    }
}

/// A key as it is kept. Two are compared in constant time.
#[derive(Clone, Copy)]
pub struct KeyMac([u8; 32]);

impl KeyMac {
    /// The bytes as they are stored.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl From<[u8; 32]> for KeyMac {
    fn from(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl PartialEq for KeyMac {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for KeyMac {}

impl fmt::Debug for KeyMac {
    /// Leaves the bytes out: with the pepper they would allow guesses.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("KeyMac(hidden)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_key_is_kept_differently_under_another_pepper_and_nothing_shows_in_debug() {
        let (one, other) = (Pepper::from_random([1; 32]), Pepper::from_random([2; 32]));
        assert_eq!(one.mac("a key"), Pepper::from_random([1; 32]).mac("a key"));
        assert_ne!(one.mac("a key"), other.mac("a key"));
        assert_ne!(one.mac("a key"), one.mac("a key "));
        assert_ne!(one.mac("1"), one.fingerprint());
        assert_ne!(one.fingerprint(), other.fingerprint());
        assert_eq!(format!("{one:?} {:?}", one.mac("a key")), "Pepper(hidden) KeyMac(hidden)");
    }

    #[test]
    fn a_short_pepper_is_refused() {
        assert_eq!(Pepper::new(&"x".repeat(31)).unwrap_err(), WeakPepper);
        assert_eq!(Pepper::new(&"x".repeat(32)).unwrap().mac("k"), Pepper::new(&"x".repeat(32)).unwrap().mac("k"));
    }
}
