//! The plot of bars, lines and areas: ticks with lines across, and what stands below each place.

use super::scale::Scale;
use super::svg::Svg;
use super::{Area, Chart, Kind, Stacking, TEXT, Values, float, widest, width_of};
use crate::issues::clip;

pub(super) const GRID: &str = "#e3e6ea";
pub(super) const BASE: &str = "#8a929b";
/// Characters of a label; a longer one is no label.
pub(super) const LABEL_CHARACTERS: usize = 22;
/// Places whose labels are turned when they do not fit side by side; of more, only some are shown.
const MAX_TURNED: usize = 24;

/// Draws the axes and gives the box of the plot with the scale of its height.
pub(super) fn draw<E>(
    chart: &Chart,
    area: Area,
    svg: &mut Svg,
    text: &mut dyn FnMut(f64) -> Result<String, E>,
) -> Result<(Area, Scale), E> {
    let (low, high) = reach(chart);
    // Room for the numbers above the highest mark and below the lowest.
    let room = if chart.values == Values::Shown && chart.stacking == Stacking::Beside { (high - low) * 0.07 } else { 0.0 };
    let below = if low < 0.0 { room } else { 0.0 };
    let scale = Scale::new(low - below, high + room, chart.least, chart.most);
    let ticks = ticks_of(&scale, text)?;
    let widest_tick = widest(ticks.iter().map(|(_, label)| label));
    let labels: Vec<String> = chart.labels.iter().map(|label| clip(label, LABEL_CHARACTERS)).collect();
    let mut plot = Area { left: area.left + widest_tick + 5.0, top: area.top + TEXT * 0.6, ..area };
    let turned = Turned::of(&labels, plot.right - plot.left);
    plot.bottom -= turned.height(&labels);
    if turned == Turned::Slanted {
        plot.left += overhang(&plot, &labels);
    }
    for (tick, label) in &ticks {
        let y = height_of(&plot, &scale, *tick);
        svg.line((plot.left, y), (plot.right, y), GRID, 0.5);
        svg.text((plot.left - 4.0, y + TEXT * 0.35), "e", label);
    }
    let base = height_of(&plot, &scale, 0.0);
    svg.line((plot.left, base), (plot.right, base), BASE, 0.75);
    write_labels(chart, &plot, &labels, turned, svg);
    Ok((plot, scale))
}

/// The numbers at the axis of values, each as it is written there.
pub(super) fn ticks_of<E>(scale: &Scale, text: &mut dyn FnMut(f64) -> Result<String, E>) -> Result<Vec<(f64, String)>, E> {
    scale.ticks.iter().map(|tick| Ok((*tick, clip(&text(*tick)?, LABEL_CHARACTERS)))).collect()
}

/// The y of a value.
pub(super) fn height_of(plot: &Area, scale: &Scale, value: f64) -> f64 {
    plot.bottom - scale.share(value) * (plot.bottom - plot.top)
}

/// Where place `at` of `count` begins and ends along the axis.
pub(super) fn place(plot: &Area, at: usize, count: usize) -> (f64, f64) {
    let share = |at: usize| float(at) / float(count.max(1));
    let width = plot.right - plot.left;
    (plot.left + width * share(at), plot.left + width * share(at + 1))
}

/// From the least to the greatest number, always with zero where bars and areas stand on it.
pub(super) fn reach(chart: &Chart) -> (f64, f64) {
    let numbers: Vec<f64> = if chart.stacking == Stacking::Stacked && chart.kind != Kind::Line {
        (0..chart.labels.len())
            .flat_map(|at| {
                let values = || chart.series.iter().filter_map(move |series| series.values.get(at).copied().flatten());
                [values().filter(|value| *value > 0.0).sum(), values().filter(|value| *value < 0.0).sum()]
            })
            .collect()
    } else {
        chart.series.iter().flat_map(|series| series.values.iter().flatten().copied()).collect()
    };
    let (low, high) = numbers.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(*value), high.max(*value)));
    // A line may leave zero out when its numbers are far from it and near each other.
    let from_zero = chart.kind != Kind::Line || low < 0.0 || (high - low) > high * 0.3;
    if from_zero { (low.min(0.0), high.max(0.0)) } else { (low, high) }
}

/// How the labels below are kept from running into each other.
#[derive(Clone, Copy, PartialEq)]
enum Turned {
    Level,
    Slanted,
    /// Every so many.
    Some(usize),
}

impl Turned {
    fn of(labels: &[String], width: f64) -> Self {
        let slot = width / float(labels.len().max(1));
        let widest = widest(labels);
        if widest + 3.0 <= slot {
            Self::Level
        } else if labels.len() <= MAX_TURNED {
            Self::Slanted
        } else {
            let every = (1..=labels.len()).find(|every| slot * float(*every) >= widest + 6.0);
            Self::Some(every.unwrap_or(labels.len()).max(1))
        }
    }

    fn height(self, labels: &[String]) -> f64 {
        let widest = widest(labels);
        match self {
            Self::Slanted => TEXT + 3.0 + widest * 0.6,
            _ if widest == 0.0 => 2.0,
            _ => TEXT + 6.0,
        }
    }
}

/// How far the slanted first label would reach beyond the numbers of the axis.
fn overhang(plot: &Area, labels: &[String]) -> f64 {
    let (from, to) = place(plot, 0, labels.len());
    let reach = labels.first().map_or(0.0, |label| width_of(label, TEXT)) * 0.85;
    (reach - (to - from) / 2.0 - (plot.left * 0.5)).max(0.0)
}

fn write_labels(chart: &Chart, plot: &Area, labels: &[String], turned: Turned, svg: &mut Svg) {
    for (at, label) in labels.iter().enumerate() {
        let (from, to) = place(plot, at, chart.labels.len());
        let middle = f64::midpoint(from, to);
        match turned {
            Turned::Some(every) if at % every != 0 => {}
            Turned::Slanted => svg.turned_text((middle + 3.0, plot.bottom + TEXT + 1.0), "e", label, -36.0),
            _ => svg.text((middle, plot.bottom + TEXT + 4.0), "m", label),
        }
    }
}
