//! `list`: entries with bullets or numbers, written by the author or made from data, also inside each other.

use expressions::Scope;
use serde_json::Value;

use super::tree::Tree;
use super::{Content, Member, NODE, Node, members, write_all};
use crate::bindings::Uses;
use crate::error::DocumentError;
use crate::fields::{Fields, Formula, Text};
use crate::shapes::{Property, Shape, Takes, words};
use crate::style::Style;
use crate::writer::Writer;

/// `{entries: [{content, children?}]}` or `{items, content?, nested?, children?}`, both with `ordered?`, `marker?` and `start?`.
#[derive(Debug)]
pub(crate) struct List {
    tag: &'static str,
    /// `list-style-type`, or nothing.
    marker: Box<str>,
    /// ` start="3"`, or nothing.
    start: Box<str>,
    entries: Entries,
    empty_text: Option<Text>,
}

#[derive(Debug)]
enum Entries {
    Written(Vec<(Text, Vec<Node>)>),
    FromData(Box<FromData>),
}

#[derive(Debug)]
struct FromData {
    items: Formula,
    content: Text,
    nested: Option<Formula>,
    children: Vec<Node>,
}

/// Levels of lists that data makes inside each other; no reader follows more.
const MAX_LEVELS: usize = 10;

const MARKERS: [(&str, &str); 9] = [
    ("disc", "disc"),
    ("circle", "circle"),
    ("square", "square"),
    ("none", "none"),
    ("decimal", "decimal"),
    ("lower-alpha", "lower-alpha"),
    ("upper-alpha", "upper-alpha"),
    ("lower-roman", "lower-roman"),
    ("upper-roman", "upper-roman"),
];

static ENTRY: Shape = Shape {
    what: "an entry",
    base: &[],
    properties: &[
        Property::required("content", Takes::Text, "Its line."),
        Property::optional("children", Takes::Nodes, "none", "What stands below the line; another `list` for entries inside the entry."),
    ],
};

pub(crate) static SHAPE: Shape = Shape {
    what: "list",
    base: NODE,
    properties: &[
        Property::optional("items", Takes::Expression, "", "A list, or an object whose values are the entries. Either this or `entries`."),
        Property::optional("content", Takes::Text, "`{{this}}`", "The line of an item, which is `this`."),
        Property::optional("nested", Takes::Expression, "", "The list inside an item, written the same way, up to 10 levels deep."),
        Property::optional("children", Takes::Nodes, "none", "What stands below the line of each item."),
        Property::optional("entries", Takes::List(&ENTRY), "", "Entries of the author, in place of `items`."),
        Property::optional("ordered", Takes::Flag, "`false`", "Whether entries are counted."),
        Property::optional(
            "marker",
            Takes::Words(&words(&MARKERS)),
            "`disc`, or `decimal` where `ordered`",
            "What stands in front of an entry.",
        ),
        Property::optional("start", Takes::Whole(0, 1_000_000), "`1`", "Number of the first entry."),
        Property::optional("emptyText", Takes::Text, "", "A line for an empty list."),
    ],
};

pub(crate) fn read(tree: &mut Tree, fields: &mut Fields<'_, '_>) -> Option<Content> {
    let tag = if fields.flag("ordered").unwrap_or(false) { "ol" } else { "ul" };
    let marker = fields.choice("marker", &MARKERS).map(|marker| format!("list-style-type:{marker}")).unwrap_or_default().into();
    let start = fields.whole("start").map(|start| format!(" start=\"{start}\"")).unwrap_or_default().into();
    let empty_text = fields.text(&["emptyText"]);
    let entries = if fields.value("entries").is_some() {
        let written = fields.each("entries", |entry| {
            let content = entry.required_text(&["content"]);
            let children = tree.children(entry, "children");
            Some((content?, children))
        });
        for name in ["items", "content", "nested", "children"] {
            if fields.value(name).is_some() {
                fields.refuse(name, &format!("\"{name}\" is for entries from data; a list has \"items\" or \"entries\", not both"));
            }
        }
        Some(Entries::Written(written))
    } else {
        let items = fields.required_formula(&["items"]);
        let (content, nested) = (fields.text_or("content", "{{this}}"), fields.formula(&["nested"]));
        let children = tree.children(fields, "children");
        items.zip(content).map(|(items, content)| Entries::FromData(Box::new(FromData { items, content, nested, children })))
    };
    Some(Content::List(List { tag, marker, start, entries: entries?, empty_text }))
}

impl List {
    pub(crate) fn uses<'w>(&'w self, uses: &mut Uses<'w>) {
        match &self.entries {
            Entries::Written(entries) => {
                for (content, children) in entries {
                    uses.text(content);
                    uses.nodes(children);
                }
            }
            Entries::FromData(from) => {
                uses.formula(&from.items);
                uses.each(&from.items, None, |uses| {
                    uses.text(&from.content);
                    if let Some(nested) = &from.nested {
                        uses.formula(nested);
                    }
                    uses.nodes(&from.children);
                });
            }
        }
        self.empty_text.iter().for_each(|text| uses.text(text));
    }

    pub(crate) fn write_html<'w>(&'w self, style: &Style, writer: &mut Writer<'w>, scope: &Scope<'_>) -> Result<(), DocumentError> {
        match &self.entries {
            Entries::Written(entries) => {
                self.open(style, writer);
                for (content, children) in entries {
                    writer.push("<li>");
                    writer.text(content, scope)?;
                    write_all(children, writer, scope)?;
                    writer.push("</li>");
                }
                writer.close(self.tag);
                Ok(())
            }
            Entries::FromData(from) => {
                let Some(found) = writer.evaluate(&from.items, scope)? else { return Ok(()) };
                let value = found.as_value();
                let items = members(value.as_deref(), writer)?;
                if items.is_none() {
                    writer.note_missing_collection(&from.items, value.as_deref());
                }
                let items = items.unwrap_or_default();
                if items.is_empty() {
                    writer.rehearse(|writer| self.item(writer, &scope.item(&Value::Null, 0, 1, None, None), 1))?;
                    return writer.text_in("<p class=\"empty\">", self.empty_text.as_ref(), "</p>", scope);
                }
                self.items(style, &items, writer, scope, 1)
            }
        }
    }

    fn open(&self, style: &Style, writer: &mut Writer<'_>) {
        writer.open_tag(self.tag, &self.start, style, &self.marker);
    }

    fn items<'w>(
        &'w self,
        style: &Style,
        items: &[Member<'_>],
        writer: &mut Writer<'w>,
        scope: &Scope<'_>,
        level: usize,
    ) -> Result<(), DocumentError> {
        if items.is_empty() {
            return Ok(());
        }
        if level > MAX_LEVELS {
            writer.warn("list_depth", format!("a list is nested deeper than {MAX_LEVELS} levels; what is deeper was left out"));
            return Ok(());
        }
        self.open(style, writer);
        for (index, (key, item)) in items.iter().enumerate() {
            self.item(writer, &scope.item(item, index, items.len(), *key, None), level)?;
            writer.check_size()?;
        }
        writer.close(self.tag);
        Ok(())
    }

    fn item<'w>(&'w self, writer: &mut Writer<'w>, scope: &Scope<'_>, level: usize) -> Result<(), DocumentError> {
        let Entries::FromData(from) = &self.entries else { return Ok(()) };
        let FromData { content, nested, children, .. } = &**from;
        writer.push("<li>");
        writer.text(content, scope)?;
        write_all(children, writer, scope)?;
        if let Some(nested) = nested
            && let Some(found) = writer.evaluate(nested, scope)?
        {
            let value = found.as_value();
            let items = members(value.as_deref(), writer)?.unwrap_or_default();
            self.items(&Style::default(), &items, writer, scope, level + 1)?;
        }
        writer.push("</li>");
        Ok(())
    }
}
