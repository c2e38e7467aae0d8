//! Why a backup cannot be made, read or brought back, with what helps.

use std::io;
use std::path::{Path, PathBuf};

use crate::error::{ServerError, with_causes};

/// What ended an act on a backup. The binary answers all of them with exit code 1.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// A file or folder of the backup cannot be read or written.
    #[error("{} cannot be {act}: {source}{}", path.display(), remedy(source))]
    File {
        /// `read` or `written`.
        act: &'static str,
        /// Which.
        path: PathBuf,
        /// What the system answered.
        source: io::Error,
    },
    /// The backup would go where something is.
    #[error("{} is not empty; a backup needs a folder of its own: name one that is not there yet", .0.display())]
    OutputNotEmpty(PathBuf),
    /// A list with everything cannot be one file.
    #[error("--full writes a folder, and {} is the name of a file", .0.display())]
    FullIntoFile(PathBuf),
    /// The backup was cut off while it was made.
    #[error("the backup in {} was not finished (its manifest is missing): it cannot be used; remove it and make another one", .0.display())]
    Unfinished(PathBuf),
    /// There is no manifest.
    #[error("{} is no backup: there is no manifest.json", .0.display())]
    NoManifest(PathBuf),
    /// The manifest cannot be understood.
    #[error("the manifest {} cannot be read: {reason}", path.display())]
    Manifest {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A newer release made it.
    #[error("the backup was made by a newer release ({made_by}): {what}. Use that release")]
    Newer {
        /// The release.
        made_by: String,
        /// What of it this one does not know.
        what: String,
    },
    /// A file of the backup is not what the manifest says.
    #[error("{} was altered or cut short: {reason}. Use another copy of the backup", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What does not fit.
        reason: String,
    },
    /// A stored object of the backup is not what the manifest says.
    #[error("the object {key} of the backup {reason}. Use another copy of the backup")]
    DamagedObject {
        /// Its key.
        key: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The backup has no rows and objects in it.
    #[error("the backup only lists what there was; only one that was made with --full can be brought back")]
    NotFull,
    /// The target has rows.
    #[error(
        "the database of the target is not empty ({tables} have rows); a restore replaces all of it. Name an empty database, or add --force"
    )]
    DatabaseNotEmpty {
        /// Tables with rows.
        tables: String,
    },
    /// The target has files.
    #[error(
        "the target has stored files of tenant {tenant} already ({place}). Name an empty place, or add --force if they belong to what is \
         restored; files that the restored rows do not name are removed later"
    )]
    PlaceNotEmpty {
        /// Whose.
        tenant: String,
        /// Where.
        place: String,
    },
    /// Another backup was being restored there.
    #[error(
        "the restore of another backup ({backup}) into this database has not ended. Go on with that one, or add --force to begin with this one"
    )]
    OtherRestore {
        /// Its id.
        backup: String,
    },
    /// Another process restores into the same database.
    #[error("another process is restoring into this database")]
    RestoreRuns,
    /// Servers use the target.
    #[error("servers are running on this database ({instances}): stop them first; one that was killed is forgotten after 15 s")]
    ServersRun {
        /// Their names.
        instances: String,
    },
    /// No database was made in the data folder yet.
    #[error("there is no database in PULP_DATA_DIR={}; name the folder of the server, or set DATABASE_URL", .0.display())]
    NoDatabase(PathBuf),
    /// The system gives no random bytes, or refuses threads.
    #[error("the system refuses: {0}")]
    System(io::Error),
    /// The database failed.
    #[error("the database: {}", with_causes(.0))]
    Store(#[from] store::StoreError),
    /// The place of stored files failed.
    #[error("stored files: {0}")]
    Blobs(#[from] blobs::BlobError),
    /// The database could not be started or reached.
    #[error("{0}")]
    Server(Box<ServerError>),
}

impl From<ServerError> for BackupError {
    fn from(error: ServerError) -> Self {
        Self::Server(Box::new(error))
    }
}

/// Says of a failure where it was.
pub fn reading(path: &Path) -> impl Fn(io::Error) -> BackupError {
    move |source| BackupError::File { act: "read", path: path.to_owned(), source }
}

/// See [`reading`].
pub fn writing(path: &Path) -> impl Fn(io::Error) -> BackupError {
    move |source| BackupError::File { act: "written", path: path.to_owned(), source }
}

fn remedy(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "; make room there, or use another disk. What was written so far is no backup"
        }
        io::ErrorKind::PermissionDenied => "; run this as a user who may",
        _ => "",
    }
}
