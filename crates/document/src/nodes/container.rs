//! `container`: a box around nodes, for a common look, width or place.

use expressions::Scope;

use super::tree::Tree;
use super::{Content, NODE, Node, write_all};
use crate::bindings::Uses;
use crate::error::DocumentError;
use crate::fields::Fields;
use crate::shapes::{Property, Shape, Takes};
use crate::style::{Style, length};
use crate::writer::Writer;

/// `{children, width?, height?, place?}`
#[derive(Debug)]
pub(crate) struct Container {
    /// Its width, height and margins.
    layout: Box<str>,
    children: Vec<Node>,
}

pub(crate) static SHAPE: Shape = Shape {
    what: "container",
    base: NODE,
    properties: &[
        Property::optional("children", Takes::Nodes, "none", "What stands in it."),
        Property::optional("width", Takes::Length, "that of the column", "Width of the box."),
        Property::optional("height", Takes::Length, "that of its content", "Height of the box; it grows where its content needs more."),
        Property::optional("place", Takes::Words(&["start", "center", "end"]), "`start`", "Where a box with a `width` stands in its line."),
    ],
};

#[expect(clippy::unnecessary_wraps, reason = "the signature every kind has")]
pub(crate) fn read(tree: &mut Tree, fields: &mut Fields<'_, '_>) -> Option<Content> {
    let width = fields.checked("width", length);
    let places = [("start", ""), ("center", "margin-inline:auto"), ("end", "margin-inline-start:auto")];
    let place = fields.choice("place", &places).unwrap_or_default();
    let height = fields.checked("height", length);
    let mut layout = width.map_or_else(String::new, |width| format!("width:{width};{place};"));
    if let Some(height) = height {
        // Beneath the edge of a box with padding, so that `height` is what is measured on paper.
        layout.push_str("box-sizing:border-box;min-height:");
        layout.push_str(&height);
    }
    let children = tree.children(fields, "children");
    Some(Content::Container(Container { layout: layout.trim_end_matches(';').into(), children }))
}

impl Container {
    pub(crate) fn uses<'w>(&'w self, uses: &mut Uses<'w>) {
        uses.nodes(&self.children);
    }

    pub(crate) fn write_html<'w>(&'w self, style: &Style, writer: &mut Writer<'w>, scope: &Scope<'_>) -> Result<(), DocumentError> {
        writer.open_with("div", "container", style, &self.layout);
        write_all(&self.children, writer, scope)?;
        writer.push("</div>");
        Ok(())
    }
}
