//! Values that are never printed, and the rule that no two of them are the same.

use std::fmt;

use super::problems::Problem;

/// A value that is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Keeps a value.
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// The value itself, for the one place that needs it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("(hidden)")
    }
}

/// The secrets found so far, by where they stand. A key that stands in two places would have two meanings.
#[derive(Default)]
pub struct Distinct(Vec<(String, Secret)>);

impl Distinct {
    /// Adds a secret, or a problem when another place has the same.
    pub fn add(&mut self, name: &str, secret: &Secret, problems: &mut Vec<Problem>) {
        match self.0.iter().find(|(_, other)| other == secret) {
            Some((twin, _)) => problems.push(Problem {
                name: name.to_owned(),
                found: format!("the same value as {twin}"),
                accepted: "a value of its own".to_owned(),
            }),
            None => self.0.push((name.to_owned(), secret.clone())),
        }
    }
}
