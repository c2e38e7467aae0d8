//! Keyword by keyword: is what the candidate asks for already so in the base?

use std::cmp::Ordering;

use domain::issues::pointer;
use serde_json::{Map, Value};

use super::base::{Base, Items};
use super::schema::{Document, Draft, Kinds, equal, is_same};
use super::values::{Judge, Verdict};
use super::{Impact, SchemaChange};
use crate::issues::short;
use crate::schema_steps::Siblings;

/// Comparisons of two places before the rest counts as unknown: some seconds at the very worst.
const MAX_CHECKS: usize = 20_000;
/// Comparisons inside each other; each takes a few kilobytes of the stack.
const MAX_OPEN: usize = 80;
/// Visits of subschemas while lists of values are judged.
const MAX_VERDICTS: usize = 100_000;

/// Keywords that no validator checks anything by.
pub(super) fn is_annotation(keyword: &str) -> bool {
    const ANNOTATIONS: [&str; 18] = [
        "title",
        "description",
        "default",
        "example",
        "examples",
        "$comment",
        "comment",
        "$schema",
        "$id",
        "id",
        "$anchor",
        "$dynamicAnchor",
        "$vocabulary",
        "definitions",
        "$defs",
        "readOnly",
        "writeOnly",
        "deprecated",
    ];
    ANNOTATIONS.contains(&keyword) || keyword.starts_with("x-")
}

/// Formats that the validator checks in one draft or another.
pub(super) fn is_checked_format(format: &str) -> bool {
    const FORMATS: [&str; 20] = [
        "date",
        "date-time",
        "time",
        "duration",
        "email",
        "idn-email",
        "hostname",
        "host-name",
        "idn-hostname",
        "ipv4",
        "ip-address",
        "ipv6",
        "iri",
        "iri-reference",
        "json-pointer",
        "relative-json-pointer",
        "regex",
        "uri",
        "uri-reference",
        "uri-template",
    ];
    FORMATS.contains(&format) || format == "uuid" || format == "color"
}

type Members = Map<String, Value>;

/// The schemas of the base by their places, the kinds of values, and the place of the candidate.
type Question = (Vec<usize>, Kinds, usize);

/// A comparison under way.
pub(super) struct Comparison<'s> {
    base: Document<'s>,
    candidate: Document<'s>,
    left: usize,
    /// The questions that are being answered, each with the depth in the data that it is about.
    open: Vec<(Question, usize)>,
}

pub(super) fn breaking(path: &str, rule: &'static str, message: impl Into<String>) -> SchemaChange {
    let issue = domain::Issue::new(path, message);
    SchemaChange { path: issue.path, rule, impact: Impact::Breaking, message: issue.message }
}

impl<'s> Comparison<'s> {
    pub(super) fn new(base: &'s Value, candidate: &'s Value) -> Self {
        Self { base: Document::new(base), candidate: Document::new(candidate), left: MAX_CHECKS, open: Vec::new() }
    }

    pub(super) fn base(&self) -> Document<'s> {
        self.base
    }

    /// Why these two cannot be compared at all.
    pub(super) fn incomparable(&self) -> Option<SchemaChange> {
        if self.base.draft == self.candidate.draft && self.base.draft != Draft::Four {
            return None;
        }
        Some(breaking("", "unknown", "the schemas are of different drafts, or changed in draft-04, which is not compared"))
    }

    /// What of the values that fit `base` the candidate refuses; nothing where it takes them all.
    pub(super) fn check(&mut self, base: &Base<'s>, candidate: &'s Value, path: &str, depth: usize) -> Vec<SchemaChange> {
        if base.is_impossible() {
            return Vec::new();
        }
        let members = match candidate {
            Value::Bool(false) => return vec![breaking(path, "false", "a value was accepted here and none is now")],
            Value::Object(members) => members,
            _ => return Vec::new(),
        };
        let (parts, kinds) = base.identity();
        let question = (parts, kinds, std::ptr::from_ref(candidate).addr());
        if let Some((_, at)) = self.open.iter().find(|(open, _)| *open == question) {
            // The same question about a value inside the one it is about: values are finite, so the answer is that of
            // everything else. About the same value it would never end.
            return if *at < depth { Vec::new() } else { vec![breaking(path, "unknown", "a reference leads back to itself")] };
        }
        if self.open.len() >= MAX_OPEN {
            return vec![breaking(path, "unknown", "the schemas are nested too deep to be compared")];
        }
        self.open.push((question, depth));
        let mut changes = Vec::new();
        let reference = self.candidate.reference(members);
        if let Some((reference, _)) = reference {
            match self.candidate.target(reference) {
                Some(target) => changes.extend(self.check(base, target, path, depth)),
                None => changes.push(breaking(path, "unknown", format!("the reference \"{reference}\" is not followed"))),
            }
        }
        if reference.is_none_or(|(_, siblings)| siblings == Siblings::Hold) {
            changes.extend(self.keywords(base, members, path, depth));
        }
        self.open.pop();
        changes
    }

    /// The same for the keywords of one schema; where that fails, for each branch of a choice that the base leaves.
    fn keywords(&mut self, base: &Base<'s>, members: &'s Members, path: &str, depth: usize) -> Vec<SchemaChange> {
        let Some(left) = self.left.checked_sub(1) else {
            return vec![breaking(path, "unknown", "the schemas are too large to be compared")];
        };
        self.left = left;
        if base.is_impossible() {
            return Vec::new();
        }
        let changes = self.each_keyword(base, members, path, depth);
        if changes.is_empty() {
            return changes;
        }
        let Some(branches) = base.split(self.base) else { return changes };
        let of_branches = branches.iter().flat_map(|branch| self.keywords(branch, members, path, depth)).collect::<Vec<_>>();
        // What is declared in one branch may be what another one leaves open.
        of_branches.into_iter().map(|change| SchemaChange { impact: Impact::Breaking, ..change }).collect()
    }

    fn each_keyword(&mut self, base: &Base<'s>, members: &'s Members, path: &str, depth: usize) -> Vec<SchemaChange> {
        if self.is_part(base, members) {
            return Vec::new();
        }
        if let Some(changes) = self.by_value(base, members, path) {
            return changes;
        }
        let mut changes = Vec::new();
        let mut narrowed = base.clone();
        if let Some(of_type) = members.get("type") {
            let kinds = Kinds::named(of_type);
            if base.kinds.without(kinds) != Kinds::NONE {
                let message = format!("{} was accepted; now only {}", base.kinds.words(), kinds.words());
                changes.push(breaking(path, "type", message));
            }
            narrowed = base.only(kinds);
        }
        for (keyword, argument) in members {
            changes.extend(self.keyword(&narrowed, members, keyword, argument, path, depth));
        }
        changes.extend(self.object(&narrowed, members, path, depth));
        changes.extend(self.array(&narrowed, members, path, depth));
        changes
    }

    /// Whether the base holds these very keywords, also those that only mean something together.
    fn is_part(&self, base: &Base<'s>, members: &'s Members) -> bool {
        const OPAQUE: [&str; 8] =
            ["oneOf", "not", "if", "contains", "unevaluatedItems", "unevaluatedProperties", "dependentSchemas", "dependencies"];
        if !OPAQUE.iter().any(|keyword| members.contains_key(*keyword))
            || members.keys().any(|keyword| keyword.ends_with("Ref") || keyword == "$ref")
        {
            return false;
        }
        let checks = |members: &'s Members| members.iter().filter(|(keyword, _)| !is_annotation(keyword));
        base.parts().any(|part| {
            checks(part).count() == checks(members).count()
                && checks(members).all(|(keyword, argument)| part.get(keyword).is_some_and(|own| self.is_same(own, argument)))
        })
    }

    fn is_same(&self, of_base: &'s Value, of_candidate: &'s Value) -> bool {
        is_same((self.base, of_base), (self.candidate, of_candidate))
    }

    /// Where the base takes only values that can be counted, each of them is tried.
    fn by_value(&mut self, base: &Base<'s>, members: &'s Members, path: &str) -> Option<Vec<SchemaChange>> {
        let values = base.finite()?;
        let mut of_base = Judge { document: self.base, left: MAX_VERDICTS };
        let mut of_candidate = Judge { document: self.candidate, left: MAX_VERDICTS };
        let mut changes = Vec::new();
        let mut is_sure = true;
        for value in values {
            if base.parts().any(|part| of_base.members(part, value, 0) == Verdict::Refuses) {
                continue;
            }
            match of_candidate.members(members, value, 0) {
                Verdict::Takes => {}
                Verdict::Refuses => changes.push(breaking(path, "enum", format!("{} was accepted and is no more", short(value)))),
                Verdict::Unknown => is_sure = false,
            }
        }
        (is_sure || !changes.is_empty()).then_some(changes)
    }

    fn keyword(
        &mut self,
        base: &Base<'s>,
        members: &'s Members,
        keyword: &'s str,
        argument: &'s Value,
        path: &str,
        depth: usize,
    ) -> Vec<SchemaChange> {
        if let Some((rule, relevant, is_implied)) = constraint(base, members, keyword, argument) {
            if is_implied || !base.kinds.meets(relevant) {
                return Vec::new();
            }
            let before: Vec<String> = base.all(rule).map(short).collect();
            let before = if before.is_empty() { "there was no such limit".to_owned() } else { format!("it was {}", before.join(" and ")) };
            return vec![breaking(path, rule, format!("{rule} is {} now; {before}", short(argument)))];
        }
        let branches = || argument.as_array().into_iter().flatten();
        match keyword {
            "required" => branches()
                .filter_map(Value::as_str)
                .filter(|name| base.kinds.meets(Kinds::OBJECT) && !base.requires(name))
                .map(|name| breaking(&pointer(path, name), "required", "has to be given now"))
                .collect(),
            "allOf" => branches().flat_map(|branch| self.check(base, branch, path, depth)).collect(),
            "anyOf" => self.any_of(base, argument, "anyOf", path, depth),
            "oneOf" => self.one_of(base, argument, path, depth),
            "propertyNames" if base.kinds.meets(Kinds::OBJECT) => {
                let names = Base::of(self.base, base.all("propertyNames")).only(Kinds::STRING);
                self.check(&names, argument, path, depth + 1)
                    .into_iter()
                    .map(|change| SchemaChange { rule: "propertyNames", ..change })
                    .collect()
            }
            "not" if base.all("not").any(|own| self.is_same(own, argument)) => Vec::new(),
            "not" => vec![breaking(path, "not", "what must not be given changed")],
            "if" if !members.contains_key("then") && !members.contains_key("else") => Vec::new(),
            "if" => self.together(base, members, &["if", "then", "else"], path),
            "contains" if base.kinds.meets(Kinds::ARRAY) => self.together(base, members, &["contains", "minContains", "maxContains"], path),
            "dependencies" | "dependentRequired" | "dependentSchemas" if base.kinds.meets(Kinds::OBJECT) => {
                self.dependencies(base, keyword, argument, path)
            }
            "unevaluatedItems" | "unevaluatedProperties" | "$dynamicRef" | "$recursiveRef" => {
                vec![breaking(path, "unknown", format!("\"{keyword}\" is not compared"))]
            }
            "type"
            | "properties"
            | "patternProperties"
            | "additionalProperties"
            | "items"
            | "prefixItems"
            | "additionalItems"
            | "$ref"
            | "then"
            | "else"
            | "contains"
            | "minContains"
            | "maxContains"
            | "propertyNames"
            | "dependencies"
            | "dependentRequired"
            | "dependentSchemas" => Vec::new(),
            keyword if is_annotation(keyword) || base.parts().any(|part| part.get(keyword) == Some(argument)) => Vec::new(),
            keyword => {
                let keyword = crate::issues::clip(keyword, 60);
                let message = format!("\"{keyword}\" is no keyword of JSON Schema and checks nothing; it is new or changed");
                vec![SchemaChange { impact: Impact::Caution, ..breaking(path, "unknown", message) }]
            }
        }
    }

    /// Keywords that only mean something together: the same in one part of the base, or not decided.
    fn together(&self, base: &Base<'s>, members: &'s Members, keywords: &[&'static str], path: &str) -> Vec<SchemaChange> {
        let same_in = |part: &'s Members| {
            keywords.iter().all(|keyword| match (part.get(*keyword), members.get(*keyword)) {
                (Some(own), Some(argument)) => self.is_same(own, argument),
                (None, None) => true,
                _ => false,
            })
        };
        if base.parts().any(same_in) {
            return Vec::new();
        }
        vec![breaking(path, keywords.first().copied().unwrap_or("unknown"), format!("{} changed", keywords.join(", ")))]
    }

    fn dependencies(&self, base: &Base<'s>, keyword: &'s str, argument: &'s Value, path: &str) -> Vec<SchemaChange> {
        let is_implied = |name: &str, needed: &'s Value| {
            let own = || base.parts().filter_map(|part| part.get(keyword)?.get(name));
            match needed {
                Value::Array(names) => names.iter().all(|needed| {
                    needed.as_str().is_some_and(|needed| base.requires(needed))
                        || own().filter_map(Value::as_array).any(|own| own.contains(needed))
                }),
                schema => own().any(|own| self.is_same(own, schema)),
            }
        };
        let entries = argument.as_object().into_iter().flatten();
        let changed = entries.filter(|(name, needed)| !is_implied(name, needed));
        changed.map(|(name, _)| breaking(&pointer(path, name), "dependencies", "what has to come with it changed")).collect()
    }

    fn any_of(&mut self, base: &Base<'s>, branches: &'s Value, rule: &'static str, path: &str, depth: usize) -> Vec<SchemaChange> {
        let branches = branches.as_array().map(Vec::as_slice).unwrap_or_default();
        let mut takes = |base: &Base<'s>| branches.iter().any(|branch| self.check(base, branch, path, depth).is_empty());
        let of_kind = |kind: &Kinds| base.only(*kind);
        if takes(base) || Kinds::EACH.iter().map(of_kind).all(|base| base.is_impossible() || takes(&base)) {
            return Vec::new();
        }
        vec![breaking(path, rule, "none of the alternatives takes everything that was accepted")]
    }

    fn one_of(&mut self, base: &Base<'s>, argument: &'s Value, path: &str, depth: usize) -> Vec<SchemaChange> {
        if base.all("oneOf").any(|own| self.is_same(own, argument)) {
            return Vec::new();
        }
        let branches = argument.as_array().map(Vec::as_slice).unwrap_or_default();
        let each: Vec<Base<'s>> = branches.iter().map(|branch| Base::of(self.candidate, [branch])).collect();
        let are_apart = each.iter().enumerate().all(|(index, one)| each[..index].iter().all(|other| self.are_disjoint(one, other)));
        if are_apart {
            return self.any_of(base, argument, "oneOf", path, depth);
        }
        vec![breaking(path, "oneOf", "the alternatives changed, and more than one of them may take the same value")]
    }

    /// Whether no value fits both: by their kinds, or by a property that both need and that tells them apart.
    fn are_disjoint(&self, one: &Base<'s>, other: &Base<'s>) -> bool {
        if !one.kinds.meets(other.kinds) {
            return true;
        }
        let tells_apart = |name: &&str| {
            let values = |base: &Base<'s>| base.property(self.candidate, name).finite();
            let (Some(ones), Some(others)) = (values(one), values(other)) else { return false };
            one.requires(name) && other.requires(name) && !ones.iter().any(|value| others.iter().any(|other| equal(value, other)))
        };
        one.kinds.or(other.kinds) == Kinds::OBJECT && one.declared().iter().any(tells_apart)
    }

    fn array(&mut self, base: &Base<'s>, members: &'s Members, path: &str, depth: usize) -> Vec<SchemaChange> {
        let items = Items::of(self.candidate.draft, members);
        let mut changes = Vec::new();
        if !base.kinds.meets(Kinds::ARRAY) || (items.places.is_empty() && items.rest.is_none()) {
            return changes;
        }
        let places = items.places.len().max(base.places(self.base));
        let is_reached = |index: usize| base.most_items().is_none_or(|most| u64::try_from(index).is_ok_and(|index| index < most));
        for index in (0..places).take_while(|index| is_reached(*index)) {
            if let Some(schema) = items.places.get(index).or(items.rest) {
                changes.extend(self.check(&base.item(self.base, index), schema, &pointer(path, index), depth + 1));
            }
        }
        if let Some(rest) = items.rest.filter(|_| is_reached(places)) {
            changes.extend(self.check(&base.further_items(self.base), rest, &pointer(path, "*"), depth + 1));
        }
        changes
    }

    fn object(&mut self, base: &Base<'s>, members: &'s Members, path: &str, depth: usize) -> Vec<SchemaChange> {
        let part = |keyword: &str| members.get(keyword).and_then(Value::as_object);
        let (declared, additional) = (part("properties"), members.get("additionalProperties"));
        let patterns: Vec<(&String, &'s Value)> = part("patternProperties").into_iter().flatten().collect();
        let mut changes = Vec::new();
        if !base.kinds.meets(Kinds::OBJECT) {
            return changes;
        }
        let mut names = base.declared();
        names.extend(declared.into_iter().flat_map(|declared| declared.keys().map(String::as_str)));
        for name in names {
            let own = base.property(self.base, name);
            let at = pointer(path, name);
            if let Some(schema) = declared.and_then(|declared| declared.get(name)) {
                let found = self.check(&own, schema, &at, depth + 1);
                if own.is_free() && !base.declares(name) && !base.has_conditions() && !found.is_empty() {
                    let message = "is declared now; data that had it without being asked may be refused";
                    changes.push(SchemaChange { impact: Impact::Caution, ..breaking(&at, "properties", message) });
                } else {
                    changes.extend(found);
                }
            } else if let Some(additional) = additional {
                changes.extend(self.undeclared(&own, additional, "was declared and is refused now", &at, depth + 1));
            }
            for (pattern, schema) in &patterns {
                let mut own = own.clone();
                base.patterns().filter(|(own, _)| own == pattern).for_each(|(_, schema)| own.add(self.base, schema));
                changes.extend(self.check(&own, schema, &at, depth + 1));
            }
        }
        // Names that no schema lists: first those that a pattern of the base takes, then all others.
        let at = pointer(path, "*");
        let refused = "properties that the schema does not list were accepted and are refused now";
        let in_base = |pattern: &str| base.patterns().any(|(own, _)| own == pattern);
        let in_candidate = |pattern: &str| patterns.iter().any(|(own, _)| *own == pattern);
        for (pattern, schema) in base.patterns() {
            let own = Base::of(self.base, [schema]);
            if let Some(additional) = additional.filter(|_| !in_candidate(pattern)) {
                changes.extend(self.undeclared(&own, additional, refused, &at, depth + 1));
            }
            for (_, schema) in patterns.iter().filter(|(other, _)| *other == pattern || !in_base(other)) {
                changes.extend(self.check(&own, schema, &at, depth + 1));
            }
        }
        let own = base.additional(self.base);
        if let Some(additional) = additional {
            changes.extend(self.undeclared(&own, additional, refused, &at, depth + 1));
        }
        for (_, schema) in patterns.iter().filter(|(pattern, _)| !in_base(pattern)) {
            changes.extend(self.check(&own, schema, &at, depth + 1));
        }
        changes
    }

    /// `additionalProperties` in words of its own where it takes nothing.
    fn undeclared(&mut self, own: &Base<'s>, additional: &'s Value, refused: &str, at: &str, depth: usize) -> Vec<SchemaChange> {
        if additional == false && !own.is_impossible() {
            return vec![breaking(at, "additionalProperties", refused)];
        }
        self.check(own, additional, at, depth)
    }
}

/// Keywords that say one thing of a value: their name, the kinds of values they are about, and whether the base says
/// as much.
fn constraint<'s>(base: &Base<'s>, members: &'s Members, keyword: &str, argument: &'s Value) -> Option<(&'static str, Kinds, bool)> {
    use Ordering::{Equal, Greater, Less};
    let is_zero = super::schema::order(argument, &Value::from(0)) == Some(Equal);
    let least = |keyword| is_zero || base.bounds(keyword, argument, Greater);
    let same = |keyword| base.all(keyword).any(|own| equal(own, argument));
    Some(match keyword {
        "minimum" => {
            let is_implied = base.bounds("minimum", argument, Greater) || base.bounds("exclusiveMinimum", argument, Greater);
            ("minimum", Kinds::NUMBER, is_implied)
        }
        "maximum" => {
            let is_implied = base.bounds("maximum", argument, Less) || base.bounds("exclusiveMaximum", argument, Less);
            ("maximum", Kinds::NUMBER, is_implied)
        }
        "exclusiveMinimum" => {
            let is_implied = base.bounds("exclusiveMinimum", argument, Greater) || base.bounds_beyond("minimum", argument, Greater);
            ("exclusiveMinimum", Kinds::NUMBER, is_implied)
        }
        "exclusiveMaximum" => {
            let is_implied = base.bounds("exclusiveMaximum", argument, Less) || base.bounds_beyond("maximum", argument, Less);
            ("exclusiveMaximum", Kinds::NUMBER, is_implied)
        }
        "multipleOf" => {
            let divides = |own: &Value| {
                let (Some(own), Some(step)) = (own.as_u64(), argument.as_u64()) else { return false };
                own.checked_rem(step) == Some(0)
            };
            let is_implied = same("multipleOf")
                || base.all("multipleOf").any(divides)
                || (argument.as_u64() == Some(1) && !base.kinds.meets(Kinds::FRACTION));
            ("multipleOf", Kinds::NUMBER, is_implied)
        }
        "minLength" => ("minLength", Kinds::STRING, least("minLength")),
        "maxLength" => ("maxLength", Kinds::STRING, base.bounds("maxLength", argument, Less)),
        "minItems" => ("minItems", Kinds::ARRAY, least("minItems")),
        "maxItems" => ("maxItems", Kinds::ARRAY, base.bounds("maxItems", argument, Less)),
        "minProperties" => ("minProperties", Kinds::OBJECT, least("minProperties")),
        "maxProperties" => ("maxProperties", Kinds::OBJECT, base.bounds("maxProperties", argument, Less)),
        "uniqueItems" => {
            let is_implied = argument == false || same("uniqueItems") || base.most_items().is_some_and(|most| most <= 1);
            ("uniqueItems", Kinds::ARRAY, is_implied)
        }
        "pattern" => ("pattern", Kinds::STRING, same("pattern")),
        "format" => ("format", Kinds::STRING, same("format") || !argument.as_str().is_some_and(is_checked_format)),
        // Each of the two means something else without the other.
        "contentEncoding" | "contentMediaType" => {
            let both = ["contentEncoding", "contentMediaType"];
            let is_implied = base.parts().any(|part| both.iter().all(|keyword| part.get(*keyword) == members.get(*keyword)));
            (if keyword == both[0] { both[0] } else { both[1] }, Kinds::STRING, is_implied)
        }
        "const" => ("const", Kinds::ALL, base.finite().is_some_and(|values| values.iter().all(|own| equal(own, argument)))),
        "enum" => {
            let accepted = argument.as_array().map(Vec::as_slice).unwrap_or_default();
            let is_listed = |own: &&Value| accepted.iter().any(|value| equal(own, value));
            ("enum", Kinds::ALL, base.finite().is_some_and(|values| values.iter().all(is_listed)))
        }
        _ => return None,
    })
}
