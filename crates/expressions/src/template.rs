//! The two things that can be parsed and evaluated: a template and a lone expression.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::ExpressionError;
use crate::evaluate::{Evaluator, Source};
use crate::limits::Limits;
use crate::meaning::{Meaning, Watch};
use crate::parser::{Parsed, parse_expression, parse_template};
use crate::partials::Partials;
use crate::places::{self, Surroundings};
use crate::run::{MissingReason, Run};
use crate::scope::Scope;
use crate::tree::{Expr, Node};
use crate::used_paths::{self, UsedPath};
use crate::value::Evaluated;

/// Tells parsed sources apart; findings of one run name the source they are about.
static NEXT_ID: AtomicU64 = AtomicU64::new(1);

fn source(text: &str, partial: Option<&str>) -> Source {
    Source { text: text.into(), id: NEXT_ID.fetch_add(1, Ordering::Relaxed), partial: partial.map(Into::into) }
}

/// A parsed template. Immutable; share it behind an `Arc` and render it from any number of threads.
#[derive(Debug)]
pub struct Template {
    pub(crate) source: Source,
    pub(crate) nodes: Vec<Node>,
    /// Blocks inside each other, those of its partials included.
    pub(crate) levels: usize,
    /// What it opens and does not close.
    pub(crate) ends: Surroundings,
}

impl Template {
    /// Parses a template, in time linear in its size.
    ///
    /// # Errors
    /// `Syntax`, `Arguments`, `Unsupported`, `Depth` or `TooLarge`, with the place.
    pub fn parse(source_text: &str, limits: &Limits) -> Result<Self, ExpressionError> {
        Ok(Self::of(parse_template(source_text, limits, None)?, source(source_text, None)))
    }

    /// Parses a template that may call `partials`.
    ///
    /// # Errors
    /// As [`Template::parse`], and `UnknownPartial`.
    pub fn parse_with(source_text: &str, limits: &Limits, partials: &Partials) -> Result<Self, ExpressionError> {
        Self::parse_named(source_text, limits, partials, None)
    }

    pub(crate) fn parse_named(
        source_text: &str,
        limits: &Limits,
        partials: &Partials,
        name: Option<&str>,
    ) -> Result<Self, ExpressionError> {
        Ok(Self::of(parse_template(source_text, limits, Some(partials))?, source(source_text, name)))
    }

    fn of(parsed: Parsed, source: Source) -> Self {
        let Parsed { mut nodes, levels } = parsed;
        let ends = places::mark(&mut nodes, &source.text);
        Self { source, nodes, levels, ends }
    }

    /// Appends the template's text for `scope` to `out`. On an error `out` is what it was before.
    ///
    /// # Errors
    /// `UnknownHelper`, `Missing` (of a strict run), `Budget` or `Depth`, with the place.
    pub fn render(&self, scope: &Scope<'_>, run: &mut Run<'_>, out: &mut String) -> Result<(), ExpressionError> {
        let before = out.len();
        let result = Evaluator { source: &self.source, run, out }.nodes(&self.nodes, scope);
        if result.is_err() {
            out.truncate(before);
        }
        result
    }

    /// The same, with what the text is a spelling of, where the template prints one value and nothing else.
    ///
    /// # Errors
    /// As [`Template::render`].
    pub fn render_with_meaning(&self, scope: &Scope<'_>, run: &mut Run<'_>, out: &mut String) -> Result<Option<Meaning>, ExpressionError> {
        let mut printed = self.nodes.iter().filter(|node| !matches!(node, Node::Comment(_)));
        if let (Some(Node::Output(_)), None) = (printed.next(), printed.next()) {
            run.watch = Watch::On(None);
        }
        let rendered = self.render(scope, run, out);
        let meaning = run.watch.take();
        rendered.map(|()| meaning)
    }

    /// The data paths the template names, in the order written.
    pub fn used_paths(&self) -> Vec<UsedPath> {
        used_paths::of_nodes(&self.nodes, &self.source.text)
    }

    /// Whether the template is only text.
    pub fn is_literal(&self) -> bool {
        self.nodes.iter().all(|node| matches!(node, Node::Text(_) | Node::Comment(_)))
    }

    /// The source it was parsed from.
    pub fn source(&self) -> &str {
        &self.source.text
    }
}

/// A parsed expression without braces: `order.items`, `lookup a 'b'`, `(lookup a 'b')`, `12`, `"text"`.
#[derive(Debug)]
pub struct Expression {
    source: Source,
    value: Expr,
}

impl Expression {
    /// Parses one expression.
    ///
    /// # Errors
    /// `Syntax`, `Arguments`, `Depth` or `TooLarge`, with the place.
    pub fn parse(source_text: &str, limits: &Limits) -> Result<Self, ExpressionError> {
        Ok(Self { value: parse_expression(source_text, limits)?, source: source(source_text, None) })
    }

    /// The value in `scope`. A missing one is undefined and not noted: what that means is for the caller to say.
    ///
    /// # Errors
    /// `UnknownHelper`, `Budget`, with the place.
    pub fn evaluate<'a>(&'a self, scope: &'a Scope<'a>, run: &mut Run<'_>) -> Result<Evaluated<'a>, ExpressionError> {
        let mut unused = String::new();
        Evaluator { source: &self.source, run, out: &mut unused }.value(&self.value, scope)
    }

    /// Notes in `run` that the value was missing in `scope`, as a template would, with near paths. For a caller that
    /// evaluated it and could not do without.
    ///
    /// # Errors
    /// `Missing`, if the run is strict and the reason is not `Null`.
    pub fn note_missing(&self, scope: &Scope<'_>, run: &mut Run<'_>, reason: MissingReason) -> Result<(), ExpressionError> {
        let mut unused = String::new();
        Evaluator { source: &self.source, run, out: &mut unused }.note_missing(&self.value, scope, reason)
    }

    /// The data paths the expression names, in the order written.
    pub fn used_paths(&self) -> Vec<UsedPath> {
        used_paths::of_expression(&self.value, &self.source.text)
    }

    /// The source it was parsed from.
    pub fn source(&self) -> &str {
        &self.source.text
    }
}
