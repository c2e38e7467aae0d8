//! The block tree: one file per kind of node, each with how it is read and how it is written as HTML.
//!
//! To add a kind: a file here with a struct, `read`, `write_html` and `uses`; a variant of [`Content`]; one line in [`KINDS`]
//! one in [`Node::write_html`] and one in [`Content::uses`]. Another format (CSV, XLSX) is another walk with its own match over [`Content`].

mod barcode;
mod chart;
mod columns;
mod component;
mod conditional;
mod container;
mod divider;
mod format;
mod heading;
mod html;
mod image;
mod list;
mod node_at;
mod page_break;
mod pivot_table;
#[cfg(test)]
mod refusals;
mod repeater;
mod rich_text;
mod section;
mod signature_field;
mod slot;
mod spacer;
mod table;
mod table_of_contents;
mod text;
mod total;
mod tree;

use expressions::Scope;

pub use node_at::node_at;
pub(crate) use table_of_contents::TableOfContents;
pub(crate) use tree::{Document, label, read_document};

use crate::bindings::Uses;
use crate::error::DocumentError;
use crate::fields::Fields;
use crate::shapes::{Property, Shape, Takes};
use crate::style::{self, Style};
use crate::writer::Writer;

/// One node of the tree.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) id: Box<str>,
    pub(crate) kind: &'static str,
    /// Its part of a breadcrumb, such as `Section 'Body'` or `Text 1`.
    pub(crate) label: Box<str>,
    pub(crate) style: Style,
    pub(crate) content: Content,
}

/// What a node is, by kind.
#[derive(Debug)]
pub(crate) enum Content {
    Chart(Box<chart::Chart>),
    PivotTable(Box<pivot_table::PivotTable>),
    TableOfContents(TableOfContents),
    Barcode(barcode::Barcode),
    Columns(columns::Columns),
    Container(container::Container),
    Divider(divider::Divider),
    Spacer(spacer::Spacer),
    List(list::List),
    RichText(rich_text::RichText),
    SignatureField(Box<signature_field::SignatureField>),
    Component(component::Component),
    Conditional(conditional::Conditional),
    Heading(heading::Heading),
    Html(html::Html),
    Image(image::Image),
    PageBreak,
    Repeater(repeater::Repeater),
    Section(section::Section),
    Slot(slot::Slot),
    Table(Box<table::Table>),
    Text(text::Paragraph),
}

/// Reads the properties of one kind; `None` where one that is needed is missing or wrong.
type Read = fn(&mut tree::Tree, &mut Fields<'_, '_>) -> Option<Content>;

/// What every node has.
pub(crate) const NODE: &[Property] = &[
    Property::required("type", Takes::Plain, "Which kind of node it is."),
    Property::required("id", Takes::Plain, "1 to 128 characters that no other node of the document has as its id."),
    Property::optional("style", Takes::Object(&style::SHAPE), "", "How it looks."),
];

/// The root of the tree.
pub(crate) static DOCUMENT: Shape = Shape {
    what: "document",
    base: NODE,
    properties: &[Property::required("children", Takes::Nodes, "The content from the first page to the last.")],
};

/// Every kind of node: its shape, which names it as `type` does, and its reader.
pub(crate) static KINDS: [(&Shape, Read); 22] = [
    (&section::SHAPE, section::read),
    (&heading::SHAPE, heading::read),
    (&text::SHAPE, text::read),
    (&table::SHAPE, table::read),
    (&image::SHAPE, image::read),
    (&columns::SHAPE, columns::read),
    (&page_break::SHAPE, page_break::read),
    (&conditional::SHAPE, conditional::read),
    (&repeater::SHAPE, repeater::read),
    (&html::SHAPE, html::read),
    (&container::SHAPE, container::read),
    (&divider::SHAPE, divider::read),
    (&spacer::SHAPE, spacer::read),
    (&list::SHAPE, list::read),
    (&rich_text::SHAPE, rich_text::read),
    (&signature_field::SHAPE, signature_field::read),
    (&chart::SHAPE, chart::read),
    (&pivot_table::SHAPE, pivot_table::read),
    (&table_of_contents::SHAPE, table_of_contents::read),
    (&barcode::SHAPE, barcode::read),
    (&component::SHAPE, component::read),
    (&slot::SHAPE, slot::read),
];

impl Content {
    /// Gathers the data it names.
    pub(crate) fn uses<'w>(&'w self, uses: &mut Uses<'w>) {
        match self {
            Self::Chart(chart) => chart.uses(uses),
            Self::PivotTable(table) => table.uses(uses),
            Self::TableOfContents(table) => table.uses(uses),
            Self::Barcode(code) => code.uses(uses),
            Self::Columns(columns) => columns.uses(uses),
            Self::Component(component) => component.uses(uses),
            Self::Conditional(conditional) => conditional.uses(uses),
            Self::Heading(heading) => heading.uses(uses),
            Self::Html(html) => html.uses(uses),
            Self::Image(image) => image.uses(uses),
            Self::PageBreak | Self::Divider(_) | Self::Spacer(_) => {}
            Self::Container(container) => container.uses(uses),
            Self::List(list) => list.uses(uses),
            Self::RichText(text) => text.uses(uses),
            Self::SignatureField(field) => field.uses(uses),
            Self::Repeater(repeater) => repeater.uses(uses),
            Self::Section(section) => section.uses(uses),
            Self::Slot(slot) => slot.uses(uses),
            Self::Table(table) => table.uses(uses),
            Self::Text(text) => text.uses(uses),
        }
    }
}

impl Node {
    /// Writes this node where `scope` is its data.
    pub(crate) fn write_html<'w>(&'w self, writer: &mut Writer<'w>, scope: &Scope<'_>) -> Result<(), DocumentError> {
        writer.enter(self)?;
        match &self.content {
            Content::Chart(chart) => chart.write_html(&self.style, writer, scope),
            Content::PivotTable(table) => table.write_html(&self.style, writer, scope),
            Content::TableOfContents(table) => table.write_html(&self.style, writer, scope),
            Content::Barcode(code) => code.write_html(&self.style, writer, scope),
            Content::Columns(columns) => columns.write_html(&self.style, writer, scope),
            Content::Component(component) => component.write_html(&self.style, writer, scope),
            Content::Conditional(conditional) => conditional.write_html(writer, scope),
            Content::Heading(heading) => heading.write_html(&self.style, writer, scope),
            Content::Html(html) => html.write_html(writer, scope),
            Content::Image(image) => image.write_html(&self.style, writer, scope),
            Content::Container(container) => container.write_html(&self.style, writer, scope),
            Content::Divider(divider) => divider.write_html(&self.style, writer),
            Content::Spacer(spacer) => spacer.write_html(&self.style, writer),
            Content::List(list) => list.write_html(&self.style, writer, scope),
            Content::RichText(text) => text.write_html(&self.style, writer, scope),
            Content::SignatureField(field) => field.write_html(&self.style, writer, scope),
            Content::PageBreak => page_break::write_html(writer),
            Content::Repeater(repeater) => repeater.write_html(writer, scope),
            Content::Section(section) => section.write_html(&self.style, writer, scope),
            Content::Slot(slot) => slot.write_html(&self.style, writer, scope),
            Content::Table(table) => table.write_html(&self.style, writer, scope),
            Content::Text(text) => text.write_html(&self.style, writer, scope),
        }?;
        writer.leave()
    }
}

/// Writes nodes one after the other.
pub(crate) fn write_all<'w>(nodes: &'w [Node], writer: &mut Writer<'w>, scope: &Scope<'_>) -> Result<(), DocumentError> {
    nodes.iter().try_for_each(|node| node.write_html(writer, scope))
}

/// One member of a collection, with its key where the collection is an object.
pub(crate) type Member<'v> = (Option<&'v str>, &'v serde_json::Value);

/// The members of a collection: the items of a list, or the values of an object with their keys. Each costs a step,
/// also where nothing is written for it.
pub(crate) fn members<'v>(value: Option<&'v serde_json::Value>, writer: &mut Writer<'_>) -> Result<Option<Vec<Member<'v>>>, DocumentError> {
    let Some(value) = value else { return Ok(None) };
    let count = value.as_array().map(Vec::len).or_else(|| value.as_object().map(serde_json::Map::len));
    writer.charge(u64::try_from(count.unwrap_or(0)).unwrap_or(u64::MAX))?;
    Ok(match value {
        serde_json::Value::Array(items) => Some(items.iter().map(|item| (None, item)).collect()),
        serde_json::Value::Object(object) => Some(object.iter().map(|(key, item)| (Some(key.as_str()), item)).collect()),
        _ => None,
    })
}
