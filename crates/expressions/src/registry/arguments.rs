//! What helpers ask of their arguments: numbers, texts, lists, fields of items, and what they say when they get something else.

use rust_decimal::Decimal;
use serde_json::Value;

use super::Invocation;
use crate::characters::array_index;
use crate::error::ExpressionError;
use crate::run::MissingReason;
use crate::tree::Segment;
use crate::value::{Evaluated, View};

impl<'s> Invocation<'_, '_, '_, 's> {
    /// A positional argument that is there; a missing one is noted like a missing value that is printed.
    pub(crate) fn required(&mut self, at: usize) -> Result<Option<Evaluated<'s>>, ExpressionError> {
        let Some(expr) = self.call.args.get(at) else { return Ok(None) };
        let value = self.evaluator.required(expr, self.scope)?;
        Ok((!value.is_nullish()).then_some(value))
    }

    /// A number; a text that is one counts. None where it is missing.
    pub(crate) fn number(&mut self, at: usize) -> Result<Option<Decimal>, ExpressionError> {
        let Some(value) = self.required(at)? else { return Ok(None) };
        match number_of(value.view()) {
            Some(number) => Ok(Some(number)),
            None => Err(self.refused(at, "a number of up to 28 digits", value.view())),
        }
    }

    /// A text; numbers and truth values are texts too. None where it is missing.
    pub(crate) fn text(&mut self, at: usize) -> Result<Option<String>, ExpressionError> {
        let Some(value) = self.required(at)? else { return Ok(None) };
        if matches!(value.view(), View::Array(_) | View::Object(_)) {
            return Err(self.refused(at, "a text", value.view()));
        }
        self.charge(value.text_steps())?;
        Ok(Some(value.to_text()))
    }

    /// A list. None where it is missing, which is noted as `{{#each}}` notes it.
    pub(crate) fn list(&mut self, at: usize) -> Result<Option<Evaluated<'s>>, ExpressionError> {
        let value = self.arg(at)?;
        match value.view() {
            View::Array(_) => Ok(Some(value)),
            View::Undefined | View::Null => {
                if let Some(subject) = self.call.args.get(at) {
                    self.evaluator.note_missing(subject, self.scope, MissingReason::MissingCollection)?;
                }
                Ok(None)
            }
            other => Err(self.refused(at, "a list", other)),
        }
    }

    /// The path of a field within items, such as `price` or `line.total`. None where it is not given.
    pub(crate) fn field(&mut self, at: usize) -> Result<Option<Field>, ExpressionError> {
        if at >= self.arg_count() {
            return Ok(None);
        }
        let value = self.arg(at)?;
        match value.view() {
            View::Text(text) if !text.is_empty() => Ok(Some(Field::of(text))),
            other => Err(self.refused(at, "the name of a field in quotes", other)),
        }
    }

    /// Pays for work that grows with the input.
    pub(crate) fn charge(&mut self, steps: u64) -> Result<(), ExpressionError> {
        self.evaluator.charge(steps, self.call.span.start)
    }

    /// Pays for copying a value.
    pub(crate) fn charge_copy(&mut self, value: &Value) -> Result<(), ExpressionError> {
        self.charge(1 + size_of(value))
    }

    /// The argument is something else than the helper needs.
    #[cold]
    pub(crate) fn refused(&self, at: usize, wanted: &str, found: View<'_>) -> ExpressionError {
        let name = self.call.name.as_ref();
        self.wrong(format!("`{name}` needs {wanted} as its {} argument, not {}", ordinal(at), kind_of(found)))
    }

    /// Something about the arguments is wrong.
    #[cold]
    pub(crate) fn wrong(&self, message: String) -> ExpressionError {
        let at = self.evaluator.position(self.call.span.start);
        ExpressionError::Arguments { helper: self.call.name.to_string(), message, at }
    }
}

/// The path of a field within items.
pub(crate) struct Field(Vec<Segment>);

impl Field {
    fn of(text: &str) -> Self {
        Self(text.split('.').map(|name| Segment { index: array_index(name), name: name.into() }).collect())
    }

    /// What the item has there; the item itself where no field is asked for.
    pub(crate) fn within<'v>(field: Option<&Self>, item: &'v Value) -> Evaluated<'v> {
        let segments = field.map_or(&[][..], |field| &field.0);
        segments.iter().fold(Evaluated::Borrowed(item), Evaluated::property)
    }

    /// As it was written.
    pub(crate) fn written(&self) -> String {
        self.0.iter().map(|segment| &*segment.name).collect::<Vec<_>>().join(".")
    }
}

/// The exact number that a value is, as it is written: 0.1 is a tenth. None for what is no number, and for numbers of more
/// than 28 digits.
pub(crate) fn number_of(value: View<'_>) -> Option<Decimal> {
    match value {
        View::Number(number) => {
            let text = number.to_string();
            Decimal::from_str_exact(&text).ok()
        }
        View::Text(text) => {
            let text = text.trim();
            let plain = text.len() <= 40 && text.bytes().any(|byte| byte.is_ascii_digit());
            let plain = plain && text.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'-' | b'.' | b'+'));
            plain.then(|| Decimal::from_str_exact(text).ok()).flatten()
        }
        _ => None,
    }
}

/// The number as a value.
pub(crate) fn from_number<'s>(number: Decimal) -> Evaluated<'s> {
    let number = number.normalize().to_string().parse::<f64>().unwrap_or(f64::NAN);
    Evaluated::Owned(Value::from(number))
}

/// Values in a value, itself and text included.
fn size_of(value: &Value) -> u64 {
    let mut size = 0;
    let mut open = vec![value];
    while let Some(value) = open.pop() {
        size += 1;
        match value {
            Value::Array(items) => open.extend(items),
            Value::Object(fields) => open.extend(fields.values()),
            Value::String(text) => size += crate::evaluate::steps_of(text.len()),
            _ => {}
        }
    }
    size
}

pub(crate) fn ordinal(at: usize) -> String {
    match at + 1 {
        1 => "1st".to_owned(),
        2 => "2nd".to_owned(),
        3 => "3rd".to_owned(),
        other => format!("{other}th"),
    }
}

/// What a value is, without saying what is in it.
pub(crate) fn kind_of(value: View<'_>) -> &'static str {
    match value {
        View::Undefined => "something that is not there",
        View::Null => "null",
        View::Bool(_) => "true or false",
        View::Number(_) => "a number",
        View::Text("") => "an empty text",
        View::Text(_) => "a text",
        View::Array(_) => "a list",
        View::Object(_) => "an object",
    }
}
