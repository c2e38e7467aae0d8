//! WebP, from chunk to chunk.

use std::io::{Read, Seek};

use crate::bytes::{Bytes, cut_off};
use crate::foreign::Metadata;
use crate::inspect::Picture;
use crate::limits::Limits;
use crate::media_type::MediaType::Webp;
use crate::refusal::{Refusal, at_most, broken, foreign};

pub(crate) fn walk<R: Read + Seek>(bytes: &mut Bytes<R>, limits: &Limits) -> Result<Picture, Refusal> {
    let declared = u64::from(u32::from_le_bytes(bytes.need(Webp, 4)?)) + 8;
    if declared > bytes.end {
        return Err(cut_off(Webp));
    }
    if declared < bytes.end {
        return Err(foreign(Webp, format!("{} bytes stand behind its end", bytes.end - declared)));
    }
    let mut metadata = Metadata::new(Webp, limits.metadata_bytes);
    let (mut width, mut height, mut frames, mut stills, mut chunks) = (0, 0, 0, 0, 0);
    let mut at = 12;
    while at < bytes.end {
        let [n0, n1, n2, n3, s0, s1, s2, s3] = bytes.need(Webp, at)?;
        let (size, start) = (u64::from(u32::from_le_bytes([s0, s1, s2, s3])), at + 8);
        chunks += 1;
        at_most(Webp, "chunks", chunks, limits.picture_blocks)?;
        at = start + size + size % 2;
        if at > bytes.end {
            return Err(cut_off(Webp));
        }
        let (wide, high) = match &[n0, n1, n2, n3] {
            b"VP8X" => (bytes.le24(Webp, start + 4)? + 1, bytes.le24(Webp, start + 7)? + 1),
            b"VP8 " => {
                stills += 1;
                lossy(bytes, start)?
            }
            b"VP8L" => {
                stills += 1;
                lossless(bytes, start)?
            }
            b"ANMF" => {
                frames += 1;
                at_most(Webp, "frames", frames, limits.picture_frames)?;
                frame(bytes, start, at)?
            }
            b"ALPH" | b"ANIM" => continue,
            _ => {
                metadata.check(bytes, start, start + size)?;
                continue;
            }
        };
        (width, height) = (width.max(wide), height.max(high));
        crate::inspect::check_pixels(Webp, width, height, limits)?;
    }
    if stills + frames == 0 || stills > 1 || stills == 1 && frames > 0 {
        return Err(broken(Webp, "it has to have one picture, or frames"));
    }
    Ok(Picture { width, height, frames: frames.max(1) })
}

/// A frame says its size, and so does the picture data in it.
fn frame<R: Read + Seek>(bytes: &mut Bytes<R>, start: u64, end: u64) -> Result<(u32, u32), Refusal> {
    // The frame's place is given in steps of two pixels.
    let mut wide = bytes.le24(Webp, start)? * 2 + bytes.le24(Webp, start + 6)? + 1;
    let mut high = bytes.le24(Webp, start + 3)? * 2 + bytes.le24(Webp, start + 9)? + 1;
    let mut at = start + 16;
    let mut pictures = 0;
    // Transparency, the picture, and little else.
    for _ in 0..16 {
        if at >= end {
            break;
        }
        let [n0, n1, n2, n3, s0, s1, s2, s3] = bytes.need(Webp, at)?;
        let size = u64::from(u32::from_le_bytes([s0, s1, s2, s3]));
        let inner = match &[n0, n1, n2, n3] {
            b"VP8 " => Some(lossy(bytes, at + 8)?),
            b"VP8L" => Some(lossless(bytes, at + 8)?),
            _ => None,
        };
        if let Some((w, h)) = inner {
            pictures += 1;
            (wide, high) = (wide.max(w), high.max(h));
        }
        at += 8 + size + size % 2;
    }
    if at != end || pictures != 1 {
        return Err(broken(Webp, format!("the frame at byte {start} has to have one picture")));
    }
    Ok((wide, high))
}

fn lossy<R: Read + Seek>(bytes: &mut Bytes<R>, start: u64) -> Result<(u32, u32), Refusal> {
    let [_, _, _, s0, s1, s2, a, b, c, d] = bytes.need(Webp, start)?;
    if [s0, s1, s2] != [0x9d, 0x01, 0x2a] {
        return Err(broken(Webp, "its picture data does not begin as such"));
    }
    Ok((u32::from(u16::from_le_bytes([a, b]) & 0x3fff), u32::from(u16::from_le_bytes([c, d]) & 0x3fff)))
}

fn lossless<R: Read + Seek>(bytes: &mut Bytes<R>, start: u64) -> Result<(u32, u32), Refusal> {
    let [signature, a, b, c, d] = bytes.need(Webp, start)?;
    if signature != 0x2f {
        return Err(broken(Webp, "its picture data does not begin as such"));
    }
    let packed = u32::from_le_bytes([a, b, c, d]);
    Ok(((packed & 0x3fff) + 1, (packed >> 14 & 0x3fff) + 1))
}
