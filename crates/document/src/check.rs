//! The dry run: everything that is wrong or missing, without a document.

use std::sync::atomic::AtomicBool;

use domain::Issue;
use domain::options::RenderOptions;
use jiff::Timestamp;
use serde_json::Value;

use crate::definition::Compiled;
use crate::error::DocumentError;
use crate::html::{self, Bindings, Input, write};
use crate::limits::Limits;
use crate::mapping;
use crate::page::EffectiveOptions;
use crate::report::{DryRun, ExpressionProblem, Expressions, Severity, Validation, Warnings};
use crate::writer::{Gathered, OnProblem, Recording, Writer};

/// Problems listed; there may be as many missing bindings beside them.
const MAX_PROBLEMS: usize = 100;

/// Goes over the whole definition with the data, also over branches that the data does not reach, and reports every
/// problem instead of stopping at the first.
///
/// Only what stops the check itself is an error: a deadline or a cancelled request.
pub fn check(compiled: &Compiled, input: &Input<'_>, limits: &Limits) -> Result<DryRun, DocumentError> {
    let outcome = match write(compiled, input, limits, OnProblem::Gather, Recording::Off) {
        Ok(outcome) => outcome,
        Err(error) => return refused(error),
    };
    let mut gathered = outcome.gathered;
    if input.bindings == Bindings::Strict {
        let missing = gathered.unresolved.iter().filter(|binding| binding.severity == Severity::Warning);
        let left = MAX_PROBLEMS.saturating_sub(gathered.problems.len());
        gathered.problems.extend(missing.take(left).map(|binding| problem(binding.as_issue().message)));
    }
    Ok(report(outcome.data_issues, outcome.mappings_applied, gathered))
}

/// The report on what is refused as a whole: its author's mistakes are the answer of a dry run and no failure of it.
pub fn refused(error: DocumentError) -> Result<DryRun, DocumentError> {
    let gathered = |problem| Gathered { problems: vec![problem], truncated: true, ..Gathered::default() };
    Ok(match error {
        DocumentError::Definition(issues) => {
            let named = |issue: Issue| if issue.code.is_some() { issue } else { issue.with_code("INVALID_TEMPLATE") };
            report(issues.into_iter().map(named).collect(), 0, Gathered::default())
        }
        DocumentError::Data(issues) | DocumentError::Options(issues) => report(issues, 0, Gathered::default()),
        // A template that uses up its budget ends what can be found out.
        DocumentError::Budget(problem) | DocumentError::Expression(problem) => report(Vec::new(), 0, gathered(*problem)),
        DocumentError::TooLarge { .. }
        | DocumentError::AssetBlocked { .. }
        | DocumentError::FontMissing { .. }
        | DocumentError::FontBudget { .. }
        | DocumentError::UnresolvedBindings(_) => report(Vec::new(), 0, gathered(problem(error.to_string()))),
        DocumentError::Stopped(_)
        | DocumentError::NoTables
        | DocumentError::AmbiguousTable { .. }
        | DocumentError::UnknownTable { .. }
        | DocumentError::TableUnfit { .. }
        | DocumentError::AssetsNeeded(_)
        | DocumentError::Sample(_)
        | DocumentError::DataInput(_)
        | DocumentError::DataInputTooLarge(_) => return Err(error),
    })
}

fn problem(message: String) -> ExpressionProblem {
    ExpressionProblem { message, location: None, suggestion: None }
}

/// Whether data fits the template: the mappings at the moment `now`, then the schema. The answer is empty where it does.
///
/// Ends at the deadline of the limits' budget, and soon after `cancelled` becomes true.
pub fn validate(
    compiled: &Compiled,
    data: &Value,
    now: Timestamp,
    limits: &Limits,
    cancelled: Option<&AtomicBool>,
) -> Result<Vec<domain::Issue>, DocumentError> {
    let options = EffectiveOptions::resolve(&RenderOptions::default(), &compiled.config.options);
    let run = html::run(cancelled, limits).with_regional(options.regional(now));
    let mut writer = Writer::new(run, limits, OnProblem::Stop);
    let (data, _) = mapping::apply(&compiled.mappings, data, &mut writer)?;
    match &compiled.schema {
        Some(schema) => {
            let data = schema.filled(data, &mut writer)?;
            schema.check(&data, limits, cancelled)
        }
        None => Ok(Vec::new()),
    }
}

fn report(errors: Vec<domain::Issue>, field_mappings_applied: usize, gathered: Gathered) -> DryRun {
    let validation = Validation { valid: errors.is_empty(), errors };
    let expressions = Expressions { valid: gathered.problems.is_empty(), errors: gathered.problems };
    DryRun {
        dry_run: true,
        valid: validation.valid && expressions.valid,
        validation,
        expressions,
        field_mappings_applied,
        data_sources_resolved: 0,
        data_sources: Vec::new(),
        warnings: Warnings { unresolved_bindings: gathered.unresolved, undeclared_fields: Vec::new(), truncated: gathered.truncated },
        format_warnings: gathered.warnings,
    }
}
