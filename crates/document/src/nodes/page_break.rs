//! `pageBreak`: what follows begins on a new page.

use super::tree::Tree;
use super::{Content, NODE};
use crate::error::DocumentError;
use crate::fields::Fields;
use crate::shapes::Shape;
use crate::writer::Writer;

pub(crate) static SHAPE: Shape = Shape { what: "pageBreak", base: NODE, properties: &[] };

#[expect(clippy::unnecessary_wraps, reason = "the signature every kind has")]
pub(crate) fn read(_: &mut Tree, _: &mut Fields<'_, '_>) -> Option<Content> {
    Some(Content::PageBreak)
}

#[expect(clippy::unnecessary_wraps, reason = "the signature every kind has")]
pub(crate) fn write_html(writer: &mut Writer<'_>) -> Result<(), DocumentError> {
    writer.push("<div class=\"page-break\"></div>");
    Ok(())
}
