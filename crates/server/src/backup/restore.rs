//! `backup restore`: the objects, then all rows in one transaction, then the migrations that came since.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use blobs::{BlobKind, Blobs, Settings};
use domain::TenantId;
use store::{BackupTarget, RestoreStage};

use super::error::BackupError;
use super::files::Reading;
use super::manifest::{Manifest, NAME, Opened};
use super::objects::{Outcome, Present, copy, of_backup, patient, wanted};
use super::progress::Progress;
use super::verify::{Depth, itself};
use super::warn;
use crate::cli::RestoreBackup;
use crate::config::Config;
use crate::database::Database;
use crate::duties;
use crate::serve::TIDY_UP;

/// Brings a backup back and says what there is now.
pub async fn restore(config: &Config, asked: &RestoreBackup) -> Result<String, BackupError> {
    let opened = Opened::read(&asked.backup)?;
    if opened.manifest.dump_path.is_none() || opened.manifest.objects.is_none() {
        return Err(BackupError::NotFull);
    }
    let migrations = opened.schema()?;
    // Before anything is changed.
    itself(&opened, Depth::Sizes).await?;
    let database = Database::start(config).await?;
    let restored = into(config, &database, &opened, &migrations, asked).await;
    let stopped = database.stop(TIDY_UP).await;
    let told = restored?;
    stopped?;
    Ok(told)
}

async fn into(
    config: &Config,
    database: &Database,
    opened: &Opened,
    migrations: &[i64],
    asked: &RestoreBackup,
) -> Result<String, BackupError> {
    let url = database.direct_url().await?;
    let Some(mut target) = BackupTarget::open(&url).await? else { return Err(BackupError::RestoreRuns) };
    let Settings { place, limits } = &config.assets.blobs;
    let place = Blobs::open(Settings { place: place.clone(), limits: patient(limits) }).await?;
    place.probe_writing().await?;

    let stage = may_begin(&mut target, &place, opened, asked).await?;
    if stage != Some(RestoreStage::Loaded) {
        if stage.is_none() {
            target.begin(&opened.manifest.backup_id).await?;
        }
        let present = if stage.is_some() || asked.force { Present::IsKept } else { Present::Impossible };
        objects(&place, opened, present).await?;
        // Copying may have taken hours.
        refuse_servers(&target.alive().await?)?;
        rows(&mut target, opened, migrations).await?;
    }
    target.end().await?;
    let report = database.migrate().await?;
    let store = database.connect_alone().await?;
    duties::prepare(&config.duties, &store).await;
    store.close().await;
    Ok(told(&opened.manifest, &report.applied, database, &place))
}

/// Whether the target is fit, and how far an earlier restore of the same backup came.
async fn may_begin(
    target: &mut BackupTarget,
    place: &Blobs,
    opened: &Opened,
    asked: &RestoreBackup,
) -> Result<Option<RestoreStage>, BackupError> {
    let standing = target.standing().await?;
    refuse_servers(&standing.alive)?;
    match standing.unfinished {
        Some((backup, stage)) if backup == opened.manifest.backup_id => return Ok(Some(stage)),
        Some((backup, _)) if !asked.force => return Err(BackupError::OtherRestore { backup }),
        _ => {}
    }
    if asked.force {
        return Ok(None);
    }
    if !standing.filled_tables.is_empty() {
        return Err(BackupError::DatabaseNotEmpty { tables: standing.filled_tables.join(", ") });
    }
    for tenant in tenants(&opened.manifest) {
        for kind in BlobKind::ALL {
            if !place.list(&tenant, kind, None, 1).await?.is_empty() {
                return Err(BackupError::PlaceNotEmpty { tenant: tenant.to_string(), place: place.describe() });
            }
        }
    }
    Ok(None)
}

fn refuse_servers(alive: &[String]) -> Result<(), BackupError> {
    if alive.is_empty() { Ok(()) } else { Err(BackupError::ServersRun { instances: alive.join(", ") }) }
}

/// Those that the backup names; the default one in any case.
fn tenants(manifest: &Manifest) -> BTreeSet<TenantId> {
    let named = manifest.templates.iter().map(|one| &one.tenant).chain(manifest.assets.iter().map(|one| &one.tenant));
    named.filter_map(|tenant| tenant.parse().ok()).chain([TenantId::default_tenant()]).collect()
}

async fn objects(place: &Blobs, opened: &Opened, present: Present) -> Result<(), BackupError> {
    let Opened { folder, manifest } = opened;
    let Some(objects) = manifest.objects.as_ref().filter(|objects| objects.count > 0) else { return Ok(()) };
    let from = of_backup(folder).await?;
    let progress = Progress::of("objects", objects.count, objects.total_bytes);
    for outcome in copy(&from, place, present, wanted(folder, &objects.sum.file)?, progress).await? {
        match outcome {
            Outcome::There(_) => {}
            Outcome::Missing(key) if manifest.missing_objects.contains(&key.to_string()) => {
                warn(&format!("{key} was missing already when the backup was made"));
            }
            Outcome::Missing(key) => {
                return Err(BackupError::DamagedObject { key: key.to_string(), reason: "is not there".to_owned() });
            }
            Outcome::Corrupt(key, reason) => return Err(BackupError::DamagedObject { key: key.to_string(), reason }),
        }
    }
    Ok(())
}

async fn rows(target: &mut BackupTarget, opened: &Opened, migrations: &[i64]) -> Result<(), BackupError> {
    let Opened { folder, manifest } = opened;
    let all: u64 = manifest.tables.iter().map(|table| table.rows).sum();
    let total_bytes = manifest.tables.iter().map(|table| table.sum.size_bytes).sum();
    let mut progress = Progress::of("rows", all, total_bytes);
    let mut load = target.load(migrations).await?;
    for month in &manifest.months {
        let wrong = || BackupError::Manifest { path: folder.join(NAME), reason: format!("{month:?} is no month of a table") };
        load.make_month(month.read().ok_or_else(wrong)?).await?;
    }
    for table in &manifest.tables {
        let mut file = Reading::begin(folder, &table.sum)?;
        let next = || {
            let piece = file.next()?;
            progress.add(0, piece.as_ref().map_or(0, |piece| piece.len() as u64));
            Ok::<_, BackupError>(piece)
        };
        let rows = load.copy_in(&table.shape(), next).await?;
        if rows != table.rows {
            let reason = format!("it has {rows} rows instead of {}", table.rows);
            return Err(BackupError::Damaged { path: folder.join(&table.sum.file), reason });
        }
        progress.add(rows, 0);
    }
    load.commit().await?;
    progress.end();
    Ok(())
}

fn told(manifest: &Manifest, applied: &[i64], database: &Database, place: &Blobs) -> String {
    let (counts, made) = (&manifest.counts, manifest.created_at);
    let mut text = format!(
        "restored {} templates and {} assets of {} tenants, as they were at {made}, into {} and {}\n",
        counts.templates,
        counts.assets,
        counts.tenants,
        database.description,
        place.describe()
    );
    if !applied.is_empty() {
        let _ = writeln!(text, "brought the database up by {} migrations", applied.len());
    }
    if !manifest.missing_objects.is_empty() {
        let _ = writeln!(text, "{} objects were missing already when the backup was made", manifest.missing_objects.len());
    }
    text
}
