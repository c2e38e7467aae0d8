//! What an expression gives: a value of the data, one made on the way, or nothing.

use std::borrow::Cow;

use serde_json::{Map, Value};

use crate::tree::Segment;
use crate::value_text::{is_text_of, text_of, text_steps};

/// The result of an expression.
#[derive(Debug, Clone)]
pub enum Evaluated<'a> {
    /// No such value (JavaScript's `undefined`); prints as nothing.
    Undefined,
    /// A value of the data or a literal of the template.
    Borrowed(&'a Value),
    /// A text of the data that is not a value by itself, such as `@key`.
    Text(&'a str),
    /// A value made by a helper or a counter.
    Owned(Value),
    /// Markup made by a helper out of escaped parts: the only thing that `{{…}}` prints into HTML as it is.
    Markup(Box<Markup>),
}

/// Markup that is safe where text may stand in HTML, whatever the data.
#[derive(Debug, Clone)]
pub struct Markup {
    pub(crate) html: String,
    /// The same without markup, for attributes, file names and other plain text. None where there is no such thing.
    pub(crate) text: Option<String>,
}

impl Markup {
    /// As anything but a printer sees it.
    fn as_text(&self) -> &str {
        self.text.as_deref().unwrap_or(&self.html)
    }
}

/// A value seen by kind, wherever it lives.
#[derive(Debug, Clone, Copy)]
pub(crate) enum View<'v> {
    Undefined,
    Null,
    Bool(bool),
    Number(f64),
    Text(&'v str),
    Array(&'v Vec<Value>),
    Object(&'v Map<String, Value>),
}

impl<'v> View<'v> {
    pub(crate) fn of(value: Option<&'v Value>) -> Self {
        match value {
            None => Self::Undefined,
            Some(Value::Null) => Self::Null,
            Some(Value::Bool(flag)) => Self::Bool(*flag),
            Some(Value::Number(number)) => Self::Number(number.as_f64().unwrap_or(f64::NAN)),
            Some(Value::String(text)) => Self::Text(text),
            Some(Value::Array(items)) => Self::Array(items),
            Some(Value::Object(object)) => Self::Object(object),
        }
    }

    /// JavaScript's truth: false, 0, NaN, "", null and undefined are false.
    pub(crate) fn is_truthy(self) -> bool {
        match self {
            Self::Undefined | Self::Null => false,
            Self::Bool(flag) => flag,
            Self::Number(number) => number != 0.0 && !number.is_nan(),
            Self::Text(text) => !text.is_empty(),
            Self::Array(_) | Self::Object(_) => true,
        }
    }

    /// Handlebars' emptiness: what is false except 0, and the empty array.
    pub(crate) fn is_empty(self) -> bool {
        match self {
            Self::Array(items) => items.is_empty(),
            Self::Number(number) => number.is_nan(),
            other => !other.is_truthy(),
        }
    }
}

impl<'a> Evaluated<'a> {
    /// The value, or None for undefined.
    pub fn as_value(&self) -> Option<Cow<'_, Value>> {
        match self {
            Self::Undefined => None,
            Self::Borrowed(value) => Some(Cow::Borrowed(value)),
            Self::Text(text) => Some(Cow::Owned(Value::String((*text).to_owned()))),
            Self::Owned(value) => Some(Cow::Borrowed(value)),
            Self::Markup(markup) => Some(Cow::Owned(Value::String(markup.as_text().to_owned()))),
        }
    }

    /// What printing it costs, in steps.
    pub(crate) fn text_steps(&self) -> u64 {
        self.as_value().map_or(0, |value| text_steps(&value))
    }

    /// The value, borrowed from the data where it comes from there, or None for undefined.
    pub fn into_value(self) -> Option<Cow<'a, Value>> {
        match self {
            Self::Undefined => None,
            Self::Borrowed(value) => Some(Cow::Borrowed(value)),
            Self::Text(text) => Some(Cow::Owned(Value::String(text.to_owned()))),
            Self::Owned(value) => Some(Cow::Owned(value)),
            Self::Markup(markup) => Some(Cow::Owned(Value::String(markup.text.unwrap_or(markup.html)))),
        }
    }

    /// Whether `{{#if}}` takes it for true: not false, 0, "", null, undefined or the empty array.
    pub fn is_truthy(&self) -> bool {
        self.view().is_truthy() && !self.view().is_empty()
    }

    /// As JavaScript prints it inside a template: null and undefined as nothing.
    pub fn to_text(&self) -> String {
        match self {
            Self::Undefined | Self::Borrowed(Value::Null) | Self::Owned(Value::Null) => String::new(),
            Self::Text(text) => (*text).to_owned(),
            Self::Borrowed(value) => text_of(value),
            Self::Owned(value) => text_of(value),
            Self::Markup(markup) => markup.as_text().to_owned(),
        }
    }

    pub(crate) fn view(&self) -> View<'_> {
        match self {
            Self::Undefined => View::Undefined,
            Self::Borrowed(value) => View::of(Some(value)),
            Self::Text(text) => View::Text(text),
            Self::Owned(value) => View::of(Some(value)),
            Self::Markup(markup) => View::Text(markup.as_text()),
        }
    }

    pub(crate) fn is_nullish(&self) -> bool {
        matches!(self.view(), View::Undefined | View::Null)
    }

    /// The own property of this name, as JavaScript has it: null and undefined stay what they are.
    pub(crate) fn property(self, segment: &Segment) -> Self {
        match self {
            Self::Borrowed(value) => property(value, segment),
            Self::Text(text) => text_property(text, segment),
            Self::Undefined => Self::Undefined,
            Self::Owned(value) => property(&value, segment).detached(),
            Self::Markup(markup) => text_property(markup.as_text(), segment).detached(),
        }
    }

    /// The same, borrowing nothing.
    fn detached<'b>(self) -> Evaluated<'b> {
        match self {
            Self::Undefined => Evaluated::Undefined,
            Self::Borrowed(value) => Evaluated::Owned(value.clone()),
            Self::Text(text) => Evaluated::Owned(Value::String(text.to_owned())),
            Self::Owned(value) => Evaluated::Owned(value),
            Self::Markup(markup) => Evaluated::Markup(markup),
        }
    }
}

fn property<'v>(value: &'v Value, segment: &Segment) -> Evaluated<'v> {
    let found = match value {
        Value::Object(object) => object.get(&*segment.name),
        Value::Array(items) => match segment.index {
            Some(index) => items.get(index),
            None if &*segment.name == "length" => return Evaluated::Owned(Value::from(items.len())),
            None => None,
        },
        Value::String(text) => return text_property(text, segment),
        Value::Null => Some(value),
        Value::Bool(_) | Value::Number(_) => None,
    };
    found.map_or(Evaluated::Undefined, Evaluated::Borrowed)
}

/// Length and single characters of a text, both in UTF-16 units; half of a surrogate pair reads as U+FFFD.
fn text_property<'v>(text: &str, segment: &Segment) -> Evaluated<'v> {
    if let Some(index) = segment.index {
        let unit = text.encode_utf16().nth(index);
        return unit.map_or(Evaluated::Undefined, |unit| Evaluated::Owned(Value::String(String::from_utf16_lossy(&[unit]))));
    }
    if &*segment.name == "length" {
        return Evaluated::Owned(Value::from(text.encode_utf16().count()));
    }
    Evaluated::Undefined
}

/// JavaScript's `==` between two contexts: the same object, or equal after conversion.
pub(crate) fn loosely_equal(a: Option<&Value>, b: Option<&Value>) -> bool {
    let (Some(a), Some(b)) = (a, b) else {
        return matches!((a, b), (None | Some(Value::Null), None) | (None, Some(Value::Null)));
    };
    if std::ptr::eq(a, b) {
        return true;
    }
    let compound = |value: &Value| matches!(value, Value::Array(_) | Value::Object(_));
    match (a, b) {
        (Value::Null, Value::Null) => true,
        (Value::Null, _) | (_, Value::Null) => false,
        (a, b) if compound(a) && compound(b) => false,
        (Value::String(a), Value::String(b)) => a == b,
        // Every turn of a loop comes here, so nothing is written out whole to be compared.
        (a, Value::String(text)) if compound(a) => is_text_of(a, text),
        (Value::String(text), b) if compound(b) => is_text_of(b, text),
        (a, b) => {
            let (a, b) = (to_number(a), to_number(b));
            // Numbers are compared as JavaScript compares them: bit for bit apart from the two zeros.
            a.partial_cmp(&b) == Some(std::cmp::Ordering::Equal)
        }
    }
}

fn to_number(value: &Value) -> f64 {
    match value {
        Value::Null => 0.0,
        Value::Bool(flag) => f64::from(u8::from(*flag)),
        Value::Number(number) => number.as_f64().unwrap_or(f64::NAN),
        Value::String(text) => text_to_number(text),
        // The text of several items has a comma, that of an object brackets.
        Value::Array(items) => match items.as_slice() {
            [] => 0.0,
            [Value::Bool(_)] => f64::NAN,
            [only] => to_number(only),
            _ => f64::NAN,
        },
        Value::Object(_) => f64::NAN,
    }
}

/// Bytes of a text that may be a number.
const MAX_NUMBER_BYTES: usize = 2_000;

fn text_to_number(text: &str) -> f64 {
    // No number that anybody compares is this long.
    if text.len() > MAX_NUMBER_BYTES {
        return f64::NAN;
    }
    let text = text.trim_matches(crate::characters::is_space);
    if text.is_empty() {
        return 0.0;
    }
    // Rust also reads words such as `inf` and `nan`, JavaScript only digits.
    if text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'+' | b'-' | b'.' | b'e' | b'E')) {
        return text.parse().unwrap_or(f64::NAN);
    }
    f64::NAN
}
