//! `default` of `inputSchema`: what data leaves out is filled in before it is checked.
//!
//! As editors and form makers do it: a property that is absent (null is a value) and declared with a default gets it, also in
//! objects inside and in the items of lists, and in what a default brings along. Branches of `anyOf`, `oneOf`, `not` and `if` give
//! none, because which of them holds is known only afterwards.

use std::borrow::Cow;

use serde_json::Value;

use crate::error::DocumentError;
use crate::mapping::size_bytes;
use crate::schema_references::resolved;
use crate::writer::{Writer, steps_of};

/// Levels of data, references and `allOf` that are followed.
const MAX_DEPTH: usize = 64;

/// Whether a schema gives any.
pub(crate) fn are_in(schema: &Value) -> bool {
    let mut open = vec![schema];
    while let Some(value) = open.pop() {
        match value {
            Value::Object(members) if members.contains_key("default") => return true,
            Value::Object(members) => open.extend(members.values()),
            Value::Array(items) => open.extend(items),
            _ => {}
        }
    }
    false
}

/// The data with its defaults. What they add has the limit of the document's HTML.
pub(crate) fn filled<'d>(schema: &Value, mut data: Cow<'d, Value>, writer: &mut Writer<'_>) -> Result<Cow<'d, Value>, DocumentError> {
    writer.begin("inputSchema");
    writer.charge(steps_of(size_bytes(&data)))?;
    let left = writer.limits.html_bytes;
    Filler { root: schema, writer, left }.value(schema, data.to_mut(), 0)?;
    Ok(data)
}

struct Filler<'f, 'w> {
    root: &'f Value,
    writer: &'f mut Writer<'w>,
    /// Bytes that may be added.
    left: usize,
}

impl<'f> Filler<'f, '_> {
    fn value(&mut self, schema: &'f Value, data: &mut Value, depth: usize) -> Result<(), DocumentError> {
        if depth >= MAX_DEPTH {
            return Ok(());
        }
        let schema = resolved(self.root, schema);
        for part in schema.get("allOf").and_then(Value::as_array).into_iter().flatten() {
            self.value(part, data, depth + 1)?;
        }
        match data {
            Value::Object(members) => {
                let Some(properties) = schema.get("properties").and_then(Value::as_object) else { return Ok(()) };
                self.writer.charge(u64::try_from(properties.len()).unwrap_or(u64::MAX))?;
                for (name, property) in properties {
                    let default = property.get("default").or_else(|| resolved(self.root, property).get("default"));
                    if let Some(default) = default.filter(|_| !members.contains_key(name)) {
                        members.insert(name.clone(), self.copied(default)?);
                    }
                    if let Some(member) = members.get_mut(name) {
                        self.value(property, member, depth + 1)?;
                    }
                }
            }
            Value::Array(items) => {
                let Some(of_items) = schema.get("items").filter(|of_items| of_items.is_object()) else { return Ok(()) };
                self.writer.charge(u64::try_from(items.len()).unwrap_or(u64::MAX))?;
                items.iter_mut().try_for_each(|item| self.value(of_items, item, depth + 1))?;
            }
            _ => {}
        }
        Ok(())
    }

    fn copied(&mut self, default: &Value) -> Result<Value, DocumentError> {
        let bytes = size_bytes(default);
        self.writer.charge(steps_of(bytes))?;
        let limit = self.writer.limits.html_bytes as u64;
        self.left = self.left.checked_sub(bytes).ok_or(DocumentError::TooLarge { what: "defaults of inputSchema (bytes)", limit })?;
        Ok(default.clone())
    }
}
