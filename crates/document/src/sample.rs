//! Sample data made from a schema: enough for a first look at a template that came without its own.

use serde_json::{Map, Value, json};

use crate::schema_references::resolved;

/// Levels of objects and lists that are made.
const MAX_DEPTH: usize = 12;
/// Values that are made altogether.
const MAX_VALUES: usize = 5_000;

/// Data that fits `schema` where its constraints are of the common kinds: the same every time.
pub(crate) fn generate(schema: &Value) -> Value {
    let mut sampler = Sampler { root: schema, left: MAX_VALUES };
    match sampler.value(schema, "", 0) {
        Value::Object(object) => Value::Object(object),
        // A template's data is an object whatever its schema forgot to say.
        _ => Value::Object(Map::new()),
    }
}

struct Sampler<'s> {
    root: &'s Value,
    left: usize,
}

impl<'s> Sampler<'s> {
    fn value(&mut self, schema: &'s Value, name: &str, depth: usize) -> Value {
        let schema = resolved(self.root, schema);
        self.left = self.left.saturating_sub(1);
        if let Some(given) = given(schema) {
            return given.clone();
        }
        if depth >= MAX_DEPTH || self.left == 0 {
            return Value::Null;
        }
        let alternative = ["oneOf", "anyOf"].into_iter().find_map(|keyword| schema.get(keyword)?.as_array()?.first());
        match kind(schema) {
            Some("object") => self.object(schema, depth),
            Some("array") => self.array(schema, name, depth),
            Some("string") => Value::String(text(schema, name)),
            Some("integer") => json!(number(schema, 1.0).round()),
            Some("number") => json!(number(schema, 9.5)),
            Some("boolean") => Value::Bool(true),
            Some("null") => Value::Null,
            _ if schema.get("allOf").is_some() => self.object(schema, depth),
            _ => alternative.map_or(Value::String(name.to_owned()), |alternative| self.value(alternative, name, depth + 1)),
        }
    }

    fn object(&mut self, schema: &'s Value, depth: usize) -> Value {
        let mut object = Map::new();
        let parts = std::iter::once(schema).chain(schema.get("allOf").and_then(Value::as_array).into_iter().flatten());
        for part in parts {
            let part = resolved(self.root, part);
            for (name, property) in part.get("properties").and_then(Value::as_object).into_iter().flatten() {
                if self.left == 0 {
                    break;
                }
                let value = self.value(property, name, depth + 1);
                object.entry(name.clone()).or_insert(value);
            }
        }
        Value::Object(object)
    }

    fn array(&mut self, schema: &'s Value, name: &str, depth: usize) -> Value {
        let item = name.strip_suffix('s').unwrap_or(name);
        // Draft-07 lists the items of a tuple in `items`, later drafts in `prefixItems`.
        let tuple = schema.get("prefixItems").or_else(|| schema.get("items")).and_then(Value::as_array);
        if let Some(tuple) = tuple {
            return tuple.iter().map(|schema| self.value(schema, item, depth + 1)).collect();
        }
        let least = schema.get("minItems").and_then(Value::as_u64).unwrap_or(0);
        let most = schema.get("maxItems").and_then(Value::as_u64).unwrap_or(u64::MAX);
        let count = least.clamp(2, 20).min(most);
        let Some(items) = schema.get("items") else { return Value::Array(Vec::new()) };
        (0..count).map_while(|_| (self.left > 0).then(|| self.value(items, item, depth + 1))).collect()
    }
}

/// A value that the schema itself gives.
fn given(schema: &Value) -> Option<&Value> {
    let first = |keyword: &str| schema.get(keyword).and_then(Value::as_array).and_then(|values| values.first());
    schema
        .get("const")
        .or_else(|| schema.get("example"))
        .or_else(|| first("examples"))
        .or_else(|| schema.get("default"))
        .or_else(|| first("enum"))
}

/// The type, or the first of several, or what the other keywords tell.
fn kind(schema: &Value) -> Option<&str> {
    let declared = match schema.get("type") {
        Some(Value::String(kind)) => Some(kind.as_str()),
        Some(Value::Array(kinds)) => kinds.iter().filter_map(Value::as_str).find(|kind| *kind != "null"),
        _ => None,
    };
    declared.or_else(|| {
        [("properties", "object"), ("items", "array"), ("pattern", "string"), ("format", "string"), ("minimum", "number")]
            .into_iter()
            .find_map(|(keyword, kind)| schema.get(keyword).map(|_| kind))
    })
}

fn text(schema: &Value, name: &str) -> String {
    let sample = match schema.get("format").and_then(Value::as_str) {
        Some("date") => "2026-01-31",
        Some("date-time") => "2026-01-31T09:30:00Z",
        Some("time") => "09:30:00Z",
        Some("duration") => "P1D",
        Some("email" | "idn-email") => "ada@example.com",
        Some("uri" | "url" | "iri" | "uri-reference") => "https://example.com/",
        Some("hostname") => "example.com",
        Some("ipv4") => "192.0.2.1",
        Some("ipv6") => "2001:db8::1",
        Some("uuid") => "00000000-0000-4000-8000-000000000000",
        _ if name.is_empty() => "text",
        _ => name,
    };
    let length = |keyword: &str| schema.get(keyword).and_then(Value::as_u64).and_then(|length| usize::try_from(length).ok());
    let mut sample: String = sample.chars().take(length("maxLength").unwrap_or(usize::MAX)).collect();
    while sample.chars().count() < length("minLength").unwrap_or(0).min(1000) {
        sample.push('x');
    }
    sample
}

fn number(schema: &Value, usual: f64) -> f64 {
    let bound = |keyword: &str| schema.get(keyword).and_then(Value::as_f64);
    let step = bound("multipleOf").filter(|step| *step > 0.0);
    let low = bound("minimum").or_else(|| bound("exclusiveMinimum").map(|low| low + step.unwrap_or(1.0)));
    let high = bound("maximum").or_else(|| bound("exclusiveMaximum").map(|high| high - step.unwrap_or(1.0)));
    let mut number = usual.max(low.unwrap_or(f64::MIN)).min(high.unwrap_or(f64::MAX));
    if let Some(step) = step {
        number = (number / step).ceil() * step;
    }
    number
}
