//! From a reference to the part it leads to, if it may.

use domain::issues::pointer;
use domain::template_references::{ReferenceVia, read_reference};
use serde_json::{Map, Value, json};

use super::Expansion;
use crate::issues::{clip, short};
use crate::parts::{MOST_LEVELS, MOST_PARTS, Part, UsedPart, not_found_code};

impl Expansion<'_> {
    /// The part a reference leads to; nothing where there is none or it was refused.
    pub(super) fn lead(&mut self, via: ReferenceVia, value: Option<&Value>, at: &str) -> Option<Part> {
        let value = value.filter(|value| !value.is_null())?;
        let (key, pin) = match read_reference(value) {
            Ok(reference) => reference,
            Err(why) => {
                self.refuse(at, None, format!("\"{}\" is {}; {why}", via.as_str(), short(value)));
                return None;
            }
        };
        let part = match self.parts.get(&key, &pin) {
            Some(Ok(part)) => part.clone(),
            Some(Err(nowhere)) => {
                let near: Vec<_> = nowhere.suggestions.iter().map(|key| format!("\"{key}\"")).collect();
                let hint = if near.is_empty() { String::new() } else { format!("; did you mean {}?", near.join(" or ")) };
                self.refuse(at, Some(not_found_code(via)), format!("{}{hint}", nowhere.message));
                return None;
            }
            None => {
                self.refuse(at, Some(not_found_code(via)), format!("the template \"{key}\" was not looked up"));
                return None;
            }
        };
        let kind = part.definition.get("kind").and_then(Value::as_str).unwrap_or("document");
        if kind != via.as_str() {
            let message = format!("\"{key}\" is a {}, and a {} is wanted here", clip(kind, 40), via.as_str());
            self.refuse(at, Some("template_kind_mismatch"), message);
            return None;
        }
        if via == ReferenceVia::Component && !self.may_enter(&part, at) {
            return None;
        }
        let used = UsedPart { via, key, version: part.version };
        if !self.used.contains(&used) {
            if self.used.len() >= MOST_PARTS {
                self.stop(format!("a template is put together from at most {MOST_PARTS} parts"));
                return None;
            }
            self.used.push(used);
        }
        Some(part)
    }

    /// No component is in itself, nor too deep in others.
    fn may_enter(&mut self, part: &Part, at: &str) -> bool {
        let around = self.own_component.iter().map(String::as_str);
        let components = || self.within.iter().filter(|part| part.via == ReferenceVia::Component);
        let around: Vec<&str> = around.chain(components().map(|part| part.key.as_str())).collect();
        if let Some(first) = around.iter().position(|key| *key == part.key.as_str()) {
            let circle = around[first..].iter().chain([&part.key.as_str()]).copied().collect::<Vec<_>>().join(" → ");
            self.refuse(at, Some("component_cycle"), format!("a component cannot be part of itself: {circle}"));
            return false;
        }
        if around.len() >= MOST_LEVELS {
            let message = format!("components are nested deeper than the {MOST_LEVELS} levels accepted: {}", around.join(" → "));
            self.refuse(at, None, message);
            return false;
        }
        true
    }

    /// The declared components of HTML, with their HTML in place of the references.
    pub(super) fn components(&mut self, value: &Value, at: &str, place: &str) -> Value {
        let Some(declared) = value.as_object() else { return value.clone() };
        let mut out = Map::new();
        for (name, entry) in declared {
            if self.full {
                break;
            }
            let (here, there) = (pointer(at, name), pointer(place, name));
            // Put together before.
            let entry = if entry.get("html").is_some() { entry.clone() } else { self.html_component(entry, &here, &there) };
            out.insert(name.clone(), entry);
        }
        Value::Object(out)
    }

    fn html_component(&mut self, entry: &Value, here: &str, there: &str) -> Value {
        self.count_node();
        let Some(part) = self.lead(ReferenceVia::Component, Some(entry), here) else { return Value::Null };
        let Some(html) = part.definition.get("html").and_then(Value::as_str) else {
            let message = format!("the component \"{}\" is a tree of blocks, and this template is HTML", part.key);
            self.refuse(here, Some("template_kind_mismatch"), message);
            return Value::Null;
        };
        self.enter(ReferenceVia::Component, &part, here.to_owned());
        self.note_origin(there.to_owned(), String::new());
        self.spend(html.len() + 200);
        self.note_css(&part);
        let mut out = json!({"key": part.key.as_str(), "version": part.version.to_string(), "html": html});
        if let Some(inner) = part.definition.get("components") {
            out["components"] = self.components(inner, "/components", &pointer(there, "components"));
        }
        self.leave();
        out
    }
}
