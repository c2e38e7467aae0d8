//! What a writer notices beside the HTML: wrong expressions, missing bindings, warnings, each up to a limit.

use expressions::{ExpressionError, Finding, MissingReason};
use serde_json::Value;

use super::{OnProblem, Rehearsing, Writer, stopped};
use crate::error::DocumentError;
use crate::fields::Formula;
use crate::issues::clip;
use crate::report::{ExpressionProblem, Location, Reason, Severity, Suggestion, UnresolvedBinding, warn};

/// Distinct missing bindings and failed expressions kept.
const MAX_REPORTED: usize = 100;
/// Characters of a name or path that a report repeats.
const NAME_CHARACTERS: usize = 200;

impl Writer<'_> {
    /// Tells what was left out or changed.
    pub(crate) fn warn(&mut self, code: &'static str, message: String) {
        warn(&mut self.report.warnings, code, || message);
    }

    pub(super) fn note_problem(&mut self, problem: ExpressionProblem) {
        if self.report.problems.len() < MAX_REPORTED && !self.report.problems.contains(&problem) {
            self.report.problems.push(problem);
        }
    }

    /// Notes that there is nothing to go over.
    pub(crate) fn note_missing_collection(&mut self, formula: &Formula, value: Option<&Value>) {
        if self.rehearsing == Rehearsing::Yes {
            return;
        }
        let severity = if value.is_some_and(Value::is_null) { Severity::Info } else { Severity::Warning };
        let binding = self.binding(formula.expression.source(), Reason::MissingCollection, severity, 1, (1, 1), &[]);
        self.add_unresolved(binding);
    }

    /// Notes that a component is given nothing.
    pub(crate) fn note_missing_value(&mut self, formula: &Formula, value: Option<&Value>) {
        if self.rehearsing == Rehearsing::Yes {
            return;
        }
        let (reason, severity) = match value {
            Some(_) => (Reason::Null, Severity::Info),
            None => (Reason::Missing, Severity::Warning),
        };
        let binding = self.binding(formula.expression.source(), reason, severity, 1, (1, 1), &[]);
        self.add_unresolved(binding);
    }

    pub(super) fn or_note(&mut self, result: Result<(), ExpressionError>, property: &str) -> Result<(), DocumentError> {
        let Err(error) = result else { return Ok(()) };
        let problem = self.problem(&error, property);
        match error.innermost() {
            ExpressionError::Budget { which, .. } => Err(stopped(*which, Box::new(problem))),
            ExpressionError::Depth { .. } => Err(DocumentError::Budget(Box::new(problem))),
            _ if self.on_problem == OnProblem::Stop => Err(DocumentError::Expression(Box::new(problem))),
            // Without data only a wrong name is certain to be wrong.
            _ if self.rehearsing == Rehearsing::Yes && !matches!(error.innermost(), ExpressionError::UnknownHelper { .. }) => Ok(()),
            _ => {
                self.note_problem(problem);
                Ok(())
            }
        }
    }

    /// A value of the data that its node can do nothing with.
    pub(crate) fn refuse_value(&mut self, property: &str, message: String) -> Result<(), DocumentError> {
        let location = Some(self.location(property, 1, 1));
        let problem = ExpressionProblem { message: domain::issues::clipped_message(message), location, suggestion: None };
        if self.on_problem == OnProblem::Stop {
            return Err(DocumentError::Expression(Box::new(problem)));
        }
        // What the data does not reach stops no render.
        if self.rehearsing == Rehearsing::No {
            self.note_problem(problem);
        }
        Ok(())
    }

    pub(crate) fn problem(&self, error: &ExpressionError, property: &str) -> ExpressionProblem {
        let suggestion = error.variable().map(|variable| Suggestion {
            variable: clip(variable, NAME_CHARACTERS),
            suggestions: error.suggestions().iter().map(|name| clip(name, NAME_CHARACTERS)).collect(),
        });
        let location = Some(self.location(property, error.line(), error.column()));
        ExpressionProblem { message: domain::issues::clipped_message(error.message()), location, suggestion }
    }

    pub(super) fn location(&self, property: &str, line: usize, column: usize) -> Location {
        let node = self.path.last();
        Location {
            node_id: node.map_or(self.place, |node| &node.id).to_owned(),
            node_type: node.map_or(self.place, |node| node.kind).to_owned(),
            node_path: self.breadcrumb(),
            property: property.to_owned(),
            line,
            column,
        }
    }

    pub(super) fn breadcrumb(&self) -> String {
        if self.path.is_empty() {
            return self.place.to_owned();
        }
        self.path.iter().map(|node| &*node.label).collect::<Vec<_>>().join(" > ")
    }

    /// Moves what the run found missing to the node it belongs to.
    pub(super) fn settle(&mut self) {
        if self.run.findings().is_empty() {
            return;
        }
        self.report.truncated |= self.run.findings_truncated();
        let findings = self.run.take_findings();
        if self.rehearsing == Rehearsing::Yes {
            return;
        }
        for Finding { path, reason, at, occurrences, suggestions, partial, .. } in findings {
            let (reason, severity) = match reason {
                MissingReason::Missing => (Reason::Missing, Severity::Warning),
                MissingReason::Null => (Reason::Null, Severity::Info),
                MissingReason::MissingCollection => (Reason::MissingCollection, Severity::Warning),
            };
            let occurrences = usize::try_from(occurrences).unwrap_or(usize::MAX);
            let binding = self.binding(&path, reason, severity, occurrences, (at.line, at.column), &suggestions);
            let binding = in_partial(binding, partial.as_deref());
            self.add_unresolved(binding);
        }
    }

    fn binding(
        &self,
        path: &str,
        reason: Reason,
        severity: Severity,
        occurrences: usize,
        (line, column): (usize, usize),
        suggestions: &[String],
    ) -> UnresolvedBinding {
        let Location { node_id, node_type, node_path, .. } = self.location("", line, column);
        let path = clip(path, NAME_CHARACTERS);
        let suggestions = suggestions.iter().map(|name| clip(name, NAME_CHARACTERS)).collect();
        UnresolvedBinding { path, reason, severity, node_id, node_type, node_path, occurrences, line, column, suggestions }
    }

    fn add_unresolved(&mut self, binding: UnresolvedBinding) {
        let same = |known: &&mut UnresolvedBinding| {
            (known.line, known.column, known.reason) == (binding.line, binding.column, binding.reason)
                && (&known.node_id, &known.node_path) == (&binding.node_id, &binding.node_path)
                && known.path == binding.path
        };
        if let Some(known) = self.report.unresolved.iter_mut().find(same) {
            known.occurrences = known.occurrences.saturating_add(binding.occurrences);
        } else if self.report.unresolved.len() < MAX_REPORTED {
            self.report.unresolved.push(binding);
        } else {
            self.report.truncated = true;
        }
    }
}

/// Says which partial the binding's line and column are places in.
fn in_partial(binding: UnresolvedBinding, partial: Option<&str>) -> UnresolvedBinding {
    match partial {
        Some(partial) => UnresolvedBinding { node_path: format!("{} > {partial}", binding.node_path), ..binding },
        None => binding,
    }
}
