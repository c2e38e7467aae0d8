//! From a sample to a schema that takes it: a beginning for an author, who knows what may be absent.

use std::collections::HashMap;

use serde_json::{Map, Value, json};

/// Which properties the schema asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RequiredWhen {
    /// Those that every object at their place has in the sample.
    #[default]
    Present,
    /// None.
    Never,
}

/// A Draft-07 schema of the sample. The sample itself fits it; items of one list are taken to be alike, and a value that
/// is null and nothing else says nothing.
pub fn infer_schema(sample: &Value, required: RequiredWhen) -> Value {
    let mut shape = Shape::default();
    shape.add(sample);
    let mut schema = Map::from_iter([("$schema".to_owned(), json!("http://json-schema.org/draft-07/schema#"))]);
    schema.extend(shape.schema(required));
    Value::Object(schema)
}

/// What was seen at one place.
#[derive(Default)]
struct Shape {
    /// Types in the order seen; `integer` next to `number` goes away.
    types: Vec<&'static str>,
    texts: usize,
    dates: usize,
    objects: usize,
    /// In the order seen, each with how many objects had it.
    properties: Vec<(String, Self, usize)>,
    places: HashMap<String, usize>,
    items: Option<Box<Self>>,
}

impl Shape {
    fn add(&mut self, value: &Value) {
        let kind = match value {
            Value::Null => "null",
            Value::Bool(_) => "boolean",
            Value::Number(number) if number.is_i64() || number.is_u64() => "integer",
            Value::Number(_) => "number",
            Value::String(text) => {
                self.texts += 1;
                self.dates += usize::from(is_date(text));
                "string"
            }
            Value::Array(items) => {
                let shape = self.items.get_or_insert_default();
                for item in items {
                    shape.add(item);
                }
                "array"
            }
            Value::Object(members) => {
                self.objects += 1;
                members.iter().for_each(|(name, member)| self.property(name, member));
                "object"
            }
        };
        if !self.types.contains(&kind) {
            self.types.push(kind);
        }
    }

    fn property(&mut self, name: &str, value: &Value) {
        let place = self.places.get(name).copied().unwrap_or_else(|| {
            self.properties.push((name.to_owned(), Self::default(), 0));
            self.places.insert(name.to_owned(), self.properties.len() - 1);
            self.properties.len() - 1
        });
        let (_, shape, count) = &mut self.properties[place];
        shape.add(value);
        *count += 1;
    }

    fn schema(&self, required: RequiredWhen) -> Map<String, Value> {
        let mut schema = Map::new();
        let is_number = self.types.contains(&"number");
        let types: Vec<&str> = self.types.iter().copied().filter(|kind| !(is_number && *kind == "integer")).collect();
        match types[..] {
            [] | ["null"] => {}
            [one] => {
                schema.insert("type".to_owned(), one.into());
            }
            _ => {
                schema.insert("type".to_owned(), types.into());
            }
        }
        if self.texts > 0 && self.dates == self.texts {
            schema.insert("format".to_owned(), "date".into());
        }
        if self.objects > 0 {
            let always = |count: usize| required == RequiredWhen::Present && count == self.objects;
            let names: Vec<&str> = self.properties.iter().filter(|(.., count)| always(*count)).map(|(name, ..)| name.as_str()).collect();
            if !names.is_empty() {
                schema.insert("required".to_owned(), names.into());
            }
            let own = self.properties.iter().map(|(name, shape, _)| (name.clone(), Value::Object(shape.schema(required))));
            schema.insert("properties".to_owned(), Value::Object(own.collect()));
        }
        if let Some(items) = self.items.as_ref().filter(|items| !items.types.is_empty()) {
            schema.insert("items".to_owned(), Value::Object(items.schema(required)));
        }
        schema
    }
}

/// `2026-01-31`, a day that there is.
fn is_date(text: &str) -> bool {
    let digits = |range: std::ops::Range<usize>| text.get(range).is_some_and(|part| part.bytes().all(|byte| byte.is_ascii_digit()));
    text.len() == 10 && digits(0..4) && digits(5..7) && digits(8..10) && text.parse::<jiff::civil::Date>().is_ok()
}
