//! A ZIP that is handed over while it is written, so that none is ever whole in memory.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use zip::write::{SimpleFileOptions, StreamWriter, ZipWriter};

/// An archive that begins with its `manifest.json`.
pub(crate) struct ZipStream {
    zip: ZipWriter<StreamWriter<Written>>,
    written: Written,
}

impl ZipStream {
    pub(crate) fn begin(manifest: &str) -> io::Result<Self> {
        let written = Written::default();
        let mut zip = ZipWriter::new_stream(written.clone());
        zip.start_file("manifest.json", SimpleFileOptions::default())?;
        zip.write_all(manifest.as_bytes())?;
        Ok(Self { zip, written })
    }

    /// Ends the file before and begins one of that name.
    pub(crate) fn start_file(&mut self, name: &str, options: SimpleFileOptions) -> io::Result<()> {
        Ok(self.zip.start_file(name, options)?)
    }

    /// Adds to the file that was begun last; gives what is ready to be handed over.
    pub(crate) fn add(&mut self, bytes: &[u8]) -> io::Result<Bytes> {
        self.zip.write_all(bytes)?;
        Ok(self.written.take())
    }

    /// Ends the archive; gives the rest of it.
    pub(crate) fn end(self) -> io::Result<Bytes> {
        self.zip.finish()?;
        Ok(self.written.take())
    }
}

/// What was written and not yet handed over.
#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl Written {
    fn take(&self) -> Bytes {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner)).into()
    }
}

impl Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
