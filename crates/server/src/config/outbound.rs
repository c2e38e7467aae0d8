//! What may be called outside, and how messages are sent there.

use std::path::PathBuf;
use std::time::Duration;

use domain::outbound::{OutboundPolicy, PlainHttp};
use render::DataUrlOptions;
use worker::Participation;

use super::problems::Problem;
use super::reader::{Values, shown};
use super::settings as known;

/// What is known of calls outside.
#[derive(Debug)]
pub struct Outbound {
    /// What may be called.
    pub policy: OutboundPolicy,
    /// Certificates that are trusted beside those of the machine.
    pub ca_file: Option<PathBuf>,
    /// How data is got from addresses in requests; none where it is not.
    pub data_urls: Option<DataUrlOptions>,
    /// Whether this server sends messages.
    pub deliveries: Participation,
    /// Attempts at one message.
    pub most_attempts: u32,
    /// Messages sent at the same moment.
    pub concurrency: usize,
}

/// Reads it.
pub fn read(values: &Values, problems: &mut Vec<Problem>) -> Outbound {
    let plain_http = if values.is_on(&known::OUTBOUND_PLAIN_HTTP_ALLOWED) { PlainHttp::Allowed } else { PlainHttp::Refused };
    let policy = OutboundPolicy { plain_http, ..OutboundPolicy::default() };
    let setting = &known::OUTBOUND_ALLOWED_TARGETS;
    let policy = match values.text(setting).map(|list| policy.clone().allowing(list)) {
        None => policy,
        Some(Ok(policy)) => policy,
        Some(Err(error)) => {
            let accepted = setting.form.accepted();
            problems.push(Problem { name: setting.name.to_owned(), found: shown(&error.to_string()), accepted });
            policy
        }
    };
    let enabled = values.is_on(&known::WEBHOOK_DELIVERIES_ENABLED);
    Outbound {
        policy,
        ca_file: values.path(&known::OUTBOUND_CA_FILE),
        data_urls: values.is_on(&known::DATA_URL_ENABLED).then(|| DataUrlOptions {
            max_bytes: values.parsed(&known::DATA_URL_MAX_BYTES).unwrap_or_default(),
            timeout: Duration::from_millis(values.parsed(&known::DATA_URL_TIMEOUT_MS).unwrap_or_default()),
        }),
        deliveries: if enabled { Participation::TakesPart } else { Participation::LeavesAlone },
        // What was refused is a problem already; nothing starts with these.
        most_attempts: values.parsed(&known::WEBHOOK_MAX_ATTEMPTS).unwrap_or(1),
        concurrency: values.parsed(&known::WEBHOOK_MAX_CONCURRENT_DELIVERIES).unwrap_or(1),
    }
}
