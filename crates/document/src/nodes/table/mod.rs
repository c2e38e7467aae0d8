//! `table`: one row for every item of a collection, with a head that is repeated on every page, groups and totals.

mod carry;
mod column;

mod groups;

use expressions::Scope;
use serde_json::Value;

use super::tree::Tree;
use super::{Content, Member, NODE, members};
use crate::bindings::Uses;
use crate::error::DocumentError;
use crate::fields::{Fields, Formula, Text};
use crate::shapes::{Property, Shape, Takes};
use crate::style::Style;
use crate::tables::RowKind;
use crate::writer::Writer;
use carry::{Carried, Carrying};
use column::{COLUMN, Column, read_column};
use groups::{Grouping, Sums};

/// `{items, columns: [{header?, value | field, detail?, format?, align?, width?, total?, footer?}], groupBy?, …}`; `rows` is another
/// name of `items`. Inside a cell the item is `this` and `@index` counts.
#[derive(Debug)]
pub(crate) struct Table {
    items: Formula,
    columns: Vec<Column>,
    class: Box<str>,
    striped: Striped,
    grouping: Option<Grouping>,
    carrying: Option<Carrying>,
    total_label: Text,
    empty_text: Option<Text>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Striped {
    No,
    Yes,
}

/// Wider tables cannot be read on any paper.
const MAX_COLUMNS: usize = 100;

pub(crate) static SHAPE: Shape = Shape {
    what: "table",
    base: NODE,
    properties: &[
        Property::required("items", Takes::Expression, "A list, or an object whose values are the rows.").also(&["rows"]),
        Property::optional("repeatHeader", Takes::Flag, "`true`", "Whether the head stands again on every page."),
        Property::optional("emptyText", Takes::Text, "", "A row for an empty list."),
        Property::optional("zebra", Takes::Flag, "`false`", "Whether every other row is tinted, in `var(--zebra)`."),
        Property::optional("lines", Takes::Words(&["rows", "grid", "none"]), "`rows`", "Which lines are drawn between cells."),
        Property::optional(
            "density",
            Takes::Words(&["normal", "compact"]),
            "`normal`",
            "How much room is above and below the text of a row.",
        ),
        Property::optional("groupBy", Takes::Expression, "", "What of an item says which group it is in, such as `kind`."),
        Property::optional("groupHeader", Takes::Text, "`{{key}}`", "A row above each group, where `key` and `count` are known."),
        Property::optional("subtotals", Takes::Flag, "`true`", "Whether each group ends with a row of totals."),
        Property::optional("subtotalLabel", Takes::Text, "`{{key}}`", "In front of the totals of a group."),
        Property::optional("totalLabel", Takes::Text, "`Total`", "In front of the totals of the table."),
        Property::optional(
            "rowsPerPage",
            Takes::Whole(2, 500),
            "as many as fit",
            "Rows before a new page begins, with the sums so far below and above.",
        ),
        Property::optional("rowsOnFirstPage", Takes::Whole(1, 500), "`rowsPerPage`", "The same for the page on which the table begins."),
        Property::optional("carriedLabel", Takes::Text, "`Carried forward`", "In front of the sums at the end of a page."),
        Property::optional("broughtLabel", Takes::Text, "`Brought forward`", "In front of the sums at the beginning of the next one."),
        Property::required("columns", Takes::List(&COLUMN), "1 to 100 columns."),
    ],
};

pub(crate) fn read(_: &mut Tree, fields: &mut Fields<'_, '_>) -> Option<Content> {
    let items = fields.required_formula(&["items", "rows"]);
    let once = if fields.flag("repeatHeader").unwrap_or(true) { "" } else { " once" };
    let lines = fields.choice("lines", &[("rows", ""), ("grid", " grid"), ("none", " bare")]).unwrap_or_default();
    let density = fields.choice("density", &[("normal", ""), ("compact", " compact")]).unwrap_or_default();
    let striped = if fields.flag("zebra").unwrap_or(false) { Striped::Yes } else { Striped::No };
    let empty_text = fields.text(&["emptyText"]);
    let grouping = Grouping::read(fields);
    let carrying = Carrying::read(fields);
    let total_label = fields.text_or("totalLabel", "Total");
    let given = fields.list("columns").map_or(0, <[_]>::len);
    if given == 0 {
        fields.refuse_missing("columns", "a list of {\"header\", \"value\" or \"field\", \"align\"?, \"width\"?}");
    } else if given > MAX_COLUMNS {
        fields.refuse("columns", &format!("there are {given} columns; at most {MAX_COLUMNS} are accepted"));
        return None;
    }
    let columns = fields.each("columns", read_column);
    let zebra = if striped == Striped::Yes { " zebra" } else { "" };
    let class = format!("table{once}{lines}{density}{zebra}").into();
    Some(Content::Table(Box::new(Table {
        items: items?,
        columns,
        class,
        striped,
        grouping,
        carrying,
        total_label: total_label?,
        empty_text,
    })))
}

impl Table {
    pub(crate) fn uses<'w>(&'w self, uses: &mut Uses<'w>) {
        uses.formula(&self.items);
        self.columns.iter().filter_map(|column| column.header.as_ref()).for_each(|header| uses.text(header));
        uses.each(&self.items, None, |uses| {
            self.columns.iter().flat_map(|column| [Some(&column.cell), column.detail.as_ref()]).flatten().for_each(|text| uses.text(text));
            self.grouping.iter().for_each(|grouping| uses.formula(&grouping.key));
        });
        self.columns.iter().filter_map(|column| column.footer.as_ref()).for_each(|footer| uses.text(footer));
        [Some(&self.total_label), self.empty_text.as_ref()].into_iter().flatten().for_each(|text| uses.text(text));
    }

    pub(crate) fn write_html<'w>(&'w self, style: &Style, writer: &mut Writer<'w>, scope: &Scope<'_>) -> Result<(), DocumentError> {
        writer.open("table", &self.class, style);
        writer.begin_table()?;
        self.write_head(writer, scope)?;
        writer.push("<tbody>");
        if let Some(found) = writer.evaluate(&self.items, scope)? {
            let value = found.as_value();
            let items = members(value.as_deref(), writer)?;
            if items.is_none() {
                writer.note_missing_collection(&self.items, value.as_deref());
            }
            let items = items.unwrap_or_default();
            let mut sums = Sums::of(&self.columns);
            match &self.grouping {
                Some(grouping) => self.write_groups(grouping, &items, &mut sums, writer, scope)?,
                None => self.write_rows(&items, (0..items.len()).collect(), 0, &mut sums, writer, scope)?,
            }
            if items.is_empty() {
                writer
                    .rehearse(|writer| self.write_row("<tr>", &mut Sums::default(), writer, &scope.item(&Value::Null, 0, 1, None, None)))?;
                let opening = format!("<tr><td class=\"empty\" colspan=\"{}\">", self.columns.len());
                writer.text_in(&opening, self.empty_text.as_ref(), "</td></tr>", scope)?;
            } else if self.columns.iter().any(Column::has_total) {
                sums.write("total", &self.columns, &self.total_label, scope, writer, scope)?;
            }
        }
        writer.push("</tbody></table>");
        writer.end_table();
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
        writer.begin_row(RowKind::Head)?;
        for column in &self.columns {
            writer.push("<th");
            writer.push(column.opening);
            writer.cell(1, |writer| column.header.as_ref().map_or(Ok(()), |header| writer.text(header, scope)))?;
            writer.push("</th>");
        }
        writer.push("</tr></thead>");
        Ok(())
    }

    fn write_groups<'w>(
        &'w self,
        grouping: &'w Grouping,
        items: &[Member<'_>],
        sums: &mut Sums,
        writer: &mut Writer<'w>,
        scope: &Scope<'_>,
    ) -> Result<(), DocumentError> {
        let mut before = 0;
        for group in grouping.groups(items, writer, scope)? {
            let inner = scope.child(&group.facts);
            let opening = format!("<tr class=\"group\"><th colspan=\"{}\">", self.columns.len());
            writer.begin_row(RowKind::Group)?;
            writer.cell(self.columns.len(), |writer| writer.text_in(&opening, Some(&grouping.header), "</th></tr>", &inner))?;
            let mut of_group = Sums::of(&self.columns);
            let count = group.members.len();
            self.write_rows(items, group.members, before, &mut of_group, writer, scope)?;
            before += count;
            if grouping.has_subtotals && self.columns.iter().any(Column::has_sum) {
                of_group.write("subtotal", &self.columns, &grouping.subtotal_label, &inner, writer, scope)?;
            }
            sums.add(of_group);
        }
        Ok(())
    }

    /// Writes those of the items, counting on from `before`.
    fn write_rows<'w>(
        &'w self,
        items: &[Member<'_>],
        which: Vec<usize>,
        before: usize,
        sums: &mut Sums,
        writer: &mut Writer<'w>,
        scope: &Scope<'_>,
    ) -> Result<(), DocumentError> {
        let mut carried = Carried::of(&self.columns);
        for (at, member) in which.into_iter().enumerate() {
            if let Some(carrying) = self.carrying.as_ref().filter(|carrying| carrying.ends_before(at)) {
                carrying.turn(&mut carried, sums, &self.columns, writer, scope)?;
            }
            let (key, item) = items[member];
            let opening = if self.striped == Striped::Yes && at % 2 == 1 { "<tr class=\"z\">" } else { "<tr>" };
            self.write_row(opening, sums, writer, &scope.item(item, before + at, items.len(), key, None))?;
        }
        Ok(())
    }

    fn write_row<'w>(&'w self, opening: &str, sums: &mut Sums, writer: &mut Writer<'w>, scope: &Scope<'_>) -> Result<(), DocumentError> {
        writer.push(opening);
        writer.begin_row(RowKind::Body)?;
        for (at, column) in self.columns.iter().enumerate() {
            writer.push("<td");
            writer.push(column.opening);
            writer.cell(1, |writer| {
                writer.text(&column.cell, scope)?;
                column.detail.as_ref().map_or(Ok(()), |detail| writer.detail(detail, scope))
            })?;
            writer.push("</td>");
            if let Some(total) = &column.total {
                sums.take(at, total, writer, scope)?;
            }
        }
        writer.push("</tr>");
        writer.check_size()
    }
}
