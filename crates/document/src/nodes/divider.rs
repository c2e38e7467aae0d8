//! `divider`: a line across the column.

use super::tree::Tree;
use super::{Content, NODE};
use crate::error::DocumentError;
use crate::fields::Fields;
use crate::shapes::{Property, Shape, Takes};
use crate::style::{Style, color, length};
use crate::writer::Writer;

/// `{line?, thickness?, color?, width?}`
#[derive(Debug)]
pub(crate) struct Divider {
    css: Box<str>,
}

pub(crate) static SHAPE: Shape = Shape {
    what: "divider",
    base: NODE,
    properties: &[
        Property::optional("line", Takes::Words(&["solid", "dashed", "dotted", "double"]), "`solid`", "How the line is drawn."),
        Property::optional("thickness", Takes::Length, "`0.75pt`", "Height of the line."),
        Property::optional("color", Takes::Color, "`var(--divider, #c4c9d0)`", "Colour of the line."),
        Property::optional("width", Takes::Length, "that of the column", "Length of the line."),
    ],
};

#[expect(clippy::unnecessary_wraps, reason = "the signature every kind has")]
pub(crate) fn read(_: &mut Tree, fields: &mut Fields<'_, '_>) -> Option<Content> {
    let lines = [("solid", "solid"), ("dashed", "dashed"), ("dotted", "dotted"), ("double", "double")];
    let line = fields.choice("line", &lines).unwrap_or("solid");
    let thickness = fields.checked("thickness", length).unwrap_or_else(|| "0.75pt".into());
    let color = fields.checked("color", color).unwrap_or_else(|| "var(--divider,#c4c9d0)".into());
    let width = fields.checked("width", length).map(|width| format!(";width:{width}")).unwrap_or_default();
    Some(Content::Divider(Divider { css: format!("border-top:{thickness} {line} {color}{width}").into() }))
}

impl Divider {
    #[expect(clippy::unnecessary_wraps, reason = "the signature every kind has")]
    pub(crate) fn write_html(&self, style: &Style, writer: &mut Writer<'_>) -> Result<(), DocumentError> {
        writer.open_with("hr", "", style, &self.css);
        Ok(())
    }
}
