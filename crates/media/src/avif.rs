//! AVIF, from box to box.

use std::io::{Read, Seek};

use crate::bytes::{Bytes, cut_off};
use crate::foreign::Metadata;
use crate::inspect::Picture;
use crate::limits::Limits;
use crate::media_type::MediaType::Avif;
use crate::refusal::{Refusal, at_most, broken};

/// Where a box says what it is, and where its content begins and ends.
struct Place {
    name: [u8; 4],
    start: u64,
    end: u64,
}

/// The box at `at`, which has to lie before `limit`.
fn box_at<R: Read + Seek>(bytes: &mut Bytes<R>, at: u64, limit: u64) -> Result<Place, Refusal> {
    let [a, b, c, d, name @ ..] = bytes.need::<8>(Avif, at)?;
    let (size, header) = match u32::from_be_bytes([a, b, c, d]) {
        0 => (limit - at, 8),
        1 => (u64::from_be_bytes(bytes.need(Avif, at + 8)?), 16),
        size => (u64::from(size), 8),
    };
    if size < header {
        return Err(broken(Avif, format!("the box at byte {at} is shorter than its own length")));
    }
    match at.checked_add(size).filter(|end| *end <= limit) {
        Some(end) => Ok(Place { name, start: at + header, end }),
        None => Err(cut_off(Avif)),
    }
}

pub(crate) fn walk<R: Read + Seek>(bytes: &mut Bytes<R>, limits: &Limits) -> Result<Picture, Refusal> {
    let mut metadata = Metadata::new(Avif, limits.metadata_bytes);
    let mut size = None;
    let (mut at, mut boxes, mut has_data) = (0, 0, false);
    while at < bytes.end {
        let place = box_at(bytes, at, bytes.end)?;
        boxes += 1;
        at_most(Avif, "boxes", boxes, limits.picture_blocks.min(1000))?;
        match &place.name {
            b"ftyp" if at == 0 => {}
            b"mdat" => has_data = true,
            b"moov" | b"moof" => return Err(broken(Avif, "animations are not accepted")),
            b"meta" => {
                // A picture's data may stand here too. Version and flags come before the boxes inside.
                has_data |= place.end - place.start > 4096;
                size = size.max(sizes(bytes, place.start + 4, place.end, 0, limits)?);
                metadata.check(bytes, place.start, place.end)?;
            }
            b"free" | b"skip" | b"uuid" => metadata.check(bytes, place.start, place.end)?,
            _ => return Err(broken(Avif, format!("the box at byte {at} is of an unknown kind"))),
        }
        at = place.end;
    }
    let (width, height) = size.filter(|_| has_data).ok_or_else(|| broken(Avif, "it has no picture data"))?;
    Ok(Picture { width, height, frames: 1 })
}

/// The largest size that any item in the boxes from `at` to `end` has.
fn sizes<R: Read + Seek>(
    bytes: &mut Bytes<R>,
    mut at: u64,
    end: u64,
    depth: usize,
    limits: &Limits,
) -> Result<Option<(u32, u32)>, Refusal> {
    let mut largest: Option<(u32, u32)> = None;
    let mut boxes = 0;
    while at < end {
        let place = box_at(bytes, at, end)?;
        boxes += 1;
        at_most(Avif, "boxes", boxes, 1000)?;
        let found = match &place.name {
            b"iprp" | b"ipco" if depth < 2 => sizes(bytes, place.start, place.end, depth + 1, limits)?,
            b"ispe" => {
                let (width, height) = (bytes.be32(Avif, place.start + 4)?, bytes.be32(Avif, place.start + 8)?);
                crate::inspect::check_pixels(Avif, width, height, limits)?;
                Some((width, height))
            }
            _ => None,
        };
        let area = |size: Option<(u32, u32)>| size.map_or(0, |(width, height)| u64::from(width) * u64::from(height));
        if area(found) > area(largest) {
            largest = found;
        }
        at = place.end;
    }
    Ok(largest)
}
