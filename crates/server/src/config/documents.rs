//! How stored documents are kept and linked.

use std::sync::Arc;

use domain::documents::DocumentLives;

use super::assets::base_url;
use super::keys::needs;
use super::problems::Problem;
use super::reader::Values;
use super::secrets::{Distinct, Secret};
use super::settings as known;

const DAY_SECONDS: u32 = 24 * 3600;

/// How stored documents are kept and linked.
#[derive(Debug)]
pub struct Documents {
    /// How long they and their links live.
    pub lives: DocumentLives,
    /// What links are signed with; where it is not set, the installation made one.
    pub link_secret: Option<Secret>,
    /// What they may have been signed with before a rotation.
    pub previous_link_secret: Option<Secret>,
    /// What stands in front of the paths of links, without a slash at its end.
    pub base_url: Option<Arc<str>>,
}

/// Reads what is said about stored documents.
pub fn read(values: &Values, problems: &mut Vec<Problem>) -> Documents {
    let link_secret = values.secret(&known::DOCUMENT_LINK_SECRET);
    let previous_link_secret = values.secret(&known::DOCUMENT_LINK_SECRET_PREVIOUS);
    let mut secrets = Distinct::default();
    let named = [(&known::DOCUMENT_LINK_SECRET, &link_secret), (&known::DOCUMENT_LINK_SECRET_PREVIOUS, &previous_link_secret)];
    for (setting, secret) in named {
        if let Some(secret) = secret {
            secrets.add(setting.name, secret, problems);
        }
    }
    if previous_link_secret.is_some() {
        needs(&known::DOCUMENT_LINK_SECRET_PREVIOUS, &known::DOCUMENT_LINK_SECRET, values, problems);
    }
    let days = |setting| values.parsed::<u32>(setting).unwrap_or_default();
    let (default_days, most_days) = (days(&known::DOCUMENT_RETENTION_DAYS), days(&known::DOCUMENT_MAX_RETENTION_DAYS));
    if default_days > most_days {
        problems.push(Problem {
            name: known::DOCUMENT_RETENTION_DAYS.name.to_owned(),
            found: format!("{default_days}, and {}={most_days}", known::DOCUMENT_MAX_RETENTION_DAYS.name),
            accepted: format!("no more days than {}", known::DOCUMENT_MAX_RETENTION_DAYS.name),
        });
    }
    Documents {
        lives: DocumentLives {
            default_seconds: default_days * DAY_SECONDS,
            longest_seconds: most_days * DAY_SECONDS,
            link_seconds: values.parsed(&known::DOCUMENT_LINK_TTL_SECONDS).unwrap_or_default(),
        },
        link_secret,
        previous_link_secret,
        base_url: base_url(values, &known::DOCUMENTS_BASE_URL, problems),
    }
}
