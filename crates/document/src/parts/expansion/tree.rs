//! Trees of blocks: component nodes get their children, slots of a layout their content.

use domain::issues::pointer;
use domain::template_references::ReferenceVia;
use serde_json::{Map, Value, json};

use super::Expansion;
use crate::html_slots::MAIN;
use crate::parts::merging::style_over;
use crate::parts::{Part, UsedPart};

/// JSON inside each other, parts included. Nodes take two levels each, columns four; the walk recurses once per level.
const MOST_DEPTH: usize = 450;
/// What a value takes beside its text, in bytes.
const VALUE_BYTES: usize = 64;

impl Expansion<'_> {
    /// A copy with everything in it expanded. `here` is the pointer in what is being expanded, `place` the one in the whole.
    pub(super) fn tree(&mut self, value: &Value, here: &str, place: &str, depth: usize) -> Value {
        if self.full {
            return Value::Null;
        }
        self.spend(VALUE_BYTES + value.as_str().map_or(0, str::len));
        match value {
            Value::Array(_) | Value::Object(_) if depth > MOST_DEPTH => {
                self.stop(format!("the template and its parts are nested deeper than the {MOST_DEPTH} levels accepted"));
                Value::Null
            }
            Value::Array(items) => {
                let mut out = Vec::with_capacity(items.len());
                for (index, item) in items.iter().enumerate() {
                    out.push(self.tree(item, &pointer(here, index), &pointer(place, index), depth + 1));
                }
                Value::Array(out)
            }
            Value::Object(object) => self.object(object, here, place, depth),
            other => other.clone(),
        }
    }

    fn object(&mut self, object: &Map<String, Value>, here: &str, place: &str, depth: usize) -> Value {
        let kind = object.get("type").and_then(Value::as_str);
        if kind.is_some() {
            self.count_node();
        }
        match kind {
            Some("component") if object.contains_key("component") => return self.component(object, here, place, depth),
            Some("slot") if self.filling.is_some() && self.within.len() == 1 => return self.slot(object, here, place, depth),
            _ => {}
        }
        let mut out = Map::with_capacity(object.len());
        for (name, value) in object {
            self.spend(name.len());
            let value = if value.is_array() || value.is_object() {
                self.tree(value, &pointer(here, name), &pointer(place, name), depth + 1)
            } else {
                self.tree(value, here, place, depth + 1)
            };
            out.insert(name.clone(), value);
        }
        Value::Object(out)
    }

    /// A component node `of` a version, with the children that it has there.
    #[inline(never)]
    fn component(&mut self, object: &Map<String, Value>, here: &str, place: &str, depth: usize) -> Value {
        let at = pointer(here, "component");
        if object.contains_key("children") {
            self.refuse(
                &pointer(here, "children"),
                None,
                "the children of a component are those of its template; leave them out".to_owned(),
            );
        }
        let Some(part) = self.lead(ReferenceVia::Component, object.get("component"), &at) else { return Value::Null };
        let Some(root) = part.definition.get("document").filter(|root| root.is_object()) else {
            let message = format!("the component \"{}\" is HTML, and this template is a tree of blocks", part.key);
            self.refuse(&at, Some("template_kind_mismatch"), message);
            return Value::Null;
        };
        let mut out: Map<String, Value> = object
            .iter()
            .filter(|(name, _)| !matches!(name.as_str(), "component" | "children" | "style"))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        out.insert("of".to_owned(), of(&part));
        if let Some(style) = style_over(root.get("style"), object.get("style")) {
            out.insert("style".to_owned(), style);
        }
        self.enter(ReferenceVia::Component, &part, at);
        self.note_css(&part);
        let below = pointer(place, "children");
        self.note_origin(below.clone(), "/document/children".to_owned());
        let children = root.get("children").map(|children| self.tree(children, "/document/children", &below, depth + 1));
        self.leave();
        out.insert("children".to_owned(), children.unwrap_or_else(|| json!([])));
        Value::Object(out)
    }

    /// A slot of the layout, with what fills it or else with its own children.
    #[inline(never)]
    fn slot(&mut self, object: &Map<String, Value>, here: &str, place: &str, depth: usize) -> Value {
        let name = object.get("name").and_then(Value::as_str).unwrap_or(MAIN).to_owned();
        let Some(filling) = &mut self.filling else { return Value::Null };
        let is_new = filling.slots.insert(name.clone());
        let content = if name == MAIN {
            filling.definition.get("document").and_then(|root| root.get("children")).map(|nodes| (nodes, "/document/children".to_owned()))
        } else {
            let slots = filling.definition.get("slots");
            slots.and_then(|slots| slots.get(&name)).map(|nodes| (nodes, pointer("/slots", &name)))
        };
        let UsedPart { key, version, .. } = &filling.layout;
        let mark = json!({"key": key.as_str(), "version": version.to_string()});
        if !is_new {
            self.refuse(here, Some("layout_invalid"), format!("the layout has more than one slot \"{name}\""));
            return Value::Null;
        }
        let below = pointer(place, "children");
        let children = if let Some((nodes, source)) = content {
            // The content is the document's own, whatever is around it.
            let within = std::mem::take(&mut self.within);
            let reference = std::mem::take(&mut self.reference);
            self.note_origin(below.clone(), source.clone());
            let children = self.tree(nodes, &source, &below, depth + 1);
            if !self.full {
                self.within = within;
                self.reference = reference;
            }
            Some(children)
        } else {
            object.get("children").map(|children| self.tree(children, &pointer(here, "children"), &below, depth + 1))
        };
        let mut out: Map<String, Value> =
            object.iter().filter(|(name, _)| *name != "children").map(|(name, value)| (name.clone(), value.clone())).collect();
        out.insert("of".to_owned(), mark);
        out.insert("children".to_owned(), children.unwrap_or_else(|| json!([])));
        Value::Object(out)
    }
}

fn of(part: &Part) -> Value {
    json!({"key": part.key.as_str(), "version": part.version.to_string()})
}
