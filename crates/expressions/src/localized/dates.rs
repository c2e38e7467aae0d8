//! Dates and times in named styles, as each language has them, and by patterns.

use icu_calendar::{Date, Gregorian};
use icu_datetime::FixedCalendarDateTimeFormatter;
use icu_datetime::fieldsets::enums::{CompositeDateTimeFieldSet, DateAndTimeFieldSet, DateFieldSet, TimeFieldSet};
use icu_datetime::fieldsets::{T, YMD, YMDE};
use icu_datetime::input::{DateTime, Time};
use icu_datetime::options::TimePrecision;
use icu_datetime::pattern::{DateTimePattern, FixedCalendarDateTimeNames, PatternLoadError};
use writeable::TryWriteable as _;

use super::NoData;
use super::formatters::Formatters;
use super::moments::Moment;
use crate::language::Language;

/// The day in a named style.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum DateStyle {
    /// `1/12/26` in `en-AU`.
    Short,
    /// `1 Dec 2026`.
    #[default]
    Medium,
    /// `1 December 2026`.
    Long,
    /// `Tuesday, 1 December 2026`.
    Full,
    /// No day: the time alone.
    None,
}

/// The time of day beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum TimeStyle {
    #[default]
    None,
    /// Hours and minutes.
    Short,
    /// Seconds too.
    Medium,
}

/// A pattern that cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BadPattern {
    /// A field is repeated more often than it means something.
    Length,
    /// One name in two lengths, such as `MMM` and `MMMM`.
    TwoForms,
    NoData,
}

/// In a named style. A time style needs a time.
pub(crate) fn styled(
    moment: &Moment,
    day: DateStyle,
    time: TimeStyle,
    language: &Language,
    formatters: &mut Formatters,
) -> Result<String, NoData> {
    let formatter = formatters.dates.get(language, (day, time), || {
        FixedCalendarDateTimeFormatter::try_new(language.locale().into(), fields(day, time)).map_err(|_| NoData)
    })?;
    Ok(formatter.format(&input(moment).ok_or(NoData)?).to_string())
}

/// What is written in these styles.
fn fields(day: DateStyle, time: TimeStyle) -> CompositeDateTimeFieldSet {
    let precision = match time {
        TimeStyle::None => None,
        TimeStyle::Short => Some(TimePrecision::Minute),
        TimeStyle::Medium => Some(TimePrecision::Second),
    };
    let plain = match day {
        DateStyle::Short => Some(YMD::short()),
        DateStyle::Medium => Some(YMD::medium()),
        DateStyle::Long => Some(YMD::long()),
        DateStyle::Full | DateStyle::None => None,
    };
    match (plain, day, precision) {
        (Some(day), _, None) => CompositeDateTimeFieldSet::Date(DateFieldSet::YMD(day)),
        (Some(day), _, Some(precision)) => CompositeDateTimeFieldSet::DateTime(DateAndTimeFieldSet::YMDT(day.with_time(precision))),
        (None, DateStyle::None, precision) => {
            CompositeDateTimeFieldSet::Time(TimeFieldSet::T(T::short().with_time_precision(precision.unwrap_or(TimePrecision::Minute))))
        }
        (None, _, None) => CompositeDateTimeFieldSet::Date(DateFieldSet::YMDE(YMDE::long())),
        (None, _, Some(precision)) => CompositeDateTimeFieldSet::DateTime(DateAndTimeFieldSet::YMDET(YMDE::long().with_time(precision))),
    }
}

/// By a pattern of CLDR's letters that [`super::patterns`] has let through.
pub(crate) fn by_pattern(moment: &Moment, pattern: &str, language: &Language) -> Result<String, BadPattern> {
    let pattern: DateTimePattern = pattern.parse().map_err(|_| BadPattern::Length)?;
    let names = FixedCalendarDateTimeNames::<Gregorian, CompositeDateTimeFieldSet>::try_new(language.locale().into());
    let mut names = names.map_err(|_| BadPattern::NoData)?;
    let formatter = names.include_for_pattern(&pattern).map_err(|error| match error {
        PatternLoadError::ConflictingField { .. } => BadPattern::TwoForms,
        PatternLoadError::UnsupportedLength(_) => BadPattern::Length,
        _ => BadPattern::NoData,
    })?;
    let input = input(moment).ok_or(BadPattern::NoData)?;
    let text = formatter.format(&input);
    let written = text.try_write_to_string().map_err(|_| BadPattern::Length)?;
    Ok(written.into_owned())
}

fn input(moment: &Moment) -> Option<DateTime<Gregorian>> {
    let (date, time) = (moment.date, moment.time.unwrap_or_default());
    let number = |found: i8| u8::try_from(found).ok();
    let date = Date::try_new_gregorian(i32::from(date.year()), number(date.month())?, number(date.day())?).ok()?;
    let time = Time::try_new(number(time.hour())?, number(time.minute())?, number(time.second())?, 0).ok()?;
    Some(DateTime { date, time })
}
