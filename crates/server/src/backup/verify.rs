//! `backup verify`: a backup beside what is there now.

use std::fmt::Write as _;

use domain::TenantId;
use sha2::{Digest as _, Sha256};
use store::{BACKUP_TABLES, BackupSnapshot, TableDrift};

use super::create::live;
use super::drift::{Entries, compare};
use super::error::BackupError;
use super::files::Reading;
use super::manifest::{Asset, Manifest, Opened, Template};
use super::objects::{Outcome, Wanted, check, look, of_backup, wanted};
use super::progress::Progress;
use super::with_database;
use crate::cli::VerifyBackup;
use crate::config::Config;

/// Whether no more differs than is tolerated, and what does.
pub async fn verify(config: &Config, asked: &VerifyBackup) -> Result<(bool, String), BackupError> {
    let opened = Opened::read(&asked.backup)?;
    if asked.deep {
        itself(&opened, Depth::Bytes).await?;
    }
    with_database(config, async |database| {
        let mut snapshot = BackupSnapshot::open(&database.direct_url().await?).await?;
        let mut report = String::new();
        let mut drift = lists(&opened.manifest, &mut snapshot, &mut report).await?;
        if asked.deep {
            drift += definitions(&mut snapshot, &mut report).await?;
            drift += rows(&opened.manifest, &mut snapshot, &mut report).await?;
        }
        snapshot.close().await;
        if asked.deep {
            drift += stored(config, &opened, &mut report).await?;
        }
        let matches = drift <= asked.tolerance;
        let verdict = if matches { "match" } else { "DRIFT" };
        let _ = writeln!(report, "{verdict}: {drift} differences, {} tolerated", asked.tolerance);
        Ok((matches, report))
    })
    .await
}

/// How closely a backup is looked at.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// Whether every object is there with its size, and all else to the last byte.
    Sizes,
    /// Every byte.
    Bytes,
}

/// Whether the files of the backup are what its manifest says.
pub async fn itself(opened: &Opened, depth: Depth) -> Result<(), BackupError> {
    let Opened { folder, manifest } = opened;
    for table in &manifest.tables {
        Reading::begin(folder, &table.sum)?.check()?;
    }
    let Some(objects) = &manifest.objects else { return Ok(()) };
    Reading::begin(folder, &objects.sum)?.check()?;
    if objects.count == 0 {
        return Ok(());
    }
    let place = of_backup(folder).await?;
    let progress = Progress::of("objects of the backup", objects.count, objects.total_bytes);
    let list = wanted(folder, &objects.sum.file)?;
    let others = match depth {
        Depth::Sizes => look(&place, list, progress).await?,
        Depth::Bytes => check(&place, list, progress).await?,
    };
    for outcome in others {
        match outcome {
            Outcome::Missing(key) if !manifest.missing_objects.contains(&key.to_string()) => {
                return Err(BackupError::DamagedObject { key: key.to_string(), reason: "is not there".to_owned() });
            }
            Outcome::Corrupt(key, reason) => return Err(BackupError::DamagedObject { key: key.to_string(), reason }),
            Outcome::Missing(_) | Outcome::There(_) => {}
        }
    }
    Ok(())
}

/// Compares what manifests list.
async fn lists(manifest: &Manifest, snapshot: &mut BackupSnapshot, report: &mut String) -> Result<u64, BackupError> {
    let (mut then, mut now) = (Entries::default(), Entries::default());
    manifest.templates.iter().for_each(|one| then.add_template(one));
    let add = |one| {
        now.add_template(&Template::from(one));
        Ok::<_, BackupError>(())
    };
    snapshot.templates(add).await?;
    let templates = compare("templates", &then, &now, report);

    let (mut then, mut now) = (Entries::default(), Entries::default());
    manifest.assets.iter().for_each(|one| then.add_asset(one));
    let add = |one| {
        now.add_asset(&Asset::from(one));
        Ok::<_, BackupError>(())
    };
    snapshot.assets(add).await?;
    Ok(templates + compare("assets", &then, &now, report))
}

/// Whether definitions have the hashes that stand beside them.
async fn definitions(snapshot: &mut BackupSnapshot, report: &mut String) -> Result<u64, BackupError> {
    let altered = snapshot.altered_definitions().await?;
    let _ = writeln!(report, "definitions: {} are not what their hash says", altered.len());
    for name in &altered {
        let _ = writeln!(report, "  altered  {name}");
    }
    Ok(altered.len() as u64)
}

/// Compares the rows of every table. Where a server works with them, they change.
async fn rows(manifest: &Manifest, snapshot: &mut BackupSnapshot, report: &mut String) -> Result<u64, BackupError> {
    if manifest.tables.is_empty() {
        return Ok(0);
    }
    let of_backup = manifest.migrations.last().map_or(0, |migration| migration.version);
    let here = snapshot.migrations().last().map_or(0, |migration| migration.version);
    if of_backup != here {
        let _ = writeln!(report, "rows: not compared, the schema is {here} and was {of_backup}");
        return Ok(0);
    }
    let (mut same, mut drift) = (0, 0);
    let mut progress = Progress::of("tables here", manifest.tables.len() as u64, 0);
    for table in &manifest.tables {
        let mut hasher = Sha256::new();
        let taken = |piece: &[u8]| {
            hasher.update(piece);
            progress.add(0, piece.len() as u64);
            Ok::<_, BackupError>(())
        };
        let rows = snapshot.copy_out(&table.shape(), taken).await?;
        progress.add(1, 0);
        if hex::encode(hasher.finalize()) == table.sum.sha256 {
            same += 1;
            continue;
        }
        let counts = BACKUP_TABLES.iter().any(|known| known.name == table.name && known.drift == TableDrift::Counts);
        drift += u64::from(counts);
        let word = if counts { "changed " } else { "expected" };
        let _ = writeln!(report, "  {word} rows of {}: {} in the backup, {rows} here", table.name, table.rows);
    }
    progress.end();
    let _ = writeln!(report, "rows: {same} of {} tables are the same, {drift} differ that only people change", manifest.tables.len());
    Ok(drift)
}

/// Whether every object of the backup can be read here, to its last byte.
async fn stored(config: &Config, opened: &Opened, report: &mut String) -> Result<u64, BackupError> {
    let Opened { folder, manifest } = opened;
    let others = match &manifest.objects {
        Some(objects) if objects.count == 0 => Vec::new(),
        Some(objects) => {
            let progress = Progress::of("objects here", objects.count, objects.total_bytes);
            check(&live(config).await?, wanted(folder, &objects.sum.file)?, progress).await?
        }
        None if manifest.assets.is_empty() => Vec::new(),
        None => {
            let list: Vec<_> = assets_of(manifest).map(Ok).collect();
            let progress = Progress::of("objects here", list.len() as u64, 0);
            check(&live(config).await?, list.into_iter(), progress).await?
        }
    };
    let (mut drift, mut lines) = (0, String::new());
    for outcome in others {
        let (key, what) = match outcome {
            Outcome::There(_) => continue,
            Outcome::Missing(key) => (key, "is not there".to_owned()),
            Outcome::Corrupt(key, reason) => (key, reason),
        };
        // What was not there then is no difference now.
        if !manifest.missing_objects.contains(&key.to_string()) {
            drift += 1;
            let _ = writeln!(lines, "  damaged  {key} {what}");
        }
    }
    let _ = writeln!(report, "objects: {drift} cannot be read here as they were");
    report.push_str(&lines);
    Ok(drift)
}

fn assets_of(manifest: &Manifest) -> impl Iterator<Item = Wanted> {
    manifest.assets.iter().flat_map(|asset| {
        asset.versions.iter().filter_map(|version| {
            let tenant: TenantId = asset.tenant.parse().ok()?;
            let mut sha256 = [0; 32];
            hex::decode_to_slice(&version.content_hash, &mut sha256).ok()?;
            Some(Wanted { key: blobs::BlobKey::new(tenant, blobs::BlobKind::Assets, sha256), size_bytes: None })
        })
    })
}
