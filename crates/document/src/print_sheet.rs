//! The sheet that a page is cut out of, where it is larger than the page: bleed on each side, and room for crop marks.

use domain::paper::Length;
use domain::print_production::{CropMarks, PrintProduction};

/// Where crop marks begin at least, away from the page: a cut that is not exact shows no line.
const LEAST_OFFSET_MM: f64 = 2.0;
/// How long a crop mark is.
const MARK_LENGTH_MM: f64 = 5.0;
/// Between the end of a mark and the edge of the sheet.
const CLEAR_MM: f64 = 1.0;

/// The sheet of a page. All lengths are in millimetres.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PrintSheet {
    /// Width of the page once it is cut.
    pub width_mm: f64,
    /// Height of the page once it is cut.
    pub height_mm: f64,
    /// How far content may reach over each edge of the page.
    pub bleed_mm: f64,
    /// From each edge of the sheet to that of the page.
    pub around_mm: f64,
    /// Lines at the corners.
    pub marks: Option<PrintMarks>,
}

/// Crop marks. Both lengths are in millimetres.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PrintMarks {
    /// From the edge of the page to where a mark begins.
    pub offset_mm: f64,
    /// From there to its end.
    pub length_mm: f64,
}

impl PrintSheet {
    pub(crate) fn of(production: PrintProduction, (width_mm, height_mm): (f64, f64)) -> Self {
        let bleed_mm = production.bleed.mm();
        let offset_mm = bleed_mm.max(LEAST_OFFSET_MM);
        let (around_mm, marks) = match production.crop_marks {
            CropMarks::No => (bleed_mm, None),
            CropMarks::Yes => (offset_mm + MARK_LENGTH_MM + CLEAR_MM, Some(PrintMarks { offset_mm, length_mm: MARK_LENGTH_MM })),
        };
        Self { width_mm, height_mm, bleed_mm, around_mm, marks }
    }

    /// Width and height of the sheet.
    pub(crate) fn size_mm(&self) -> (f64, f64) {
        (self.width_mm + 2.0 * self.around_mm, self.height_mm + 2.0 * self.around_mm)
    }

    /// The margins of pages whose own are these, from the upper one around. On the sides that `reaching` says, the area of the content
    /// begins with the bleed.
    pub(crate) fn margins(&self, own: [Length; 4], reaching: [bool; 4]) -> String {
        let side = |(own, reaches): (Length, bool)| own.mm() + self.around_mm - if reaches { self.bleed_mm } else { 0.0 };
        let sides = own.into_iter().zip(reaching).map(side).map(|side| thousandths(side).to_string() + "mm ");
        format!("margin:{}!important", sides.collect::<String>())
    }

    /// Lets the area of the content reach into the bleed on some sides, and the content begin where it would without: a browser cuts
    /// what leaves that area.
    pub(crate) fn reach_css(&self, reaching: [bool; 4]) -> String {
        let side = |reaches: bool| if reaches { thousandths(self.bleed_mm) } else { 0.0 };
        let [top, right, bottom, left] = reaching.map(side);
        let bleed = thousandths(self.bleed_mm);
        format!(
            ":root{{--bleed:{bleed}mm}}html{{padding:{top}mm {right}mm {bottom}mm {left}mm !important;box-decoration-break:clone!important}}"
        )
    }
}

/// Finer than any printer, and short in the sheet.
pub(crate) fn thousandths(mm: f64) -> f64 {
    (mm * 1000.0).round() / 1000.0
}
