//! What a piece of text means.

use serde_json::{Number, Value};

/// Whether texts become numbers and the like.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Types {
    /// All values are text, as they stand in the file.
    #[default]
    Text,
    /// What is written as a number, `true` or `false` becomes one; nothing becomes null.
    Infer,
}

/// The most digits that every number can have and stay what it is.
const SURE_DIGITS: usize = 15;

impl Types {
    /// The value of a text.
    pub fn value_of(self, text: &str) -> Value {
        if self == Self::Text {
            return Value::from(text);
        }
        match text.trim() {
            "" => Value::Null,
            "true" | "TRUE" | "True" => Value::Bool(true),
            "false" | "FALSE" | "False" => Value::Bool(false),
            trimmed => number(trimmed).map_or_else(|| Value::from(text), Value::Number),
        }
    }
}

/// A number as JSON writes them, short enough to be exact. `007`, `+1`, `1e5` and card numbers are none: they are names of things.
fn number(text: &str) -> Option<Number> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = digits.split_once('.').map_or((digits, None), |(whole, fraction)| (whole, Some(fraction)));
    let all_digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let has_leading_zero = whole.len() > 1 && whole.starts_with('0');
    let count = whole.len() + fraction.map_or(0, str::len);
    if !all_digits(whole) || !fraction.is_none_or(all_digits) || has_leading_zero || count > SURE_DIGITS {
        return None;
    }
    match fraction {
        None => text.parse::<i64>().ok().map(Number::from),
        Some(_) => text.parse::<f64>().ok().and_then(rounded),
    }
}

/// A number as a spreadsheet shows it: to fifteen digits, which leaves out what binary fractions add, and whole where it is whole.
pub fn rounded(number: f64) -> Option<Number> {
    if !number.is_finite() {
        return None;
    }
    let number: f64 = format!("{number:.14e}").parse().ok()?;
    if number.fract() == 0.0 && number.abs() < 1e15 {
        return format!("{number:.0}").parse::<i64>().ok().map(Number::from);
    }
    Number::from_f64(number)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_stays_exact_becomes_a_number() {
        let numbers = [
            ("0", json!(0)),
            ("-12", json!(-12)),
            ("1.50", json!(1.5)),
            (" 7 ", json!(7)),
            ("999999999999999", json!(999_999_999_999_999_i64)),
        ];
        for (text, expected) in numbers {
            assert_eq!(Types::Infer.value_of(text), expected, "{text}");
        }
        for text in ["007", "+1", "1e5", "1,5", ".5", "5.", "4111111111111111", "NaN", "--1", "1.2.3", "٣", "0x1"] {
            assert_eq!(Types::Infer.value_of(text), json!(text));
        }
        assert_eq!(Types::Infer.value_of("  "), Value::Null);
        assert_eq!((Types::Infer.value_of("TRUE"), Types::Text.value_of("1")), (json!(true), json!("1")));
    }

    #[test]
    fn a_sum_of_a_spreadsheet_has_no_dust() {
        for (given, shown) in [
            (0.1 + 0.2, "0.3"),
            (1_234.560_000_000_000_1, "1234.56"),
            (19.99 * 3.0, "59.97"),
            (-2.0, "-2"),
            (1e21, "1e+21"),
            (1e-7, "1e-7"),
            (-0.0, "0"),
        ] {
            assert_eq!(rounded(given).unwrap().to_string(), shown);
        }
        assert_eq!(rounded(f64::NAN), None);
    }
}
