//! What each colour stands for, in lines above or below the drawing.

use super::svg::Svg;
use super::{Area, Chart, Kind, Legend, TEXT, color, width_of};
use crate::issues::clip;

const SQUARE: f64 = 7.0;
const GAP: f64 = 12.0;
const LINE: f64 = 12.0;
/// Lines at most; what does not fit is left out, as are names in a crowd nobody reads.
const MAX_LINES: usize = 6;
/// Characters of a name.
const NAME_CHARACTERS: usize = 40;

/// Draws it and gives what is left of the area.
pub(super) fn draw(chart: &Chart, mut area: Area, svg: &mut Svg) -> Area {
    let names: Vec<&String> = match chart.kind {
        Kind::Pie | Kind::Donut => chart.labels.iter().collect(),
        _ => chart.series.iter().map(|series| &series.name).collect(),
    };
    if chart.legend == Legend::None || names.iter().all(|name| name.is_empty()) {
        return area;
    }
    let mut lines: Vec<Vec<(usize, String, f64)>> = vec![Vec::new()];
    let mut x = area.left;
    for (at, name) in names.into_iter().enumerate() {
        let name = clip(name, NAME_CHARACTERS);
        let width = SQUARE + 4.0 + width_of(&name, TEXT);
        let is_full = x + width > area.right && lines.last().is_some_and(|line| !line.is_empty());
        if is_full {
            if lines.len() == MAX_LINES {
                break;
            }
            lines.push(Vec::new());
            x = area.left;
        }
        if let Some(line) = lines.last_mut() {
            line.push((at, name, x));
        }
        x += width + GAP;
    }
    let mut height = 0.0;
    let top = match chart.legend {
        Legend::Top => area.top,
        _ => lines.iter().fold(area.bottom, |bottom, _| bottom - LINE) + 2.0,
    };
    for line in lines {
        for (at, name, x) in line {
            let y = top + height;
            svg.bar((x, y + 1.0), (x + SQUARE, y + 1.0 + SQUARE), &color(chart, at));
            svg.text((x + SQUARE + 4.0, y + SQUARE), "l", &name);
        }
        height += LINE;
    }
    match chart.legend {
        Legend::Top => area.top += height + 4.0,
        _ => area.bottom -= height + 6.0,
    }
    area
}
