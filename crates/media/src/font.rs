//! Fonts: what they call themselves, whether they may be embedded, and whether their tables are whole.

mod names;
mod sfnt;
mod tables;
mod woff;
mod woff2;

use std::borrow::Cow;

use crate::limits::Limits;
use crate::media_type::MediaType;
use crate::refusal::{Refusal, at_most, broken};

/// Upright or slanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FontStyle {
    /// Upright.
    Normal,
    /// Italic or oblique.
    Italic,
}

impl FontStyle {
    /// The word in CSS.
    pub fn css(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::Italic => "italic",
        }
    }
}

/// What a font says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FontInfo {
    /// The family, such as "Liberation Sans"; at most 256 characters, none of them control characters.
    pub family: String,
    /// The member of the family, such as "Bold Italic"; "Regular" where the font does not say.
    pub subfamily: String,
    /// 1 to 1000, as in CSS: 400 is regular, 700 bold. Of a variable font the weight it has by default.
    pub weight: u16,
    /// Upright or slanted.
    pub style: FontStyle,
    /// Whether its licence bits let a document carry it. False for "restricted" and for "bitmaps only".
    pub embeddable: bool,
}

/// The tables of one font, as they are after unpacking.
pub(crate) struct Tables<'f> {
    found: Vec<([u8; 4], Cow<'f, [u8]>)>,
}

impl Tables<'_> {
    pub(crate) fn get(&self, name: [u8; 4]) -> Option<&[u8]> {
        self.found.iter().find(|(tag, _)| *tag == name).map(|(_, table)| table.as_ref())
    }
}

pub(crate) fn inspect(of: MediaType, bytes: &[u8], limits: &Limits) -> Result<FontInfo, Refusal> {
    let font = match of {
        MediaType::Woff => woff::tables(bytes, limits)?,
        MediaType::Woff2 => woff2::tables(bytes, limits)?,
        _ => sfnt::tables(of, bytes)?,
    };
    tables::check(of, &font)?;
    tables::info(of, &font)
}

/// Pieces of a file as (what, start, end): all inside, none over another, nothing between and behind them but padding to four bytes.
pub(crate) fn check_places(of: MediaType, bytes: &[u8], places: &mut [(String, usize, usize)]) -> Result<(), Refusal> {
    places.sort_by_key(|(_, start, end)| (*start, *end));
    let mut last = ("its beginning".to_owned(), 0);
    for (what, start, end) in places.iter() {
        if *end > bytes.len() {
            return Err(broken(of, format!("{what} does not lie inside the file")));
        }
        if *start < last.1 {
            return Err(broken(of, format!("{what} lies over {}", last.0)));
        }
        last = (what.clone(), *end);
    }
    let ends = std::iter::once(0).chain(places.iter().map(|(_, _, end)| *end));
    let starts = places.iter().map(|(_, start, _)| *start).chain([bytes.len()]);
    ends.zip(starts).try_for_each(|(from, to)| check_gap(of, bytes, from, to))
}

/// Gaps of more than padding are left by some tools, filled with zeros; anything else in one is nobody's.
fn check_gap(of: MediaType, bytes: &[u8], from: usize, to: usize) -> Result<(), Refusal> {
    let gap = bytes.get(from..to).unwrap_or_default();
    if gap.len() > 3 && gap.iter().any(|byte| *byte != 0) {
        return Err(crate::refusal::foreign(of, format!("the {} bytes at {from} belong to no table", gap.len())));
    }
    Ok(())
}

/// A list of tables with sizes that were checked against the limit before anything is unpacked.
pub(crate) fn check_unpacked(of: MediaType, sizes: impl Iterator<Item = u64>, limits: &Limits) -> Result<(), Refusal> {
    at_most(of, "bytes after unpacking", sizes.fold(0, u64::saturating_add), limits.font_unpacked_bytes)
}

pub(crate) fn be16(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(bytes.get(at..at.checked_add(2)?)?.try_into().ok()?))
}

pub(crate) fn be32(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
}

/// A number of the file as a place in memory.
pub(crate) fn place(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

pub(crate) fn text_of(tag: [u8; 4]) -> String {
    String::from_utf8_lossy(&tag).trim_end().to_owned()
}
