//! Which other templates a template definition names: its theme, its layout, its components, and where.

use std::fmt;

use serde_json::{Map, Value};

use crate::issues::pointer;
use crate::labels::LabelName;
use crate::templates::{TemplateKey, TemplateVersion};

/// References that are noted of one definition. More are left out; none of them compiles, as parts have a limit too.
const MOST_REFERENCES: usize = 1_000;
/// Levels of a tree that are looked through. Deeper ones do not compile.
const MOST_LEVELS: usize = 200;
/// What a label says that always leads to the version saved last.
const LATEST: &str = "@latest";

/// Through what a definition uses another template.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ReferenceVia {
    /// `theme`: variables, a style sheet and defaults of the page.
    Theme,
    /// `layout`: the frame the content is put into.
    Layout,
    /// A component node, or an entry of `components`.
    Component,
}

impl ReferenceVia {
    /// The word for it, which is also the kind that the other template must have.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Theme => "theme",
            Self::Layout => "layout",
            Self::Component => "component",
        }
    }

    /// The one with this word.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Theme, Self::Layout, Self::Component].into_iter().find(|via| via.as_str() == word)
    }
}

/// Which version of the other template is meant.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Pin {
    /// What renders when nothing is said: the live label's version, or the current one.
    Default,
    /// The version saved last, whatever the live label (`"label": "@latest"`).
    Latest,
    /// That one, for ever.
    Version(TemplateVersion),
    /// The one that the label leads to.
    Label(LabelName),
}

impl Pin {
    /// The version that is written down.
    pub fn version(&self) -> Option<TemplateVersion> {
        if let Self::Version(version) = self { Some(*version) } else { None }
    }

    /// The label that is written down, `@latest` among them.
    pub fn label(&self) -> Option<&str> {
        match self {
            Self::Label(label) => Some(label.as_str()),
            Self::Latest => Some(LATEST),
            Self::Default | Self::Version(_) => None,
        }
    }

    /// From what [`Pin::version`] and [`Pin::label`] gave; `None` when there are both or the label can be none.
    pub fn from_parts(version: Option<TemplateVersion>, label: Option<&str>) -> Option<Self> {
        match (version, label) {
            (None, None) => Some(Self::Default),
            (Some(version), None) => Some(Self::Version(version)),
            (None, Some(LATEST)) => Some(Self::Latest),
            (None, Some(label)) => label.parse().ok().map(Self::Label),
            (Some(_), Some(_)) => None,
        }
    }
}

impl fmt::Display for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => Ok(()),
            Self::Latest => f.write_str(LATEST),
            Self::Version(version) => version.fmt(f),
            Self::Label(label) => f.write_str(label.as_str()),
        }
    }
}

/// One other template that a definition names at one place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TemplateReference {
    /// Through what.
    pub via: ReferenceVia,
    /// The other template.
    pub key: TemplateKey,
    /// Which of its versions.
    pub pin: Pin,
    /// A JSON Pointer to the reference in the definition.
    pub pointer: String,
    /// The id of the node that names it, where one does and has one.
    pub node_id: Option<String>,
}

/// Why a value is no reference to a template.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidReference {
    /// Neither text nor an object with `key`.
    #[error("accepted: the key of a template as text, or an object such as {{\"key\": \"letterhead\", \"version\": \"1.0.3\"}}")]
    Shape,
    /// `key` is no key of a template.
    #[error("a template key is 1–128 characters of letters, digits, '.', '_' and '-', beginning with a letter or digit")]
    Key,
    /// `version` or `label` is none.
    #[error("its version must be text such as \"1.0.3\", its label the name of a label or \"@latest\"")]
    Pin,
    /// Both `version` and `label`.
    #[error("\"version\" and \"label\" exclude each other")]
    BothPins,
    /// Anything else in the object.
    #[error("a reference has \"key\" and at most one of \"version\" and \"label\", and nothing else")]
    Unknown,
}

/// Reads a reference: `"key"`, `{"key", "version"}` or `{"key", "label"}`.
///
/// # Errors
/// What is wrong with it, as a person would be told.
pub fn read_reference(value: &Value) -> Result<(TemplateKey, Pin), InvalidReference> {
    match value {
        Value::String(key) => Ok((key.parse().map_err(|_| InvalidReference::Key)?, Pin::Default)),
        Value::Object(object) => {
            let text = |name: &str| match object.get(name) {
                None | Some(Value::Null) => Ok(None),
                Some(Value::String(text)) => Ok(Some(text.as_str())),
                Some(_) => Err(InvalidReference::Pin),
            };
            let key = object.get("key").and_then(Value::as_str).ok_or(InvalidReference::Shape)?;
            let key = key.parse().map_err(|_| InvalidReference::Key)?;
            let (version, label) = (text("version")?, text("label")?);
            if version.is_some() && label.is_some() {
                return Err(InvalidReference::BothPins);
            }
            if object.keys().any(|name| !matches!(name.as_str(), "key" | "version" | "label")) {
                return Err(InvalidReference::Unknown);
            }
            let version = version.map(str::parse).transpose().map_err(|_| InvalidReference::Pin)?;
            Ok((key, Pin::from_parts(version, label).ok_or(InvalidReference::Pin)?))
        }
        _ => Err(InvalidReference::Shape),
    }
}

/// The templates that a definition names, in the order of theme, layout, `components`, tree and slots. Any JSON can be
/// given: what is no reference is left out, as it is for the compiler to refuse. What is already written out in a
/// definition (a component node `of` a template, an entry of `components` with its `html`) is no reference.
pub fn template_references(definition: &Value) -> Vec<TemplateReference> {
    let mut search = Search { found: Vec::new() };
    let Some(object) = definition.as_object() else { return search.found };
    // What a theme says under `theme` is what it is, not what it uses.
    if object.get("kind").and_then(Value::as_str) != Some("theme") {
        search.note(ReferenceVia::Theme, object.get("theme"), || "/theme".to_owned(), None);
    }
    search.note(ReferenceVia::Layout, object.get("layout"), || "/layout".to_owned(), None);
    for (name, entry) in object.get("components").and_then(Value::as_object).into_iter().flatten() {
        search.note(ReferenceVia::Component, Some(entry), || pointer("/components", name), None);
    }
    for place in ["document", "slots"] {
        if let Some(value) = object.get(place) {
            search.node(value, &format!("/{place}"), 0);
        }
    }
    search.found
}

struct Search {
    found: Vec<TemplateReference>,
}

impl Search {
    fn node(&mut self, value: &Value, at: &str, level: usize) {
        if level > MOST_LEVELS || self.found.len() >= MOST_REFERENCES {
            return;
        }
        match value {
            Value::Array(list) => {
                for (index, value) in list.iter().enumerate().filter(|(_, value)| is_inner(value)) {
                    self.node(value, &pointer(at, index), level + 1);
                }
            }
            Value::Object(object) => {
                if object.get("type").and_then(Value::as_str) == Some("component") {
                    let id = node_id(object);
                    self.note(ReferenceVia::Component, object.get("component"), || pointer(at, "component"), id);
                }
                for (name, value) in object.iter().filter(|(_, value)| is_inner(value)) {
                    self.node(value, &pointer(at, name), level + 1);
                }
            }
            _ => {}
        }
    }

    fn note(&mut self, via: ReferenceVia, value: Option<&Value>, pointer: impl FnOnce() -> String, node_id: Option<String>) {
        let Some((key, pin)) = value.and_then(|value| read_reference(value).ok()) else { return };
        if self.found.len() < MOST_REFERENCES {
            self.found.push(TemplateReference { via, key, pin, pointer: pointer(), node_id });
        }
    }
}

fn is_inner(value: &Value) -> bool {
    value.is_object() || value.is_array()
}

fn node_id(object: &Map<String, Value>) -> Option<String> {
    object.get("id").and_then(Value::as_str).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn told(definition: &Value) -> Vec<String> {
        let tell = |one: TemplateReference| {
            format!("{} {}@{} {} {}", one.via.as_str(), one.key, one.pin, one.pointer, one.node_id.unwrap_or_default())
        };
        template_references(definition).into_iter().map(tell).collect()
    }

    #[test]
    fn a_definition_tells_which_templates_it_uses_where_and_in_which_version() {
        let definition = json!({
            "key": "invoice", "theme": "brand", "layout": {"key": "letterhead", "version": "1.0.3"},
            "components": {"address/of": {"key": "address", "label": "prod"}, "own": {"key": "x", "version": "1.0.0", "html": "<p>"}},
            "document": {"type": "document", "children": [
                {"type": "text", "content": "component"},
                {"type": "section", "children": [{"id": "sum", "type": "component", "component": {"key": "totals", "label": "@latest"}}]},
                {"type": "component", "of": {"key": "written-out", "version": "1.0.0"}, "children": [{"type": "component", "component": "inner"}]},
            ]},
            "slots": {"aside": [{"type": "component", "component": "notes"}]},
        });
        assert_eq!(
            told(&definition),
            [
                "theme brand@ /theme ",
                "layout letterhead@1.0.3 /layout ",
                "component address@prod /components/address~1of ",
                "component totals@@latest /document/children/1/children/0/component sum",
                "component inner@ /document/children/2/children/0/component ",
                "component notes@ /slots/aside/0/component ",
            ]
        );
        assert_eq!(told(&json!({"kind": "theme", "theme": {"key": "brand"}})), Vec::<String>::new());
    }

    #[test]
    fn what_is_no_reference_is_left_out_and_said_why() {
        for (value, why) in [
            (json!(7), InvalidReference::Shape),
            (json!({"version": "1.0.0"}), InvalidReference::Shape),
            (json!("not a key/../"), InvalidReference::Key),
            (json!({"key": "a", "version": "one"}), InvalidReference::Pin),
            (json!({"key": "a", "version": 1}), InvalidReference::Pin),
            (json!({"key": "a", "label": "@newest"}), InvalidReference::Pin),
            (json!({"key": "a", "label": "prod", "version": "1.0.0"}), InvalidReference::BothPins),
            (json!({"key": "a", "html": "<p>"}), InvalidReference::Unknown),
        ] {
            assert_eq!(read_reference(&value), Err(why), "{value}");
            assert_eq!(told(&json!({ "layout": value })), Vec::<String>::new());
        }
    }

    #[test]
    fn a_pin_is_the_same_after_it_was_written_down() {
        for pin in [Pin::Default, Pin::Latest, Pin::Version("1.0.7".parse().unwrap()), Pin::Label("prod".parse().unwrap())] {
            assert_eq!(Pin::from_parts(pin.version(), pin.label()), Some(pin));
        }
    }

    #[test]
    fn references_without_end_and_trees_without_ground_are_cut_short() {
        let wide: Vec<_> = (0..5_000).map(|_| json!({"type": "component", "component": "a"})).collect();
        assert_eq!(template_references(&json!({ "document": wide })).len(), MOST_REFERENCES);
        let deep = (0..1_000).fold(json!({"type": "component", "component": "a"}), |inner, _| json!([inner]));
        assert_eq!(template_references(&json!({ "document": deep })).len(), 0);
    }
}
