//! What can go wrong, in words for the operator's log.

/// Why a login or a token was not accepted. The text is for the operator; whoever asked is told nothing
/// but 401 or 403, whichever variant it is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenIdError {
    /// A setting cannot be used. Stops the start.
    #[error("{setting} {problem}")]
    Setting {
        /// Its name in the configuration.
        setting: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// The provider did not answer in time, or could not be reached. Trying later may help.
    #[error("the OpenID provider did not answer the {call} request: {reason}")]
    Away {
        /// Which of the calls.
        call: &'static str,
        /// What was seen.
        reason: String,
    },
    /// The provider answered with something that must not be used.
    #[error("the OpenID provider's answer to the {call} request was refused: {reason}")]
    Answer {
        /// Which of the calls.
        call: &'static str,
        /// What is wrong with the answer.
        reason: String,
    },
    /// The provider said no: to the person at the login, or to the code at its exchange.
    #[error("the OpenID provider refused the login: {reason}")]
    Refused {
        /// The error that it named.
        reason: String,
    },
    /// The browser that came back is not the one that left, or too late, or with something else.
    #[error("the login could not be continued: {reason}")]
    Flow {
        /// What does not fit.
        reason: String,
    },
    /// A token that proves nothing.
    #[error("a token was refused: {reason}")]
    Token {
        /// What does not fit.
        reason: String,
    },
    /// A completion code that proves nothing.
    #[error("a completion code was refused: {reason}")]
    Completion {
        /// What does not fit.
        reason: String,
    },
    /// The operating system gave no random bytes.
    #[error("the operating system gave no random bytes")]
    Random,
}

impl OpenIdError {
    pub(crate) fn token(reason: impl Into<String>) -> Self {
        Self::Token { reason: reason.into() }
    }

    pub(crate) fn flow(reason: impl Into<String>) -> Self {
        Self::Flow { reason: reason.into() }
    }
}

/// At most 100 characters of a foreign text, quoted and with control characters escaped, so that a log line stays one.
pub(crate) fn quoted(text: &str) -> String {
    const SHOWN_CHARACTERS: usize = 100;
    let shown: String = text.chars().take(SHOWN_CHARACTERS).collect();
    let more = if shown.len() < text.len() { "…" } else { "" };
    format!("{shown:?}{more}")
}
