//! The dry run: everything that is wrong or missing, without a document.

use serde_json::Value;

use crate::definition::Compiled;
use crate::error::DocumentError;
use crate::html::{Input, write};
use crate::limits::Limits;
use crate::mapping;
use crate::report::{DryRun, ExpressionProblem, Expressions, Validation, Warnings};
use crate::writer::{Gathered, OnProblem, Writer};

/// Goes over the whole definition with the data, also over branches that the data does not reach, and reports every
/// problem instead of stopping at the first.
///
/// Only what stops the check itself is an error: a deadline, a cancelled request, options that cannot be read.
pub fn check(compiled: &Compiled, input: &Input<'_>, limits: &Limits) -> Result<DryRun, DocumentError> {
    let outcome = match write(compiled, input, limits, OnProblem::Gather) {
        Ok(outcome) => outcome,
        // A template that uses up its budget is its author's mistake, and ends what can be found out.
        Err(DocumentError::Budget(problem) | DocumentError::Expression(problem)) => {
            let gathered = Gathered { problems: vec![*problem], truncated: true, ..Gathered::default() };
            return Ok(report(Vec::new(), 0, gathered));
        }
        Err(error @ DocumentError::TooLarge { .. }) => {
            let problem = ExpressionProblem { message: error.to_string(), location: None, suggestion: None };
            return Ok(report(Vec::new(), 0, Gathered { problems: vec![problem], truncated: true, ..Gathered::default() }));
        }
        Err(other) => return Err(other),
    };
    Ok(report(outcome.data_issues, outcome.mappings_applied, outcome.gathered))
}

/// Whether data fits the template: the mappings, then the schema. The answer is empty where it does.
pub fn validate(compiled: &Compiled, data: &Value, limits: &Limits) -> Result<Vec<domain::Issue>, DocumentError> {
    let mut writer = Writer::new(expressions::Run::new(limits.budget), limits, OnProblem::Stop);
    let (data, _) = mapping::apply(&compiled.mappings, data, &mut writer)?;
    compiled.schema.as_ref().map_or(Ok(Vec::new()), |schema| schema.check(&data, limits))
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
