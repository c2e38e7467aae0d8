//! GIF, from block to block.

use std::io::{Read, Seek};

use crate::bytes::{Bytes, cut_off};
use crate::foreign::Metadata;
use crate::inspect::Picture;
use crate::limits::Limits;
use crate::media_type::MediaType::Gif;
use crate::refusal::{Refusal, at_most, broken, foreign};

pub(crate) fn walk<R: Read + Seek>(bytes: &mut Bytes<R>, limits: &Limits) -> Result<Picture, Refusal> {
    let mut metadata = Metadata::new(Gif, limits.metadata_bytes);
    let [a, b, c, d, flags, ..] = bytes.need::<7>(Gif, 6)?;
    let (mut width, mut height) = (u32::from(u16::from_le_bytes([a, b])), u32::from(u16::from_le_bytes([c, d])));
    let (mut frames, mut blocks) = (0, 0);
    let mut at = 13 + colours(flags);
    loop {
        let [block] = bytes.need::<1>(Gif, at)?;
        match block {
            b';' => break,
            b',' => {
                let [l0, l1, t0, t1, w0, w1, h0, h1, flags] = bytes.need::<9>(Gif, at + 1)?;
                let pair = |low, high| u32::from(u16::from_le_bytes([low, high]));
                // Browsers enlarge the first frame's canvas until the frame is in it.
                width = width.max(pair(l0, l1) + pair(w0, w1));
                height = height.max(pair(t0, t1) + pair(h0, h1));
                crate::inspect::check_pixels(Gif, width, height, limits)?;
                frames += 1;
                at_most(Gif, "frames", frames, limits.picture_frames)?;
                // Behind the colours stands the size of a code.
                at = behind_blocks(bytes, at + 10 + colours(flags) + 1, &mut blocks, limits, None)?;
            }
            b'!' => {
                let [label] = bytes.need::<1>(Gif, at + 1)?;
                let is_text = label != 0xf9;
                at = behind_blocks(bytes, at + 2, &mut blocks, limits, is_text.then_some(&mut metadata))?;
            }
            _ => return Err(broken(Gif, format!("there is no block at byte {at}"))),
        }
    }
    if at + 1 != bytes.end {
        return Err(foreign(Gif, format!("{} bytes stand behind its end", bytes.end.saturating_sub(at + 1))));
    }
    if frames == 0 {
        return Err(broken(Gif, "it has no picture data"));
    }
    Ok(Picture { width, height, frames })
}

/// Bytes of the colour table that these flags announce.
fn colours(flags: u8) -> u64 {
    if flags & 0x80 == 0 { 0 } else { 3 << ((flags & 7) + 1) }
}

/// The place behind a row of small blocks, which a block of no bytes ends.
fn behind_blocks<R: Read + Seek>(
    bytes: &mut Bytes<R>,
    mut at: u64,
    blocks: &mut u64,
    limits: &Limits,
    metadata: Option<&mut Metadata>,
) -> Result<u64, Refusal> {
    let start = at;
    loop {
        let [size] = bytes.need::<1>(Gif, at)?;
        *blocks += 1;
        at_most(Gif, "blocks", *blocks, limits.picture_blocks)?;
        at += 1 + u64::from(size);
        if at > bytes.end {
            return Err(cut_off(Gif));
        }
        if size == 0 {
            if let Some(metadata) = metadata {
                metadata.check(bytes, start, at)?;
            }
            return Ok(at);
        }
    }
}
