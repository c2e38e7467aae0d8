//! How this server delivers what schedules made.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use blobs::{Addressing, BucketSettings, Checksums};
use domain::SecretText;
use domain::schedule_targets::is_address;
use serde_json::Value;
use url::Url;
use worker::{Participation, SmtpSecurity};

use super::problems::Problem;
use super::reader::{Values, shown};
use super::settings as known;

/// How schedules are delivered.
#[derive(Debug)]
pub struct ScheduleDeliveries {
    /// Whether this server delivers.
    pub takes_part: Participation,
    /// The mail server.
    pub smtp: Option<MailServer>,
    /// The buckets that schedules may name.
    pub buckets: BTreeMap<String, BucketSettings>,
    /// The root of folders.
    pub folder: Option<PathBuf>,
    /// How long an execution or a delivery stays with a server that died.
    pub lease_for: Duration,
    /// Attempts at one delivery.
    pub most_attempts: u32,
    /// Deliveries at the same moment.
    pub concurrency: usize,
    /// How long the documents of an execution are kept after the last was made.
    pub artifacts: Duration,
}

/// The mail server, before its certificates are read.
#[derive(Debug)]
pub struct MailServer {
    /// Its name.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How the connection is made safe.
    pub security: SmtpSecurity,
    /// Name and password.
    pub credentials: Option<(String, SecretText)>,
    /// The address that messages come from.
    pub from: String,
    /// Certificates that are trusted beside those of the machine.
    pub ca_file: Option<PathBuf>,
}

/// Reads it.
pub fn read(values: &Values, more_certificates: &str, problems: &mut Vec<Problem>) -> ScheduleDeliveries {
    let days: u64 = values.required(&known::SCHEDULE_ARTIFACT_RETENTION_DAYS);
    ScheduleDeliveries {
        takes_part: if values.is_on(&known::SCHEDULE_DELIVERIES_ENABLED) { Participation::TakesPart } else { Participation::LeavesAlone },
        smtp: mail_server(values, problems),
        buckets: buckets(values, more_certificates, problems),
        folder: values.path(&known::SCHEDULE_DELIVERY_FOLDER),
        lease_for: Duration::from_millis(values.required(&known::SCHEDULE_LEASE_MS)),
        most_attempts: values.required(&known::SCHEDULE_DELIVERY_MAX_ATTEMPTS),
        concurrency: values.required(&known::SCHEDULE_MAX_CONCURRENT_DELIVERIES),
        artifacts: Duration::from_secs(days * 24 * 3600),
    }
}

fn mail_server(values: &Values, problems: &mut Vec<Problem>) -> Option<MailServer> {
    let url = Url::parse(values.text(&known::SMTP_URL)?).ok();
    let mut refuse = |setting: &super::declaration::Setting, found: String, accepted: &str| {
        problems.push(Problem { name: setting.name.to_owned(), found, accepted: accepted.to_owned() });
    };
    let Some((url, host)) = url.as_ref().and_then(|url| Some((url, url.host_str()?.trim_matches(['[', ']']).to_owned()))) else {
        refuse(&known::SMTP_URL, "a URL without a host".to_owned(), "smtp://name:password@mail.example.org:587 or smtps://…");
        return None;
    };
    let implicit = url.scheme() == "smtps";
    let security = match values.text(&known::SMTP_TLS) {
        Some("none") => SmtpSecurity::Plain,
        Some("implicit") => SmtpSecurity::Implicit,
        Some("starttls") => SmtpSecurity::StartTls,
        _ if implicit => SmtpSecurity::Implicit,
        _ => SmtpSecurity::StartTls,
    };
    let decoded = |text: &str| percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned();
    let credentials = url.password().map(|password| (decoded(url.username()), SecretText::new(decoded(password))));
    if credentials.is_some() && security == SmtpSecurity::Plain {
        refuse(&known::SMTP_TLS, "none, and a password in SMTP_URL".to_owned(), "starttls or implicit: a password is not sent unencrypted");
    }
    let from = values.text(&known::SMTP_FROM).unwrap_or_default();
    if !is_address(from) {
        let found = if from.is_empty() { "not set, and SMTP_URL is".to_owned() } else { shown(from) };
        refuse(&known::SMTP_FROM, found, "an address such as reports@example.org");
    }
    Some(MailServer {
        host,
        port: url.port().unwrap_or(if security == SmtpSecurity::Implicit { 465 } else { 587 }),
        security,
        credentials,
        from: from.to_owned(),
        ca_file: values.path(&known::SMTP_CA_FILE),
    })
}

/// What is in a list with secrets is not repeated in a problem, only where it is.
fn buckets(values: &Values, more_certificates: &str, problems: &mut Vec<Problem>) -> BTreeMap<String, BucketSettings> {
    let mut buckets = BTreeMap::new();
    let Some(text) = values.text(&known::SCHEDULE_S3_TARGETS) else { return buckets };
    let mut refuse = |found: String| {
        let setting = &known::SCHEDULE_S3_TARGETS;
        problems.push(Problem { name: setting.name.to_owned(), found, accepted: setting.form.accepted() });
    };
    let Ok(Value::Array(list)) = serde_json::from_str(text) else {
        refuse("not a JSON array".to_owned());
        return buckets;
    };
    for (place, entry) in list.iter().enumerate() {
        let word = |name: &str| entry.get(name).and_then(Value::as_str).filter(|text| !text.is_empty()).map(str::to_owned);
        let needed = ["bucket", "accessKeyId", "secretAccessKey"].into_iter().find(|name| word(name).is_none());
        if let Some(missing) = needed {
            refuse(format!("entry {place} without {missing}"));
            continue;
        }
        let bucket = word("bucket").unwrap_or_default();
        let settings = BucketSettings {
            region: word("region").unwrap_or_else(|| "us-east-1".to_owned()),
            endpoint: word("endpoint").map(|url| url.trim_end_matches('/').to_owned()),
            access_key_id: word("accessKeyId").unwrap_or_default(),
            secret_access_key: word("secretAccessKey").unwrap_or_default().into(),
            addressing: if entry.get("pathStyle").and_then(Value::as_bool) == Some(true) {
                Addressing::Path
            } else {
                Addressing::VirtualHost
            },
            prefix: word("prefix").unwrap_or_default(),
            checksums: Checksums::WhenRequired,
            more_certificates: more_certificates.to_owned(),
            bucket: bucket.clone(),
        };
        if buckets.insert(word("name").unwrap_or(bucket), settings).is_some() {
            refuse(format!("entry {place} with a name that is there twice"));
        }
    }
    buckets
}
