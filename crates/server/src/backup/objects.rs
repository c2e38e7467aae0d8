//! Stored objects from one place to another, several at a time, each streamed and checked against the hash in its name.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use blobs::{BlobError, BlobKey, BlobKind, BlobSource, Blobs, Limits, Place, Settings};
use futures_util::stream::{StreamExt as _, iter};
use serde::{Deserialize, Serialize};
use store::BackupObject;

use super::error::BackupError;
use super::files::lines;
use super::manifest::OBJECTS_FOLDER;
use super::progress::Progress;

/// Objects that are on their way at the same time; each holds one part of an upload in memory.
const AT_ONCE: usize = 8;
/// How often an object is tried while a place is away, with pauses of 1, 2, 4 s.
const TRIES: u32 = 4;

/// A line of the list of objects.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Line {
    /// The key as text.
    pub key: String,
    /// How many bytes.
    pub size_bytes: u64,
}

impl Line {
    /// Of what the rows name; nothing where this release knows no such kind.
    pub fn new(object: &BackupObject) -> Option<Self> {
        let kind = BlobKind::ALL.into_iter().find(|kind| kind.as_str() == object.kind)?;
        let key = BlobKey::new(object.tenant.parse().ok()?, kind, object.sha256);
        Some(Self { key: key.to_string(), size_bytes: object.size_bytes })
    }
}

/// An object that is to be somewhere.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Wanted {
    /// Its name.
    pub key: BlobKey,
    /// How many bytes it has, where that is known.
    pub size_bytes: Option<u64>,
}

/// The objects of a backup, in the order of their keys.
pub fn wanted(folder: &Path, file: &str) -> Result<impl Iterator<Item = Result<Wanted, BackupError>> + Send + use<>, BackupError> {
    let path = folder.join(file);
    Ok(lines(folder, file)?.map(move |line| {
        let wrong = |reason: String| BackupError::Damaged { path: path.clone(), reason };
        let line: Line = serde_json::from_str(&line?).map_err(|error| wrong(error.to_string()))?;
        let key = line.key.parse().map_err(|error: blobs::InvalidBlobKey| wrong(error.to_string()))?;
        Ok(Wanted { key, size_bytes: Some(line.size_bytes) })
    }))
}

/// The limits of a server are for its requests: what is stored already goes through, however large.
pub fn patient(limits: &Limits) -> Limits {
    let default = Limits::default();
    Limits { blob_bytes: default.blob_bytes.max(limits.blob_bytes), turn: Duration::from_mins(2), ..limits.clone() }
}

/// The objects of a backup, to be read.
pub async fn of_backup(folder: &Path) -> Result<Blobs, BlobError> {
    let place = Place::FolderToRead(folder.join(OBJECTS_FOLDER));
    Blobs::open(Settings { place, limits: patient(&Limits::default()) }).await
}

/// The folder of a backup that is being written.
pub async fn into_backup(folder: &Path) -> Result<Blobs, BlobError> {
    Blobs::open(Settings { place: Place::Folder(folder.join(OBJECTS_FOLDER)), limits: patient(&Limits::default()) }).await
}

/// What to do where an object is at the other place already.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Present {
    /// It cannot be.
    Impossible,
    /// One of the same size is left as it is.
    IsKept,
}

/// What came of one object.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// It is there, with so many bytes.
    There(u64),
    /// The place that it comes from does not have it.
    Missing(BlobKey),
    /// Its bytes are others there: a few words that say so and why that is known.
    Corrupt(BlobKey, String),
}

/// Copies them and gives those that the place of origin does not have or has wrong.
pub async fn copy(
    from: &Blobs,
    to: &Blobs,
    present: Present,
    objects: impl Iterator<Item = Result<Wanted, BackupError>> + Send,
    progress: Progress,
) -> Result<Vec<Outcome>, BackupError> {
    each(objects, progress, async |wanted| {
        if present == Present::IsKept && wanted.size_bytes.is_some() && to.stat(&wanted.key).await? == wanted.size_bytes {
            return Ok(Outcome::There(wanted.size_bytes.unwrap_or(0)));
        }
        copy_one(from, to, &wanted.key).await
    })
    .await
}

/// Reads them to their end and gives those that are not there or are wrong.
pub async fn check(
    place: &Blobs,
    objects: impl Iterator<Item = Result<Wanted, BackupError>> + Send,
    progress: Progress,
) -> Result<Vec<Outcome>, BackupError> {
    each(objects, progress, async |wanted| read_one(place, &wanted.key).await).await
}

/// Looks whether they are there with their sizes, without reading them.
pub async fn look(
    place: &Blobs,
    objects: impl Iterator<Item = Result<Wanted, BackupError>> + Send,
    progress: Progress,
) -> Result<Vec<Outcome>, BackupError> {
    each(objects, progress, async |wanted| {
        Ok(match (place.stat(&wanted.key).await?, wanted.size_bytes) {
            (None, _) => Outcome::Missing(wanted.key),
            (Some(found), Some(size)) if found != size => Outcome::Corrupt(wanted.key, format!("has {found} bytes instead of {size}")),
            (Some(found), _) => Outcome::There(found),
        })
    })
    .await
}

async fn each(
    objects: impl Iterator<Item = Result<Wanted, BackupError>> + Send,
    mut progress: Progress,
    act: impl AsyncFn(Wanted) -> Result<Outcome, BlobError>,
) -> Result<Vec<Outcome>, BackupError> {
    let act = &act;
    let tried = iter(objects).map(|wanted| async move { tried(act, wanted?).await.map_err(BackupError::from) });
    let mut outcomes = std::pin::pin!(tried.buffer_unordered(AT_ONCE));
    let mut others = Vec::new();
    while let Some(outcome) = outcomes.next().await {
        match outcome? {
            Outcome::There(bytes) => progress.add(1, bytes),
            other => others.push(other),
        }
    }
    progress.end();
    Ok(others)
}

async fn tried(act: &impl AsyncFn(Wanted) -> Result<Outcome, BlobError>, wanted: Wanted) -> Result<Outcome, BlobError> {
    let mut pause = Duration::from_secs(1);
    for _ in 1..TRIES {
        match act(wanted.clone()).await {
            Err(error @ (BlobError::Away { .. } | BlobError::Busy { .. } | BlobError::Source { .. })) => {
                tracing::debug!(%error, key = %wanted.key, "a stored object is tried again");
                tokio::time::sleep(pause).await;
                pause *= 2;
            }
            other => return other,
        }
    }
    act(wanted).await
}

async fn copy_one(from: &Blobs, to: &Blobs, key: &BlobKey) -> Result<Outcome, BlobError> {
    let Some(content) = from.get(key, None).await? else { return Ok(Outcome::Missing(key.clone())) };
    let size_bytes = content.size_bytes();
    // A put only knows that its bytes ended early; why they did is told here.
    let failure: Arc<Mutex<Option<BlobError>>> = Arc::default();
    let noted = failure.clone();
    let pieces = content.map(move |piece| {
        piece.map_err(|error| {
            let said = std::io::Error::other(error.to_string());
            *noted.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
            said
        })
    });
    let put = to.put(key, BlobSource::stream(pieces, Some(size_bytes))).await;
    let failure = failure.lock().unwrap_or_else(PoisonError::into_inner).take();
    match (put, failure) {
        (Ok(bytes), _) => Ok(Outcome::There(bytes)),
        (Err(_), Some(BlobError::Corrupt { reason, .. })) => Ok(Outcome::Corrupt(key.clone(), format!("is damaged: {reason}"))),
        (Err(_), Some(error)) | (Err(error), None) => Err(error),
    }
}

async fn read_one(place: &Blobs, key: &BlobKey) -> Result<Outcome, BlobError> {
    let Some(mut content) = place.get(key, None).await? else { return Ok(Outcome::Missing(key.clone())) };
    while let Some(piece) = content.next().await {
        match piece {
            Err(BlobError::Corrupt { reason, .. }) => return Ok(Outcome::Corrupt(key.clone(), format!("is damaged: {reason}"))),
            other => drop(other?),
        }
    }
    Ok(Outcome::There(content.size_bytes()))
}
