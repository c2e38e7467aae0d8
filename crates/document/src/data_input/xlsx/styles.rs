//! Of the styles of a workbook what makes dates of numbers, and nothing else.

use roxmltree::{Document, Node, ParsingOptions};

use crate::data_input::meter::Meter;
use crate::error::DocumentError;

/// Bytes of the part; a workbook with many styles has one.
const BYTES: usize = 16 * 1024 * 1024;
/// Formats of cells that a spreadsheet can have.
const FORMATS: usize = 65_536;
/// Characters of a number format that a spreadsheet can have.
const FORMAT_CHARS: usize = 255;

/// The part with the number formats alone.
pub fn formats_alone(text: &str, meter: &Meter<'_>) -> Result<Vec<u8>, DocumentError> {
    if text.len() > BYTES {
        return Err(meter.too_large(format!("has styles of {} bytes; they may have {BYTES}", text.len())));
    }
    let parsing = ParsingOptions { allow_dtd: false, ..ParsingOptions::default() };
    let document =
        Document::parse_with_options(text, parsing).map_err(|error| meter.invalid(format!("its styles cannot be read: {error}")))?;
    let within = |list: &'static str, entry: &'static str| {
        let lists = document.root_element().children().filter(move |node| node.tag_name().name() == list);
        lists.flat_map(|list| list.children()).filter(move |node| node.tag_name().name() == entry)
    };
    if within("cellXfs", "xf").count().max(within("numFmts", "numFmt").count()) > FORMATS {
        return Err(meter.too_large(format!("has more than {FORMATS} formats of cells")));
    }
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?><styleSheet><numFmts>");
    for format in within("numFmts", "numFmt") {
        let code: String = format.attribute("formatCode").unwrap_or_default().chars().take(FORMAT_CHARS).collect();
        out.extend(["<numFmt numFmtId=\"", &id_of(&format).to_string(), "\" formatCode=\"", &escaped(&code), "\"/>"]);
    }
    out.push_str("</numFmts><cellXfs>");
    for format in within("cellXfs", "xf") {
        out.extend(["<xf numFmtId=\"", &id_of(&format).to_string(), "\"/>"]);
    }
    out.push_str("</cellXfs></styleSheet>");
    Ok(out.into_bytes())
}

fn id_of(format: &Node<'_, '_>) -> u32 {
    format.attribute("numFmtId").and_then(|id| id.trim().parse().ok()).unwrap_or(0)
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}
