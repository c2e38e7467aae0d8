//! Which data a template prints: every path, where it stands, and whether the schema knows it.

use expressions::UsedPath;
use serde::Serialize;
use serde_json::Value;

use crate::definition::{Body, Compiled};
use crate::fields::{Formula, Text};
use crate::nodes::Node;
use crate::schema_depth::percent_decoded;

/// Bindings that are listed.
const MAX_BINDINGS: usize = 5_000;
/// References that a path follows through a schema.
const MAX_REFERENCES: usize = 32;

/// Every binding of a template.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct BindingList {
    /// In the order of the document, at most 5,000.
    pub bindings: Vec<Binding>,
    /// Whether there are more.
    pub truncated: bool,
}

/// One path where it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Binding {
    /// From the root of the mapped data, such as `order.items[].price`; as written where only the data can tell.
    pub path: String,
    /// As the author wrote it.
    pub written: String,
    /// Whether the path is from the root.
    pub absolute: bool,
    /// Whether the `inputSchema` declares it; absent where there is none, where it leaves the place open and where the path
    /// is not known from the root.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub declared: Option<bool>,
    /// The node, for a tree of blocks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node_id: Option<String>,
    /// The node among its neighbours, such as `Section 'Body' > Text 1`; `HTML`, `CSS` and the like outside of nodes.
    pub breadcrumb: String,
    /// The property of the node, such as `content` or `columns[2].value`.
    pub property: String,
    /// In the property's text, from 1.
    pub line: usize,
    /// In the line, from 1.
    pub column: usize,
}

impl Compiled {
    /// Every path that the template names.
    pub fn bindings(&self) -> BindingList {
        let mut uses = Uses {
            schema: self.input_schema(),
            list: BindingList::default(),
            contexts: vec![Some(String::new())],
            names: Vec::new(),
            trail: Vec::new(),
            node: None,
        };
        uses.trail.push("Page");
        for furniture in [&self.config.header, &self.config.footer].into_iter().flatten() {
            furniture.texts().for_each(|text| uses.text(text));
        }
        uses.trail.clear();
        match &self.body {
            Body::Tree(document) => uses.nodes(&document.children),
            Body::Html { html, css } => {
                uses.trail.push("CSS");
                for css in css {
                    uses.text(css);
                }
                uses.trail = vec!["HTML"];
                uses.text(html);
            }
            Body::None => {}
        }
        uses.list
    }
}

/// A walk that gathers them.
pub(crate) struct Uses<'w> {
    schema: Option<&'w Value>,
    list: BindingList,
    /// What `this` is in the data, innermost last; none where only the data can tell.
    contexts: Vec<Option<String>>,
    /// Names that repeaters give their items, with what they are.
    names: Vec<(&'w str, Option<String>)>,
    trail: Vec<&'w str>,
    node: Option<&'w str>,
}

impl<'w> Uses<'w> {
    pub(crate) fn nodes(&mut self, nodes: &'w [Node]) {
        for node in nodes {
            let around = self.node.replace(&node.id);
            self.trail.push(&node.label);
            node.content.uses(self);
            self.trail.pop();
            self.node = around;
        }
    }

    pub(crate) fn text(&mut self, text: &'w Text) {
        for used in text.template.used_paths() {
            self.note(used, &text.property);
        }
    }

    pub(crate) fn formula(&mut self, formula: &'w Formula) {
        for used in formula.expression.used_paths() {
            self.note(used, &formula.property);
        }
    }

    /// What is used where `this` is an item of `items`, which may have a name.
    pub(crate) fn each(&mut self, items: &Formula, name: Option<&'w str>, inner: impl FnOnce(&mut Self)) {
        let used = items.expression.used_paths();
        // More than one path is a helper's work: what it gives is not known.
        let of_items = match &used[..] {
            [only] if only.written == items.expression.source().trim() => self.rooted(only),
            _ => None,
        };
        let item = of_items.map(|path| path + "[]");
        self.contexts.push(item.clone());
        let names = self.names.len();
        self.names.extend(name.map(|name| (name, item)));
        inner(self);
        self.names.truncate(names);
        self.contexts.pop();
    }

    /// What is used where `this` is what `subject` gives and nothing around is known; `None` where only the data can tell.
    pub(crate) fn within(&mut self, subject: Option<&Formula>, inner: impl FnOnce(&mut Self)) {
        let context = subject.and_then(|subject| {
            let used = subject.expression.used_paths();
            match &used[..] {
                [only] if only.written == subject.expression.source().trim() => self.rooted(only),
                _ => None,
            }
        });
        self.alone(context, inner);
    }

    /// What is used where `this` is what it is around, and nothing else around is known.
    pub(crate) fn here(&mut self, inner: impl FnOnce(&mut Self)) {
        let context = self.contexts.last().cloned().flatten();
        self.alone(context, inner);
    }

    fn alone(&mut self, context: Option<String>, inner: impl FnOnce(&mut Self)) {
        let contexts = std::mem::replace(&mut self.contexts, vec![context]);
        let names = std::mem::take(&mut self.names);
        inner(self);
        self.contexts = contexts;
        self.names = names;
    }

    /// The path from the root of the data, where the nodes around tell.
    fn rooted(&self, used: &UsedPath) -> Option<String> {
        let first = used.written.split(['.', '/', '[']).next().unwrap_or_default();
        let named = self.names.iter().rev().find(|(name, _)| *name == first);
        if used.written.starts_with("@root") {
            return used.absolute.then(|| used.path.clone());
        }
        let levels = used.written.split("../").count() - 1;
        if levels > 0 && !used.absolute {
            let context = self.contexts.len().checked_sub(levels + 1).and_then(|at| self.contexts[at].as_deref())?;
            let rest = used.written.trim_start_matches("../").trim_start_matches("this");
            return Some(joined(context, rest.trim_start_matches(['.', '/'])));
        }
        if !used.absolute {
            return None;
        }
        if let Some((name, item)) = named {
            let rest = used.path.strip_prefix(name)?;
            return item.as_ref().map(|item| format!("{item}{rest}"));
        }
        let context = self.contexts.last()?.as_deref()?;
        Some(joined(context, &used.path))
    }

    fn note(&mut self, used: UsedPath, property: &str) {
        if self.list.bindings.len() >= MAX_BINDINGS {
            self.list.truncated = true;
            return;
        }
        let path = self.rooted(&used);
        let declared = path.as_deref().and_then(|path| declares(self.schema?, path));
        self.list.bindings.push(Binding {
            absolute: path.is_some(),
            declared,
            path: path.unwrap_or(used.path),
            written: used.written,
            node_id: self.node.map(str::to_owned),
            breadcrumb: match &used.partial {
                Some(partial) => format!("{} > {partial}", self.trail.join(" > ")),
                None => self.trail.join(" > "),
            },
            property: property.to_owned(),
            line: used.at.line,
            column: used.at.column,
        });
    }
}

fn joined(context: &str, rest: &str) -> String {
    match (context, rest) {
        ("", rest) => rest.to_owned(),
        (context, "") => context.to_owned(),
        (context, rest) => format!("{context}.{rest}"),
    }
}

/// Whether a schema declares the place; `None` where it leaves open what is there.
fn declares(root: &Value, path: &str) -> Option<bool> {
    let mut place = Some(root);
    for segment in path.split('.').filter(|segment| !segment.is_empty()) {
        let (name, items) = segment.find('[').map_or((segment, 0), |at| (&segment[..at], segment[at..].matches('[').count()));
        if !name.is_empty() {
            let own = followed(root, place?)?;
            place = match (own.get("properties").and_then(|properties| properties.get(name)), own.get("properties")) {
                (Some(found), _) => Some(found),
                // The length of a list or of a text is no property.
                (None, _) if name == "length" => return None,
                (None, Some(_)) => return if is_branching(own) { None } else { Some(false) },
                (None, None) => return None,
            };
        }
        for _ in 0..items {
            place = followed(root, place?)?.get("items");
        }
    }
    place.map(|_| true)
}

fn is_branching(schema: &Value) -> bool {
    ["allOf", "anyOf", "oneOf", "patternProperties", "if"].iter().any(|keyword| schema.get(keyword).is_some())
        || schema.get("additionalProperties").is_some_and(Value::is_object)
}

/// Follows references inside the document.
fn followed<'s>(root: &'s Value, mut schema: &'s Value) -> Option<&'s Value> {
    for _ in 0..MAX_REFERENCES {
        let Some(reference) = schema.get("$ref").and_then(Value::as_str) else { return Some(schema) };
        schema = root.pointer(&percent_decoded(reference.strip_prefix('#')?))?;
    }
    None
}
