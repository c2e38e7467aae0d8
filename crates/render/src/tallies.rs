//! Counts renders by tenant and by template for metrics, under a bounded number of names.

use std::collections::HashSet;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};

use domain::TenantId;
use domain::templates::TemplateKey;
use domain::usage::RenderOutcome;
use store::NewUsage;

/// Stands for every name beyond the bound.
const OTHER: &str = "other";
/// Stands for a template that was not found: callers invent those.
const UNKNOWN: &str = "unknown";
/// Stands for a definition that came with the request.
const INLINE: &str = "inline";

/// Which names `/metrics` shows.
#[derive(Clone, Debug, Default)]
pub struct MetricLabels {
    /// So many tenants, those that rendered first; the others are `other`. None for no count by tenant.
    pub tenants: Option<usize>,
    /// Which templates; none for no count by template.
    pub templates: Option<TemplateLabels>,
}

/// Which templates `/metrics` shows by name; the others are `other`.
#[derive(Clone, Debug)]
pub enum TemplateLabels {
    /// So many, those that rendered first.
    First(usize),
    /// These, of whichever tenant, and so many pairs of tenant and template at most.
    Listed(HashSet<TemplateKey>, usize),
}

/// Counts renders under bounded names.
#[derive(Debug)]
pub(crate) struct Tallies {
    labels: MetricLabels,
    tenants: Mutex<HashSet<TenantId>>,
    templates: Mutex<HashSet<(TenantId, TemplateKey)>>,
}

impl Tallies {
    pub(crate) fn new(labels: MetricLabels) -> Self {
        Self { labels, tenants: Mutex::default(), templates: Mutex::default() }
    }

    /// Counts one render that has ended.
    pub(crate) fn count(&self, row: &NewUsage) {
        let outcome = match row.outcome {
            RenderOutcome::Succeeded => "succeeded",
            RenderOutcome::Cancelled => "cancelled",
            RenderOutcome::Failed(_) => "failed",
        };
        // Codes are a closed list.
        let code = if let RenderOutcome::Failed(code) = row.outcome { code.as_str() } else { "" };
        metrics::counter!("pulp_renders_total", "format" => row.format, "mode" => row.mode.as_str(), "outcome" => outcome, "code" => code)
            .increment(1);
        let Some(most) = self.labels.tenants else { return self.count_template(row, outcome, false) };
        let known = admitted(&self.tenants, most, &row.tenant);
        let tenant = if known { row.tenant.to_string() } else { OTHER.to_owned() };
        metrics::counter!("pulp_tenant_renders_total", "tenant" => tenant, "outcome" => outcome).increment(1);
        self.count_template(row, outcome, known);
    }

    fn count_template(&self, row: &NewUsage, outcome: &'static str, tenant_is_named: bool) {
        let Some(labels) = &self.labels.templates else { return };
        let (named, template) = match &row.template {
            None => (false, INLINE.to_owned()),
            Some(_) if row.version.is_none() => (false, UNKNOWN.to_owned()),
            Some(key) => {
                let most = match labels {
                    TemplateLabels::First(most) => Some(*most),
                    TemplateLabels::Listed(listed, most) => listed.contains(key).then_some(*most),
                };
                let named = most.is_some_and(|most| admitted(&self.templates, most, &(row.tenant.clone(), key.clone())));
                (named, if named { key.to_string() } else { OTHER.to_owned() })
            }
        };
        // Tenants use the same keys for templates of their own.
        let tenant = if named && tenant_is_named { row.tenant.to_string() } else { OTHER.to_owned() };
        metrics::counter!("pulp_template_renders_total", "tenant" => tenant, "template" => template, "outcome" => outcome).increment(1);
    }
}

/// Whether the name is one of the first `most`.
fn admitted<K: Hash + Eq + Clone>(names: &Mutex<HashSet<K>>, most: usize, name: &K) -> bool {
    let mut names = names.lock().unwrap_or_else(PoisonError::into_inner);
    names.contains(name) || (names.len() < most && names.insert(name.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_beyond_the_bound_are_never_admitted() {
        let names = Mutex::default();
        assert!((0..3).all(|name| admitted(&names, 3, &name)));
        assert!((3..10_000).all(|name| !admitted(&names, 3, &name)));
        assert!(admitted(&names, 3, &1), "those that were stay");
    }
}
