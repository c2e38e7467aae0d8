//! Dates of spreadsheets, which are days since a beginning.

use jiff::civil::{Date, date};
use jiff::{SignedDuration, ToSpan};

/// Which day is the first.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Calendar {
    /// Day 1 is the first of January 1900, and there is a 29th of February in that year.
    From1900,
    /// Day 0 is the first of January 1904.
    From1904,
}

const MS_OF_A_DAY: i64 = 86_400_000;
/// Days of the year 10000, which no spreadsheet has.
const DAYS: f64 = 2_958_466.0;

/// `2026-11-21`, with a time of day `2026-11-21T09:30:00`, and without a day `09:30:00`; to the millisecond, which is as exact
/// as spreadsheets are. None for what is no date.
pub fn date_text(days: f64, calendar: Calendar) -> Option<String> {
    let (day, ms) = parts(days)?;
    if day == 0 && (ms > 0 || calendar == Calendar::From1900) {
        return Some(time_text(ms));
    }
    let first = first_day(day, calendar)?;
    let date = first.checked_add(i32::try_from(day).ok()?.days()).ok()?;
    Some(if ms == 0 { date.to_string() } else { format!("{date}T{}", time_text(ms)) })
}

/// `PT26H30M`, in ISO 8601. None for what is no duration.
pub fn duration_text(days: f64) -> Option<String> {
    let (day, ms) = parts(days.abs())?;
    let all = SignedDuration::from_millis(day * MS_OF_A_DAY + ms);
    let (hours, minutes, seconds, ms) = (all.as_hours(), all.as_mins() % 60, all.as_secs() % 60, all.subsec_millis());
    let sign = if days < 0.0 && !all.is_zero() { "-" } else { "" };
    let part = |number: i64, unit: char| if number > 0 { format!("{number}{unit}") } else { String::new() };
    let last = if ms > 0 {
        format!("{seconds}.{ms:03}S")
    } else if all.is_zero() {
        "0S".to_owned()
    } else {
        part(seconds, 'S')
    };
    Some(format!("{sign}PT{}{}{last}", part(hours, 'H'), part(minutes, 'M')))
}

/// Whole days, and the milliseconds of the last.
#[expect(clippy::cast_possible_truncation, reason = "bounded by the year 10000, and rounded")]
fn parts(days: f64) -> Option<(i64, i64)> {
    if !(0.0..DAYS).contains(&days) {
        return None;
    }
    let ms = (days * 86_400_000.0).round() as i64;
    Some((ms / MS_OF_A_DAY, ms % MS_OF_A_DAY))
}

/// What the days are counted from.
fn first_day(day: i64, calendar: Calendar) -> Option<Date> {
    match (calendar, day) {
        (Calendar::From1904, _) => Some(date(1904, 1, 1)),
        (Calendar::From1900, ..60) => Some(date(1899, 12, 31)),
        // The 29th of February 1900.
        (Calendar::From1900, 60) => None,
        (Calendar::From1900, _) => Some(date(1899, 12, 30)),
    }
}

fn time_text(ms: i64) -> String {
    let (seconds, ms) = (ms / 1000, ms % 1000);
    let whole = format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
    if ms == 0 { whole } else { format!("{whole}.{ms:03}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_the_dates_that_a_spreadsheet_shows() {
        let shown = [
            (1.0, "1900-01-01"),
            (59.0, "1900-02-28"),
            (61.0, "1900-03-01"),
            (46_347.0, "2026-11-21"),
            (46_347.395_833_333_3, "2026-11-21T09:30:00"),
            (45_943.541, "2025-10-13T12:59:02.400"),
            (46_346.999_999_999_9, "2026-11-21"),
            (0.430_555_555_555_556, "10:20:00"),
            (0.0, "00:00:00"),
            (2_958_465.0, "9999-12-31"),
        ];
        for (days, text) in shown {
            assert_eq!(date_text(days, Calendar::From1900).as_deref(), Some(text), "{days}");
        }
        for none in [60.0, 60.5, -1.0, 2_958_466.0, f64::NAN, f64::INFINITY] {
            assert_eq!(date_text(none, Calendar::From1900), None, "{none}");
        }
        assert_eq!(date_text(44_885.0, Calendar::From1904).as_deref(), Some("2026-11-21"));
        assert_eq!(date_text(0.0, Calendar::From1904).as_deref(), Some("1904-01-01"));
    }

    #[test]
    fn durations_go_beyond_a_day() {
        for (days, text) in [(26.5 / 24.0, "PT26H30M"), (0.0, "PT0S"), (-0.25, "-PT6H"), (1.0 / 86_400.0 * 1.5, "PT1.500S"), (1.0, "PT24H")]
        {
            assert_eq!(duration_text(days).as_deref(), Some(text), "{days}");
        }
        assert_eq!(duration_text(f64::NAN), None);
    }
}
