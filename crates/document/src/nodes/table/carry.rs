//! Sums that are carried from page to page: so many rows on each, with what they come to so far below and above.

use expressions::Scope;
use serde_json::Value;

use super::super::total::Total;
use super::column::Column;
use super::groups::Sums;
use crate::error::DocumentError;
use crate::fields::{Fields, Text};
use crate::tables::RowKind;
use crate::writer::Writer;

/// How rows are put on pages.
#[derive(Debug)]
pub(super) struct Carrying {
    rows: usize,
    rows_on_first_page: usize,
    carried: Text,
    brought: Text,
}

/// The sums so far, by column.
pub(super) struct Carried {
    results: Vec<Option<Value>>,
    /// How much of what counts is in them.
    counted: Vec<usize>,
}

impl Carrying {
    pub(super) fn read(fields: &mut Fields<'_, '_>) -> Option<Self> {
        let rows = fields.whole("rowsPerPage");
        let first = fields.whole("rowsOnFirstPage");
        let (carried, brought) = (fields.text_or("carriedLabel", "Carried forward"), fields.text_or("broughtLabel", "Brought forward"));
        for name in ["rowsOnFirstPage", "carriedLabel", "broughtLabel"] {
            if fields.are_absent(&["rowsPerPage"]) && !fields.are_absent(&[name]) {
                fields.refuse(
                    name,
                    &format!("\"{name}\" is about sums that are carried over; say in \"rowsPerPage\" how many rows a page has"),
                );
            }
        }
        if rows.is_some() && !fields.are_absent(&["groupBy"]) {
            fields.refuse("rowsPerPage", "\"rowsPerPage\" and \"groupBy\" exclude each other: groups have sums of their own");
        }
        let rows = rows?;
        Some(Self { rows, rows_on_first_page: first.unwrap_or(rows), carried: carried?, brought: brought? })
    }

    /// Whether a page ends in front of the row at this place, counted from 0.
    pub(super) fn ends_before(&self, at: usize) -> bool {
        at >= self.rows_on_first_page && (at - self.rows_on_first_page).is_multiple_of(self.rows)
    }

    /// Ends a page and begins the next one.
    pub(super) fn turn<'w>(
        &'w self,
        carried: &mut Carried,
        sums: &Sums,
        columns: &'w [Column],
        writer: &mut Writer<'w>,
        scope: &Scope<'_>,
    ) -> Result<(), DocumentError> {
        carried.add_up(sums, columns, writer, scope)?;
        carried.write("total", &self.carried, columns, writer, scope)?;
        writer.push("</tbody><tbody class=\"next\">");
        carried.write("subtotal", &self.brought, columns, writer, scope)
    }
}

impl Carried {
    pub(super) fn of(columns: &[Column]) -> Self {
        Self { results: columns.iter().map(|_| None).collect(), counted: columns.iter().map(|_| 0).collect() }
    }

    /// The sum of what was carried and what came since: work that grows with the rows alone.
    fn add_up(&mut self, sums: &Sums, columns: &[Column], writer: &mut Writer<'_>, scope: &Scope<'_>) -> Result<(), DocumentError> {
        for (at, column) in columns.iter().enumerate() {
            let Some(total) = column.total.as_ref().filter(|total| total.is_sum()) else { continue };
            let since = sums.since(at, self.counted[at]);
            self.counted[at] += since.len();
            let values: Vec<Value> = self.results[at].take().into_iter().chain(since.iter().cloned()).collect();
            self.results[at] = total.result(values, writer, scope)?;
        }
        Ok(())
    }

    fn write<'w>(
        &self,
        class: &str,
        label: &'w Text,
        columns: &'w [Column],
        writer: &mut Writer<'w>,
        scope: &Scope<'_>,
    ) -> Result<(), DocumentError> {
        let first = columns.iter().position(|column| column.total.as_ref().is_some_and(Total::is_sum)).unwrap_or(columns.len());
        writer.push(&format!("<tr class=\"{class}\">"));
        writer.begin_row(RowKind::Carried)?;
        if first > 0 {
            writer.text_in(&format!("<th colspan=\"{first}\">"), Some(label), "</th>", scope)?;
        }
        for (column, result) in columns.iter().zip(&self.results).skip(first) {
            writer.push("<td");
            writer.push(column.opening);
            if let (Some(total), Some(result)) = (&column.total, result) {
                total.write_result(result, writer, scope)?;
            }
            writer.push("</td>");
        }
        writer.push("</tr>");
        writer.check_size()
    }
}
