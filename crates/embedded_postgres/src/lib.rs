//! Runs a private Postgres as a child process and hands back its URL; knows nothing of us.
//!
//! It must not speak SQL, download anything, or delete or convert a cluster: a data folder of another
//! major version, of another user or of unknown content is refused with the remedy.
//!
//! The usual change is a setting of Postgres: add it to the list in `settings.rs` with its reason.
//!
//! | what happens | what it does |
//! |---|---|
//! | no cluster yet | makes one beside its place and renames it there when it is complete |
//! | started as root | the child runs as the cluster's owner, a new one's is `postgres` or else `nobody`; it is handed its folder as an open descriptor, so the data folder may lie below `/root` |
//! | our process is killed | the kernel tells Postgres to shut down; a start that is quicker finds it and stops it |
//! | Postgres is killed | [`EmbeddedPostgres::exited`] tells, [`EmbeddedPostgres::restart`] starts it again |
//! | a second server on the same folder | refused with the process id of the first |
//! | a path too long for a socket | the socket moves to a private folder below `/run` or `/tmp` |

mod account;
mod binaries;
mod child;
mod cluster;
mod error;
mod lock;
mod log;
mod options;
mod orphan;
mod running;
mod settings;
mod socket;

pub use binaries::{Binaries, find_binaries, find_binaries_for};
pub use error::EmbeddedPostgresError;
pub use options::Options;
pub use running::{EmbeddedPostgres, Stopped, start, url_of_running};
pub use settings::Durability;
