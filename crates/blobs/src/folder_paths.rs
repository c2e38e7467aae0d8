//! The way to a file below the root: one step at a time, never over a link, so never out of it.

use std::fs::{DirBuilder, File};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags};
use rustix::io::Errno;

use crate::error::BlobError;
use crate::key::BlobKey;

/// Files that are being written, below the root and so on its file system.
pub(crate) const INCOMING: &str = ".incoming";
/// What a killed process left behind is removed at a start when it is older; nothing takes so long to write.
const LEFT_BEHIND_S: i64 = 24 * 60 * 60;

const OWNER_FOLDER: Mode = Mode::RWXU;
const OWNER_FILE: Mode = Mode::RUSR.union(Mode::WUSR);

/// The folder that holds everything. It is looked up again by each call: a file system that was mounted anew is found.
pub(crate) struct Root(PathBuf);

/// What a folder that is not there means.
#[derive(Clone, Copy)]
pub(crate) enum Missing {
    /// That what would be in it is not there either.
    IsAbsent,
    /// That it has to be made.
    IsMade,
}

impl Root {
    /// Makes the folder where it is missing, readable to its owner alone, and checks that it can be written to.
    pub(crate) fn make(path: &Path) -> Result<Self, BlobError> {
        let of_folder = |error: io::Error| BlobError::of_folder("open", &error);
        DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(of_folder)?;
        // A folder named relative to the working directory stays the same one.
        let root = Self(path.canonicalize().map_err(of_folder)?);
        root.probe_writing().map_err(of_folder)?;
        Ok(root)
    }

    /// The folder as it is, which has to be there and readable.
    pub(crate) fn find(path: &Path) -> Result<Self, BlobError> {
        let of_folder = |error: io::Error| BlobError::of_folder("open", &error);
        let root = Self(path.canonicalize().map_err(of_folder)?);
        root.open().map_err(of_folder)?;
        Ok(root)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn open(&self) -> io::Result<OwnedFd> {
        Ok(rustix::fs::open(&self.0, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?)
    }

    /// The folder of a key's file.
    pub(crate) fn parent(&self, key: &BlobKey, missing: Missing) -> io::Result<Option<OwnedFd>> {
        let shard = hex::encode(&key.sha256()[..1]);
        let mut folder = self.open()?;
        for name in ["tenants", key.tenant().as_str(), key.kind().as_str(), &shard] {
            match step(folder.as_fd(), name, missing)? {
                Some(next) => folder = next,
                None => return Ok(None),
            }
        }
        Ok(Some(folder))
    }

    /// A new file with a name of its own, to be renamed when it is complete.
    pub(crate) fn new_file(&self) -> io::Result<(OwnedFd, String, File)> {
        let incoming = step(self.open()?.as_fd(), INCOMING, Missing::IsMade)?.ok_or(io::ErrorKind::NotFound)?;
        let mut random = [0; 16];
        getrandom::fill(&mut random).map_err(io::Error::other)?;
        let name = hex::encode(random);
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&incoming, &name, flags, OWNER_FILE)?;
        Ok((incoming, name, file.into()))
    }

    /// Writes a few bytes and removes them, and with them what a killed process left behind.
    pub(crate) fn probe_writing(&self) -> io::Result<()> {
        let (incoming, name, file) = self.new_file()?;
        let written = io::Write::write_all(&mut &file, b"probe").and_then(|()| file.sync_all());
        let now = rustix::fs::fstat(&file).map(|stat| stat.st_mtime);
        rustix::fs::unlinkat(&incoming, &name, AtFlags::empty())?;
        written?;
        remove_left_behind(&incoming, now?)
    }
}

/// The next folder on the way. A link or a file in its place is an error.
pub(crate) fn step(from: BorrowedFd<'_>, name: &str, missing: Missing) -> io::Result<Option<OwnedFd>> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match (rustix::fs::openat(from, name, flags, Mode::empty()), missing) {
        (Ok(folder), _) => return Ok(Some(folder)),
        (Err(Errno::NOENT), Missing::IsAbsent) => return Ok(None),
        (Err(Errno::NOENT), Missing::IsMade) => {}
        (Err(error), _) => return Err(error.into()),
    }
    match rustix::fs::mkdirat(from, name, OWNER_FOLDER) {
        // A file in a folder that a power cut takes away would be gone with it.
        Ok(()) => rustix::fs::fsync(from)?,
        Err(Errno::EXIST) => {}
        Err(error) => return Err(error.into()),
    }
    Ok(Some(rustix::fs::openat(from, name, flags, Mode::empty())?))
}

/// The file of a key and its size; nothing when it is not there. Anything but a file in its place is an error.
pub(crate) fn open_regular(parent: &OwnedFd, key: &BlobKey) -> io::Result<Option<(File, u64)>> {
    // Without NONBLOCK, opening a named pipe would wait for its other end.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = match rustix::fs::openat(parent, hex::encode(key.sha256()), flags, Mode::empty()) {
        Ok(file) => file,
        Err(Errno::NOENT) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let stat = rustix::fs::fstat(&file)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(Errno::ISDIR.into());
    }
    Ok(Some((file.into(), u64::try_from(stat.st_size).unwrap_or(0))))
}

fn remove_left_behind(incoming: &OwnedFd, now_s: i64) -> io::Result<()> {
    for entry in Dir::read_from(incoming)? {
        let entry = entry?;
        let Ok(stat) = rustix::fs::statat(incoming, entry.file_name(), AtFlags::SYMLINK_NOFOLLOW) else { continue };
        if FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile && now_s - stat.st_mtime > LEFT_BEHIND_S {
            // Another replica may have been quicker.
            let _ = rustix::fs::unlinkat(incoming, entry.file_name(), AtFlags::empty());
        }
    }
    Ok(())
}
