//! What a printed value is, beside its text: for formats that keep numbers, dates and truth values as such.

use jiff::civil::{Date, Time};
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;

use crate::localized::Fraction;
use crate::localized::moments::Moment;
use crate::tree::Expr;
use crate::value::{Evaluated, View};

/// Digits that a number may have and still be the same number in every program: 64-bit floating point keeps 15.
const EXACT_DIGITS: usize = 15;
/// The first whole number with more digits.
const INEXACT: f64 = 1e15;
/// The helpers whose text is a spelling of their first argument.
const SPELLING: [&str; 4] = ["number", "percent", "currency", "date"];
/// Letters of a date pattern that stand for a time of day.
const TIME_LETTERS: [char; 7] = ['H', 'h', 'K', 'k', 'm', 's', 'a'];

/// What a text is a spelling of.
#[derive(Debug, Clone, PartialEq)]
pub enum Meaning {
    /// A number of at most 15 digits.
    Number {
        /// The number itself, not rounded to what is shown.
        value: f64,
        /// How it is written.
        look: NumberLook,
        /// Digits after the decimal separator that are shown; of a percentage those after multiplying by 100.
        decimals: u32,
    },
    /// A date, on the clocks of the document's zone.
    Date {
        /// The day.
        date: Date,
        /// The time of day, where it is shown.
        time: Option<Time>,
    },
    /// True or false.
    Truth(bool),
}

/// How a number is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NumberLook {
    /// As it is.
    Plain,
    /// With its thousands set apart as a language does it.
    Grouped,
    /// Without setting thousands apart.
    Ungrouped,
    /// Times a hundred, as per cent.
    Percent,
    /// As an amount of the currency of this ISO 4217 code.
    Money(Box<str>),
}

/// Whether anybody asks what printed values are.
#[derive(Debug, Default)]
pub(crate) enum Watch {
    #[default]
    Off,
    /// With what was printed last.
    On(Option<Meaning>),
}

impl Watch {
    /// A helper says what its text is a spelling of.
    pub(crate) fn note(&mut self, meaning: impl FnOnce() -> Option<Meaning>) {
        if let Self::On(noted) = self {
            *noted = meaning();
        }
    }

    /// A value is printed.
    pub(crate) fn printed(&mut self, expr: &Expr, value: &Evaluated<'_>) {
        let Self::On(noted) = self else { return };
        match value.view() {
            View::Number(number) => *noted = plain(number),
            View::Bool(truth) => *noted = Some(Meaning::Truth(truth)),
            // What a helper noted is the text's meaning only where that helper made the text.
            View::Text(_) if is_spelling(expr) => {}
            _ => *noted = None,
        }
    }

    pub(crate) fn take(&mut self) -> Option<Meaning> {
        match std::mem::take(self) {
            Self::On(noted) => noted,
            Self::Off => None,
        }
    }
}

fn is_spelling(expr: &Expr) -> bool {
    matches!(expr, Expr::Call(call) if call.helper.is_some_and(|helper| SPELLING.contains(&helper.name)))
}

fn plain(value: f64) -> Option<Meaning> {
    let is_exact = value.is_finite() && value.abs() < INEXACT;
    is_exact.then_some(Meaning::Number { value, look: NumberLook::Plain, decimals: 0 })
}

/// What the number is that a helper writes with so many digits; none for one of more digits than programs keep.
pub(crate) fn of_number(number: Decimal, fraction: Fraction, look: NumberLook) -> Option<Meaning> {
    let power = if look == NumberLook::Percent { 2 } else { 0 };
    let number = number.normalize();
    let digits = number.mantissa().unsigned_abs().to_string().len();
    let shown = number.round_dp(fraction.max.saturating_add(power)).normalize().scale().saturating_sub(power);
    let value = number.to_f64().filter(|value| digits <= EXACT_DIGITS && value.is_finite())?;
    Some(Meaning::Number { value, look, decimals: shown.clamp(fraction.min, fraction.max) })
}

/// What the date is that a helper writes. Its time counts where it is shown.
pub(crate) fn of_date(moment: &Moment, shows_time: bool) -> Meaning {
    Meaning::Date { date: moment.date, time: moment.time.filter(|_| shows_time) }
}

/// Whether a date pattern shows a time of day; what stands in quotes is text.
pub(crate) fn shows_time(pattern: &str) -> bool {
    pattern.split('\'').step_by(2).any(|part| part.contains(TIME_LETTERS))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Budget, Escape, Limits, Regional, Run, Scope, Template};
    use serde_json::json;

    fn meaning(source: &str) -> (String, Option<Meaning>) {
        let data = json!({"n": 1234.5, "big": 12_345_678_901_234_567_u64, "id": "007", "yes": true, "share": 0.081, "price": "-1234.50",
            "day": "2026-12-01", "at": "2026-12-01T23:30:00Z", "none": null});
        let regional = Regional { time_zone: jiff::tz::TimeZone::get("Europe/Zurich").unwrap(), ..Regional::default() };
        let mut run = Run::new(Budget::default()).with_escape(Escape::None).with_regional(regional);
        let template = Template::parse(source, &Limits::default()).unwrap();
        let mut out = String::new();
        let found = template.render_with_meaning(&Scope::root(&data), &mut run, &mut out).unwrap();
        (out, found)
    }

    fn number(value: f64, look: NumberLook, decimals: u32) -> Meaning {
        Meaning::Number { value, look, decimals }
    }

    #[test]
    fn a_text_that_is_one_value_keeps_what_it_is_a_spelling_of() {
        let euro = || NumberLook::Money("EUR".into());
        for (source, wanted) in [
            ("{{n}}", number(1234.5, NumberLook::Plain, 0)),
            ("{{multiply n 2}}", number(2469.0, NumberLook::Plain, 0)),
            ("{{number n}}", number(1234.5, NumberLook::Grouped, 1)),
            ("{{number n decimals=2 grouping=false}}", number(1234.5, NumberLook::Ungrouped, 2)),
            ("{{percent share}}", number(0.081, NumberLook::Percent, 1)),
            ("{{currency price \"EUR\"}}", number(-1234.5, euro(), 2)),
            ("{{currency price \"JPY\"}}", number(-1234.5, NumberLook::Money("JPY".into()), 0)),
            ("{{currency price \"EUR\" display=\"none\"}}", number(-1234.5, NumberLook::Grouped, 2)),
            ("{{currency (number n grouping=false locale=\"en\") \"EUR\"}}", number(1234.5, euro(), 2)),
            ("{{yes}}", Meaning::Truth(true)),
        ] {
            assert_eq!(meaning(source).1, Some(wanted), "{source}");
        }
        let day = jiff::civil::date(2026, 12, 1);
        assert_eq!(meaning("{{date day}}").1, Some(Meaning::Date { date: day, time: None }));
        // The clocks of the zone are an hour ahead, which is another day.
        let at = meaning("{{date at \"dd.MM.yyyy HH:mm\"}}");
        assert_eq!(
            at,
            (
                "02.12.2026 00:30".to_owned(),
                Some(Meaning::Date { date: jiff::civil::date(2026, 12, 2), time: Some(jiff::civil::time(0, 30, 0, 0)) })
            )
        );
        assert_eq!(
            meaning("{{date at \"dd.MM.yyyy 'hours'\"}}").1,
            Some(Meaning::Date { date: jiff::civil::date(2026, 12, 2), time: None })
        );
    }

    #[test]
    fn any_other_text_is_only_text() {
        for source in [
            "{{id}}",
            "{{big}}",
            "{{none}}",
            "{{missing}}",
            "x{{n}}",
            "{{n}} ",
            "{{n}}{{n}}",
            "{{upper (number n)}}",
            "{{number big}}",
            "12",
            "{{#if yes}}{{n}}{{/if}}",
        ] {
            assert_eq!(meaning(source).1, None, "{source}");
        }
    }
}
