//! Whether a schema takes one value: for lists of values, which are compared value by value.

use std::cmp::Ordering;

use serde_json::{Map, Value};

use super::base::Items;
use super::rules::{is_annotation, is_checked_format};
use super::schema::{Document, Kinds, equal, order};
use crate::schema_steps::Siblings;

/// Levels of schemas inside each other that are looked at.
const MAX_DEPTH: usize = 50;

/// The answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Takes,
    Refuses,
    /// It depends on what is not looked at here, such as a regular expression.
    Unknown,
}

impl Verdict {
    fn of(fits: bool) -> Self {
        if fits { Self::Takes } else { Self::Refuses }
    }

    fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Refuses, _) | (_, Self::Refuses) => Self::Refuses,
            (Self::Unknown, _) | (_, Self::Unknown) => Self::Unknown,
            _ => Self::Takes,
        }
    }

    fn or(self, other: Self) -> Self {
        self.not().and(other.not()).not()
    }

    fn not(self) -> Self {
        match self {
            Self::Takes => Self::Refuses,
            Self::Refuses => Self::Takes,
            Self::Unknown => Self::Unknown,
        }
    }
}

/// Judges values by one schema; every visit of a subschema costs `left` one.
pub(super) struct Judge<'s> {
    pub(super) document: Document<'s>,
    pub(super) left: usize,
}

impl<'s> Judge<'s> {
    pub(super) fn verdict(&mut self, schema: &'s Value, value: &Value, depth: usize) -> Verdict {
        let Some(left) = self.left.checked_sub(1).filter(|_| depth < MAX_DEPTH) else { return Verdict::Unknown };
        self.left = left;
        match schema {
            Value::Bool(takes) => Verdict::of(*takes),
            Value::Object(members) => {
                let Some((reference, siblings)) = self.document.reference(members) else { return self.members(members, value, depth) };
                let Some(target) = self.document.target(reference) else { return Verdict::Unknown };
                let of_target = self.verdict(target, value, depth + 1);
                match siblings {
                    Siblings::Ignored => of_target,
                    Siblings::Hold => of_target.and(self.members(members, value, depth)),
                }
            }
            _ => Verdict::Unknown,
        }
    }

    pub(super) fn members(&mut self, members: &'s Map<String, Value>, value: &Value, depth: usize) -> Verdict {
        let mut verdict = Verdict::Takes;
        for (keyword, argument) in members {
            verdict = verdict.and(self.keyword(members, keyword, argument, value, depth));
            if verdict == Verdict::Refuses {
                break;
            }
        }
        verdict
    }

    fn keyword(&mut self, members: &'s Map<String, Value>, keyword: &str, argument: &'s Value, value: &Value, depth: usize) -> Verdict {
        let kind = Kinds::of(value);
        let ordered = |fits: fn(Ordering) -> bool| match order(value, argument) {
            _ if !kind.meets(Kinds::NUMBER) => Verdict::Takes,
            Some(found) => Verdict::of(fits(found)),
            None => Verdict::Unknown,
        };
        let counted = |of: Kinds, count: usize, fits: fn(Ordering) -> bool| match order(&Value::from(count), argument) {
            _ if !kind.meets(of) => Verdict::Takes,
            Some(found) => Verdict::of(fits(found)),
            None => Verdict::Unknown,
        };
        let characters = || value.as_str().map_or(0, |text| text.chars().count());
        let items = || value.as_array().map_or(0, Vec::len);
        let properties = || value.as_object().map_or(0, Map::len);
        match keyword {
            "$ref" | "definitions" | "$defs" => Verdict::Takes,
            "type" => Verdict::of(Kinds::named(argument).meets(kind)),
            "enum" => Verdict::of(argument.as_array().into_iter().flatten().any(|own| equal(own, value))),
            "const" => Verdict::of(equal(argument, value)),
            "minimum" => ordered(Ordering::is_ge),
            "maximum" => ordered(Ordering::is_le),
            "exclusiveMinimum" => ordered(Ordering::is_gt),
            "exclusiveMaximum" => ordered(Ordering::is_lt),
            "minLength" => counted(Kinds::STRING, characters(), Ordering::is_ge),
            "maxLength" => counted(Kinds::STRING, characters(), Ordering::is_le),
            "minItems" => counted(Kinds::ARRAY, items(), Ordering::is_ge),
            "maxItems" => counted(Kinds::ARRAY, items(), Ordering::is_le),
            "minProperties" => counted(Kinds::OBJECT, properties(), Ordering::is_ge),
            "maxProperties" => counted(Kinds::OBJECT, properties(), Ordering::is_le),
            "required" => {
                let names = argument.as_array().into_iter().flatten().filter_map(Value::as_str);
                Verdict::of(value.as_object().is_none_or(|object| names.into_iter().all(|name| object.contains_key(name))))
            }
            "properties" => self.properties(argument, value, depth),
            "additionalProperties" if kind != Kinds::OBJECT || members.contains_key("patternProperties") => {
                if kind == Kinds::OBJECT {
                    Verdict::Unknown
                } else {
                    Verdict::Takes
                }
            }
            "additionalProperties" => {
                let declared = members.get("properties").and_then(Value::as_object);
                let mut verdict = Verdict::Takes;
                for (name, own) in value.as_object().into_iter().flatten() {
                    if !declared.is_some_and(|declared| declared.contains_key(name)) {
                        verdict = verdict.and(self.verdict(argument, own, depth + 1));
                    }
                }
                verdict
            }
            "items" | "prefixItems" | "additionalItems" => self.items(&Items::of(self.document.draft, members), value, depth),
            "allOf" => self.branches(argument, value, depth).into_iter().fold(Verdict::Takes, Verdict::and),
            "anyOf" => self.branches(argument, value, depth).into_iter().fold(Verdict::Refuses, Verdict::or),
            "not" => self.verdict(argument, value, depth + 1).not(),
            "oneOf" => {
                let verdicts = self.branches(argument, value, depth);
                let takes = verdicts.iter().filter(|verdict| **verdict == Verdict::Takes).count();
                let unknown = verdicts.contains(&Verdict::Unknown);
                if takes > 1 || (takes == 0 && !unknown) {
                    Verdict::Refuses
                } else if unknown {
                    Verdict::Unknown
                } else {
                    Verdict::Takes
                }
            }
            "pattern" if kind != Kinds::STRING => Verdict::Takes,
            "format" if kind != Kinds::STRING || !argument.as_str().is_some_and(is_checked_format) => Verdict::Takes,
            keyword if is_annotation(keyword) => Verdict::Takes,
            _ => Verdict::Unknown,
        }
    }

    fn branches(&mut self, branches: &'s Value, value: &Value, depth: usize) -> Vec<Verdict> {
        branches.as_array().into_iter().flatten().map(|branch| self.verdict(branch, value, depth + 1)).collect()
    }

    fn properties(&mut self, properties: &'s Value, value: &Value, depth: usize) -> Verdict {
        let (Some(properties), Some(object)) = (properties.as_object(), value.as_object()) else { return Verdict::Takes };
        let mut verdict = Verdict::Takes;
        for (name, own) in object {
            if let Some(schema) = properties.get(name) {
                verdict = verdict.and(self.verdict(schema, own, depth + 1));
            }
        }
        verdict
    }

    fn items(&mut self, items: &Items<'s>, value: &Value, depth: usize) -> Verdict {
        let mut verdict = Verdict::Takes;
        for (index, item) in value.as_array().into_iter().flatten().enumerate() {
            if let Some(schema) = items.places.get(index).or(items.rest) {
                verdict = verdict.and(self.verdict(schema, item, depth + 1));
            }
        }
        verdict
    }
}
