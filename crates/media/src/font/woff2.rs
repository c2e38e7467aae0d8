//! WOFF2: all tables in one Brotli stream, outlines in a notation of their own.

use std::borrow::Cow;
use std::io::Read;

use super::woff::check_length;
use super::{Tables, be16, be32, check_unpacked, place, text_of};
use crate::bytes::{cut_off, length};
use crate::limits::Limits;
use crate::media_type::MediaType::Woff2;
use crate::refusal::{Refusal, broken, foreign};

const HEADER_BYTES: usize = 48;
/// The tables that have a number instead of a name, in the order of their numbers.
const KNOWN: &[u8; 63 * 4] = b"cmapheadhheahmtxmaxpnameOS/2postcvt fpgmglyflocaprepCFF VORGEBDTEBLCgasphdmxkernLTSHPCLTVDMXvheavmtxBASEGDEFGPOSGSUBEBSCJSTFMATHCBDTCBLCCOLRCPALSVG sbixacntavarbdatblocbslncvarfdscfeatfmtxfvargvarhstyjustlcarmortmorxopbdproptrakZapfSilfGlatGlocFeatSill";

struct Entry {
    tag: [u8; 4],
    /// Bytes in the stream.
    stored: usize,
    /// Whether the bytes in the stream are the table itself.
    is_plain: bool,
}

pub(crate) fn tables(bytes: &[u8], limits: &Limits) -> Result<Tables<'static>, Refusal> {
    let number = |at| be32(bytes, at).map(place).ok_or_else(|| cut_off(Woff2));
    if bytes.get(4..8) == Some(b"ttcf") {
        return Err(broken(Woff2, "it is a collection of fonts; take one font out of it"));
    }
    check_length(Woff2, number(8)?, bytes.len())?;
    let count = be16(bytes, 12).ok_or_else(|| cut_off(Woff2))?;
    let packed = number(20)?;
    let mut at = HEADER_BYTES;
    let mut entries: Vec<Entry> = Vec::new();
    let mut sizes = Vec::new();
    for _ in 0..count.min(257) {
        let (entry, size) = entry(bytes, &mut at)?;
        if entries.iter().any(|other| other.tag == entry.tag) {
            return Err(broken(Woff2, format!("its table {} is there twice", text_of(entry.tag))));
        }
        sizes.push(length(size.max(entry.stored)));
        entries.push(entry);
    }
    if count > 256 {
        return Err(broken(Woff2, "it has more than 256 tables"));
    }
    check_unpacked(Woff2, sizes.into_iter(), limits)?;
    let stream_end = at.saturating_add(packed);
    let mut places = vec![("its tables".to_owned(), 0, stream_end)];
    for (what, start, size) in [("its metadata", number(28)?, number(32)?), ("its private data", number(40)?, number(44)?)] {
        if size > 0 {
            places.push((what.to_owned(), start, start.saturating_add(size)));
        }
    }
    super::check_places(Woff2, bytes, &mut places)?;
    let stream = unpack(bytes.get(at..stream_end).unwrap_or_default(), entries.iter().map(|entry| entry.stored).sum())?;
    let mut rest = stream.as_slice();
    let mut found = Vec::new();
    for entry in entries {
        let Some((table, behind)) = rest.split_at_checked(entry.stored) else { return Err(cut_off(Woff2)) };
        rest = behind;
        if entry.is_plain {
            found.push((entry.tag, Cow::Owned(table.to_vec())));
        }
    }
    Ok(Tables { found })
}

/// One entry of the list, and the table's size in a font that is not packed.
fn entry(bytes: &[u8], at: &mut usize) -> Result<(Entry, usize), Refusal> {
    let flags = *bytes.get(*at).ok_or_else(|| cut_off(Woff2))?;
    *at += 1;
    let known = usize::from(flags & 0x3f);
    let tag = if known == 63 {
        *at += 4;
        bytes.get(*at - 4..*at)
    } else {
        KNOWN.get(known * 4..known * 4 + 4)
    };
    let tag = tag.and_then(|tag| <[u8; 4]>::try_from(tag).ok()).ok_or_else(|| cut_off(Woff2))?;
    let size = variable(bytes, at)?;
    // Outlines are rewritten under version 0 and plain under 3; every other table is plain under 0.
    let is_plain = match &tag {
        b"glyf" | b"loca" => flags >> 6 == 3,
        _ => flags >> 6 == 0,
    };
    let stored = if is_plain { size } else { variable(bytes, at)? };
    Ok((Entry { tag, stored, is_plain }, size))
}

/// A number in groups of seven bits, the last one without the high bit.
fn variable(bytes: &[u8], at: &mut usize) -> Result<usize, Refusal> {
    let mut number = 0_u32;
    for index in 0..5 {
        let byte = *bytes.get(*at).ok_or_else(|| cut_off(Woff2))?;
        *at += 1;
        if index == 0 && byte == 0x80 || number & 0xfe00_0000 != 0 {
            break;
        }
        number = number << 7 | u32::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            return Ok(place(number));
        }
    }
    Err(broken(Woff2, "a length in its list of tables cannot be"))
}

fn unpack(packed: &[u8], expected: usize) -> Result<Vec<u8>, Refusal> {
    let mut stream = Vec::new();
    let mut source = packed;
    let read = brotli_decompressor::Decompressor::new(&mut source, 4096).take(length(expected) + 1).read_to_end(&mut stream);
    if read.is_err() || stream.len() != expected {
        return Err(broken(Woff2, "its tables do not unpack to their length"));
    }
    if source.len() > 3 {
        return Err(foreign(Woff2, "there are bytes between its tables and what follows"));
    }
    Ok(stream)
}
