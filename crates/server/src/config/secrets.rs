//! Values that are never printed, and the rule that no two of them are the same.

pub use domain::SecretText as Secret;

use super::problems::Problem;

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
