//! Two JSON values, down to the properties that differ.

use serde_json::{Map, Value};

use super::PropertyChange;
use crate::issues::clip;

/// Bytes of one side of a change that are shown.
const VALUE_BYTES: usize = 4 * 1024;
/// Bytes that all changes listed may have together: what somebody can read at the very most.
const ROOM_BYTES: usize = 4 * 1024 * 1024;
/// Bytes of one change beside its texts, roughly.
const CHANGE_BYTES: usize = 100;
/// Characters of a path.
const PATH_CHARACTERS: usize = 500;

/// What becomes of lists of nodes among properties.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NodeLists {
    /// They are values like others.
    Compare,
    /// They are compared as nodes elsewhere.
    Skip,
}

/// How much is listed, and how much there was.
#[derive(Debug)]
pub(super) struct Room {
    left_bytes: usize,
    /// Property changes, listed or not.
    pub(super) changes: usize,
    /// Changes of either kind that are not listed.
    pub(super) left_out: usize,
}

impl Default for Room {
    fn default() -> Self {
        Self { left_bytes: ROOM_BYTES, changes: 0, left_out: 0 }
    }
}

impl Room {
    /// Whether something of that size is still listed.
    pub(super) fn take(&mut self, bytes: usize) -> bool {
        if let Some(left) = self.left_bytes.checked_sub(bytes + CHANGE_BYTES) {
            self.left_bytes = left;
            return true;
        }
        self.left_bytes = 0;
        self.left_out += 1;
        false
    }

    pub(super) fn is_full(&self) -> bool {
        self.left_bytes == 0
    }

    pub(super) fn note(&mut self, found: &mut Vec<PropertyChange>, path: &str, before: Option<&Value>, after: Option<&Value>) {
        self.changes += 1;
        if self.is_full() {
            self.left_out += 1;
            return;
        }
        let (before, after) = (before.map(shown), after.map(shown));
        let bytes = path.len() + [&before, &after].into_iter().flatten().map(|value| bounded_size(value, VALUE_BYTES * 2)).sum::<usize>();
        if self.take(bytes) {
            found.push(PropertyChange { path: clip(path, PATH_CHARACTERS), before, after });
        }
    }
}

/// The value, or its beginning as text where it is long.
fn shown(value: &Value) -> Value {
    match value {
        Value::String(text) if text.len() > VALUE_BYTES => Value::from(format!("{} ({} bytes)", clip(text, VALUE_BYTES / 4), text.len())),
        Value::Array(items) if bounded_size(value, VALUE_BYTES) > VALUE_BYTES => Value::from(format!("(a list of {})", items.len())),
        Value::Object(members) if bounded_size(value, VALUE_BYTES) > VALUE_BYTES => {
            Value::from(format!("(an object with {} properties)", members.len()))
        }
        value => value.clone(),
    }
}

/// Bytes of a value as JSON, roughly; counting ends soon after `most`.
fn bounded_size(value: &Value, most: usize) -> usize {
    let mut size = 0;
    let mut open = vec![value];
    while let Some(value) = open.pop() {
        if size > most {
            break;
        }
        match value {
            Value::String(text) => size += text.len() + 2,
            Value::Array(items) => {
                size += items.len() + 2;
                open.extend(items.iter().take(most));
            }
            Value::Object(members) => {
                size += 2;
                for (name, member) in members.iter().take(most) {
                    size += name.len() + 4;
                    open.push(member);
                }
            }
            _ => size += 5,
        }
    }
    size
}

/// A list below a node whose members are nodes.
pub(super) fn node_list<'v>(name: &str, value: &'v Value) -> Option<&'v [Value]> {
    let is_node = |item: &Value| item.get("id").is_some_and(Value::is_string) && item.get("type").is_some_and(Value::is_string);
    let list = value.as_array()?;
    (matches!(name, "children" | "else") || (!list.is_empty() && list.iter().all(is_node))).then_some(list)
}

/// Finds what differs and names it by its path from `path` on.
pub(super) fn changed_values(
    path: &str,
    before: Option<&Value>,
    after: Option<&Value>,
    lists: NodeLists,
    room: &mut Room,
    found: &mut Vec<PropertyChange>,
) {
    match (before, after) {
        (None, None) => {}
        (Some(Value::Object(before)), Some(Value::Object(after))) => changed_members(path, before, after, lists, room, found),
        (Some(Value::Array(before)), Some(Value::Array(after))) => changed_items(path, before, after, lists, room, found),
        (before, after) if before == after => {}
        (before, after) => room.note(found, path, before, after),
    }
}

pub(super) fn changed_members(
    path: &str,
    before: &Map<String, Value>,
    after: &Map<String, Value>,
    lists: NodeLists,
    room: &mut Room,
    found: &mut Vec<PropertyChange>,
) {
    let names = before.keys().chain(after.keys().filter(|name| !before.contains_key(*name)));
    for name in names {
        let own = |members: &'_ Map<String, Value>| {
            members.get(name).is_some_and(|value| lists == NodeLists::Skip && node_list(name, value).is_some())
        };
        let side = |members: &'_ Map<String, Value>| members.get(name).filter(|_| !own(members)).cloned();
        let at = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        if own(before) || own(after) {
            let (before, after) = (side(before), side(after));
            changed_values(&at, before.as_ref(), after.as_ref(), lists, room, found);
        } else {
            changed_values(&at, before.get(name), after.get(name), lists, room, found);
        }
    }
}

/// Lists of plain values as a whole, others item by item once what they begin and end with alike is set aside.
fn changed_items(path: &str, before: &[Value], after: &[Value], lists: NodeLists, room: &mut Room, found: &mut Vec<PropertyChange>) {
    let is_plain = |items: &[Value]| !items.iter().any(|item| item.is_object() || item.is_array());
    if is_plain(before) && is_plain(after) {
        if before != after {
            room.note(found, path, Some(&Value::from(before)), Some(&Value::from(after)));
        }
        return;
    }
    // Items may hold nodes of their own, which decide nothing here.
    let is_like = |one: &Value, other: &Value| lists == NodeLists::Compare && one == other;
    let head = before.iter().zip(after).take_while(|(one, other)| is_like(one, other)).count();
    let (before, after) = (&before[head..], &after[head..]);
    let tail = before.iter().rev().zip(after.iter().rev()).take_while(|(one, other)| is_like(one, other)).count();
    let (before, after) = (&before[..before.len() - tail], &after[..after.len() - tail]);
    for index in 0..before.len().max(after.len()) {
        changed_values(&format!("{path}[{}]", head + index), before.get(index), after.get(index), lists, room, found);
    }
}
