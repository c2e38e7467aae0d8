//! Files of a backup: readable to their owner alone, hashed while they are written and read, on the disk before they count.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{BufRead as _, BufReader, BufWriter, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::error::{BackupError, reading, writing};

/// What is read at once.
const PIECE_BYTES: usize = 256 * 1024;

/// What a file of a backup must be.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FileSum {
    /// Its path within the backup.
    pub file: String,
    /// How many bytes it has.
    pub size_bytes: u64,
    /// Their SHA-256, in hexadecimal digits.
    pub sha256: String,
}

/// A new folder, for its owner alone. Its parents are made too.
pub fn make_folder(path: &Path) -> Result<(), BackupError> {
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(writing(path))
}

/// A file that is being written.
pub struct Writing {
    path: PathBuf,
    file: BufWriter<File>,
    hasher: Sha256,
    size_bytes: u64,
}

impl Writing {
    /// A new file in the place of one that may be there.
    pub fn begin(path: PathBuf) -> Result<Self, BackupError> {
        let opened = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&path);
        let file = BufWriter::with_capacity(PIECE_BYTES, opened.map_err(writing(&path))?);
        Ok(Self { path, file, hasher: Sha256::new(), size_bytes: 0 })
    }

    /// More of it.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), BackupError> {
        self.file.write_all(bytes).map_err(writing(&self.path))?;
        self.hasher.update(bytes);
        self.size_bytes += bytes.len() as u64;
        Ok(())
    }

    /// The end of it, on the disk. `file` is what the manifest calls it.
    pub fn end(self, file: String) -> Result<FileSum, BackupError> {
        let synced = self.file.into_inner().map_err(std::io::IntoInnerError::into_error).and_then(|file| file.sync_all());
        synced.map_err(writing(&self.path))?;
        Ok(FileSum { file, size_bytes: self.size_bytes, sha256: hex::encode(self.hasher.finalize()) })
    }
}

/// Makes the names in a folder last.
pub fn sync_folder(path: &Path) -> Result<(), BackupError> {
    File::open(path).and_then(|folder| folder.sync_all()).map_err(writing(path))
}

/// A file that is read in pieces and must be what the manifest says.
pub struct Reading {
    path: PathBuf,
    file: File,
    hasher: Sha256,
    left_bytes: u64,
    expected: FileSum,
}

impl Reading {
    /// Opens it.
    pub fn begin(folder: &Path, expected: &FileSum) -> Result<Self, BackupError> {
        let path = within(folder, &expected.file)?;
        let file = File::open(&path).map_err(reading(&path))?;
        let found = file.metadata().map_err(reading(&path))?.len();
        if found != expected.size_bytes {
            let reason = format!("it has {found} bytes instead of {}", expected.size_bytes);
            return Err(BackupError::Damaged { path, reason });
        }
        Ok(Self { path, file, hasher: Sha256::new(), left_bytes: found, expected: expected.clone() })
    }

    /// The next piece; nothing when all bytes came and are what they must be.
    pub fn next(&mut self) -> Result<Option<Bytes>, BackupError> {
        let mut piece = vec![0; PIECE_BYTES];
        let length = self.file.read(&mut piece).map_err(reading(&self.path))?;
        piece.truncate(length);
        self.hasher.update(&piece);
        if length == 0 {
            let found = hex::encode(std::mem::take(&mut self.hasher).finalize());
            return if self.left_bytes == 0 && found == self.expected.sha256 {
                Ok(None)
            } else {
                Err(BackupError::Damaged { path: self.path.clone(), reason: format!("its SHA-256 is {found}") })
            };
        }
        self.left_bytes = self.left_bytes.saturating_sub(length as u64);
        Ok(Some(piece.into()))
    }

    /// Reads all of it.
    pub fn check(mut self) -> Result<(), BackupError> {
        while self.next()?.is_some() {}
        Ok(())
    }
}

/// The lines of a file.
pub fn lines(folder: &Path, file: &str) -> Result<impl Iterator<Item = Result<String, BackupError>> + Send + use<>, BackupError> {
    let path = within(folder, file)?;
    let opened = File::open(&path).map_err(reading(&path))?;
    Ok(BufReader::new(opened).lines().map(move |line| line.map_err(reading(&path))))
}

/// A path that a manifest names, which never leads out of the backup.
fn within(folder: &Path, file: &str) -> Result<PathBuf, BackupError> {
    let plain = |part: &str| {
        !part.is_empty()
            && part.trim_matches('.') == part
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
    };
    if file.split('/').all(plain) {
        return Ok(folder.join(file));
    }
    Err(BackupError::Manifest { path: folder.join(super::manifest::NAME), reason: format!("{file:?} is no name of a file of a backup") })
}
