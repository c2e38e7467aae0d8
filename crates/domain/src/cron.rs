//! Patterns of time as cron writes them: which dates, and which times of those days.
//!
//! What a pattern means in a zone whose clocks are changed is said here and nowhere else ([`CronPattern::next_on`] and
//! [`Flow`]). The crate that reads patterns also walks zones; that part of it is not used, because holidays move whole
//! days, and because the rule for changed clocks has to be ours and one.

use std::fmt;

use jiff::civil::{Date, DateTime, Time, Weekday};
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{SignedDuration, Timestamp};

/// The longest pattern in characters.
pub const CRON_LIMIT_CHARS: usize = 200;
/// Days that are looked through for one that a pattern names: a 29 February on a given weekday comes back after 40 years at the latest.
pub(crate) const HORIZON_DAYS: u32 = 41 * 366;

/// The text is no pattern of time, or one that no date ever fits.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error(
    "{reason}; send five fields (minute, hour, day of month, month, day of week) such as \"0 8 * * 1-5\" for 08:00 from Monday to Friday, or six with seconds in front"
)]
pub struct InvalidCron {
    reason: Box<str>,
}

/// How a pattern gets over changed clocks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Flow {
    /// It names hours. A time that the clocks are put forward over comes once, at the moment after the gap; one that happens twice comes
    /// the first time only.
    FixedTimes,
    /// It names every hour, and so an interval: it follows the time that really passes. What is skipped on the clock does not
    /// happen, what happens twice comes twice.
    Elapsed,
}

/// A pattern of time.
#[derive(Clone)]
pub struct CronPattern {
    cron: croner::Cron,
    text: Box<str>,
    seconds: u64,
    minutes: u64,
    hours: u64,
}

const EVERY_HOUR: u64 = (1 << 24) - 1;

impl CronPattern {
    /// Reads a pattern of five fields, of six with seconds in front, or a name such as `@daily`. It has to fit some date.
    pub fn parse(text: &str) -> Result<Self, InvalidCron> {
        let refuse = |reason: &str| InvalidCron { reason: reason.into() };
        let text = text.trim();
        if text.is_empty() {
            return Err(refuse("is empty"));
        }
        if text.len() > CRON_LIMIT_CHARS || !text.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()) {
            return Err(refuse("is no pattern of time"));
        }
        let named = text.starts_with('@');
        let fields: Vec<&str> = text.split_ascii_whitespace().collect();
        if !named && !matches!(fields.len(), 5 | 6) {
            return Err(refuse(&format!("has {} fields", fields.len())));
        }
        if fields.iter().any(|field| field.split(',').any(str::is_empty)) {
            return Err(refuse("has a list with nothing between two commas"));
        }
        let parser = croner::parser::CronParser::builder().year(croner::parser::Year::Disallowed).build();
        let cron = parser.parse(text).map_err(|error| refuse(&said(&error)))?;
        let bits = |values: Vec<u16>| values.into_iter().fold(0_u64, |bits, value| bits | 1 << value.min(63));
        let [seconds, minutes, hours] =
            [&cron.pattern.seconds, &cron.pattern.minutes, &cron.pattern.hours].map(|component| bits(component.values()));
        if seconds == 0 || minutes == 0 || hours == 0 {
            return Err(refuse("names no time of day"));
        }
        let pattern = Self { cron, text: text.into(), seconds, minutes, hours };
        // Leap years and the weekdays of dates come round within 400 years, and within 41 wherever one looks from.
        let fits = dates_from(jiff::civil::date(2000, 1, 1)).take(HORIZON_DAYS as usize).any(|date| pattern.matches(date));
        if fits { Ok(pattern) } else { Err(refuse("fits no date that there is")) }
    }

    /// As it was sent.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// How it gets over changed clocks.
    pub fn flow(&self) -> Flow {
        if self.hours == EVERY_HOUR { Flow::Elapsed } else { Flow::FixedTimes }
    }

    /// Whether it leaves open which days of a month and of a week it means.
    pub fn names_no_days(&self) -> bool {
        self.cron.pattern.is_dom_wildcard() && self.cron.pattern.is_dow_wildcard()
    }

    /// Whether it names that date.
    pub fn matches(&self, date: Date) -> bool {
        let (Ok(month), Ok(day)) = (u32::try_from(date.month()), u32::try_from(date.day())) else { return false };
        let pattern = &self.cron.pattern;
        pattern.month_match(month).unwrap_or(false)
            && pattern.day_match(date.year().into(), month, day, weekday(date.weekday())).unwrap_or(false)
    }

    /// The first moment after `after` that the pattern's times of day give on `date` in `zone`, of a pattern with fixed times; with the
    /// time of day that names it.
    pub(crate) fn next_on(&self, date: Date, zone: &TimeZone, after: Timestamp) -> Option<(Timestamp, Time)> {
        let local = zone.to_datetime(after);
        let mut from = if local.date() == date { local.time().with().subsec_nanosecond(0).build().ok()? } else { Time::midnight() };
        loop {
            let time = self.time_from(from)?;
            if let Some(moment) = first_moment(date.to_datetime(time), zone)
                && moment > after
            {
                return Some((moment, time));
            }
            from = second_after(time)?;
        }
    }

    /// The first time of day from `from` on, in whole seconds.
    pub(crate) fn time_from(&self, from: Time) -> Option<Time> {
        let [hour, minute, second] = [from.hour(), from.minute(), from.second()].map(|part| u32::try_from(part).unwrap_or(0));
        let earliest =
            |bits: u64, from: u32| (from < 64).then(|| bits >> from).filter(|left| *left != 0).map(|left| left.trailing_zeros() + from);
        let (first_minute, first_second) = (earliest(self.minutes, 0)?, earliest(self.seconds, 0)?);
        let at = |hour: u32, minute: u32, second: u32| {
            Time::new(i8::try_from(hour).ok()?, i8::try_from(minute).ok()?, i8::try_from(second).ok()?, 0).ok()
        };
        if self.hours >> hour & 1 == 1 {
            if self.minutes >> minute & 1 == 1
                && let Some(second) = earliest(self.seconds, second)
            {
                return at(hour, minute, second);
            }
            if let Some(minute) = earliest(self.minutes, minute + 1) {
                return at(hour, minute, first_second);
            }
        }
        at(earliest(self.hours, hour + 1)?, first_minute, first_second)
    }
}

impl fmt::Debug for CronPattern {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("CronPattern").field(&self.text).finish()
    }
}

/// The moment of a local time: after the gap where the clocks are put forward over it, the first one where it happens twice.
pub(crate) fn first_moment(local: DateTime, zone: &TimeZone) -> Option<Timestamp> {
    match zone.to_ambiguous_timestamp(local).offset() {
        AmbiguousOffset::Unambiguous { offset } => offset.to_timestamp(local).ok(),
        AmbiguousOffset::Fold { before, .. } => before.to_timestamp(local).ok(),
        AmbiguousOffset::Gap { after, .. } => {
            // With the new offset it is a moment before the clocks are changed; the next change is the end of the gap.
            let before = after.to_timestamp(local).ok()?;
            zone.following(before).next().map(|change| change.timestamp())
        }
    }
}

pub(crate) fn second_after(time: Time) -> Option<Time> {
    time.checked_add(SignedDuration::from_secs(1)).ok()
}

/// The dates from that one on.
pub(crate) fn dates_from(first: Date) -> impl Iterator<Item = Date> {
    std::iter::successors(Some(first), |date| date.tomorrow().ok())
}

fn weekday(weekday: Weekday) -> croner::time::Weekday {
    use croner::time::Weekday as W;
    match weekday {
        Weekday::Monday => W::Monday,
        Weekday::Tuesday => W::Tuesday,
        Weekday::Wednesday => W::Wednesday,
        Weekday::Thursday => W::Thursday,
        Weekday::Friday => W::Friday,
        Weekday::Saturday => W::Saturday,
        Weekday::Sunday => W::Sunday,
    }
}

/// What the reader of patterns says, without the word for its own part and without a full stop.
fn said(error: &croner::errors::CronError) -> String {
    let text = error.to_string();
    let text = text.rsplit_once(": ").map_or(text.as_str(), |(_, end)| end);
    format!("cannot be read ({})", text.trim_end_matches('.'))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_pattern_has_five_fields_or_six_and_fits_some_date() {
        for good in [
            "0 8 * * 1-5",
            "*/15 * * * *",
            "30 0 8 * * MON",
            "0 0 L * *",
            "0 9 15W * *",
            "0 9 * * FRI#2",
            "@daily",
            "0 0 29 2 *",
            " 0 8 * * * ",
        ] {
            assert!(CronPattern::parse(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "soon",
            "0 8 * *",
            "0 0 8 * * * 2027",
            "61 8 * * *",
            "0 25 * * *",
            "0 8 31 2 *",
            "0 8 * * 9",
            "0 8 , * *",
            "@soon",
            "0 8\n* * 1",
            "0 8 32 * *",
            "*/0 * * * *",
            "0 8 * 13 *",
            "0 8 ÿ * *",
            "5-1 8 * * *",
            "@",
            "0 8 0 * *",
        ] {
            let error = CronPattern::parse(bad).expect_err(bad).to_string();
            assert!(error.contains("\"0 8 * * 1-5\"") && !error.contains('\n'), "{bad}: {error}");
        }
    }

    #[test]
    fn a_pattern_that_names_every_hour_follows_elapsed_time() {
        for elapsed in ["*/15 * * * *", "30 * * * *", "0 0-23 * * *", "* * * * * *", "@hourly"] {
            assert_eq!(CronPattern::parse(elapsed).unwrap().flow(), Flow::Elapsed, "{elapsed}");
        }
        for fixed in ["0 8 * * *", "0 */2 * * *", "*/5 9-17 * * *", "@daily"] {
            assert_eq!(CronPattern::parse(fixed).unwrap().flow(), Flow::FixedTimes, "{fixed}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_reading_a_pattern_panic(text in "[-0-9*/,#LW?@A-Z +]{0,40}") {
            let _ = CronPattern::parse(&text);
        }
    }
}
