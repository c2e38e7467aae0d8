//! Executions of schedules and what is delivered of them: how they stand, what they can become, and how often it is tried.

use std::time::Duration;

use crate::words::words;

/// For how long one delivery is tried before it is a dead letter.
pub const TRIED_FOR: Duration = Duration::from_hours(24);
/// Attempts at one delivery, unless the operator says otherwise.
pub const DEFAULT_ATTEMPTS: u32 = 10;
/// Attempts at beginning an execution whose data could not be had.
pub const PREPARATIONS: u32 = 5;
/// Addresses that a test may go to.
pub const TEST_RECIPIENTS_LIMIT: usize = 20;
/// Pauses between two attempts at having the data: together some nine minutes.
const PAUSES_SECONDS: [u64; 4] = [5, 30, 120, 360];

/// The text is no state of an execution, of one of its items, or nothing that begins one.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("no such state of an execution")]
pub struct UnknownExecutionWord;

words! { UnknownExecutionWord:
    /// How an execution stands.
    ExecutionStatus {
        /// It is due, and its data is not there yet.
        Pending = "pending",
        /// Its documents are in the queue of jobs.
        Rendering = "rendering",
        /// They are on their way.
        Delivering = "delivering",
        /// Everything arrived.
        Completed = "completed",
        /// There are no documents, or something did not arrive.
        Failed = "failed",
        /// There was nothing to deliver.
        Skipped = "skipped",
        /// Its schedule was deleted meanwhile.
        Cancelled = "cancelled",
    }
}

words! { UnknownExecutionWord:
    /// How one item of an execution stands.
    ExecutionItemStatus {
        /// Its documents are to be made.
        Pending = "pending",
        /// They are there.
        Succeeded = "succeeded",
        /// There will be none.
        Failed = "failed",
    }
}

words! { UnknownExecutionWord:
    /// What began an execution.
    ExecutionTrigger {
        /// The clock.
        Cron = "cron",
        /// Somebody.
        Manual = "manual",
    }
}

impl ExecutionStatus {
    /// Whether nothing is under way any more.
    pub fn has_ended(self) -> bool {
        !matches!(self, Self::Pending | Self::Rendering | Self::Delivering)
    }

    /// Whether an execution that stands so may stand as `next` afterwards. One that failed for want of a delivery goes on when that is
    /// replayed.
    pub fn can_become(self, next: Self) -> bool {
        match self {
            Self::Pending => matches!(next, Self::Rendering | Self::Failed | Self::Skipped | Self::Cancelled),
            Self::Rendering => matches!(next, Self::Delivering | Self::Completed | Self::Failed | Self::Cancelled),
            Self::Delivering => matches!(next, Self::Completed | Self::Failed | Self::Cancelled),
            Self::Failed => matches!(next, Self::Delivering | Self::Completed),
            Self::Completed | Self::Skipped | Self::Cancelled => false,
        }
    }
}

/// How long an execution rests after its `attempt`th attempt (from 1) to have its data failed.
pub fn pause_after(attempt: u32) -> Duration {
    let place = usize::try_from(attempt.saturating_sub(1)).unwrap_or(usize::MAX).min(PAUSES_SECONDS.len() - 1);
    Duration::from_secs(PAUSES_SECONDS[place])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_ended_stays_so_but_for_a_failure_that_is_replayed() {
        for from in ExecutionStatus::ALL {
            assert_eq!(from.as_str().parse(), Ok(*from));
            for to in ExecutionStatus::ALL {
                let replayed = *from == ExecutionStatus::Failed && matches!(to, ExecutionStatus::Delivering | ExecutionStatus::Completed);
                assert!(!from.has_ended() || replayed == from.can_become(*to), "{from:?} {to:?}");
                assert!(*to != ExecutionStatus::Pending || !from.can_become(*to), "nothing begins anew");
            }
        }
    }

    #[test]
    fn pauses_grow_to_a_bound() {
        assert!((1..50).all(|attempt| pause_after(attempt) <= pause_after(attempt + 1)));
        assert_eq!(pause_after(u32::MAX), Duration::from_mins(6));
    }
}
