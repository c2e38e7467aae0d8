//! A browser's profile directory: made for one process, locked while it is in use, gone afterwards.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{FlockOperation, flock};

const PREFIX: &str = "chromium-";
const LOCK: &str = ".lock";

/// Numbers the profiles of this process.
static NEXT: AtomicU64 = AtomicU64::new(0);

/// A profile directory with the lock that tells other processes that it is in use.
#[derive(Debug)]
pub(crate) struct Profile {
    directory: PathBuf,
    lock_path: PathBuf,
    _lock: File,
}

impl Profile {
    /// Makes an empty directory under `runtime_dir` and locks it.
    pub(crate) fn create(runtime_dir: &Path) -> io::Result<Self> {
        std::fs::create_dir_all(runtime_dir)?;
        loop {
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            let directory = runtime_dir.join(format!("{PREFIX}{}-{number}", std::process::id()));
            let lock_path = directory.with_extension(&LOCK[1..]);
            // The lock comes first, so that a sweeper never sees a directory without one.
            let lock = OpenOptions::new().create(true).truncate(false).write(true).open(&lock_path)?;
            if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err() || !lock_path.exists() {
                continue;
            }
            match std::fs::create_dir(&directory) {
                Ok(()) => return Ok(Self { directory, lock_path, _lock: lock }),
                // A left-over of an earlier process with our number.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.directory
    }

    /// Removes it; only once no process of the browser lives, since Chromium makes files again.
    pub(crate) fn remove(&self) -> io::Result<()> {
        remove(&self.directory)?;
        std::fs::remove_file(&self.lock_path)
    }
}

/// Removes the profiles of processes that are gone. Returns how many.
pub(crate) fn sweep(runtime_dir: &Path) -> io::Result<usize> {
    let mut removed = 0;
    let entries = match std::fs::read_dir(runtime_dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        entries => entries?,
    };
    for entry in entries {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let Some(profile) = name.strip_suffix(LOCK).filter(|name| name.starts_with(PREFIX)) else { continue };
        let Ok(lock) = OpenOptions::new().write(true).open(&path) else { continue };
        if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_ok() {
            remove(&runtime_dir.join(profile))?;
            std::fs::remove_file(&path)?;
            removed += 1;
        }
    }
    Ok(removed)
}

fn remove(directory: &Path) -> io::Result<()> {
    match std::fs::remove_dir_all(directory) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_in_use_is_left_alone_and_an_abandoned_one_is_swept() {
        let runtime = tempfile::tempdir().unwrap();
        let used = Profile::create(runtime.path()).unwrap();
        let abandoned = Profile::create(runtime.path()).unwrap();
        let abandoned_path = abandoned.path().to_path_buf();
        drop(abandoned);
        assert_eq!(sweep(runtime.path()).unwrap(), 1);
        assert!(used.path().exists() && !abandoned_path.exists());
        used.remove().unwrap();
        assert_eq!(std::fs::read_dir(runtime.path()).unwrap().count(), 0);
    }
}
