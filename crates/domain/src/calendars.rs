//! Calendars of holidays, and reading them from iCalendar files.

use std::collections::BTreeMap;

use jiff::civil::{Date, date};
use serde_json::{Value, json};

use crate::invisible::is_invisible;
use crate::issues::{Issue, pointer};

/// Holidays that one calendar may have (a CHECK of the table).
pub const HOLIDAYS_LIMIT: usize = 5_000;
/// Characters of a holiday's name; longer ones in files are cut.
pub const HOLIDAY_NAME_LIMIT_CHARS: usize = 200;
/// Characters of a calendar's name.
pub const CALENDAR_NAME_LIMIT_CHARS: usize = 128;
/// Characters of its description.
pub const CALENDAR_DESCRIPTION_LIMIT_CHARS: usize = 1_000;
/// The largest iCalendar file.
pub const ICAL_LIMIT_BYTES: usize = 4 * 1024 * 1024;
/// Days that one event of a file may last; a longer one is left out.
const EVENT_DAYS: usize = 366;

/// The holidays of a calendar: each date once, with what it is called, which may be nothing.
pub type Holidays = BTreeMap<Date, String>;

/// Reads a date such as `2026-12-25`, and nothing else that a date could be read from.
pub fn parse_date(text: &str) -> Option<Date> {
    let plain = text.len() == 10 && text.bytes().all(|byte| byte == b'-' || byte.is_ascii_digit());
    text.parse::<Date>().ok().filter(|day| plain && *day >= date(1900, 1, 1) && *day <= date(2999, 12, 31))
}

/// Reads the `holidays` of a calendar: dates, or objects with a date and a name. `path` is where they stand.
pub fn holidays_from_json(value: &Value, path: &str) -> Result<Holidays, Vec<Issue>> {
    let Some(list) = value.as_array() else {
        return Err(vec![Issue::new(path, "must be a list such as [{\"date\": \"2026-12-25\", \"name\": \"Christmas Day\"}]")]);
    };
    if list.len() > HOLIDAYS_LIMIT {
        return Err(vec![Issue::new(path, format!("has {} entries; at most {HOLIDAYS_LIMIT} are accepted", list.len()))]);
    }
    let (mut holidays, mut issues) = (Holidays::new(), Vec::new());
    for (index, entry) in list.iter().enumerate() {
        let at = pointer(path, index);
        let (day, name) = match entry {
            Value::String(day) => (Some(day.as_str()), None),
            Value::Object(entry) => (entry.get("date").and_then(Value::as_str), entry.get("name").filter(|name| !name.is_null())),
            _ => (None, None),
        };
        let name = match name {
            None => Some(""),
            Some(name) => name.as_str().filter(|name| name.chars().count() <= HOLIDAY_NAME_LIMIT_CHARS && !name.contains(is_invisible)),
        };
        match (day.and_then(parse_date), name) {
            (Some(day), Some(name)) => {
                holidays.insert(day, name.to_owned());
            }
            (None, _) => issues.push(Issue::new(at, "must have a date such as {\"date\": \"2026-12-25\", \"name\": \"Christmas Day\"}")),
            (_, None) => issues.push(Issue::new(
                pointer(&at, "name"),
                format!("must be text of up to {HOLIDAY_NAME_LIMIT_CHARS} characters, on one line"),
            )),
        }
    }
    if issues.is_empty() { Ok(holidays) } else { Err(issues) }
}

/// The same as it is shown and kept.
pub fn holidays_to_json(holidays: &Holidays) -> Value {
    holidays.iter().map(|(day, name)| json!({"date": day.to_string(), "name": name})).collect()
}

/// What an iCalendar file has.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ImportedHolidays {
    /// Its all-day events, one entry for each of their days.
    pub holidays: Holidays,
    /// Events that are no holidays here: with a time of day, repeated by a rule, called off, without a date, or too long.
    pub ignored: usize,
}

/// The text is no iCalendar file, or has more than a calendar can.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum InvalidIcal {
    /// Not such a file.
    #[error(
        "is no iCalendar file: it begins with BEGIN:VCALENDAR and ends with END:VCALENDAR, with all-day events such as BEGIN:VEVENT, DTSTART;VALUE=DATE:20261225, SUMMARY:Christmas Day, END:VEVENT between them"
    )]
    NoCalendar,
    /// Too many days.
    #[error("has more than {HOLIDAYS_LIMIT} days")]
    TooMany,
}

/// Reads an iCalendar file. Only events that last whole days count; of an event that begins and ends on dates, the end is not part of it.
pub fn read_ical(text: &str) -> Result<ImportedHolidays, InvalidIcal> {
    let lines = unfolded(text);
    let is = |line: &&String, word: &str| line.trim().eq_ignore_ascii_case(word);
    let mut lines = lines.iter().filter(|line| !line.trim().is_empty());
    if !lines.next().is_some_and(|line| is(&line, "BEGIN:VCALENDAR")) {
        return Err(InvalidIcal::NoCalendar);
    }
    let mut imported = ImportedHolidays::default();
    let mut event: Option<Event> = None;
    // What stands inside an event, such as an alarm, says nothing of it.
    let mut inside: usize = 0;
    let mut ended = false;
    for line in lines {
        if is(&line, "END:VCALENDAR") {
            ended = true;
        } else if is(&line, "BEGIN:VEVENT") {
            (event, inside) = (Some(Event::default()), 0);
        } else if is(&line, "END:VEVENT") {
            if let Some(event) = event.take() {
                match event.days() {
                    Some(days) => imported.holidays.extend(days.map(|day| (day, event.summary.clone()))),
                    None => imported.ignored += 1,
                }
            }
            if imported.holidays.len() > HOLIDAYS_LIMIT {
                return Err(InvalidIcal::TooMany);
            }
        } else if let Some(event) = event.as_mut() {
            let upper = line.trim_start().get(..6).map(str::to_ascii_uppercase);
            match upper.as_deref() {
                Some("BEGIN:") => inside += 1,
                Some(word) if word.starts_with("END:") => inside = inside.saturating_sub(1),
                _ if inside == 0 => event.read(line),
                _ => {}
            }
        }
    }
    if ended { Ok(imported) } else { Err(InvalidIcal::NoCalendar) }
}

#[derive(Default)]
struct Event {
    start: Option<Date>,
    end: Option<Date>,
    duration_days: Option<i64>,
    summary: String,
    /// It is none that a holiday is read from.
    odd: bool,
}

impl Event {
    fn read(&mut self, line: &str) {
        let Some((name, value)) = split(line) else { return };
        let mut parts = name.split(';');
        let name = parts.next().unwrap_or_default().to_ascii_uppercase();
        let value = value.trim();
        match name.as_str() {
            "DTSTART" => self.start = basic_date(value),
            "DTEND" => {
                self.end = basic_date(value);
                self.odd |= self.end.is_none();
            }
            "DURATION" => {
                let days = |text: &str| text.parse::<i64>().ok();
                let text = value.strip_prefix('P').unwrap_or_default();
                self.duration_days = text
                    .strip_suffix('D')
                    .and_then(days)
                    .or_else(|| text.strip_suffix('W').and_then(days).map(|weeks| weeks.saturating_mul(7)));
                self.odd |= self.duration_days.is_none();
            }
            "SUMMARY" => self.summary = unescaped(value),
            "RRULE" | "RDATE" => self.odd = true,
            "STATUS" => self.odd |= value.eq_ignore_ascii_case("CANCELLED"),
            _ => {}
        }
    }

    fn days(&self) -> Option<impl Iterator<Item = Date>> {
        let start = self.start.filter(|_| !self.odd)?;
        let days = match (self.end, self.duration_days) {
            (Some(end), _) => i64::from(start.until(end).ok()?.get_days()),
            (None, Some(days)) => days,
            (None, None) => 1,
        };
        // Some writers let an event of one day end on that day.
        let days = usize::try_from(days.max(i64::from(days == 0))).ok().filter(|days| (1..=EVENT_DAYS).contains(days))?;
        Some(crate::cron::dates_from(start).take(days))
    }
}

/// `20261225`; a time of day behind it makes it none.
fn basic_date(value: &str) -> Option<Date> {
    if value.len() != 8 || !value.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    parse_date(&format!("{}-{}-{}", &value[..4], &value[4..6], &value[6..]))
}

/// The name with its parameters, and the value. A colon within quotes is part of a parameter.
fn split(line: &str) -> Option<(&str, &str)> {
    let mut quoted = false;
    let at = line.bytes().position(|byte| {
        quoted ^= byte == b'"';
        byte == b':' && !quoted
    })?;
    Some((&line[..at], &line[at + 1..]))
}

/// The lines, those that go on on the next one put together.
fn unfolded(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for line in text.trim_start_matches('\u{feff}').split('\n') {
        let line = line.strip_suffix('\r').unwrap_or(line);
        match (line.strip_prefix([' ', '\t']), lines.last_mut()) {
            (Some(more), Some(last)) => last.push_str(more),
            _ => lines.push(line.to_owned()),
        }
    }
    lines
}

/// A text value as it is meant, on one line and no longer than a name may be.
fn unescaped(value: &str) -> String {
    let mut out = String::new();
    let mut characters = value.chars();
    while let Some(character) = characters.next() {
        let character = match character {
            '\\' => match characters.next() {
                Some('n' | 'N') => ' ',
                Some(other) => other,
                None => break,
            },
            other => other,
        };
        if !is_invisible(character) {
            out.push(character);
        }
    }
    out.chars().take(HOLIDAY_NAME_LIMIT_CHARS).collect::<String>().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(events: &str) -> String {
        format!("BEGIN:VCALENDAR\r\nVERSION:2.0\r\n{events}END:VCALENDAR\r\n")
    }

    #[test]
    fn all_day_events_are_holidays_and_everything_else_is_ignored() {
        let text = file(
            "BEGIN:VEVENT\r\nDTSTART;VALUE=DATE:20261225\r\nDTEND;VALUE=DATE:20261227\r\nSUMMARY:Christmas\\, both\r\n  days\r\nBEGIN:VALARM\r\nSUMMARY:no\r\nEND:VALARM\r\nEND:VEVENT\r\n\
             BEGIN:VEVENT\r\nDTSTART;VALUE=DATE:20270101\r\nSUMMARY;LANGUAGE=\"x:y\":New Year\r\nEND:VEVENT\r\n\
             BEGIN:VEVENT\r\nDTSTART:20270102T080000Z\r\nSUMMARY:Meeting\r\nEND:VEVENT\r\n\
             BEGIN:VEVENT\r\nDTSTART;VALUE=DATE:20270103\r\nRRULE:FREQ=YEARLY\r\nEND:VEVENT\r\n\
             BEGIN:VEVENT\r\nDTSTART;VALUE=DATE:20270104\r\nSTATUS:CANCELLED\r\nEND:VEVENT\r\n\
             BEGIN:VEVENT\r\nDTSTART;VALUE=DATE:20270105\r\nDURATION:P2D\r\nEND:VEVENT\r\n\
             BEGIN:VEVENT\r\nSUMMARY:no date\r\nEND:VEVENT\r\n",
        );
        let imported = read_ical(&text).unwrap();
        let found: Vec<(String, &str)> = imported.holidays.iter().map(|(day, name)| (day.to_string(), name.as_str())).collect();
        assert_eq!(
            found,
            [
                ("2026-12-25".to_owned(), "Christmas, both days"),
                ("2026-12-26".to_owned(), "Christmas, both days"),
                ("2027-01-01".to_owned(), "New Year"),
                ("2027-01-05".to_owned(), ""),
                ("2027-01-06".to_owned(), "")
            ]
        );
        assert_eq!(imported.ignored, 4);
    }

    #[test]
    fn a_file_that_is_none_or_too_much_is_refused() {
        for bad in ["", "hello", "BEGIN:VCALENDAR\nBEGIN:VEVENT\nDTSTART;VALUE=DATE:20261225\nEND:VEVENT\n", "<ics/>"] {
            assert_eq!(read_ical(bad), Err(InvalidIcal::NoCalendar), "{bad}");
        }
        let days = |count: usize| -> String {
            crate::cron::dates_from(date(2000, 1, 1))
                .take(count)
                .flat_map(|day| {
                    ["BEGIN:VEVENT\nDTSTART;VALUE=DATE:".to_owned(), day.strftime("%Y%m%d").to_string(), "\nEND:VEVENT\n".to_owned()]
                })
                .collect()
        };
        assert_eq!(read_ical(&file(&days(HOLIDAYS_LIMIT))).unwrap().holidays.len(), HOLIDAYS_LIMIT);
        assert_eq!(read_ical(&file(&days(HOLIDAYS_LIMIT + 1))), Err(InvalidIcal::TooMany));
        let long = file("BEGIN:VEVENT\nDTSTART;VALUE=DATE:20000101\nDTEND;VALUE=DATE:29991231\nEND:VEVENT\n");
        assert_eq!(read_ical(&long).unwrap(), ImportedHolidays { holidays: Holidays::new(), ignored: 1 });
    }

    #[test]
    fn holidays_are_dates_with_or_without_names() {
        let holidays =
            holidays_from_json(&json!(["2026-12-25", {"date": "2026-01-01", "name": "New Year"}, {"date": "2026-05-01"}]), "/holidays")
                .unwrap();
        assert_eq!(
            holidays_to_json(&holidays),
            json!([{"date": "2026-01-01", "name": "New Year"}, {"date": "2026-05-01", "name": ""}, {"date": "2026-12-25", "name": ""}])
        );
        let wrong = holidays_from_json(&json!(["2026-02-30", {"date": "2026-01-01", "name": 7}, 5, "2026-12-25T00:00:00"]), "/holidays")
            .unwrap_err();
        let paths: Vec<&str> = wrong.iter().map(|issue| issue.path.as_str()).collect();
        assert_eq!(paths, ["/holidays/0", "/holidays/1/name", "/holidays/2", "/holidays/3"]);
    }
}
