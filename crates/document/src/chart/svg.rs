//! The markup of a drawing: every text escaped, every number short.

use std::fmt::Write as _;

use super::{Chart, TEXT, TITLE};
use crate::writer::escape_into;

pub(super) struct Svg(String);

impl Svg {
    pub(super) fn open(chart: &Chart) -> Self {
        let mut svg = Self(String::with_capacity(4096));
        let name = if chart.title.is_empty() { "Chart" } else { &chart.title };
        svg.markup("<svg xmlns=\"http://www.w3.org/2000/svg\" role=\"img\" aria-label=\"");
        svg.escaped(name);
        svg.markup("\"");
        let (width, height) = (short(chart.width), short(chart.height));
        svg.markup(&format!(" viewBox=\"0 0 {width} {height}\" width=\"{width}pt\" height=\"{height}pt\" direction=\"ltr\">"));
        svg.markup("<title>");
        svg.escaped(name);
        svg.markup("</title>");
        if !chart.description.is_empty() {
            svg.markup("<desc>");
            svg.escaped(&chart.description);
            svg.markup("</desc>");
        }
        svg.markup(&format!("<g font-size=\"{TEXT}\" stroke-linejoin=\"round\">"));
        svg
    }

    pub(super) fn close(mut self) -> String {
        self.markup("</g></svg>");
        self.0
    }

    fn markup(&mut self, markup: &str) {
        self.0.push_str(markup);
    }

    fn escaped(&mut self, text: &str) {
        escape_into(text, &mut self.0);
    }

    /// Text at a point. Roles: `t` title, `l` label that begins there, `m` centred, `e` ending there, `v` value centred on a
    /// mark, `w` the same in white.
    pub(super) fn text(&mut self, at: (f64, f64), role: &str, text: &str) {
        self.turned_text(at, role, text, 0.0);
    }

    /// The same, turned about its point by so many degrees.
    pub(super) fn turned_text(&mut self, (x, y): (f64, f64), role: &str, text: &str, degrees: f64) {
        if text.is_empty() {
            return;
        }
        let anchor = match role {
            "m" | "v" | "w" => " text-anchor=\"middle\"",
            "e" => " text-anchor=\"end\"",
            _ => "",
        };
        let look = match role {
            "t" => format!(" font-size=\"{TITLE}\" font-weight=\"700\" fill=\"#14181d\""),
            "v" => " font-size=\"7\" fill=\"#1f2328\"".to_owned(),
            "w" => " font-size=\"7\" font-weight=\"700\" fill=\"#fff\"".to_owned(),
            _ => " fill=\"#59636e\"".to_owned(),
        };
        let (x, y) = (short(x), short(y));
        let turn = if degrees == 0.0 { String::new() } else { format!(" transform=\"rotate({} {x} {y})\"", short(degrees)) };
        self.markup(&format!("<text x=\"{x}\" y=\"{y}\"{anchor}{look}{turn}>"));
        self.escaped(text);
        self.markup("</text>");
    }

    /// A line in one of the greys of axes.
    pub(super) fn line(&mut self, from: (f64, f64), to: (f64, f64), color: &str, width: f64) {
        let (x1, y1, x2, y2) = (short(from.0), short(from.1), short(to.0), short(to.1));
        self.markup(&format!(
            "<line x1=\"{x1}\" y1=\"{y1}\" x2=\"{x2}\" y2=\"{y2}\" stroke=\"{color}\" stroke-width=\"{}\"/>",
            short(width)
        ));
    }

    /// A box whose corners are at the two points.
    pub(super) fn bar(&mut self, from: (f64, f64), to: (f64, f64), color: &str) {
        let (x, y) = (short(from.0.min(to.0)), short(from.1.min(to.1)));
        let (width, height) = (short((to.0 - from.0).abs()), short((to.1 - from.1).abs()));
        self.markup(&format!("<rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" style=\"fill:{color}\"/>"));
    }

    pub(super) fn dot(&mut self, (x, y): (f64, f64), color: &str) {
        self.markup(&format!("<circle cx=\"{}\" cy=\"{}\" r=\"1.8\" style=\"fill:{color}\"/>", short(x), short(y)));
    }

    /// A path with a style of its own.
    pub(super) fn path(&mut self, data: &str, style: &str) {
        self.markup(&format!("<path d=\"{data}\" style=\"{style}\"/>"));
    }
}

/// `M x y L x y …` through the points.
pub(super) fn through(points: &[(f64, f64)]) -> String {
    let mut data = String::new();
    for (at, (x, y)) in points.iter().enumerate() {
        // Writing to a String does not fail.
        let _ = write!(data, "{}{} {}", if at == 0 { "M" } else { "L" }, short(*x), short(*y));
    }
    data
}

/// In hundredths of a point, without zeros at the end; what is no number is 0.
pub(super) fn short(number: f64) -> f64 {
    let rounded = (number * 100.0).round() / 100.0;
    if rounded.is_finite() && rounded != 0.0 { rounded } else { 0.0 }
}
