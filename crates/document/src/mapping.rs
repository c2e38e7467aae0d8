//! `fieldMappings`: from the payload a caller has to the data a template wants.
//!
//! Each entry is `{"target": "customer.name", "source": "cust.nm", "default": "–"}` or
//! `{"target": "total", "expression": "lookup totals 'gross'"}`; `to` and `from` are other names of `target` and
//! `source`. The mapped data is the payload with every target set on top of it, in the order of the list. Sources
//! and expressions see the payload, never the result of other entries. An entry without a value leaves its target alone.

use std::borrow::Cow;

use domain::render_tokens::fix_data;
use expressions::Scope;
use serde_json::{Map, Value};

use crate::definition::shape::DEFINITION;
use crate::error::DocumentError;
use crate::fields::{Fields, Formula, Reading};
use crate::shapes::{Property, Shape, Takes};
use crate::writer::{Writer, steps_of};

/// Steps of a dot path.
const MAX_SEGMENTS: usize = 32;
/// Entries: several times what the largest payload made by hand has names.
const MAX_ENTRIES: usize = 1_000;
/// Bytes of a value in memory beside its text, roughly.
const VALUE_BYTES: usize = 64;

/// One entry.
#[derive(Debug)]
pub(crate) struct Mapping {
    target: Vec<Box<str>>,
    value: Option<Formula>,
    default: Option<Value>,
}

pub(crate) static SHAPE: Shape = Shape {
    what: "a field mapping",
    base: &[],
    properties: &[
        Property::required("target", Takes::Plain, "The path that is set, such as `customer.name`.").also(&["to"]),
        Property::optional(
            "source",
            Takes::Expression,
            "",
            "Where the value is in the payload, or an expression that gives it. Needed where there is no `default`.",
        )
        .also(&["from", "expression"]),
        Property::optional("default", Takes::Other("any value", "true"), "none", "Where the payload has no value or null."),
    ],
};

/// Reads the list.
pub(crate) fn read(reading: &mut Reading<'_>, object: &Map<String, Value>) -> Vec<Mapping> {
    let mut fields = Fields::new(reading, &DEFINITION, object, String::new(), String::new());
    let count = fields.list("fieldMappings").map_or(0, <[_]>::len);
    if count > MAX_ENTRIES {
        fields.refuse("fieldMappings", &format!("there are {count} field mappings; at most {MAX_ENTRIES} are accepted"));
        return Vec::new();
    }
    fields.each("fieldMappings", read_entry)
}

fn read_entry(entry: &mut Fields<'_, '_>) -> Option<Mapping> {
    let target = entry.string("target").or(entry.string("to"));
    let source = entry.formula(&["source", "from", "expression"]);
    let default = entry.value("default").cloned();
    if entry.are_absent(&["target", "to"]) {
        entry.refuse_missing("target", "a path such as \"customer.name\"");
    }
    if default.is_none() && entry.are_absent(&["source", "from", "expression"]) {
        entry.refuse_missing("source", "a path such as \"cust.nm\", an \"expression\" or a \"default\"");
    }
    let segments: Vec<Box<str>> = target?.split('.').map(Into::into).collect();
    if segments.len() > MAX_SEGMENTS || segments.iter().any(|segment| segment.trim().is_empty()) {
        entry.refuse(
            "target",
            &format!("\"target\" is no path; accepted: 1 to {MAX_SEGMENTS} names with dots between, such as \"customer.name\""),
        );
        return None;
    }
    Some(Mapping { target: segments, value: source, default })
}

/// The mapped data and how many entries set a value. Without entries the payload itself.
pub(crate) fn apply<'d>(mappings: &[Mapping], data: &'d Value, writer: &mut Writer<'_>) -> Result<(Cow<'d, Value>, usize), DocumentError> {
    if mappings.is_empty() {
        return Ok((Cow::Borrowed(data), 0));
    }
    writer.begin("fieldMappings");
    let mut mapped = data.clone();
    let mut applied = 0;
    let limit = writer.limits.html_bytes;
    let mut left = limit;
    let scope = Scope::root(data);
    for mapping in mappings {
        let found = match &mapping.value {
            Some(formula) => writer.evaluate(formula, &scope)?.and_then(expressions::Evaluated::into_value),
            None => None,
        };
        let value = found.filter(|value| !value.is_null()).or_else(|| mapping.default.as_ref().map(Cow::Borrowed));
        if let Some(value) = value {
            // Every entry copies: hundreds that take the whole payload would multiply it.
            let copied = size_bytes(&value);
            writer.charge(steps_of(copied))?;
            left = left.checked_sub(copied).ok_or(DocumentError::TooLarge { what: "mapped data (bytes)", limit: limit as u64 })?;
            set(&mut mapped, &mapping.target, value.into_owned());
            applied += 1;
        }
    }
    Ok((Cow::Owned(mapped), applied))
}

/// The mapped data with the fixed values in their places: a mapping may have copied something else of the payload over them.
pub(crate) fn fix<'d>(mut data: Cow<'d, Value>, fixed: Option<&Map<String, Value>>) -> Cow<'d, Value> {
    if let Some(fixed) = fixed {
        match data.to_mut() {
            Value::Object(data) => fix_data(data, fixed),
            other => *other = Value::Object(fixed.clone()),
        }
    }
    data
}

/// Bytes that a value takes in memory, roughly.
pub(crate) fn size_bytes(value: &Value) -> usize {
    let mut sum = 0;
    let mut open = vec![value];
    while let Some(value) = open.pop() {
        sum += VALUE_BYTES;
        match value {
            Value::String(text) => sum += text.len(),
            Value::Array(items) => open.extend(items),
            Value::Object(members) => {
                for (name, member) in members {
                    sum += name.len() + VALUE_BYTES;
                    open.push(member);
                }
            }
            _ => {}
        }
    }
    sum
}

/// Sets a value at a path; what is no object on the way there is replaced by one.
fn set(data: &mut Value, path: &[Box<str>], value: Value) {
    let mut place = data;
    for segment in path {
        if !place.is_object() {
            *place = Value::Object(Map::new());
        }
        let Value::Object(object) = place else { return };
        place = object.entry(&**segment).or_insert(Value::Null);
    }
    *place = value;
}
