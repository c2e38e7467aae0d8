//! `barcode`: a code for machines to read, with its content in letters below where the kind has them.

use expressions::Scope;
use expressions::barcodes::{self, BarcodeOptions, Caption, ErrorCorrection, QuietZone, Symbology};

use super::tree::Tree;
use super::{Content, NODE};
use crate::bindings::Uses;
use crate::error::DocumentError;
use crate::fields::{Fields, Text};
use crate::shapes::{Property, Shape, Takes, words};
use crate::style::Style;
use crate::writer::Writer;

/// `{symbology?, value, width?, height?, quietZone?, caption?, errorCorrection?}`
#[derive(Debug)]
pub(crate) struct Barcode {
    symbology: Symbology,
    value: Text,
    options: BarcodeOptions,
}

/// Steps per character of the content and for the smallest code: those of the helpers for codes and some more, whatever the kind.
const STEPS_PER_CHARACTER: u64 = 40;
const STEPS: u64 = 2_000;
/// Characters after which the work does not grow: longer contents are refused before they are drawn.
const MAX_CHARGED: usize = 10_000;

pub(crate) static SHAPE: Shape = Shape {
    what: "barcode",
    base: NODE,
    properties: &[
        Property::required("value", Takes::Text, "What the code holds; nothing is drawn where it is empty."),
        Property::optional("symbology", Takes::Words(&words(&Symbology::NAMES)), "`qr`", "The kind of code."),
        Property::optional("width", Takes::Number(5.0, 1_000.0), "bars of 0.33, squares of 0.5", "Width of the whole code in millimetres."),
        Property::optional("height", Takes::Number(2.0, 1_000.0), "`15`", "Height of the bars of `code128` and `ean13` in millimetres."),
        Property::optional("caption", Takes::Flag, "`true`", "Whether the content stands below `code128` and `ean13`."),
        Property::optional("quietZone", Takes::Flag, "`true`", "Whether the clear space that readers need is part of the picture."),
        Property::optional(
            "errorCorrection",
            Takes::Words(&words(&ErrorCorrection::NAMES)),
            "`M`",
            "How much of a `qr` code may be damaged: 7, 15, 25 or 30 per cent.",
        ),
    ],
};

pub(crate) fn read(_: &mut Tree, fields: &mut Fields<'_, '_>) -> Option<Content> {
    let value = fields.required_text(&["value"]);
    let symbology = fields.choice("symbology", &Symbology::NAMES).unwrap_or(Symbology::QrCode);
    let options = BarcodeOptions {
        width_mm: fields.number("width"),
        height_mm: fields.number("height"),
        quiet_zone: if fields.flag("quietZone").unwrap_or(true) { QuietZone::Standard } else { QuietZone::Omitted },
        caption: if fields.flag("caption").unwrap_or(true) { Caption::Shown } else { Caption::Hidden },
        error_correction: fields.choice("errorCorrection", &ErrorCorrection::NAMES).unwrap_or_default(),
    };
    Some(Content::Barcode(Barcode { symbology, value: value?, options }))
}

impl Barcode {
    pub(crate) fn uses<'w>(&'w self, uses: &mut Uses<'w>) {
        uses.text(&self.value);
    }

    pub(crate) fn write_html<'w>(&'w self, style: &Style, writer: &mut Writer<'w>, scope: &Scope<'_>) -> Result<(), DocumentError> {
        let value = writer.plain(&self.value, scope)?;
        let value = value.trim();
        // The missing binding is reported as such.
        if value.is_empty() {
            return Ok(());
        }
        let length = u64::try_from(value.len().min(MAX_CHARGED)).unwrap_or(u64::MAX);
        writer.charge(STEPS + STEPS_PER_CHARACTER * length)?;
        match barcodes::svg(self.symbology, value, &self.options) {
            Ok(svg) => {
                writer.open("div", "barcode", style);
                writer.push(&svg);
                writer.push("</div>");
                Ok(())
            }
            Err(error) => writer.refuse_value(&self.value.property, error.to_string()),
        }
    }
}
