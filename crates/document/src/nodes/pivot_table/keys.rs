//! The keys of one side of a pivot table, each with its place.

use std::collections::HashMap;

use serde_json::Value;

/// In which order keys stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    Data,
    Sorted,
}

/// Keys in their order, and where each stands.
#[derive(Default)]
pub(super) struct Keys {
    pub(super) keys: Vec<Value>,
    places: HashMap<String, usize>,
}

impl Keys {
    /// The place of a key, which `text` is the JSON of.
    pub(super) fn place(&mut self, text: String, key: Value) -> usize {
        let next = self.keys.len();
        let place = *self.places.entry(text).or_insert(next);
        if place == next {
            self.keys.push(key);
        }
        place
    }

    /// The places of the keys as they are written.
    pub(super) fn order(&self, order: Order) -> Vec<usize> {
        let mut places: Vec<usize> = (0..self.keys.len()).collect();
        if order == Order::Sorted {
            places.sort_by(|a, b| by_size(&self.keys[*a], &self.keys[*b]));
        }
        places
    }
}

/// Numbers by size, before texts by their characters; what is missing last.
fn by_size(a: &Value, b: &Value) -> std::cmp::Ordering {
    let rank = |value: &Value| match value {
        Value::Number(_) => 0,
        Value::String(_) => 1,
        Value::Null => 3,
        _ => 2,
    };
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a.as_f64().unwrap_or(0.0).total_cmp(&b.as_f64().unwrap_or(0.0)),
        (Value::String(a), Value::String(b)) => a.cmp(b),
        _ => rank(a).cmp(&rank(b)),
    }
}
