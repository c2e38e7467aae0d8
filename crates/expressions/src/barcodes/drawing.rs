//! Modules to SVG.

use std::fmt::Write as _;

use super::symbols::Symbol;
use super::{BarcodeOptions, Caption, QuietZone, Symbology};
use crate::escape::push_escaped;

/// Characters of the content that the picture's description repeats.
const MAX_LABEL_CHARACTERS: usize = 80;
/// Of the letters below bars, in modules.
const LETTER_SIZE: f64 = 9.0;
const CAPTION_HEIGHT: f64 = 11.0;
const DEFAULT_BAR_HEIGHT_MM: f64 = 15.0;

/// What a code of this kind looks like where nobody says otherwise.
struct Look {
    module_mm: f64,
    /// Clear modules on each side, as the standards of the codes ask for.
    quiet: u16,
}

fn look(symbology: Symbology) -> Look {
    match symbology {
        Symbology::QrCode => Look { module_mm: 0.5, quiet: 4 },
        Symbology::DataMatrix => Look { module_mm: 0.5, quiet: 1 },
        Symbology::Code128 => Look { module_mm: 0.33, quiet: 10 },
        Symbology::Ean13 => Look { module_mm: 0.33, quiet: 11 },
        Symbology::Pdf417 => Look { module_mm: 0.33, quiet: 2 },
    }
}

pub(super) fn drawn(symbol: &Symbol, symbology: Symbology, options: &BarcodeOptions) -> String {
    let look = look(symbology);
    let quiet = if options.quiet_zone == QuietZone::Standard { f64::from(look.quiet) } else { 0.0 };
    let count = |found: usize| f64::from(u16::try_from(found).unwrap_or(u16::MAX));
    let width = count(symbol.rows.first().map_or(0, Vec::len)) + 2.0 * quiet;
    let module_mm = options.width_mm.map_or(look.module_mm, |millimetres| millimetres / width);
    let has_caption = symbology.is_linear() && options.caption == Caption::Shown;
    let row_height = if symbology.is_linear() { options.height_mm.unwrap_or(DEFAULT_BAR_HEIGHT_MM) / module_mm } else { 1.0 };
    // Bars need clear space at their sides alone.
    let above = if symbology.is_linear() { 0.0 } else { quiet };
    let bars = count(symbol.rows.len()) * row_height;
    let height = bars + 2.0 * above + if has_caption { CAPTION_HEIGHT } else { 0.0 };

    let mut out = String::from("<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"barcode\" role=\"img\" aria-label=\"");
    let _ = write!(out, "{symbology}: ");
    let label: String = symbol.caption.chars().take(MAX_LABEL_CHARACTERS).collect();
    push_escaped(&label, &mut out);
    let (width_mm, height_mm) = (short(width * module_mm), short(height * module_mm));
    // Writing to a String does not fail.
    let _ = write!(
        out,
        "\" width=\"{width_mm}mm\" height=\"{height_mm}mm\" viewBox=\"0 0 {} {}\" shape-rendering=\"crispEdges\">\
         <path fill=\"#fff\" d=\"M0 0h{0}v{1}h-{0}z\"/><path d=\"",
        short(width),
        short(height)
    );
    for (y, row) in symbol.rows.iter().enumerate() {
        let y = above + count(y) * row_height;
        let mut x = 0;
        for run in row.chunk_by(|a, b| a == b) {
            if run[0] {
                let (from, wide) = (quiet + count(x), run.len());
                let _ = write!(out, "M{} {}h{wide}v{}h-{wide}z", short(from), short(y), short(row_height));
            }
            x += run.len();
        }
    }
    out.push_str("\"/>");
    if has_caption {
        let _ = write!(
            out,
            "<text x=\"{}\" y=\"{}\" font-family=\"Liberation Mono,Noto Sans Mono,monospace\" font-size=\"{LETTER_SIZE}\" \
             text-anchor=\"middle\" xml:space=\"preserve\">",
            short(width / 2.0),
            short(bars + LETTER_SIZE)
        );
        push_escaped(&symbol.caption, &mut out);
        out.push_str("</text>");
    }
    out.push_str("</svg>");
    out
}

/// To thousandths: finer than any printer.
fn short(number: f64) -> f64 {
    (number * 1_000.0).round() / 1_000.0
}
