//! `table`: one row for every item of a collection, with a head that is repeated on every page.

use expressions::Scope;
use serde_json::Value;

use super::tree::Tree;
use super::{Content, members};
use crate::bindings::Uses;
use crate::error::DocumentError;
use crate::fields::{Fields, Formula, Text};
use crate::style::{Style, length};
use crate::writer::Writer;

/// `{items, columns: [{header?, value | field, align?, width?}], repeatHeader? = true, emptyText?}`;
/// `rows` is another name of `items`. Inside a cell the item is `this` and `@index` counts.
#[derive(Debug)]
pub(crate) struct Table {
    items: Formula,
    columns: Vec<Column>,
    class: &'static str,
    empty_text: Option<Text>,
}

#[derive(Debug)]
struct Column {
    header: Option<Text>,
    /// A template, also where the column was given as a `field`.
    cell: Text,
    /// The opening tag of its cells, after `<`, without the name of the element.
    opening: &'static str,
    width: Option<Box<str>>,
}

/// Wider tables cannot be read on any paper.
const MAX_COLUMNS: usize = 100;

pub(crate) fn read(_: &mut Tree, fields: &mut Fields<'_, '_>) -> Option<Content> {
    let items = fields.required_formula(&["items", "rows"]);
    let class = if fields.flag("repeatHeader").unwrap_or(true) { "table" } else { "table once" };
    let empty_text = fields.text(&["emptyText"]);
    let given = fields.list("columns").map_or(0, <[_]>::len);
    if given == 0 {
        fields.refuse_missing("columns", "a list of {\"header\", \"value\" or \"field\", \"align\"?, \"width\"?}");
    } else if given > MAX_COLUMNS {
        fields.refuse("columns", &format!("there are {given} columns; at most {MAX_COLUMNS} are accepted"));
        return None;
    }
    let columns = fields.each("columns", "a column", read_column);
    Some(Content::Table(Table { items: items?, columns, class, empty_text }))
}

fn read_column(column: &mut Fields<'_, '_>) -> Option<Column> {
    let header = column.text(&["header"]);
    let opening = column.choice("align", &[("left", ">"), ("center", " class=\"c\">"), ("right", " class=\"r\">")]).unwrap_or(">");
    let width = column.checked("width", length);
    let value = column.text(&["value"]);
    let field = column.path_text("field");
    let cell = match (value, field) {
        (Some(value), None) => value,
        (None, Some(field)) => field,
        (Some(_), Some(_)) => {
            column.refuse("field", "\"value\" and \"field\" say the same thing; give one of them");
            return None;
        }
        (None, None) => {
            if column.are_absent(&["value", "field"]) {
                column.refuse_missing("value", "text such as \"{{name}}\", or \"field\" with a path such as \"name\"");
            }
            return None;
        }
    };
    Some(Column { header, cell, opening, width })
}

impl Table {
    pub(crate) fn uses<'w>(&'w self, uses: &mut Uses<'w>) {
        uses.formula(&self.items);
        self.columns.iter().filter_map(|column| column.header.as_ref()).for_each(|header| uses.text(header));
        uses.each(&self.items, None, |uses| self.columns.iter().for_each(|column| uses.text(&column.cell)));
        self.empty_text.iter().for_each(|text| uses.text(text));
    }

    pub(crate) fn write_html<'w>(&'w self, style: &Style, writer: &mut Writer<'w>, scope: &Scope<'_>) -> Result<(), DocumentError> {
        writer.open("table", self.class, style);
        self.write_head(writer, scope)?;
        writer.push("<tbody>");
        if let Some(found) = writer.evaluate(&self.items, scope)? {
            let value = found.as_value();
            let items = members(value.as_deref(), writer)?;
            if items.is_none() {
                writer.note_missing_collection(&self.items, value.as_deref());
            }
            let items = items.unwrap_or_default();
            for (index, (key, item)) in items.iter().enumerate() {
                self.write_row(writer, &scope.item(item, index, items.len(), *key, None))?;
            }
            if items.is_empty() {
                writer.rehearse(|writer| self.write_row(writer, &scope.item(&Value::Null, 0, 1, None, None)))?;
                let opening = format!("<tr><td class=\"empty\" colspan=\"{}\">", self.columns.len());
                writer.text_in(&opening, self.empty_text.as_ref(), "</td></tr>", scope)?;
            }
        }
        writer.push("</tbody></table>");
        Ok(())
    }

    fn write_head<'w>(&'w self, writer: &mut Writer<'w>, scope: &Scope<'_>) -> Result<(), DocumentError> {
        if self.columns.iter().any(|column| column.width.is_some()) {
            writer.push("<colgroup>");
            for column in &self.columns {
                match &column.width {
                    Some(width) => {
                        writer.push("<col style=\"width:");
                        writer.push(width);
                        writer.push("\">");
                    }
                    None => writer.push("<col>"),
                }
            }
            writer.push("</colgroup>");
        }
        if self.columns.iter().all(|column| column.header.is_none()) {
            return Ok(());
        }
        writer.push("<thead><tr>");
        for column in &self.columns {
            writer.push("<th");
            writer.push(column.opening);
            if let Some(header) = &column.header {
                writer.text(header, scope)?;
            }
            writer.push("</th>");
        }
        writer.push("</tr></thead>");
        Ok(())
    }

    fn write_row<'w>(&'w self, writer: &mut Writer<'w>, scope: &Scope<'_>) -> Result<(), DocumentError> {
        writer.push("<tr>");
        for column in &self.columns {
            writer.push("<td");
            writer.push(column.opening);
            writer.text(&column.cell, scope)?;
            writer.push("</td>");
        }
        writer.push("</tr>");
        writer.check_size()
    }
}
