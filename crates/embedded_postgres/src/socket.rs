//! Where the socket is, and the short detour for a long data folder.

use std::fs::DirBuilder;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use crate::account::Account;
use crate::cluster::random_name;
use crate::error::{EmbeddedPostgresError, folder};
use crate::settings::PORT;

/// The kernel's `sun_path` has 108 bytes, the last one for the end mark.
const LONGEST_SOCKET_PATH: usize = 107;
const SHORT_PREFIX: &str = "pulp-postgres-";

/// The folder of the socket, as clients name it and as Postgres is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Socket {
    pub(crate) folder: PathBuf,
    pub(crate) setting: String,
}

impl Socket {
    /// Normally the cluster itself, which only its owner can enter; Postgres knows it as `.` whatever
    /// its path. When clients could not name the socket there, a folder with a short unforeseeable name
    /// and the same permissions, which is noted in the data folder and used again at the next start.
    pub(crate) fn place(data_dir: &Path, cluster: &Path, account: &Account) -> Result<Self, EmbeddedPostgresError> {
        if is_nameable(cluster) {
            return Ok(Self { folder: cluster.to_owned(), setting: ".".to_owned() });
        }
        let note = data_dir.join("postgres.socket-dir");
        let noted = std::fs::read_to_string(&note).ok().map(|text| PathBuf::from(text.trim()));
        let reusable = noted.filter(|path| is_private_folder_of(path, account));
        let short = reusable.map_or_else(|| make_short_folder(account, &note), Ok)?;
        Ok(Self { setting: short.display().to_string(), folder: short })
    }

    /// Where it is of a Postgres that runs; nothing when that cannot be told. Makes nothing.
    pub(crate) fn find(data_dir: &Path, cluster: &Path, account: &Account) -> Option<Self> {
        if is_nameable(cluster) {
            return Some(Self { folder: cluster.to_owned(), setting: ".".to_owned() });
        }
        let noted = std::fs::read_to_string(data_dir.join("postgres.socket-dir")).ok()?;
        let folder = PathBuf::from(noted.trim());
        is_private_folder_of(&folder, account).then(|| Self { setting: folder.display().to_string(), folder })
    }

    /// The socket file.
    pub(crate) fn file(&self) -> PathBuf {
        file_in(&self.folder)
    }

    /// Removes a short folder once Postgres has taken its socket out of it. One that is not empty stays.
    pub(crate) fn tidy(&self, data_dir: &Path) {
        if self.setting != "." && std::fs::remove_dir(&self.folder).is_ok() {
            let _ = std::fs::remove_file(data_dir.join("postgres.socket-dir"));
        }
    }
}

/// Whether clients can name the socket in the cluster. libpq takes a comma for the end of one host and the start of the next.
fn is_nameable(cluster: &Path) -> bool {
    file_in(cluster).as_os_str().len() <= LONGEST_SOCKET_PATH && !cluster.to_string_lossy().contains(',')
}

fn file_in(dir: &Path) -> PathBuf {
    dir.join(format!(".s.PGSQL.{PORT}"))
}

fn make_short_folder(account: &Account, note: &Path) -> Result<PathBuf, EmbeddedPostgresError> {
    let path = short_base(account).join(format!("{SHORT_PREFIX}{}", random_name()?));
    DirBuilder::new().mode(0o700).create(&path).map_err(folder("make the folder", &path))?;
    account.hand_over(&path).map_err(folder("give away", &path))?;
    std::fs::write(note, path.display().to_string()).map_err(folder("write", note))?;
    Ok(path)
}

fn is_private_folder_of(path: &Path, account: &Account) -> bool {
    let named_by_us = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(SHORT_PREFIX));
    named_by_us
        && std::fs::symlink_metadata(path).is_ok_and(|meta| meta.is_dir() && meta.uid() == account.uid() && meta.mode() & 0o777 == 0o700)
}

/// The system's place for sockets when it is ours to use, else `/tmp`.
fn short_base(account: &Account) -> PathBuf {
    let runtime = match account {
        Account::Other { .. } => PathBuf::from("/run"),
        Account::Ourselves { uid } => PathBuf::from(format!("/run/user/{uid}")),
    };
    let usable = rustix::fs::access(&runtime, rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK).is_ok();
    if usable { runtime } else { PathBuf::from("/tmp") }
}
