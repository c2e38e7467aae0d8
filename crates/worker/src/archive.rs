//! Files in one archive, the same bytes for the same files: nothing of the clock is in it.

use std::io::{Cursor, Write as _};

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipWriter};

/// The archive. Names that come twice get a number.
pub(crate) fn zipped<'a>(files: impl Iterator<Item = (&'a str, &'a [u8])>) -> Result<Vec<u8>, zip::result::ZipError> {
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Deflated).last_modified_time(DateTime::default());
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    let mut names: Vec<String> = Vec::new();
    for (name, bytes) in files {
        let mut unique = name.replace(['/', '\\'], "_");
        let (stem, extension) = unique
            .clone()
            .rsplit_once('.')
            .map_or((unique.clone(), String::new()), |(stem, extension)| (stem.to_owned(), format!(".{extension}")));
        let mut number = 2;
        while names.contains(&unique) {
            unique = format!("{stem} ({number}){extension}");
            number += 1;
        }
        archive.start_file(unique.as_str(), options)?;
        archive.write_all(bytes)?;
        names.push(unique);
    }
    Ok(archive.finish()?.into_inner())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_files_are_the_same_archive_and_no_name_is_there_twice() {
        let files = [("a.pdf", b"one".as_slice()), ("a.pdf", b"two"), ("x/y.html", b"three")];
        let archive = zipped(files.into_iter()).unwrap();
        assert_eq!(archive, zipped(files.into_iter()).unwrap());
        let mut read = zip::ZipArchive::new(Cursor::new(archive)).unwrap();
        let names: Vec<String> = (0..read.len()).map(|at| read.by_index(at).unwrap().name().unwrap().into_owned()).collect();
        assert_eq!(names, ["a.pdf", "a (2).pdf", "x_y.html"]);
    }
}
