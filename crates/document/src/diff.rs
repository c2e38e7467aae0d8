//! What changed between two definitions, node by node: the answer to "what will I publish".
//!
//! Nodes are the same when their ids are; where an id is missing or used twice, their place stands in for it and a
//! diagnostic says so. Everything else is compared property by property. Time and memory grow with the definitions and
//! not with their product; what is listed is bounded, what is counted is exact.
//!
//! To add a section for a new part of definitions: name it in [`SECTIONS`] and give it a field in [`TemplateDiff`].

mod lines;
mod nodes;
mod values;

use serde::Serialize;
use serde_json::{Map, Value};

use self::lines::changed_lines;
use self::values::{NodeLists, Room, changed_values};

/// Diagnostics that are listed.
const MAX_DIAGNOSTICS: usize = 20;

/// What changed. The names are those of the published interface.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TemplateDiff {
    /// Name, description, tags, sample data and whatever else is said about the template as a whole.
    pub metadata_changes: Vec<PropertyChange>,
    /// `renderConfig`.
    pub render_config_changes: Vec<PropertyChange>,
    /// `i18n`.
    pub i18n_changes: Vec<PropertyChange>,
    /// `inputSchema`.
    pub input_schema_changes: Vec<PropertyChange>,
    /// `fieldMappings`, each named by its target.
    pub field_mapping_changes: Vec<PropertyChange>,
    /// The root node's own properties; `html` and `css` by lines.
    pub document_root_changes: Vec<PropertyChange>,
    /// The nodes below the root.
    pub document_changes: Vec<NodeChange>,
    /// What stood in the way of a better comparison.
    pub diagnostics: Vec<Diagnostic>,
    /// How much changed, whether it is listed or not.
    pub summary: DiffSummary,
}

/// One property that changed. A side that has no such property is absent; long values are cut.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PropertyChange {
    /// Where, such as `margins.top`, `columns[2].header` or `html lines 12-14`.
    pub path: String,
    /// What it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<Value>,
    /// What it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<Value>,
}

/// One node that changed. A node that was moved and modified is there twice.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeChange {
    /// Its id, or where it has none of its own a stand-in such as `(Text 2)`.
    pub node_id: String,
    /// Its `type`.
    pub node_type: String,
    /// What became of it.
    pub kind: NodeChangeKind,
    /// Where it was, as a breadcrumb such as `Section 'Body' > Text 1`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from_path: Option<String>,
    /// Where it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to_path: Option<String>,
    /// What of it changed, where it was modified.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub properties: Option<Vec<PropertyChange>>,
}

/// What became of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum NodeChangeKind {
    /// It is new.
    Added,
    /// It is gone.
    Removed,
    /// A property of its own changed.
    Modified,
    /// It stands somewhere else.
    Moved,
}

/// A remark on the comparison.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Diagnostic {
    /// Always `warn`.
    pub level: &'static str,
    /// What was found.
    pub message: String,
}

/// How much changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DiffSummary {
    /// Nodes that are new, those inside new ones too.
    pub nodes_added: usize,
    /// Nodes that are gone, those inside gone ones too.
    pub nodes_removed: usize,
    /// Nodes with properties that changed.
    pub nodes_modified: usize,
    /// Nodes that stand somewhere else; what only made room for others does not count.
    pub nodes_moved: usize,
    /// Properties that changed, of nodes and of everything else.
    pub properties_changed: usize,
}

/// Top-level properties that are no metadata.
const SECTIONS: [&str; 7] = ["renderConfig", "i18n", "inputSchema", "fieldMappings", "document", "html", "css"];

/// Compares two definitions, which need not be valid.
pub fn diff(before: &Value, after: &Value) -> TemplateDiff {
    let mut diff = TemplateDiff::default();
    let mut room = Room::default();
    let nothing = Map::new();
    let [of_before, of_after] = [before, after].map(|definition| definition.as_object().unwrap_or(&nothing));
    let changed = |name: &str, room: &mut Room| {
        let mut found = Vec::new();
        changed_values("", of_before.get(name), of_after.get(name), NodeLists::Compare, room, &mut found);
        found
    };
    diff.render_config_changes = changed("renderConfig", &mut room);
    diff.i18n_changes = changed("i18n", &mut room);
    diff.input_schema_changes = changed("inputSchema", &mut room);
    let mut names: Vec<&String> = of_before.keys().chain(of_after.keys().filter(|name| !of_before.contains_key(*name))).collect();
    names.retain(|name| !SECTIONS.contains(&name.as_str()));
    for name in names {
        changed_values(name, of_before.get(name), of_after.get(name), NodeLists::Compare, &mut room, &mut diff.metadata_changes);
    }
    changed_mappings(of_before.get("fieldMappings"), of_after.get("fieldMappings"), &mut room, &mut diff.field_mapping_changes);
    for name in ["html", "css"] {
        let of_root = &mut diff.document_root_changes;
        match (of_before.get(name), of_after.get(name)) {
            (Some(Value::String(before)), Some(Value::String(after))) => changed_lines(name, before, after, &mut room, of_root),
            (before, after) => changed_values(name, before, after, NodeLists::Compare, &mut room, of_root),
        }
    }
    nodes::changed_nodes(of_before.get("document"), of_after.get("document"), &mut room, &mut diff);
    diff.summary.properties_changed = room.changes;
    if room.left_out > 0 {
        diff.warn(|| format!("{} more changes are counted and not listed", room.left_out));
    }
    diff
}

/// Mappings are told apart by their targets; their order matters where two write the same place.
fn changed_mappings(before: Option<&Value>, after: Option<&Value>, room: &mut Room, found: &mut Vec<PropertyChange>) {
    let (Some(Value::Array(before)), Some(Value::Array(after))) = (before, after) else {
        return changed_values("fieldMappings", before, after, NodeLists::Compare, room, found);
    };
    let [before, after] = [before, after].map(|entries| named(entries));
    let all: std::collections::HashMap<&str, &Value> = after.iter().map(|(name, entry)| (name.as_str(), *entry)).collect();
    let known: std::collections::HashMap<&str, &Value> = before.iter().map(|(name, entry)| (name.as_str(), *entry)).collect();
    let gone = before.iter().filter(|(name, _)| !all.contains_key(name.as_str()));
    for (name, entry) in gone {
        room.note(found, name, Some(entry), None);
    }
    for (name, entry) in &after {
        let old = known.get(name.as_str()).copied();
        if old != Some(*entry) {
            room.note(found, name, old, Some(entry));
        }
    }
    let order = |entries: &[(String, &Value)], others: &std::collections::HashMap<&str, &Value>| {
        entries.iter().map(|(name, _)| name.clone()).filter(|name| others.contains_key(name.as_str())).collect::<Vec<_>>()
    };
    let (was, is) = (order(&before, &all), order(&after, &known));
    if was != is {
        room.note(found, "(order)", Some(&Value::from(was)), Some(&Value::from(is)));
    }
}

/// Each mapping with its target, counted where a target is there more than once.
fn named(entries: &[Value]) -> Vec<(String, &Value)> {
    let mut counts = std::collections::HashMap::new();
    let name = |entry: &Value| ["target", "to"].iter().find_map(|name| entry.get(*name)?.as_str()).unwrap_or("(no target)").to_owned();
    let each = entries.iter().map(|entry| {
        let name = name(entry);
        let count = counts.entry(name.clone()).or_insert(0_usize);
        *count += 1;
        (if *count == 1 { name } else { format!("{name} ({count})") }, entry)
    });
    each.collect()
}

impl TemplateDiff {
    /// Whether nothing changed.
    pub fn is_empty(&self) -> bool {
        self.summary == DiffSummary::default()
    }

    fn warn(&mut self, message: impl FnOnce() -> String) {
        if self.diagnostics.len() < MAX_DIAGNOSTICS {
            self.diagnostics.push(Diagnostic { level: "warn", message: message() });
        }
    }
}
