//! By what replicas and render workers know each other: a secret that both have, certificates of one authority, or the rights of a
//! socket file alone.

use std::path::PathBuf;
use std::sync::Arc;

use domain::SecretText;
use tokio_rustls::rustls::{ClientConfig, ServerConfig};

use super::RemoteError;
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
    /// Reads the files, once: other certificates need another start.
    pub(crate) fn read(security: &Security) -> Result<Self, RemoteError> {
        Ok(Self { secret: security.secret.clone(), tls: security.tls.as_ref().map(tls::read).transpose()? })
    }

    /// The same, for asking the worker that has these very files: its name does not matter, its certificate does.
    pub(crate) fn of_own_worker(security: &Security) -> Result<Self, RemoteError> {
        Ok(Self { secret: security.secret.clone(), tls: security.tls.as_ref().map(tls::read_pinned).transpose()? })
    }

    /// Whether it is more than the rights of a file.
    pub(crate) fn is_some(&self) -> bool {
        self.secret.is_some() || self.tls.is_some()
    }
}
