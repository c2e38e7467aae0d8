//! What counts as a date: text in ISO 8601, milliseconds since 1970, `now`.

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

use crate::value::View;

/// Bytes of a text that may be a date.
const MAX_TEXT_BYTES: usize = 80;

/// A date, with what else is known.
#[derive(Debug, Clone)]
pub(crate) struct Moment {
    pub(crate) date: Date,
    /// None for a date alone.
    pub(crate) time: Option<Time>,
    /// The moment on the clocks of the zone that was asked for; none where the data names no moment.
    pub(crate) zoned: Option<Zoned>,
}

/// Why there is no date.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoMoment {
    /// The value is no date.
    NotADate,
    /// `now`, and nobody said when that is.
    NowUnknown,
}

/// What is accepted, for the refusal.
pub(crate) const ACCEPTED: &str =
    "an ISO 8601 date such as \"2026-12-01\" or \"2026-12-01T14:30:00+01:00\", milliseconds since 1970, or \"now\"";

impl Moment {
    /// Reads a value. A moment is put on the clocks of `zone`; a date alone and a time without an offset stay as they are written.
    pub(crate) fn read(value: View<'_>, zone: &TimeZone, now: Option<Timestamp>) -> Result<Self, NoMoment> {
        match value {
            View::Number(number) => milliseconds(number).map(|at| Self::at(at, zone)).ok_or(NoMoment::NotADate),
            View::Text("now") => now.map(|at| Self::at(at, zone)).ok_or(NoMoment::NowUnknown),
            View::Text(text) if text.len() <= MAX_TEXT_BYTES => Self::of_text(text.trim(), zone).ok_or(NoMoment::NotADate),
            _ => Err(NoMoment::NotADate),
        }
    }

    fn at(at: Timestamp, zone: &TimeZone) -> Self {
        let zoned = at.to_zoned(zone.clone());
        Self { date: zoned.date(), time: Some(zoned.time()), zoned: Some(zoned) }
    }

    fn of_text(text: &str, zone: &TimeZone) -> Option<Self> {
        let bytes = text.as_bytes();
        // Other spellings of ISO 8601, such as `20261201`, are more often numbers of invoices.
        let digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
        let is_date = (0..10).all(|at| if at == 4 || at == 7 { bytes.get(at) == Some(&b'-') } else { digit(at) });
        if !is_date {
            return None;
        }
        if text.len() == 10 {
            return Some(Self { date: text.parse().ok()?, time: None, zoned: None });
        }
        if text.contains('[') {
            return text.parse::<Zoned>().ok().map(|moment| Self::at(moment.timestamp(), zone));
        }
        if let Ok(at) = text.parse::<Timestamp>() {
            return Some(Self::at(at, zone));
        }
        let local: DateTime = text.parse().ok()?;
        Some(Self { date: local.date(), time: Some(local.time()), zoned: None })
    }
}

#[expect(clippy::cast_possible_truncation, reason = "whole numbers of this size are exact in both")]
fn milliseconds(number: f64) -> Option<Timestamp> {
    let is_whole = number.fract() == 0.0 && number.abs() < 9e15;
    is_whole.then(|| Timestamp::from_millisecond(number as i64).ok()).flatten()
}
