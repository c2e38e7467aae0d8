//! Parameters of a schedule, and the dates in them that are reckoned from the moment of a run.

use jiff::civil::{Date, date};
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp, ToSpan as _};
use serde_json::{Map, Value, json};

use crate::calendars::parse_date;
use crate::issues::{Issue, pointer};
use crate::schedule_fields::Fields;
use crate::words::words;

/// Parameters that one schedule may have.
pub const PARAMETERS_LIMIT: usize = 100;
/// Characters of a parameter's name.
const NAME: usize = 100;
/// Characters of a text.
const TEXT: usize = 10_000;
/// The most days of `lastNDays` and `nDaysAgo`: ten years.
const MOST_DAYS: u64 = 3_660;
const SPEC: &str = "{\"preset\": \"lastMonth\"}";
const EXAMPLE: &str = "{\"type\": \"date\", \"relative\": {\"preset\": \"yesterday\"}}";

/// The text is no word of a parameter.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("no such word of a parameter")]
pub struct UnknownDateWord;

words! { UnknownDateWord:
    /// Days that are told from the day of a run.
    DatePreset {
        /// The day itself.
        Today = "today",
        /// The day before.
        Yesterday = "yesterday",
        /// The day after.
        Tomorrow = "tomorrow",
        /// The week of the day.
        ThisWeek = "thisWeek",
        /// The week before that.
        LastWeek = "lastWeek",
        /// From the first day of the week to the day.
        WeekToDate = "weekToDate",
        /// The month of the day.
        ThisMonth = "thisMonth",
        /// The month before that.
        LastMonth = "lastMonth",
        /// From the first of the month to the day.
        MonthToDate = "monthToDate",
        /// The quarter of the day.
        ThisQuarter = "thisQuarter",
        /// The quarter before that.
        LastQuarter = "lastQuarter",
        /// From the first day of the quarter to the day.
        QuarterToDate = "quarterToDate",
        /// The year of the day.
        ThisYear = "thisYear",
        /// The year before that.
        LastYear = "lastYear",
        /// From the first day of the year to the day.
        YearToDate = "yearToDate",
        /// The n days before the day.
        LastNDays = "lastNDays",
        /// The one day n days before the day.
        NDaysAgo = "nDaysAgo",
    }
}

words! { UnknownDateWord:
    /// What a parameter is.
    ParameterType {
        /// Text.
        String = "string",
        /// A number.
        Number = "number",
        /// True or false.
        Boolean = "boolean",
        /// A day.
        Date = "date",
        /// The first and the last day of some.
        DateRange = "dateRange",
    }
}

/// Which end of several days a single one is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Pick {
    /// The first.
    #[default]
    Start,
    /// The last.
    End,
}

/// Days that are told from the day of a run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RelativeDates {
    /// Which.
    pub preset: DatePreset,
    /// How many days, where the preset counts them.
    pub n: u16,
    /// Whether weeks begin on Sunday (0) or Monday (1).
    pub week_starts_on: i8,
    /// The month, from 1, that years and quarters are counted from.
    pub fiscal_year_start_month: i8,
    /// Which end, for a single day.
    pub pick: Pick,
}

/// The first and the last day, both included.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Days {
    /// The first.
    pub start: Date,
    /// The last.
    pub end: Date,
}

impl RelativeDates {
    /// Reads a specification. `path` is where it stands.
    pub fn from_json(value: &Value, path: &str) -> Result<Self, Vec<Issue>> {
        let mut fields = Fields::of(value, path, SPEC)?;
        fields.refuse_unknown(&["preset", "n", "weekStartsOn", "fiscalYearStartMonth", "pick"]);
        let presets: Vec<(&str, DatePreset)> = DatePreset::ALL.iter().map(|preset| (preset.as_str(), *preset)).collect();
        let preset = fields.word("preset", &presets);
        if fields.get("preset").is_none() {
            fields.refuse("preset", format!("is missing; send one such as {SPEC}"));
        }
        let n = fields.whole("n", 1..=MOST_DAYS);
        if matches!(preset, Some(DatePreset::LastNDays | DatePreset::NDaysAgo)) && fields.get("n").is_none() {
            fields.refuse("n", format!("is missing; send a number of days from 1 to {MOST_DAYS}"));
        }
        let small = |number: Option<u64>, otherwise: i8| number.and_then(|number| i8::try_from(number).ok()).unwrap_or(otherwise);
        let (week, month) = (fields.whole("weekStartsOn", 0..=1), fields.whole("fiscalYearStartMonth", 1..=12));
        let pick = fields.word("pick", &[("start", Pick::Start), ("end", Pick::End)]).unwrap_or_default();
        let read = preset.map(|preset| Self {
            preset,
            n: n.and_then(|n| u16::try_from(n).ok()).unwrap_or(1),
            week_starts_on: small(week, 1),
            fiscal_year_start_month: small(month, 1),
            pick,
        });
        fields.end_with(read)
    }

    /// The days, seen from that one. None past the end of the calendar.
    pub fn days(&self, today: Date) -> Option<Days> {
        use DatePreset as P;
        let back = |date: Date, span: Span| date.checked_sub(span).ok();
        let one = |day: Date| Days { start: day, end: day };
        let whole = |start: Date, length: Span| Some(Days { start, end: back(start.checked_add(length).ok()?, 1.day())? });
        let into_week = i64::from((today.weekday().to_sunday_zero_offset() + 7 - self.week_starts_on) % 7);
        let week = back(today, into_week.days())?;
        let into_year = (today.month() + 12 - self.fiscal_year_start_month) % 12;
        let first = today.first_of_month();
        let (quarter, year) = (back(first, i64::from(into_year % 3).months())?, back(first, i64::from(into_year).months())?);
        match self.preset {
            P::Today => Some(one(today)),
            P::Yesterday => Some(one(back(today, 1.day())?)),
            P::Tomorrow => Some(one(today.checked_add(1.day()).ok()?)),
            P::NDaysAgo => Some(one(back(today, i64::from(self.n).days())?)),
            P::LastNDays => Some(Days { start: back(today, i64::from(self.n).days())?, end: back(today, 1.day())? }),
            P::ThisWeek => whole(week, 7.days()),
            P::LastWeek => whole(back(week, 7.days())?, 7.days()),
            P::WeekToDate => Some(Days { start: week, end: today }),
            P::ThisMonth => whole(first, 1.month()),
            P::LastMonth => whole(back(first, 1.month())?, 1.month()),
            P::MonthToDate => Some(Days { start: first, end: today }),
            P::ThisQuarter => whole(quarter, 3.months()),
            P::LastQuarter => whole(back(quarter, 3.months())?, 3.months()),
            P::QuarterToDate => Some(Days { start: quarter, end: today }),
            P::ThisYear => whole(year, 1.year()),
            P::LastYear => whole(back(year, 1.year())?, 1.year()),
            P::YearToDate => Some(Days { start: year, end: today }),
        }
    }
}

/// Checks the `parameters` of a schedule. `path` is where they stand.
pub fn check_parameters(value: &Value, path: &str) -> Result<(), Vec<Issue>> {
    let Some(given) = value.as_object() else {
        return Err(vec![Issue::new(path, format!("must be an object such as {{\"day\": {EXAMPLE}}}"))]);
    };
    if given.len() > PARAMETERS_LIMIT {
        return Err(vec![Issue::new(path, format!("has {} parameters; at most {PARAMETERS_LIMIT} are accepted", given.len()))]);
    }
    let mut issues = Vec::new();
    for (name, parameter) in given {
        let at = pointer(path, name);
        if !is_name(name) {
            issues.push(Issue::new(
                &*at,
                format!("is no name of a parameter; accepted: 1 to {NAME} letters, digits, '_' and '-' such as reportMonth"),
            ));
        } else if let Err(found) = check_parameter(parameter, &at) {
            issues.extend(found);
        }
    }
    if issues.is_empty() { Ok(()) } else { Err(issues) }
}

fn is_name(name: &str) -> bool {
    (1..=NAME).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}

fn check_parameter(value: &Value, path: &str) -> Result<(), Vec<Issue>> {
    let mut fields = Fields::of(value, path, EXAMPLE)?;
    fields.refuse_unknown(&["type", "value", "relative"]);
    let types: Vec<(&str, ParameterType)> = ParameterType::ALL.iter().map(|kind| (kind.as_str(), *kind)).collect();
    let kind = fields.word("type", &types);
    if fields.get("type").is_none() {
        fields.refuse("type", format!("is missing; accepted: {}", types.iter().map(|(word, _)| *word).collect::<Vec<_>>().join(", ")));
    }
    let Some(kind) = kind else { return fields.end(()) };
    match (fields.get("value"), fields.get("relative")) {
        (None, None) => fields.refuse("value", format!("is missing; send {}", example_of(kind))),
        (Some(_), Some(_)) => fields.refuse("relative", "and value exclude each other"),
        (Some(value), None) if !fits(kind, value) => fields.refuse("value", format!("must be {}", example_of(kind))),
        (None, Some(_)) if !matches!(kind, ParameterType::Date | ParameterType::DateRange) => {
            fields.refuse("relative", "is for the types date and dateRange alone");
        }
        (None, Some(relative)) => {
            let read = RelativeDates::from_json(relative, &fields.path("relative"));
            fields.take(read);
        }
        _ => {}
    }
    fields.end(())
}

fn example_of(kind: ParameterType) -> &'static str {
    match kind {
        ParameterType::String => "text of up to 10000 characters",
        ParameterType::Number => "a number",
        ParameterType::Boolean => "true or false",
        ParameterType::Date => "a date such as \"2026-12-31\", or relative such as {\"preset\": \"yesterday\"}",
        ParameterType::DateRange => "{\"start\": \"2026-12-01\", \"end\": \"2026-12-31\"}, or relative such as {\"preset\": \"lastMonth\"}",
    }
}

fn fits(kind: ParameterType, value: &Value) -> bool {
    let day = |value: Option<&Value>| value.and_then(Value::as_str).and_then(parse_date);
    match kind {
        ParameterType::String => value.as_str().is_some_and(|text| text.chars().count() <= TEXT && !text.contains('\0')),
        ParameterType::Number => value.is_number(),
        ParameterType::Boolean => value.is_boolean(),
        ParameterType::Date => day(Some(value)).is_some(),
        ParameterType::DateRange => day(value.get("start")).zip(day(value.get("end"))).is_some_and(|(start, end)| start <= end),
    }
}

/// What the parameters are at a moment: texts, numbers, dates such as `2026-12-31`, and `{start, end}` of them. `zone` says which
/// day it is. They are checked; what cannot be told is null.
pub fn resolve_parameters(parameters: &Map<String, Value>, as_of: Timestamp, zone: &TimeZone) -> Map<String, Value> {
    let today = zone.to_datetime(as_of).date().clamp(date(1900, 1, 1), date(2999, 12, 31));
    let resolved = parameters.iter().map(|(name, parameter)| {
        let relative = parameter.get("relative").filter(|relative| !relative.is_null());
        let value = match relative.and_then(|relative| RelativeDates::from_json(relative, "").ok()) {
            None => parameter.get("value").cloned().unwrap_or(Value::Null),
            Some(relative) => {
                let is_range = parameter.get("type").and_then(Value::as_str) == Some(ParameterType::DateRange.as_str());
                match relative.days(today) {
                    None => Value::Null,
                    Some(days) if is_range => json!({"start": days.start.to_string(), "end": days.end.to_string()}),
                    Some(days) => (if relative.pick == Pick::Start { days.start } else { days.end }).to_string().into(),
                }
            }
        };
        (name.clone(), value)
    });
    resolved.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn days(spec: &Value, today: &str) -> String {
        let days = RelativeDates::from_json(spec, "").unwrap().days(today.parse().unwrap()).unwrap();
        format!("{} {}", days.start, days.end)
    }

    #[test]
    fn every_preset_is_told_from_the_day() {
        // A Friday in a leap year.
        let cases = [
            ("today", "2028-03-31 2028-03-31"),
            ("yesterday", "2028-03-30 2028-03-30"),
            ("tomorrow", "2028-04-01 2028-04-01"),
            ("thisWeek", "2028-03-27 2028-04-02"),
            ("lastWeek", "2028-03-20 2028-03-26"),
            ("weekToDate", "2028-03-27 2028-03-31"),
            ("thisMonth", "2028-03-01 2028-03-31"),
            ("lastMonth", "2028-02-01 2028-02-29"),
            ("monthToDate", "2028-03-01 2028-03-31"),
            ("thisQuarter", "2028-01-01 2028-03-31"),
            ("lastQuarter", "2027-10-01 2027-12-31"),
            ("quarterToDate", "2028-01-01 2028-03-31"),
            ("thisYear", "2028-01-01 2028-12-31"),
            ("lastYear", "2027-01-01 2027-12-31"),
            ("yearToDate", "2028-01-01 2028-03-31"),
            ("lastNDays", "2028-03-24 2028-03-30"),
            ("nDaysAgo", "2028-03-24 2028-03-24"),
        ];
        assert_eq!(cases.len(), DatePreset::ALL.len());
        for (preset, expected) in cases {
            assert_eq!(days(&json!({"preset": preset, "n": 7}), "2028-03-31"), expected, "{preset}");
        }
    }

    #[test]
    fn weeks_and_years_begin_where_they_are_said_to() {
        assert_eq!(days(&json!({"preset": "thisWeek", "weekStartsOn": 0}), "2028-04-02"), "2028-04-02 2028-04-08", "a Sunday");
        assert_eq!(days(&json!({"preset": "thisWeek"}), "2028-04-02"), "2028-03-27 2028-04-02");
        for (preset, expected) in
            [("thisYear", "2027-04-01 2028-03-31"), ("lastQuarter", "2027-10-01 2027-12-31"), ("thisQuarter", "2028-01-01 2028-03-31")]
        {
            assert_eq!(days(&json!({"preset": preset, "fiscalYearStartMonth": 4}), "2028-02-15"), expected, "{preset}");
        }
        assert_eq!(days(&json!({"preset": "thisQuarter", "fiscalYearStartMonth": 2}), "2028-01-15"), "2027-11-01 2028-01-31");
    }

    #[test]
    fn parameters_are_what_they_are_in_the_schedules_zone() {
        let parameters = json!({
            "month": {"type": "dateRange", "relative": {"preset": "lastMonth"}},
            "last": {"type": "date", "relative": {"preset": "lastMonth", "pick": "end"}},
            "region": {"type": "string", "value": "north"}, "n": {"type": "number", "value": 1.5}, "all": {"type": "boolean", "value": true},
            "fixed": {"type": "dateRange", "value": {"start": "2026-01-01", "end": "2026-01-31"}},
        });
        check_parameters(&parameters, "").unwrap();
        // Already the first of the month in Auckland.
        let as_of = "2026-11-30T20:00:00Z".parse().unwrap();
        let resolved = resolve_parameters(parameters.as_object().unwrap(), as_of, &TimeZone::get("Pacific/Auckland").unwrap());
        assert_eq!(
            Value::Object(resolved),
            json!({
                "month": {"start": "2026-11-01", "end": "2026-11-30"}, "last": "2026-11-30", "region": "north", "n": 1.5, "all": true,
                "fixed": {"start": "2026-01-01", "end": "2026-01-31"},
            })
        );
    }

    #[test]
    fn what_is_wrong_with_parameters_is_named_where_it_stands() {
        let wrong = json!({
            "a b": {"type": "string", "value": ""}, "a": 1, "b": {"type": "colour", "value": 1}, "c": {"type": "number", "value": "1"},
            "d": {"type": "date"}, "e": {"type": "date", "relative": {"preset": "someday"}}, "f": {"type": "date", "relative": {"preset": "nDaysAgo"}},
            "g": {"type": "string", "relative": {"preset": "today"}}, "h": {"type": "dateRange", "value": {"start": "2026-02-01", "end": "2026-01-01"}},
        });
        let issues = check_parameters(&wrong, "/parameters").unwrap_err();
        let paths: Vec<&str> = issues.iter().map(|issue| issue.path.as_str()).collect();
        assert_eq!(
            paths,
            [
                "/parameters/a b",
                "/parameters/a",
                "/parameters/b/type",
                "/parameters/c/value",
                "/parameters/d/value",
                "/parameters/e/relative/preset",
                "/parameters/f/relative/n",
                "/parameters/g/relative",
                "/parameters/h/value"
            ]
        );
    }
}
