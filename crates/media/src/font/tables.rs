//! The tables that every reader needs, and what they say.

use super::{FontInfo, FontStyle, Tables, be16, be32, names, place, text_of};
use crate::media_type::MediaType;
use crate::refusal::{Refusal, broken};

/// Without these no browser takes a font.
const NEEDED: [[u8; 4]; 6] = [*b"cmap", *b"head", *b"hhea", *b"maxp", *b"name", *b"OS/2"];

/// Refuses a font whose tables are missing, too short, or point out of themselves.
pub(crate) fn check(of: MediaType, font: &Tables<'_>) -> Result<(), Refusal> {
    if let Some(missing) = NEEDED.into_iter().find(|tag| font.get(*tag).is_none()) {
        return Err(broken(of, format!("it has no table {}", text_of(missing))));
    }
    let wrong = [
        ("head", head(font).is_none()),
        ("maxp", glyphs(font).is_none()),
        ("hhea and hmtx", metrics(font).is_none()),
        ("OS/2", font.get(*b"OS/2").is_none_or(|table| table.len() < 68)),
        ("name", !font.get(*b"name").is_some_and(names::is_whole)),
        ("cmap", !font.get(*b"cmap").is_some_and(maps_are_inside)),
        ("loca and glyf", outlines(of, font).is_none()),
    ];
    match wrong.into_iter().find(|(_, is_wrong)| *is_wrong) {
        Some((tables, _)) => Err(broken(of, format!("its table {tables} is too short, or points out of itself"))),
        None => Ok(()),
    }
}

pub(crate) fn info(of: MediaType, font: &Tables<'_>) -> Result<FontInfo, Refusal> {
    let os2 = |at| font.get(*b"OS/2").and_then(|table| be16(table, at)).unwrap_or_default();
    // The family in which all members are together comes before the one of four members.
    let family = names::name(font, &[16, 1, 4, 6]).ok_or_else(|| broken(of, "it has no family name"))?;
    let subfamily = names::name(font, &[17, 2]).unwrap_or_else(|| "Regular".to_owned());
    let weight = match os2(4) {
        0 => 400,
        // An old scale of one to nine.
        small @ 1..=9 => small * 100,
        weight => weight.min(1000),
    };
    // Italic or oblique, or the slant that the header tells of.
    let is_slanted = os2(62) & 0x0201 != 0 || font.get(*b"head").and_then(|head| be16(head, 44)).is_some_and(|style| style & 2 != 0);
    let style = if is_slanted { FontStyle::Italic } else { FontStyle::Normal };
    let licence = os2(8);
    // Of several bits the kindest one counts; no bit is no restriction.
    let is_restricted = licence & 0xe == 2 || licence & 0x200 != 0;
    Ok(FontInfo { family, subfamily, weight, style, embeddable: !is_restricted })
}

fn head(font: &Tables<'_>) -> Option<()> {
    let head = font.get(*b"head").filter(|head| head.len() >= 54)?;
    let units = be16(head, 18)?;
    (be32(head, 12)? == 0x5f0f_3cf5 && (16..=16384).contains(&units) && be16(head, 50)? <= 1).then_some(())
}

fn glyphs(font: &Tables<'_>) -> Option<usize> {
    be16(font.get(*b"maxp")?, 4).map(usize::from).filter(|count| *count > 0)
}

fn metrics(font: &Tables<'_>) -> Option<()> {
    let (glyphs, pairs) = (glyphs(font)?, usize::from(be16(font.get(*b"hhea")?, 34)?));
    // WOFF2 may have the metrics in its own notation.
    let Some(table) = font.get(*b"hmtx") else { return Some(()) };
    (pairs >= 1 && pairs <= glyphs && table.len() >= 4 * pairs + 2 * (glyphs - pairs)).then_some(())
}

fn maps_are_inside(cmap: &[u8]) -> bool {
    let Some(count) = be16(cmap, 2) else { return false };
    (0..usize::from(count)).all(|index| {
        let Some(start) = be32(cmap, 4 + 8 * index + 4).map(place) else { return false };
        let size = match be16(cmap, start) {
            Some(0 | 2 | 4 | 6) => be16(cmap, start + 2).map(usize::from),
            Some(8 | 10 | 12 | 13) => be32(cmap, start + 4).map(place),
            Some(14) => be32(cmap, start + 2).map(place),
            _ => None,
        };
        // The length in the old format is too small for large maps, and some makers let it be.
        size.and_then(|size| start.checked_add(size)).is_some_and(|end| end <= cmap.len())
    })
}

/// Where there are TrueType outlines, each glyph's place lies inside, in order. Other outlines have tables of their own.
fn outlines(of: MediaType, font: &Tables<'_>) -> Option<()> {
    let (Some(loca), Some(glyf)) = (font.get(*b"loca"), font.get(*b"glyf")) else {
        let others = [*b"CFF ", *b"CFF2", *b"CBDT", *b"sbix", *b"COLR"];
        return (of == MediaType::Woff2 || others.into_iter().any(|tag| font.get(tag).is_some())).then_some(());
    };
    let count = glyphs(font)? + 1;
    let is_long = be16(font.get(*b"head")?, 50)? == 1;
    if loca.len() < count * if is_long { 4 } else { 2 } {
        return None;
    }
    let at =
        |index: usize| if is_long { be32(loca, index * 4).map(place) } else { be16(loca, index * 2).map(|half| usize::from(half) * 2) };
    let mut last = 0;
    for index in 0..count {
        let next = at(index)?;
        if next < last || next > glyf.len() {
            return None;
        }
        last = next;
    }
    Some(())
}
