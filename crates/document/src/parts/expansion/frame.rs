//! Where an expansion is, and what it has used up.

use domain::template_references::ReferenceVia;
use serde_json::{Value, json};

use super::{Expansion, PART_BYTES};
use crate::parts::origins::Origin;
use crate::parts::{Part, UsedPart};

impl Expansion<'_> {
    /// What follows stands in a part; `reference` is the pointer of the reference to it.
    pub(super) fn enter(&mut self, via: ReferenceVia, part: &Part, reference: String) {
        if self.within.is_empty() {
            self.reference = reference;
        }
        self.within.push(UsedPart { via, key: part.key.clone(), version: part.version });
    }

    pub(super) fn leave(&mut self) {
        self.within.pop();
    }

    /// What is at `place` in the whole is at `source` in the part that is being expanded.
    pub(super) fn note_origin(&mut self, place: String, source: String) {
        let part = self.within.last().map(|part| (part.clone(), self.reference.clone()));
        self.origins.push(Origin { place, source, part });
    }

    /// Counts what is copied out of parts.
    pub(super) fn spend(&mut self, bytes: usize) {
        if self.within.is_empty() || self.full {
            return;
        }
        self.bytes += bytes;
        if self.bytes > PART_BYTES {
            self.stop(format!("the parts together are larger than the {PART_BYTES} bytes accepted"));
        }
    }

    /// Counts a node, or an HTML component where it is declared.
    pub(super) fn count_node(&mut self) {
        self.nodes += 1;
        let limit = self.limits.nodes;
        if self.nodes > limit && !self.full {
            self.stop(format!("the template and its parts together have more than the {limit} nodes accepted"));
        }
    }

    /// Ends the expansion: there is too much of it.
    pub(super) fn stop(&mut self, message: String) {
        self.full = true;
        let at = if self.within.is_empty() { "" } else { &*self.reference.clone() };
        self.within.clear();
        self.refuse(at, None, message);
    }

    /// The style sheets and fonts of a component or of an HTML layout, once.
    pub(super) fn note_css(&mut self, part: &Part) {
        let (key, version) = (part.key.as_str(), part.version.to_string());
        let known = |entry: &Value| entry["key"] == key && entry["version"] == *version;
        let text = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned);
        if let Some(css) = text(part.definition.get("css")).filter(|_| !self.part_css.iter().any(known)) {
            self.spend(css.len());
            self.note_origin(format!("/partCss/{}", self.part_css.len()), String::new());
            self.part_css.push(json!({"key": key, "version": version, "css": css}));
        }
        if self.within.last().is_some_and(|part| part.via == ReferenceVia::Layout) {
            // Its settings are merged with the document's.
            return;
        }
        let config = part.definition.get("renderConfig");
        if let Some(css) = text(config.and_then(|config| config.get("customCss"))).filter(|css| !self.plain_css.contains(css)) {
            self.spend(css.len());
            self.plain_css.push(css);
        }
        for font in config.and_then(|config| config.get("fonts")).and_then(Value::as_array).into_iter().flatten() {
            if !self.fonts.contains(font) {
                self.fonts.push(font.clone());
            }
        }
    }
}
