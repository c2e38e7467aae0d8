//! What a caller chooses.

use std::path::PathBuf;
use std::time::Duration;

use crate::settings::Durability;

/// What a private Postgres needs to know. Start from [`Options::new`].
#[derive(Debug, Clone)]
pub struct Options {
    /// The folder for everything; made when missing. The cluster lives in `data_dir/postgres`, beside it
    /// `postgres.log`, `postgres.log.1` (together at most 8 MiB) and `postgres.lock`.
    pub data_dir: PathBuf,
    /// Where `initdb` and `postgres` are; `None` searches (see [`crate::find_binaries`]).
    pub bin_dir: Option<PathBuf>,
    /// The user for the child when we are root. `None`: the owner of an existing cluster, for a new one
    /// `postgres` if there is such a user, else `nobody`. Not root: `None`, or our own name.
    pub run_as: Option<String>,
    /// How long Postgres may take until it answers. Recovery after a crash counts, so be generous.
    pub start_timeout: Duration,
    /// How much a crash may cost.
    pub durability: Durability,
    /// More settings of `postgresql.conf` as name and value; they win over ours.
    pub settings: Vec<(String, String)>,
}

impl Options {
    /// Safe, with everything searched for and 60 s for the start.
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        Self {
            data_dir: data_dir.into(),
            bin_dir: None,
            run_as: None,
            start_timeout: Duration::from_mins(1),
            durability: Durability::Safe,
            settings: Vec::new(),
        }
    }
}
