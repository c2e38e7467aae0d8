//! Printing by workers: processes of their own, on this machine or others, that have the browsers.

mod address;
mod connection;
mod directory;
mod handshake;
mod listener;
mod serve;
mod stream;
mod tls;
mod trust;
mod wire;
mod worker;
mod workers;

use std::path::PathBuf;

pub use address::{ADDRESS_FORM, Address, AddressError};
pub(crate) use connection::{Broken, Connection};
pub use directory::WorkerStanding;
pub use listener::Listener;
pub use serve::{ServeOptions, serve, serve_one};
pub use trust::{Security, TlsFiles};
pub use worker::Standing;
pub use workers::RemoteOptions;
pub(crate) use workers::Workers;

use crate::PoolStatus;
use trust::Trust;

/// Why the way between replicas and workers cannot be opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RemoteError {
    /// The address cannot be listened on.
    #[error("{address} cannot be listened on: {reason}")]
    Listen {
        /// The address.
        address: Address,
        /// What the system answered.
        reason: String,
    },
    /// A file of a certificate or key cannot be used.
    #[error("{} cannot be used as certificate or key (PEM): {reason}", file.display())]
    Certificate {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Everybody who reaches the port could print.
    #[error("{address} is open to whoever reaches it: it needs a secret or certificates")]
    Unprotected {
        /// The address.
        address: Address,
    },
    /// The worker did not answer.
    #[error("{0}")]
    Unreached(String),
}

/// Asks the worker that listens here how it stands; `security` is the worker's own.
///
/// # Errors
/// [`RemoteError::Unreached`] within five seconds, and [`RemoteError::Certificate`].
pub async fn ask_status(address: &Address, security: &Security) -> Result<(PoolStatus, Standing), RemoteError> {
    let trust = Trust::of_own_worker(security)?;
    let place = match address {
        Address::Unix(path) => stream::Place::Unix(path.clone()),
        Address::Tcp { host, port } => {
            // "All addresses" is no address to connect to.
            let host = match host.as_str() {
                "0.0.0.0" => "127.0.0.1",
                "::" => "::1",
                host => host,
            };
            let mut found = tokio::net::lookup_host((host, *port)).await.map_err(|error| RemoteError::Unreached(error.to_string()))?;
            let found = found.next().ok_or_else(|| RemoteError::Unreached(format!("{host} has no address")))?;
            stream::Place::Tcp(found, host.to_owned())
        }
    };
    let mut connection = connection::Connection::open(&place, &trust).await.map_err(|error| RemoteError::Unreached(error.to_string()))?;
    let status = connection.status().await.map_err(|error| RemoteError::Unreached(error.to_string()))?;
    Ok((status.pool, if status.draining { Standing::Draining } else { Standing::Ready }))
}
