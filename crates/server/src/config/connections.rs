//! How many connections may be open, and how long a request may take.

use std::time::Duration;

use super::reader::Values;
use super::settings as known;

/// How long a body may take, and some time to answer.
const AROUND_THE_WORK: Duration = Duration::from_secs(60 + 15);

/// Limits of connections and requests.
#[derive(Clone, Copy, Debug)]
pub struct Connections {
    /// Connections; none where the files that the process may open decide.
    pub most: Option<usize>,
    /// Connections of one address; none for a quarter of all.
    pub most_of_one: Option<usize>,
    /// How long a request may take until its answer begins.
    pub request_timeout: Duration,
}

impl Connections {
    pub(super) fn read(values: &Values) -> Self {
        let longest_ms = values.required::<u64>(&known::RENDER_WORKER_TIMEOUT_MS).max(values.required(&known::BATCH_TIMEOUT_MS));
        let derived = Duration::from_millis(longest_ms) + AROUND_THE_WORK;
        Self {
            most: values.parsed(&known::MAX_CONNECTIONS),
            most_of_one: values.parsed(&known::MAX_CONNECTIONS_PER_ADDRESS),
            request_timeout: values.parsed(&known::REQUEST_TIMEOUT_MS).map_or(derived, Duration::from_millis),
        }
    }
}
