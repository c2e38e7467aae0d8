//! Writes what a call of a partial stands for.

use std::borrow::Cow;

use serde_json::{Map, Value};

use crate::error::ExpressionError;
use crate::evaluate::{Evaluator, steps_of};
use crate::run::Escape;
use crate::scope::Scope;
use crate::tree::PartialCall;

/// `{{> name context name=value}}`: the context, or else the one around, with what is given by name over it.
#[inline(never)]
pub(crate) fn write<'s>(evaluator: &mut Evaluator<'_, '_>, call: &'s PartialCall, scope: &'s Scope<'s>) -> Result<(), ExpressionError> {
    let at = call.span.start;
    evaluator.charge(1, at)?;
    let limit = evaluator.run.budget.depth;
    if scope.depth >= limit {
        return Err(ExpressionError::Depth { limit, at: evaluator.position(at) });
    }
    let given = match &call.context {
        Some(expr) => evaluator.required(expr, scope)?.into_value(),
        None => scope.context.map(Cow::Borrowed),
    };
    let context = if call.hash.is_empty() { given } else { Some(Cow::Owned(merged(evaluator, call, given.as_deref(), scope)?)) };
    let inner = scope.partial(context.as_deref());
    let from = evaluator.out.len();
    let escape = evaluator.run.escape;
    if call.place.in_style && escape == Escape::Html {
        evaluator.run.escape = Escape::Css;
    }
    let in_tag = evaluator.run.in_tag;
    evaluator.run.in_tag |= !call.place.tag.takes_markup();
    let source = &call.template.source;
    let written = Evaluator { source, run: &mut *evaluator.run, out: &mut *evaluator.out }.nodes(&call.template.nodes, &inner);
    evaluator.run.escape = escape;
    evaluator.run.in_tag = in_tag;
    written.map_err(|inner| {
        let partial = source.partial.clone().unwrap_or_default();
        ExpressionError::InPartial { partial, at: evaluator.position(at), inner: Box::new(inner) }
    })?;
    if call.indent.is_empty() { Ok(()) } else { indent(evaluator, call, from) }
}

/// A copy of the context with the named values over its own.
fn merged(
    evaluator: &mut Evaluator<'_, '_>,
    call: &PartialCall,
    context: Option<&Value>,
    scope: &Scope<'_>,
) -> Result<Value, ExpressionError> {
    let at = call.span.start;
    if let Some(context) = context {
        evaluator.charge(weight(context), at)?;
    }
    let mut object = match context {
        Some(Value::Object(object)) => object.clone(),
        Some(Value::Array(items)) => items.iter().enumerate().map(|(index, item)| (index.to_string(), item.clone())).collect(),
        _ => Map::new(),
    };
    for (name, expr) in &call.hash {
        let value = evaluator.value(expr, scope)?;
        match value.as_value() {
            Some(value) => {
                evaluator.charge(weight(&value), at)?;
                object.insert(name.to_string(), value.into_owned());
            }
            None => drop(object.shift_remove(&**name)),
        }
    }
    Ok(Value::Object(object))
}

/// Steps for copying a value.
fn weight(value: &Value) -> u64 {
    match value {
        Value::String(text) => 1 + steps_of(text.len()),
        Value::Array(items) => items.iter().map(weight).fold(1, u64::saturating_add),
        Value::Object(object) => object.values().map(weight).fold(1, u64::saturating_add),
        _ => 1,
    }
}

/// Puts the spaces before the call in front of each line that was written since `from`.
fn indent(evaluator: &mut Evaluator<'_, '_>, call: &PartialCall, from: usize) -> Result<(), ExpressionError> {
    let at = call.span.start;
    let text = evaluator.out.split_off(from);
    let spaces = &evaluator.source.text[call.indent.clone()];
    evaluator.charge(steps_of(text.len()), at)?;
    let mut lines = text.split('\n').peekable();
    while let Some(line) = lines.next() {
        let is_last = lines.peek().is_none();
        if is_last && line.is_empty() {
            break;
        }
        evaluator.emit(spaces, at)?;
        evaluator.out.push_str(line);
        if !is_last {
            evaluator.out.push('\n');
        }
    }
    Ok(())
}
