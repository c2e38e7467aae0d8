//! The manifest: what a backup is of, and what its files must be. It is written last, so a backup without one is no backup.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use domain::Month;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use store::{BackupAsset, BackupMonth, BackupTemplate, PartitionedTable, TableShape, known_migrations};

use super::error::{BackupError, reading};
use super::files::FileSum;

/// Its name.
pub const NAME: &str = "manifest.json";
/// What it is called while it is written.
pub const PARTIAL: &str = "manifest.json.partial";
/// Its checksum in the format of `sha256sum`, beside it.
pub const SUM: &str = "manifest.json.sha256";
/// The form that this release writes and the newest that it reads.
pub const SCHEMA_VERSION: u32 = 1;
/// The folder of the objects.
pub const OBJECTS_FOLDER: &str = "objects";
/// The folder of the rows.
pub const DATABASE_FOLDER: &str = "database";

/// A manifest.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    /// The form of the manifest.
    pub schema_version: u32,
    /// Names the backup.
    pub backup_id: String,
    /// The moment that it shows.
    pub created_at: Timestamp,
    /// Where the server is reached that it is of.
    pub api_url: String,
    /// The release that made it.
    pub engine_version: String,
    /// The schema of the database, as the migrations that made it.
    pub migrations: Vec<Migration>,
    /// How many there are of what.
    pub counts: Counts,
    /// The folder of the rows; none where it only lists what there was.
    #[serde(default)]
    pub dump_path: Option<String>,
    /// The rows.
    #[serde(default)]
    pub tables: Vec<TableFile>,
    /// The months that big tables are cut into.
    #[serde(default)]
    pub months: Vec<MonthOf>,
    /// The objects.
    #[serde(default)]
    pub objects: Option<ObjectsFile>,
    /// The templates.
    pub templates: Vec<Template>,
    /// The assets.
    pub assets: Vec<Asset>,
    /// Objects that rows name and that were not there, or not what their name says.
    #[serde(default)]
    pub missing_objects: Vec<String>,
}

/// A migration that the database had.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Migration {
    /// The number in its file name.
    pub version: i64,
    /// The checksum of its text.
    pub sha384: String,
}

/// How many there are of what.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Counts {
    /// Tenants.
    pub tenants: u64,
    /// Templates that are not in the trash.
    pub templates: u64,
    /// Versions of templates.
    pub template_versions: u64,
    /// Assets.
    pub assets: u64,
    /// Versions of assets.
    pub asset_versions: u64,
}

/// The rows of a table.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TableFile {
    /// The table.
    pub name: String,
    /// Its columns, in the order of the file.
    pub columns: Vec<String>,
    /// How many rows.
    pub rows: u64,
    /// The file.
    #[serde(flatten)]
    pub sum: FileSum,
}

impl TableFile {
    /// As the store knows it.
    pub fn shape(&self) -> TableShape {
        TableShape { name: self.name.clone(), columns: self.columns.clone() }
    }
}

/// A month that a table has a partition for.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct MonthOf {
    /// The table.
    pub table: String,
    /// Such as `2026-11`.
    pub month: String,
}

impl MonthOf {
    /// As it stands in the manifest.
    pub fn new(found: BackupMonth) -> Self {
        let month = format!("{:04}-{:02}", found.month.year(), found.month.number());
        Self { table: found.table.as_str().to_owned(), month }
    }

    /// As the store knows it; nothing where it knows no such thing.
    pub fn read(&self) -> Option<BackupMonth> {
        let table = PartitionedTable::ALL.into_iter().find(|table| table.as_str() == self.table)?;
        let (year, month) = self.month.split_once('-')?;
        Some(BackupMonth { table, month: Month::new(year.parse().ok()?, month.parse().ok()?)? })
    }
}

/// The list of the objects, one in a line.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ObjectsFile {
    /// The file of the list.
    #[serde(flatten)]
    pub sum: FileSum,
    /// How many objects.
    pub count: u64,
    /// How many bytes in all.
    pub total_bytes: u64,
}

/// A template that is not in the trash.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Template {
    /// Whose it is.
    pub tenant: String,
    /// Its key.
    pub key: String,
    /// What it is called.
    pub name: String,
    /// The version that renders.
    pub current_version: String,
    /// Every version, oldest first.
    pub versions: Vec<Version<String>>,
}

/// An asset as it is now.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Asset {
    /// Whose it is.
    pub tenant: String,
    /// Its id.
    pub id: String,
    /// What its file was called.
    pub filename: String,
    /// How many bytes it has.
    pub size_bytes: u64,
    /// What it is.
    pub mime_type: String,
    /// Every version, oldest first.
    pub versions: Vec<Version<i32>>,
}

/// A version and the SHA-256 of its content.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Version<N> {
    /// Which.
    pub version: N,
    /// In hexadecimal digits.
    pub content_hash: String,
}

impl From<BackupTemplate> for Template {
    fn from(found: BackupTemplate) -> Self {
        let BackupTemplate { tenant, key, name, current_version, versions } = found;
        let versions = versions.into_iter().map(|one| Version { version: one.version, content_hash: one.content_hash }).collect();
        Self { tenant, key, name, current_version, versions }
    }
}

impl From<BackupAsset> for Asset {
    fn from(found: BackupAsset) -> Self {
        let BackupAsset { tenant, id, filename, size_bytes, mime_type, versions } = found;
        let versions = versions.into_iter().map(|one| Version { version: one.version, content_hash: one.content_hash }).collect();
        Self { tenant, id, filename, size_bytes, mime_type, versions }
    }
}

/// A backup that was opened.
pub struct Opened {
    /// Its folder.
    pub folder: PathBuf,
    /// What it is of.
    pub manifest: Manifest,
}

impl Opened {
    /// Reads the manifest of a folder, or the one that is named.
    pub fn read(path: &Path) -> Result<Self, BackupError> {
        let metadata = std::fs::metadata(path).map_err(reading(path))?;
        let (folder, file) = if metadata.is_dir() {
            (path.to_owned(), path.join(NAME))
        } else {
            (path.parent().unwrap_or(Path::new(".")).to_owned(), path.to_owned())
        };
        let text = match std::fs::read(&file) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let unfinished = folder.join(PARTIAL).exists() || folder.join(DATABASE_FOLDER).exists();
                return Err(if unfinished { BackupError::Unfinished(folder) } else { BackupError::NoManifest(folder) });
            }
            other => other.map_err(reading(&file))?,
        };
        check_sum(&folder, &file, &text)?;
        let manifest = parse(&file, &text)?;
        Ok(Self { folder, manifest })
    }

    /// Whether this release knows the schema that the rows are in: its migrations, oldest first.
    pub fn schema(&self) -> Result<Vec<i64>, BackupError> {
        let known = known_migrations();
        let newest = known.last().map_or(0, |migration| migration.version);
        let made_by = &self.manifest.engine_version;
        for migration in &self.manifest.migrations {
            let what = match known.iter().find(|one| one.version == migration.version) {
                Some(one) if one.sha384 == migration.sha384 => continue,
                Some(_) => format!("its migration {} has another text", migration.version),
                None => format!("its schema is {}, and this release knows up to {newest}", migration.version),
            };
            return Err(BackupError::Newer { made_by: made_by.clone(), what });
        }
        let versions: Vec<i64> = self.manifest.migrations.iter().map(|migration| migration.version).collect();
        let prefix = known.iter().map(|migration| migration.version).take(versions.len()).eq(versions.iter().copied());
        if versions.is_empty() || !prefix {
            return Err(BackupError::Manifest { path: self.folder.join(NAME), reason: "its migrations have gaps".to_owned() });
        }
        Ok(versions)
    }
}

fn check_sum(folder: &Path, file: &Path, text: &[u8]) -> Result<(), BackupError> {
    let (sums, mut expected) = (folder.join(SUM), String::new());
    if file.file_name().is_none_or(|name| name != NAME) || !sums.exists() {
        return Ok(());
    }
    std::fs::File::open(&sums).and_then(|file| file.take(1024).read_to_string(&mut expected)).map_err(reading(&sums))?;
    let found = hex::encode(Sha256::digest(text));
    if expected.split_whitespace().next() == Some(found.as_str()) {
        return Ok(());
    }
    Err(BackupError::Damaged { path: file.to_owned(), reason: format!("its SHA-256 is {found}, which {SUM} does not say") })
}

fn parse(file: &Path, text: &[u8]) -> Result<Manifest, BackupError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Form {
        schema_version: u32,
        engine_version: Option<String>,
    }
    let wrong = |error: serde_json::Error| BackupError::Manifest { path: file.to_owned(), reason: error.to_string() };
    let form: Form = serde_json::from_slice(text).map_err(wrong)?;
    if form.schema_version > SCHEMA_VERSION {
        let what = format!("its manifest has form {}, and this release knows up to {SCHEMA_VERSION}", form.schema_version);
        return Err(BackupError::Newer { made_by: form.engine_version.unwrap_or_else(|| "unknown".to_owned()), what });
    }
    serde_json::from_slice(text).map_err(wrong)
}
