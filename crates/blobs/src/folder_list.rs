//! The keys in a folder, in the order of their texts.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use domain::TenantId;
use jiff::Timestamp;
use rustix::fs::{AtFlags, Dir, FileType};
use rustix::io::Errno;

use crate::folder_paths::{Missing, Root, step};
use crate::key::{BlobKey, BlobKind, Listed};

/// Reads no more folders than the page needs; of each one, the names.
pub(crate) fn list(root: &Root, tenant: &TenantId, kind: BlobKind, after: Option<&BlobKey>, limit: usize) -> io::Result<Vec<Listed>> {
    let mut folder = root.open()?;
    for name in ["tenants", tenant.as_str(), kind.as_str()] {
        match step(folder.as_fd(), name, Missing::IsAbsent)? {
            Some(next) => folder = next,
            None => return Ok(Vec::new()),
        }
    }
    let after = after.map(|key| hex::encode(key.sha256()));
    let mut found = Vec::new();
    for shard in names(&folder)? {
        if found.len() == limit {
            break;
        }
        if shard.len() != 2 || after.as_ref().is_some_and(|after| *shard < after[..2]) {
            continue;
        }
        let Some(shard_folder) = next_folder(&folder, &shard)? else { continue };
        for name in names(&shard_folder)? {
            // A file in a folder of other digits would not be found by its key.
            let wanted = name.starts_with(&shard) && after.as_ref().is_none_or(|after| name > *after);
            let key = format!("tenants/{tenant}/{}/{name}", kind.as_str()).parse::<BlobKey>();
            let Some(key) = key.ok().filter(|_| wanted) else { continue };
            if found.len() == limit {
                break;
            }
            found.extend(line(&shard_folder, &name, key)?);
        }
    }
    Ok(found)
}

/// Sorted. What is no text is no name of ours.
fn names(folder: &OwnedFd) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in Dir::read_from(folder)? {
        if let Ok(name) = entry?.file_name().to_str() {
            names.push(name.to_owned());
        }
    }
    names.sort_unstable();
    Ok(names)
}

fn line(folder: &OwnedFd, name: &str, key: BlobKey) -> io::Result<Option<Listed>> {
    let stat = match rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => stat,
        // Deleted meanwhile.
        Err(Errno::NOENT) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Ok(None);
    }
    let put_at = Timestamp::from_second(stat.st_mtime).map_err(io::Error::other)?;
    Ok(Some(Listed { key, size_bytes: u64::try_from(stat.st_size).unwrap_or(0), put_at }))
}

/// What is no folder holds no keys.
fn next_folder(folder: &OwnedFd, name: &str) -> io::Result<Option<OwnedFd>> {
    match step(folder.as_fd(), name, Missing::IsAbsent) {
        Err(error) if matches!(Errno::from_io_error(&error), Some(Errno::NOTDIR | Errno::LOOP)) => Ok(None),
        other => other,
    }
}
