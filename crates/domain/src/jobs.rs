//! Jobs: documents that nobody waits for, what they can become, and when they have ended.

use std::time::Duration;

use crate::words::words;

/// Characters of a caller's own name for a job or one of its items (a CHECK of the tables).
pub const REFERENCE_CHARS: usize = 255;
/// The first pause before an item is tried again, doubled with every further one.
const FIRST_PAUSE: Duration = Duration::from_secs(2);
/// The longest pause between two attempts at an item.
const LONGEST_PAUSE: Duration = Duration::from_mins(5);

/// The text is no state or kind of a job.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("no such state or kind of a job")]
pub struct UnknownJobWord;

words! { UnknownJobWord:
    /// How a job stands.
    JobStatus {
        /// Nobody has begun with it.
        Pending = "pending",
        /// At least one of its items was begun.
        Processing = "processing",
        /// All items have ended, at least one of them in a document.
        Completed = "completed",
        /// All items have ended, none of them in a document.
        Failed = "failed",
        /// It was called off; what had ended in a document stays.
        Cancelled = "cancelled",
    }
}

words! { UnknownJobWord:
    /// How one document of a job stands.
    JobItemStatus {
        /// It is to be made, is being made, or is to be tried again.
        Pending = "pending",
        /// There is a document.
        Succeeded = "succeeded",
        /// There will be none.
        Failed = "failed",
        /// It was called off before it had ended.
        Cancelled = "cancelled",
    }
}

words! { UnknownJobWord:
    /// How many documents were asked for.
    JobKind {
        /// One.
        Single = "single",
        /// A list of them.
        Batch = "batch",
        /// Those of one execution of a schedule. Nobody asked for the job itself, so nobody is shown it.
        Schedule = "schedule",
    }
}

words! { UnknownJobWord:
    /// How the documents of a batch can be had in one piece.
    Packaging {
        /// A ZIP with a manifest.
        Zip = "zip",
        /// One PDF after the other in one file.
        MergedPdf = "merged-pdf",
    }
}

impl JobStatus {
    /// Whether nothing will change any more.
    pub fn has_ended(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Cancelled)
    }

    /// Whether a job that stands so may stand as `next` afterwards. A first item may end before anybody has written down that
    /// it was begun, so a pending job may end at once.
    pub fn can_become(self, next: Self) -> bool {
        match self {
            Self::Pending => next != Self::Pending,
            Self::Processing => next.has_ended(),
            Self::Completed | Self::Failed | Self::Cancelled => false,
        }
    }
}

impl JobItemStatus {
    /// Whether an item that stands so may stand as `next` afterwards.
    pub fn can_become(self, next: Self) -> bool {
        self == Self::Pending && next != Self::Pending
    }
}

/// How many items of a job have ended, and how.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct JobProgress {
    /// All of them.
    pub total: u32,
    /// Those with a document.
    pub succeeded: u32,
    /// Those without one.
    pub failed: u32,
}

impl JobProgress {
    /// Those that have not ended.
    pub fn open(self) -> u32 {
        self.total.saturating_sub(self.succeeded).saturating_sub(self.failed)
    }

    /// What the job stands as once so much has ended; none while something is open.
    pub fn end(self) -> Option<JobStatus> {
        match (self.open(), self.succeeded) {
            (0, 0) => Some(JobStatus::Failed),
            (0, _) => Some(JobStatus::Completed),
            _ => None,
        }
    }

    /// After how many whole seconds it is worth to look again.
    pub fn look_again_in_s(self) -> u64 {
        // A document takes some 50 ms; whoever waits for thousands need not ask every second.
        (1 + u64::from(self.open()) / 200).min(15)
    }
}

/// How long an item rests after its `attempt`th attempt failed, counted from 1.
pub fn pause_after(attempt: u32) -> Duration {
    FIRST_PAUSE.saturating_mul(2_u32.saturating_pow(attempt.saturating_sub(1).min(16))).min(LONGEST_PAUSE)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn words_are_read_back() {
        for status in JobStatus::ALL {
            assert_eq!(status.as_str().parse(), Ok(*status));
        }
        for status in JobItemStatus::ALL {
            assert_eq!(status.as_str().parse(), Ok(*status));
        }
        assert_eq!("Pending".parse::<JobStatus>(), Err(UnknownJobWord));
    }

    #[test]
    fn what_has_ended_becomes_nothing_else_and_nothing_begins_anew() {
        for from in JobStatus::ALL {
            for to in JobStatus::ALL {
                assert!(!from.has_ended() || !from.can_become(*to), "{from:?} {to:?}");
                assert!(!from.can_become(*from) && !from.can_become(JobStatus::Pending), "{from:?} {to:?}");
            }
        }
        assert!(JobStatus::Processing.can_become(JobStatus::Cancelled) && JobStatus::Pending.can_become(JobStatus::Cancelled));
    }

    #[test]
    fn pauses_grow_to_a_bound() {
        assert_eq!(pause_after(1), FIRST_PAUSE);
        assert!((1..60).all(|attempt| pause_after(attempt) <= pause_after(attempt + 1) && pause_after(attempt) <= LONGEST_PAUSE));
    }

    proptest! {
        #[test]
        fn a_job_ends_with_its_last_item_and_not_before(ends in prop::collection::vec(any::<bool>(), 1..200)) {
            let mut progress = JobProgress { total: u32::try_from(ends.len()).unwrap(), ..JobProgress::default() };
            let mut status = JobStatus::Pending;
            for (at, succeeded) in ends.iter().enumerate() {
                prop_assert_eq!(progress.end(), None, "before item {}", at);
                if *succeeded { progress.succeeded += 1 } else { progress.failed += 1 }
                let next = progress.end().unwrap_or(JobStatus::Processing);
                prop_assert!(next == status || status.can_become(next), "{:?} to {:?}", status, next);
                status = next;
            }
            prop_assert_eq!(status, if ends.contains(&true) { JobStatus::Completed } else { JobStatus::Failed });
        }
    }
}
