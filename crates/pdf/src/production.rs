//! The boxes of a page that is cut out of a larger sheet, and the marks that show where.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use lopdf::{Dictionary, Document, Object, ObjectId, Stream};

use crate::error::PdfError;
use crate::graft::{load, member};

/// How thick marks are, in points: what printing houses call a hairline.
const MARK_WIDTH_PT: f32 = 0.25;

/// What is around each page of a print. All lengths are in points of 1/72 inch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Production {
    /// Width of the page once it is cut.
    pub width_pt: f32,
    /// Height of the page once it is cut.
    pub height_pt: f32,
    /// From each edge of the sheet to that of the page.
    pub around_pt: f32,
    /// How far of that the content may reach over the edge of the page.
    pub bleed_pt: f32,
    /// The marks at the corners.
    pub marks: Option<Marks>,
}

/// Crop marks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Marks {
    /// From the edge of the page to where a mark begins.
    pub offset_pt: f32,
    /// From there to its end.
    pub length_pt: f32,
}

/// Gives each page of a print its `TrimBox` and its `BleedBox`, cuts the content to the bleed and draws the marks outside of it in all
/// four inks. The page begins at the upper left corner of the sheet, `around_pt` away from either edge.
///
/// # Errors
/// [`PdfError::Unreadable`] for what is no PDF, or has pages that are too small.
pub fn produce(pdf: &[u8], production: &Production) -> Result<Vec<u8>, PdfError> {
    let mut document = load(pdf)?;
    let pages: Vec<ObjectId> = document.page_iter().collect();
    // Sheets of one size share what is drawn around them.
    let mut drawn: BTreeMap<[i64; 2], [ObjectId; 2]> = BTreeMap::new();
    for page in pages {
        let boxes = Boxes::of(media_box(&document, page)?, production)?;
        let size = [boxes.media[2], boxes.media[3]].map(hundredths);
        let [before, after] = *drawn.entry(size).or_insert_with(|| {
            let stream = |content: String| Object::Stream(Stream::new(Dictionary::new(), content.into_bytes()));
            [boxes.clip(), boxes.marks(production)].map(|content| document.add_object(stream(content)))
        });
        let dictionary = document.get_dictionary_mut(page).map_err(|_| PdfError::Unreadable("a page is not where the tree says"))?;
        let own = match dictionary.get(b"Contents") {
            Ok(Object::Array(parts)) => parts.clone(),
            Ok(one @ Object::Reference(_)) => vec![one.clone()],
            _ => Vec::new(),
        };
        let contents = [Object::Reference(before)].into_iter().chain(own).chain([Object::Reference(after)]).collect();
        dictionary.set("Contents", Object::Array(contents));
        dictionary.set("TrimBox", numbers(boxes.trim));
        dictionary.set("BleedBox", numbers(boxes.bleed));
    }
    let mut bytes = Vec::with_capacity(pdf.len() + 4096);
    document.save_to(&mut bytes).map_err(|_| PdfError::Unreadable("it cannot be written again"))?;
    bytes.push(b'\n');
    Ok(bytes)
}

/// The boxes of one page: left, lower, right and upper edge.
struct Boxes {
    media: [f32; 4],
    bleed: [f32; 4],
    trim: [f32; 4],
}

impl Boxes {
    fn of(media: [f32; 4], production: &Production) -> Result<Self, PdfError> {
        let Production { width_pt, height_pt, around_pt, bleed_pt, .. } = *production;
        let (left, top) = (media[0] + around_pt, media[3] - around_pt);
        let trim = [left, top - height_pt, left + width_pt, top];
        let bleed = [trim[0] - bleed_pt, trim[1] - bleed_pt, trim[2] + bleed_pt, trim[3] + bleed_pt];
        // A browser rounds a sheet to the next pixel, so the bleed may reach that much over its edge.
        let bleed = [bleed[0].max(media[0]), bleed[1].max(media[1]), bleed[2].min(media[2]), bleed[3].min(media[3])];
        if trim[1] < media[1] - 1.0 || trim[2] > media[2] + 1.0 {
            return Err(PdfError::Unreadable("a sheet is smaller than the page that is cut out of it"));
        }
        Ok(Self { media, bleed, trim })
    }

    /// What stands before the content: nothing is painted outside of the bleed.
    fn clip(&self) -> String {
        let [left, lower, right, upper] = self.bleed;
        format!("q {left} {lower} {} {} re W n\n", right - left, upper - lower)
    }

    /// What stands behind the content.
    fn marks(&self, production: &Production) -> String {
        let mut content = String::from("\nQ\n");
        let Some(Marks { offset_pt, length_pt }) = production.marks else { return content };
        let [left, lower, right, upper] = self.trim;
        let (near, far) = (offset_pt, offset_pt + length_pt);
        // Writing to a String does not fail.
        let _ = writeln!(content, "q 1 1 1 1 K {MARK_WIDTH_PT} w");
        for (x, outwards) in [(left, -1.0), (right, 1.0)] {
            for y in [lower, upper] {
                let _ = writeln!(content, "{} {y} m {} {y} l S", x + near * outwards, x + far * outwards);
            }
        }
        for (y, outwards) in [(lower, -1.0), (upper, 1.0)] {
            for x in [left, right] {
                let _ = writeln!(content, "{x} {} m {x} {} l S", y + near * outwards, y + far * outwards);
            }
        }
        content.push_str("Q\n");
        content
    }
}

/// The sheet of a page, which it may have from its ancestors.
fn media_box(document: &Document, page: ObjectId) -> Result<[f32; 4], PdfError> {
    const MAX_DEPTH: usize = 40;
    const NO_SIZE: PdfError = PdfError::Unreadable("a page has no size");
    let mut at = document.get_dictionary(page).map_err(|_| NO_SIZE)?;
    for _ in 0..MAX_DEPTH {
        if let Ok(Object::Array(sides)) = at.get_deref(b"MediaBox", document) {
            let sides: Vec<f32> = sides.iter().filter_map(|side| side.as_float().ok()).collect();
            return <[f32; 4]>::try_from(sides).map_err(|_| NO_SIZE);
        }
        match member(document, at, b"Parent") {
            Some(parent) => at = parent,
            None => break,
        }
    }
    Err(NO_SIZE)
}

fn numbers(sides: [f32; 4]) -> Object {
    Object::Array(sides.into_iter().map(Object::Real).collect())
}

fn hundredths(points: f32) -> i64 {
    #[expect(clippy::cast_possible_truncation, reason = "a page has at most 14,400 points on a side")]
    let rounded = (points * 100.0).round() as i64;
    rounded
}
