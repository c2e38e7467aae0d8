//! `section`: groups nodes under an optional title.

use expressions::Scope;

use super::tree::Tree;
use super::{Content, NODE, Node, write_all};
use crate::bindings::Uses;
use crate::error::DocumentError;
use crate::fields::{Fields, Text};
use crate::shapes::{Property, Shape, Takes};
use crate::style::Style;
use crate::writer::Writer;

/// `{title?, children}`
#[derive(Debug)]
pub(crate) struct Section {
    title: Option<Text>,
    children: Vec<Node>,
}

pub(crate) static SHAPE: Shape = Shape {
    what: "section",
    base: NODE,
    properties: &[
        Property::optional("title", Takes::Text, "", "A heading of level 2 above; it also names the section in messages."),
        Property::optional("children", Takes::Nodes, "none", "What stands in it."),
    ],
};

#[expect(clippy::unnecessary_wraps, reason = "the signature every kind has")]
pub(crate) fn read(tree: &mut Tree, fields: &mut Fields<'_, '_>) -> Option<Content> {
    Some(Content::Section(Section { title: fields.text(&["title"]), children: tree.children(fields, "children") }))
}

impl Section {
    pub(crate) fn uses<'w>(&'w self, uses: &mut Uses<'w>) {
        self.title.iter().for_each(|title| uses.text(title));
        uses.nodes(&self.children);
    }

    pub(crate) fn write_html<'w>(&'w self, style: &Style, writer: &mut Writer<'w>, scope: &Scope<'_>) -> Result<(), DocumentError> {
        writer.open("section", "", style);
        if let Some(title) = &self.title {
            let from = writer.open_heading("h2", &Style::default());
            writer.text(title, scope)?;
            writer.close_heading("h2", from)?;
        }
        write_all(&self.children, writer, scope)?;
        writer.push("</section>");
        Ok(())
    }
}
