//! Texts changed: `upper`, `lower`, `capitalize`, `trim`, `truncate`.

use serde_json::Value;

use super::{Act, Helper, Invocation};
use crate::error::ExpressionError;
use crate::value::Evaluated;

pub(super) const HELPERS: &[Helper] = &[
    Helper { name: "upper", min_args: 1, max_args: 1, options: Some(&[]), act: Act::Value(|call| changed(call, str::to_uppercase)) },
    Helper { name: "lower", min_args: 1, max_args: 1, options: Some(&[]), act: Act::Value(|call| changed(call, str::to_lowercase)) },
    Helper { name: "capitalize", min_args: 1, max_args: 1, options: Some(&[]), act: Act::Value(|call| changed(call, capitalized)) },
    Helper {
        name: "trim",
        min_args: 1,
        max_args: 1,
        options: Some(&[]),
        act: Act::Value(|call| changed(call, |text| text.trim().to_owned())),
    },
    Helper { name: "truncate", min_args: 2, max_args: 3, options: Some(&[]), act: Act::Value(truncate) },
];

fn changed<'s>(call: &mut Invocation<'_, '_, '_, 's>, change: impl Fn(&str) -> String) -> Result<Evaluated<'s>, ExpressionError> {
    Ok(call.text(0)?.map_or(Evaluated::Undefined, |text| Evaluated::Owned(Value::String(change(&text)))))
}

/// The first letter as a capital, the others as they are.
fn capitalized(text: &str) -> String {
    let mut characters = text.chars();
    let first = characters.next().map(|first| first.to_uppercase().collect::<String>()).unwrap_or_default();
    first + characters.as_str()
}

/// At most so many characters, the mark at the end of a cut text included: `…`, or the third argument.
fn truncate<'s>(call: &mut Invocation<'_, '_, '_, 's>) -> Result<Evaluated<'s>, ExpressionError> {
    let Some(text) = call.text(0)? else { return Ok(Evaluated::Undefined) };
    let most = call.number(1)?.filter(|most| most.fract().is_zero()).and_then(|most| usize::try_from(most).ok());
    let most = most.ok_or_else(|| call.wrong("`truncate` needs a whole number of characters as its 2nd argument".to_owned()))?;
    let mark = if call.arg_count() > 2 { call.text(2)?.unwrap_or_default() } else { "…".to_owned() };
    if text.chars().count() <= most {
        return Ok(Evaluated::Owned(Value::String(text)));
    }
    let kept = most.saturating_sub(mark.chars().count());
    let cut: String = text.chars().take(kept).collect();
    Ok(Evaluated::Owned(Value::String(format!("{}{}", cut.trim_end(), mark.chars().take(most).collect::<String>()))))
}
