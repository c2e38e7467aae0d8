//! The way to addresses that somebody named: receivers of messages.

use outbound::{Lookup, Options, Outbound};

use crate::config::Config;
use crate::error::ServerError;

/// The largest file of certificates: all that a machine trusts have some 250 KB.
const MAX_FILE_BYTES: u64 = 4 * 1024 * 1024;

/// Prepares it.
pub fn start(config: &Config) -> Result<Outbound, ServerError> {
    let policy = config.outbound.policy.clone();
    let Some(path) = &config.outbound.ca_file else {
        let refused = |error: outbound::OutboundError| ServerError::Outbound { path: "".into(), reason: error.to_string() };
        return Outbound::new(Options { policy, more_certificates: Vec::new(), lookup: Lookup::System }).map_err(refused);
    };
    let refused = |reason: String| ServerError::Outbound { path: path.clone(), reason };
    let size_bytes = std::fs::metadata(path).map_err(|error| refused(error.to_string()))?.len();
    if size_bytes > MAX_FILE_BYTES {
        return Err(refused(format!("it has {size_bytes} bytes; at most {MAX_FILE_BYTES} are read")));
    }
    let more_certificates = std::fs::read(path).map_err(|error| refused(error.to_string()))?;
    if more_certificates.is_empty() {
        return Err(refused("it is empty".to_owned()));
    }
    Outbound::new(Options { policy, more_certificates, lookup: Lookup::System }).map_err(|error| refused(error.to_string()))
}
