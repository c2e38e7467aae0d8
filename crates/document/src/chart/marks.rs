//! What stands for the numbers: bars, lines and areas, beside each other or stacked.

use super::axes::{height_of, place};
use super::scale::Scale;
use super::svg::{Svg, through};
use super::{Area, Chart, FILLED, Kind, Stacking, TEXT, Values, color, float, width_of};

/// Points of a line that get a dot each.
const MAX_DOTS: usize = 40;

pub(super) fn draw<E>(
    chart: &Chart,
    plot: Area,
    scale: &Scale,
    svg: &mut Svg,
    text: &mut dyn FnMut(f64) -> Result<String, E>,
) -> Result<(), E> {
    match chart.kind {
        Kind::Bar => bars(chart, plot, scale, svg, text),
        _ => lines(chart, plot, scale, svg, text),
    }
}

fn bars<E>(chart: &Chart, plot: Area, scale: &Scale, svg: &mut Svg, text: &mut dyn FnMut(f64) -> Result<String, E>) -> Result<(), E> {
    let is_stacked = chart.stacking == Stacking::Stacked;
    let beside = if is_stacked { 1 } else { chart.series.len().max(1) };
    for at in 0..chart.labels.len() {
        let (from, to) = place(&plot, at, chart.labels.len());
        let width = (to - from) * FILLED / float(beside);
        let first = from + (to - from) * (1.0 - FILLED) / 2.0;
        // What is stacked up so far, above zero and below.
        let mut ends = [0.0, 0.0];
        for (series_at, series) in chart.series.iter().enumerate() {
            let Some(value) = series.values.get(at).copied().flatten() else { continue };
            let x = if is_stacked { first } else { first + width * float(series_at) };
            let end = &mut ends[usize::from(value < 0.0)];
            let start = if is_stacked { *end } else { 0.0 };
            *end = start + value;
            let (y0, y1) = (height_of(&plot, scale, start), height_of(&plot, scale, start + value));
            let gap = if beside > 1 { width * 0.06 } else { 0.0 };
            svg.bar((x + gap, y0), (x + width - gap, y1), &color(chart, series_at));
            if chart.values == Values::Shown {
                let said = text(value)?;
                let middle = x + width / 2.0;
                match is_stacked {
                    true if (y0 - y1).abs() > TEXT + 2.0 => svg.text((middle, f64::midpoint(y0, y1) + 2.5), "w", &said),
                    true => {}
                    false if width_of(&said, 7.0) > (to - from) * 1.1 => {}
                    false if value < 0.0 => svg.text((middle, y1 + 8.0), "v", &said),
                    false => svg.text((middle, y1 - 2.5), "v", &said),
                }
            }
        }
    }
    Ok(())
}

fn lines<E>(chart: &Chart, plot: Area, scale: &Scale, svg: &mut Svg, text: &mut dyn FnMut(f64) -> Result<String, E>) -> Result<(), E> {
    let count = chart.labels.len();
    let is_stacked = chart.stacking == Stacking::Stacked && chart.kind == Kind::Area;
    let mut below = vec![0.0; count];
    for (at, series) in chart.series.iter().enumerate() {
        let color = color(chart, at);
        for run in runs(&series.values) {
            let point = |place_at: usize, value: f64| {
                let (from, to) = place(&plot, place_at, count);
                (f64::midpoint(from, to), height_of(&plot, scale, value))
            };
            let upper: Vec<(f64, f64)> = run.iter().map(|(at, value)| point(*at, below_of(is_stacked, &below, *at) + value)).collect();
            if chart.kind == Kind::Area {
                let lower = run.iter().rev().map(|(at, _)| point(*at, below_of(is_stacked, &below, *at)));
                let outline: Vec<(f64, f64)> = upper.iter().copied().chain(lower).collect();
                let opacity = if is_stacked { "0.85" } else { "0.3" };
                svg.path(&format!("{}Z", through(&outline)), &format!("fill:{color};fill-opacity:{opacity}"));
            }
            svg.path(&through(&upper), &format!("fill:none;stroke:{color};stroke-width:1.5"));
            let dots = chart.kind == Kind::Line && count <= MAX_DOTS || upper.len() == 1;
            for (point, (_, value)) in upper.iter().zip(&run) {
                if dots {
                    svg.dot(*point, &color);
                }
                if chart.values == Values::Shown && !is_stacked {
                    svg.text((point.0, point.1 - 4.0), "v", &text(*value)?);
                }
            }
        }
        for (sum, value) in below.iter_mut().zip(&series.values) {
            *sum += value.unwrap_or(0.0);
        }
    }
    Ok(())
}

fn below_of(is_stacked: bool, below: &[f64], at: usize) -> f64 {
    if is_stacked { below.get(at).copied().unwrap_or(0.0) } else { 0.0 }
}

/// The stretches without gaps, each point with its place.
fn runs(values: &[Option<f64>]) -> Vec<Vec<(usize, f64)>> {
    let mut runs = Vec::new();
    let mut run = Vec::new();
    for (at, value) in values.iter().enumerate() {
        match value {
            Some(value) => run.push((at, *value)),
            None if !run.is_empty() => runs.push(std::mem::take(&mut run)),
            None => {}
        }
    }
    if !run.is_empty() {
        runs.push(run);
    }
    runs
}
