//! Codes for machines to read: `qr`, `barcode`.

use super::options::shown;
use super::{Act, Helper, Invocation};
use crate::barcodes::{self, BarcodeOptions, Caption, ErrorCorrection, QuietZone, Symbology};
use crate::error::ExpressionError;
use crate::value::{Evaluated, Markup, View};

pub(super) const HELPERS: &[Helper] = &[
    Helper { name: "qr", min_args: 1, max_args: 1, options: Some(&["size", "level", "quiet"]), act: Act::Value(qr) },
    Helper {
        name: "barcode",
        min_args: 2,
        max_args: 2,
        options: Some(&["width", "height", "text", "quiet", "level"]),
        act: Act::Value(barcode),
    },
];

/// Steps for the smallest code and for each character. Measured are 175 µs for the QR code of a link and 11 ms for one of 2,300
/// characters, which leaves room for a thousand labels or for 30 of the largest codes in the default budget, and is over in 0.3 s.
const STEPS_FOR_SQUARES: (u64, u64) = (500, 30);
/// The same of bars, of which a code of 15 characters takes 14 µs.
const STEPS_FOR_BARS: (u64, u64) = (100, 10);
/// Millimetres that can be asked for: the longest side of A0 is 1,189.
const MAX_MM: u32 = 1_200;

fn qr<'s>(call: &mut Invocation<'_, '_, '_, 's>) -> Result<Evaluated<'s>, ExpressionError> {
    let width_mm = call.option_measure("size", MAX_MM)?;
    let options = BarcodeOptions { width_mm, ..common(call)? };
    drawn(call, Symbology::QrCode, &options)
}

fn barcode<'s>(call: &mut Invocation<'_, '_, '_, 's>) -> Result<Evaluated<'s>, ExpressionError> {
    let kind = call.arg(1)?;
    let known = match kind.view() {
        View::Text(text) => Symbology::NAMES.iter().find(|(name, _)| *name == text),
        _ => None,
    };
    let Some((_, symbology)) = known else {
        let names = Symbology::NAMES.map(|(name, _)| format!("\"{name}\"")).join(", ");
        return Err(call.wrong(format!("`barcode` needs one of {names} as its 2nd argument, not {}", shown(kind.view()))));
    };
    let caption = if call.option_flag("text", true)? { Caption::Shown } else { Caption::Hidden };
    let (width_mm, height_mm) = (call.option_measure("width", MAX_MM)?, call.option_measure("height", MAX_MM)?);
    let options = BarcodeOptions { width_mm, height_mm, caption, ..common(call)? };
    drawn(call, *symbology, &options)
}

fn common(call: &mut Invocation<'_, '_, '_, '_>) -> Result<BarcodeOptions, ExpressionError> {
    let quiet_zone = if call.option_flag("quiet", true)? { QuietZone::Standard } else { QuietZone::Omitted };
    let error_correction = call.option_choice("level", &ErrorCorrection::NAMES)?;
    Ok(BarcodeOptions { quiet_zone, error_correction, ..BarcodeOptions::default() })
}

fn drawn<'s>(
    call: &mut Invocation<'_, '_, '_, 's>,
    symbology: Symbology,
    options: &BarcodeOptions,
) -> Result<Evaluated<'s>, ExpressionError> {
    let Some(content) = call.text(0)? else { return Ok(Evaluated::Undefined) };
    // Longer ones are refused before they are encoded.
    let length = u64::try_from(content.len().min(10_000)).unwrap_or(u64::MAX);
    let (least, per_character) = match symbology {
        Symbology::Code128 | Symbology::Ean13 => STEPS_FOR_BARS,
        Symbology::QrCode | Symbology::DataMatrix | Symbology::Pdf417 => STEPS_FOR_SQUARES,
    };
    call.charge(least + per_character * length)?;
    let html = barcodes::svg(symbology, &content, options).map_err(|error| call.wrong(format!("`{}`: {error}", call.call.name)))?;
    Ok(Evaluated::Markup(Box::new(Markup { html, text: None })))
}
