//! What all nodes write into: the HTML so far, the account of its cost, and what was missing or wrong.

use domain::{ErrorCode, Issue};
use expressions::{BudgetKind, Escape, Evaluated, ExpressionError, Finding, MissingReason, Run, Scope};
use serde_json::Value;

use crate::error::DocumentError;
use crate::fields::{Formula, Text};
use crate::images::ImageCheck;
use crate::limits::Limits;
use crate::nodes::Node;
use crate::report::{ExpressionProblem, Location, Reason, Severity, Suggestion, UnresolvedBinding, Warning};
use crate::style::Style;

/// What happens when an expression fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OnProblem {
    /// The document is given up.
    Stop,
    /// The problem is noted, the expression prints nothing, and branches that the data does not reach are visited too.
    Gather,
}

/// Distinct missing bindings and failed expressions kept.
const MAX_REPORTED: usize = 100;

/// The document being written.
pub(crate) struct Writer<'w> {
    out: String,
    /// Plain text on its way to being escaped.
    scratch: String,
    run: Run<'w>,
    pub(crate) limits: &'w Limits,
    images: ImageCheck<'w>,
    on_problem: OnProblem,
    /// In a branch that is visited only to find its mistakes.
    rehearsing: Rehearsing,
    /// Nodes around, the innermost last.
    path: Vec<&'w Node>,
    /// What stands for a node outside of the tree: `html`, `css`, `title`.
    place: &'static str,
    pub(crate) report: Gathered,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Rehearsing {
    No,
    Yes,
}

/// What was noticed while writing.
#[derive(Debug, Default)]
pub(crate) struct Gathered {
    pub(crate) problems: Vec<ExpressionProblem>,
    pub(crate) unresolved: Vec<UnresolvedBinding>,
    pub(crate) warnings: Vec<Warning>,
    /// More bindings were missing than the list holds.
    pub(crate) truncated: bool,
}

impl<'w> Writer<'w> {
    pub(crate) fn new(run: Run<'w>, limits: &'w Limits, on_problem: OnProblem) -> Self {
        Self {
            out: String::new(),
            scratch: String::new(),
            run,
            limits,
            images: ImageCheck::new(limits),
            on_problem,
            rehearsing: Rehearsing::No,
            path: Vec::new(),
            place: "definition",
            report: Gathered::default(),
        }
    }

    pub(crate) fn push(&mut self, markup: &str) {
        self.out.push_str(markup);
    }

    /// Text as it may stand between tags and inside a double-quoted attribute.
    pub(crate) fn push_escaped(&mut self, text: &str) {
        escape_into(text, &mut self.out);
    }

    /// `<tag class style>`; an empty class or style is left out.
    pub(crate) fn open(&mut self, tag: &str, class: &str, style: &Style) {
        self.open_with(tag, class, style, "");
    }

    /// The same with declarations of the writer's own before those of the author.
    pub(crate) fn open_with(&mut self, tag: &str, class: &str, style: &Style, css: &str) {
        self.push("<");
        self.push(tag);
        if !class.is_empty() {
            self.push(" class=\"");
            self.push(class);
            self.push("\"");
        }
        if !(style.0.is_empty() && css.is_empty()) {
            self.push(" style=\"");
            self.push(css);
            if !(style.0.is_empty() || css.is_empty()) {
                self.push(";");
            }
            self.push(&style.0);
            self.push("\"");
        }
        self.push(">");
    }

    pub(crate) fn close(&mut self, tag: &str) {
        self.push("</");
        self.push(tag);
        self.push(">");
    }

    /// A node begins: what was missing so far belongs to the node around it.
    pub(crate) fn enter(&mut self, node: &'w Node) -> Result<(), DocumentError> {
        self.settle();
        self.path.push(node);
        self.charge()
    }

    /// The node that was entered last ends.
    pub(crate) fn leave(&mut self) -> Result<(), DocumentError> {
        self.settle();
        self.path.pop();
        self.check_size()
    }

    /// The HTML is not larger than accepted. Nodes are checked as they end; a node that can be long checks itself.
    pub(crate) fn check_size(&self) -> Result<(), DocumentError> {
        if self.out.len() > self.limits.html_bytes {
            return Err(DocumentError::TooLarge { what: "HTML (bytes)", limit: self.limits.html_bytes as u64 });
        }
        Ok(())
    }

    fn charge(&mut self) -> Result<(), DocumentError> {
        match self.run.charge(1) {
            Ok(()) => Ok(()),
            Err(kind) => {
                let message = match kind {
                    BudgetKind::Deadline | BudgetKind::Cancelled => "the document was still being written at its deadline".into(),
                    _ => format!("the document needs more than the {} steps accepted", self.limits.budget.steps),
                };
                let problem = ExpressionProblem { message, location: Some(self.location("children", 1, 1)), suggestion: None };
                Err(stopped(kind, Box::new(problem)))
            }
        }
    }

    /// Writes a template's text, escaped whole: neither the author's text nor a triple-stash can become markup.
    pub(crate) fn text(&mut self, text: &Text, scope: &Scope<'_>) -> Result<(), DocumentError> {
        let mut scratch = std::mem::take(&mut self.scratch);
        scratch.clear();
        self.run.set_escape(Escape::None);
        let rendered = text.template.render(scope, &mut self.run, &mut scratch);
        escape_into(&scratch, &mut self.out);
        self.scratch = scratch;
        self.or_note(rendered, &text.property)
    }

    /// Writes optional text between two pieces of markup; nothing at all where there is no text.
    pub(crate) fn text_in(&mut self, before: &str, text: Option<&Text>, after: &str, scope: &Scope<'_>) -> Result<(), DocumentError> {
        let Some(text) = text else { return Ok(()) };
        self.push(before);
        self.text(text, scope)?;
        self.push(after);
        Ok(())
    }

    /// Writes a template whose own text is markup; its values are escaped.
    pub(crate) fn markup(&mut self, text: &Text, scope: &Scope<'_>) -> Result<(), DocumentError> {
        self.run.set_escape(Escape::Html);
        let rendered = text.template.render(scope, &mut self.run, &mut self.out);
        self.or_note(rendered, &text.property)
    }

    /// A template's text without any escaping, for values that are no markup.
    pub(crate) fn plain(&mut self, text: &Text, scope: &Scope<'_>) -> Result<String, DocumentError> {
        let mut out = String::new();
        self.run.set_escape(Escape::None);
        let rendered = text.template.render(scope, &mut self.run, &mut out);
        self.or_note(rendered, &text.property)?;
        Ok(out)
    }

    /// The value of an expression; `None` where it failed and problems are gathered.
    pub(crate) fn evaluate<'a>(&mut self, formula: &'a Formula, scope: &'a Scope<'a>) -> Result<Option<Evaluated<'a>>, DocumentError> {
        match formula.expression.evaluate(scope, &mut self.run) {
            Ok(value) => Ok(Some(value)),
            Err(error) => self.or_note(Err(error), &formula.property).map(|()| None),
        }
    }

    /// In a dry run, visits what the data does not reach to find mistakes there; writes nothing.
    pub(crate) fn rehearse(&mut self, visit: impl FnOnce(&mut Self) -> Result<(), DocumentError>) -> Result<(), DocumentError> {
        if self.on_problem == OnProblem::Stop {
            return Ok(());
        }
        self.settle();
        let before = (self.rehearsing, self.out.len());
        self.rehearsing = Rehearsing::Yes;
        let visited = visit(self);
        self.settle();
        self.rehearsing = before.0;
        self.out.truncate(before.1);
        visited
    }

    /// The image may be shown.
    pub(crate) fn check_image(&mut self, uri: &str) -> Result<(), DocumentError> {
        let checked = self.images.check(uri);
        self.accept_images(checked)
    }

    /// Every image inside finished markup may be shown.
    pub(crate) fn check_images_in(&mut self, html: &str) -> Result<(), DocumentError> {
        let checked = self.images.check_all(html);
        self.accept_images(checked)
    }

    /// The same for what was written from `from` on.
    pub(crate) fn check_images_from(&mut self, from: usize) -> Result<(), DocumentError> {
        let checked = self.images.check_all(&self.out[from..]);
        self.accept_images(checked)
    }

    fn accept_images(&mut self, checked: Result<(), String>) -> Result<(), DocumentError> {
        match checked {
            Err(reason) if self.on_problem == OnProblem::Stop => Err(DocumentError::AssetBlocked { at: self.breadcrumb(), reason }),
            Err(reason) => {
                let message = format!("{}: {reason}", self.breadcrumb());
                match self.rehearsing {
                    // What the data does not reach stops no render.
                    Rehearsing::Yes => self.report.warnings.push(Warning { code: ErrorCode::AssetBlocked.as_str(), message }),
                    Rehearsing::No => self.report.problems.push(ExpressionProblem { message, location: None, suggestion: None }),
                }
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }

    /// Bytes written so far.
    pub(crate) fn len(&self) -> usize {
        self.out.len()
    }

    /// Notes that there is nothing to go over.
    pub(crate) fn note_missing_collection(&mut self, formula: &Formula, value: Option<&Value>) {
        if self.rehearsing == Rehearsing::Yes {
            return;
        }
        let severity = if value.is_some_and(Value::is_null) { Severity::Info } else { Severity::Warning };
        let binding = self.binding(formula.expression.source(), Reason::MissingCollection, severity, 1, (1, 1), Vec::new());
        self.add_unresolved(binding);
    }

    /// What is written next belongs to no node but to this part of the definition.
    pub(crate) fn begin(&mut self, place: &'static str) {
        self.settle();
        self.place = place;
    }

    /// The HTML and what was noticed.
    pub(crate) fn finish(mut self) -> (String, Gathered) {
        self.settle();
        (self.out, self.report)
    }

    /// Takes out what was written so far.
    pub(crate) fn take(&mut self) -> String {
        std::mem::take(&mut self.out)
    }

    fn or_note(&mut self, result: Result<(), ExpressionError>, property: &str) -> Result<(), DocumentError> {
        let Err(error) = result else { return Ok(()) };
        let problem = self.problem(&error, property);
        match &error {
            ExpressionError::Budget { which, .. } => Err(stopped(*which, Box::new(problem))),
            ExpressionError::Depth { .. } => Err(DocumentError::Budget(Box::new(problem))),
            _ if self.on_problem == OnProblem::Stop => Err(DocumentError::Expression(Box::new(problem))),
            // Without data only a wrong name is certain to be wrong.
            _ if self.rehearsing == Rehearsing::Yes && !matches!(error, ExpressionError::UnknownHelper { .. }) => Ok(()),
            _ => {
                if self.report.problems.len() < MAX_REPORTED && !self.report.problems.contains(&problem) {
                    self.report.problems.push(problem);
                }
                Ok(())
            }
        }
    }

    pub(crate) fn problem(&self, error: &ExpressionError, property: &str) -> ExpressionProblem {
        let suggestion =
            error.variable().map(|variable| Suggestion { variable: variable.to_owned(), suggestions: error.suggestions().to_vec() });
        let location = Some(self.location(property, error.line(), error.column()));
        ExpressionProblem { message: error.message(), location, suggestion }
    }

    fn location(&self, property: &str, line: usize, column: usize) -> Location {
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

    fn breadcrumb(&self) -> String {
        if self.path.is_empty() {
            return self.place.to_owned();
        }
        self.path.iter().map(|node| &*node.label).collect::<Vec<_>>().join(" > ")
    }

    /// Moves what the run found missing to the node it belongs to.
    fn settle(&mut self) {
        if self.run.findings().is_empty() {
            return;
        }
        self.report.truncated |= self.run.findings_truncated();
        let findings = self.run.take_findings();
        if self.rehearsing == Rehearsing::Yes {
            return;
        }
        for Finding { path, reason, at, occurrences, suggestions, .. } in findings {
            let (reason, severity) = match reason {
                MissingReason::Missing => (Reason::Missing, Severity::Warning),
                MissingReason::Null => (Reason::Null, Severity::Info),
                MissingReason::MissingCollection => (Reason::MissingCollection, Severity::Warning),
            };
            let occurrences = usize::try_from(occurrences).unwrap_or(usize::MAX);
            let binding = self.binding(&path, reason, severity, occurrences, (at.line, at.column), suggestions);
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
        suggestions: Vec<String>,
    ) -> UnresolvedBinding {
        let Location { node_id, node_type, node_path, .. } = self.location("", line, column);
        UnresolvedBinding { path: path.to_owned(), reason, severity, node_id, node_type, node_path, occurrences, line, column, suggestions }
    }

    fn add_unresolved(&mut self, binding: UnresolvedBinding) {
        let same = |known: &&mut UnresolvedBinding| {
            (known.line, known.column, known.reason) == (binding.line, binding.column, binding.reason)
                && known.node_id == binding.node_id
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

    /// The refusal of an option's template that cannot be parsed.
    pub(crate) fn option_issue(path: &str, error: &ExpressionError) -> Issue {
        Issue::new(path, format!("line {}, column {}: {}", error.line(), error.column(), error.message()))
            .with_code("template_expression_error")
    }
}

fn stopped(kind: BudgetKind, problem: Box<ExpressionProblem>) -> DocumentError {
    match kind {
        BudgetKind::Deadline | BudgetKind::Cancelled => DocumentError::Stopped(problem),
        _ => DocumentError::Budget(problem),
    }
}

/// Escapes what could end text or a double-quoted attribute.
pub(crate) fn escape_into(text: &str, out: &mut String) {
    let mut from = 0;
    for (at, byte) in text.bytes().enumerate() {
        let reference = match byte {
            b'&' => "&amp;",
            b'<' => "&lt;",
            b'>' => "&gt;",
            b'"' => "&quot;",
            _ => continue,
        };
        out.push_str(&text[from..at]);
        out.push_str(reference);
        from = at + 1;
    }
    out.push_str(&text[from..]);
}
