//! Where the bytes of assets live, and who may read them.

use std::io::Read as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use blobs::{Addressing, BucketSettings, Checksums, Limits, Place, Settings};

use super::declaration::Setting;
use super::problems::Problem;
use super::reader::{Values, shown};
use super::settings as known;

/// All authorities that a machine trusts have some 250 KB.
const MAX_CERTIFICATES_BYTES: u64 = 4 * 1024 * 1024;

/// What is known of assets.
#[derive(Debug)]
pub struct Assets {
    /// The folder or bucket of their bytes.
    pub blobs: Settings,
    /// Who may read them.
    pub access: api::AssetAccess,
    /// What stands in front of the paths of their files, without a slash at its end.
    pub base_url: Option<Arc<str>>,
    /// The most bytes of one file.
    pub max_bytes: u64,
    /// How long bytes stay that no asset has any more; none where this server does not sweep.
    pub sweep_after: Option<Duration>,
}

/// The text of S3_CA_FILE; nothing without it. What is in it is checked with the bucket.
pub fn certificates(values: &Values, problems: &mut Vec<Problem>) -> String {
    let setting = &known::S3_CA_FILE;
    let Some(path) = values.path(setting) else { return String::new() };
    let mut text = String::new();
    let read = std::fs::File::open(&path).and_then(|file| file.take(MAX_CERTIFICATES_BYTES).read_to_string(&mut text));
    let found = match read {
        Err(error) => format!("\"{}\" cannot be read: {error}", path.display()),
        Ok(_) if !text.contains("-----BEGIN CERTIFICATE-----") => format!("\"{}\" holds no certificate", path.display()),
        Ok(_) => return text,
    };
    problems.push(Problem { name: setting.name.to_owned(), found, accepted: "a file with certificates (PEM)".to_owned() });
    String::new()
}

/// The folder or bucket; nothing where a setting of the bucket is missing.
pub fn place(values: &Values, more_certificates: String, problems: &mut Vec<Problem>) -> Option<Place> {
    if values.text(&known::ASSET_BINARY_STORE) != Some("s3") {
        let data_dir: PathBuf = values.path(&known::PULP_DATA_DIR).unwrap_or_default();
        return Some(Place::Folder(values.path(&known::ASSETS_DIR).unwrap_or_else(|| data_dir.join("assets"))));
    }
    let mut needed = |setting: &Setting| {
        if !values.was_given(setting) {
            problems.push(Problem {
                name: setting.name.to_owned(),
                found: format!("not set, and {}=s3", known::ASSET_BINARY_STORE.name),
                accepted: setting.form.accepted(),
            });
        }
        values.text(setting).map(str::to_owned)
    };
    let (bucket, region) = (needed(&known::S3_BUCKET), needed(&known::S3_REGION));
    let (id, secret) = (needed(&known::S3_ACCESS_KEY_ID), needed(&known::S3_SECRET_ACCESS_KEY));
    Some(Place::Bucket(BucketSettings {
        bucket: bucket?,
        region: region?,
        endpoint: values.text(&known::S3_ENDPOINT).map(|url| url.trim_end_matches('/').to_owned()),
        access_key_id: id?,
        secret_access_key: secret?.into(),
        addressing: if values.is_on(&known::S3_PATH_STYLE) { Addressing::Path } else { Addressing::VirtualHost },
        prefix: values.text(&known::S3_PREFIX).unwrap_or_default().to_owned(),
        checksums: Checksums::WhenRequired,
        more_certificates,
    }))
}

/// The address that paths are put behind, so nothing may stand behind its own path.
pub fn base_url(values: &Values, setting: &Setting, problems: &mut Vec<Problem>) -> Option<Arc<str>> {
    let text = values.text(setting)?;
    if text.contains(['?', '#']) {
        let accepted = format!("{}, without ? and #", setting.form.accepted());
        problems.push(Problem { name: setting.name.to_owned(), found: shown(text), accepted });
        return None;
    }
    Some(text.trim_end_matches('/').into())
}

/// Reads the other settings.
pub fn read(values: &Values, place: Option<Place>, base_url: Option<Arc<str>>) -> Assets {
    let private = values.text(&known::ASSET_ACCESS_MODE) == Some("private");
    let max_bytes: u64 = values.required(&known::ASSET_MAX_BYTES);
    // Finished documents are kept in the same place.
    let output_bytes = values.required(&known::RENDER_MAX_OUTPUT_BYTES);
    let hours: u64 = values.required(&known::ASSET_SWEEP_GRACE_HOURS);
    let place = place.unwrap_or_else(|| Place::Folder(PathBuf::new()));
    Assets {
        blobs: Settings { place, limits: Limits { blob_bytes: max_bytes.max(output_bytes), ..Limits::default() } },
        access: if private { api::AssetAccess::Private } else { api::AssetAccess::Public },
        base_url,
        max_bytes,
        sweep_after: values.is_on(&known::ASSET_SWEEP_ENABLED).then(|| Duration::from_secs(hours * 3600)),
    }
}
