//! `pivotTable`: items counted up by two of their properties, one down the side and one across the top.

mod keys;

use std::collections::HashMap;

use expressions::Scope;
use serde_json::Value;

use super::format::Format;
use super::total::{TOTALS, Total};
use super::tree::Tree;
use super::{Content, NODE, members};
use crate::bindings::Uses;
use crate::error::DocumentError;
use crate::fields::{Fields, Formula, Text};
use crate::shapes::{Property, Shape, Takes, words};
use crate::style::Style;
use crate::tables::RowKind;
use crate::writer::{Writer, steps_of};
use keys::{Keys, Order};

/// `{items, rowBy, columnBy, value?, total?, …}`
#[derive(Debug)]
pub(crate) struct PivotTable {
    items: Formula,
    row_by: Formula,
    column_by: Formula,
    /// How keys are written; the key is `this`.
    row_label: Text,
    column_label: Text,
    corner: Option<Text>,
    cell: Total,
    totals: Totals,
    total_label: Text,
    order: Order,
    empty_text: Option<Text>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Totals {
    Hidden,
    Shown,
}

/// Wider ones cannot be read on any paper.
const MAX_COLUMNS: usize = 50;
const MAX_ROWS: usize = 5_000;

pub(crate) static SHAPE: Shape = Shape {
    what: "pivotTable",
    base: NODE,
    properties: &[
        Property::required("items", Takes::Expression, "A list, or an object whose values are gone over."),
        Property::required("rowBy", Takes::Expression, "What of an item says in which row it counts; up to 5,000 rows."),
        Property::required("columnBy", Takes::Expression, "What of an item says in which column it counts; up to 50 columns."),
        Property::optional("value", Takes::Expression, "the item", "What counts of an item."),
        Property::optional(
            "total",
            Takes::Words(&words(&TOTALS)),
            "`sum` with a `value`, `count` without",
            "What stands in a cell, reckoned in decimal digits.",
        ),
        Property::optional("rowLabel", Takes::Text, "`{{this}}`", "In front of a row, whose key is `this`."),
        Property::optional("columnLabel", Takes::Text, "`{{this}}`", "Above a column, whose key is `this`."),
        Property::optional("corner", Takes::Text, "", "Above the labels of the rows."),
        Property::optional("order", Takes::Words(&["data", "sorted"]), "`data`", "Keys as they come in the data, or by size."),
        Property::optional("totals", Takes::Flag, "`true`", "Whether a row and a column of totals stand at the end."),
        Property::optional("totalLabel", Takes::Text, "`Total`", "At the row and the column of totals."),
        Property::optional("emptyText", Takes::Text, "", "A line for an empty list."),
        Property::optional("format", Takes::Plain, "", "How cells are written, as in a column of a table."),
        Property::optional("currency", Takes::Plain, "", "As in a column of a table."),
        Property::optional("decimals", Takes::Whole(0, 20), "", "As in a column of a table."),
        Property::optional("pattern", Takes::Plain, "", "As in a column of a table."),
    ],
};

pub(crate) fn read(_: &mut Tree, fields: &mut Fields<'_, '_>) -> Option<Content> {
    let items = fields.required_formula(&["items"]);
    let (row_by, column_by) = (fields.required_formula(&["rowBy"]), fields.required_formula(&["columnBy"]));
    let value = fields.formula(&["value"]);
    let has_value = value.is_some() || !fields.are_absent(&["value"]);
    let act = fields.choice("total", &TOTALS).unwrap_or(if has_value { "sum this" } else { "count this" });
    let value = if has_value { value } else { fields.formula_of("value", "this") };
    let format = Format::read(fields);
    let cell = value.and_then(|value| Total::new(fields, "total", act, value, format.as_ref()));
    let (row_label, column_label) = (fields.text_or("rowLabel", "{{this}}"), fields.text_or("columnLabel", "{{this}}"));
    let (corner, empty_text) = (fields.text(&["corner"]), fields.text(&["emptyText"]));
    let order = fields.choice("order", &[("data", Order::Data), ("sorted", Order::Sorted)]).unwrap_or(Order::Data);
    let totals = if fields.flag("totals").unwrap_or(true) { Totals::Shown } else { Totals::Hidden };
    let total_label = fields.text_or("totalLabel", "Total");
    Some(Content::PivotTable(Box::new(PivotTable {
        items: items?,
        row_by: row_by?,
        column_by: column_by?,
        row_label: row_label?,
        column_label: column_label?,
        corner,
        cell: cell?,
        totals,
        total_label: total_label?,
        order,
        empty_text,
    })))
}

/// What counts in each cell.
#[derive(Default)]
struct Counted {
    rows: Keys,
    columns: Keys,
    cells: HashMap<(usize, usize), Vec<Value>>,
}

impl PivotTable {
    pub(crate) fn uses<'w>(&'w self, uses: &mut Uses<'w>) {
        uses.formula(&self.items);
        uses.each(&self.items, None, |uses| {
            uses.formula(&self.row_by);
            uses.formula(&self.column_by);
            uses.formula(self.cell.counted());
        });
        [&self.corner, &self.empty_text].into_iter().flatten().for_each(|text| uses.text(text));
    }

    pub(crate) fn write_html<'w>(&'w self, style: &Style, writer: &mut Writer<'w>, scope: &Scope<'_>) -> Result<(), DocumentError> {
        let Some(found) = writer.evaluate(&self.items, scope)? else { return Ok(()) };
        let value = found.as_value();
        let items = members(value.as_deref(), writer)?;
        if items.is_none() {
            writer.note_missing_collection(&self.items, value.as_deref());
        }
        let items = items.unwrap_or_default();
        writer.begin_table()?;
        if items.is_empty() {
            writer.end_table();
            return writer.text_in("<p class=\"empty\">", self.empty_text.as_ref(), "</p>", scope);
        }
        let mut counted = Counted::default();
        for (index, (key, item)) in items.iter().enumerate() {
            self.count(&mut counted, writer, &scope.item(item, index, items.len(), *key, None))?;
        }
        let columns = counted.columns.order(self.order);
        let class = if self.totals == Totals::Shown { "table pivot summed" } else { "table pivot" };
        writer.open("table", class, style);
        self.write_head(&counted, &columns, writer, scope)?;
        writer.push("<tbody>");
        for row in counted.rows.order(self.order) {
            self.write_row(&counted, row, &columns, writer, scope)?;
        }
        if self.totals == Totals::Shown {
            self.write_totals(&counted, &columns, writer, scope)?;
        }
        writer.push("</tbody></table>");
        writer.end_table();
        Ok(())
    }

    fn count(&self, counted: &mut Counted, writer: &mut Writer<'_>, scope: &Scope<'_>) -> Result<(), DocumentError> {
        let mut key = |formula| -> Result<(String, Value), DocumentError> {
            let found = writer.evaluate(formula, scope)?;
            let key = found.and_then(|found| found.as_value().map(std::borrow::Cow::into_owned)).unwrap_or(Value::Null);
            // A key may be everything there is.
            let text = key.to_string();
            writer.charge(steps_of(text.len()))?;
            Ok((text, key))
        };
        let ((row_text, row), (column_text, column)) = (key(&self.row_by)?, key(&self.column_by)?);
        let (row, column) = (counted.rows.place(row_text, row), counted.columns.place(column_text, column));
        for (count, what, limit) in [(row, "pivot table (rows)", MAX_ROWS), (column, "pivot table (columns)", MAX_COLUMNS)] {
            if count >= limit {
                return Err(DocumentError::TooLarge { what, limit: limit as u64 });
            }
        }
        if let Some(value) = self.cell.value(writer, scope)? {
            counted.cells.entry((row, column)).or_default().push(value);
        }
        Ok(())
    }

    fn write_head<'w>(
        &'w self,
        counted: &Counted,
        columns: &[usize],
        writer: &mut Writer<'w>,
        scope: &Scope<'_>,
    ) -> Result<(), DocumentError> {
        writer.push("<thead><tr><th>");
        writer.begin_row(RowKind::Head)?;
        writer.cell(1, |writer| self.corner.as_ref().map_or(Ok(()), |corner| writer.text(corner, scope)))?;
        writer.push("</th>");
        for column in columns {
            let key = scope.child(&counted.columns.keys[*column]);
            writer.cell(1, |writer| writer.text_in("<th class=\"n\">", Some(&self.column_label), "</th>", &key))?;
        }
        if self.totals == Totals::Shown {
            writer.cell(1, |writer| writer.text_in("<th class=\"n\">", Some(&self.total_label), "</th>", scope))?;
        }
        writer.push("</tr></thead>");
        Ok(())
    }

    fn write_row<'w>(
        &'w self,
        counted: &Counted,
        row: usize,
        columns: &[usize],
        writer: &mut Writer<'w>,
        scope: &Scope<'_>,
    ) -> Result<(), DocumentError> {
        writer.begin_row(RowKind::Body)?;
        let key = scope.child(&counted.rows.keys[row]);
        writer.cell(1, |writer| writer.text_in("<tr><th scope=\"row\">", Some(&self.row_label), "</th>", &key))?;
        let mut all = Vec::new();
        for column in columns {
            let values = counted.cells.get(&(row, *column)).cloned().unwrap_or_default();
            if self.totals == Totals::Shown {
                all.extend_from_slice(&values);
            }
            self.write_cell(values, writer, scope)?;
        }
        if self.totals == Totals::Shown {
            self.write_cell(all, writer, scope)?;
        }
        writer.push("</tr>");
        writer.check_size()
    }

    fn write_totals<'w>(
        &'w self,
        counted: &Counted,
        columns: &[usize],
        writer: &mut Writer<'w>,
        scope: &Scope<'_>,
    ) -> Result<(), DocumentError> {
        writer.begin_row(RowKind::Total)?;
        writer.cell(1, |writer| writer.text_in("<tr class=\"total\"><th>", Some(&self.total_label), "</th>", scope))?;
        let of = |column: Option<usize>| {
            let mut cells: Vec<_> = counted.cells.iter().filter(|((_, own), _)| column.is_none_or(|column| column == *own)).collect();
            // The order of a map is no order; sums of decimals do not mind, but the account of steps has to be the same each time.
            cells.sort_by_key(|(place, _)| **place);
            cells.into_iter().flat_map(|(_, values)| values.iter().cloned()).collect::<Vec<Value>>()
        };
        for column in columns {
            writer.charge(steps_of(counted.cells.len().saturating_mul(32)))?;
            self.write_cell(of(Some(*column)), writer, scope)?;
        }
        self.write_cell(of(None), writer, scope)?;
        writer.push("</tr>");
        Ok(())
    }

    /// A cell, empty where nothing counts.
    fn write_cell<'w>(&'w self, values: Vec<Value>, writer: &mut Writer<'w>, scope: &Scope<'_>) -> Result<(), DocumentError> {
        writer.push("<td class=\"n\">");
        writer.cell(1, |writer| if values.is_empty() { Ok(()) } else { self.cell.write(values, writer, scope) })?;
        writer.push("</td>");
        Ok(())
    }
}
