//! Datasets: data that was uploaded to be rendered from a while later.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};
use uuid::Uuid;

use crate::issues::Issue;

/// What every id begins with.
const PREFIX: &str = "ds_";
/// The digits behind it.
const DIGITS: usize = 32;

/// Names one dataset: `ds_` and 32 hexadecimal digits, which nobody guesses.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct DatasetId(Uuid);

/// The text is not the id of a dataset.
#[derive(Clone, Copy, Debug, thiserror::Error, PartialEq, Eq)]
#[error("the id of a dataset is ds_ and 32 digits of 0-9 and a-f")]
pub struct InvalidDatasetId;

impl DatasetId {
    /// A new id. It sorts by the time it was made.
    pub fn generate() -> Self {
        Self(Uuid::now_v7())
    }

    /// The id as the database stores it.
    pub fn as_uuid(self) -> Uuid {
        self.0
    }
}

impl From<Uuid> for DatasetId {
    fn from(uuid: Uuid) -> Self {
        Self(uuid)
    }
}

impl fmt::Display for DatasetId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{PREFIX}{}", self.0.simple())
    }
}

impl FromStr for DatasetId {
    type Err = InvalidDatasetId;

    fn from_str(text: &str) -> Result<Self, InvalidDatasetId> {
        let digits = text.strip_prefix(PREFIX).ok_or(InvalidDatasetId)?;
        // One text for each id.
        let plain = digits.len() == DIGITS && digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        if plain { Uuid::try_parse(digits).map(Self).map_err(|_| InvalidDatasetId) } else { Err(InvalidDatasetId) }
    }
}

impl Serialize for DatasetId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// What the datasets of an installation may be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DatasetLimits {
    /// Bytes of one.
    pub max_bytes: u64,
    /// How many a tenant may have.
    pub most: u32,
    /// Bytes of all that a tenant has.
    pub most_bytes: u64,
    /// Seconds that one lives whose upload does not say.
    pub default_seconds: u32,
    /// Seconds that an upload may ask for.
    pub longest_seconds: u32,
}

impl Default for DatasetLimits {
    fn default() -> Self {
        Self { max_bytes: 20 << 20, most: 1_000, most_bytes: 1 << 30, default_seconds: 24 * 3600, longest_seconds: 7 * 24 * 3600 }
    }
}

impl DatasetLimits {
    /// How long a dataset lives, by what its upload asks for; `path` is where that stands.
    pub fn life_seconds(&self, asked: Option<&str>, path: &str) -> Result<u32, Issue> {
        let Some(asked) = asked else { return Ok(self.default_seconds) };
        let plain = asked.bytes().all(|byte| byte.is_ascii_digit());
        let seconds = asked.parse::<u32>().ok().filter(|seconds| plain && (1..=self.longest_seconds).contains(seconds));
        seconds.ok_or_else(|| Issue::new(path, format!("must be a number of seconds from 1 to {}", self.longest_seconds)))
    }
}

/// Which of its limits a tenant would go over.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum DatasetsFull {
    /// It has as many datasets as it may.
    #[error("this tenant has {most} datasets, as many as it may; remove some, or let them live shorter")]
    Number {
        /// So many.
        most: u32,
    },
    /// With one more they have too many bytes.
    #[error("with this one the datasets of this tenant would have more than {most_bytes} bytes; remove some, or let them live shorter")]
    Bytes {
        /// So many.
        most_bytes: u64,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_reads_back_from_its_text_and_from_no_other() {
        let id = DatasetId::generate();
        let text = id.to_string();
        assert!(text.starts_with("ds_") && text.len() == 35, "{text}");
        assert_eq!(text.parse(), Ok(id));
        assert_eq!(serde_json::to_value(id).unwrap(), serde_json::json!(text));
        for other in
            ["", "ds_", "ds_1", &text[3..], &text.to_uppercase(), &format!("{text}0"), &format!("{text} "), &id.as_uuid().to_string()]
        {
            assert_eq!(other.parse::<DatasetId>(), Err(InvalidDatasetId), "{other:?}");
        }
        assert!(format!("ds_{}", id.as_uuid()).parse::<DatasetId>().is_err(), "one text for each id");
    }

    #[test]
    fn a_dataset_lives_as_long_as_asked_for_and_no_longer_than_it_may() {
        let limits = DatasetLimits::default();
        assert_eq!(limits.life_seconds(None, "/ttlSeconds"), Ok(86_400));
        assert_eq!(limits.life_seconds(Some("1"), "/ttlSeconds"), Ok(1));
        assert_eq!(limits.life_seconds(Some("604800"), "/ttlSeconds"), Ok(604_800));
        for wrong in ["", "0", "-1", "+1", "1.5", "604801", "99999999999999", "soon"] {
            let issue = limits.life_seconds(Some(wrong), "/ttlSeconds").unwrap_err();
            assert!(issue.path == "/ttlSeconds" && issue.message.contains("from 1 to 604800"), "{wrong}: {issue:?}");
        }
    }
}
