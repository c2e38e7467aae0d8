//! The inline helpers of Handlebars itself: `lookup` and `log`.

use super::{Act, Helper, Invocation};
use crate::characters::array_index;
use crate::error::ExpressionError;
use crate::tree::Segment;
use crate::value::{Evaluated, View};

pub(super) const HELPERS: &[Helper] = &[
    Helper { name: "lookup", min_args: 2, max_args: 2, options: None, act: Act::Value(lookup) },
    Helper { name: "log", min_args: 0, max_args: usize::MAX, options: None, act: Act::Value(log) },
];

fn lookup<'s>(call: &mut Invocation<'_, '_, '_, 's>) -> Result<Evaluated<'s>, ExpressionError> {
    let object = call.arg(0)?;
    let field = call.arg(1)?;
    if !object.view().is_truthy() {
        return Ok(object);
    }
    let name = match field.view() {
        View::Undefined => "undefined".to_owned(),
        View::Null => "null".to_owned(),
        _ => {
            call.charge(field.text_steps())?;
            field.to_text()
        }
    };
    if let View::Text(text) = object.view() {
        call.charge(u64::try_from(text.len() / 64).unwrap_or(u64::MAX))?;
    }
    Ok(object.property(&Segment { index: array_index(&name), name: name.into() }))
}

/// Evaluates its arguments for their errors and prints nothing: a template has no console.
fn log<'s>(call: &mut Invocation<'_, '_, '_, 's>) -> Result<Evaluated<'s>, ExpressionError> {
    for at in 0..call.arg_count() {
        call.arg(at)?;
    }
    Ok(Evaluated::Undefined)
}
