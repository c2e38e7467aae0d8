//! Comparisons: `eq`, `ne`, `lt`, `lte`, `gt`, `gte`, `in`, `contains`.

use std::cmp::Ordering;

use serde_json::Value;

use super::arguments::{kind_of, number_of};
use super::{Act, Helper, Invocation};
use crate::error::ExpressionError;
use crate::value::{Evaluated, View};

pub(super) const HELPERS: &[Helper] = &[
    Helper { name: "eq", min_args: 2, max_args: 2, options: Some(&[]), act: Act::Test(compare) },
    Helper { name: "ne", min_args: 2, max_args: 2, options: Some(&[]), act: Act::Test(compare) },
    Helper { name: "lt", min_args: 2, max_args: 2, options: Some(&[]), act: Act::Test(compare) },
    Helper { name: "lte", min_args: 2, max_args: 2, options: Some(&[]), act: Act::Test(compare) },
    Helper { name: "gt", min_args: 2, max_args: 2, options: Some(&[]), act: Act::Test(compare) },
    Helper { name: "gte", min_args: 2, max_args: 2, options: Some(&[]), act: Act::Test(compare) },
    Helper { name: "in", min_args: 2, max_args: 2, options: Some(&[]), act: Act::Test(compare) },
    Helper { name: "contains", min_args: 2, max_args: 2, options: Some(&[]), act: Act::Test(compare) },
];

/// The names of comparisons, as `filter` takes them.
pub(super) fn names() -> String {
    HELPERS.iter().map(|helper| helper.name).collect::<Vec<_>>().join(", ")
}

/// Whether two values compare as it says.
pub(super) type Comparison = fn(View<'_>, View<'_>) -> Result<bool, Incomparable>;

/// A comparison that can be asked for by its name.
pub(super) fn by_name(name: &str) -> Option<Comparison> {
    Some(match name {
        "eq" => |a, b| Ok(equal(a, b)),
        "ne" => |a, b| Ok(!equal(a, b)),
        "lt" => |a, b| Ok(order(a, b)? == Some(Ordering::Less)),
        "lte" => |a, b| Ok(matches!(order(a, b)?, Some(Ordering::Less | Ordering::Equal))),
        "gt" => |a, b| Ok(order(a, b)? == Some(Ordering::Greater)),
        "gte" => |a, b| Ok(matches!(order(a, b)?, Some(Ordering::Greater | Ordering::Equal))),
        "in" => |a, b| holds(b, a),
        "contains" => holds,
        _ => return None,
    })
}

/// Two values between which there is no order: what they are.
pub(super) struct Incomparable(pub(super) &'static str, pub(super) &'static str);

/// Whether two values are the same: numbers by what they are, `"5"` and 5 too; null and what is not there are the same; lists and
/// objects by all that is in them.
pub(super) fn equal(a: View<'_>, b: View<'_>) -> bool {
    match (a, b) {
        (View::Undefined | View::Null, View::Undefined | View::Null) => true,
        (View::Bool(a), View::Bool(b)) => a == b,
        (View::Text(a), View::Text(b)) => a == b,
        (View::Number(a), View::Number(b)) => a.partial_cmp(&b) == Some(Ordering::Equal),
        (number @ View::Number(_), text @ View::Text(_)) | (text @ View::Text(_), number @ View::Number(_)) => {
            number_of(text).is_some_and(|text| number_of(number) == Some(text))
        }
        (View::Array(a), View::Array(b)) => a == b,
        (View::Object(a), View::Object(b)) => a == b,
        _ => false,
    }
}

/// Which of two values comes first: numbers, and texts that are numbers, by their size; other texts by their characters, as dates of
/// ISO 8601 are ordered. None where one of them is missing.
pub(super) fn order(a: View<'_>, b: View<'_>) -> Result<Option<Ordering>, Incomparable> {
    if matches!(a, View::Undefined | View::Null) || matches!(b, View::Undefined | View::Null) {
        return Ok(None);
    }
    if let (Some(a), Some(b)) = (number_of(a), number_of(b)) {
        return Ok(Some(a.cmp(&b)));
    }
    match (a, b) {
        (View::Number(a), View::Number(b)) => Ok(a.partial_cmp(&b)),
        (View::Text(a), View::Text(b)) => Ok(Some(a.cmp(b))),
        _ => Err(Incomparable(kind_of(a), kind_of(b))),
    }
}

/// Whether a list has the value, or a text the text.
fn holds(whole: View<'_>, part: View<'_>) -> Result<bool, Incomparable> {
    match (whole, part) {
        (View::Undefined | View::Null, _) => Ok(false),
        (View::Array(items), part) => Ok(items.iter().any(|item| equal(View::of(Some(item)), part))),
        (View::Text(whole), View::Text(part)) => Ok(whole.contains(part)),
        (whole, part) => Err(Incomparable(kind_of(whole), kind_of(part))),
    }
}

/// The comparison by whose name it is called.
fn compare<'s>(call: &mut Invocation<'_, '_, '_, 's>) -> Result<Evaluated<'s>, ExpressionError> {
    let (a, b) = (call.arg(0)?, call.arg(1)?);
    for value in [&a, &b] {
        if let Some(value) = value.as_value() {
            call.charge_copy(&value)?;
        }
    }
    let name = &*call.call.name;
    let Some(compared) = by_name(name) else { return Ok(Evaluated::Undefined) };
    let result = compared(a.view(), b.view()).map_err(|Incomparable(a, b)| {
        call.wrong(if matches!(name, "in" | "contains") {
            format!("`{name}` looks in a list, or for a text in a text, not at {a} and {b}")
        } else {
            format!("`{name}` compares numbers with numbers and texts with texts, not {a} with {b}")
        })
    })?;
    Ok(Evaluated::Owned(Value::Bool(result)))
}
