//! A box of a known size on a page of a print: whether the browser printed it in that size.

use lopdf::content::Content;
use lopdf::{Document, Object, ObjectId};

/// How far off a side may be, in points: above what numbers are rounded by, and less than anybody sees.
const TOLERANCE_PT: f32 = 0.01;
/// The longest description of a page that has nothing but a box.
const MAX_BYTES: usize = 64 * 1024;

/// A filled box on a page of its own, at the end of a print.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ruler<'a> {
    /// The named destination at which its page begins.
    pub mark: &'a str,
    /// From left to right, in points of 1/72 inch.
    pub width_pt: f32,
    /// From top to bottom.
    pub height_pt: f32,
}

/// Whether the page has a filled rectangle of that size.
pub(crate) fn is_true(ruler: Ruler<'_>, document: &Document, page: ObjectId) -> bool {
    let drawn = boxes(document, page).unwrap_or_default();
    drawn.iter().any(|[width, height]| (width - ruler.width_pt).abs() <= TOLERANCE_PT && (height - ruler.height_pt).abs() <= TOLERANCE_PT)
}

/// The sizes of the rectangles of a page, in points.
fn boxes(document: &Document, page: ObjectId) -> Option<Vec<[f32; 2]>> {
    let content = document.get_page_content_with_limit(page, MAX_BYTES).ok()?;
    let content = Content::decode(&content).ok()?;
    let (mut scale, mut saved, mut found) = ([1.0, 1.0], Vec::new(), Vec::new());
    for operation in content.operations {
        let numbers: Vec<f32> = operation.operands.iter().filter_map(|operand| Object::as_float(operand).ok()).collect();
        match (operation.operator.as_str(), numbers.as_slice()) {
            ("q", _) => saved.push(scale),
            ("Q", _) => scale = saved.pop()?,
            // Nothing is turned on this page.
            ("cm", [across, 0.0, 0.0, along, _, _]) => scale = [scale[0] * across, scale[1] * along],
            ("cm", _) => return None,
            ("re", [_, _, width, height]) => found.push([(width * scale[0]).abs(), (height * scale[1]).abs()]),
            _ => {}
        }
    }
    Some(found)
}
