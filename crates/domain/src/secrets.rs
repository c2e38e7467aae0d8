//! The secrets that tokens are signed with: HMAC-SHA256, one secret that signs, earlier ones that only verify.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

/// Bytes of SHA-256's block: HMAC keys up to this length are used as they are, longer ones are hashed first (RFC 2104).
const BLOCK_BYTES: usize = 64;

/// What a derived secret is made for; a change of the derivation gets a new word, so that old and new never meet.
const DERIVATION: &str = "pulp-engine: token secret from API keys, 1";

/// One secret that signs and verifies. It is never shown, not in `Debug` either.
#[derive(Clone)]
pub struct Secret(Hmac<Sha256>);

/// The secret has no characters: anybody could sign with it.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("the secret is empty")]
pub struct EmptySecret;

impl Secret {
    /// The secret that an operator configured, of any length but zero.
    pub fn new(text: &str) -> Result<Self, EmptySecret> {
        if text.is_empty() { Err(EmptySecret) } else { Ok(Self::keyed(text.as_bytes())) }
    }

    /// A secret of this process alone, from 32 bytes of the system's random source.
    pub fn from_random(bytes: [u8; 32]) -> Self {
        Self::keyed(&bytes)
    }

    /// The secret of an installation that configured keys and no secret of its own: the same on every replica with the
    /// same keys, in whatever order they are listed. Keys of other scopes above editor belong among the admin's.
    ///
    /// Whoever knows all of these keys can sign. None without an admin key: otherwise who holds the editor key
    /// alone could sign tokens of an admin.
    pub fn derived_from_keys(admin: &[&str], editor: &[&str]) -> Option<Self> {
        let in_order = |keys: &[&str]| {
            let mut keys: Vec<_> = keys.iter().filter(|key| !key.is_empty()).map(|key| (*key).to_owned()).collect();
            keys.sort_unstable();
            keys.dedup();
            keys
        };
        let (admin, editor) = (in_order(admin), in_order(editor));
        if admin.is_empty() {
            return None;
        }
        let mut mac = Self::keyed(DERIVATION.as_bytes()).0;
        for (scope, keys) in [("admin", &admin), ("editor", &editor)] {
            for key in keys {
                // The length keeps one long key apart from two short ones.
                mac.update(format!("{scope}:{}:{key}\n", key.len()).as_bytes());
            }
        }
        Some(Self::keyed(&mac.finalize().into_bytes()))
    }

    /// This secret together with one that only this installation has: whoever knows the first alone can sign nothing.
    #[must_use]
    pub fn bound_to(&self, installation: &[u8; 32]) -> Self {
        Self::keyed(&self.sign(&[b"pulp-engine: bound to the installation, 1", installation]))
    }

    fn keyed(secret: &[u8]) -> Self {
        let mut block = [0; BLOCK_BYTES];
        if secret.len() > BLOCK_BYTES {
            block[..32].copy_from_slice(&Sha256::digest(secret));
        } else {
            block[..secret.len()].copy_from_slice(secret);
        }
        Self(Hmac::new(&block.into()))
    }

    fn mac(&self, parts: &[&[u8]]) -> Hmac<Sha256> {
        let mut mac = self.0.clone();
        for part in parts {
            mac.update(part);
        }
        mac
    }

    /// The signature of these bytes, one after the other.
    pub(crate) fn sign(&self, parts: &[&[u8]]) -> [u8; 32] {
        self.mac(parts).finalize().into_bytes().into()
    }

    /// Compares in constant time.
    fn signed(&self, parts: &[&[u8]], signature: &[u8]) -> bool {
        self.mac(parts).verify_slice(signature).is_ok()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Secret(hidden)")
    }
}

/// The secret that signs, and those that tokens already handed out may still be signed with.
#[derive(Clone, Debug)]
pub struct Secrets {
    /// Signs and verifies.
    pub current: Secret,
    /// Verify only, while their tokens live.
    pub previous: Vec<Secret>,
}

/// The configured keys of one scope.
#[derive(Clone, Copy, Default)]
pub struct RolledKeys<'a> {
    /// The keys in use.
    pub current: &'a [&'a str],
    /// Keys of before (`*_PREVIOUS`), each of which was once in the place of one of the current, or beside them.
    pub previous: &'a [&'a str],
}

impl<'a> RolledKeys<'a> {
    /// The keys as they are, then as they can have been before one of them was exchanged or taken away.
    fn generations(self) -> Vec<Vec<&'a str>> {
        let mut generations = vec![self.current.to_vec()];
        for before in self.previous.iter().filter(|key| !key.is_empty()) {
            for place in 0..self.current.len() {
                let mut keys = self.current.to_vec();
                keys[place] = before;
                generations.push(keys);
            }
            let beside = self.current.iter().copied().chain([*before]);
            generations.push(beside.collect());
        }
        generations
    }
}

/// Which secret a token was signed with; tells the operator when a previous one may go.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SignedWith {
    /// The one that signs today.
    Current,
    /// One that only verifies.
    Previous {
        /// Its place among the previous ones, from 0.
        position: usize,
    },
}

impl Secrets {
    /// The secrets of an installation that configured keys and no secret: see [`Secret::derived_from_keys`].
    /// The keys of two scopes are seldom exchanged at the same moment, so every combination of before verifies. Their number
    /// grows with each key: pass the few of the environment, not lists, which change too often to sign anything.
    pub fn derived_from_keys(admin: RolledKeys<'_>, editor: RolledKeys<'_>) -> Option<Self> {
        let current = Secret::derived_from_keys(admin.current, editor.current)?;
        let editors = editor.generations();
        let mut previous = Vec::new();
        for (age, admins) in admin.generations().iter().enumerate() {
            for editors in editors.iter().skip(usize::from(age == 0)) {
                previous.extend(Secret::derived_from_keys(admins, editors));
            }
        }
        Some(Self { current, previous })
    }

    /// See [`Secret::bound_to`].
    #[must_use]
    pub fn bound_to(&self, installation: &[u8; 32]) -> Self {
        let previous = self.previous.iter().map(|secret| secret.bound_to(installation)).collect();
        Self { current: self.current.bound_to(installation), previous }
    }

    /// Which of the secrets signed these bytes, one after the other.
    pub(crate) fn verify(&self, parts: &[&[u8]], signature: &[u8]) -> Option<SignedWith> {
        if self.current.signed(parts, signature) {
            return Some(SignedWith::Current);
        }
        let position = self.previous.iter().position(|secret| secret.signed(parts, signature))?;
        Some(SignedWith::Previous { position })
    }

    /// How many secrets verify.
    pub fn count(&self) -> usize {
        1 + self.previous.len()
    }
}

impl From<Secret> for Secrets {
    fn from(current: Secret) -> Self {
        Self { current, previous: Vec::new() }
    }
}

impl fmt::Debug for RolledKeys<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "RolledKeys({} current, {} previous)", self.current.len(), self.previous.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn derived(admin: &[&str], editor: &[&str]) -> String {
        hex::encode(Secret::derived_from_keys(admin, editor).unwrap().sign(&[b"x"]))
    }

    #[test]
    fn signatures_are_the_hmac_sha256_of_the_published_vectors() {
        // RFC 4231, cases 2 (short key) and 6 (a key longer than a block).
        let short = Secret::new("Jefe").unwrap().sign(&[b"what do ya want ", b"for nothing?"]);
        assert_eq!(hex::encode(short), "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
        let long = Secret::keyed(&[0xaa; 131]).sign(&[b"Test Using Larger Than Block-Size Key - Hash Key First"]);
        assert_eq!(hex::encode(long), "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
    }

    #[test]
    fn a_secret_is_never_shown_and_never_empty() {
        assert_eq!(format!("{:?}", Secrets::from(Secret::new("hush").unwrap())), "Secrets { current: Secret(hidden), previous: [] }");
        let keys = RolledKeys { current: &["hush"], previous: &[] };
        assert!(!format!("{keys:?}").contains("hush"));
        assert_eq!(Secret::new("").unwrap_err(), EmptySecret);
        assert!(Secret::derived_from_keys(&[], &[]).is_none());
        assert!(Secret::derived_from_keys(&["", ""], &["editor key"]).is_none(), "the editor's key alone must not make an admin");
    }

    #[test]
    fn derived_secrets_depend_on_the_keys_and_their_scopes_and_not_on_their_order() {
        assert_eq!(derived(&["a", "b"], &["c"]), derived(&["b", "", "a", "b"], &["c"]));
        let all = [
            derived(&["a", "b"], &["c"]),
            derived(&["a", "c"], &["b"]),
            derived(&["ab"], &["c"]),
            derived(&["a"], &[]),
            derived(&["a\nadmin:1:b"], &[]),
            derived(&["a", "b"], &[]),
        ];
        for (index, one) in all.iter().enumerate() {
            assert!(!all[..index].contains(one), "{index}");
        }
    }

    #[test]
    fn tokens_of_every_combination_of_rolled_keys_still_verify() {
        let keys = |current, previous| RolledKeys { current, previous };
        let now = Secrets::derived_from_keys(keys(&["admin2"], &["admin1"]), keys(&["editor2"], &["editor1"])).unwrap();
        assert_eq!(now.count(), 9);
        for (admin, editor) in [("admin1", "editor1"), ("admin2", "editor1"), ("admin1", "editor2")] {
            let signature = Secret::derived_from_keys(&[admin], &[editor]).unwrap().sign(&[b"x"]);
            assert!(matches!(now.verify(&[b"x"], &signature), Some(SignedWith::Previous { .. })), "{admin} {editor}");
        }
        let signature = now.current.sign(&[b"x"]);
        assert_eq!(now.verify(&[b"x"], &signature), Some(SignedWith::Current));
        assert_eq!(now.verify(&[b"y"], &signature), None);
        assert_eq!(now.verify(&[b"x"], &signature[..31]), None);
        assert_eq!(now.verify(&[b"x"], b""), None);
    }

    #[test]
    fn one_key_among_several_of_its_scope_can_be_rolled() {
        let admins = RolledKeys { current: &["admin2", "super"], previous: &["admin1"] };
        let removed = RolledKeys { current: &[], previous: &["editor1"] };
        let now = Secrets::derived_from_keys(admins, removed).unwrap();
        for (admins, editors) in
            [(&["admin1", "super"], &["editor1"][..]), (&["admin1", "super"], &[]), (&["admin2", "super"], &["editor1"])]
        {
            let signature = Secret::derived_from_keys(admins, editors).unwrap().sign(&[b"x"]);
            assert!(matches!(now.verify(&[b"x"], &signature), Some(SignedWith::Previous { .. })), "{admins:?} {editors:?}");
        }
        let forged = Secret::derived_from_keys(&["admin1"], &[]).unwrap().sign(&[b"x"]);
        assert_eq!(now.verify(&[b"x"], &forged), None, "who knew one of the keys never signed");
    }
}
