//! The keys that the operator configured: those with a setting of their own, and the list.

use std::sync::Arc;

use domain::networks::IpNetwork;
use domain::{Scope, TemplateSelector, TenantId};
use jiff::Timestamp;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// A key of the configuration and what it is for.
#[derive(Clone, Debug)]
pub struct ConfiguredKey {
    /// What the audit log calls whoever uses it: `env:admin`, `apikey:json:<id>`.
    pub actor: String,
    /// What it may do.
    pub scope: Scope,
    /// Whose data it reaches.
    pub tenant: TenantId,
    /// How many requests a minute it may send; as many as the deployment lets any key send where it says nothing.
    pub requests_per_minute: Option<u32>,
    /// Until when it is accepted.
    pub expires_at: Option<Timestamp>,
    /// The only templates it reaches; empty means all.
    pub allowed_templates: Vec<TemplateSelector>,
    /// The only addresses it is accepted from; empty means all.
    pub allowed_ips: Vec<IpNetwork>,
}

/// The configured keys, kept as digests.
#[derive(Clone, Default)]
pub struct ConfiguredKeys(Arc<[([u8; 32], ConfiguredKey)]>);

impl ConfiguredKeys {
    /// Keeps the digests of `keys`.
    pub fn new(keys: impl IntoIterator<Item = (String, ConfiguredKey)>) -> Self {
        Self(keys.into_iter().map(|(text, key)| (Sha256::digest(text).into(), key)).collect())
    }

    /// The key of that text. Digests are compared in constant time and all of them always, so the time taken tells
    /// nothing about which key came close.
    pub(crate) fn find(&self, text: &[u8]) -> Option<&ConfiguredKey> {
        let digest = Sha256::digest(text);
        let mut found = None;
        for (known, key) in self.0.iter() {
            if bool::from(known[..].ct_eq(&digest[..])) {
                found = Some(key);
            }
        }
        found
    }
}
