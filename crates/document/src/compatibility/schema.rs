//! One of the two schemas: its draft, and where its references lead.

use std::cmp::Ordering;

use serde_json::{Map, Number, Value};

use crate::schema_depth::percent_decoded;
use crate::schema_steps::{DATA, Siblings};

/// Parts of two schemas that are compared for being the same.
const MAX_PARTS: usize = 20_000;

/// A whole schema.
#[derive(Clone, Copy, Debug)]
pub(super) struct Document<'s> {
    root: &'s Value,
    pub(super) draft: Draft,
    /// A nested `$id` gives references below it another meaning, so none is followed.
    has_nested_ids: bool,
}

/// What drafts differ in, as far as it matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Draft {
    /// Draft-04, where integers and bounds mean something else.
    Four,
    Six,
    Seven,
    Y2019,
    Y2020,
}

impl Draft {
    fn of(root: &Value) -> Self {
        match root.get("$schema").and_then(Value::as_str) {
            Some(uri) if uri.contains("draft-04") => Self::Four,
            Some(uri) if uri.contains("draft-06") => Self::Six,
            Some(uri) if uri.contains("2019-09") => Self::Y2019,
            Some(uri) if uri.contains("2020-12") => Self::Y2020,
            _ => Self::Seven,
        }
    }

    fn siblings(self) -> Siblings {
        if matches!(self, Self::Y2019 | Self::Y2020) { Siblings::Hold } else { Siblings::Ignored }
    }
}

impl<'s> Document<'s> {
    pub(super) fn new(root: &'s Value) -> Self {
        Self { root, draft: Draft::of(root), has_nested_ids: has_nested_ids(root) }
    }

    /// Where a reference leads; `None` for anchors, other documents and nowhere.
    pub(super) fn target(&self, reference: &str) -> Option<&'s Value> {
        let fragment = reference.strip_prefix('#').filter(|fragment| fragment.is_empty() || fragment.starts_with('/'))?;
        if self.has_nested_ids {
            return None;
        }
        self.root.pointer(&percent_decoded(fragment))
    }

    /// The reference of a schema, and whether the keywords beside it count.
    pub(super) fn reference(&self, members: &'s Map<String, Value>) -> Option<(&'s str, Siblings)> {
        Some((members.get("$ref")?.as_str()?, self.draft.siblings()))
    }
}

fn has_nested_ids(root: &Value) -> bool {
    let mut open: Vec<&Value> = root.as_object().map(|members| members.values().collect()).unwrap_or_default();
    while let Some(value) = open.pop() {
        match value {
            Value::Array(items) => open.extend(items),
            Value::Object(members) => {
                if members.get("$id").or_else(|| members.get("id")).is_some_and(Value::is_string) {
                    return true;
                }
                open.extend(members.iter().filter(|(name, _)| !DATA.contains(&name.as_str())).map(|(_, member)| member));
            }
            _ => {}
        }
    }
    false
}

/// Whether two places say the same, also where their references lead.
pub(super) fn is_same<'s>(left: (Document<'s>, &'s Value), right: (Document<'s>, &'s Value)) -> bool {
    let mut open = vec![(left.1, right.1)];
    let mut seen = std::collections::HashSet::new();
    let mut left_to_do = MAX_PARTS;
    while let Some((one, other)) = open.pop() {
        let Some(less) = left_to_do.checked_sub(1) else { return false };
        left_to_do = less;
        match (one, other) {
            (Value::Object(ones), Value::Object(others)) => {
                if ones.len() != others.len() || ones.contains_key("$dynamicRef") || ones.contains_key("$recursiveRef") {
                    return false;
                }
                if !seen.insert((std::ptr::from_ref(one).addr(), std::ptr::from_ref(other).addr())) {
                    continue;
                }
                for (name, member) in ones {
                    let Some(counterpart) = others.get(name) else { return false };
                    open.push((member, counterpart));
                }
                if let (Some((one, _)), Some((other, _))) = (left.0.reference(ones), right.0.reference(others)) {
                    match (left.0.target(one), right.0.target(other)) {
                        (Some(one), Some(other)) => open.push((one, other)),
                        _ => return false,
                    }
                }
            }
            (Value::Array(ones), Value::Array(others)) => {
                if ones.len() != others.len() {
                    return false;
                }
                open.extend(ones.iter().zip(others));
            }
            (one, other) if one == other => {}
            _ => return false,
        }
    }
    true
}

/// The order of two numbers; `None` where floating point cannot tell.
pub(super) fn order(left: &Value, right: &Value) -> Option<Ordering> {
    let (Value::Number(left), Value::Number(right)) = (left, right) else { return None };
    let whole = |number: &Number| number.as_i64().map(i128::from).or_else(|| number.as_u64().map(i128::from));
    match (whole(left), whole(right)) {
        (Some(left), Some(right)) => Some(left.cmp(&right)),
        (left_whole, right_whole) => {
            // Whole numbers past 2^53 have no floating point of their own.
            let exact = |whole: Option<i128>| whole.is_none_or(|number| number.unsigned_abs() <= 1 << 53);
            if !exact(left_whole) || !exact(right_whole) {
                return None;
            }
            left.as_f64()?.partial_cmp(&right.as_f64()?)
        }
    }
}

/// Whether two values are equal as JSON Schema means it: numbers by value.
pub(super) fn equal(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(_), Value::Number(_)) => order(left, right) == Some(Ordering::Equal),
        (Value::Array(left), Value::Array(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(left, right)| equal(left, right))
        }
        (Value::Object(left), Value::Object(right)) => {
            left.len() == right.len() && left.iter().all(|(name, value)| right.get(name).is_some_and(|other| equal(value, other)))
        }
        (left, right) => left == right,
    }
}

/// A set of the kinds of values that JSON Schema tells apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Kinds(u8);

impl Kinds {
    pub(super) const NONE: Self = Self(0);
    pub(super) const NULL: Self = Self(1);
    pub(super) const BOOLEAN: Self = Self(2);
    pub(super) const INTEGER: Self = Self(4);
    /// Numbers that are no integers.
    pub(super) const FRACTION: Self = Self(8);
    pub(super) const NUMBER: Self = Self(4 | 8);
    pub(super) const STRING: Self = Self(16);
    pub(super) const ARRAY: Self = Self(32);
    pub(super) const OBJECT: Self = Self(64);
    pub(super) const ALL: Self = Self(127);
    /// Those that are told apart, one at a time.
    pub(super) const EACH: [Self; 7] = [Self::NULL, Self::BOOLEAN, Self::INTEGER, Self::FRACTION, Self::STRING, Self::ARRAY, Self::OBJECT];

    pub(super) fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    pub(super) fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(super) fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    pub(super) fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// What a `type` names.
    pub(super) fn named(of_type: &Value) -> Self {
        let one = |word: &Value| match word.as_str() {
            Some("null") => Self::NULL,
            Some("boolean") => Self::BOOLEAN,
            Some("integer") => Self::INTEGER,
            Some("number") => Self::NUMBER,
            Some("string") => Self::STRING,
            Some("array") => Self::ARRAY,
            Some("object") => Self::OBJECT,
            _ => Self::NONE,
        };
        match of_type {
            Value::Array(words) => words.iter().map(one).fold(Self::NONE, Self::or),
            word => one(word),
        }
    }

    /// What a value is.
    pub(super) fn of(value: &Value) -> Self {
        match value {
            Value::Null => Self::NULL,
            Value::Bool(_) => Self::BOOLEAN,
            Value::Number(number) if number.is_i64() || number.is_u64() => Self::INTEGER,
            Value::Number(number) if number.as_f64().is_some_and(|number| number.fract() == 0.0) => Self::INTEGER,
            Value::Number(_) => Self::FRACTION,
            Value::String(_) => Self::STRING,
            Value::Array(_) => Self::ARRAY,
            Value::Object(_) => Self::OBJECT,
        }
    }

    /// In words, such as `string or null`.
    pub(super) fn words(self) -> String {
        if self == Self::ALL {
            return "anything".to_owned();
        }
        let mut words = Vec::new();
        for (kind, word) in [
            (Self::OBJECT, "object"),
            (Self::ARRAY, "array"),
            (Self::STRING, "string"),
            (Self::NUMBER, "number"),
            (Self::INTEGER, "integer"),
            (Self::FRACTION, "number that is no integer"),
            (Self::BOOLEAN, "boolean"),
            (Self::NULL, "null"),
        ] {
            let is_part_of_number = matches!(word, "integer" | "number that is no integer") && self.and(Self::NUMBER) == Self::NUMBER;
            if self.and(kind) == kind && !is_part_of_number {
                words.push(word);
            }
        }
        if words.is_empty() { "nothing".to_owned() } else { words.join(" or ") }
    }
}
