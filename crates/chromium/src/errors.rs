//! Everything that can go wrong here, by what the caller can do about it.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The part of a print in which its deadline passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Phase {
    /// Waiting for a free tab.
    Queue,
    /// The document was being parsed and laid out, or its scripts were running.
    Load,
    /// Chromium was producing the PDF.
    Print,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Queue => "queue",
            Self::Load => "load",
            Self::Print => "print",
        })
    }
}

/// Why a pool did not start or a document was not printed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChromiumError {
    /// No browser is where it was looked for: correct `setting`, or where there is none install `package`.
    #[error("{}", not_found(looked_at, package, *setting))]
    NotFound {
        /// The setting that named the one place to look at.
        setting: Option<&'static str>,
        /// Every path that was tried, in order.
        looked_at: Vec<PathBuf>,
        /// The Debian package that provides the best one.
        package: &'static str,
    },
    /// The browser did not come up: an operator has to look.
    #[error("Chromium did not start: {reason}; its last words: {stderr_tail}")]
    Launch {
        /// What was being done and what happened instead.
        reason: String,
        /// The last lines Chromium wrote to its standard error, at most 4 KiB.
        stderr_tail: String,
    },
    /// Chromium's sandbox cannot work for this user on this host; start again with [`crate::Sandbox::Off`] or fix the host.
    #[error("Chromium's sandbox cannot be used here: {reason}")]
    SandboxUnavailable {
        /// Why, in terms of the host (root, no user namespaces, …).
        reason: String,
        /// The last lines Chromium wrote to its standard error, at most 4 KiB.
        stderr_tail: String,
    },
    /// The queue is full: come back after `retry_after`.
    #[error("the print queue is full ({queue_depth} waiting); retry after {retry_after:?}")]
    Saturated {
        /// How many jobs wait, which is the configured bound.
        queue_depth: usize,
        /// When a place is likely, from the recent duration of prints; between one second and one minute.
        retry_after: Duration,
    },
    /// The job's deadline passed in this phase.
    #[error("the deadline passed in the phase {phase}")]
    DeadlineExceeded {
        /// Where the time ran out.
        phase: Phase,
    },
    /// The renderer or the browser died under the document, on every attempt.
    #[error("Chromium crashed under this document ({attempts} attempts)")]
    Crashed {
        /// How often it was tried: at most twice.
        attempts: u32,
    },
    /// The HTML is larger than [`crate::Budgets::html_bytes`].
    #[error("the HTML has {size_bytes} bytes, more than the {limit_bytes} allowed")]
    PageTooLarge {
        /// The budget.
        limit_bytes: usize,
        /// What was given.
        size_bytes: usize,
    },
    /// The PDF is larger than [`crate::Budgets::output_bytes`].
    #[error("the PDF is larger than the {limit_bytes} bytes allowed")]
    OutputTooLarge {
        /// The budget.
        limit_bytes: usize,
    },
    /// No render worker is there to print, and none came back while it was waited for.
    #[error("no render worker answers; retry after {retry_after:?}")]
    NoWorker {
        /// When one may be back.
        retry_after: Duration,
    },
    /// The pool is closing or closed.
    #[error("the print pool is closed")]
    Closed,
    /// Chromium or this crate will not print this document with these options, now or later.
    #[error("the document was refused: {reason}")]
    Refused {
        /// What was wrong, for the author of the document.
        reason: String,
    },
}

fn not_found(looked_at: &[PathBuf], package: &str, setting: Option<&str>) -> String {
    let places = list(looked_at);
    match setting {
        Some(setting) => format!("{setting}={places} is no file; correct {setting}, or unset it to use an installed {package}"),
        None => format!("no Chromium found (looked at {places}); install the Debian package {package}"),
    }
}

fn list(paths: &[PathBuf]) -> String {
    let shown: Vec<String> = paths.iter().map(|path| path.display().to_string()).collect();
    shown.join(", ")
}
