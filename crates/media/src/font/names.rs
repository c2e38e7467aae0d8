//! The table of names.

use super::{Tables, be16};

const LONGEST_CHARACTERS: usize = 256;

/// The best name under the first of these numbers that has one: English of Windows first, then any Unicode, then the old Macintosh.
pub(crate) fn name(font: &Tables<'_>, numbers: &[u16]) -> Option<String> {
    numbers.iter().find_map(|number| one(font.get(*b"name")?, *number))
}

/// Whether the records and their texts lie inside the table.
pub(crate) fn is_whole(table: &[u8]) -> bool {
    let Some((count, texts)) = be16(table, 2).zip(be16(table, 4)) else { return false };
    (0..usize::from(count)).all(|index| record(table, index, texts).is_some())
}

/// Platform, language, number and text of one record.
fn record(table: &[u8], index: usize, texts: u16) -> Option<(u16, u16, u16, &[u8])> {
    let at = 6 + 12 * index;
    let start = usize::from(texts) + usize::from(be16(table, at + 10)?);
    let text = table.get(start..start + usize::from(be16(table, at + 8)?))?;
    Some((be16(table, at)?, be16(table, at + 4)?, be16(table, at + 6)?, text))
}

fn one(table: &[u8], number: u16) -> Option<String> {
    let (count, texts) = (be16(table, 2)?, be16(table, 4)?);
    let mut best: Option<(u8, &[u8])> = None;
    for (platform, language, found, text) in (0..usize::from(count)).filter_map(|index| record(table, index, texts)) {
        let rank = match (platform, language) {
            _ if found != number => continue,
            (3, 0x409) => 4,
            (0, _) => 3,
            (3, _) => 2,
            (1, 0) => 1,
            _ => continue,
        };
        if best.is_none_or(|(other, _)| rank > other) {
            best = Some((rank, text));
        }
    }
    let (rank, text) = best?;
    let decoded: String = if rank == 1 {
        // The Macintosh's own letters beyond ASCII are in no family name of today.
        text.iter().map(|byte| if byte.is_ascii() { char::from(*byte) } else { '?' }).collect()
    } else {
        let (pairs, _) = text.as_chunks::<2>();
        char::decode_utf16(pairs.iter().map(|pair| u16::from_be_bytes(*pair))).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
    };
    let name: String = decoded.chars().filter(|c| !c.is_control()).take(LONGEST_CHARACTERS).collect();
    Some(name.trim().to_owned()).filter(|name| !name.is_empty())
}
