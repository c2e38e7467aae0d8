//! A circle in slices, or a ring.

use std::f64::consts::PI;

use super::svg::{Svg, short};
use super::{Area, Chart, Kind, TEXT, Values, color};

/// Part of a ring's radius that is hollow.
const HOLLOW: f64 = 0.58;
/// Part of the circle below which a slice has no room for text.
const LEAST_LABELLED: f64 = 0.06;

pub(super) fn draw<E>(chart: &Chart, area: Area, svg: &mut Svg, text: &mut dyn FnMut(f64) -> Result<String, E>) -> Result<(), E> {
    let values: Vec<f64> = chart
        .series
        .first()
        .map(|series| series.values.iter().map(|value| value.filter(|value| *value > 0.0).unwrap_or(0.0)).collect())
        .unwrap_or_default();
    let whole: f64 = values.iter().sum();
    if !(whole.is_finite() && whole > 0.0) {
        return Ok(());
    }
    let middle = (f64::midpoint(area.left, area.right), f64::midpoint(area.top, area.bottom));
    let radius = ((area.right - area.left).min(area.bottom - area.top) / 2.0 - 2.0).max(1.0);
    let hollow = if chart.kind == Kind::Donut { radius * HOLLOW } else { 0.0 };
    let mut from = 0.0;
    for (at, value) in values.iter().enumerate().filter(|(_, value)| **value > 0.0) {
        let share = value / whole;
        let to = (from + share).min(1.0);
        svg.path(&slice(middle, radius, hollow, (from, to)), &format!("fill:{};stroke:#fff;stroke-width:1", color(chart, at)));
        if chart.values == Values::Shown && share >= LEAST_LABELLED {
            let reach = if hollow > 0.0 { f64::midpoint(radius, hollow) } else { radius * 0.66 };
            let (x, y) = point(middle, reach, f64::midpoint(from, to));
            svg.text((x, y + TEXT * 0.3), "w", &text(*value)?);
        }
        from = to;
    }
    Ok(())
}

/// At a share of the circle, clockwise from the top.
fn point((x, y): (f64, f64), radius: f64, share: f64) -> (f64, f64) {
    let angle = 2.0 * PI * share;
    (x + radius * angle.sin(), y - radius * angle.cos())
}

fn slice(middle: (f64, f64), radius: f64, hollow: f64, (from, to): (f64, f64)) -> String {
    // An arc that ends where it begins is none: the whole circle is two halves.
    if to - from > 0.9999 {
        return format!("{}{}", ring(middle, radius, 1), if hollow > 0.0 { ring(middle, hollow, 0) } else { String::new() });
    }
    let large = u8::from(to - from > 0.5);
    let (x0, y0) = point(middle, radius, from);
    let (x1, y1) = point(middle, radius, to);
    let r = short(radius);
    let outer = format!("M{} {}A{r} {r} 0 {large} 1 {} {}", short(x0), short(y0), short(x1), short(y1));
    if hollow > 0.0 {
        let (x2, y2) = point(middle, hollow, to);
        let (x3, y3) = point(middle, hollow, from);
        let h = short(hollow);
        format!("{outer}L{} {}A{h} {h} 0 {large} 0 {} {}Z", short(x2), short(y2), short(x3), short(y3))
    } else {
        format!("{outer}L{} {}Z", short(middle.0), short(middle.1))
    }
}

fn ring((x, y): (f64, f64), radius: f64, sweep: u8) -> String {
    let (x, r) = (short(x), short(radius));
    let (top, bottom) = (short(y - radius), short(y + radius));
    format!("M{x} {top}A{r} {r} 0 1 {sweep} {x} {bottom}A{r} {r} 0 1 {sweep} {x} {top}Z")
}
