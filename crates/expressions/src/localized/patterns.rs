//! Patterns such as `dd.MM.yyyy HH:mm`: which letters mean something, and those of time zones as the text they stand for.

use jiff::Zoned;

use super::moments::Moment;

/// Characters of a pattern.
const MAX_CHARACTERS: usize = 100;
/// Letters that are handed on.
const DAY: &str = "GyMLdEec";
const TIME: &str = "abhHKms";
/// Letters that become text here.
const FRACTION: char = 'S';
const ZONE: &str = "zZxXOV";

/// All of them, for a refusal.
pub(crate) const LETTERS: &str = "G y M L d E e c a b h H K m s S z Z x X O V";

/// A pattern that cannot be used for this moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Refused {
    TooLong,
    /// Letters without a meaning, and those that were probably meant.
    Letters(String, Option<&'static str>),
    OpenQuote,
    NeedsTime,
    NeedsZone,
}

/// The pattern with zones and fractions of seconds as quoted text.
pub(crate) fn prepared(pattern: &str, moment: &Moment) -> Result<String, Refused> {
    if pattern.chars().count() > MAX_CHARACTERS {
        return Err(Refused::TooLong);
    }
    let mut parts = Parts::default();
    let mut rest = pattern;
    while let Some(first) = rest.chars().next() {
        let run = rest.len() - rest.trim_start_matches(first).len();
        if first == '\'' {
            rest = quoted(&rest[1..], &mut parts)?;
        } else if first.is_ascii_alphabetic() {
            field(&rest[..run], first, moment, &mut parts)?;
            rest = &rest[run..];
        } else {
            parts.text(&rest[..run]);
            rest = &rest[run..];
        }
    }
    Ok(parts.pattern)
}

/// Takes a quoted text behind its opening quote; gives what comes after. Two quotes are one.
fn quoted<'p>(rest: &'p str, parts: &mut Parts) -> Result<&'p str, Refused> {
    if let Some(after) = rest.strip_prefix('\'') {
        parts.text("'");
        return Ok(after);
    }
    let mut rest = rest;
    loop {
        let at = rest.find('\'').ok_or(Refused::OpenQuote)?;
        parts.text(&rest[..at]);
        let Some(after) = rest[at + 1..].strip_prefix('\'') else { return Ok(&rest[at + 1..]) };
        parts.text("'");
        rest = after;
    }
}

fn field(run: &str, letter: char, moment: &Moment, parts: &mut Parts) -> Result<(), Refused> {
    if DAY.contains(letter) {
        parts.field(run);
        return Ok(());
    }
    if TIME.contains(letter) || letter == FRACTION {
        let time = moment.time.ok_or(Refused::NeedsTime)?;
        if letter == FRACTION {
            let digits = format!("{:09}", time.subsec_nanosecond());
            parts.text(digits.get(..run.len()).ok_or_else(|| Refused::Letters(run.to_owned(), None))?);
        } else {
            parts.field(run);
        }
        return Ok(());
    }
    if ZONE.contains(letter) {
        let zoned = moment.zoned.as_ref().ok_or(Refused::NeedsZone)?;
        let text = zone(letter, run.len(), zoned).ok_or_else(|| Refused::Letters(run.to_owned(), None))?;
        parts.text(&text);
        return Ok(());
    }
    let meant = match letter {
        'Y' | 'u' => Some("y"),
        'D' => Some("d"),
        'k' => Some("H"),
        'A' | 'p' => Some("a"),
        _ => None,
    };
    Err(Refused::Letters(run.to_owned(), meant))
}

/// The zone as these letters have it; none where they are too many or too few.
fn zone(letter: char, count: usize, zoned: &Zoned) -> Option<String> {
    let seconds = zoned.offset().seconds();
    let (sign, minutes) = (if seconds < 0 { '-' } else { '+' }, seconds.unsigned_abs() / 60);
    let (hours, minutes) = (minutes / 60, minutes % 60);
    let basic = || format!("{sign}{hours:02}{minutes:02}");
    let extended = || format!("{sign}{hours:02}:{minutes:02}");
    let short = || if minutes == 0 { format!("{sign}{hours:02}") } else { basic() };
    let greenwich = |text: String| if seconds == 0 { "GMT".to_owned() } else { format!("GMT{text}") };
    Some(match (letter, count) {
        ('X', 1..=3) if seconds == 0 => "Z".to_owned(),
        ('X' | 'x', 1) => short(),
        ('X' | 'x', 2) | ('Z', 1..=3) => basic(),
        ('X' | 'x', 3) | ('Z', 5) => extended(),
        ('O', 1) if minutes == 0 => greenwich(format!("{sign}{hours}")),
        ('O', 1) => greenwich(format!("{sign}{hours}:{minutes:02}")),
        ('O' | 'Z', 4) => greenwich(extended()),
        ('z', 1..=3) => zoned.strftime("%Z").to_string(),
        ('V', 2) => zoned.time_zone().iana_name()?.to_owned(),
        _ => return None,
    })
}

/// The pattern being put together. Two quoted texts side by side are written as one, or their quotes would be read as one quote.
#[derive(Default)]
struct Parts {
    pattern: String,
    ends_in_text: bool,
}

impl Parts {
    fn field(&mut self, run: &str) {
        self.pattern.push_str(run);
        self.ends_in_text = false;
    }

    fn text(&mut self, text: &str) {
        if text.is_empty() {
            return;
        }
        if self.ends_in_text {
            self.pattern.pop();
        } else {
            self.pattern.push('\'');
        }
        self.pattern.push_str(&text.replace('\'', "''"));
        self.pattern.push('\'');
        self.ends_in_text = true;
    }
}
