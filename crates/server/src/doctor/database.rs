//! Whether the database can be had, and which migrations it lacks.

use super::Finding;
use crate::config::{Config, Storage};

pub async fn check(config: &Config) -> Vec<Finding> {
    vec![]
}
