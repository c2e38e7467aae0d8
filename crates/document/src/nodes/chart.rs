//! `chart`: numbers of the data as bars, lines, areas or slices, drawn on the server.

use expressions::{Partials, Scope};
use serde_json::Value;

use super::format::Format;
use super::tree::Tree;
use super::{Content, NODE, members};
use crate::bindings::Uses;
use crate::chart::{self, Chart as Drawing, Kind, Legend, MAX_POINTS, MAX_SERIES, MAX_SLICES, Series as Row, Stacking, Values};
use crate::error::DocumentError;
use crate::fields::{Fields, Formula, Text};
use crate::shapes::{Property, Shape, Takes};
use crate::style::{Style, color};
use crate::writer::Writer;

/// `{kind?, items, label?, series: [{value, name?, color?}], …}`
#[derive(Debug)]
pub(crate) struct Chart {
    kind: Kind,
    stacking: Stacking,
    legend: Legend,
    values: Values,
    items: Formula,
    label: Option<Text>,
    series: Vec<Series>,
    title: Option<Text>,
    description: Option<Text>,
    /// How a number is written; it is `this`.
    number: Text,
    width: f64,
    height: f64,
    least: Option<f64>,
    most: Option<f64>,
}

#[derive(Debug)]
struct Series {
    value: Formula,
    name: Option<Text>,
    color: Option<Box<str>>,
}

/// Points in a millimetre.
const POINTS: f64 = 72.0 / 25.4;

static SERIES: Shape = Shape {
    what: "a series",
    base: &[],
    properties: &[
        Property::required("value", Takes::Expression, "The number of an item, such as `revenue`. An item without it is a gap."),
        Property::optional("name", Takes::Text, "", "In the legend."),
        Property::optional(
            "color",
            Takes::Color,
            "`var(--chart-1, …)` to `var(--chart-8, …)` by its place",
            "Of its marks; a theme sets the variables.",
        ),
    ],
};

pub(crate) static SHAPE: Shape = Shape {
    what: "chart",
    base: NODE,
    properties: &[
        Property::optional(
            "kind",
            Takes::Words(&["bar", "horizontalBar", "line", "area", "pie", "donut"]),
            "`bar`",
            "What stands for the numbers.",
        ),
        Property::required("items", Takes::Expression, "A list, or an object whose values are the items: up to 500, or 24 slices."),
        Property::optional("label", Takes::Text, "", "Below each item, or the name of its slice; the item is `this`."),
        Property::required("series", Takes::List(&SERIES), "1 to 12 rows of numbers; a pie shows the first."),
        Property::optional("stacked", Takes::Flag, "`false`", "Whether bars and areas stand on top of each other."),
        Property::optional("values", Takes::Flag, "`false`", "Whether numbers stand at their marks."),
        Property::optional(
            "legend",
            Takes::Words(&["none", "top", "bottom"]),
            "`bottom` where there are several colours",
            "Where colours are explained.",
        ),
        Property::optional("title", Takes::Text, "", "Above the chart, and its name for those who cannot see it."),
        Property::optional("description", Takes::Text, "", "What the chart shows, for those who cannot see it."),
        Property::optional("width", Takes::Number(20.0, 1000.0), "`170`", "In millimetres; it becomes no wider than its column."),
        Property::optional("height", Takes::Number(20.0, 1000.0), "`75`", "In millimetres."),
        Property::optional("min", Takes::Number(-1e15, 1e15), "a round number", "Lower end of the axis."),
        Property::optional("max", Takes::Number(-1e15, 1e15), "a round number", "Upper end of the axis."),
        Property::optional("format", Takes::Plain, "`number`", "How numbers are written, as in a column of a table."),
        Property::optional("currency", Takes::Plain, "", "As in a column of a table."),
        Property::optional("decimals", Takes::Whole(0, 20), "", "As in a column of a table."),
        Property::optional("pattern", Takes::Plain, "", "As in a column of a table."),
    ],
};

pub(crate) fn read(_: &mut Tree, fields: &mut Fields<'_, '_>) -> Option<Content> {
    let kinds = [
        ("bar", Kind::Bar),
        ("horizontalBar", Kind::HorizontalBar),
        ("line", Kind::Line),
        ("area", Kind::Area),
        ("pie", Kind::Pie),
        ("donut", Kind::Donut),
    ];
    let kind = fields.choice("kind", &kinds).unwrap_or(Kind::Bar);
    let items = fields.required_formula(&["items"]);
    let label = fields.text(&["label"]);
    let stacking = if fields.flag("stacked").unwrap_or(false) { Stacking::Stacked } else { Stacking::Beside };
    let values = if fields.flag("values").unwrap_or(false) { Values::Shown } else { Values::Hidden };
    let legend = fields.choice("legend", &[("none", Legend::None), ("top", Legend::Top), ("bottom", Legend::Bottom)]);
    let (title, description) = (fields.text(&["title"]), fields.text(&["description"]));
    let (width, height) = (fields.number("width").unwrap_or(170.0), fields.number("height").unwrap_or(75.0));
    let (least, most) = (fields.number("min"), fields.number("max"));
    if let (Some(least), Some(most)) = (least, most)
        && least >= most
    {
        fields.refuse("max", &format!("\"max\" is {most}; accepted: a number above \"min\", which is {least}"));
    }
    let number = Format::read(fields).map_or_else(|| "{{number this}}".to_owned(), |format| format.of("this"));
    let number = fields.template("format", &number, &Partials::default());
    let given = fields.list("series").map_or(0, <[_]>::len);
    if given == 0 {
        fields.refuse_missing("series", "a list of {\"value\", \"name\"?, \"color\"?}");
    } else if given > MAX_SERIES {
        fields.refuse("series", &format!("there are {given} series; at most {MAX_SERIES} are accepted"));
    }
    let series = fields.each("series", |series| {
        let value = series.required_formula(&["value"]);
        let (name, color) = (series.text(&["name"]), series.checked("color", color));
        Some(Series { value: value?, name, color })
    });
    let has_colors = series.len() > 1 || matches!(kind, Kind::Pie | Kind::Donut);
    let legend = legend.unwrap_or(if has_colors { Legend::Bottom } else { Legend::None });
    Some(Content::Chart(Box::new(Chart {
        kind,
        stacking,
        legend,
        values,
        items: items?,
        label,
        series,
        title,
        description,
        number: number?,
        width: width * POINTS,
        height: height * POINTS,
        least,
        most,
    })))
}

impl Chart {
    pub(crate) fn uses<'w>(&'w self, uses: &mut Uses<'w>) {
        uses.formula(&self.items);
        uses.each(&self.items, None, |uses| {
            self.label.iter().for_each(|label| uses.text(label));
            self.series.iter().for_each(|series| uses.formula(&series.value));
        });
        self.series.iter().filter_map(|series| series.name.as_ref()).for_each(|name| uses.text(name));
        [&self.title, &self.description].into_iter().flatten().for_each(|text| uses.text(text));
    }

    pub(crate) fn write_html<'w>(&'w self, style: &Style, writer: &mut Writer<'w>, scope: &Scope<'_>) -> Result<(), DocumentError> {
        let drawing = self.drawing(writer, scope)?;
        writer.open("div", "chart", style);
        let svg = chart::draw(&drawing, &mut |number| {
            let number = Value::from(number);
            writer.plain(&self.number, &scope.child(&number))
        })?;
        writer.push(&svg);
        writer.push("</div>");
        Ok(())
    }

    /// The chart with the numbers of the data.
    fn drawing<'w>(&'w self, writer: &mut Writer<'w>, scope: &Scope<'_>) -> Result<Drawing, DocumentError> {
        let mut text = |text: &'w Option<Text>| text.as_ref().map_or(Ok(String::new()), |text| writer.plain(text, scope));
        let (title, description) = (text(&self.title)?, text(&self.description)?);
        let series =
            self.series.iter().map(|series| Ok(Row { name: text(&series.name)?, values: Vec::new(), color: series.color.clone() }));
        let mut drawing = Drawing {
            series: series.collect::<Result<Vec<_>, DocumentError>>()?,
            kind: self.kind,
            stacking: self.stacking,
            legend: self.legend,
            values: self.values,
            title,
            description,
            width: self.width,
            height: self.height,
            least: self.least,
            most: self.most,
            labels: Vec::new(),
        };
        let Some(found) = writer.evaluate(&self.items, scope)? else { return Ok(drawing) };
        let value = found.as_value();
        let items = members(value.as_deref(), writer)?;
        if items.is_none() {
            writer.note_missing_collection(&self.items, value.as_deref());
        }
        let items = items.unwrap_or_default();
        let limit = if matches!(self.kind, Kind::Pie | Kind::Donut) { MAX_SLICES } else { MAX_POINTS };
        if items.len() > limit {
            return Err(DocumentError::TooLarge { what: "chart (items)", limit: limit as u64 });
        }
        for (index, (key, item)) in items.iter().enumerate() {
            let inner = scope.item(item, index, items.len(), *key, None);
            drawing.labels.push(match &self.label {
                Some(label) => writer.plain(label, &inner)?,
                None => String::new(),
            });
            for (series, row) in self.series.iter().zip(&mut drawing.series) {
                row.values.push(number(&series.value, writer, &inner)?);
            }
        }
        Ok(drawing)
    }
}

/// The number of an item; a text that is one counts. None, with a warning, for what is something else.
fn number(formula: &Formula, writer: &mut Writer<'_>, scope: &Scope<'_>) -> Result<Option<f64>, DocumentError> {
    let Some(found) = writer.evaluate(formula, scope)? else { return Ok(None) };
    let value = found.as_value();
    let number = match value.as_deref() {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::Number(number)) => number.as_f64(),
        Some(Value::String(text)) => text.trim().parse::<f64>().ok(),
        Some(_) => None,
    };
    let number = number.filter(|number| number.is_finite() && number.abs() <= 1e15);
    if number.is_none() {
        let source = crate::issues::clip(formula.expression.source(), 60);
        writer.warn("chart_value", format!("a value of `{source}` is no number up to 10^15 and was left out of a chart"));
    }
    Ok(number)
}
