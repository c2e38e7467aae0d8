//! A put into a folder: written beside, synced, then renamed, so that a key never names half of its bytes.

use std::fs::File;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use rustix::fs::AtFlags;
use rustix::io::Errno;
use tokio::sync::OwnedSemaphorePermit;

use crate::error::BlobError;
use crate::folder::{Folder, blocking};
use crate::folder_paths::Missing;
use crate::intake::Intake;
use crate::key::BlobKey;

/// A file that is not complete yet. Dropping it removes it, unless it was renamed.
struct Incoming {
    folder: Arc<OwnedFd>,
    name: String,
    file: Arc<File>,
}

impl Drop for Incoming {
    fn drop(&mut self) {
        let (folder, name) = (self.folder.clone(), std::mem::take(&mut self.name));
        if name.is_empty() {
            return;
        }
        // A disk may take its time, and whoever drops this has none.
        let remove = move || {
            // What stays is removed at a later start.
            let _ = rustix::fs::unlinkat(&*folder, name, AtFlags::empty());
        };
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn_blocking(remove)),
            Err(_) => remove(),
        }
    }
}

impl Folder {
    pub(crate) async fn put(&self, key: &BlobKey, mut intake: Intake, turn: OwnedSemaphorePermit) -> Result<u64, BlobError> {
        let turn = Arc::new(turn);
        let made = self.working("put", turn.clone(), |root| {
            let (folder, name, file) = root.new_file()?;
            Ok(Incoming { folder: Arc::new(folder), name, file: Arc::new(file) })
        });
        let mut incoming = made.await?;
        while let Some(bytes) = intake.next().await? {
            let (file, turn) = (incoming.file.clone(), turn.clone());
            let written = blocking("put", self.limits.call, move || {
                let _turn = turn;
                (&*file).write_all(&bytes)
            });
            written.await?;
        }
        let (root, key, size_bytes) = (self.root.clone(), key.clone(), intake.taken_bytes());
        let limit = self.limits.call + self.limits.attempt_with(size_bytes);
        let placed = blocking("put", limit, move || {
            let _turn = turn;
            incoming.file.sync_all()?;
            let parent = root.parent(&key, Missing::IsMade)?.ok_or(Errno::NOENT)?;
            rustix::fs::renameat(&*incoming.folder, &incoming.name, &parent, hex::encode(key.sha256()))?;
            incoming.name.clear();
            Ok(rustix::fs::fsync(&parent)?)
        });
        placed.await?;
        Ok(size_bytes)
    }
}
