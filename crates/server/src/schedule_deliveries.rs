//! The ways that schedules deliver by: the mail server, declared buckets, addresses outside, a folder.

use std::path::Path;

use blobs::OutsideBucket;
use domain::Clock;
use outbound::Outbound;
use render::{Outputs, Renderer};
use store::Store;
use worker::{DeclaredBuckets, ScheduleDeliverySetup, Smtp, SmtpOptions};

use crate::config::Config;
use crate::error::ServerError;

/// The largest file of certificates.
const MAX_FILE_BYTES: u64 = 4 * 1024 * 1024;

/// Prepares them. What is away stops no start; what cannot be read does.
pub fn setup(
    config: &Config,
    renderer: &Renderer,
    store: &Store,
    outputs: &Outputs,
    clock: Clock,
    outbound: Outbound,
) -> Result<ScheduleDeliverySetup, ServerError> {
    let deliveries = &config.schedule_deliveries;
    let smtp = match &deliveries.smtp {
        None => None,
        Some(server) => {
            let more_certificates = server.ca_file.as_deref().map(certificates).transpose()?.unwrap_or_default();
            let options = SmtpOptions {
                host: server.host.clone(),
                port: server.port,
                security: server.security,
                credentials: server.credentials.clone(),
                from: server.from.clone(),
                more_certificates,
            };
            Some(Smtp::new(&options).map_err(ServerError::Mail)?)
        }
    };
    let mut buckets = DeclaredBuckets::new();
    for (name, settings) in &deliveries.buckets {
        buckets.insert(name.clone(), OutsideBucket::open(settings)?);
    }
    Ok(ScheduleDeliverySetup {
        store: store.clone(),
        outbound,
        renderer: renderer.clone(),
        outputs: outputs.clone(),
        clock,
        smtp,
        buckets,
        folder: deliveries.folder.clone(),
        base_url: config.documents.base_url.clone(),
        lease_for: deliveries.lease_for,
        most_attempts: deliveries.most_attempts,
        concurrency: deliveries.concurrency,
    })
}

fn certificates(path: &Path) -> Result<Vec<u8>, ServerError> {
    let refused = |reason: String| ServerError::Mail(format!("SMTP_CA_FILE {}: {reason}", path.display()));
    let size_bytes = std::fs::metadata(path).map_err(|error| refused(error.to_string()))?.len();
    if size_bytes > MAX_FILE_BYTES {
        return Err(refused(format!("it has {size_bytes} bytes; at most {MAX_FILE_BYTES} are read")));
    }
    std::fs::read(path).map_err(|error| refused(error.to_string()))
}
