//! Medians, percentiles and how they are written.

/// A count as a number to divide with; counts here stay far below 2^52.
#[expect(clippy::cast_precision_loss, reason = "counts and microseconds of one run are far below 2^52")]
pub fn real(count: usize) -> f64 {
    count as f64
}

/// Microseconds as milliseconds.
pub fn ms_of_us(micros: u64) -> f64 {
    std::time::Duration::from_micros(micros).as_secs_f64() * 1000.0
}

/// Middle value, least and greatest of a series.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spread {
    /// The median.
    pub median: f64,
    /// The least.
    pub least: f64,
    /// The greatest.
    pub greatest: f64,
    /// How many values there were.
    pub count: usize,
}

impl Spread {
    /// Of no values there is none.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut sorted: Vec<f64> = values.into_iter().filter(|value| value.is_finite()).collect();
        sorted.sort_by(f64::total_cmp);
        let (&least, &greatest) = (sorted.first()?, sorted.last()?);
        let (low, high) = (sorted[(sorted.len() - 1) / 2], sorted[sorted.len() / 2]);
        Some(Self { median: f64::midpoint(low, high), least, greatest, count: sorted.len() })
    }
}

/// The value below which `per_mille` thousandths of `sorted` lie; 0 for an empty list.
pub fn percentile(sorted: &[u64], per_mille: usize) -> u64 {
    let last = sorted.len().saturating_sub(1);
    sorted.get((last * per_mille + 500) / 1000).copied().unwrap_or(0)
}

/// Three significant digits or so: `8.13`, `97.4`, `291`.
pub fn short(value: f64) -> String {
    match value.abs() {
        size if size >= 200.0 => format!("{value:.0}"),
        size if size >= 20.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

/// `0.96 (0.94–0.99)`.
pub fn with_range(spread: Option<Spread>) -> String {
    spread.map_or_else(|| "–".to_owned(), |s| format!("{} ({}–{})", short(s.median), short(s.least), short(s.greatest)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_an_even_series_lies_between_its_two_middle_values() {
        let spread = Spread::of([4.0, 1.0, 3.0, 2.0]).expect("values");
        assert_eq!(spread, Spread { median: 2.5, least: 1.0, greatest: 4.0, count: 4 });
    }

    #[test]
    fn the_99th_percentile_of_a_hundred_values_leaves_one_above_it() {
        let values: Vec<u64> = (1..=100).collect();
        assert_eq!(percentile(&values, 990), 99);
        assert_eq!(percentile(&values, 500), 51);
        assert_eq!(percentile(&[], 500), 0);
    }
}
