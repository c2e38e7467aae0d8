//! Reads the tree: ids, kinds, nesting and counts, and hands each node's properties to its kind.

use std::collections::{BTreeMap, HashSet};

use domain::issues::pointer;
use serde_json::Value;

use super::{DOCUMENT, KINDS, Node};
use crate::definition::Kind;
use crate::fields::{Around, Fields, Reading};
use crate::html_slots::MAIN;
use crate::issues::{clip, hint, short};
use crate::limits::MAX_DEPTH;
use crate::outline::Gathering;
use crate::style::{self, Style};

const ID_CHARACTERS: usize = 128;

/// What reading the tree keeps track of.
pub(crate) struct Tree {
    ids: HashSet<Box<str>>,
    nodes: usize,
    depth: usize,
    /// What the definition is for.
    pub(crate) kind: Kind,
    /// Names of slots.
    pub(crate) slots: HashSet<Box<str>>,
    gathering: Gathering,
}

/// The root of a definition.
#[derive(Debug)]
pub(crate) struct Document {
    pub(crate) style: Style,
    pub(crate) children: Vec<Node>,
    /// Whether a table of contents stands somewhere in it.
    pub(crate) gathering: Gathering,
}

/// Reads the root node.
pub(crate) fn read_document(reading: &mut Reading<'_>, value: &Value, kind: Kind) -> Option<Document> {
    let Some(object) = value.as_object() else {
        reading.refuse(
            "/document".into(),
            &format!("\"document\" is {}; accepted: the root node {{\"id\", \"type\": \"document\", \"children\"}}", short(value)),
        );
        return None;
    };
    let mut tree = Tree { ids: HashSet::new(), nodes: 0, depth: 0, kind, slots: HashSet::new(), gathering: Gathering::No };
    let mut fields = Fields::new(reading, &DOCUMENT, object, "/document".into(), String::new());
    tree.id(&mut fields);
    match fields.string("type") {
        Some("document") => {}
        Some(other) => fields.refuse("type", &format!("the root node is of type \"{}\"; accepted: \"document\"", clip(other, 60))),
        None => fields.refuse_missing("type", "\"document\""),
    }
    let style = style::read(&mut fields);
    if fields.value("children").is_none() {
        fields.refuse_missing("children", "a list of nodes");
    }
    let children = tree.children(&mut fields, "children");
    if kind == Kind::Layout && !tree.slots.contains(MAIN) {
        fields.refuse("children", "a layout has a slot for the content of those that use it: {\"type\": \"slot\", \"id\": \"main\"}");
    }
    fields.finish();
    Some(Document { style, children, gathering: tree.gathering })
}

impl Tree {
    /// Headings are to be told apart: something in the document leads to them.
    pub(crate) fn gathers_headings(&mut self) {
        self.gathering = Gathering::Yes;
    }

    /// Reads the nodes of another definition, which chose their ids without knowing those around.
    pub(crate) fn foreign_children(&mut self, fields: &mut Fields<'_, '_>, name: &'static str) -> Vec<Node> {
        let (ids, kind) = (std::mem::take(&mut self.ids), std::mem::replace(&mut self.kind, Kind::Component));
        let nodes = self.children(fields, name);
        self.ids = ids;
        self.kind = kind;
        nodes
    }

    /// Reads a property that holds a list of nodes; nothing where it is absent.
    pub(crate) fn children(&mut self, fields: &mut Fields<'_, '_>, name: &'static str) -> Vec<Node> {
        let at = fields.at(name);
        let list = fields.list(name).unwrap_or_default();
        if !list.is_empty() && self.depth >= fields.reading.limits.depth.min(MAX_DEPTH) {
            let limit = fields.reading.limits.depth.min(MAX_DEPTH);
            fields.refuse(name, &format!("nodes are nested deeper than the {limit} levels accepted"));
            return Vec::new();
        }
        self.depth += 1;
        let mut counts = BTreeMap::new();
        let nodes = list
            .iter()
            .enumerate()
            .filter_map(|(index, value)| self.node(fields.reading, value, pointer(&at, index), &mut counts))
            .collect();
        self.depth -= 1;
        nodes
    }

    fn node(&mut self, reading: &mut Reading<'_>, value: &Value, at: String, counts: &mut BTreeMap<&'static str, usize>) -> Option<Node> {
        let word = |name: &str| value.get(name).and_then(Value::as_str);
        let given = word("type");
        let known = KINDS.iter().find(|(shape, _)| Some(shape.what) == given);
        let count = counts.entry(known.map_or("node", |(shape, _)| shape.what)).or_default();
        *count += 1;
        let label = label(known.map_or("node", |(shape, _)| shape.what), *count, word("title"));
        reading.trail.push(Around { label: label.clone(), id: word("id").map(Into::into), kind: given.map(Into::into) });
        let node = self.node_here(reading, value, at, label);
        reading.trail.pop();
        node
    }

    /// A node that is the last of the trail.
    fn node_here(&mut self, reading: &mut Reading<'_>, value: &Value, at: String, label: Box<str>) -> Option<Node> {
        let limit = reading.limits.nodes;
        self.nodes += 1;
        if self.nodes > limit {
            if self.nodes == limit + 1 {
                reading.refuse(at, &format!("the tree has more than the {limit} nodes accepted"));
            }
            return None;
        }
        let Some(object) = value.as_object() else {
            reading.refuse(at, &format!("a node is {}; accepted: an object with \"id\" and \"type\"", short(value)));
            return None;
        };
        let kinds = KINDS.each_ref().map(|(shape, _)| shape.what);
        let given = object.get("type").and_then(Value::as_str);
        let Some((shape, read)) = KINDS.iter().find(|(shape, _)| Some(shape.what) == given) else {
            let message = match given {
                Some(given) => format!("\"{}\" is no type of node{}", clip(given, 60), hint(given, kinds)),
                None => format!("a node without \"type\"; accepted: {}", kinds.join(", ")),
            };
            reading.refuse(pointer(&at, "type"), &message);
            return None;
        };
        let mut fields = Fields::new(reading, shape, object, at, String::new());
        fields.value("type");
        let id = self.id(&mut fields);
        let style = style::read(&mut fields);
        let content = read(self, &mut fields);
        fields.finish();
        Some(Node { id: id?, kind: shape.what, label, style, content: content? })
    }

    fn id(&mut self, fields: &mut Fields<'_, '_>) -> Option<Box<str>> {
        let Some(id) = fields.string("id") else {
            fields.refuse_missing("id", "text that no other node has as its id");
            return None;
        };
        if id.is_empty() || id.chars().count() > ID_CHARACTERS {
            fields.refuse("id", &format!("\"id\" is {}; accepted: 1 to {ID_CHARACTERS} characters", short(&Value::from(id))));
        } else if !self.ids.insert(id.into()) {
            fields.refuse("id", &format!("the id \"{id}\" is taken by another node; ids are unique in a document"));
        }
        Some(id.into())
    }
}

/// `Section 'Body'` where a title tells nodes apart, otherwise `Text 1`, counted among its siblings.
pub(crate) fn label(kind: &str, count: usize, title: Option<&str>) -> Box<str> {
    let mut name = kind.to_owned();
    if let Some(first) = name.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    match title.filter(|title| !title.trim().is_empty()) {
        Some(title) => format!("{name} '{}'", clip(title, 40)).into(),
        None => format!("{name} {count}").into(),
    }
}
