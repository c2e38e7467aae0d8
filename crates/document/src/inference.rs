//! From a sample to a schema that takes it: a beginning for an author, who knows what may be absent.

use std::collections::HashMap;
use std::fmt;

use domain::Issue;
use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value, json};

use crate::error::DocumentError;

/// Values of one sample, lists and objects among them: some thousand rows of a table, where a few would do.
pub const MAX_SAMPLE_VALUES: usize = 100_000;

/// Different properties of one inferred schema: a hundred times what people keep track of.
pub const MAX_PROPERTIES: usize = 10_000;

/// Data to make a schema from. Reading keeps no more than [`MAX_SAMPLE_VALUES`] values, however many follow.
pub struct Sample(Option<Value>);

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
/// is null and nothing else says nothing. A sample over [`MAX_SAMPLE_VALUES`] or [`MAX_PROPERTIES`] is refused.
pub fn infer_schema(sample: &Sample, required: RequiredWhen) -> Result<Value, DocumentError> {
    let Some(sample) = &sample.0 else { return Err(too_many("values", MAX_SAMPLE_VALUES)) };
    let mut shape = Shape::default();
    let mut properties_left = MAX_PROPERTIES;
    shape.add(sample, &mut properties_left)?;
    let mut schema = Map::from_iter([("$schema".to_owned(), json!("http://json-schema.org/draft-07/schema#"))]);
    schema.extend(shape.schema(required));
    Ok(Value::Object(schema))
}

fn too_many(what: &str, limit: usize) -> DocumentError {
    DocumentError::Sample(vec![Issue::new("/sample", format!("has more {what} than the {limit} accepted"))])
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
    fn add(&mut self, value: &Value, properties_left: &mut usize) -> Result<(), DocumentError> {
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
                    shape.add(item, properties_left)?;
                }
                "array"
            }
            Value::Object(members) => {
                self.objects += 1;
                for (name, member) in members {
                    self.property(name, member, properties_left)?;
                }
                "object"
            }
        };
        if !self.types.contains(&kind) {
            self.types.push(kind);
        }
        Ok(())
    }

    fn property(&mut self, name: &str, value: &Value, properties_left: &mut usize) -> Result<(), DocumentError> {
        let place = if let Some(place) = self.places.get(name) {
            *place
        } else {
            *properties_left = properties_left.checked_sub(1).ok_or_else(|| too_many("different properties", MAX_PROPERTIES))?;
            self.properties.push((name.to_owned(), Self::default(), 0));
            self.places.insert(name.to_owned(), self.properties.len() - 1);
            self.properties.len() - 1
        };
        let (_, shape, count) = &mut self.properties[place];
        *count += 1;
        shape.add(value, properties_left)
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

impl<'de> Deserialize<'de> for Sample {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut values_left = Some(MAX_SAMPLE_VALUES);
        let value = Counted(&mut values_left).deserialize(deserializer)?;
        Ok(Self(values_left.map(|_| value)))
    }
}

/// Reads a value as long as there may be more; then the rest is read past, so that the JSON is checked to its end.
struct Counted<'a>(&'a mut Option<usize>);

impl<'de> DeserializeSeed<'de> for Counted<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        *self.0 = self.0.and_then(|left| left.checked_sub(1));
        if self.0.is_some() { deserializer.deserialize_any(self) } else { IgnoredAny::deserialize(deserializer).map(|_| Value::Null) }
    }
}

impl<'de> Visitor<'de> for Counted<'_> {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("any JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E: Error>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = list.next_element_seed(Counted(&mut *self.0))? {
            if self.0.is_some() {
                items.push(item);
            }
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Value, A::Error> {
        let mut members = Map::new();
        while let Some(name) = object.next_key::<String>()? {
            let member = object.next_value_seed(Counted(&mut *self.0))?;
            if self.0.is_some() {
                members.insert(name, member);
            }
        }
        Ok(Value::Object(members))
    }
}
