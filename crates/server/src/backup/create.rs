//! `backup create`: one moment of the database, then the objects that it names, then the manifest.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use blobs::{Blobs, Place, Settings};
use domain::Clock;
use serde::Serialize;
use serde_json::Value;
use store::{BackupSnapshot, TableShape};

use super::error::{BackupError, reading, writing};
use super::files::{FileSum, Writing, make_folder, sync_folder};
use super::manifest::{
    Asset, Counts, DATABASE_FOLDER, Manifest, Migration, MonthOf, NAME, ObjectsFile, PARTIAL, SCHEMA_VERSION, SUM, TableFile, Template,
};
use super::objects::{Line, Outcome, Present, copy, into_backup, patient, wanted};
use super::progress::{Progress, in_units};
use super::{warn, with_database};
use crate::cli::CreateBackup;
use crate::config::Config;

/// The file with a line for each object.
const OBJECTS: &str = "objects.jsonl";
/// So many missing objects are named on standard error; all of them are in the manifest.
const TOLD_MISSING: usize = 20;

/// Makes a backup and says whether it has all that rows name, and what is in it.
pub async fn create(config: &Config, asked: &CreateBackup) -> Result<(bool, String), BackupError> {
    let output = Output::of(asked)?;
    with_database(config, async |database| {
        let url = database.direct_url().await?;
        let mut snapshot = BackupSnapshot::open(&url).await?;
        output.prepare()?;
        let mut manifest = head(config, &mut snapshot).await?;
        if asked.full {
            manifest.dump_path = Some(DATABASE_FOLDER.to_owned());
            manifest.months = snapshot.months().await?.into_iter().map(MonthOf::new).collect();
            manifest.tables = tables(&mut snapshot, &output.folder).await?;
            manifest.objects = Some(list_objects(&mut snapshot, &output.folder).await?);
        }
        let mut file = Writing::begin(output.folder.join(&output.partial))?;
        begin(&mut file, &manifest)?;
        list(&mut file, "templates", &mut snapshot).await?;
        list(&mut file, "assets", &mut snapshot).await?;
        snapshot.close().await;
        let missing = match &manifest.objects {
            Some(objects) => copy_objects(config, &output.folder, objects).await?,
            None => Vec::new(),
        };
        file.write(format!("\"missingObjects\": {}\n}}\n", json(&missing)).as_bytes())?;
        output.end(file)?;
        Ok((missing.is_empty(), told(&manifest, &missing, &output)))
    })
    .await
}

/// Where it goes.
struct Output {
    folder: PathBuf,
    name: String,
    partial: String,
    is_folder: bool,
}

impl Output {
    fn of(asked: &CreateBackup) -> Result<Self, BackupError> {
        let path = &asked.output;
        let is_list = path.extension().is_some_and(|extension| extension == "json") && !path.is_dir();
        let file = path.file_name().and_then(|name| name.to_str()).filter(|_| is_list);
        match file {
            Some(_) if asked.full => Err(BackupError::FullIntoFile(path.clone())),
            Some(name) => {
                let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
                Ok(Self { folder: folder.to_owned(), name: name.to_owned(), partial: format!("{name}.partial"), is_folder: false })
            }
            None => Ok(Self { folder: path.clone(), name: NAME.to_owned(), partial: PARTIAL.to_owned(), is_folder: true }),
        }
    }

    /// A folder of its own; where a file was asked for, only its parents.
    fn prepare(&self) -> Result<(), BackupError> {
        if self.is_folder {
            match fs::read_dir(&self.folder) {
                Ok(mut entries) => {
                    if entries.next().is_some() {
                        return Err(BackupError::OutputNotEmpty(self.folder.clone()));
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(reading(&self.folder)(error)),
            }
        }
        make_folder(&self.folder)
    }

    /// The manifest gets its name: from now on this is a backup.
    fn end(&self, file: Writing) -> Result<(), BackupError> {
        let sum = file.end(self.name.clone())?;
        if self.is_folder {
            let mut sums = Writing::begin(self.folder.join(SUM))?;
            sums.write(format!("{}  {}\n", sum.sha256, sum.file).as_bytes())?;
            sums.end(SUM.to_owned())?;
        }
        let named = self.folder.join(&self.name);
        fs::rename(self.folder.join(&self.partial), &named).map_err(writing(&named))?;
        sync_folder(&self.folder)
    }
}

async fn head(config: &Config, snapshot: &mut BackupSnapshot) -> Result<Manifest, BackupError> {
    let counts = snapshot.counts().await?;
    let migrations = snapshot.migrations().iter();
    let here = || format!("http://{}:{}", config.host, config.port);
    Ok(Manifest {
        schema_version: SCHEMA_VERSION,
        backup_id: random_name()?,
        created_at: Clock::system().now(),
        api_url: config.documents.base_url.as_deref().map_or_else(here, str::to_owned),
        engine_version: config.version.clone(),
        migrations: migrations.map(|one| Migration { version: one.version, sha384: one.sha384.clone() }).collect(),
        counts: Counts {
            tenants: counts.tenants,
            templates: counts.templates,
            template_versions: counts.template_versions,
            assets: counts.assets,
            asset_versions: counts.asset_versions,
        },
        dump_path: None,
        tables: Vec::new(),
        months: Vec::new(),
        objects: None,
        templates: Vec::new(),
        assets: Vec::new(),
        missing_objects: Vec::new(),
    })
}

/// A name that no other backup has.
fn random_name() -> Result<String, BackupError> {
    let mut random = [0; 16];
    getrandom::fill(&mut random).map_err(|error| BackupError::System(io::Error::other(error)))?;
    Ok(hex::encode(random))
}

/// Writes the rows of every table into a file of its own.
async fn tables(snapshot: &mut BackupSnapshot, folder: &Path) -> Result<Vec<TableFile>, BackupError> {
    make_folder(&folder.join(DATABASE_FOLDER))?;
    let shapes = snapshot.tables().await?;
    let mut progress = Progress::of("tables", shapes.len() as u64, 0);
    let mut files = Vec::with_capacity(shapes.len());
    for TableShape { name, columns } in shapes {
        let path = format!("{DATABASE_FOLDER}/{name}.copy");
        let mut file = Writing::begin(folder.join(&path))?;
        let shape = TableShape { name, columns };
        let rows = snapshot
            .copy_out(&shape, |piece| {
                progress.add(0, piece.len() as u64);
                file.write(piece)
            })
            .await?;
        progress.add(1, 0);
        files.push(TableFile { name: shape.name, columns: shape.columns, rows, sum: file.end(path)? });
    }
    sync_folder(&folder.join(DATABASE_FOLDER))?;
    progress.end();
    Ok(files)
}

/// Writes down which objects the rows name.
async fn list_objects(snapshot: &mut BackupSnapshot, folder: &Path) -> Result<ObjectsFile, BackupError> {
    let mut file = Writing::begin(folder.join(OBJECTS))?;
    let (mut count, mut total_bytes) = (0, 0);
    snapshot
        .objects(|object| {
            let Some(line) = Line::new(&object) else { return Ok::<_, BackupError>(()) };
            count += 1;
            total_bytes += line.size_bytes;
            file.write(format!("{}\n", json(&line)).as_bytes())
        })
        .await?;
    let sum: FileSum = file.end(OBJECTS.to_owned())?;
    Ok(ObjectsFile { sum, count, total_bytes })
}

async fn copy_objects(config: &Config, folder: &Path, objects: &ObjectsFile) -> Result<Vec<String>, BackupError> {
    let to = into_backup(folder).await?;
    if objects.count == 0 {
        return Ok(Vec::new());
    }
    let from = live(config).await?;
    let progress = Progress::of("objects", objects.count, objects.total_bytes);
    let others = copy(&from, &to, Present::Impossible, wanted(folder, OBJECTS)?, progress).await?;
    let mut missing: Vec<String> = others
        .into_iter()
        .filter_map(|outcome| match outcome {
            Outcome::There(_) => None,
            Outcome::Missing(key) => Some(key.to_string()),
            Outcome::Corrupt(key, reason) => {
                warn(&format!("{key} {reason}"));
                Some(key.to_string())
            }
        })
        .collect();
    missing.sort_unstable();
    for key in missing.iter().take(TOLD_MISSING) {
        warn(&format!("{key} is named by a row and cannot be had from {}; it is not in the backup", from.describe()));
    }
    Ok(missing)
}

/// Where the server has its stored files, without making anything there.
pub async fn live(config: &Config) -> Result<Blobs, BackupError> {
    let Settings { place, limits } = &config.assets.blobs;
    let place = match place {
        Place::Folder(path) => Place::FolderToRead(path.clone()),
        other => other.clone(),
    };
    Ok(Blobs::open(Settings { place, limits: patient(limits) }).await?)
}

/// All but the lists, a line for each field.
fn begin(file: &mut Writing, manifest: &Manifest) -> Result<(), BackupError> {
    file.write(b"{\n")?;
    if let Ok(Value::Object(fields)) = serde_json::to_value(manifest) {
        for (name, value) in fields.iter().filter(|(name, _)| !["templates", "assets", "missingObjects"].contains(&name.as_str())) {
            file.write(format!("{}: {},\n", json(name), json(value)).as_bytes())?;
        }
    }
    Ok(())
}

/// A list, a line for each entry, without having all of it in memory.
async fn list(file: &mut Writing, name: &'static str, snapshot: &mut BackupSnapshot) -> Result<(), BackupError> {
    file.write(format!("{}: [", json(&name)).as_bytes())?;
    let mut separator = "\n  ";
    let mut each = |entry: String| {
        let written = file.write(format!("{separator}{entry}").as_bytes());
        separator = ",\n  ";
        written
    };
    match name {
        "templates" => snapshot.templates(|one| each(json(&Template::from(one)))).await?,
        _ => snapshot.assets(|one| each(json(&Asset::from(one)))).await?,
    }
    file.write(b"\n],\n")
}

/// Values of this program have a form in JSON, every one.
fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

fn told(manifest: &Manifest, missing: &[String], output: &Output) -> String {
    let counts = &manifest.counts;
    let mut text = format!(
        "{}: {} templates, {} assets of {} tenants",
        output.folder.join(&output.name).display(),
        counts.templates,
        counts.assets,
        counts.tenants
    );
    if let Some(objects) = &manifest.objects {
        let rows: u64 = manifest.tables.iter().map(|table| table.rows).sum();
        let _ = write!(
            text,
            "; with {rows} rows of {} tables and {} objects ({})",
            manifest.tables.len(),
            objects.count - missing.len() as u64,
            in_units(objects.total_bytes)
        );
    }
    if !missing.is_empty() {
        let _ = write!(text, "; {} objects that rows name are missing", missing.len());
    }
    text.push('\n');
    text
}
