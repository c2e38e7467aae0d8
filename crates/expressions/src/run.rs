//! The account of one document: what it may still cost, how values are written, what was missing.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::error::{BudgetKind, Position};
use crate::language::Regional;
use crate::limits::Budget;
use crate::localized::formatters::Formatters;

/// How `{{value}}` is written; `{{{value}}}` is always written as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Escape {
    /// ``& < > " ' ` =`` as character references; inside a `<style>` element of the template as [`Self::Css`], because
    /// references mean nothing there.
    Html,
    /// For a style sheet: all but letters, digits, spaces and `# % . , - _ +` as CSS escapes, so that a value stays a
    /// part of the declaration (or string) it is printed in. A colour function such as `rgb(1, 2, 3)` is kept.
    Css,
    /// As it is: for file names, metadata and other plain text.
    None,
}

/// What happens when a printed value or a collection is not in the data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    /// It prints as nothing and is noted in [`Run::findings`].
    Lenient,
    /// Evaluation ends with [`crate::ExpressionError::Missing`]; a value that is present and null is only noted.
    Strict,
}

/// In what way a value was missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MissingReason {
    /// A printed value that is not in the data.
    Missing,
    /// A printed value that is null.
    Null,
    /// What `{{#each}}` was given is not in the data, null, or neither a list nor an object.
    MissingCollection,
}

/// A value that was missing, once per place in a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The path as written.
    pub path: String,
    /// In what way it was missing.
    pub reason: MissingReason,
    /// Where it stands in its template.
    pub at: Position,
    /// How often it was missing there.
    pub occurrences: u64,
    /// Near paths that exist, the nearest first, at most three.
    pub suggestions: Vec<String>,
    /// The partial that [`Self::at`] is a place in; none where it is in the template itself.
    pub partial: Option<Box<str>>,
    key: (u64, usize),
}

/// The path as written, its place, near paths, and the partial it stands in.
type Described = (String, Position, Vec<String>, Option<Box<str>>);

/// Distinct findings kept in one run.
pub(crate) const MAX_FINDINGS: usize = 100;
/// Steps between two looks at the clock and the cancelling flag.
const STEPS_PER_CHECK: u64 = 1_024;

/// What many renderings of one document share. `'b` is the life of the cancelling flag.
#[derive(Debug)]
pub struct Run<'b> {
    pub(crate) budget: Budget,
    pub(crate) escape: Escape,
    pub(crate) missing: Missing,
    pub(crate) regional: Regional,
    pub(crate) formatters: Formatters,
    /// What is written stands inside a tag of a template around it.
    pub(crate) in_tag: bool,
    steps_left: u64,
    until_check: u64,
    output_left: usize,
    cancelled: Option<&'b AtomicBool>,
    findings: Vec<Finding>,
    truncated: Truncated,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Truncated {
    No,
    Yes,
}

impl<'b> Run<'b> {
    /// A run with this budget that escapes HTML and is lenient about missing values.
    pub fn new(budget: Budget) -> Self {
        Self {
            budget,
            escape: Escape::Html,
            missing: Missing::Lenient,
            regional: Regional::default(),
            formatters: Formatters::default(),
            in_tag: false,
            steps_left: budget.steps,
            until_check: 0,
            output_left: budget.output_bytes,
            cancelled: None,
            findings: Vec::new(),
            truncated: Truncated::No,
        }
    }

    /// The same run, writing values this way.
    #[must_use]
    pub fn with_escape(mut self, escape: Escape) -> Self {
        self.escape = escape;
        self
    }

    /// The same run, treating missing values this way.
    #[must_use]
    pub fn with_missing(mut self, missing: Missing) -> Self {
        self.missing = missing;
        self
    }

    /// The same run, writing numbers and dates for readers there.
    #[must_use]
    pub fn with_regional(mut self, regional: Regional) -> Self {
        self.regional = regional;
        self
    }

    /// The same run, ending soon after `flag` becomes true.
    #[must_use]
    pub fn cancelled_by(mut self, flag: &'b AtomicBool) -> Self {
        self.cancelled = Some(flag);
        self
    }

    /// Changes how values are written from here on: a document has HTML bodies and plain-text titles.
    pub fn set_escape(&mut self, escape: Escape) {
        self.escape = escape;
    }

    /// What was missing so far, in the order first met; at most 100.
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// Hands the findings over and begins anew, for a caller that adds the node they belong to.
    pub fn take_findings(&mut self) -> Vec<Finding> {
        std::mem::take(&mut self.findings)
    }

    /// Whether more than 100 distinct values were missing since the findings were last taken, or ever before.
    pub fn findings_truncated(&self) -> bool {
        self.truncated == Truncated::Yes
    }

    /// Steps done so far.
    pub fn steps_used(&self) -> u64 {
        self.budget.steps - self.steps_left
    }

    /// Bytes written so far.
    pub fn output_bytes_used(&self) -> usize {
        self.budget.output_bytes - self.output_left
    }

    /// Charges work done by the caller on behalf of the document, such as nodes it walks.
    ///
    /// # Errors
    /// The budget that ran out.
    pub fn charge(&mut self, steps: u64) -> Result<(), BudgetKind> {
        let Some(left) = self.steps_left.checked_sub(steps) else {
            self.steps_left = 0;
            return Err(BudgetKind::Steps);
        };
        self.steps_left = left;
        match self.until_check.checked_sub(steps) {
            Some(until) => {
                self.until_check = until;
                Ok(())
            }
            None => self.check(),
        }
    }

    #[cold]
    fn check(&mut self) -> Result<(), BudgetKind> {
        self.until_check = STEPS_PER_CHECK;
        if self.cancelled.is_some_and(|flag| flag.load(Ordering::Relaxed)) {
            return Err(BudgetKind::Cancelled);
        }
        if self.budget.deadline.is_some_and(|deadline| std::time::Instant::now() >= deadline) {
            return Err(BudgetKind::Deadline);
        }
        Ok(())
    }

    /// Charges text the caller writes into the document itself.
    ///
    /// # Errors
    /// [`BudgetKind::OutputBytes`] when less is left.
    pub fn charge_output(&mut self, bytes: usize) -> Result<(), BudgetKind> {
        self.output_left = self.output_left.checked_sub(bytes).ok_or(BudgetKind::OutputBytes)?;
        Ok(())
    }

    pub(crate) fn limit_of(&self, which: BudgetKind) -> u64 {
        match which {
            BudgetKind::Steps => self.budget.steps,
            BudgetKind::OutputBytes => u64::try_from(self.budget.output_bytes).unwrap_or(u64::MAX),
            BudgetKind::Deadline | BudgetKind::Cancelled => 0,
        }
    }

    /// Counts a missing value; `describe` is called only for one not seen at this place before.
    pub(crate) fn note(&mut self, key: (u64, usize), reason: MissingReason, describe: impl FnOnce() -> Described) {
        if let Some(known) = self.findings.iter_mut().find(|known| known.key == key && known.reason == reason) {
            known.occurrences += 1;
        } else if self.findings.len() >= MAX_FINDINGS {
            self.truncated = Truncated::Yes;
        } else {
            let (path, at, suggestions, partial) = describe();
            self.findings.push(Finding { path, reason, at, occurrences: 1, suggestions, partial, key });
        }
    }
}
