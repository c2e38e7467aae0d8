//! The JSON Schema of a template definition, for editors that complete and check while somebody writes.

use serde_json::{Map, Value, json};

use crate::definition::HARMLESS;
use crate::definition::shape::DEFINITION;
use crate::nodes::{DOCUMENT, KINDS};
use crate::shapes::{Preset, Property, Shape, Takes};
use crate::style;

/// JSON Schema (draft 7) of a template definition.
///
/// It accepts what a save accepts, as far as a schema can tell: whether expressions can be read, ids are unique and
/// values fit each other is said by the refusal of a save alone.
pub fn template_schema() -> Value {
    let mut root = object(&DEFINITION);
    let properties = &mut root["properties"];
    for name in HARMLESS {
        properties[name] = json!(true);
    }
    let kinds: Vec<&str> = KINDS.iter().map(|(shape, _)| shape.what).collect();
    let branches: Vec<Value> = KINDS
        .iter()
        .map(|(shape, _)| {
            let of_this = json!({"properties": {"type": {"const": shape.what}}, "required": ["type"]});
            json!({"if": of_this, "then": {"$ref": format!("#/definitions/{}", shape.what)}})
        })
        .collect();
    let mut definitions = Map::new();
    definitions.insert(
        "node".into(),
        json!({"type": "object", "properties": {"type": {"enum": kinds}}, "required": ["type", "id"], "allOf": branches}),
    );
    definitions.insert("style".into(), object(&style::SHAPE));
    let mut document = object(&DOCUMENT);
    document["properties"]["type"] = json!({"const": "document"});
    definitions.insert("document".into(), document);
    for (shape, _) in &KINDS {
        definitions.insert(shape.what.into(), object(shape));
    }
    root["definitions"] = Value::Object(definitions);
    let mut schema = json!({"$schema": "http://json-schema.org/draft-07/schema#", "title": "Template definition"});
    if let (Value::Object(schema), Value::Object(root)) = (&mut schema, root) {
        schema.extend(root);
    }
    schema
}

fn object(shape: &'static Shape) -> Value {
    let mut properties = Map::new();
    let (mut required, mut one_of) = (Vec::new(), Vec::new());
    for property in shape.all().filter(|property| property.default != Preset::Internal) {
        match (property.default, property.aliases) {
            (Preset::Required, []) => required.push(property.name),
            (Preset::Required, aliases) => {
                let names = std::iter::once(&property.name).chain(aliases);
                one_of.push(json!({"oneOf": names.map(|name| json!({"required": [name]})).collect::<Vec<_>>()}));
            }
            _ => {}
        }
        for name in std::iter::once(&property.name).chain(property.aliases) {
            properties.insert((*name).into(), described(property));
        }
    }
    let mut schema = json!({"type": "object", "properties": properties, "additionalProperties": false});
    if !required.is_empty() {
        schema["required"] = json!(required);
    }
    if !one_of.is_empty() {
        schema["allOf"] = json!(one_of);
    }
    schema
}

fn described(property: &'static Property) -> Value {
    let mut schema = values(&property.takes);
    if let Value::Object(members) = &mut schema
        && !members.contains_key("$ref")
    {
        let default = match property.default {
            Preset::Is(default) if !default.is_empty() => format!(" Default: {default}."),
            _ => String::new(),
        };
        members.insert("description".into(), json!(format!("{}{default}", property.meaning)));
    }
    match property.default {
        Preset::Is(_) => json!({"anyOf": [schema, {"type": "null"}]}),
        _ => schema,
    }
}

fn values(takes: &'static Takes) -> Value {
    match takes {
        Takes::Text => json!({"type": ["string", "number", "boolean"]}),
        Takes::Plain | Takes::Expression | Takes::Color => json!({"type": "string"}),
        Takes::Flag => json!({"type": "boolean"}),
        Takes::Length => json!({"type": ["number", "string"], "minimum": 0, "maximum": 5000}),
        Takes::Number(least, most) => json!({"type": "number", "minimum": least, "maximum": most}),
        Takes::Whole(least, most) => json!({"type": "integer", "minimum": least, "maximum": most}),
        Takes::Words(words) => json!({"enum": words}),
        Takes::Nodes => json!({"type": "array", "items": {"$ref": "#/definitions/node"}}),
        Takes::List(shape) => json!({"type": "array", "items": object(shape)}),
        Takes::Object(shape) if std::ptr::eq(*shape, &raw const style::SHAPE) => json!({"$ref": "#/definitions/style"}),
        Takes::Object(shape) if std::ptr::eq(*shape, &raw const DOCUMENT) => json!({"$ref": "#/definitions/document"}),
        Takes::Object(shape) => object(shape),
        Takes::Either(forms) => json!({"anyOf": forms.iter().map(values).collect::<Vec<_>>()}),
        // Written by hand beside the property; `true` takes everything.
        Takes::Other(_, schema) => serde_json::from_str(schema).unwrap_or(Value::Bool(true)),
    }
}
