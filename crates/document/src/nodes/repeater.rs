//! `repeater`: its children once for every item of a collection.

use expressions::Scope;
use serde_json::Value;

use super::tree::Tree;
use super::{Content, NODE, Node, members, write_all};
use crate::bindings::Uses;
use crate::error::DocumentError;
use crate::fields::{Fields, Formula, Text};
use crate::shapes::{Property, Shape, Takes};
use crate::writer::Writer;

/// `{items, as?, children, emptyText?}`; inside, the item is `this`, `{{as}}` names it too, and `@index` counts.
#[derive(Debug)]
pub(crate) struct Repeater {
    items: Formula,
    name: Option<Box<str>>,
    children: Vec<Node>,
    empty_text: Option<Text>,
}

pub(crate) static SHAPE: Shape = Shape {
    what: "repeater",
    base: NODE,
    properties: &[
        Property::required("items", Takes::Expression, "A list, or an object whose values are gone over.").also(&["path"]),
        Property::optional("as", Takes::Plain, "", "A name for the item, beside `this`."),
        Property::optional(
            "children",
            Takes::Nodes,
            "none",
            "Written once for every item; `@index`, `@key`, `@first` and `@last` are known.",
        ),
        Property::optional("emptyText", Takes::Text, "", "A line for an empty list."),
    ],
};

pub(crate) fn read(tree: &mut Tree, fields: &mut Fields<'_, '_>) -> Option<Content> {
    let items = fields.required_formula(&["items", "path"]);
    let name = fields.string("as");
    if name.is_some_and(|name| !is_name(name)) {
        fields.refuse("as", "\"as\" is no name; accepted: letters, digits and \"_\", beginning with a letter");
    }
    let empty_text = fields.text(&["emptyText"]);
    let children = tree.children(fields, "children");
    Some(Content::Repeater(Repeater { items: items?, name: name.map(Into::into), children, empty_text }))
}

fn is_name(text: &str) -> bool {
    text.len() <= 64
        && text.bytes().next().is_some_and(|first| first.is_ascii_alphabetic())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

impl Repeater {
    pub(crate) fn uses<'w>(&'w self, uses: &mut Uses<'w>) {
        uses.formula(&self.items);
        uses.each(&self.items, self.name.as_deref(), |uses| uses.nodes(&self.children));
        self.empty_text.iter().for_each(|text| uses.text(text));
    }

    pub(crate) fn write_html<'w>(&'w self, writer: &mut Writer<'w>, scope: &Scope<'_>) -> Result<(), DocumentError> {
        let Some(found) = writer.evaluate(&self.items, scope)? else { return Ok(()) };
        let value = found.as_value();
        let items = members(value.as_deref(), writer)?;
        if items.is_none() {
            writer.note_missing_collection(&self.items, value.as_deref());
        }
        let items = items.unwrap_or_default();
        if items.is_empty() {
            writer.rehearse(|writer| write_all(&self.children, writer, &scope.item(&Value::Null, 0, 1, None, self.name.as_deref())))?;
            return writer.text_in("<p class=\"empty\">", self.empty_text.as_ref(), "</p>", scope);
        }
        for (index, (key, item)) in items.iter().enumerate() {
            let inner = scope.item(item, index, items.len(), *key, self.name.as_deref());
            write_all(&self.children, writer, &inner)?;
        }
        Ok(())
    }
}
