//! What is kept of a render after it has ended: its words, and how much of them may be asked for at once.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::codes::ErrorCode;
use crate::issues::Issue;

/// How a render came about.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum RenderMode {
    /// A request that waited for it.
    #[default]
    Single,
    /// One of several in a request that waited for all.
    Batch,
    /// A job.
    Async,
    /// A schedule.
    Scheduled,
}

/// The text names no mode.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("accepted: single, batch, async, scheduled")]
pub struct UnknownRenderMode;

impl RenderMode {
    /// Every mode.
    pub const ALL: [Self; 4] = [Self::Single, Self::Batch, Self::Async, Self::Scheduled];

    /// The word on the wire and in the table.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Single => "single",
            Self::Batch => "batch",
            Self::Async => "async",
            Self::Scheduled => "scheduled",
        }
    }
}

impl FromStr for RenderMode {
    type Err = UnknownRenderMode;

    fn from_str(text: &str) -> Result<Self, UnknownRenderMode> {
        Self::ALL.into_iter().find(|mode| mode.as_str() == text).ok_or(UnknownRenderMode)
    }
}

/// How a render ended.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum RenderOutcome {
    /// In a document.
    Succeeded,
    /// In an error.
    Failed(ErrorCode),
    /// Its caller went away.
    Cancelled,
}

impl RenderOutcome {
    /// The word for a document.
    pub const SUCCEEDED: &'static str = "succeeded";

    /// The word in the table: `succeeded`, `cancelled` or the error code.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Succeeded => Self::SUCCEEDED,
            Self::Failed(code) => code.as_str(),
            Self::Cancelled => "cancelled",
        }
    }
}

/// A stretch of time that usage is asked about: from its first moment up to, and without, its last.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct UsageWindow {
    from: Timestamp,
    to: Timestamp,
}

/// The two moments are no window.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum InvalidUsageWindow {
    /// It ends where or before it begins.
    #[error("from must be before to")]
    Inverted,
    /// It is longer than one question may be.
    #[error("from and to may be at most {} days apart", UsageWindow::MOST_DAYS)]
    TooWide,
}

impl UsageWindow {
    /// The longest window: a leap year.
    pub const MOST_DAYS: i64 = 366;

    /// The window between two moments.
    pub fn new(from: Timestamp, to: Timestamp) -> Result<Self, InvalidUsageWindow> {
        if from >= to {
            return Err(InvalidUsageWindow::Inverted);
        }
        if to.duration_since(from) > SignedDuration::from_hours(24 * Self::MOST_DAYS) {
            return Err(InvalidUsageWindow::TooWide);
        }
        Ok(Self { from, to })
    }

    /// The first moment in it.
    pub fn from(self) -> Timestamp {
        self.from
    }

    /// The first moment after it.
    pub fn to(self) -> Timestamp {
        self.to
    }
}

/// Words that a caller gives a render to find it by later.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct UsageMetadata(BTreeMap<String, String>);

impl UsageMetadata {
    /// The most words.
    pub const MOST_ENTRIES: usize = 50;
    /// The longest name of a word, in characters.
    pub const NAME_CHARS: usize = 100;
    /// The longest word, in characters.
    pub const VALUE_CHARS: usize = 1_000;
    /// The most bytes of all names and words.
    pub const MOST_BYTES: usize = 16 * 1024;

    /// Reads an object whose values are text; `null` is none at all. `path` is where it stands in the request.
    pub fn from_json(value: &Value, path: &str) -> Result<Self, Issue> {
        let object = match value {
            Value::Null => return Ok(Self::default()),
            Value::Object(object) => object,
            _ => return Err(Issue::new(path, "must be an object whose values are text")),
        };
        if object.len() > Self::MOST_ENTRIES {
            return Err(Issue::new(path, format!("has {} entries; at most {} are accepted", object.len(), Self::MOST_ENTRIES)));
        }
        let mut words = BTreeMap::new();
        let mut bytes = 0_usize;
        for (name, word) in object {
            let word = word.as_str().ok_or_else(|| Issue::new(path, "must be an object whose values are text"))?;
            if name.is_empty() || name.chars().count() > Self::NAME_CHARS || word.chars().count() > Self::VALUE_CHARS {
                let limits = format!("names have 1 to {} characters and values up to {}", Self::NAME_CHARS, Self::VALUE_CHARS);
                return Err(Issue::new(path, limits));
            }
            if name.contains('\0') || word.contains('\0') {
                return Err(Issue::new(path, "must not hold the character NUL"));
            }
            bytes += name.len() + word.len();
            words.insert(name.clone(), word.to_owned());
        }
        if bytes > Self::MOST_BYTES {
            return Err(Issue::new(path, format!("has {bytes} bytes; at most {} are accepted", Self::MOST_BYTES)));
        }
        Ok(Self(words))
    }

    /// Words to look for, taken as they are.
    pub fn of(words: impl IntoIterator<Item = (String, String)>) -> Self {
        Self(words.into_iter().collect())
    }

    /// Whether there is no word.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The words by their names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, word)| (name.as_str(), word.as_str()))
    }

    /// About how much memory they take.
    pub fn size_bytes(&self) -> usize {
        self.iter().map(|(name, word)| name.len() + word.len() + 64).sum()
    }
}

impl fmt::Display for UsageMetadata {
    /// As JSON.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = self.iter().map(|(name, word)| (name.to_owned(), Value::from(word))).collect();
        Value::Object(words).fmt(formatter)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn window(from: &str, to: &str) -> Result<UsageWindow, InvalidUsageWindow> {
        UsageWindow::new(from.parse().unwrap(), to.parse().unwrap())
    }

    #[test]
    fn a_window_is_a_leap_year_at_most_and_never_empty() {
        assert!(window("2024-01-01T00:00:00Z", "2025-01-01T00:00:00Z").is_ok());
        assert_eq!(window("2024-01-01T00:00:00Z", "2025-01-01T00:00:00.000001Z"), Err(InvalidUsageWindow::TooWide));
        assert_eq!(window("2024-01-01T00:00:00Z", "2024-01-01T00:00:00Z"), Err(InvalidUsageWindow::Inverted));
        assert_eq!(UsageWindow::new(Timestamp::MIN, Timestamp::MAX), Err(InvalidUsageWindow::TooWide));
    }

    #[test]
    fn metadata_is_bounded_text_that_can_be_stored() {
        let read = UsageMetadata::from_json(&json!({"order": "4711", "batch": "a\"b"}), "/metadata").unwrap();
        assert_eq!(read.to_string(), r#"{"batch":"a\"b","order":"4711"}"#);
        assert!(UsageMetadata::from_json(&Value::Null, "/metadata").unwrap().is_empty());
        let many: serde_json::Map<String, Value> = (0..51).map(|at| (at.to_string(), json!("x"))).collect();
        let large: serde_json::Map<String, Value> = (0..20).map(|at| (at.to_string(), json!("x".repeat(1_000)))).collect();
        for wrong in [
            json!([]),
            json!({"a": 1}),
            json!({"": "a"}),
            json!({"a": "\0"}),
            json!({"a": "x".repeat(1_001)}),
            Value::Object(many),
            Value::Object(large),
        ] {
            assert_eq!(UsageMetadata::from_json(&wrong, "/metadata").unwrap_err().path, "/metadata", "{wrong}");
        }
    }
}
