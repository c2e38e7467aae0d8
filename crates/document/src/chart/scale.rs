//! The axis of values: from where to where, with ticks at round numbers.

use super::float;

/// Ticks that are aimed at; there are up to twice as many.
const WANTED: f64 = 5.0;
/// Ticks at most, whatever the author's ends are.
const MOST: usize = 20;

#[derive(Debug, PartialEq)]
pub(super) struct Scale {
    pub(super) least: f64,
    pub(super) most: f64,
    pub(super) ticks: Vec<f64>,
}

impl Scale {
    /// For values from `low` to `high`, with ends where the author sets them.
    pub(super) fn new(low: f64, high: f64, least: Option<f64>, most: Option<f64>) -> Self {
        let (mut low, mut high) = (least.unwrap_or(low), most.unwrap_or(high));
        if !(low.is_finite() && high.is_finite()) || low >= high {
            high = if low.is_finite() && high.is_finite() { low.max(high) } else { 1.0 };
            low = least.unwrap_or_else(|| high.min(0.0));
            if low >= high {
                high = low + low.abs().max(1.0);
            }
        }
        let step = round_step((high - low) / WANTED);
        let least = least.unwrap_or_else(|| (low / step + 1e-9).floor() * step);
        let most = most.unwrap_or_else(|| (high / step - 1e-9).ceil() * step);
        let first = (least / step - 1e-9).ceil();
        let mut ticks = Vec::new();
        for count in 0..MOST {
            let tick = (first + float(count)) * step;
            if tick > most + step * 1e-6 {
                break;
            }
            ticks.push(cleaned(tick, step));
        }
        Self { least, most, ticks }
    }

    /// How far along the axis a value is, from 0 to 1.
    pub(super) fn share(&self, value: f64) -> f64 {
        ((value - self.least) / (self.most - self.least)).clamp(0.0, 1.0)
    }
}

/// The nearest of 1, 2, 2.5 and 5 times a power of ten that is not smaller.
fn round_step(step: f64) -> f64 {
    let power = 10_f64.powf(step.log10().floor());
    let factor = step / power;
    let round = [1.0, 2.0, 2.5, 5.0, 10.0].into_iter().find(|round| factor <= round * 1.000_001).unwrap_or(10.0);
    round * power
}

/// Without what floating point adds: 0.30000000000000004 is 0.3.
fn cleaned(tick: f64, step: f64) -> f64 {
    let digits = (2.0 - step.log10().floor()).clamp(0.0, 15.0);
    let factor = 10_f64.powf(digits);
    let rounded = (tick * factor).round() / factor;
    if rounded == 0.0 { 0.0 } else { rounded }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_stand_at_round_numbers_and_reach_around_all_values() {
        for (low, high, wanted) in [
            (0.0, 97.0, vec![0.0, 20.0, 40.0, 60.0, 80.0, 100.0]),
            (0.0, 0.7, vec![0.0, 0.2, 0.4, 0.6, 0.8]),
            (-12.0, 31.0, vec![-20.0, -10.0, 0.0, 10.0, 20.0, 30.0, 40.0]),
            (0.0, 1_234_567.0, vec![0.0, 250_000.0, 500_000.0, 750_000.0, 1_000_000.0, 1_250_000.0]),
            (0.0, 0.0, vec![0.0, 0.2, 0.4, 0.6, 0.8, 1.0]),
        ] {
            assert_eq!(Scale::new(low, high, None, None).ticks, wanted, "{low} to {high}");
        }
    }

    #[test]
    fn no_numbers_make_a_scale_without_end() {
        for low in [f64::NAN, f64::INFINITY, -1e300, 0.0, 1e-300, 5.0] {
            for high in [f64::NAN, f64::NEG_INFINITY, 1e300, 0.0, 1e-300, 5.0] {
                for end in [None, Some(0.0), Some(1e15), Some(-1e15)] {
                    for other in [None, Some(0.0), Some(1e-9)] {
                        let scale = Scale::new(low, high, end, other);
                        assert!(scale.ticks.len() <= MOST, "{scale:?}");
                        let share = scale.share(1.0);
                        assert!(share.is_nan() || (0.0..=1.0).contains(&share), "{scale:?}");
                    }
                }
            }
        }
    }
}
