//! WOFF: each table packed with deflate.

use std::borrow::Cow;
use std::io::Read;

use flate2::read::ZlibDecoder;

use super::{Tables, be16, be32, check_places, check_unpacked, place, text_of};
use crate::bytes::{cut_off, length};
use crate::limits::Limits;
use crate::media_type::MediaType::Woff;
use crate::refusal::{Refusal, broken, foreign};

const HEADER_BYTES: usize = 44;
const ENTRY_BYTES: usize = 20;

pub(crate) fn tables<'f>(bytes: &'f [u8], limits: &Limits) -> Result<Tables<'f>, Refusal> {
    let number = |at| be32(bytes, at).map(place).ok_or_else(|| cut_off(Woff));
    check_length(Woff, number(8)?, bytes.len())?;
    let count = usize::from(be16(bytes, 12).ok_or_else(|| cut_off(Woff))?);
    if count > 256 {
        return Err(broken(Woff, "it has more than 256 tables"));
    }
    let mut entries: Vec<([u8; 4], usize, usize, usize)> = Vec::new();
    let mut places = vec![("the list of tables".to_owned(), 0, HEADER_BYTES + ENTRY_BYTES * count)];
    // Notes of the maker, packed XML and anything: no reader needs them, and nobody looks into them.
    if number(24)? != 0 || number(36)? != 0 {
        places.push(("its metadata".to_owned(), number(24)?, number(24)?.saturating_add(number(28)?)));
        places.push(("its private data".to_owned(), number(36)?, number(36)?.saturating_add(number(40)?)));
        places.retain(|(_, start, end)| end > start);
    }
    for entry in (0..count).map(|index| HEADER_BYTES + ENTRY_BYTES * index) {
        let tag = bytes.get(entry..entry + 4).and_then(|tag| <[u8; 4]>::try_from(tag).ok()).ok_or_else(|| cut_off(Woff))?;
        let (start, packed, unpacked) = (number(entry + 4)?, number(entry + 8)?, number(entry + 12)?);
        if packed > unpacked || entries.iter().any(|(other, ..)| *other == tag) {
            return Err(broken(Woff, format!("its entry for the table {} cannot be", text_of(tag))));
        }
        entries.push((tag, start, packed, unpacked));
        places.push((format!("its table {}", text_of(tag)), start, start.saturating_add(packed)));
    }
    check_places(Woff, bytes, &mut places)?;
    check_unpacked(Woff, entries.iter().map(|(.., unpacked)| length(*unpacked)), limits)?;
    let mut found = Vec::new();
    for (tag, start, packed, unpacked) in entries {
        let stored = bytes.get(start..start + packed).unwrap_or_default();
        let table = if packed == unpacked { Cow::Borrowed(stored) } else { Cow::Owned(inflate(stored, unpacked, tag)?) };
        found.push((tag, table));
    }
    Ok(Tables { found })
}

fn inflate(packed: &[u8], unpacked: usize, tag: [u8; 4]) -> Result<Vec<u8>, Refusal> {
    let mut table = Vec::new();
    let read = ZlibDecoder::new(packed).take(length(unpacked) + 1).read_to_end(&mut table);
    if read.is_err() || table.len() != unpacked {
        return Err(broken(Woff, format!("its table {} does not unpack to its length", text_of(tag))));
    }
    Ok(table)
}

/// The length that a packed font says it has, against the one it has.
pub(crate) fn check_length(of: crate::MediaType, declared: usize, found: usize) -> Result<(), Refusal> {
    match found.checked_sub(declared) {
        None => Err(cut_off(of)),
        Some(0) => Ok(()),
        Some(behind) => Err(foreign(of, format!("{behind} bytes stand behind its end"))),
    }
}
