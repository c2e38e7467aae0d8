//! Bars that lie: places from top to bottom with their labels in front, values from left to right.

use super::axes::{BASE, GRID, LABEL_CHARACTERS, reach, ticks_of};
use super::scale::Scale;
use super::svg::Svg;
use super::{Area, Chart, FILLED, Stacking, TEXT, Values, color, float, widest, width_of};
use crate::issues::clip;

/// Part of the width that labels may take.
const MOST_LABEL: f64 = 0.4;

pub(super) fn draw<E>(chart: &Chart, area: Area, svg: &mut Svg, text: &mut dyn FnMut(f64) -> Result<String, E>) -> Result<(), E> {
    let (low, high) = reach(chart);
    let is_beside = chart.stacking == Stacking::Beside;
    // Room for the numbers behind the longest bars.
    let room = if chart.values == Values::Shown && is_beside { (high - low) * 0.1 } else { 0.0 };
    let scale = Scale::new(if low < 0.0 { low - room } else { low }, high + room, chart.least, chart.most);
    let labels: Vec<String> = chart.labels.iter().map(|label| clip(label, 2 * LABEL_CHARACTERS)).collect();
    let widest = widest(&labels).min((area.right - area.left) * MOST_LABEL);
    let ticks = ticks_of(&scale, text)?;
    let last = ticks.last().map_or(0.0, |(_, label)| width_of(label, TEXT) / 2.0);
    let plot = Area { left: area.left + widest + 6.0, right: area.right - last, bottom: area.bottom - TEXT - 6.0, ..area };
    let x_of = |value: f64| plot.left + scale.share(value) * (plot.right - plot.left);
    for (tick, label) in &ticks {
        let x = x_of(*tick);
        svg.line((x, plot.top), (x, plot.bottom), GRID, 0.5);
        svg.text((x, plot.bottom + TEXT + 4.0), "m", label);
    }
    let height = (plot.bottom - plot.top) / float(labels.len().max(1));
    for (at, label) in labels.iter().enumerate() {
        let top = plot.top + height * float(at);
        svg.text((plot.left - 4.0, top + height / 2.0 + TEXT * 0.35), "e", label);
        bars(chart, at, (top, height), &x_of, svg, text)?;
    }
    let base = x_of(0.0);
    svg.line((base, plot.top), (base, plot.bottom), BASE, 0.75);
    Ok(())
}

/// The bars of one place.
fn bars<E>(
    chart: &Chart,
    at: usize,
    (top, height): (f64, f64),
    x_of: &dyn Fn(f64) -> f64,
    svg: &mut Svg,
    text: &mut dyn FnMut(f64) -> Result<String, E>,
) -> Result<(), E> {
    let is_stacked = chart.stacking == Stacking::Stacked;
    let beside = if is_stacked { 1 } else { chart.series.len().max(1) };
    let thick = height * FILLED / float(beside);
    let first = top + height * (1.0 - FILLED) / 2.0;
    // What is stacked up so far, above zero and below.
    let mut ends = [0.0, 0.0];
    for (place, series) in chart.series.iter().enumerate() {
        let Some(value) = series.values.get(at).copied().flatten() else { continue };
        let y = if is_stacked { first } else { first + thick * float(place) };
        let end = &mut ends[usize::from(value < 0.0)];
        let start = if is_stacked { *end } else { 0.0 };
        *end = start + value;
        let (x0, x1) = (x_of(start), x_of(start + value));
        let gap = if beside > 1 { thick * 0.06 } else { 0.0 };
        svg.bar((x0, y + gap), (x1, y + thick - gap), &color(chart, place));
        if chart.values == Values::Shown && thick > 6.0 {
            let said = text(value)?;
            let middle = y + thick / 2.0 + 2.5;
            let width = width_of(&said, 7.0);
            match is_stacked {
                true if (x1 - x0).abs() > width + 4.0 => svg.text((f64::midpoint(x0, x1), middle), "w", &said),
                true => {}
                false if value < 0.0 => svg.text((x1 - 3.0 - width / 2.0, middle), "v", &said),
                false => svg.text((x1 + 3.0 + width / 2.0, middle), "v", &said),
            }
        }
    }
    Ok(())
}
