//! Whether the data folder can be written and has room.

use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt as _;

use rustix::fs::statvfs;

use super::Finding;
use crate::config::Config;
use crate::error::data_dir_remedy;

const WHAT: &str = "data folder";
/// A new cluster takes 40 MB; less than this leaves no room for templates and the database's own logs.
const LITTLE_MIB: u64 = 500;

pub fn check(config: &Config) -> Finding {
    let folder = &config.data_dir;
    let probe = folder.join(format!(".doctor-{}", std::process::id()));
    // As narrow as the server makes it.
    let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
    let written = made.and_then(|()| fs::write(&probe, b"")).and_then(|()| fs::remove_file(&probe));
    if let Err(error) = written {
        return Finding::fail(WHAT, format!("{} cannot be written: {error}", folder.display()), data_dir_remedy(&error));
    }
    let path = folder.canonicalize().unwrap_or_else(|_| folder.clone());
    match statvfs(folder) {
        Err(error) => Finding::warn(WHAT, format!("{}: the free space is unknown: {error}", path.display()), "look at it with `df`"),
        Ok(space) => {
            let free_mib = space.f_bavail.saturating_mul(space.f_frsize) / (1024 * 1024);
            let found = format!("{} can be written and has {free_mib} MiB free", path.display());
            if free_mib < LITTLE_MIB {
                Finding::warn(WHAT, found, format!("make room: {LITTLE_MIB} MiB or more"))
            } else {
                Finding::ok(WHAT, found)
            }
        }
    }
}
