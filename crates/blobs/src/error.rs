//! What can go wrong with stored bytes, told apart by what the caller can do about it.

use std::io;

use rustix::io::Errno;

/// Why an act on stored bytes failed. The texts are for the log and the operator; none holds a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BlobError {
    /// A setting cannot be used. Stops the start.
    #[error("{setting} {problem}")]
    Setting {
        /// Its name in the configuration.
        setting: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// The folder or bucket is unreachable, too slow or full: the same call may work later.
    #[error("the place of stored files is away ({call}): {reason}")]
    Away {
        /// Which of the verbs.
        call: &'static str,
        /// What was seen.
        reason: String,
    },
    /// As many calls as allowed are under way already: the same call may work in a moment.
    #[error("too much is being done with stored files at the moment ({call})")]
    Busy {
        /// Which of the verbs.
        call: &'static str,
    },
    /// The place does not let us do this: credentials, rights, a read-only disk, a missing bucket. The operator can help.
    #[error("the place of stored files refuses ({call}): {reason}")]
    Denied {
        /// Which of the verbs.
        call: &'static str,
        /// What it said.
        reason: String,
    },
    /// More bytes than one blob may have. Nothing was kept.
    #[error("a stored file has at most {limit_bytes} bytes")]
    TooLarge {
        /// The limit that was passed.
        limit_bytes: u64,
    },
    /// The bytes are not those that the hash in the key stands for. Of a put, nothing was kept.
    #[error("the bytes of {key} are not what its name says: {reason}")]
    Corrupt {
        /// The key as text.
        key: String,
        /// What does not fit.
        reason: String,
    },
    /// The asked range begins behind the last byte.
    #[error("the range begins behind the end at {size_bytes} bytes")]
    OutOfRange {
        /// How many bytes there are.
        size_bytes: u64,
    },
    /// The bytes to be stored could not be read, or not in time. Nothing was kept.
    #[error("the bytes to store could not be read: {reason}")]
    Source {
        /// What was seen.
        reason: String,
    },
}

impl BlobError {
    /// The word for it in metrics.
    pub(crate) fn outcome(&self) -> &'static str {
        match self {
            Self::Setting { .. } => "setting",
            Self::Away { .. } => "away",
            Self::Busy { .. } => "busy",
            Self::Denied { .. } => "denied",
            Self::TooLarge { .. } => "too_large",
            Self::Corrupt { .. } => "corrupt",
            Self::OutOfRange { .. } => "out_of_range",
            Self::Source { .. } => "source",
        }
    }

    pub(crate) fn away(call: &'static str, reason: impl Into<String>) -> Self {
        Self::Away { call, reason: reason.into() }
    }

    pub(crate) fn denied(call: &'static str, reason: impl Into<String>) -> Self {
        Self::Denied { call, reason: reason.into() }
    }

    /// What the operating system said about the folder.
    pub(crate) fn of_folder(call: &'static str, error: &io::Error) -> Self {
        match error.raw_os_error().map(Errno::from_raw_os_error) {
            Some(Errno::ACCESS | Errno::PERM | Errno::ROFS | Errno::LOOP | Errno::NOTDIR | Errno::ISDIR) => {
                Self::denied(call, error.to_string())
            }
            _ => Self::away(call, error.to_string()),
        }
    }
}
