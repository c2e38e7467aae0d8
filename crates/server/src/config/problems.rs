//! What is wrong with a configuration, all of it in one message.

use std::fmt;

/// Problems that are printed; a list of thousands of keys can have as many.
const MOST_SHOWN: usize = 100;

/// One setting that cannot be accepted.
#[derive(Debug, PartialEq, Eq)]
pub struct Problem {
    /// The setting, or the variable that looks like one.
    pub name: String,
    /// What was found, with secrets left out.
    pub found: String,
    /// What would be accepted.
    pub accepted: String,
}

/// Every problem of a configuration; there is at least one.
#[derive(Debug, thiserror::Error)]
pub struct Problems(pub Vec<Problem>);

impl fmt::Display for Problems {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(problems) = self;
        let count = problems.len();
        writeln!(formatter, "The configuration has {count} problem{}:", if count == 1 { "" } else { "s" })?;
        for problem in problems.iter().take(MOST_SHOWN) {
            writeln!(formatter, "  {}: {}", problem.name, problem.found)?;
            writeln!(formatter, "      accepted: {}", problem.accepted)?;
        }
        if count > MOST_SHOWN {
            writeln!(formatter, "  and {} more", count - MOST_SHOWN)?;
        }
        formatter.write_str("`pulp-engine config` prints every setting with its meaning.")
    }
}
