//! Charts as SVG: numbers in, markup out, without a script and the same for the same numbers.
//!
//! Lengths are points. Colours are `var(--chart-1, …)` to `var(--chart-8, …)`, so that a theme can set them. To add a kind:
//! a file beside `marks.rs` with what it draws, and one line in [`draw`].

mod axes;
mod horizontal;
mod legend;
mod marks;
mod pie;
mod scale;
mod svg;

use svg::Svg;

/// A chart to be drawn.
#[derive(Debug)]
pub(crate) struct Chart {
    pub(crate) kind: Kind,
    pub(crate) stacking: Stacking,
    pub(crate) legend: Legend,
    pub(crate) values: Values,
    /// Above the drawing, and what it is called for those who cannot see it.
    pub(crate) title: String,
    pub(crate) description: String,
    pub(crate) width: f64,
    pub(crate) height: f64,
    /// Ends of the axis of values that the author set.
    pub(crate) least: Option<f64>,
    pub(crate) most: Option<f64>,
    /// What stands below each place.
    pub(crate) labels: Vec<String>,
    pub(crate) series: Vec<Series>,
}

/// One row of numbers, as many as there are labels.
#[derive(Debug)]
pub(crate) struct Series {
    pub(crate) name: String,
    /// None where there is no number: a gap.
    pub(crate) values: Vec<Option<f64>>,
    /// A CSS colour in place of the theme's.
    pub(crate) color: Option<Box<str>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Bar,
    HorizontalBar,
    Line,
    Area,
    Pie,
    Donut,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stacking {
    Beside,
    Stacked,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Legend {
    None,
    Top,
    Bottom,
}

/// Whether the numbers stand at their marks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Values {
    Hidden,
    Shown,
}

/// Part of a place along the axis that its bars fill.
const FILLED: f64 = 0.72;
/// Places along the axis, and slices of a pie.
pub(crate) const MAX_POINTS: usize = 500;
pub(crate) const MAX_SLICES: usize = 24;
/// Series; more cannot be told apart.
pub(crate) const MAX_SERIES: usize = 12;

/// Size of letters.
const TEXT: f64 = 8.0;
const TITLE: f64 = 10.0;
/// The colours of a document whose theme has none: told apart in print, also in grey and by most who see colours otherwise.
const PALETTE: [&str; 8] = ["#2f6db5", "#e08e2b", "#3f9b6c", "#b5483f", "#7a62b0", "#5aa9c6", "#c9a227", "#8a8f98"];

/// The box that is left to draw in.
#[derive(Clone, Copy, Debug)]
struct Area {
    left: f64,
    top: f64,
    right: f64,
    bottom: f64,
}

/// Writes the chart as an `svg` element. `text` says how a number is written.
pub(crate) fn draw<E>(chart: &Chart, text: &mut dyn FnMut(f64) -> Result<String, E>) -> Result<String, E> {
    let mut svg = Svg::open(chart);
    let mut area = Area { left: 0.0, top: 0.0, right: chart.width, bottom: chart.height };
    if !chart.title.is_empty() {
        svg.text((0.0, TITLE), "t", &chart.title);
        area.top += TITLE * 1.8;
    }
    area = legend::draw(chart, area, &mut svg);
    match chart.kind {
        Kind::Pie | Kind::Donut => pie::draw(chart, area, &mut svg, text)?,
        Kind::HorizontalBar => horizontal::draw(chart, area, &mut svg, text)?,
        Kind::Bar | Kind::Line | Kind::Area => {
            let (plot, scale) = axes::draw(chart, area, &mut svg, text)?;
            marks::draw(chart, plot, &scale, &mut svg, text)?;
        }
    }
    Ok(svg.close())
}

/// The colour of the series or slice at a place.
fn color(chart: &Chart, at: usize) -> String {
    let own = match chart.kind {
        Kind::Pie | Kind::Donut => None,
        _ => chart.series.get(at).and_then(|series| series.color.as_deref()),
    };
    let of_theme = || format!("var(--chart-{},{})", at % PALETTE.len() + 1, PALETTE[at % PALETTE.len()]);
    own.map_or_else(of_theme, str::to_owned)
}

/// A count as a length.
fn float(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

/// Roughly how wide a text is, without knowing the font: letters of half their height, those of East Asia as wide as high.
fn width_of(text: &str, size: f64) -> f64 {
    let letters: f64 = text
        .chars()
        .map(|letter| match letter {
            'i' | 'j' | 'l' | 't' | 'f' | 'r' | 'I' | '.' | ',' | ':' | ';' | '\'' | '|' | '!' | ' ' => 0.3,
            'm' | 'w' | 'M' | 'W' | '@' | '%' => 0.88,
            'A'..='Z' => 0.69,
            _ if u32::from(letter) >= 0x2e80 => 1.0,
            _ => 0.55,
        })
        .sum();
    letters * size
}

/// How wide the widest of these labels is.
fn widest<'l>(labels: impl IntoIterator<Item = &'l String>) -> f64 {
    labels.into_iter().map(|label| width_of(label, TEXT)).fold(0.0, f64::max)
}
