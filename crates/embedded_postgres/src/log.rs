//! What Postgres prints: a file of bounded size, and the last lines in memory for error messages.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, PipeReader, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The file is set aside (as `….1`, replacing the one before) when it passes this, so that the two
/// together stay below twice as much.
const FILE_LIMIT_BYTES: u64 = 4 << 20;
/// Lines kept for error messages.
const TAIL_LINES: usize = 40;
/// A longer line is cut into pieces of this size; bounds the memory for a hostile or binary log.
const LINE_LIMIT_BYTES: u64 = 8 << 10;

/// Collects the lines of one or several children in order.
#[derive(Debug, Clone)]
pub(crate) struct Log {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug)]
struct Inner {
    path: PathBuf,
    file: Option<File>,
    size_bytes: u64,
    tail: VecDeque<String>,
}

impl Log {
    /// Appends to `path`. A log that cannot be written is no reason not to start: lines are then only
    /// kept in memory, and the file is tried again at the next rotation.
    pub(crate) fn open(path: &Path) -> Self {
        let (file, size_bytes) = append_to(path);
        let inner = Inner { path: path.to_owned(), file, size_bytes, tail: VecDeque::new() };
        Self { inner: Arc::new(Mutex::new(inner)) }
    }

    /// Copies everything from `pipe` until its last writer is gone.
    pub(crate) fn drain(&self, pipe: PipeReader) {
        let mut reader = BufReader::new(pipe);
        let mut line = Vec::new();
        loop {
            line.clear();
            match (&mut reader).take(LINE_LIMIT_BYTES).read_until(b'\n', &mut line) {
                Ok(0) | Err(_) => return,
                Ok(_) => self.add(&line),
            }
        }
    }

    /// The last lines, oldest first; only those since [`Log::forget_tail`].
    pub(crate) fn tail(&self) -> String {
        self.lock().tail.iter().map(String::as_str).collect::<Vec<_>>().join("\n")
    }

    /// Starts a new tail, so that an error message does not quote an earlier attempt.
    pub(crate) fn forget_tail(&self) {
        self.lock().tail.clear();
    }

    fn add(&self, line: &[u8]) {
        let text = String::from_utf8_lossy(line).trim_end().to_owned();
        tracing::debug!(target: "postgres", "{text}");
        let mut inner = self.lock();
        inner.write(line);
        if inner.tail.len() == TAIL_LINES {
            inner.tail.pop_front();
        }
        inner.tail.push_back(text);
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn write(&mut self, line: &[u8]) {
        if self.size_bytes + line.len() as u64 > FILE_LIMIT_BYTES {
            let mut old = self.path.clone().into_os_string();
            old.push(".1");
            let _ = std::fs::rename(&self.path, old);
            (self.file, self.size_bytes) = append_to(&self.path);
            // When even the rename fails, stop writing rather than pass the limit.
            if self.size_bytes > FILE_LIMIT_BYTES / 2 {
                self.file = None;
                self.size_bytes = 0;
            }
        }
        self.size_bytes += line.len() as u64;
        // A full disk must not stop the draining: Postgres would block on its pipe.
        let _ = self.file.as_mut().map(|file| file.write_all(line));
    }
}

fn append_to(path: &Path) -> (Option<File>, u64) {
    let opened = OpenOptions::new().append(true).create(true).mode(0o600).open(path);
    if let Err(error) = &opened {
        tracing::warn!("the log of PostgreSQL cannot be written to {}: {error}", path.display());
    }
    let file = opened.ok();
    let size_bytes = file.as_ref().and_then(|file| file.metadata().ok()).map_or(0, |meta| meta.len());
    (file, size_bytes)
}

#[cfg(test)]
mod tests {
    use super::{FILE_LIMIT_BYTES, Log};

    #[test]
    fn a_flood_of_lines_leaves_two_files_within_the_limit() {
        let folder = std::env::temp_dir().join(format!("embedded-postgres-log-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join("postgres.log");
        let log = Log::open(&path);
        let line = [b'x'; 1000];
        for _ in 0..9_000 {
            log.add(&line);
        }
        let size = |name: &str| std::fs::metadata(folder.join(name)).unwrap().len();
        assert!(size("postgres.log") <= FILE_LIMIT_BYTES && size("postgres.log.1") <= FILE_LIMIT_BYTES);
        assert!(size("postgres.log.1") > FILE_LIMIT_BYTES / 2, "the older lines are kept once");
        assert_eq!(log.tail().lines().count(), super::TAIL_LINES);
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
