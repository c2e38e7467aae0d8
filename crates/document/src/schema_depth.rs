//! How deep a schema nests when its references are followed, found without recursion.
//!
//! The validator compiles a schema into parts that own each other and walks them by recursion, when checking and when
//! it is dropped. Nesting in the text is bounded by the JSON reader, but ten thousand references that follow each
//! other nest ten thousand times, and no stack holds that. So the longest way is measured before anything is compiled:
//! depth first, every place once, a reference back into the way just walked adding nothing (the validator cuts such
//! cycles itself when it owns, and the check measures its stack while it follows them through the data).
//!
//! Which place a reference means is answered too generously rather than too narrowly: an anchor means every anchor of
//! that name, and a pointer is tried in every embedded resource. That can only lengthen the way.

use std::collections::HashMap;

use serde_json::Value;

use crate::schema_steps::{DATA, MAPS};

/// References on one way. Schemas made by hand or by generators stay far below a hundred.
const MAX_REFERENCES: usize = 500;
/// Objects and lists inside each other on one way, references followed. A debug build drops that many in about a
/// quarter of a 2 MiB stack (see the tests).
const MAX_LEVELS: usize = 2_000;
/// Embedded resources (`$id`), because every pointer is tried in each.
const MAX_RESOURCES: usize = 100;

/// The deepest way through `schema` in levels, or why it is refused.
pub(crate) fn levels(schema: &Value) -> Result<usize, String> {
    Places::of(schema)?.longest(schema)
}

/// What references can name.
struct Places<'s> {
    /// The root first.
    resources: Vec<&'s Value>,
    anchors: HashMap<&'s str, Vec<&'s Value>>,
}

impl<'s> Places<'s> {
    fn of(schema: &'s Value) -> Result<Self, String> {
        let mut places = Self { resources: vec![schema], anchors: HashMap::new() };
        let mut open = vec![(schema, false)];
        while let Some((value, is_map)) = open.pop() {
            match value {
                Value::Array(items) => open.extend(items.iter().map(|item| (item, false))),
                Value::Object(members) => {
                    for (name, member) in members {
                        match (name.as_str(), member) {
                            ("$anchor" | "$dynamicAnchor", Value::String(anchor)) => {
                                places.anchors.entry(anchor).or_default().push(value);
                            }
                            ("$id" | "id", Value::String(id)) => match id.strip_prefix('#') {
                                Some(anchor) => places.anchors.entry(anchor).or_default().push(value),
                                None if !std::ptr::eq(value, schema) => places.resources.push(value),
                                None => {}
                            },
                            // Examples hold anything, also members called `id`.
                            (name, _) if !is_map && DATA.contains(&name) => {}
                            (name, member) => open.push((member, !is_map && MAPS.contains(&name))),
                        }
                    }
                }
                _ => {}
            }
        }
        if places.resources.len() > MAX_RESOURCES {
            return Err(format!("the schema embeds more than the {MAX_RESOURCES} schemas with an \"$id\" accepted"));
        }
        Ok(places)
    }

    /// Every place that `reference` may mean.
    fn named(&self, reference: &str) -> Vec<&'s Value> {
        let fragment = reference.split_once('#').map_or("", |(_, fragment)| fragment);
        if fragment.is_empty() {
            return self.resources.clone();
        }
        if !fragment.starts_with('/') {
            return self.anchors.get(fragment).cloned().unwrap_or_default();
        }
        let pointer = percent_decoded(fragment);
        self.resources.iter().filter_map(|resource| resource.pointer(&pointer)).collect()
    }

    fn longest(&self, schema: &'s Value) -> Result<usize, String> {
        let mut known: HashMap<usize, Way> = HashMap::new();
        let mut open = vec![self.enter(schema, false, &mut known)];
        let mut references = 0;
        loop {
            let depth = open.len();
            let Some(here) = open.last_mut() else { return Ok(known.get(&address(schema)).map_or(0, |way| way.levels)) };
            let Some((next, by_reference)) = here.next.pop() else {
                // Walked to its end: the place around knows how far it goes.
                let (way, at, entered_by_reference) = (here.way, here.at, here.by_reference);
                known.insert(at, way);
                open.pop();
                references -= usize::from(entered_by_reference);
                if let Some(around) = open.last_mut() {
                    around.way.add(way, entered_by_reference);
                }
                continue;
            };
            let beyond = known.get(&address(next)).copied();
            let (levels, more) = beyond.map_or((1, 0), |way| (way.levels, way.references));
            if references + more + usize::from(by_reference) > MAX_REFERENCES {
                return Err(format!("more than the {MAX_REFERENCES} references accepted follow each other"));
            }
            if depth + levels > MAX_LEVELS {
                return Err(format!("with its references followed the schema is nested deeper than the {MAX_LEVELS} levels accepted"));
            }
            if let Some(way) = beyond {
                here.way.add(way, by_reference);
            } else {
                references += usize::from(by_reference);
                let entered = self.enter(next, by_reference, &mut known);
                open.push(entered);
            }
        }
    }

    fn enter(&self, place: &'s Value, by_reference: bool, known: &mut HashMap<usize, Way>) -> Open<'s> {
        let is_nest = |value: &&Value| matches!(value, Value::Object(_) | Value::Array(_));
        let mut next: Vec<(&Value, bool)> = Vec::new();
        match place {
            Value::Array(items) => next.extend(items.iter().filter(is_nest).map(|item| (item, false))),
            Value::Object(members) => {
                for (name, member) in members {
                    match member {
                        Value::String(reference) if matches!(name.as_str(), "$ref" | "$dynamicRef" | "$recursiveRef") => {
                            next.extend(self.named(reference).into_iter().filter(is_nest).map(|target| (target, true)));
                        }
                        member if is_nest(&member) => next.push((member, false)),
                        _ => {}
                    }
                }
            }
            _ => {}
        }
        // A place on the way adds nothing to itself.
        known.insert(address(place), Way { levels: 0, references: 0 });
        Open { at: address(place), by_reference, next, way: Way { levels: 1, references: 0 } }
    }
}

/// How far it goes on from a place.
#[derive(Clone, Copy)]
struct Way {
    levels: usize,
    references: usize,
}

impl Way {
    fn add(&mut self, beyond: Self, by_reference: bool) {
        self.levels = self.levels.max(beyond.levels + 1);
        self.references = self.references.max(beyond.references + usize::from(by_reference));
    }
}

/// A place on the way that is being walked.
struct Open<'s> {
    at: usize,
    by_reference: bool,
    next: Vec<(&'s Value, bool)>,
    way: Way,
}

fn address(value: &Value) -> usize {
    std::ptr::from_ref(value).addr()
}

pub(crate) fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let digit = |at: usize| after.get(at).and_then(|byte| char::from(*byte).to_digit(16)).and_then(|digit| u8::try_from(digit).ok());
        match (*first, digit(0), digit(1)) {
            (b'%', Some(high), Some(low)) => {
                bytes.push(high * 16 + low);
                rest = &after[2..];
            }
            (plain, ..) => {
                bytes.push(plain);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Definitions that refer each to the next, `link` holding the reference.
    fn chain(length: usize, link: impl Fn(Value) -> Value) -> Value {
        let mut definitions = serde_json::Map::new();
        definitions.insert(format!("a{length}"), json!({"type": "string"}));
        for at in 0..length {
            definitions.insert(format!("a{at}"), link(json!({"$ref": format!("#/definitions/a{}", at + 1)})));
        }
        json!({"definitions": definitions, "$ref": "#/definitions/a0"})
    }

    #[test]
    fn references_that_follow_each_other_are_counted_also_through_other_keywords_and_names() {
        assert!(levels(&chain(400, |next| next)).is_ok());
        assert!(levels(&chain(600, |next| next)).unwrap_err().contains("500 references"));
        assert!(levels(&chain(600, |next| json!({"properties": {"x": next}}))).unwrap_err().contains("500 references"));
        let nested = |next| json!({"not": {"not": {"not": {"not": {"not": {"not": next}}}}}});
        assert!(levels(&chain(400, nested)).unwrap_err().contains("2000 levels"));
        let named = |at: usize| json!({"$anchor": format!("a{at}"), "$ref": format!("#a{}", at + 1)});
        let anchors: Vec<Value> = (0..600).map(named).collect();
        assert!(levels(&json!({"$defs": {"all": {"anyOf": anchors}}, "$ref": "#a0"})).unwrap_err().contains("500 references"));
    }

    #[test]
    fn a_cycle_ends_and_a_wide_schema_is_not_deep() {
        let tree = json!({"properties": {"left": {"$ref": "#"}, "right": {"$ref": "#"}, "a b": {"$ref": "#/properties/c%20d"}, "c d": {}}});
        assert!(levels(&tree).unwrap() < 10);
        let wide: Vec<Value> = (0..5_000).map(|_| json!({"$ref": "#/definitions/x"})).collect();
        assert!(levels(&json!({"definitions": {"x": {"type": "string"}}, "anyOf": wide})).unwrap() < 10);
    }
}
