//! Calendar months in UTC: the periods of quotas, and the parts that big tables are cut into.

use std::fmt;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::Offset;

/// A month of the years 1 to 9999, in UTC.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Month {
    year: i16,
    /// From 1.
    month: i8,
}

impl Month {
    /// The month a moment lies in.
    pub fn of(moment: Timestamp) -> Self {
        let date = Offset::UTC.to_datetime(moment).date();
        Self { year: date.year().max(1), month: date.month() }
    }

    /// The month of that number in that year; none outside the years 1 to 9999 and the months 1 to 12.
    pub fn new(year: i16, month: i8) -> Option<Self> {
        ((1..=9999).contains(&year) && (1..=12).contains(&month)).then_some(Self { year, month })
    }

    /// The year, 1 to 9999.
    pub fn year(self) -> i16 {
        self.year
    }

    /// The number of the month in its year, 1 to 12.
    pub fn number(self) -> i8 {
        self.month
    }

    /// Its first moment.
    pub fn start(self) -> Timestamp {
        let first = DateTime::new(self.year, self.month, 1, 0, 0, 0, 0);
        first.and_then(|first| Offset::UTC.to_timestamp(first)).unwrap_or(Timestamp::MAX)
    }

    /// The first moment after it.
    pub fn end(self) -> Timestamp {
        if self.year == 9999 && self.month == 12 { Timestamp::MAX } else { self.plus(1).start() }
    }

    /// The month so many months later; the last of the year 9999 at most.
    #[must_use]
    pub fn plus(self, months: u16) -> Self {
        let count = i32::from(self.year) * 12 + i32::from(self.month) - 1 + i32::from(months);
        let (year, month) = (i16::try_from(count / 12), i8::try_from(count % 12 + 1));
        let later = year.ok().zip(month.ok()).and_then(|(year, month)| Self::new(year, month));
        later.unwrap_or(Self { year: 9999, month: 12 })
    }
}

impl fmt::Display for Month {
    /// `2026-11`.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:04}-{:02}", self.year, self.month)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn month_of(moment: &str) -> Month {
        Month::of(moment.parse().unwrap())
    }

    #[test]
    fn a_month_begins_and_ends_at_midnight_utc_and_december_is_followed_by_january() {
        let december = month_of("2026-12-31T23:59:59.999999Z");
        assert_eq!(december, month_of("2027-01-01T00:30:00+01:00"), "the zone of the text does not matter");
        assert_eq!(december.start().to_string(), "2026-12-01T00:00:00Z");
        assert_eq!(december.end().to_string(), "2027-01-01T00:00:00Z");
        assert_eq!(Month::of(december.end()).to_string(), "2027-01");
        assert_eq!(december.plus(14).to_string(), "2028-02");
    }

    #[test]
    fn the_ends_of_time_do_not_overflow() {
        for moment in [Timestamp::MIN, Timestamp::MAX] {
            let month = Month::of(moment);
            assert!(month.start() <= month.end() && month <= month.plus(u16::MAX), "{month}");
        }
        assert_eq!(Month::new(2026, 13), None);
        assert_eq!(Month::new(0, 1), None);
    }
}
