//! Walks the tree over the data, charging the run for every step.

use serde_json::Value;

use crate::error::{BudgetKind, ExpressionError, Position};
use crate::escape::{each_css_escaped, each_escaped};
use crate::near_names::{MAX_CANDIDATES, near_names};
use crate::partial_calls;
use crate::registry::{self, Act, Invocation, Outcome};
use crate::run::{Escape, Missing, MissingReason, Run};
use crate::scope::{Params, Scope, Turn};
use crate::tree::{Base, Block, Call, Expr, Head, Node, Output, Path};
use crate::value::{Evaluated, Markup, View};
use crate::value_text::{Piece, each_piece, push_number, reordered_keys};

/// A parsed source and the number that tells it from every other one.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) text: Box<str>,
    pub(crate) id: u64,
    /// What errors call it, where it is a partial.
    pub(crate) partial: Option<Box<str>>,
}

pub(crate) struct Evaluator<'r, 'b> {
    pub(crate) source: &'r Source,
    pub(crate) run: &'r mut Run<'b>,
    pub(crate) out: &'r mut String,
}

impl Evaluator<'_, '_> {
    pub(crate) fn nodes<'s>(&mut self, nodes: &'s [Node], scope: &'s Scope<'s>) -> Result<(), ExpressionError> {
        for node in nodes {
            match node {
                Node::Text(text) => {
                    self.charge(1, text.value.start)?;
                    let source = self.source;
                    self.emit(&source.text[text.value.clone()], text.value.start)?;
                }
                Node::Output(output) => self.output(output, scope)?,
                Node::Block(block) => self.block(block, scope)?,
                Node::Partial(call) => partial_calls::write(self, call, scope)?,
                Node::Comment(_) => {}
            }
        }
        Ok(())
    }

    #[inline(never)]
    fn output<'s>(&mut self, output: &'s Output, scope: &'s Scope<'s>) -> Result<(), ExpressionError> {
        let at = output.value.span().start;
        let value = self.required(&output.value, scope)?;
        self.run.watch.printed(&output.value, &value);
        let escape = match (output.escaped, self.run.escape) {
            (false, _) => Escape::None,
            (true, Escape::Html) if output.place.in_style => Escape::Css,
            (true, escape) => escape,
        };
        if let Evaluated::Markup(markup) = &value
            && !output.place.tag.takes_markup()
        {
            return self.emit_as_text(markup, escape, at);
        }
        self.write(&value, escape, at)
    }

    fn block<'s>(&mut self, block: &'s Block, scope: &'s Scope<'s>) -> Result<(), ExpressionError> {
        let without_null = scope.without_null();
        let mut here = scope;
        for arm in &block.arms {
            let body = arm.body.as_deref().unwrap_or_default();
            let outcome = match &arm.head {
                Head::Plain(path) => self.plain(path, body, &arm.params, here)?,
                Head::Call(call) => {
                    let place = without_null.as_ref().unwrap_or(scope);
                    self.charge(1, call.span.start)?;
                    let invocation = Invocation { evaluator: self, call, scope: here, place, body, params: &arm.params };
                    here = place;
                    block_call(invocation)?
                }
            };
            if outcome == Outcome::Done {
                return Ok(());
            }
        }
        match &block.otherwise {
            Some(otherwise) => self.nodes(otherwise, here),
            None => Ok(()),
        }
    }

    /// `{{#path}}`: a list loops, another value becomes the context, true renders here, nothing asks for the inverse.
    fn plain<'s>(
        &mut self,
        path: &'s Path,
        body: &'s [Node],
        params: &'s [Box<str>],
        scope: &'s Scope<'s>,
    ) -> Result<Outcome, ExpressionError> {
        let value = self.path(path, scope)?;
        let unbound = if params.is_empty() { Params::None } else { Params::Unbound(params) };
        match value.view() {
            View::Undefined | View::Null | View::Bool(false) => Ok(Outcome::Inverse),
            View::Bool(true) if params.is_empty() => {
                self.nodes(body, scope)?;
                Ok(Outcome::Done)
            }
            View::Bool(true) => {
                self.inside(body, &scope.here(unbound), path.span.start)?;
                Ok(Outcome::Done)
            }
            View::Array(_) => self.each(&value, body, params, scope, path.span.start),
            _ => {
                if let Some(value) = value.as_value() {
                    self.inside(body, &scope.enter(&value, None, unbound), path.span.start)?;
                }
                Ok(Outcome::Done)
            }
        }
    }

    /// Renders a body in a scope just made.
    pub(crate) fn inside(&mut self, body: &[Node], scope: &Scope<'_>, at: usize) -> Result<(), ExpressionError> {
        let limit = self.run.budget.depth;
        if scope.depth > limit {
            return Err(ExpressionError::Depth { limit, at: self.position(at) });
        }
        self.nodes(body, scope)
    }

    /// One turn per item of a list or object; the inverse when there is none.
    pub(crate) fn each<'s>(
        &mut self,
        collection: &Evaluated<'s>,
        body: &'s [Node],
        params: &'s [Box<str>],
        scope: &'s Scope<'s>,
        at: usize,
    ) -> Result<Outcome, ExpressionError> {
        let named = if params.is_empty() { Params::None } else { Params::Named(params) };
        match collection.view() {
            View::Array(items) if !items.is_empty() => {
                for (index, item) in items.iter().enumerate() {
                    self.charge(1, at)?;
                    let turn = Turn { index, last: index + 1 == items.len(), key: None };
                    self.inside(body, &scope.enter(item, Some(turn), named), at)?;
                }
                Ok(Outcome::Done)
            }
            View::Object(object) if !object.is_empty() => {
                let last = object.len() - 1;
                let turn = |this: &mut Self, index: usize, key: &str, item: &Value| {
                    this.charge(1, at)?;
                    let turn = Turn { index, last: index == last, key: Some(key) };
                    this.inside(body, &scope.enter(item, Some(turn), named), at)
                };
                if let Some(keys) = reordered_keys(object) {
                    self.charge(u64::try_from(keys.len()).unwrap_or(u64::MAX), at)?;
                    for (index, key) in keys.into_iter().enumerate() {
                        turn(self, index, key, &object[key])?;
                    }
                } else {
                    for (index, (key, item)) in object.iter().enumerate() {
                        turn(self, index, key, item)?;
                    }
                }
                Ok(Outcome::Done)
            }
            _ => Ok(Outcome::Inverse),
        }
    }

    /// The value of an expression, without a word about missing ones.
    pub(crate) fn value<'s>(&mut self, expr: &'s Expr, scope: &'s Scope<'s>) -> Result<Evaluated<'s>, ExpressionError> {
        match expr {
            Expr::Undefined => Ok(Evaluated::Undefined),
            Expr::Literal(value) => Ok(Evaluated::Borrowed(value)),
            Expr::Path(path) => self.path(path, scope),
            Expr::Call(call) => self.call(call, scope),
        }
    }

    /// The value of an expression somebody wants to see: a missing one is noted, or refused by a strict run.
    pub(crate) fn required<'s>(&mut self, expr: &'s Expr, scope: &'s Scope<'s>) -> Result<Evaluated<'s>, ExpressionError> {
        let value = self.value(expr, scope)?;
        if value.is_nullish() {
            let reason = match value.view() {
                View::Null => MissingReason::Null,
                _ => MissingReason::Missing,
            };
            self.note_missing(expr, scope, reason)?;
        }
        Ok(value)
    }

    fn call<'s>(&mut self, call: &'s Call, scope: &'s Scope<'s>) -> Result<Evaluated<'s>, ExpressionError> {
        self.charge(1, call.span.start)?;
        match call.helper.map(|helper| &helper.act) {
            Some(Act::Value(act) | Act::Test(act)) => {
                act(&mut Invocation { evaluator: self, call, scope, place: scope, body: &[], params: &[] })
            }
            // The parser refuses a block helper here.
            Some(Act::Block(_)) => Ok(Evaluated::Undefined),
            None => Err(self.unknown_helper(call, scope)),
        }
    }

    pub(crate) fn path<'s>(&mut self, path: &'s Path, scope: &'s Scope<'s>) -> Result<Evaluated<'s>, ExpressionError> {
        let at = path.span.start;
        self.charge(1, at)?;
        if path.open
            && let Some(first) = path.segments.first()
        {
            let (param, asked) = scope.param(&first.name);
            if asked > 1 {
                self.charge(asked, at)?;
            }
            if let Some(value) = param {
                return self.follow(value, path, 1);
            }
        }
        match path.base {
            Base::Context(levels) => {
                let context = scope.context_up(levels).map_or(Evaluated::Undefined, Evaluated::Borrowed);
                self.follow(context, path, 0)
            }
            Base::Data(levels) => {
                let name = path.segments.first().map_or("", |first| &first.name);
                self.follow(scope.variable(levels, name), path, 1)
            }
        }
    }

    fn follow<'s>(&mut self, start: Evaluated<'s>, path: &Path, from: usize) -> Result<Evaluated<'s>, ExpressionError> {
        let mut value = start;
        for segment in path.segments.get(from..).unwrap_or_default() {
            match value.view() {
                View::Undefined | View::Null => break,
                // Texts are searched unit by unit.
                View::Text(text) => self.charge(1 + steps_of(text.len()), path.span.start)?,
                // handlebars.js stops at any false value after an `@` variable.
                view if matches!(path.base, Base::Data(_)) && !view.is_truthy() => break,
                _ => self.charge(1, path.span.start)?,
            }
            value = value.property(segment);
        }
        Ok(value)
    }

    pub(crate) fn write(&mut self, value: &Evaluated<'_>, escape: Escape, at: usize) -> Result<(), ExpressionError> {
        let value = match value {
            Evaluated::Undefined | Evaluated::Borrowed(Value::Null) | Evaluated::Owned(Value::Null) => return Ok(()),
            Evaluated::Text(text) => return self.emit_text(text, escape, at),
            Evaluated::Borrowed(Value::String(text)) => return self.emit_text(text, escape, at),
            Evaluated::Markup(markup) => return self.emit_markup(markup, escape, at),
            Evaluated::Borrowed(value) => value,
            Evaluated::Owned(value) => value,
        };
        each_piece(value, |piece| {
            self.charge(1, at)?;
            match piece {
                Piece::Text(text) => self.emit_text(text, escape, at),
                Piece::Plain(text) => self.emit(text, at),
                Piece::Number(number) => {
                    let before = self.out.len();
                    push_number(self.out, number);
                    let written = self.out.len() - before;
                    self.run.charge_output(written).map_err(|which| self.budget_error(which, at))
                }
            }
        })
    }

    /// Markup as it is where HTML is written, and as text elsewhere.
    fn emit_markup(&mut self, markup: &Markup, escape: Escape, at: usize) -> Result<(), ExpressionError> {
        if self.run.escape == Escape::Html && escape != Escape::Css && !self.run.in_tag {
            return self.emit(&markup.html, at);
        }
        self.emit_as_text(markup, escape, at)
    }

    fn emit_as_text(&mut self, markup: &Markup, escape: Escape, at: usize) -> Result<(), ExpressionError> {
        match &markup.text {
            Some(text) => self.emit_text(text, escape, at),
            None => Err(ExpressionError::MarkupInText { at: self.position(at) }),
        }
    }

    fn emit_text(&mut self, text: &str, escape: Escape, at: usize) -> Result<(), ExpressionError> {
        match escape {
            Escape::Html => each_escaped(text, |piece| self.emit(piece, at)),
            Escape::Css => each_css_escaped(text, |piece| self.emit(piece, at)),
            Escape::None => self.emit(text, at),
        }
    }

    pub(crate) fn emit(&mut self, text: &str, at: usize) -> Result<(), ExpressionError> {
        self.run.charge_output(text.len()).map_err(|which| self.budget_error(which, at))?;
        self.out.push_str(text);
        Ok(())
    }

    pub(crate) fn charge(&mut self, steps: u64, at: usize) -> Result<(), ExpressionError> {
        self.run.charge(steps).map_err(|which| self.budget_error(which, at))
    }

    pub(crate) fn position(&self, at: usize) -> Position {
        Position::of(&self.source.text, at)
    }

    #[cold]
    fn budget_error(&self, which: BudgetKind, at: usize) -> ExpressionError {
        ExpressionError::Budget { which, limit: self.run.limit_of(which), at: self.position(at) }
    }

    #[cold]
    fn unknown_helper(&self, call: &Call, scope: &Scope<'_>) -> ExpressionError {
        let mut known: Vec<&str> = registry::names().collect();
        known.extend(keys_of(scope.context).take(MAX_CANDIDATES));
        let suggestions = near_names(&call.name, known.into_iter());
        ExpressionError::UnknownHelper { name: call.name.to_string(), at: self.position(call.span.start), suggestions }
    }

    /// Notes that a path or a `lookup` gave nothing; what other helpers give is their own affair.
    #[cold]
    pub(crate) fn note_missing(&mut self, expr: &Expr, scope: &Scope<'_>, reason: MissingReason) -> Result<(), ExpressionError> {
        let looked_up = |call: &Call| call.helper.is_some_and(|helper| helper.name == "lookup");
        let path = match expr {
            Expr::Path(path) => Some(path),
            Expr::Call(call) if looked_up(call) => None,
            _ => return Ok(()),
        };
        let source = self.source;
        let span = expr.span();
        let at = span.start;
        let describe = || {
            let near = path.map_or_else(Vec::new, |path| near_paths(path, scope));
            (source.text[span].to_owned(), Position::of(&source.text, at), near, source.partial.clone())
        };
        if self.run.missing == Missing::Strict && reason != MissingReason::Null {
            let (path, at, suggestions, _) = describe();
            return Err(ExpressionError::Missing { path, at, suggestions });
        }
        self.run.note((source.id, at), reason, describe);
        Ok(())
    }
}

fn block_call(mut invocation: Invocation<'_, '_, '_, '_>) -> Result<Outcome, ExpressionError> {
    let call = invocation.call;
    match call.helper.map(|helper| &helper.act) {
        Some(Act::Block(act)) => act(&mut invocation),
        Some(Act::Value(act)) => {
            let value = act(&mut invocation)?;
            invocation.evaluator.write(&value, Escape::None, call.span.start)?;
            Ok(Outcome::Done)
        }
        Some(Act::Test(act)) => {
            if act(&mut invocation)?.is_truthy() {
                invocation.render_here()
            } else {
                Ok(Outcome::Inverse)
            }
        }
        None => Err(invocation.evaluator.unknown_helper(call, invocation.scope)),
    }
}

/// Steps charged for searching this many bytes.
pub(crate) fn steps_of(bytes: usize) -> u64 {
    u64::try_from(bytes / 64).unwrap_or(u64::MAX)
}

fn keys_of(value: Option<&Value>) -> impl Iterator<Item = &str> {
    value.and_then(Value::as_object).into_iter().flat_map(|object| object.keys().map(String::as_str))
}

/// Paths like `path` that do exist: the same name further out, or near names where the path breaks off.
fn near_paths(path: &Path, scope: &Scope<'_>) -> Vec<String> {
    let Some(first) = path.segments.first() else { return Vec::new() };
    let (mut current, skip, mut prefix) = match (path.open.then(|| scope.param(&first.name).0).flatten(), path.base) {
        (Some(param), _) => (param, 1, format!("{}.", first.name)),
        (None, Base::Context(levels)) => {
            let context = scope.context_up(levels).map_or(Evaluated::Undefined, Evaluated::Borrowed);
            (context, 0, "../".repeat(levels.min(8)))
        }
        (None, Base::Data(levels)) => (scope.variable(levels, &first.name), 1, format!("@{}.", first.name)),
    };
    for (at, segment) in path.segments.iter().enumerate().skip(skip) {
        let next = current.clone().property(segment);
        if !next.is_nullish() {
            prefix.push_str(&segment.name);
            prefix.push('.');
            current = next;
            continue;
        }
        if at == 0
            && path.open
            && let Some(levels) = scope.levels_up_to(&segment.name)
        {
            return vec![format!("{}{}", "../".repeat(levels), segment.name)];
        }
        let View::Object(object) = current.view() else { return Vec::new() };
        let near = near_names(&segment.name, object.keys().map(String::as_str));
        return near.into_iter().filter(|name| **name != *segment.name).map(|name| format!("{prefix}{name}")).collect();
    }
    Vec::new()
}
