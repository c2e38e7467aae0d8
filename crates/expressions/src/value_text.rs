//! Values as JavaScript prints them.

use std::fmt::Write as _;

use serde_json::{Map, Value};

use crate::evaluate::steps_of;

/// Appends a number as `String(number)` gives it: shortest digits that read back as the same double, exponents from
/// 1e21 up and below 1e-6.
pub(crate) fn push_number(out: &mut String, number: f64) {
    let size = number.abs();
    // Writing into a String cannot fail.
    let _ = if number.is_nan() {
        out.write_str("NaN")
    } else if number.is_infinite() {
        out.write_str(if number > 0.0 { "Infinity" } else { "-Infinity" })
    } else if size == 0.0 {
        out.write_str("0")
    } else if (1e-6..1e21).contains(&size) {
        write!(out, "{number}")
    } else {
        let text = format!("{number:e}");
        match text.split_once('e') {
            Some((digits, exponent)) if !exponent.starts_with('-') => write!(out, "{digits}e+{exponent}"),
            _ => out.write_str(&text),
        }
    };
}

/// A piece of a value's text.
pub(crate) enum Piece<'v> {
    /// May hold characters with a meaning in HTML.
    Text(&'v str),
    Number(f64),
    /// Fixed text without such characters.
    Plain(&'static str),
}

/// Hands the pieces of `value`'s text to `emit` in order: arrays joined by commas with empty places for null, objects as
/// `[object Object]`. Without recursion, whatever the depth of the data.
pub(crate) fn each_piece<E>(value: &Value, mut emit: impl FnMut(Piece<'_>) -> Result<(), E>) -> Result<(), E> {
    let mut open: Vec<std::slice::Iter<'_, Value>> = Vec::new();
    if let Some(items) = one_piece(value, &mut emit)? {
        open.push(items.iter());
    }
    let mut first = true;
    while let Some(items) = open.last_mut() {
        let Some(item) = items.next() else {
            open.pop();
            first = false;
            continue;
        };
        if !first {
            emit(Piece::Plain(","))?;
        }
        first = false;
        if item.is_null() {
            emit(Piece::Plain(""))?;
        } else if let Some(inner) = one_piece(item, &mut emit)? {
            open.push(inner.iter());
            first = true;
        }
    }
    Ok(())
}

/// Emits a value that is not an array; hands an array back.
fn one_piece<'v, E>(value: &'v Value, emit: &mut impl FnMut(Piece<'_>) -> Result<(), E>) -> Result<Option<&'v Vec<Value>>, E> {
    match value {
        Value::Array(items) => {
            emit(Piece::Plain(""))?;
            return Ok(Some(items));
        }
        Value::Null => emit(Piece::Plain("null"))?,
        Value::Bool(true) => emit(Piece::Plain("true"))?,
        Value::Bool(false) => emit(Piece::Plain("false"))?,
        Value::Number(number) => emit(Piece::Number(number.as_f64().unwrap_or(f64::NAN)))?,
        Value::String(text) => emit(Piece::Text(text))?,
        Value::Object(_) => emit(Piece::Plain("[object Object]"))?,
    }
    Ok(None)
}

/// The text of a value as JavaScript's `String(value)` gives it.
pub(crate) fn text_of(value: &Value) -> String {
    let mut out = String::new();
    let done: Result<(), std::convert::Infallible> = each_piece(value, |piece| {
        match piece {
            Piece::Text(text) | Piece::Plain(text) => out.push_str(text),
            Piece::Number(number) => push_number(&mut out, number),
        }
        Ok(())
    });
    match done {
        Ok(()) => out,
        Err(never) => match never {},
    }
}

/// What writing the text of a value costs, in steps.
pub(crate) fn text_steps(value: &Value) -> u64 {
    let mut steps = 0;
    let done: Result<(), std::convert::Infallible> = each_piece(value, |piece| {
        steps += match piece {
            Piece::Text(text) => 1 + steps_of(text.len()),
            Piece::Plain(_) | Piece::Number(_) => 1,
        };
        Ok(())
    });
    match done {
        Ok(()) => steps,
        Err(never) => match never {},
    }
}

/// Whether the text of a value is `text`, found out at the price of what they have in common.
pub(crate) fn is_text_of(value: &Value, text: &str) -> bool {
    let mut rest = text;
    let mut number_text = String::new();
    let compared: Result<(), ()> = each_piece(value, |piece| {
        let piece = match piece {
            Piece::Text(text) | Piece::Plain(text) => text,
            Piece::Number(number) => {
                number_text.clear();
                push_number(&mut number_text, number);
                &number_text
            }
        };
        rest = rest.strip_prefix(piece).ok_or(())?;
        Ok(())
    });
    compared.is_ok_and(|()| rest.is_empty())
}

/// The keys of an object in the order JavaScript visits them: array indexes ascending, then the others as written.
/// None when that is simply the order as written.
pub(crate) fn reordered_keys(object: &Map<String, Value>) -> Option<Vec<&String>> {
    let index = |key: &str| crate::characters::array_index(key);
    if !object.keys().any(|key| index(key).is_some()) {
        return None;
    }
    let mut keys: Vec<(usize, &String)> = object.keys().map(|key| (index(key).unwrap_or(usize::MAX), key)).collect();
    keys.sort_by_key(|(index, _)| *index);
    Some(keys.into_iter().map(|(_, key)| key).collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn number(value: f64) -> String {
        let mut out = String::new();
        push_number(&mut out, value);
        out
    }

    #[test]
    fn numbers_print_as_in_javascript() {
        let cases = [
            (0.0, "0"),
            (-0.0, "0"),
            (5.0, "5"),
            (-1.5, "-1.5"),
            (0.1 + 0.2, "0.30000000000000004"),
            (1e20, "100000000000000000000"),
            (1e21, "1e+21"),
            (-1.25e22, "-1.25e+22"),
            (0.000_001, "0.000001"),
            (0.000_000_1, "1e-7"),
            (1.5e-7, "1.5e-7"),
            (9_007_199_254_740_993.0, "9007199254740992"),
            (f64::MAX, "1.7976931348623157e+308"),
            (5e-324, "5e-324"),
            (f64::NAN, "NaN"),
            (f64::NEG_INFINITY, "-Infinity"),
        ];
        for (value, text) in cases {
            assert_eq!(number(value), text);
        }
    }

    #[test]
    fn arrays_are_joined_by_commas_at_any_depth() {
        assert_eq!(text_of(&json!([1, null, "a", [2, [], [3, {"b": 1}]], true])), "1,,a,2,,3,[object Object],true");
        let mut deep = json!([]);
        for _ in 0..100_000 {
            deep = Value::Array(vec![deep]);
        }
        assert_eq!(text_of(&deep), "");
        // Dropping a value this deep would overflow the stack in serde_json itself.
        while let Value::Array(mut items) = deep {
            deep = items.pop().unwrap_or_default();
        }
    }

    #[test]
    fn keys_that_are_array_indexes_come_first() {
        let value = json!({"b": 1, "10": 2, "2": 3, "01": 4});
        let keys = reordered_keys(value.as_object().unwrap()).unwrap();
        assert_eq!(keys, ["2", "10", "b", "01"]);
        assert!(reordered_keys(json!({"b": 1, "a": 2}).as_object().unwrap()).is_none());
    }
}
