//! What many values of the data come to: a sum, an average, a count, the least or the greatest, in decimal digits.

use expressions::{Expression, Partials, Scope};
use serde_json::{Value, json};

use super::format::Format;
use crate::error::DocumentError;
use crate::fields::{Fields, Formula, Text};
use crate::writer::Writer;

/// What is reckoned, from what, and how the result is written.
#[derive(Debug)]
pub(crate) struct Total {
    kind: &'static str,
    /// What counts of an item.
    value: Formula,
    /// From the list of what counts to the result.
    act: Formula,
    /// How the result is written; it is `this`.
    text: Text,
}

/// The words, with what each asks of the list of values.
pub(crate) const TOTALS: [(&str, &str); 5] =
    [("sum", "sum this"), ("avg", "avg this"), ("count", "count this"), ("min", "min this"), ("max", "max this")];

/// Whether the result is a number of items, which is written as it is.
pub(crate) fn is_count(act: &str) -> bool {
    act == "count this"
}

impl Total {
    /// Of `value`, by one of the [`TOTALS`]. Problems are told about the property `name`.
    pub(crate) fn new(
        fields: &mut Fields<'_, '_>,
        name: &'static str,
        act: &'static str,
        value: Formula,
        format: Option<&Format>,
    ) -> Option<Self> {
        let text = format.filter(|_| !is_count(act)).map_or_else(|| "{{this}}".to_owned(), |format| format.of("this"));
        let text = fields.template(name, &text, &Partials::default())?;
        let expression = Expression::parse(act, &fields.reading.limits.parsing).ok()?;
        Some(Self { kind: act, act: Formula { expression, property: value.property.clone() }, value, text })
    }

    pub(crate) fn counted(&self) -> &Formula {
        &self.value
    }

    /// What counts of one item; nothing where it is missing.
    pub(crate) fn value(&self, writer: &mut Writer<'_>, scope: &Scope<'_>) -> Result<Option<Value>, DocumentError> {
        writer.charge(1)?;
        let Some(found) = writer.evaluate(&self.value, scope)? else { return Ok(None) };
        // Lists and objects come to nothing and would be copied whole: their kind is enough for the refusal.
        Ok(found.as_value().filter(|value| !value.is_null()).map(|value| match &*value {
            Value::Array(_) => json!([]),
            Value::Object(_) => json!({}),
            plain => plain.clone(),
        }))
    }

    pub(crate) fn is_sum(&self) -> bool {
        self.kind == "sum this"
    }

    /// What the values come to.
    pub(crate) fn result(&self, values: Vec<Value>, writer: &mut Writer<'_>, scope: &Scope<'_>) -> Result<Option<Value>, DocumentError> {
        writer.charge(u64::try_from(values.len()).unwrap_or(u64::MAX))?;
        let list = Value::Array(values);
        let inner = scope.child(&list);
        let Some(found) = writer.evaluate(&self.act, &inner)? else { return Ok(None) };
        Ok(found.as_value().map(std::borrow::Cow::into_owned))
    }

    /// Writes a result.
    pub(crate) fn write_result(&self, result: &Value, writer: &mut Writer<'_>, scope: &Scope<'_>) -> Result<(), DocumentError> {
        writer.text(&self.text, &scope.child(result))
    }

    /// Writes what the values come to.
    pub(crate) fn write(&self, values: Vec<Value>, writer: &mut Writer<'_>, scope: &Scope<'_>) -> Result<(), DocumentError> {
        match self.result(values, writer, scope)? {
            Some(result) => self.write_result(&result, writer, scope),
            None => Ok(()),
        }
    }
}
