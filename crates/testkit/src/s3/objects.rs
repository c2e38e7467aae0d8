//! What is in the bucket: names in memory, bytes in files.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use tempfile::TempDir;

/// Bytes that came in whole.
pub(super) struct Stored {
    path: PathBuf,
    pub(super) size_bytes: u64,
    pub(super) modified: SystemTime,
}

struct Upload {
    name: String,
    parts: BTreeMap<u32, Stored>,
}

pub(crate) struct Objects {
    folder: TempDir,
    next: u64,
    by_name: BTreeMap<String, Stored>,
    uploads: BTreeMap<String, Upload>,
}

impl Stored {
    pub(super) fn open(&self) -> io::Result<File> {
        File::open(&self.path)
    }
}

impl Drop for Stored {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

impl Objects {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self { folder: tempfile::tempdir()?, next: 0, by_name: BTreeMap::new(), uploads: BTreeMap::new() })
    }

    /// Where the next bytes may be written, without anything being locked.
    pub(super) fn new_path(&mut self) -> PathBuf {
        self.next += 1;
        self.folder.path().join(self.next.to_string())
    }

    pub(super) fn write(path: &Path, body: &mut impl Read) -> io::Result<Stored> {
        let mut file = File::create_new(path)?;
        let size_bytes = io::copy(body, &mut file)?;
        Ok(Stored { path: path.to_owned(), size_bytes, modified: file.metadata()?.modified()? })
    }

    pub(super) fn put(&mut self, name: &str, bytes: Stored) {
        self.by_name.insert(name.to_owned(), bytes);
    }

    pub(super) fn get(&self, name: &str) -> Option<&Stored> {
        self.by_name.get(name)
    }

    pub(super) fn delete(&mut self, name: &str) {
        self.by_name.remove(name);
    }

    /// At most `limit` names behind `after`, and whether there are more.
    pub(super) fn list(&self, prefix: &str, after: &str, limit: usize) -> (Vec<(&str, &Stored)>, bool) {
        let from = prefix.max(after).to_owned();
        let behind = self.by_name.range(from..).map(|(name, stored)| (name.as_str(), stored));
        let mut names = behind.filter(|(name, _)| *name > after).take_while(|(name, _)| name.starts_with(prefix));
        let page = names.by_ref().take(limit).collect();
        (page, names.next().is_some())
    }

    pub(super) fn begin(&mut self, name: &str) -> String {
        self.next += 1;
        let id = format!("upload-{}", self.next);
        self.uploads.insert(id.clone(), Upload { name: name.to_owned(), parts: BTreeMap::new() });
        id
    }

    pub(super) fn part(&mut self, id: &str, number: u32, bytes: Stored) -> Option<()> {
        self.uploads.get_mut(id)?.parts.insert(number, bytes);
        Some(())
    }

    pub(super) fn complete(&mut self, id: &str) -> io::Result<Option<()>> {
        let Some(upload) = self.uploads.remove(id) else { return Ok(None) };
        let path = self.new_path();
        let mut all: Box<dyn Read> = Box::new(io::empty());
        for part in upload.parts.values() {
            all = Box::new(all.chain(part.open()?));
        }
        let whole = Self::write(&path, &mut all)?;
        self.put(&upload.name, whole);
        Ok(Some(()))
    }

    pub(super) fn abort(&mut self, id: &str) -> Option<()> {
        self.uploads.remove(id).map(drop)
    }

    pub(super) fn open_uploads(&self) -> usize {
        self.uploads.len()
    }
}
