//! `slot`: where a layout takes in the content of the documents that use it.

use expressions::Scope;

use super::tree::Tree;
use super::{Content, NODE, Node, write_all};
use crate::bindings::Uses;
use crate::definition::Kind;
use crate::error::DocumentError;
use crate::fields::Fields;
use crate::html_slots::MAIN;
use crate::shapes::{Property, Shape, Takes};
use crate::style::Style;
use crate::writer::Writer;

/// `{name?, children?}`; the children stand there where nothing fills it. `of` names the layout once it is filled.
#[derive(Debug)]
pub(crate) struct Slot {
    children: Vec<Node>,
}

pub(crate) static SHAPE: Shape = Shape {
    what: "slot",
    base: NODE,
    properties: &[
        Property::optional("name", Takes::Plain, "`main`", "Which slot of a layout; `main` takes the content."),
        Property::optional("children", Takes::Nodes, "none", "What stands there where nothing fills it."),
        Property::internal("of"),
    ],
};

pub(crate) fn read(tree: &mut Tree, fields: &mut Fields<'_, '_>) -> Option<Content> {
    let name = fields.string("name").unwrap_or(MAIN);
    if name.is_empty() || name.len() > 64 || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')) {
        fields.refuse("name", "\"name\" is no name of a slot; accepted: 1 to 64 letters, digits, \"-\" and \"_\"");
    }
    if fields.value("of").is_some() {
        return Some(Content::Slot(Slot { children: tree.foreign_children(fields, "children") }));
    }
    if tree.kind != Kind::Layout {
        fields.refuse("type", &format!("a {} has no slots; they are for templates of kind \"layout\"", tree.kind.as_str()));
        fields.value("children");
        return None;
    }
    if !tree.slots.insert(name.into()) {
        fields.refuse("name", &format!("there is more than one slot \"{name}\""));
    }
    Some(Content::Slot(Slot { children: tree.children(fields, "children") }))
}

impl Slot {
    pub(crate) fn uses<'w>(&'w self, uses: &mut Uses<'w>) {
        uses.nodes(&self.children);
    }

    pub(crate) fn write_html<'w>(&'w self, style: &Style, writer: &mut Writer<'w>, scope: &Scope<'_>) -> Result<(), DocumentError> {
        if style.0.is_empty() {
            return write_all(&self.children, writer, scope);
        }
        writer.open("div", "", style);
        write_all(&self.children, writer, scope)?;
        writer.push("</div>");
        Ok(())
    }
}
