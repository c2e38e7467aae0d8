//! Proofs: what moving a protected label would change, and who answers for it.

use std::str::FromStr;

use crate::ids::LabelProofId;
use crate::labels::LabelName;
use crate::templates::TemplateVersion;
use crate::words::words;

/// The longest note to a move, in characters (a CHECK of the table).
pub const NOTE_LIMIT_CHARS: usize = 1_000;
/// The most datasets that one proof compares; what it leaves out counts as unexplained.
pub const PROOF_DATASETS: usize = 20;
/// The most pages of a document that one proof compares.
pub const PROOF_PAGES: u32 = 50;
/// The most pictures of one proof.
pub const PROOF_PICTURES: u32 = 50;

/// Why a label was moved, in words: 1 to 1000 characters without the spaces around them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MoveNote(Box<str>);

/// The text is empty or too long.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("must be 1 to {NOTE_LIMIT_CHARS} characters that say why, without control characters")]
pub struct InvalidMoveNote;

impl MoveNote {
    /// The note as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for MoveNote {
    type Err = InvalidMoveNote;

    fn from_str(text: &str) -> Result<Self, InvalidMoveNote> {
        let text = text.trim();
        let is_odd = |character: char| character.is_control() && !matches!(character, '\n' | '\t');
        let fits = !text.is_empty() && text.chars().count() <= NOTE_LIMIT_CHARS && !text.contains(is_odd);
        if fits { Ok(Self(text.into())) } else { Err(InvalidMoveNote) }
    }
}

/// The text is no outcome of a proof.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("no such outcome of a proof")]
pub struct UnknownProofWord;

words! { UnknownProofWord:
    /// What became of one dataset, the better before the worse.
    DatasetProof {
        /// Both versions give the same document: the same bytes, the same pictures, or both refuse what they are to refuse.
        Unchanged = "unchanged",
        /// Not everything was looked at.
        NotCompared = "not_compared",
        /// The documents look different.
        Changed = "changed",
        /// One of both versions makes no document of it.
        Failed = "failed",
    }
}

words! { UnknownProofWord:
    /// What a proof says, the better before the worse.
    ProofOutcome {
        /// Every document is as it was.
        Unchanged = "unchanged",
        /// Not everything could be looked at, or there was nothing to look at.
        Incomplete = "incomplete",
        /// Documents look different.
        Changed = "changed",
        /// A version makes no document of a dataset.
        Failed = "failed",
        /// The new version refuses data that the old one takes.
        Breaking = "breaking",
    }
}

impl ProofOutcome {
    /// What the datasets say together. Nothing at all proves nothing.
    pub fn of(datasets: impl IntoIterator<Item = DatasetProof>) -> Self {
        match datasets.into_iter().max() {
            Some(DatasetProof::Unchanged) => Self::Unchanged,
            None | Some(DatasetProof::NotCompared) => Self::Incomplete,
            Some(DatasetProof::Changed) => Self::Changed,
            Some(DatasetProof::Failed) => Self::Failed,
        }
    }

    /// Whether somebody has to answer for the move.
    pub fn needs_approval(self) -> bool {
        self != Self::Unchanged
    }
}

/// From which version to which a proof looks.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct ProofPair {
    /// What callers of the label get now.
    pub base: TemplateVersion,
    /// What they are to get.
    pub candidate: TemplateVersion,
}

/// A proof that a move rests on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ProvenPair {
    /// From where to where.
    pub pair: ProofPair,
    /// The proof.
    pub proof: LabelProofId,
    /// What it says.
    pub outcome: ProofOutcome,
}

/// Where a label leads: to its version, and with a split for some to that of its control.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Standing<'a> {
    /// The label.
    pub label: &'a LabelName,
    /// Its version.
    pub version: TemplateVersion,
    /// The label whose version some get.
    pub control: Option<&'a LabelName>,
}

/// What has to be proven before a label of a template becomes `wanted`: each version that callers of a protected label get then
/// and do not get now. A label that does not exist yet has no callers; one that is the control of a protected one shares its.
pub fn proofs_needed(protected: &[LabelName], labels: &[Standing<'_>], wanted: &Standing<'_>) -> Vec<ProofPair> {
    let version_of = |label: &LabelName| labels.iter().find(|found| found.label == label).map(|found| found.version);
    let will_be = |label: &LabelName| if label == wanted.label { Some(wanted.version) } else { version_of(label) };
    let mut needed = Vec::new();
    for before in labels.iter().filter(|label| protected.contains(label.label)) {
        let after = if before.label == wanted.label { wanted } else { before };
        let served = [Some(before.version), before.control.and_then(version_of)];
        for candidate in [will_be(after.label), after.control.and_then(will_be)].into_iter().flatten() {
            let pair = ProofPair { base: before.version, candidate };
            if !served.contains(&Some(candidate)) && !needed.contains(&pair) {
                needed.push(pair);
            }
        }
    }
    needed
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> LabelName {
        text.parse().unwrap()
    }

    fn version(text: &str) -> TemplateVersion {
        text.parse().unwrap()
    }

    fn pairs(needed: &[ProofPair]) -> Vec<String> {
        needed.iter().map(|pair| format!("{}→{}", pair.base, pair.candidate)).collect()
    }

    #[test]
    fn only_what_callers_of_a_protected_label_do_not_get_yet_has_to_be_proven() {
        let (prod, stable, test) = (name("prod"), name("stable"), name("test"));
        let protected = [prod.clone()];
        let at = |label, text, control| Standing { label, version: version(text), control };
        let plain = [at(&prod, "1.0.0", None), at(&stable, "1.0.1", None)];
        let needed = |labels: &[Standing<'_>], wanted| pairs(&proofs_needed(&protected, labels, &wanted));
        assert_eq!(needed(&plain, at(&prod, "1.0.2", None)), ["1.0.0→1.0.2"]);
        assert!(needed(&plain, at(&prod, "1.0.0", None)).is_empty(), "to where it is");
        assert!(needed(&plain, at(&stable, "1.0.2", None)).is_empty(), "a label that nobody protects");
        assert!(needed(&plain, at(&test, "1.0.2", None)).is_empty(), "a new one");
        assert!(needed(&plain[1..], at(&prod, "1.0.2", None)).is_empty(), "a protected one that is new");
        assert!(proofs_needed(&[], &plain, &at(&prod, "1.0.2", None)).is_empty());

        assert_eq!(needed(&plain, at(&prod, "1.0.0", Some(&stable))), ["1.0.0→1.0.1"], "some get the version of the control");
        assert_eq!(needed(&plain, at(&prod, "1.0.2", Some(&stable))), ["1.0.0→1.0.2", "1.0.0→1.0.1"]);
        let split = [at(&prod, "1.0.0", Some(&stable)), at(&stable, "1.0.1", None)];
        assert!(needed(&split, at(&prod, "1.0.0", None)).is_empty(), "an end of a split shows nothing new");
        assert!(needed(&split, at(&prod, "1.0.1", None)).is_empty(), "the control was in use");
        assert_eq!(needed(&split, at(&stable, "1.0.2", None)), ["1.0.0→1.0.2"], "a control is as protected as what it is the control of");
    }

    #[test]
    fn a_proof_is_as_good_as_its_worst_dataset_and_nothing_proves_nothing() {
        use DatasetProof::{Changed, Failed, NotCompared, Unchanged};
        assert_eq!(ProofOutcome::of([]), ProofOutcome::Incomplete);
        assert_eq!(ProofOutcome::of([Unchanged, Unchanged]), ProofOutcome::Unchanged);
        assert_eq!(ProofOutcome::of([NotCompared, Unchanged]), ProofOutcome::Incomplete);
        assert_eq!(ProofOutcome::of([Changed, NotCompared]), ProofOutcome::Changed);
        assert_eq!(ProofOutcome::of([Failed, Changed]), ProofOutcome::Failed);
        for outcome in ProofOutcome::ALL {
            assert_eq!(outcome.as_str().parse(), Ok(*outcome));
            assert_eq!(outcome.needs_approval(), *outcome != ProofOutcome::Unchanged);
        }
    }

    #[test]
    fn a_note_says_something_and_not_too_much() {
        assert_eq!(" because\nof the law ".parse::<MoveNote>().unwrap().as_str(), "because\nof the law");
        assert!("ä".repeat(NOTE_LIMIT_CHARS).parse::<MoveNote>().is_ok());
        for wrong in [String::new(), "  \n".to_owned(), "x".repeat(NOTE_LIMIT_CHARS + 1), "a\0b".to_owned()] {
            assert!(wrong.parse::<MoveNote>().is_err(), "{wrong:?}");
        }
    }
}
