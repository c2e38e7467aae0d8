//! Where the references of a schema lead.

use serde_json::Value;

/// `$ref`s that may follow each other.
const MAX_REFERENCES: usize = 16;

/// What `schema` is once its `$ref`s into the schema `root` are followed: as far as they lead somewhere, and sixteen of them at most.
pub(crate) fn resolved<'s>(root: &'s Value, mut schema: &'s Value) -> &'s Value {
    for _ in 0..MAX_REFERENCES {
        let Some(target) = schema.get("$ref").and_then(Value::as_str).and_then(|reference| reference.strip_prefix('#')) else { break };
        match root.pointer(target) {
            Some(found) => schema = found,
            None => break,
        }
    }
    schema
}
