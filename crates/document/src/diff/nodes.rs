//! The nodes of two trees, matched by their ids.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::lines::longest_ascent;
use super::values::{NodeLists, Room, changed_members, changed_values, node_list};
use super::{NodeChange, NodeChangeKind, TemplateDiff};
use crate::issues::clip;
use crate::nodes::label;

/// Characters of a breadcrumb.
const BREADCRUMB_CHARACTERS: usize = 1_000;
/// Characters of a node's id and type in a change.
const NAME_CHARACTERS: usize = 128;

/// A node where it stands.
struct Place<'v> {
    /// Its id or what stands in for it: unique in its tree.
    id: Box<str>,
    members: &'v Map<String, Value>,
    /// Index of the node around it; none for the root's own.
    parent: Option<usize>,
    /// Which list of that node, such as `children` or `columns[1].children`.
    slot: Box<str>,
    /// Its number among the nodes of its type in the list, from 1.
    count: usize,
}

/// A list of nodes: whose, and which of them.
type List<'v> = (Option<usize>, &'v str);
/// A node that was found and not looked at: itself, and the rest of its place.
type Open<'v> = (&'v Map<String, Value>, Option<usize>, Box<str>, usize);

/// All nodes below a root, in the order of the document.
struct Tree<'v> {
    places: Vec<Place<'v>>,
    by_id: HashMap<Box<str>, usize>,
}

pub(super) fn changed_nodes(before: Option<&Value>, after: Option<&Value>, room: &mut Room, diff: &mut TemplateDiff) {
    let [before_root, after_root] = [before, after].map(|root| root.and_then(Value::as_object));
    let changes = &mut diff.document_root_changes;
    if let (Some(before), Some(after)) = (before_root, after_root) {
        changed_members("document", before, after, NodeLists::Skip, room, changes);
    } else {
        let own = |root: Option<&Value>| root.map(without_lists);
        changed_values("document", own(before).as_ref(), own(after).as_ref(), NodeLists::Skip, room, changes);
    }
    let old = Tree::read(before_root, "before", diff);
    let new = Tree::read(after_root, "after", diff);
    for (index, place) in old.places.iter().enumerate() {
        if !new.by_id.contains_key(&place.id) {
            diff.summary.nodes_removed += 1;
            push(room, diff, place, NodeChangeKind::Removed, Some((&old, index)), None);
        }
    }
    let moved = moved(&old, &new);
    for (index, place) in new.places.iter().enumerate() {
        let Some(was) = old.by_id.get(&place.id).copied() else {
            diff.summary.nodes_added += 1;
            push(room, diff, place, NodeChangeKind::Added, None, Some((&new, index)));
            continue;
        };
        if moved[index] {
            diff.summary.nodes_moved += 1;
            push(room, diff, place, NodeChangeKind::Moved, Some((&old, was)), Some((&new, index)));
        }
        let (mut properties, changes) = (Vec::new(), room.changes);
        changed_members("", old.places[was].members, place.members, NodeLists::Skip, room, &mut properties);
        if room.changes > changes {
            diff.summary.nodes_modified += 1;
            if let Some(change) = push(room, diff, place, NodeChangeKind::Modified, Some((&old, was)), Some((&new, index))) {
                change.properties = Some(properties);
            }
        }
    }
}

/// A root's own properties.
fn without_lists(root: &Value) -> Value {
    match root {
        Value::Object(members) => {
            let own = members.iter().filter(|(name, value)| node_list(name, value).is_none());
            Value::Object(own.map(|(name, value)| (name.clone(), value.clone())).collect())
        }
        other => other.clone(),
    }
}

fn push<'d>(
    room: &mut Room,
    diff: &'d mut TemplateDiff,
    place: &Place<'_>,
    kind: NodeChangeKind,
    from: Option<(&Tree<'_>, usize)>,
    to: Option<(&Tree<'_>, usize)>,
) -> Option<&'d mut NodeChange> {
    if room.is_full() {
        room.left_out += 1;
        return None;
    }
    let [from_path, to_path] = [from, to].map(|side| side.map(|(tree, index)| tree.breadcrumb(index)));
    let bytes = [&from_path, &to_path].into_iter().flatten().map(String::len).sum::<usize>() + place.id.len().min(4 * NAME_CHARACTERS);
    if !room.take(bytes) {
        return None;
    }
    let node_type = clip(kind_of(place.members).unwrap_or("unknown"), NAME_CHARACTERS);
    let node_id = clip(&place.id, NAME_CHARACTERS);
    diff.document_changes.push(NodeChange { node_id, node_type, kind, from_path, to_path, properties: None });
    diff.document_changes.last_mut()
}

fn kind_of(members: &Map<String, Value>) -> Option<&str> {
    members.get("type").and_then(Value::as_str)
}

/// For each new place whether the node stood somewhere else: in another list, or before or behind others of the same.
fn moved(old: &Tree<'_>, new: &Tree<'_>) -> Vec<bool> {
    let mut moved = vec![false; new.places.len()];
    let mut stayed: HashMap<List<'_>, Vec<(usize, usize)>> = HashMap::new();
    for (index, place) in new.places.iter().enumerate() {
        let Some(was) = old.by_id.get(&place.id).copied() else { continue };
        let around = |tree: &'_ Tree<'_>, parent: Option<usize>| parent.map(|parent| tree.places[parent].id.clone());
        if around(old, old.places[was].parent) == around(new, place.parent) && old.places[was].slot == place.slot {
            stayed.entry((place.parent, &place.slot)).or_default().push((was, index));
        } else {
            moved[index] = true;
        }
    }
    for list in stayed.into_values() {
        let were: Vec<usize> = list.iter().map(|(was, _)| *was).collect();
        let mut kept = longest_ascent(&were).into_iter().peekable();
        for (at, (_, index)) in list.iter().enumerate() {
            if kept.next_if_eq(&at).is_none() {
                moved[*index] = true;
            }
        }
    }
    moved
}

impl<'v> Tree<'v> {
    fn read(root: Option<&'v Map<String, Value>>, side: &str, diff: &mut TemplateDiff) -> Self {
        let mut tree = Self { places: Vec::new(), by_id: HashMap::new() };
        let mut open: Vec<Open<'v>> = Vec::new();
        let mut strangers = 0;
        if let Some(root) = root {
            open_lists(root, None, &mut open, &mut strangers);
        }
        let [mut nameless, mut repeated] = [0_usize; 2];
        let mut repeated_first = None;
        while let Some((members, parent, slot, count)) = open.pop() {
            let index = tree.places.len();
            let given = members.get("id").and_then(Value::as_str).filter(|id| !id.is_empty());
            let id = match given {
                Some(id) if !tree.by_id.contains_key(id) => id.into(),
                Some(id) => {
                    repeated += 1;
                    repeated_first.get_or_insert((id, index));
                    tree.stand_in(members, parent, &slot, count)
                }
                None => {
                    nameless += 1;
                    tree.stand_in(members, parent, &slot, count)
                }
            };
            tree.by_id.insert(id.clone(), index);
            tree.places.push(Place { id, members, parent, slot, count });
            open_lists(members, Some(index), &mut open, &mut strangers);
        }
        if let Some((id, index)) = repeated_first {
            let (id, at) = (clip(id, NAME_CHARACTERS), tree.breadcrumb(index));
            diff.warn(|| {
                format!("{side}: {repeated} nodes have an id that another one has, \"{id}\" of {at} first; their places stand in for it")
            });
        }
        if nameless > 0 {
            diff.warn(|| format!("{side}: {nameless} nodes have no id; their places stand in for it"));
        }
        if strangers > 0 {
            diff.warn(|| format!("{side}: {strangers} nodes are no objects and are not compared"));
        }
        tree
    }

    /// A name for a node without one of its own: its place.
    fn stand_in(&self, members: &Map<String, Value>, parent: Option<usize>, slot: &str, count: usize) -> Box<str> {
        let around = parent.map_or("", |parent| &self.places[parent].id);
        let own = label(kind_of(members).unwrap_or("node"), count, None);
        let slot = if slot == "children" { String::new() } else { format!("{slot} ") };
        let mut name = format!("({slot}{own}{}{around})", if around.is_empty() { "" } else { " of " });
        // Nested stand-ins would grow with the depth; and somebody may have given such an id.
        if name.len() > 4 * NAME_CHARACTERS || self.by_id.contains_key(name.as_str()) {
            name = format!("({own} #{})", self.places.len());
        }
        name.into()
    }

    fn breadcrumb(&self, index: usize) -> String {
        let mut labels = Vec::new();
        let mut next = Some(index);
        while let Some(index) = next {
            let place = &self.places[index];
            let title = place.members.get("title").and_then(Value::as_str);
            labels.push(label(&clip(kind_of(place.members).unwrap_or("node"), NAME_CHARACTERS), place.count, title));
            next = place.parent;
        }
        labels.reverse();
        clip(&labels.join(" > "), BREADCRUMB_CHARACTERS)
    }
}

/// The lists of nodes among the properties of a node, with their names.
fn find_lists<'v>(path: &str, members: &'v Map<String, Value>, lists: &mut Vec<(String, &'v [Value])>) {
    for (name, value) in members {
        let at = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        match (node_list(name, value), value) {
            (Some(list), _) => lists.push((at, list)),
            (None, Value::Object(own)) => find_lists(&at, own, lists),
            (None, Value::Array(items)) => {
                for (index, item) in items.iter().enumerate() {
                    if let Some(own) = item.as_object() {
                        find_lists(&format!("{at}[{index}]"), own, lists);
                    }
                }
            }
            _ => {}
        }
    }
}

/// Puts the nodes in the lists of a node on the stack, the first one on top.
fn open_lists<'v>(members: &'v Map<String, Value>, parent: Option<usize>, open: &mut Vec<Open<'v>>, strangers: &mut usize) {
    let from = open.len();
    let mut lists = Vec::new();
    find_lists("", members, &mut lists);
    for (slot, list) in lists {
        let mut counts: HashMap<&str, usize> = HashMap::new();
        for item in list {
            let Some(members) = item.as_object() else {
                *strangers += 1;
                continue;
            };
            let count = counts.entry(kind_of(members).unwrap_or("node")).or_default();
            *count += 1;
            open.push((members, parent, slot.as_str().into(), *count));
        }
    }
    open[from..].reverse();
}
