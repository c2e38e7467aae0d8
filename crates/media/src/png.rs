//! PNG and APNG, from chunk to chunk.

use std::io::{Read, Seek};

use crate::bytes::{Bytes, cut_off};
use crate::foreign::Metadata;
use crate::inspect::Picture;
use crate::limits::Limits;
use crate::media_type::MediaType::Png;
use crate::refusal::{Refusal, at_most, broken, foreign};

pub(crate) fn walk<R: Read + Seek>(bytes: &mut Bytes<R>, limits: &Limits) -> Result<Picture, Refusal> {
    let mut metadata = Metadata::new(Png, limits.metadata_bytes);
    let mut picture = None;
    let (mut frames, mut chunks, mut data_chunks, mut data_over) = (1, 0, 0_u64, false);
    let mut at = 8;
    loop {
        let header = bytes.need::<8>(Png, at)?;
        let [a, b, c, d, name @ ..] = header;
        let (size, start) = (u64::from(u32::from_be_bytes([a, b, c, d])), at + 8);
        let next = start + size + 4;
        chunks += 1;
        at_most(Png, "chunks", chunks, limits.picture_blocks)?;
        if !name.iter().all(u8::is_ascii_alphabetic) {
            return Err(broken(Png, format!("there is no chunk at byte {at}")));
        }
        if next > bytes.end {
            return Err(cut_off(Png));
        }
        if (picture.is_none()) != (&name == b"IHDR") {
            return Err(broken(Png, "the first chunk, and no other, has to be IHDR"));
        }
        match &name {
            b"IHDR" => picture = Some(header_of(bytes, start, size, limits)?),
            b"IDAT" if data_over => return Err(broken(Png, "its IDAT chunks are not together")),
            b"IDAT" => data_chunks += 1,
            b"fdAT" | b"PLTE" | b"tRNS" | b"fcTL" => {}
            b"acTL" => {
                let [a, b, c, d] = bytes.need::<4>(Png, start)?;
                frames = u64::from(u32::from_be_bytes([a, b, c, d])).max(1);
                at_most(Png, "frames", frames, limits.picture_frames)?;
            }
            b"IEND" if size != 0 => return Err(foreign(Png, "its IEND chunk is not empty")),
            b"IEND" if next != bytes.end => {
                return Err(foreign(Png, format!("{} bytes stand behind its end", bytes.end - next)));
            }
            b"IEND" => break,
            _ => metadata.check(bytes, start, start + size)?,
        }
        data_over |= data_chunks > 0 && &name != b"IDAT";
        at = next;
    }
    let (width, height) = picture.filter(|_| data_chunks > 0).ok_or_else(|| broken(Png, "it has no IDAT chunk"))?;
    Ok(Picture { width, height, frames })
}

fn header_of<R: Read + Seek>(bytes: &mut Bytes<R>, start: u64, size: u64, limits: &Limits) -> Result<(u32, u32), Refusal> {
    let (width, height) = (bytes.be32(Png, start)?, bytes.be32(Png, start + 4)?);
    let [depth, colour, compression, filter, interlace] = bytes.need(Png, start + 8)?;
    let depths: &[u8] = match colour {
        0 => &[1, 2, 4, 8, 16],
        3 => &[1, 2, 4, 8],
        2 | 4 | 6 => &[8, 16],
        _ => &[],
    };
    if size != 13 || !depths.contains(&depth) || compression != 0 || filter != 0 || interlace > 1 {
        return Err(broken(Png, "its IHDR chunk says something that PNG does not have"));
    }
    crate::inspect::check_pixels(Png, width, height, limits)?;
    Ok((width, height))
}
