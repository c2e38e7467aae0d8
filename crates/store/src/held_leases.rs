//! What this process holds under leases at this moment, as it believes: the rows are in the database and may be somebody else's by now.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::connect::Store;

/// What a lease is of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LeaseKind {
    /// A document of a job.
    JobItem,
    /// An execution of a schedule that is being begun.
    ScheduleExecution,
    /// A delivery of a schedule.
    ScheduleDelivery,
    /// A message to a webhook.
    WebhookDelivery,
    /// A request under an idempotency key.
    IdempotencyKey,
    /// A duty.
    Duty,
}

impl LeaseKind {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::JobItem, Self::ScheduleExecution, Self::ScheduleDelivery, Self::WebhookDelivery, Self::IdempotencyKey, Self::Duty];

    /// One word for answers and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::JobItem => "jobItems",
            Self::ScheduleExecution => "scheduleExecutions",
            Self::ScheduleDelivery => "scheduleDeliveries",
            Self::WebhookDelivery => "webhookDeliveries",
            Self::IdempotencyKey => "idempotencyKeys",
            Self::Duty => "duties",
        }
    }
}

/// How many are held of each kind.
#[derive(Clone, Debug, Default)]
pub(crate) struct HeldLeases(Arc<[AtomicU64; LeaseKind::ALL.len()]>);

/// Counts one lease for as long as it lives.
#[derive(Debug)]
#[must_use]
pub struct HeldLease {
    held: HeldLeases,
    kind: LeaseKind,
}

impl Drop for HeldLease {
    fn drop(&mut self) {
        self.held.0[self.kind as usize].fetch_sub(1, Ordering::Relaxed);
    }
}

impl Store {
    /// To be called by whoever claimed something, and kept until it is ended or given back.
    pub fn holding(&self, kind: LeaseKind) -> HeldLease {
        let held = self.shared.held.clone();
        held.0[kind as usize].fetch_add(1, Ordering::Relaxed);
        HeldLease { held, kind }
    }

    /// How many leases of each kind this process holds.
    pub fn held_leases(&self) -> [(LeaseKind, u64); LeaseKind::ALL.len()] {
        LeaseKind::ALL.map(|kind| (kind, self.shared.held.0[kind as usize].load(Ordering::Relaxed)))
    }
}
