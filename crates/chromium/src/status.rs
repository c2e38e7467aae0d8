//! What a pool can tell about itself.

use serde::{Deserialize, Serialize};

/// A snapshot of a pool, for readiness, `/metrics` and the operator's page.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PoolStatus {
    /// Tabs the pool is meant to have.
    pub tabs: usize,
    /// Tabs that could print now or are printing.
    pub healthy_tabs: usize,
    /// Tabs that are printing.
    pub in_use: usize,
    /// Jobs that wait for a tab.
    pub queued: usize,
    /// Browser processes: one; two while a successor warms up or a predecessor finishes; none while one restarts.
    pub browsers: usize,
    /// Browsers that died and were replaced since the pool started. Planned recycling does not count.
    pub restarts: u64,
    /// Browsers that were replaced by plan since the pool started.
    pub recycles: u64,
    /// What the browser calls itself, such as `HeadlessChrome/156.0.8078.79`.
    pub version: String,
}
