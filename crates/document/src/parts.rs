//! Themes, layouts and components: what a definition names becomes part of it, so that one self-contained definition is
//! compiled, checked and written as any other.
//!
//! Stored definitions hold references only. Who can look them up gathers what they lead to in [`Parts`]; [`effective`] is
//! pure, and ends at its limits while it expands and not after it.

mod expansion;
mod merging;
mod origins;

use std::collections::HashMap;
use std::sync::Arc;

use domain::Issue;
use domain::template_references::{Pin, ReferenceVia};
use domain::templates::{TemplateKey, TemplateVersion};
use serde_json::Value;

use crate::definition::{Compiled, size};
use crate::error::DocumentError;
use crate::limits::Limits;
use crate::nodes::node_at;
use expansion::Expansion;
use origins::Origin;

/// Different template versions that one definition may be put together from.
pub const MOST_PARTS: usize = 100;
/// Components inside each other.
pub const MOST_LEVELS: usize = 8;

/// A version that is used by others.
#[derive(Clone, Debug)]
pub struct Part {
    /// Which template.
    pub key: TemplateKey,
    /// Which of its versions.
    pub version: TemplateVersion,
    /// As it is stored, with its own references.
    pub definition: Arc<Value>,
}

/// Why a reference leads to nothing.
#[derive(Clone, Debug)]
pub struct Nowhere {
    /// For its author, such as `there is no template "x"`.
    pub message: String,
    /// Keys of templates that may have been meant, the nearest first.
    pub suggestions: Vec<String>,
}

/// Where references lead: those of a definition, and those of its parts.
#[derive(Clone, Debug, Default)]
pub struct Parts {
    found: HashMap<(TemplateKey, Pin), Result<Part, Nowhere>>,
}

impl Parts {
    /// Says what a reference leads to.
    pub fn insert(&mut self, key: TemplateKey, pin: Pin, lead: Result<Part, Nowhere>) {
        self.found.insert((key, pin), lead);
    }

    /// Whether it is known where a reference leads.
    pub fn knows(&self, key: &TemplateKey, pin: &Pin) -> bool {
        self.get(key, pin).is_some()
    }

    /// How many references are known.
    pub fn len(&self) -> usize {
        self.found.len()
    }

    /// Whether none is known.
    pub fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    fn get(&self, key: &TemplateKey, pin: &Pin) -> Option<&Result<Part, Nowhere>> {
        self.found.get(&(key.clone(), pin.clone()))
    }
}

/// A part of an [`Effective`] definition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsedPart {
    /// As what.
    pub via: ReferenceVia,
    /// Which template.
    pub key: TemplateKey,
    /// The version that the reference led to.
    pub version: TemplateVersion,
}

/// A definition with everything it names in it.
#[derive(Debug)]
pub struct Effective {
    /// Self-contained: it compiles without looking anything up.
    pub definition: Value,
    /// What it was put together from, each version once, in the order met.
    pub parts: Vec<UsedPart>,
    origins: Vec<Origin>,
}

impl Effective {
    /// Compiles it. What is wrong in a part is told at the reference to it, with its place in the part.
    ///
    /// # Errors
    /// As [`Compiled::compile`].
    pub fn compile(&self, limits: &Limits) -> Result<Compiled, DocumentError> {
        Compiled::compile_whole(&self.definition, limits).map_err(|error| match error {
            DocumentError::Definition(issues) => {
                DocumentError::Definition(issues.into_iter().map(|issue| origins::told_where_it_stands(&self.origins, issue)).collect())
            }
            other => other,
        })
    }
}

/// The code of an issue about a reference that leads nowhere.
pub fn not_found_code(via: ReferenceVia) -> &'static str {
    match via {
        ReferenceVia::Theme => "theme_not_found",
        ReferenceVia::Layout => "layout_not_found",
        ReferenceVia::Component => "component_not_found",
    }
}

/// Puts a definition and its parts together.
///
/// # Errors
/// `Definition`, with a pointer to each reference that leads nowhere or to another kind of template, into a circle or past a
/// limit. What else is wrong is found by compiling the outcome.
pub fn effective(definition: &Value, parts: &Parts, limits: &Limits) -> Result<Effective, DocumentError> {
    size::check(definition, limits)?;
    let mut expansion = Expansion::new(parts, limits);
    let whole = expansion.whole(definition);
    let issues: Vec<Issue> = expansion.issues.into_list();
    if issues.is_empty() {
        return Ok(Effective { definition: whole, parts: expansion.used, origins: expansion.origins });
    }
    let named = |issue: Issue| match node_at(definition, &issue.path) {
        Some(node) => issue.about(node),
        None => issue,
    };
    Err(DocumentError::Definition(issues.into_iter().map(named).collect()))
}

impl std::fmt::Display for UsedPart {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} \"{}\" {}", self.via.as_str(), self.key, self.version)
    }
}
