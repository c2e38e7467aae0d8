//! Whether data that fits one `inputSchema` also fits another: what a new version of a template would refuse.
//!
//! The question is one of sets: is everything that the base accepts accepted by the candidate? It is answered without
//! data, by the keywords, and never with a yes that is not sure: what cannot be decided (a `not` that changed, a
//! reference nobody can follow, a comparison that takes too long) counts as breaking.
//!
//! One kind of change is told apart. A property that the candidate declares and the base neither declared nor forbade
//! could have been sent with any value by anybody. As hardly anybody sends what nobody asked for, this is a
//! [`Impact::Caution`] and leaves the schemas compatible.
//!
//! To add a keyword: a line in `rules.rs`, and one in `values.rs`, which judges single values.

mod base;
mod rules;
mod schema;
mod values;

use serde::Serialize;
use serde_json::Value;

use self::base::Base;
use self::rules::Comparison;
use crate::definition::Compiled;

/// Changes that are listed; more are only noted.
const MAX_CHANGES: usize = 100;

/// What becomes of data that was accepted so far.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Compatibility {
    /// Whether no change is breaking.
    pub compatible: bool,
    /// What changed to the disadvantage of callers, at most 100; empty where all data that was accepted still is.
    pub changes: Vec<SchemaChange>,
    /// Whether there are more changes than are listed.
    pub truncated: bool,
}

/// One thing that was accepted and would be no more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SchemaChange {
    /// Where in the data: a JSON Pointer with `*` for every item of a list and for names that no schema lists.
    pub path: String,
    /// The keyword of the schema behind it; `fieldMappings` where no schema is, `unknown` for what cannot be compared.
    pub rule: &'static str,
    /// How bad it is.
    pub impact: Impact,
    /// What was accepted and what is now.
    pub message: String,
}

/// How bad a change is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Impact {
    /// Only data is refused that no version asked for.
    Caution,
    /// Data may be refused that the base asked for or allowed on purpose.
    Breaking,
}

/// Compares two schemas; none accepts everything. The work is bounded whatever the schemas hold.
pub fn compare(base: Option<&Value>, candidate: Option<&Value>) -> Compatibility {
    let everything = Value::Bool(true);
    let (base, candidate) = (base.unwrap_or(&everything), candidate.unwrap_or(&everything));
    if base == candidate {
        return Compatibility::of(Vec::new());
    }
    let mut comparison = Comparison::new(base, candidate);
    if let Some(change) = comparison.incomparable() {
        return Compatibility::of(vec![change]);
    }
    let of_base = Base::of(comparison.base(), [base]);
    Compatibility::of(comparison.check(&of_base, candidate, "", 0))
}

/// Compares what two versions of a template take: their schemas and, as data is checked after it was mapped, their
/// `fieldMappings`, a change of which is a [`Impact::Caution`].
pub fn compare_versions(base: &Compiled, candidate: &Compiled) -> Compatibility {
    let mut compatibility = compare(base.input_schema(), candidate.input_schema());
    if base.mapping_source != candidate.mapping_source {
        compatibility.changes.push(SchemaChange {
            path: String::new(),
            rule: "fieldMappings",
            impact: Impact::Caution,
            message: "the field mappings changed: the schemas say nothing of data that is mapped in another way".to_owned(),
        });
    }
    compatibility
}

impl Compatibility {
    fn of(mut changes: Vec<SchemaChange>) -> Self {
        let compatible = changes.iter().all(|change| change.impact < Impact::Breaking);
        // The worst first, so that what is left out is the least.
        changes.sort_by_key(|change| std::cmp::Reverse(change.impact));
        let mut seen = std::collections::HashSet::new();
        changes.retain(|change| seen.insert((change.path.clone(), change.rule, change.message.clone())));
        let truncated = changes.len() > MAX_CHANGES;
        changes.truncate(MAX_CHANGES);
        Self { compatible, changes, truncated }
    }
}
