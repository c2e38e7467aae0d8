//! How a setting is declared: its name, what it accepts, its default, whether it is secret and what it means.

use super::forms::Form;

/// One setting, as the manual page shows it and the reader checks it.
#[derive(Debug)]
pub struct Setting {
    /// The environment variable.
    pub name: &'static str,
    /// The chapter of the manual page it stands in.
    pub chapter: &'static str,
    /// What it accepts.
    pub form: Form,
    /// What holds when it is not set.
    pub default: Fallback,
    /// Whether its value may be shown, and whether it can come from a file.
    pub secrecy: Secrecy,
    /// What it does, in one or two sentences.
    pub meaning: &'static str,
}

/// What holds when a setting is not set.
#[derive(Debug)]
pub enum Fallback {
    /// This value, which is checked like one that was set.
    Value(&'static str),
    /// A value worked out when the server starts, described here.
    Derived(&'static str),
}

/// Whether a value may be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Secrecy {
    /// It may be printed.
    Open,
    /// It is never printed, and `NAME_FILE` may name a file that holds it.
    Secret,
    /// It is never printed, and the variable of this published name may name a file that holds it.
    SecretIn(&'static str),
}

impl Setting {
    /// Whether its value must never be printed.
    pub fn is_secret(&self) -> bool {
        self.secrecy != Secrecy::Open
    }

    /// The variable that may name a file with the value.
    pub fn file_variable(&self) -> Option<String> {
        match self.secrecy {
            Secrecy::Open => None,
            Secrecy::Secret => Some(format!("{}_FILE", self.name)),
            Secrecy::SecretIn(variable) => Some(variable.to_owned()),
        }
    }
}
