//! How long a place is taken lately, and how long a wait that makes likely.

use std::time::Duration;

/// How much one print moves the estimate.
const SMOOTHING: f64 = 0.1;

/// An average that follows what happens.
#[derive(Debug)]
pub(crate) struct Pace {
    seconds: f64,
}

impl Pace {
    /// The estimate before anything was printed.
    pub(crate) const fn of(seconds: f64) -> Self {
        Self { seconds }
    }

    /// A place was taken for so long.
    pub(crate) fn note(&mut self, taken: Duration) {
        self.seconds += SMOOTHING * (taken.as_secs_f64() - self.seconds);
    }

    /// How long a job waits behind so many others for one of so many places.
    pub(crate) fn wait_behind(&self, others: usize, places: usize) -> Duration {
        Duration::from_secs_f64(count(others + 1) / count(places) * self.seconds)
    }
}

/// A wait as `Retry-After` says it: whole seconds, from one to a minute.
pub(crate) fn retry_after(wait: Duration) -> Duration {
    Duration::from_secs_f64(wait.as_secs_f64().clamp(1.0, 60.0).ceil())
}

/// A number of jobs or tabs, for reckoning and for gauges.
#[expect(clippy::cast_precision_loss, reason = "queue lengths and tab counts are far below 2^52")]
pub(crate) fn count(number: usize) -> f64 {
    number as f64
}
