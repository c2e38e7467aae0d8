//! What can end a benchmark run early.

use std::io;
use std::time::Duration;

/// Why a run ended without a report.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// The command line asks for something that does not exist.
    #[error("{0}\n\n{usage}", usage = crate::args::USAGE)]
    Usage(String),
    /// A file, pipe or socket failed.
    #[error("{what}: {source}")]
    Io {
        /// What was being done to which file or peer.
        what: String,
        /// What the system said.
        source: io::Error,
    },
    /// A program of the run did not come up; its last lines are in the message.
    #[error("{what} did not start: {why}")]
    Start {
        /// Which program.
        what: String,
        /// What is known, usually the end of its log.
        why: String,
    },
    /// The browser under the floor client refused a command or went away.
    #[error("browser: {0}")]
    Browser(String),
    /// A server under test gave an answer the run cannot use.
    #[error("{what} answered {answer}")]
    Answer {
        /// Which server, doing what.
        what: String,
        /// Status and the start of the body.
        answer: String,
    },
    /// Something took longer than it ever should.
    #[error("{what}: nothing within {} s", .after.as_secs())]
    TimedOut {
        /// What was waited for.
        what: String,
        /// The deadline it missed.
        after: Duration,
    },
    /// The operator ended the run.
    #[error("interrupted")]
    Interrupted,
}

/// The result of every fallible act in this crate.
pub type Result<T> = std::result::Result<T, BenchError>;

/// Says what was being done when an input or output failed.
pub trait While<T> {
    /// Turns the error into [`BenchError::Io`] with `what` in front.
    fn while_doing(self, what: impl FnOnce() -> String) -> Result<T>;
}

impl<T> While<T> for io::Result<T> {
    fn while_doing(self, what: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|source| BenchError::Io { what: what(), source })
    }
}
