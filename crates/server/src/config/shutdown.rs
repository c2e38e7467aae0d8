//! How long a server takes to end.

use std::time::Duration;

use super::Storage;
use super::reader::Values;
use super::settings as known;

/// What a balancer needs that looks every two seconds and believes the second answer, and what a cluster needs to tell all its proxies.
const DRAIN_DELAY: Duration = Duration::from_secs(5);

/// The times of an end, one after the other.
#[derive(Clone, Copy, Debug)]
pub struct Shutdown {
    /// Between SIGTERM and the moment from which no connection is taken.
    pub drain_delay: Duration,
    /// From then on, for requests under way.
    pub grace: Duration,
}

impl Shutdown {
    pub(super) fn read(values: &Values, storage: &Storage) -> Self {
        let derived = match storage {
            // Nobody else has this database, so nobody takes over.
            Storage::Embedded { .. } => Duration::ZERO,
            Storage::Postgres(_) => DRAIN_DELAY,
        };
        Self {
            drain_delay: values.parsed(&known::SHUTDOWN_DRAIN_DELAY_MS).map_or(derived, Duration::from_millis),
            grace: Duration::from_millis(values.required(&known::SHUTDOWN_GRACE_MS)),
        }
    }
}
