//! What the base says of one place in the data: every schema that holds there, together.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::schema::{Document, Draft, Kinds, order};
use crate::schema_steps::Siblings;

/// Schemas that hold at one place.
const MAX_PARTS: usize = 200;

type Members = Map<String, Value>;

/// A conjunction: a value fits when it fits every part. Leaving a part out accepts more and is always safe here.
#[derive(Clone, Debug)]
pub(super) struct Base<'s> {
    parts: Vec<&'s Members>,
    pub(super) kinds: Kinds,
    /// Choices (`anyOf`, `oneOf`) that were decided by adding one of their branches.
    decided: Vec<usize>,
    is_impossible: bool,
}

impl<'s> Base<'s> {
    pub(super) fn anything() -> Self {
        Self { parts: Vec::new(), kinds: Kinds::ALL, decided: Vec::new(), is_impossible: false }
    }

    pub(super) fn of(document: Document<'s>, schemas: impl IntoIterator<Item = &'s Value>) -> Self {
        let mut base = Self::anything();
        for schema in schemas {
            base.add(document, schema);
        }
        base
    }

    pub(super) fn add(&mut self, document: Document<'s>, schema: &'s Value) {
        let mut open = vec![schema];
        let mut seen = BTreeSet::new();
        while let Some(schema) = open.pop() {
            if !seen.insert(std::ptr::from_ref(schema).addr()) || self.parts.len() >= MAX_PARTS {
                continue;
            }
            let members = match schema {
                Value::Bool(false) => {
                    self.is_impossible = true;
                    continue;
                }
                Value::Object(members) => members,
                _ => continue,
            };
            if let Some((reference, siblings)) = document.reference(members) {
                open.extend(document.target(reference));
                if siblings == Siblings::Ignored {
                    continue;
                }
            }
            if !self.parts.iter().any(|part| std::ptr::eq(*part, members)) {
                self.parts.push(members);
            }
            if let Some(of_type) = members.get("type") {
                self.kinds = self.kinds.and(Kinds::named(of_type));
            }
            open.extend(members.get("allOf").and_then(Value::as_array).into_iter().flatten());
        }
    }

    /// Nothing fits.
    pub(super) fn is_impossible(&self) -> bool {
        self.is_impossible || self.kinds == Kinds::NONE
    }

    /// Nothing is known: everything fits.
    pub(super) fn is_free(&self) -> bool {
        self.parts.is_empty() && self.kinds == Kinds::ALL && !self.is_impossible
    }

    pub(super) fn parts(&self) -> impl Iterator<Item = &'s Members> {
        self.parts.iter().copied()
    }

    /// What names this conjunction where comparisons under way are remembered.
    pub(super) fn identity(&self) -> (Vec<usize>, Kinds) {
        let mut parts: Vec<usize> = self.parts.iter().map(|part| std::ptr::from_ref(*part).addr()).collect();
        parts.sort_unstable();
        (parts, self.kinds)
    }

    /// Every value that a keyword has in any part.
    pub(super) fn all(&self, keyword: &'static str) -> impl Iterator<Item = &'s Value> {
        self.parts().filter_map(move |part| part.get(keyword))
    }

    /// Whether any part has a bound that is as strict as `bound`, or `or_better`.
    pub(super) fn bounds(&self, keyword: &'static str, bound: &Value, or_better: Ordering) -> bool {
        self.all(keyword).any(|own| order(own, bound).is_some_and(|found| found == Ordering::Equal || found == or_better))
    }

    /// The same without the bound itself.
    pub(super) fn bounds_beyond(&self, keyword: &'static str, bound: &Value, better: Ordering) -> bool {
        self.all(keyword).any(|own| order(own, bound) == Some(better))
    }

    pub(super) fn requires(&self, name: &str) -> bool {
        self.all("required").filter_map(Value::as_array).flatten().any(|own| own == name)
    }

    /// The shortest list of values that any part names, as far as their kinds fit.
    pub(super) fn finite(&self) -> Option<Vec<&'s Value>> {
        static CONSTANTS: [Value; 3] = [Value::Null, Value::Bool(true), Value::Bool(false)];
        let listed = self.all("enum").filter_map(|values| Some(values.as_array()?.iter().collect::<Vec<_>>()));
        let single = self.all("const").map(|value| vec![value]);
        let found = listed.chain(single).min_by_key(Vec::len).or_else(|| {
            let constants = Kinds::NULL.or(Kinds::BOOLEAN);
            (self.kinds.without(constants) == Kinds::NONE).then(|| CONSTANTS.iter().collect())
        })?;
        Some(found.into_iter().filter(|value| Kinds::of(value).meets(self.kinds)).collect())
    }

    /// The branches of a choice that is not decided yet, and the conjunctions that each of them makes.
    pub(super) fn split(&self, document: Document<'s>) -> Option<Vec<Self>> {
        let choices = self.all("anyOf").chain(self.all("oneOf"));
        let choice =
            choices.filter(|choice| !self.decided.contains(&std::ptr::from_ref(*choice).addr())).find(|choice| choice.is_array())?;
        let mut undecided = self.clone();
        undecided.decided.push(std::ptr::from_ref(choice).addr());
        Some(choice.as_array()?.iter().map(|branch| undecided.with(document, branch)).collect())
    }

    fn with(&self, document: Document<'s>, schema: &'s Value) -> Self {
        let mut base = self.clone();
        base.add(document, schema);
        base
    }

    /// The same values as far as they are of `kinds`.
    pub(super) fn only(&self, kinds: Kinds) -> Self {
        Self { kinds: self.kinds.and(kinds), ..self.clone() }
    }

    /// Whether a part says more of an object's properties than its own keywords do, so that what is declared is not known.
    pub(super) fn has_conditions(&self) -> bool {
        const CONDITIONS: [&str; 11] = [
            "anyOf",
            "oneOf",
            "not",
            "if",
            "dependencies",
            "dependentSchemas",
            "patternProperties",
            "unevaluatedProperties",
            "propertyNames",
            "$dynamicRef",
            "$recursiveRef",
        ];
        self.parts().any(|part| CONDITIONS.iter().any(|keyword| part.contains_key(*keyword)))
    }

    /// Names that any part declares.
    pub(super) fn declared(&self) -> BTreeSet<&'s str> {
        self.all("properties").filter_map(Value::as_object).flat_map(|own| own.keys().map(String::as_str)).collect()
    }

    pub(super) fn declares(&self, name: &str) -> bool {
        self.all("properties").any(|own| own.get(name).is_some())
    }

    /// What holds for the property of that name.
    pub(super) fn property(&self, document: Document<'s>, name: &str) -> Self {
        let of_part = |part: &'s Members| match part.get("properties").and_then(|own| own.get(name)) {
            Some(own) => Some(own),
            // Whether a pattern takes the name is not looked at.
            None if part.contains_key("patternProperties") => None,
            None => part.get("additionalProperties"),
        };
        Self::of(document, self.parts().filter_map(of_part))
    }

    /// What holds for names that no part declares and no pattern of a part takes.
    pub(super) fn additional(&self, document: Document<'s>) -> Self {
        Self::of(document, self.all("additionalProperties"))
    }

    /// Every pattern for names, with what holds there.
    pub(super) fn patterns(&self) -> impl Iterator<Item = (&'s str, &'s Value)> {
        self.all("patternProperties").filter_map(Value::as_object).flatten().map(|(pattern, schema)| (pattern.as_str(), schema))
    }

    /// What holds for the item at `index`.
    pub(super) fn item(&self, document: Document<'s>, index: usize) -> Self {
        Self::of(document, self.parts().filter_map(|part| Items::of(document.draft, part).at(index)))
    }

    /// What holds for items behind the places that have schemas of their own.
    pub(super) fn further_items(&self, document: Document<'s>) -> Self {
        Self::of(document, self.parts().filter_map(|part| Items::of(document.draft, part).rest))
    }

    /// Places that have schemas of their own in any part.
    pub(super) fn places(&self, document: Document<'s>) -> usize {
        self.parts().map(|part| Items::of(document.draft, part).places.len()).max().unwrap_or(0)
    }

    /// The most items a list can have, where a part bounds them.
    pub(super) fn most_items(&self) -> Option<u64> {
        self.all("maxItems").filter_map(Value::as_u64).min()
    }
}

/// What a schema says of a list's items, whichever draft it is of.
pub(super) struct Items<'s> {
    pub(super) places: &'s [Value],
    pub(super) rest: Option<&'s Value>,
}

impl<'s> Items<'s> {
    pub(super) fn of(draft: Draft, members: &'s Members) -> Self {
        let (items, prefix) = (members.get("items"), members.get("prefixItems").and_then(Value::as_array));
        match (draft, items) {
            (Draft::Y2020, _) => Self { places: prefix.map(Vec::as_slice).unwrap_or_default(), rest: items },
            (_, Some(Value::Array(places))) => Self { places, rest: members.get("additionalItems") },
            _ => Self { places: &[], rest: items },
        }
    }

    fn at(&self, index: usize) -> Option<&'s Value> {
        self.places.get(index).or(self.rest)
    }
}
