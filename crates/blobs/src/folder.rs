//! Bytes in a folder: a file for each key, in folders by tenant, kind and the first two digits of the hash.

use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use domain::TenantId;
use futures_util::stream::{StreamExt, try_unfold};
use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;
use tokio::sync::OwnedSemaphorePermit;

use crate::blobs::within;
use crate::content::{ByteRange, Found};
use crate::error::BlobError;
use crate::folder_paths::{Missing, Root, open_regular};
use crate::key::{BlobKey, BlobKind, Listed};
use crate::settings::Limits;
use crate::source::{PIECE_BYTES, read_piece};

/// Cheap to clone: the work is done on threads that may wait for a disk.
#[derive(Clone)]
pub(crate) struct Folder {
    pub(crate) root: Arc<Root>,
    pub(crate) limits: Arc<Limits>,
}

/// Kept by work on another thread until it is done, so that a disk that hangs cannot gather more of it than turns.
pub(crate) type Turn = Arc<OwnedSemaphorePermit>;

impl Folder {
    pub(crate) async fn open(path: PathBuf, limits: &Limits) -> Result<Self, BlobError> {
        Self::opened(limits, move || Root::make(&path)).await
    }

    pub(crate) async fn open_to_read(path: PathBuf, limits: &Limits) -> Result<Self, BlobError> {
        Self::opened(limits, move || Root::find(&path)).await
    }

    async fn opened(limits: &Limits, open: impl FnOnce() -> Result<Root, BlobError> + Send + 'static) -> Result<Self, BlobError> {
        let limits = Arc::new(limits.clone());
        let opened = tokio::task::spawn_blocking(open);
        let opened = async { opened.await.map_err(|error| BlobError::away("open", error.to_string()))? };
        let root = within("open", limits.call, opened).await?;
        Ok(Self { root: Arc::new(root), limits })
    }

    pub(crate) fn describe(&self) -> String {
        format!("folder {}", self.root.path().display())
    }

    pub(crate) async fn get(
        &self,
        key: &BlobKey,
        range: Option<ByteRange>,
        turn: OwnedSemaphorePermit,
    ) -> Result<Option<Found>, BlobError> {
        let at = key.clone();
        let opened = self.working("get", Arc::new(turn), move |root| {
            let Some(parent) = root.parent(&at, Missing::IsAbsent)? else { return Ok(None) };
            open_regular(&parent, &at)
        });
        let Some((file, size_bytes)) = opened.await? else { return Ok(None) };
        let (first, length_bytes) = range.map_or(Ok((0, size_bytes)), |range| range.within(size_bytes))?;
        let file = Arc::new(file);
        let pieces = try_unfold((self.limits.idle, first, first + length_bytes), move |(idle, at, end)| {
            let file = file.clone();
            async move {
                let wanted = usize::try_from(end - at).unwrap_or(PIECE_BYTES).min(PIECE_BYTES);
                if wanted == 0 {
                    return Ok(None);
                }
                let piece = blocking("get", idle, move || read_piece(&file, at, wanted)).await?;
                if piece.is_empty() { Ok(None) } else { Ok(Some((piece.clone(), (idle, at + piece.len() as u64, end)))) }
            }
        });
        Ok(Some(Found { size_bytes, first, length_bytes, pieces: pieces.boxed() }))
    }

    pub(crate) async fn stat(&self, key: &BlobKey, turn: OwnedSemaphorePermit) -> Result<Option<u64>, BlobError> {
        let key = key.clone();
        let opened = self.working("stat", Arc::new(turn), move |root| {
            let Some(parent) = root.parent(&key, Missing::IsAbsent)? else { return Ok(None) };
            open_regular(&parent, &key)
        });
        Ok(opened.await?.map(|(_, size_bytes)| size_bytes))
    }

    pub(crate) async fn delete(&self, key: &BlobKey, turn: OwnedSemaphorePermit) -> Result<(), BlobError> {
        let key = key.clone();
        let removed = self.working("delete", Arc::new(turn), move |root| {
            let Some(parent) = root.parent(&key, Missing::IsAbsent)? else { return Ok(()) };
            match rustix::fs::unlinkat(&parent, hex::encode(key.sha256()), AtFlags::empty()) {
                Ok(()) => rustix::fs::fsync(&parent).map_err(io::Error::from),
                Err(Errno::NOENT) => Ok(()),
                Err(error) => Err(error.into()),
            }
        });
        removed.await
    }

    pub(crate) async fn list(
        &self,
        tenant: &TenantId,
        kind: BlobKind,
        after: Option<&BlobKey>,
        limit: usize,
        turn: OwnedSemaphorePermit,
    ) -> Result<Vec<Listed>, BlobError> {
        let (tenant, after) = (tenant.clone(), after.cloned());
        self.working("list", Arc::new(turn), move |root| crate::folder_list::list(root, &tenant, kind, after.as_ref(), limit)).await
    }

    pub(crate) async fn probe(&self, turn: OwnedSemaphorePermit) -> Result<(), BlobError> {
        let opened = self.working("probe", Arc::new(turn), |root| {
            let root = root.open()?;
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
            Ok::<OwnedFd, io::Error>(rustix::fs::openat(&root, ".", flags, Mode::empty())?)
        });
        opened.await.map(drop)
    }

    pub(crate) async fn probe_writing(&self, turn: OwnedSemaphorePermit) -> Result<(), BlobError> {
        self.working("probe_writing", Arc::new(turn), Root::probe_writing).await
    }

    /// Works on a thread that may wait, within the time of a call.
    pub(crate) async fn working<T: Send + 'static>(
        &self,
        call: &'static str,
        turn: Turn,
        work: impl FnOnce(&Root) -> io::Result<T> + Send + 'static,
    ) -> Result<T, BlobError> {
        let root = self.root.clone();
        blocking(call, self.limits.call, move || {
            let _turn = turn;
            work(&root)
        })
        .await
    }
}

/// Does it on a thread that may wait. What is not done within `limit` is away, and goes on until the disk answers.
pub(crate) async fn blocking<T: Send + 'static>(
    call: &'static str,
    limit: Duration,
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, BlobError> {
    let done = tokio::task::spawn_blocking(work);
    let done = async {
        let done = done.await.map_err(|error| BlobError::away(call, error.to_string()))?;
        done.map_err(|error| BlobError::of_folder(call, &error))
    };
    within(call, limit, done).await
}
