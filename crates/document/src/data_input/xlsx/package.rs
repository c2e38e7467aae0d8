//! The ZIP archive that a workbook is, unpacked within bounds and put together again without what could grow.
//!
//! The reader of workbooks believes what files say of themselves: it makes room for as many texts as one says it has, and keeps a
//! style with all its words for each of a million formats. So it is given a package of plain parts that were looked at here.

use std::io::{Cursor, Read, Write};

use zip::result::ZipError;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

use crate::data_input::issues::shown;
use crate::data_input::meter::Meter;
use crate::data_input::xlsx::styles;
use crate::error::DocumentError;

/// Parts of a package; a large workbook has some hundred.
const PARTS: usize = 10_000;
/// Texts that the table of texts may say it has.
const TEXTS: usize = 4_000_000;
/// Tags of a text in that table, the least there are: begin and end of `si` and of `t`.
const TAGS_OF_A_TEXT: usize = 4;
/// The fewest bytes of a text in that table.
const BYTES_OF_A_TEXT: usize = 5;
/// Read at once, before the clock is looked at again.
const PIECE_BYTES: u64 = 1024 * 1024;
/// What a workbook carries beside its cells.
const LEFT_OUT: [&str; 11] = [
    "docprops/",
    "customxml/",
    "/theme/",
    "/media/",
    "/drawings/",
    "/charts/",
    "/pivot",
    "/comments",
    "/threadedcomments/",
    "/printersettings/",
    "/calcchain",
];

/// The same workbook without what is not read.
pub fn repacked(bytes: &[u8], meter: &Meter<'_>) -> Result<Vec<u8>, DocumentError> {
    if bytes.starts_with(&[0xD0, 0xCF, 0x11, 0xE0]) {
        return Err(meter.invalid("is an .xls workbook, or one with a password; save it as .xlsx without one"));
    }
    if !bytes.starts_with(b"PK") {
        return Err(meter.invalid("is no .xlsx workbook"));
    }
    let mut archive = ZipArchive::new(Cursor::new(bytes)).map_err(|error| broken("the archive", &error, meter))?;
    if archive.len() > PARTS {
        return Err(meter.too_large(format!("has {} parts; a workbook may have {PARTS}", archive.len())));
    }
    let mut left = meter.limits.unpacked_bytes;
    let mut packed = ZipWriter::new(Cursor::new(Vec::new()));
    let stored = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    for index in 0..archive.len() {
        let mut file = archive.by_index(index).map_err(|error| broken("a part of the archive", &error, meter))?;
        let name = file.name().map_err(|error| broken("a part of the archive", &error, meter))?.into_owned();
        if !is_read(&name) {
            continue;
        }
        let mut part = Vec::new();
        unpack(&mut file, &name, &mut part, left, meter)?;
        left -= part.len();
        let part = harmless(&name, part, meter)?;
        let written = packed.start_file(name.as_str(), stored).and_then(|()| Ok(packed.write_all(&part)?));
        written.map_err(|error| broken(&name, &error, meter))?;
    }
    Ok(packed.finish().map_err(|error| broken("the archive", &error, meter))?.into_inner())
}

fn is_read(name: &str) -> bool {
    let name = name.to_ascii_lowercase().replace('\\', "/");
    matches!(name.rsplit('.').next(), Some("xml" | "rels")) && !LEFT_OUT.iter().any(|part| name.contains(part))
}

/// Unpacks a part, and counts what comes out: what the archive says of its sizes is not believed.
fn unpack(file: &mut impl Read, name: &str, part: &mut Vec<u8>, left: usize, meter: &Meter<'_>) -> Result<(), DocumentError> {
    loop {
        meter.look()?;
        let read = file.by_ref().take(PIECE_BYTES).read_to_end(part);
        let read =
            read.map_err(|error| meter.invalid(format!("the part {} cannot be unpacked: {}", shown(name), shown(&error.to_string()))))?;
        if part.len() > left {
            return Err(meter.too_large(format!("unpacks to more than {} bytes", meter.limits.unpacked_bytes)));
        }
        if read == 0 {
            return Ok(());
        }
    }
}

/// The part as the reader of workbooks may have it.
fn harmless(name: &str, part: Vec<u8>, meter: &Meter<'_>) -> Result<Vec<u8>, DocumentError> {
    // Text that is no UTF-8 could be looked at here and read otherwise there.
    let text = std::str::from_utf8(&part).ok().filter(|text| !text.as_bytes().contains(&0));
    let Some(text) = text else { return Err(meter.invalid(format!("the part {} is no UTF-8", shown(name)))) };
    if text.contains("<!DOCTYPE") {
        return Err(meter.invalid(format!("the part {} has a DTD, which is not read", shown(name))));
    }
    let lower = name.to_ascii_lowercase();
    if lower.contains("sharedstrings") && text.matches('<').count() > meter.limits.values.saturating_mul(TAGS_OF_A_TEXT) {
        return Err(meter.too_large(format!("has more than {} values, which is as many as are read", meter.limits.values)));
    }
    let most = TEXTS.min(part.len() / BYTES_OF_A_TEXT);
    for (at, word) in text.match_indices("uniqueCount") {
        let rest = text[at + word.len()..].trim_start().trim_start_matches('=').trim_start().trim_start_matches(['"', '\'']).trim_start();
        let digits = rest.bytes().take_while(|byte| byte.is_ascii_digit() || *byte == b'+').count();
        let count = rest[..digits].trim_start_matches('+');
        if !count.is_empty() && count.parse::<usize>().map_or(true, |count| count > most) {
            return Err(meter.invalid(format!("the part {} says that it has {} texts, and has not", shown(name), shown(count))));
        }
    }
    if lower.ends_with("styles.xml") {
        return styles::formats_alone(text, meter);
    }
    Ok(part)
}

fn broken(what: &str, error: &ZipError, meter: &Meter<'_>) -> DocumentError {
    meter.invalid(format!("is no .xlsx workbook that can be read: {}: {}", shown(what), shown(&error.to_string())))
}
