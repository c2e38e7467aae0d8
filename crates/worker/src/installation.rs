//! The duties of the product, and which of them this replica takes part in.

use std::num::NonZeroU32;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::duty::{Duty, Rhythm};
use crate::{
    audit, datasets, delivery_retention, documents, expired, job_retention, label_history, label_proofs, partitions, schedule_history,
    trash, usage,
};

/// Six hours between two looks at what became too old, ten minutes for each.
const RETENTION: Rhythm = Rhythm { every: Duration::from_hours(6), at_most: Duration::from_mins(10) };
/// Months are made a quarter of a year ahead: a day of failures does no harm.
const MONTHS: Rhythm = Rhythm { every: Duration::from_hours(6), at_most: Duration::from_mins(2) };
/// Nobody can fetch documents and datasets by then; what is waited for is their room.
const DOCUMENTS: Rhythm = Rhythm { every: Duration::from_hours(1), at_most: Duration::from_mins(10) };
/// Expired jobs are looked for every ten minutes: their data is the tenant's.
const JOBS: Rhythm = Rhythm { every: Duration::from_mins(10), at_most: Duration::from_mins(5) };
/// What has expired is small.
const EXPIRED: Rhythm = Rhythm { every: Duration::from_hours(1), at_most: Duration::from_mins(2) };

/// Whether this replica takes part in a duty.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Participation {
    /// It does, when nobody else is at it.
    TakesPart,
    /// It leaves it to others, or undone.
    LeavesAlone,
}

/// What this replica takes part in.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Making the months of audit events and renders ahead.
    pub partitions: Participation,
    /// Days that audit events are kept; none for not taking part in their removal.
    pub audit_days: Option<NonZeroU32>,
    /// Days that records of renders are kept; none for not taking part in their removal.
    pub usage_days: Option<NonZeroU32>,
    /// Days that deleted templates are kept in the trash; none for not taking part in their removal.
    pub trash_days: Option<NonZeroU32>,
    /// Days that proofs of moves of labels are kept; none for not taking part in their removal.
    pub proof_days: Option<NonZeroU32>,
    /// Days that acts on labels are kept; none for not taking part in their removal.
    pub label_history_days: Option<NonZeroU32>,
    /// Removing stored documents whose time is over.
    pub documents: Participation,
    /// Removing datasets whose time is over.
    pub datasets: Participation,
    /// Removing jobs whose time is over.
    pub job_retention: Participation,
    /// Days that messages are kept after they ended; none for not taking part in their removal.
    pub delivery_days: Option<NonZeroU32>,
    /// Days that executions of schedules are kept after they ended; none for not taking part in their removal.
    pub schedule_days: Option<NonZeroU32>,
    /// Forgetting codes, render tokens and idempotency keys that have expired.
    pub expired: Participation,
    /// Making the planned moves of labels; see [`crate::Duties::with_label_moves`].
    pub label_moves: Participation,
}

/// The duties that this replica takes part in.
pub fn duties(options: Options) -> Vec<Duty> {
    let mut duties = Vec::new();
    if options.partitions == Participation::TakesPart {
        duties.push(Duty::new("partitions", MONTHS, partitions::run));
    }
    if let Some(days) = options.audit_days {
        duties.push(Duty::new("audit_retention", RETENTION, move |run| audit::run(run, days)));
    }
    if let Some(days) = options.usage_days {
        duties.push(Duty::new("usage_retention", RETENTION, move |run| usage::run(run, days)));
    }
    if let Some(days) = options.trash_days {
        duties.push(Duty::new("trash_retention", RETENTION, move |run| trash::run(run, days)));
    }
    if let Some(days) = options.delivery_days {
        duties.push(Duty::new("webhook_delivery_retention", RETENTION, move |run| delivery_retention::run(run, days)));
    }
    if let Some(days) = options.proof_days {
        duties.push(Duty::new("label_proof_retention", RETENTION, move |run| label_proofs::run(run, days)));
    }
    if let Some(days) = options.label_history_days {
        duties.push(Duty::new("label_history_retention", RETENTION, move |run| label_history::run(run, days)));
    }
    if options.documents == Participation::TakesPart {
        duties.push(Duty::new("document_retention", DOCUMENTS, documents::run));
    }
    if options.datasets == Participation::TakesPart {
        duties.push(Duty::new("dataset_retention", DOCUMENTS, datasets::run));
    }
    if options.job_retention == Participation::TakesPart {
        duties.push(Duty::new("job_retention", JOBS, job_retention::run));
    }
    if let Some(days) = options.schedule_days {
        duties.push(Duty::new("schedule_history_retention", RETENTION, move |run| schedule_history::run(run, days)));
    }
    if options.expired == Participation::TakesPart {
        duties.push(Duty::new("expired", EXPIRED, expired::run));
    }
    duties
}

/// What happened before is too old.
pub fn cut_off(now: Timestamp, keep_days: NonZeroU32) -> Timestamp {
    now.checked_sub(SignedDuration::from_hours(24 * i64::from(keep_days.get()))).unwrap_or(Timestamp::MIN)
}
