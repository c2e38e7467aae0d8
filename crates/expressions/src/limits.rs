//! How large a template may be and how much one document may cost.

use std::time::Instant;

/// Nesting no caller can go beyond: the evaluator recurses once per level and a 2 MiB thread stack must hold a debug
/// build of it (`tests/hostile.rs` evaluates this many levels on such a thread).
pub(crate) const MAX_NESTING: usize = 200;

/// Limits of parsing one template.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Size of the source in bytes. Default 2 MiB: several times the largest hand-made template, small enough that
    /// parsing takes milliseconds.
    pub source_bytes: usize,
    /// Levels of blocks, and separately of sub-expressions, inside each other. Default 100; values above 200 count as 200.
    pub nesting: usize,
    /// `{{…}}` tags in one template. Default 250,000; bounds the tree at some 60 MB.
    pub tags: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { source_bytes: 2 * 1024 * 1024, nesting: 100, tags: 250_000 }
    }
}

impl Limits {
    pub(crate) fn nesting(&self) -> usize {
        self.nesting.min(MAX_NESTING)
    }
}

/// What evaluating one document may cost, over all its templates together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// Nodes, loop turns, arguments and path segments visited. Default 2,000,000: a table of 100,000 cells needs about
    /// 500,000; a hostile loop uses the default up within 100 ms of a release build.
    pub steps: u64,
    /// Bytes of output. Default 32 MiB, more HTML than Chromium prints within its own limits.
    pub output_bytes: usize,
    /// Levels of scopes inside each other, counting those the caller made. Default 300.
    pub depth: usize,
    /// Instant after which evaluation stops, looked at every 1,024 steps. Default none.
    pub deadline: Option<Instant>,
}

impl Default for Budget {
    fn default() -> Self {
        Self { steps: 2_000_000, output_bytes: 32 * 1024 * 1024, depth: 300, deadline: None }
    }
}
