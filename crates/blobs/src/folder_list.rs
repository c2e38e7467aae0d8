//! The keys in a folder, in the order of their texts.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use jiff::Timestamp;
use rustix::fs::{AtFlags, Dir, FileType};
use rustix::io::Errno;

use crate::folder_paths::{Missing, Root, step};
use crate::key::{BlobKey, Listed};

/// Where folders end and files begin: tenants, a tenant, a kind, two digits.
const FILES_AT: usize = 4;

struct Walk<'a> {
    prefix: &'a str,
    after: Option<&'a str>,
    limit: usize,
    /// The two digits that the files of the present folder begin with.
    shard: String,
    found: Vec<Listed>,
}

/// Reads no more folders than the page needs; of each folder on the way, the names.
pub(crate) fn list(root: &Root, prefix: &str, after: Option<&str>, limit: usize) -> io::Result<Vec<Listed>> {
    let mut walk = Walk { prefix, after, limit, shard: String::new(), found: Vec::new() };
    let top = root.open()?;
    if let Some(tenants) = step(top.as_fd(), "tenants", Missing::IsAbsent)? {
        walk.folder(tenants.as_fd(), "tenants/", 1)?;
    }
    Ok(walk.found)
}

impl Walk<'_> {
    /// `key` is the beginning of the keys in this folder, and `depth` the number of folders on the way to it.
    fn folder(&mut self, folder: BorrowedFd<'_>, key: &str, depth: usize) -> io::Result<()> {
        let mut names = Vec::new();
        for entry in Dir::read_from(folder)? {
            if let Ok(name) = entry?.file_name().to_str() {
                names.push(name.to_owned());
            }
        }
        if depth < FILES_AT {
            // As parts of keys they end in '/', which sorts behind '-'.
            names.iter_mut().for_each(|name| name.push('/'));
        }
        names.sort_unstable();
        for name in names {
            if self.found.len() == self.limit {
                return Ok(());
            }
            if depth == FILES_AT {
                self.file(folder, key, &name)?;
                continue;
            }
            // The two digits are the folder's, and stand in the key as the beginning of the hash.
            let begins = if depth + 1 == FILES_AT { format!("{key}{}", name.trim_end_matches('/')) } else { format!("{key}{name}") };
            if self.may_be_below(&begins)
                && let Some(next) = next_folder(folder, name.trim_end_matches('/'))?
            {
                let key = if depth + 1 == FILES_AT { key } else { &begins };
                name.trim_end_matches('/').clone_into(&mut self.shard);
                self.folder(next.as_fd(), key, depth + 1)?;
            }
        }
        Ok(())
    }

    fn may_be_below(&self, begins: &str) -> bool {
        let in_prefix = begins.starts_with(self.prefix) || self.prefix.starts_with(begins);
        in_prefix && self.after.is_none_or(|after| begins > after || after.starts_with(begins))
    }

    fn file(&mut self, folder: BorrowedFd<'_>, key: &str, name: &str) -> io::Result<()> {
        let text = format!("{key}{name}");
        let Ok(key) = text.parse::<BlobKey>() else { return Ok(()) };
        // A file in a folder of other digits would not be found by its key.
        let in_place = self.shard.len() == 2 && name.starts_with(&self.shard);
        if !in_place || !text.starts_with(self.prefix) || self.after.is_some_and(|after| *text <= *after) {
            return Ok(());
        }
        let stat = match rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            // Deleted meanwhile.
            Err(Errno::NOENT) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        if FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile {
            let put_at = Timestamp::from_second(stat.st_mtime).map_err(io::Error::other)?;
            self.found.push(Listed { key, size_bytes: u64::try_from(stat.st_size).unwrap_or(0), put_at });
        }
        Ok(())
    }
}

/// What is no folder holds no keys.
fn next_folder(folder: BorrowedFd<'_>, name: &str) -> io::Result<Option<std::os::fd::OwnedFd>> {
    match step(folder, name, Missing::IsAbsent) {
        Err(error) if matches!(Errno::from_io_error(&error), Some(Errno::NOTDIR | Errno::LOOP)) => Ok(None),
        other => other,
    }
}
