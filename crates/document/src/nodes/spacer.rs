//! `spacer`: empty room of a given height.

use super::tree::Tree;
use super::{Content, NODE};
use crate::error::DocumentError;
use crate::fields::Fields;
use crate::shapes::{Property, Shape, Takes};
use crate::style::{Style, length};
use crate::writer::Writer;

/// `{height?}`
#[derive(Debug)]
pub(crate) struct Spacer {
    css: Box<str>,
}

pub(crate) static SHAPE: Shape =
    Shape { what: "spacer", base: NODE, properties: &[Property::optional("height", Takes::Length, "`5mm`", "How much room is left.")] };

#[expect(clippy::unnecessary_wraps, reason = "the signature every kind has")]
pub(crate) fn read(_: &mut Tree, fields: &mut Fields<'_, '_>) -> Option<Content> {
    let height = fields.checked("height", length).unwrap_or_else(|| "5mm".into());
    Some(Content::Spacer(Spacer { css: format!("height:{height}").into() }))
}

impl Spacer {
    #[expect(clippy::unnecessary_wraps, reason = "the signature every kind has")]
    pub(crate) fn write_html(&self, style: &Style, writer: &mut Writer<'_>) -> Result<(), DocumentError> {
        writer.open_with("div", "", style, &self.css);
        writer.push("</div>");
        Ok(())
    }
}
