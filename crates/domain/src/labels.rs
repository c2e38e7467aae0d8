//! Labels: movable names of a template's versions, such as `prod`. Who gets which version of a split one is in `variants`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::variants::Variants;

/// What is asked for instead of a label to get the current version, whatever label is the live one. It is no label: a label
/// begins with a letter.
pub const LATEST: &str = "@latest";

/// The most labels of one template.
pub const MAX_LABELS: usize = 50;

/// The most moves of labels of one template that may be to come.
pub const MAX_PENDING_MOVES: usize = 100;

/// Names a version within its template, now this one and then that: 1–64 lower-case letters, digits, `.`, `_` and `-`,
/// beginning with a letter.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct LabelName(Box<str>);

/// The text is not the name of a label.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("a label is 1–64 lower-case letters, digits, '.', '_' and '-', beginning with a letter, such as \"prod\"; @latest is reserved")]
pub struct InvalidLabelName;

impl LabelName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for LabelName {
    type Err = InvalidLabelName;

    fn from_str(text: &str) -> Result<Self, InvalidLabelName> {
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'.' | b'_' | b'-');
        let starts_well = text.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase());
        if starts_well && text.len() <= 64 && text.bytes().all(allowed) { Ok(Self(text.into())) } else { Err(InvalidLabelName) }
    }
}

impl TryFrom<String> for LabelName {
    type Error = InvalidLabelName;

    fn try_from(text: String) -> Result<Self, InvalidLabelName> {
        text.parse()
    }
}

impl From<LabelName> for String {
    fn from(name: LabelName) -> Self {
        name.0.into()
    }
}

impl fmt::Display for LabelName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// How the installation uses labels.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Releases {
    /// The label whose version is meant where a request names neither version nor label; the current version when there is none.
    pub default_live_label: Option<LabelName>,
    /// Whether a label may have a split.
    pub variants: Variants,
    /// The labels that are moved with a proof only; see [`crate::label_proofs`].
    pub protected: Vec<LabelName>,
}

/// In which way a label got its version.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum LabelAct {
    /// Somebody named the version, or removed the label.
    Move,
    /// A move was taken back.
    Rollback,
}

/// The text names no act.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("accepted: move, rollback")]
pub struct UnknownLabelAct;

impl LabelAct {
    /// The word on the wire and in the table.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Move => "move",
            Self::Rollback => "rollback",
        }
    }
}

impl FromStr for LabelAct {
    type Err = UnknownLabelAct;

    fn from_str(text: &str) -> Result<Self, UnknownLabelAct> {
        [Self::Move, Self::Rollback].into_iter().find(|act| act.as_str() == text).ok_or(UnknownLabelAct)
    }
}

/// What has become of an act on a label.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum LabelEventState {
    /// Its time has not come.
    Pending,
    /// It is done.
    Applied,
    /// Somebody called it off before its time.
    Cancelled,
    /// Its time came and it could not be done.
    Failed,
}

/// The text names no such state.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("accepted: pending, applied, cancelled, failed")]
pub struct UnknownLabelEventState;

impl LabelEventState {
    /// Every state.
    pub const ALL: [Self; 4] = [Self::Pending, Self::Applied, Self::Cancelled, Self::Failed];

    /// The word on the wire and in the table.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Applied => "applied",
            Self::Cancelled => "cancelled",
            Self::Failed => "failed",
        }
    }

    /// Only what is to come can change, and only once.
    pub fn can_become(self, next: Self) -> bool {
        self == Self::Pending && next != Self::Pending
    }
}

impl FromStr for LabelEventState {
    type Err = UnknownLabelEventState;

    fn from_str(text: &str) -> Result<Self, UnknownLabelEventState> {
        Self::ALL.into_iter().find(|state| state.as_str() == text).ok_or(UnknownLabelEventState)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_is_a_lower_case_word_and_the_reserved_one_is_none() {
        for good in ["prod", "a", "eu-1.beta_2", &"x".repeat(64)] {
            assert_eq!(good.parse::<LabelName>().unwrap().as_str(), good);
        }
        for bad in ["", LATEST, "Prod", "1st", "-a", "a/b", "a b", "ä", "a\0", &"x".repeat(65)] {
            assert!(bad.parse::<LabelName>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn what_is_done_called_off_or_failed_stays_so() {
        for from in LabelEventState::ALL {
            assert_eq!(from.as_str().parse(), Ok(from));
            for to in LabelEventState::ALL {
                assert_eq!(from.can_become(to), from == LabelEventState::Pending && to != from, "{from:?} {to:?}");
            }
        }
    }
}
