//! JPEG, from marker to marker.

use std::io::{Read, Seek};

use crate::bytes::{Bytes, WINDOW_BYTES, cut_off, length};
use crate::foreign::Metadata;
use crate::inspect::Picture;
use crate::limits::Limits;
use crate::media_type::MediaType::Jpeg;
use crate::refusal::{Refusal, at_most, broken, foreign};

/// One picture of the file: where it ends, its size, and whether it says that others follow.
struct Walked {
    end: u64,
    width: u32,
    height: u32,
    is_multiple: bool,
}

pub(crate) fn walk<R: Read + Seek>(bytes: &mut Bytes<R>, limits: &Limits) -> Result<Picture, Refusal> {
    let mut metadata = Metadata::new(Jpeg, limits.metadata_bytes);
    let mut segments = 0;
    let first = walk_one(bytes, 0, limits, &mut metadata, &mut segments)?;
    // Cameras and telephones put previews and depth maps behind the picture, and say so (CIPA DC-007).
    let mut end = first.end;
    while end < bytes.end {
        let start = behind_zeros(bytes, end)?;
        if start < bytes.end && !(first.is_multiple && bytes.up_to(start, 3)?.starts_with(&[0xff, 0xd8, 0xff])) {
            return Err(foreign(Jpeg, format!("{} bytes stand behind its end", bytes.end - end)));
        }
        if start == bytes.end {
            break;
        }
        end = walk_one(bytes, start, limits, &mut metadata, &mut segments)?.end;
    }
    Ok(Picture { width: first.width, height: first.height, frames: 1 })
}

fn behind_zeros<R: Read + Seek>(bytes: &mut Bytes<R>, mut at: u64) -> Result<u64, Refusal> {
    loop {
        let part = bytes.up_to(at, WINDOW_BYTES)?;
        match part.iter().position(|byte| *byte != 0) {
            Some(zeros) => return Ok(at + length(zeros)),
            None if part.is_empty() => return Ok(at),
            None => at += length(part.len()),
        }
    }
}

fn walk_one<R: Read + Seek>(
    bytes: &mut Bytes<R>,
    start: u64,
    limits: &Limits,
    metadata: &mut Metadata,
    segments: &mut u64,
) -> Result<Walked, Refusal> {
    let mut size = None;
    let (mut is_multiple, mut has_scan) = (false, false);
    let mut at = start + 2;
    loop {
        let [lead, marker] = bytes.need::<2>(Jpeg, at)?;
        if lead != 0xff {
            return Err(broken(Jpeg, format!("there is no marker at byte {at}")));
        }
        *segments += 1;
        at_most(Jpeg, "segments", *segments, limits.picture_blocks)?;
        match marker {
            // Fill bytes before a marker.
            0xff => {
                at += 1;
                continue;
            }
            // End of image.
            0xd9 => {
                let (width, height) = size.filter(|_| has_scan).ok_or_else(|| broken(Jpeg, "it has no picture data"))?;
                return Ok(Walked { end: at + 2, width, height, is_multiple });
            }
            0x01 | 0xd0..=0xd7 => {
                at += 2;
                continue;
            }
            0x00 | 0x02..=0xbf | 0xd8 => return Err(broken(Jpeg, format!("there is no marker at byte {at}"))),
            _ => {}
        }
        let [a, b] = bytes.need::<2>(Jpeg, at + 2)?;
        let segment = u64::from(u16::from_be_bytes([a, b]));
        let (from, next) = (at + 4, at + 2 + segment);
        if segment < 2 {
            return Err(broken(Jpeg, format!("the segment at byte {at} is shorter than its own length")));
        }
        if next > bytes.end {
            return Err(cut_off(Jpeg));
        }
        match marker {
            // Start of frame, of any kind: precision, then height and width.
            0xc0..=0xc3 | 0xc5..=0xc7 | 0xc9..=0xcb | 0xcd..=0xcf => {
                let [_, a, b, c, d] = bytes.need::<5>(Jpeg, from)?;
                let (height, width) = (u32::from(u16::from_be_bytes([a, b])), u32::from(u16::from_be_bytes([c, d])));
                crate::inspect::check_pixels(Jpeg, width, height, limits)?;
                if size.replace((width, height)).is_some() {
                    return Err(broken(Jpeg, "it has two headers"));
                }
            }
            0xe0..=0xef | 0xfe => {
                is_multiple |= marker == 0xe2 && bytes.up_to(from, 4)? == b"MPF\0";
                metadata.check(bytes, from, next)?;
            }
            _ => {}
        }
        at = next;
        if marker == 0xda {
            if size.is_none() {
                return Err(broken(Jpeg, "its data comes before its header"));
            }
            has_scan = true;
            at = behind_scan(bytes, at)?;
        }
    }
}

/// The marker behind the data of one scan: data has 0xff only with a zero or a restart marker behind it.
fn behind_scan<R: Read + Seek>(bytes: &mut Bytes<R>, mut at: u64) -> Result<u64, Refusal> {
    loop {
        let Some(found) = bytes.find(0xff, at)? else { return Err(cut_off(Jpeg)) };
        let [_, next] = bytes.need::<2>(Jpeg, found)?;
        match next {
            0x00 | 0xd0..=0xd7 => at = found + 2,
            0xff => at = found + 1,
            _ => return Ok(found),
        }
    }
}
