//! The blocks of Handlebars itself: `if`, `unless`, `each`, `with`.

use super::{Act, Helper, Invocation, Outcome};
use crate::error::ExpressionError;

pub(super) const HELPERS: &[Helper] = &[
    Helper { name: "if", min_args: 1, max_args: 1, options: None, act: Act::Block(if_true) },
    Helper { name: "unless", min_args: 1, max_args: 1, options: None, act: Act::Block(unless) },
    Helper { name: "each", min_args: 1, max_args: 1, options: None, act: Act::Block(each) },
    Helper { name: "with", min_args: 1, max_args: 1, options: None, act: Act::Block(with) },
];

/// Whether the first argument counts as true; `includeZero=true` lets 0 count.
fn condition(call: &mut Invocation<'_, '_, '_, '_>) -> Result<bool, ExpressionError> {
    let value = call.arg(0)?;
    let include_zero = call.hash("includeZero")?;
    let truthy = value.view().is_truthy() || include_zero.view().is_truthy();
    Ok(truthy && !value.view().is_empty())
}

fn if_true(call: &mut Invocation<'_, '_, '_, '_>) -> Result<Outcome, ExpressionError> {
    if condition(call)? { call.render_here() } else { Ok(Outcome::Inverse) }
}

fn unless(call: &mut Invocation<'_, '_, '_, '_>) -> Result<Outcome, ExpressionError> {
    if condition(call)? { Ok(Outcome::Inverse) } else { call.render_here() }
}

fn each(call: &mut Invocation<'_, '_, '_, '_>) -> Result<Outcome, ExpressionError> {
    let collection = call.arg(0)?;
    call.render_each(&collection)
}

fn with(call: &mut Invocation<'_, '_, '_, '_>) -> Result<Outcome, ExpressionError> {
    let value = call.arg(0)?;
    if value.view().is_empty() { Ok(Outcome::Inverse) } else { call.render_with(&value) }
}
