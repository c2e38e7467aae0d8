//! Why a call outside came to nothing.

use std::fmt;
use std::time::Duration;

use domain::outbound::OutboundRefusal;

/// Why a call came to nothing. The text is for the operator's log.
#[derive(Debug, thiserror::Error)]
pub enum OutboundError {
    /// The URL, or an address that its name leads to, is not one that may be called.
    #[error("refused: {0}")]
    Refused(Refusal),
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

/// Why a URL is not called: the whole of it for the operator, and of what is nobody's secret what it was.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refusal {
    said: String,
    port: Option<u16>,
}

impl Refusal {
    /// The port, where it is what is not called; 0 where what stands in its place is none.
    pub fn port(&self) -> Option<u16> {
        self.port
    }
}

impl From<OutboundRefusal> for Refusal {
    fn from(refusal: OutboundRefusal) -> Self {
        let port = if let OutboundRefusal::Port { port } = refusal { Some(port) } else { None };
        Self { said: refusal.to_string(), port }
    }
}

impl From<String> for Refusal {
    fn from(said: String) -> Self {
        Self { said, port: None }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.said)
    }
}

/// The caller wrote the port, and which ones are called is no secret of the network.
fn told_of_port(port: u16) -> String {
    match port {
        0 => "the URL's port is none".to_owned(),
        port => format!("the URL names port {port}, which this server does not call"),
    }
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
            Self::Refused(refusal) => {
                refusal.port().map_or_else(|| "the URL leads to an address that this server does not call".to_owned(), told_of_port)
            }
            Self::Unreachable(reason) => format!("cannot be reached: {reason}"),
            other => other.to_string(),
        }
    }
}
