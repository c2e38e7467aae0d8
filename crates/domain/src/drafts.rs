//! Drafts: what a person is writing and has not saved as a version.

use jiff::SignedDuration;

/// Drafts that a template can have at once, one a person: more than the largest team that works on one document.
pub const DRAFTS_LIMIT: usize = 50;

/// How long saves of one draft go without a row of their own in the audit log after one that has it. Editors save every
/// few seconds; who worked on what, and when, is told all the same.
pub const DRAFT_RECORD_EVERY: SignedDuration = SignedDuration::from_mins(10);
