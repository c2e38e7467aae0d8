//! One server per data folder: a file lock that the system releases when its holder dies.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use crate::error::{EmbeddedPostgresError, folder};

/// Held as long as this process uses the data folder. Children do not inherit it.
#[derive(Debug)]
pub(crate) struct DataDirLock {
    file: File,
}

impl DataDirLock {
    pub(crate) fn take(data_dir: &Path) -> Result<Self, EmbeddedPostgresError> {
        let path = data_dir.join("postgres.lock");
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(folder("open the lock file", &path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                let _ = (&mut file).take(32).read_to_string(&mut holder);
                return Err(EmbeddedPostgresError::AlreadyRunning {
                    data_dir: data_dir.to_owned(),
                    holder_pid: holder.trim().parse().ok(),
                });
            }
            Err(TryLockError::Error(source)) => return Err(folder("lock", &path)(source)),
        }
        // The id is only a courtesy to whoever finds the lock taken.
        let noted = file.set_len(0).and_then(|()| file.rewind()).and_then(|()| writeln!(file, "{}", std::process::id()));
        noted.map_err(folder("write", &path))?;
        Ok(Self { file })
    }
}

impl Drop for DataDirLock {
    fn drop(&mut self) {
        // Closing would do, but for a child that another thread is starting in this moment: until it becomes another
        // program it has the file open too, and the lock with it.
        let _ = self.file.unlock();
    }
}
