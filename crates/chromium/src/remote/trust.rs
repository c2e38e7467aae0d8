//! By what replicas and render workers know each other: a secret that both have, certificates of one authority, or the rights of a
//! socket file alone.

use std::path::PathBuf;
use std::sync::Arc;

use domain::SecretText;
use tokio_rustls::rustls::{ClientConfig, ServerConfig};

use super::RemoteError;
use super::address::Address;
use super::tls;

/// What the operator gave.
#[derive(Debug, Clone, Default)]
pub struct Security {
    /// Both sides prove that they have it; it never crosses the wire. It encrypts nothing.
    pub secret: Option<SecretText>,
    /// Both sides show a certificate, and everything is encrypted.
    pub tls: Option<TlsFiles>,
}

/// The files of one side, each PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// This side's certificate, with those between it and the authority.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
    /// The authority that the other side's certificate has to come from.
    pub authority: PathBuf,
}

/// [`Security`] with its files read.
#[derive(Debug, Clone)]
pub(crate) struct Trust {
    pub(crate) secret: Option<SecretText>,
    pub(crate) tls: Option<Tls>,
}

/// Both roles of TLS.
#[derive(Debug, Clone)]
pub(crate) struct Tls {
    pub(crate) server: Arc<ServerConfig>,
    pub(crate) client: Arc<ClientConfig>,
}

impl Trust {
    /// Reads the files, once: other certificates need another start. A port among the addresses needs more than the rights of a file.
    pub(crate) fn read(security: &Security, addresses: &[Address]) -> Result<Self, RemoteError> {
        let open = addresses.iter().find(|address| matches!(address, Address::Tcp { .. }));
        if let Some(open) = open.filter(|_| security.secret.is_none() && security.tls.is_none()) {
            return Err(RemoteError::Unprotected { address: open.clone() });
        }
        Ok(Self { secret: security.secret.clone(), tls: security.tls.as_ref().map(tls::read).transpose()? })
    }

    /// The same, for asking the worker that has these very files: its name does not matter, its certificate does.
    pub(crate) fn of_own_worker(security: &Security) -> Result<Self, RemoteError> {
        Ok(Self { secret: security.secret.clone(), tls: security.tls.as_ref().map(tls::read_pinned).transpose()? })
    }
}
