//! One column of a table: its head, its cells, and what stands below them.

use super::super::format::Format;
use super::super::total::{TOTALS, Total, is_count};
use crate::fields::{Fields, Text};
use crate::shapes::{Property, Shape, Takes, words};
use crate::style::length;

#[derive(Debug)]
pub(super) struct Column {
    pub(super) header: Option<Text>,
    /// A template, also where the column was given as a `field`.
    pub(super) cell: Text,
    /// Below the cell, smaller.
    pub(super) detail: Option<Text>,
    /// The opening tag of its cells, after `<`, without the name of the element.
    pub(super) opening: &'static str,
    pub(super) width: Option<Box<str>>,
    pub(super) total: Option<Total>,
    /// In the row of totals, in place of one.
    pub(super) footer: Option<Text>,
}

pub(super) static COLUMN: Shape = Shape {
    what: "a column",
    base: &[],
    properties: &[
        Property::optional("header", Takes::Text, "", "Above the column."),
        Property::optional(
            "align",
            Takes::Words(&["left", "center", "right"]),
            "`left`, or `right` for numbers and totals",
            "Where the text stands.",
        ),
        Property::optional("width", Takes::Length, "by its content", "Width of the column."),
        Property::optional("value", Takes::Text, "", "The cell; the item is `this`. Either this or `field`."),
        Property::optional("field", Takes::Plain, "", "The cell as a path in the item, or an expression."),
        Property::optional(
            "format",
            Takes::Plain,
            "",
            "How a `field` is written: `number`, `currency`, `percent`, `date`, or another helper.",
        ),
        Property::optional(
            "currency",
            Takes::Plain,
            "",
            "For `currency`: a code such as `EUR`, or where it is from the item, such as `../currency`.",
        ),
        Property::optional("decimals", Takes::Whole(0, 20), "as the format has it", "Digits after the point, for formats of numbers."),
        Property::optional("pattern", Takes::Plain, "", "For `date`: a style such as `short` or a pattern such as `dd.MM.yyyy`."),
        Property::optional(
            "total",
            Takes::Words(&words(&TOTALS)),
            "",
            "What of a `field` stands below the column, and below each group, reckoned in decimal digits.",
        ),
        Property::optional(
            "detail",
            Takes::Text,
            "",
            "Smaller lines below the text of a cell; none where it is empty. CSV and workbooks have them in cells of text alone.",
        ),
        Property::optional("footer", Takes::Text, "", "A text of the author in the row of totals, in place of `total`."),
    ],
};

pub(super) fn read_column(column: &mut Fields<'_, '_>) -> Option<Column> {
    let header = column.text(&["header"]);
    let align = column.choice("align", &[("left", ">"), ("center", " class=\"c\">"), ("right", " class=\"r\">")]);
    let width = column.checked("width", length);
    let value = column.text(&["value"]);
    let format = Format::read(column);
    let act = column.choice("total", &TOTALS);
    let detail = column.text(&["detail"]);
    let footer = column.text(&["footer"]);
    for (name, is_there) in [("format", format.is_some()), ("total", act.is_some())] {
        if is_there && column.are_absent(&["field"]) {
            column.refuse(name, &format!("\"{name}\" goes with \"field\", whose value it needs; \"value\" is text"));
        }
    }
    if act.is_some() && footer.is_some() {
        column.refuse("footer", "\"total\" and \"footer\" stand in the same place; give one of them");
    }
    let is_number = act.is_some_and(|act| !is_count(act)) || format.as_ref().is_some_and(Format::is_number);
    let opening = align.unwrap_or(if is_number { " class=\"n\">" } else { ">" });
    let (field, formula) = (cell_of_field(column, format.as_ref()), column.formula(&["field"]));
    let total = act.zip(formula).and_then(|(act, value)| Total::new(column, "total", act, value, format.as_ref()));
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
    Some(Column { header, cell, detail, opening, width, total, footer })
}

fn cell_of_field(column: &mut Fields<'_, '_>, format: Option<&Format>) -> Option<Text> {
    let Some(format) = format else { return column.path_text("field") };
    let path = column.string("field")?.trim().trim_start_matches("{{").trim_end_matches("}}").trim().to_owned();
    column.template("field", &format.of(&path), &expressions::Partials::default())
}

impl Column {
    pub(super) fn has_sum(&self) -> bool {
        self.total.is_some()
    }

    /// Whether it has something to say in the row of totals.
    pub(super) fn has_total(&self) -> bool {
        self.total.is_some() || self.footer.is_some()
    }
}
