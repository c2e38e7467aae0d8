//! Split labels: which of two versions a caller gets, and why always the same one.

use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::labels::LabelName;
use crate::templates::TemplateKey;
use crate::tenants::TenantId;

/// Whether a label may lead to one of two versions.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Variants {
    /// It may not; one that was split before leads to its control.
    #[default]
    Off,
    /// It may.
    On,
}

/// How many of a hundred bucket keys get the label's own version, 0–100; the others get that of its control.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub struct TrafficSplit(u8);

/// The number is no percentage.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("a traffic split is a whole number of percent from 0 to 100")]
pub struct InvalidTrafficSplit;

impl TrafficSplit {
    /// The percentage.
    pub fn percent(self) -> u8 {
        self.0
    }

    /// Which of the two versions a bucket gets.
    pub fn variant_of(self, bucket: Bucket) -> Variant {
        if bucket.0 < self.0 { Variant::Variant } else { Variant::Control }
    }
}

impl TryFrom<u8> for TrafficSplit {
    type Error = InvalidTrafficSplit;

    fn try_from(percent: u8) -> Result<Self, InvalidTrafficSplit> {
        if percent <= 100 { Ok(Self(percent)) } else { Err(InvalidTrafficSplit) }
    }
}

impl From<TrafficSplit> for u8 {
    fn from(split: TrafficSplit) -> Self {
        split.0
    }
}

/// Which of the two versions of a split label was chosen.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Variant {
    /// That of the control.
    Control,
    /// The label's own.
    Variant,
}

impl Variant {
    /// The word for it in answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Control => "control",
            Self::Variant => "variant",
        }
    }
}

/// What a caller wants the same version for, each time: a customer's number, say. 1–256 characters.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct BucketKey(Box<str>);

/// The text is no bucket key.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("a bucket key is text of 1–256 characters, such as the number of a customer")]
pub struct InvalidBucketKey;

impl BucketKey {
    /// The key as its caller wrote it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for BucketKey {
    type Err = InvalidBucketKey;

    fn from_str(text: &str) -> Result<Self, InvalidBucketKey> {
        if text.is_empty() || text.chars().count() > 256 { Err(InvalidBucketKey) } else { Ok(Self(text.into())) }
    }
}

/// One of a hundred places, 0–99, that a bucket key falls into.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Bucket(u8);

impl Bucket {
    /// The place of a key at a label: the same on every replica, at every time and in every release, and independent of
    /// the place that the key has at another label or template.
    pub fn of(tenant: &TenantId, template: &TemplateKey, label: &LabelName, key: &BucketKey) -> Self {
        let mut hash = Sha256::new();
        for part in ["pulp-bucket-1", tenant.as_str(), template.as_str(), label.as_str(), &key.0] {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part.as_bytes());
        }
        let first = hash.finalize().iter().take(8).fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
        Self(u8::try_from(first % 100).unwrap_or(0))
    }

    /// The number of the place.
    pub fn number(self) -> u8 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bucket(label: &str, key: &str) -> Bucket {
        let (template, label) = ("invoice".parse().unwrap(), label.parse().unwrap());
        Bucket::of(&TenantId::default_tenant(), &template, &label, &key.parse().unwrap())
    }

    #[test]
    fn of_ten_thousand_keys_thirty_in_a_hundred_get_the_variant_and_each_always_the_same() {
        let split = TrafficSplit::try_from(30).unwrap();
        let variants = (0..10_000).filter(|n| split.variant_of(bucket("prod", &format!("customer-{n}"))) == Variant::Variant).count();
        assert!((2_700..=3_300).contains(&variants), "{variants}");
        // What a release answered once it answers for ever: a customer must not change over with an update of the server.
        assert_eq!([bucket("prod", "a").number(), bucket("prod", "b").number(), bucket("beta", "a").number()], PINNED);
    }

    const PINNED: [u8; 3] = [66, 76, 85];

    #[test]
    fn a_split_of_nought_and_of_a_hundred_leaves_no_choice() {
        for key in 0..200 {
            let bucket = bucket("prod", &key.to_string());
            assert_eq!(TrafficSplit::try_from(0).unwrap().variant_of(bucket), Variant::Control);
            assert_eq!(TrafficSplit::try_from(100).unwrap().variant_of(bucket), Variant::Variant);
        }
        assert!(TrafficSplit::try_from(101).is_err());
    }
}
