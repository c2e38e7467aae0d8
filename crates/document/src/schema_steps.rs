//! Makes every visit of a subschema cost a step.
//!
//! A schema of a kilobyte can ask for 2^30 visits (`allOf` of two references to an `allOf` of two references …) without
//! looking at the data once. So each subschema gets one more keyword, which counts. The validator looks at such a
//! keyword last, and not at all where another one failed; what makes such work grow without bound is following
//! references, so each of those is preceded by a subschema that does nothing but count.

use jsonschema::paths::Location;
use jsonschema::{Keyword, ValidationError};
use serde_json::{Map, Value};

use crate::metered::{Measured, Metered};

/// The counting keyword. A schema that holds it already counts twice, which only its author pays for.
pub(crate) const KEYWORD: &str = "\u{1}step";

/// Keywords whose values are data and not schemas.
pub(crate) const DATA: [&str; 6] = ["const", "enum", "default", "examples", "required", "dependentRequired"];
/// Keywords whose values hold schemas by name.
pub(crate) const MAPS: [&str; 6] = ["properties", "patternProperties", "definitions", "$defs", "dependentSchemas", "dependencies"];

/// What a draft says about keywords beside a `$ref`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Siblings {
    /// Up to Draft-07 they mean nothing.
    Ignored,
    /// Since 2019-09 they hold as well.
    Hold,
}

/// The schema with everything that counts.
pub(crate) fn counted(schema: &Value, siblings: Siblings) -> Value {
    let members = match schema {
        Value::Object(members) => members,
        Value::Array(items) => return items.iter().map(|item| counted(item, siblings)).collect(),
        plain => return plain.clone(),
    };
    let mut counted: Map<String, Value> =
        members.iter().map(|(name, value)| (name.clone(), counted_member(name, value, siblings))).collect();
    let count = || Value::Object(Map::from_iter([(KEYWORD.to_owned(), Value::Bool(true))]));
    let refers = ["$ref", "$dynamicRef", "$recursiveRef"].iter().any(|name| members.get(*name).is_some_and(Value::is_string));
    match siblings {
        Siblings::Ignored if refers => {
            let reference = counted.shift_remove("$ref").map(|target| Value::Object(Map::from_iter([("$ref".to_owned(), target)])));
            // What meant nothing may not begin to mean something; other references may still point into it.
            counted.retain(|name, _| MAPS.contains(&name.as_str()) && (name == "definitions" || name == "$defs"));
            counted.insert("allOf".to_owned(), std::iter::once(count()).chain(reference).collect());
        }
        Siblings::Hold if refers => {
            // At the end, so that the places of the author's own parts do not change.
            if let Value::Array(all) = counted.entry("allOf").or_insert_with(|| Value::Array(Vec::new())) {
                all.push(count());
            }
        }
        _ => {
            counted.insert(KEYWORD.to_owned(), Value::Bool(true));
        }
    }
    Value::Object(counted)
}

fn counted_member(name: &str, value: &Value, siblings: Siblings) -> Value {
    match value {
        value if DATA.contains(&name) => value.clone(),
        Value::Object(named) if MAPS.contains(&name) => {
            named.iter().map(|(name, schema)| (name.clone(), counted(schema, siblings))).collect()
        }
        value => counted(value, siblings),
    }
}

/// Makes the keyword; its arguments are the validator's.
#[expect(clippy::unnecessary_wraps, reason = "the validator's type of a factory")]
pub(crate) fn keyword<'a>(
    _: &'a Map<String, Value>,
    _: &'a Value,
    _: Location,
) -> Result<Box<dyn for<'i> Keyword<'i, Metered>>, ValidationError<'a>> {
    Ok(Box::new(Step))
}

struct Step;

impl<'i> Keyword<'i, Metered> for Step {
    fn validate(&self, instance: Measured<'i>) -> Result<(), ValidationError<'i>> {
        instance.charge(1);
        Ok(())
    }

    fn is_valid(&self, instance: Measured<'i>) -> bool {
        instance.charge(1);
        true
    }
}
