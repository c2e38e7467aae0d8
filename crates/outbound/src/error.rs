//! Why a call outside came to nothing.

use std::time::Duration;

/// Why a call came to nothing. The text is for the operator's log.
#[derive(Debug, thiserror::Error)]
pub enum OutboundError {
    /// The URL, or an address that its name leads to, is not one that may be called.
    #[error("refused: {0}")]
    Refused(String),
    /// The answer sends the caller elsewhere; nobody goes there.
    #[error("answered {status}, which leads to {to}; redirects are not followed")]
    Redirected {
        /// The status.
        status: u16,
        /// Where it leads, at most 200 characters, without what follows a question mark.
        to: String,
    },
    /// Nothing, or not all of it, came in time.
    #[error("nothing within {} s", after.as_secs())]
    TimedOut {
        /// How long was waited.
        after: Duration,
    },
    /// There was no connection, no trust in its certificate, or it broke.
    #[error("{0}")]
    Unreachable(String),
    /// The answer has more bytes than are read.
    #[error("the answer has more than {limit_bytes} bytes")]
    TooLong {
        /// So many are read.
        limit_bytes: usize,
    },
}

impl OutboundError {
    /// The word for the metrics.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Refused(_) => "refused",
            Self::Redirected { .. } => "redirected",
            Self::TimedOut { .. } => "timeout",
            Self::Unreachable(_) => "unreachable",
            Self::TooLong { .. } => "too_long",
        }
    }

    /// What a tenant is told: of a refusal no more than that, as the difference between two would describe the inner network.
    pub fn told(&self) -> String {
        match self {
            Self::Refused(_) => "the URL leads to an address that this server does not call".to_owned(),
            Self::Unreachable(reason) => format!("cannot be reached: {reason}"),
            other => other.to_string(),
        }
    }
}
