//! Several files of one document as one archive.

use std::io::{self, Cursor, Write as _};

use zip::CompressionMethod;
use zip::write::{SimpleFileOptions, ZipWriter};

/// Endings of files that are packed in themselves.
const PACKED: [&str; 4] = [".png", ".jpg", ".webp", ".pdf"];

/// A ZIP of the files in their order. The same files give the same bytes: no time is in it.
pub(crate) fn packed(files: impl IntoIterator<Item = (String, impl AsRef<[u8]>)>) -> io::Result<Vec<u8>> {
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in files {
        let is_packed = PACKED.iter().any(|ending| name.ends_with(ending));
        let method = if is_packed { CompressionMethod::Stored } else { CompressionMethod::Deflated };
        archive.start_file(name, SimpleFileOptions::default().compression_method(method))?;
        archive.write_all(content.as_ref())?;
    }
    Ok(archive.finish()?.into_inner())
}
