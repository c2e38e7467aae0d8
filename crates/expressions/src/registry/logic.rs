//! `and`, `or`, `not`, `default`.

use serde_json::Value;

use super::{Act, Helper, Invocation};
use crate::error::ExpressionError;
use crate::value::{Evaluated, View};

pub(super) const HELPERS: &[Helper] = &[
    // The first argument that does not count as true, or the last. What comes after it is not evaluated.
    Helper {
        name: "and",
        min_args: 2,
        max_args: usize::MAX,
        options: Some(&[]),
        act: Act::Test(|call| first(call, |value| !value.is_truthy())),
    },
    // The first argument that counts as true, or the last.
    Helper { name: "or", min_args: 2, max_args: usize::MAX, options: Some(&[]), act: Act::Test(|call| first(call, Evaluated::is_truthy)) },
    Helper { name: "not", min_args: 1, max_args: 1, options: Some(&[]), act: Act::Test(not) },
    Helper { name: "default", min_args: 2, max_args: usize::MAX, options: Some(&[]), act: Act::Value(default) },
];

fn not<'s>(call: &mut Invocation<'_, '_, '_, 's>) -> Result<Evaluated<'s>, ExpressionError> {
    Ok(Evaluated::Owned(Value::Bool(!call.arg(0)?.is_truthy())))
}

/// The first argument that is there and not empty; 0 and false are there.
fn default<'s>(call: &mut Invocation<'_, '_, '_, 's>) -> Result<Evaluated<'s>, ExpressionError> {
    first(call, |value| !matches!(value.view(), View::Undefined | View::Null | View::Text("")))
}

fn first<'s>(call: &mut Invocation<'_, '_, '_, 's>, ends: impl Fn(&Evaluated<'s>) -> bool) -> Result<Evaluated<'s>, ExpressionError> {
    let mut value = Evaluated::Undefined;
    for at in 0..call.arg_count() {
        value = call.arg(at)?;
        if ends(&value) {
            break;
        }
    }
    Ok(value)
}
