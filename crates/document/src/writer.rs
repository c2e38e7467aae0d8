//! What all nodes write into: the HTML so far, the account of its cost, and what was missing or wrong.

mod noting;
mod pictures;
mod recording;

use domain::Issue;
use expressions::{BudgetKind, Escape, Evaluated, ExpressionError, Run, Scope};
use serde_json::Value;

use crate::assets::{AssetMap, Inlining};
use crate::error::DocumentError;
use crate::fields::{Formula, Text};
use crate::images::ImageCheck;
use crate::limits::Limits;
use crate::links;
use crate::nodes::{Node, TableOfContents};
use crate::outline::{Gathering, Heading, Outline, RunningTitles};
use crate::report::{ExpressionProblem, UnresolvedBinding, Warning};
use crate::style::Style;
use crate::tables::Recorder;

/// What happens when an expression fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OnProblem {
    /// The document is given up.
    Stop,
    /// The problem is noted, the expression prints nothing, and branches that the data does not reach are visited too.
    Gather,
}

pub(crate) use recording::Recording;

/// The document being written.
pub(crate) struct Writer<'w> {
    out: String,
    /// Plain text on its way to being escaped.
    scratch: String,
    run: Run<'w>,
    pub(crate) limits: &'w Limits,
    images: ImageCheck<'w>,
    assets: Inlining<'w>,
    on_problem: OnProblem,
    /// In a branch that is visited only to find its mistakes.
    rehearsing: Rehearsing,
    /// Nodes around, the innermost last.
    path: Vec<&'w Node>,
    /// What stands for a node outside of the tree: `html`, `css`, `title`.
    place: &'static str,
    pub(crate) report: Gathered,
    pub(crate) outline: Outline<'w>,
    /// Takes the tables down, where they are wanted.
    recorder: Option<Recorder>,
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
            assets: Inlining::new(None, limits),
            on_problem,
            rehearsing: Rehearsing::No,
            path: Vec::new(),
            place: "definition",
            report: Gathered::default(),
            outline: Outline::default(),
            recorder: None,
        }
    }

    /// The same where it is known what some assets are.
    pub(crate) fn with_assets(mut self, assets: Option<&'w AssetMap>) -> Self {
        self.assets = Inlining::new(assets, self.limits);
        self
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
        if class.is_empty() {
            self.open_tag(tag, "", style, css);
        } else {
            self.open_tag(tag, &[" class=\"", class, "\""].concat(), style, css);
        }
    }

    /// The same with attributes as they stand in the tag, with a space in front of each.
    pub(crate) fn open_tag(&mut self, tag: &str, attributes: &str, style: &Style, css: &str) {
        self.push("<");
        self.push(tag);
        self.push(attributes);
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
        self.charge(1)
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

    /// Charges work on behalf of the document, in the unit of an expression's steps, and looks at the clock.
    pub(crate) fn charge(&mut self, steps: u64) -> Result<(), DocumentError> {
        match self.run.charge(steps) {
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
        if self.is_in_cell() {
            return self.text_of_cell(text, scope);
        }
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

    /// The same as text that is looked at before it becomes part of the document.
    pub(crate) fn markup_text(&mut self, text: &Text, scope: &Scope<'_>) -> Result<String, DocumentError> {
        let mut out = String::new();
        self.run.set_escape(Escape::Html);
        let rendered = text.template.render(scope, &mut self.run, &mut out);
        self.or_note(rendered, &text.property)?;
        Ok(out)
    }

    /// Writes a template whose own text is a style sheet; no value in it can leave its declaration.
    pub(crate) fn style_sheet(&mut self, text: &Text, scope: &Scope<'_>) -> Result<(), DocumentError> {
        self.run.set_escape(Escape::Css);
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

    /// Keeps a reader's click from running or opening what a link of the data names.
    pub(crate) fn take_out_active_links(&mut self) -> Result<(), DocumentError> {
        self.charge(steps_of(self.out.len()))?;
        if let Some((html, count)) = links::without_active(&self.out) {
            self.out = html;
            self.warn("link", format!("{count} links were taken out; accepted: http, https, mailto, tel and places in the document"));
        }
        Ok(())
    }

    /// Whether the headings that are written now are those of the document.
    pub(crate) fn gathers_headings(&self) -> bool {
        let is_wanted = self.outline.gathering == Gathering::Yes || self.outline.running_titles == RunningTitles::Named;
        is_wanted && self.rehearsing == Rehearsing::No
    }

    /// Here stands a table of contents, once all headings are known.
    pub(crate) fn add_table_of_contents(&mut self, table: &'w TableOfContents) {
        if self.rehearsing == Rehearsing::No {
            self.outline.add_table(self.out.len(), table);
        }
    }

    /// Puts the entries of the tables of contents at their places.
    pub(crate) fn fill_tables_of_contents(&mut self) -> Result<(), DocumentError> {
        if self.outline.has_tables() {
            self.out = self.outline.filled(&self.out, self.limits)?;
            self.charge(steps_of(self.out.len()))?;
        }
        Ok(())
    }

    /// What was written since.
    pub(crate) fn since(&self, from: usize) -> &str {
        &self.out[from..]
    }

    /// Bytes written so far.
    pub(crate) fn len(&self) -> usize {
        self.out.len()
    }

    /// What is written next belongs to no node but to this part of the definition.
    pub(crate) fn begin(&mut self, place: &'static str) {
        self.settle();
        self.place = place;
    }

    /// The HTML and what was noticed.
    pub(crate) fn finish(mut self) -> (String, Gathered, Vec<Heading>) {
        self.settle();
        let are_wanted = self.outline.has_tables() || self.outline.running_titles == RunningTitles::Named;
        let headings = if are_wanted { self.outline.headings } else { Vec::new() };
        (self.out, self.report, headings)
    }

    /// Takes out what was written so far.
    pub(crate) fn take(&mut self) -> String {
        std::mem::take(&mut self.out)
    }

    /// The refusal of an option's template that cannot be parsed.
    pub(crate) fn option_issue(path: &str, error: &ExpressionError) -> Issue {
        Issue::new(path, format!("line {}, column {}: {}", error.line(), error.column(), error.message()))
            .with_code("template_expression_error")
    }
}

/// Steps for going over this many bytes once.
pub(crate) fn steps_of(bytes: usize) -> u64 {
    1 + u64::try_from(bytes / 256).unwrap_or(u64::MAX)
}

/// Steps for going over a value once, or copying it: one for each value in it, with long texts counted by their length.
pub(crate) fn weight(value: &Value) -> u64 {
    match value {
        Value::String(text) => steps_of(text.len()),
        Value::Array(items) => items.iter().map(weight).fold(1, u64::saturating_add),
        Value::Object(members) => members.values().map(weight).fold(1, u64::saturating_add),
        _ => 1,
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
