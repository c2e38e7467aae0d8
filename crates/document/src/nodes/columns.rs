//! `columns`: content side by side.

use std::fmt::Write as _;

use expressions::Scope;
use serde_json::Value;

use super::tree::Tree;
use super::{Content, NODE, Node, write_all};
use crate::bindings::Uses;
use crate::error::DocumentError;
use crate::fields::Fields;
use crate::issues::short;
use crate::shapes::{Property, Shape, Takes};
use crate::style::{Style, length};
use crate::writer::Writer;

/// `{columns: [{children, ratio?, width?}], gap?, align?}`, or `{children, ratios?, gap?, align?}` where each child is a column.
#[derive(Debug)]
pub(crate) struct Columns {
    /// `grid-template-columns`, `gap` and `align-items`.
    layout: Box<str>,
    columns: Vec<Vec<Node>>,
}

/// Narrower ones hold no text.
const MAX_COLUMNS: usize = 12;

static COLUMN: Shape = Shape {
    what: "a column",
    base: &[],
    properties: &[
        Property::optional("children", Takes::Nodes, "none", "What stands in it."),
        Property::optional("ratio", Takes::Number(0.01, 1000.0), "`1`", "Its width in proportion to the others."),
        Property::optional("width", Takes::Length, "", "Its width, in place of `ratio`."),
    ],
};

pub(crate) static SHAPE: Shape = Shape {
    what: "columns",
    base: NODE,
    properties: &[
        Property::optional("columns", Takes::List(&COLUMN), "", "Up to 12 columns; either these or `children`."),
        Property::optional("children", Takes::Nodes, "", "Each child is a column."),
        Property::optional(
            "ratios",
            Takes::Other("list of numbers", r#"{"type": "array", "items": {"type": "number", "minimum": 0.01, "maximum": 1000}}"#),
            "`1` each",
            "Widths of `children` in proportion to each other.",
        ),
        Property::optional("gap", Takes::Length, "`6mm`", "Between columns."),
        Property::optional(
            "align",
            Takes::Words(&["stretch", "top", "middle", "bottom", "baseline"]),
            "`stretch`",
            "Where columns of different heights stand; `baseline` puts their first lines at one height.",
        ),
    ],
};

#[expect(clippy::unnecessary_wraps, reason = "the signature every kind has")]
pub(crate) fn read(tree: &mut Tree, fields: &mut Fields<'_, '_>) -> Option<Content> {
    let gap = fields.checked("gap", length).unwrap_or_else(|| "6mm".into());
    let places = [
        ("stretch", ""),
        ("top", ";align-items:start"),
        ("middle", ";align-items:center"),
        ("bottom", ";align-items:end"),
        ("baseline", ";align-items:baseline"),
    ];
    let align = fields.choice("align", &places).unwrap_or_default();
    let given = fields.list("columns");
    let mut tracks = Vec::new();
    let mut columns = Vec::new();
    if given.is_some() {
        let at = fields.at("columns");
        for (index, value) in given.unwrap_or_default().iter().enumerate() {
            let Some(object) = value.as_object() else {
                fields.refuse_at(
                    &format!("columns/{index}"),
                    &format!("\"columns[{index}]\" is {}; accepted: an object with \"children\"", short(value)),
                );
                continue;
            };
            let mut column =
                Fields::new(fields.reading, &COLUMN, object, domain::issues::pointer(&at, index), format!("columns[{index}]."));
            let width = column.checked("width", length);
            let ratio = column.number("ratio");
            tracks.push(width.map_or_else(|| fraction(ratio.unwrap_or(1.0)), String::from));
            columns.push(tree.children(&mut column, "children"));
            column.finish();
        }
    } else {
        let ratios: Vec<f64> =
            fields.list("ratios").unwrap_or_default().iter().map(|ratio| ratio_of(fields, "ratios", ratio).unwrap_or(1.0)).collect();
        for (index, child) in tree.children(fields, "children").into_iter().enumerate() {
            tracks.push(fraction(ratios.get(index).copied().unwrap_or(1.0)));
            columns.push(vec![child]);
        }
    }
    if columns.len() > MAX_COLUMNS {
        fields.refuse("columns", &format!("there are {} columns; at most {MAX_COLUMNS} are accepted", columns.len()));
    }
    if given.is_none() && fields.value("children").is_none() {
        fields.refuse_missing("columns", "a list of {\"children\": […], \"ratio\"?, \"width\"?}");
    }
    Some(Content::Columns(Columns { layout: format!("grid-template-columns:{};gap:{gap}{align}", tracks.join(" ")).into(), columns }))
}

fn fraction(ratio: f64) -> String {
    let mut track = String::new();
    // minmax lets a column be narrower than its longest word. Writing to a String does not fail.
    let _ = write!(track, "minmax(0,{ratio}fr)");
    track
}

fn ratio_of(fields: &mut Fields<'_, '_>, name: &str, value: &Value) -> Option<f64> {
    let ratio = value.as_f64().filter(|ratio| (0.01..=1000.0).contains(ratio));
    if ratio.is_none() {
        fields.refuse(name, &format!("a ratio is {}; accepted: a number from 0.01 to 1000", short(value)));
    }
    ratio
}

impl Columns {
    pub(crate) fn uses<'w>(&'w self, uses: &mut Uses<'w>) {
        self.columns.iter().for_each(|column| uses.nodes(column));
    }

    pub(crate) fn write_html<'w>(&'w self, style: &Style, writer: &mut Writer<'w>, scope: &Scope<'_>) -> Result<(), DocumentError> {
        writer.open_with("div", "columns", style, &self.layout);
        for column in &self.columns {
            writer.push("<div>");
            write_all(column, writer, scope)?;
            writer.push("</div>");
        }
        writer.push("</div>");
        Ok(())
    }
}
