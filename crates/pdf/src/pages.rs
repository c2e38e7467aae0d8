//! Two documents compared page by page, as a reader sees them.

use bytes::Bytes;

use crate::error::PdfError;
use crate::raster::{Doubt, Pages, Picture, RasterLimits, open};

/// A channel of a pixel may differ by so much of 255: edges of letters that stand a hundredth of a pixel beside where they were.
const TOLERANCE: u8 = 16;
/// Differences are looked at and marked in squares of so many pixels.
const TILE: u16 = 8;
/// What is within the tolerance is an edge, unless so many of four quarters of a square differ: then it is a surface.
const SURFACE_QUARTERS: u32 = 3;
/// Pixels between the old page and the new one.
const GAP: u16 = 16;
/// Where there is no page.
const GREY: [u8; 3] = [128, 128, 128];
/// Laid over what differs.
const RED: [u8; 3] = [255, 0, 0];

/// How much is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CompareLimits {
    /// How large a page becomes.
    pub raster: RasterLimits,
    /// Pages that are looked at; of more the rest is left out.
    pub max_pages: u32,
    /// Pictures that are made; what differs beyond them is told without one.
    pub max_pictures: u32,
    /// Bytes of all pictures together; the one that goes beyond is not kept, and no other is made.
    pub max_picture_bytes: u64,
}

/// In which way a page differs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PageChange {
    /// It looks different.
    Changed,
    /// Only the new document has it.
    Added,
    /// Only the old document has it.
    Removed,
    /// Something on it cannot be drawn here, so nobody knows.
    Unknown,
}

/// A page that is not as it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageDifference {
    /// Which, from 1.
    pub page: u32,
    /// In which way.
    pub change: PageChange,
    /// Pixels that differ, of the larger one of both pages.
    pub pixels: u32,
    /// A PNG: the old page on the left, the new one on the right, red over what differs.
    pub picture: Option<Bytes>,
}

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comparison {
    /// Pages of the old document.
    pub old_pages: u32,
    /// Pages of the new document.
    pub new_pages: u32,
    /// Pages that were looked at.
    pub compared: u32,
    /// Those that are not as they were.
    pub differences: Vec<PageDifference>,
}

impl Comparison {
    /// Pages of the longer document that nobody has looked at.
    pub fn left_out(&self) -> u32 {
        self.old_pages.max(self.new_pages).saturating_sub(self.compared)
    }
}

/// Compares two documents. Holds the pixels of two pages at a time, and the pictures that it gives back. `goes_on` is asked before
/// each page; once it says no, the rest is left out.
pub fn compare(old: Bytes, new: Bytes, limits: &CompareLimits, goes_on: impl Fn() -> bool) -> Result<Comparison, PdfError> {
    let (old, new) = (open(old)?, open(new)?);
    let (old, new) = (Pages::of(&old), Pages::of(&new));
    let mut found = Comparison { old_pages: old.count(), new_pages: new.count(), compared: 0, differences: Vec::new() };
    let (mut pictures, mut room) = (limits.max_pictures, limits.max_picture_bytes);
    while found.left_out() > 0 && found.compared < limits.max_pages && goes_on() {
        let index = found.compared;
        found.compared += 1;
        let draw = |pages: &Pages<'_>| (index < pages.count()).then(|| pages.draw(index, limits.raster)).transpose();
        let (before, after) = (draw(&old)?, draw(&new)?);
        let in_doubt = [&before, &after].into_iter().flatten().any(|(_, doubt)| *doubt == Doubt::Some);
        let (before, after) = (before.map(|(picture, _)| picture), after.map(|(picture, _)| picture));
        let marks = Marks::of(before.as_ref(), after.as_ref());
        let change = match (&before, &after) {
            (None, _) => PageChange::Added,
            (_, None) => PageChange::Removed,
            _ if marks.pixels > 0 => PageChange::Changed,
            _ if in_doubt => PageChange::Unknown,
            _ => continue,
        };
        let mut picture = None;
        if pictures > 0 {
            let png = beside(before.as_ref(), after.as_ref(), &marks).into_png()?;
            match room.checked_sub(png.len() as u64) {
                Some(left) => (room, pictures, picture) = (left, pictures - 1, Some(png)),
                None => pictures = 0,
            }
        }
        found.differences.push(PageDifference { page: index + 1, change, pixels: marks.pixels, picture });
    }
    Ok(found)
}

/// Where two pages differ.
struct Marks {
    width: u16,
    height: u16,
    tiles: Vec<bool>,
    pixels: u32,
}

impl Marks {
    /// What is only on one of both differs. A page that is not there differs everywhere.
    fn of(before: Option<&Picture>, after: Option<&Picture>) -> Self {
        let side = |of: fn(&Picture) -> u16| [before, after].into_iter().flatten().map(of).max().unwrap_or(0);
        let (width, height) = (side(|picture| picture.width), side(|picture| picture.height));
        let (columns, rows) = (width.div_ceil(TILE), height.div_ceil(TILE));
        let mut marks = Self { width, height, tiles: vec![false; usize::from(columns) * usize::from(rows)], pixels: 0 };
        if before == after {
            return marks;
        }
        for row in 0..rows {
            for column in 0..columns {
                let (mut plain, mut faint, mut all) = (0, 0, 0);
                for y in row * TILE..(row * TILE + TILE).min(height) {
                    for x in column * TILE..(column * TILE + TILE).min(width) {
                        all += 1;
                        match difference(before.and_then(|page| page.pixel(x, y)), after.and_then(|page| page.pixel(x, y))) {
                            0 => {}
                            1..=TOLERANCE => faint += 1,
                            _ => plain += 1,
                        }
                    }
                }
                if (plain + faint) * 4 >= all * SURFACE_QUARTERS {
                    plain += faint;
                }
                if plain > 0 {
                    marks.pixels += plain;
                    marks.tiles[usize::from(row) * usize::from(columns) + usize::from(column)] = true;
                }
            }
        }
        marks
    }

    /// Whether the pixel is in a square that differs, or in one beside it: a dot alone would not be seen.
    fn covers(&self, x: u16, y: u16) -> bool {
        let columns = self.width.div_ceil(TILE);
        let around = |place: u16| (place / TILE).saturating_sub(1)..=place / TILE + 1;
        around(y).any(|row| {
            around(x).filter(|column| *column < columns).any(|column| {
                let place = usize::from(row) * usize::from(columns) + usize::from(column);
                self.tiles.get(place).copied().unwrap_or(false)
            })
        })
    }
}

/// By how much the channel differs that differs most.
fn difference(before: Option<[u8; 3]>, after: Option<[u8; 3]>) -> u8 {
    match (before, after) {
        (Some(before), Some(after)) => before.iter().zip(after).map(|(before, after)| before.abs_diff(after)).max().unwrap_or(0),
        (None, None) => 0,
        _ => u8::MAX,
    }
}

/// Both pages in one picture, with red over what differs.
fn beside(before: Option<&Picture>, after: Option<&Picture>, marks: &Marks) -> Picture {
    let mut picture = Picture::blank(marks.width * 2 + GAP, marks.height, GREY);
    for y in 0..marks.height {
        for x in 0..marks.width {
            let is_marked = marks.covers(x, y);
            for (page, left) in [(before, 0), (after, marks.width + GAP)] {
                if let Some(pixel) = page.and_then(|page| page.pixel(x, y)) {
                    picture.set(left + x, y, if is_marked { reddened(pixel) } else { pixel });
                }
            }
        }
    }
    picture
}

/// A third of red: what is black stays readable, what is white becomes pink.
fn reddened(pixel: [u8; 3]) -> [u8; 3] {
    let mixed = |(channel, red): (u8, u8)| u8::try_from((u16::from(channel) * 2 + u16::from(red)) / 3).unwrap_or(u8::MAX);
    let [first, second, third] = pixel;
    [mixed((first, RED[0])), mixed((second, RED[1])), mixed((third, RED[2]))]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paper() -> Picture {
        Picture::blank(64, 64, [255, 255, 255])
    }

    #[test]
    fn edges_within_the_tolerance_are_the_same_and_a_dot_is_not() {
        let mut after = paper();
        for x in 0..64 {
            after.set(x, 20, [240, 245, 250]);
        }
        assert_eq!(Marks::of(Some(&paper()), Some(&after)).pixels, 0);
        after.set(33, 40, [200, 255, 255]);
        let marks = Marks::of(Some(&paper()), Some(&after));
        assert_eq!(marks.pixels, 1);
        assert!(marks.covers(33, 40) && marks.covers(28, 36) && !marks.covers(10, 20), "the dot and what is around it");
    }

    #[test]
    fn a_surface_that_is_a_shade_darker_differs() {
        let mut after = paper();
        for (x, y) in (8..32).flat_map(|x| (8..32).map(move |y| (x, y))) {
            after.set(x, y, [253, 253, 253]);
        }
        assert_eq!(Marks::of(Some(&paper()), Some(&after)).pixels, 24 * 24);
    }

    #[test]
    fn what_is_beyond_the_smaller_page_differs_and_a_page_that_is_not_there_differs_everywhere() {
        let tall = Picture::blank(64, 80, [255, 255, 255]);
        assert_eq!(Marks::of(Some(&paper()), Some(&tall)).pixels, 64 * 16);
        assert_eq!(Marks::of(None, Some(&tall)).pixels, 64 * 80);
        let picture = beside(None, Some(&tall), &Marks::of(None, Some(&tall)));
        assert_eq!((picture.width, picture.height), (64 * 2 + GAP, 80));
        assert_eq!((picture.pixel(0, 0), picture.pixel(100, 40)), (Some(GREY), Some(reddened([255, 255, 255]))));
    }
}
