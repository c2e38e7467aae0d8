//! Text with a little markup in it: `markdown`.

use super::{Act, Helper, Invocation};
use crate::error::ExpressionError;
use crate::markdown::{self, MAX_BYTES, MAX_LEVELS, Refused, Shape};
use crate::value::Evaluated;

pub(super) const HELPERS: &[Helper] =
    &[Helper { name: "markdown", min_args: 1, max_args: 1, options: Some(&["inline"]), act: Act::Value(markdown) }];

/// Bytes of text that are read in one step.
const BYTES_PER_STEP: usize = 4;

fn markdown<'s>(call: &mut Invocation<'_, '_, '_, 's>) -> Result<Evaluated<'s>, ExpressionError> {
    let shape = if call.option_flag("inline", false)? { Shape::Inline } else { Shape::Blocks };
    let Some(text) = call.text(0)? else { return Ok(Evaluated::Undefined) };
    call.charge(u64::try_from(text.len().min(MAX_BYTES) / BYTES_PER_STEP).unwrap_or(u64::MAX))?;
    let markup = markdown::written(&text, shape).map_err(|why| {
        call.wrong(match why {
            Refused::TooLong => format!("`markdown` takes texts of up to {MAX_BYTES} bytes, and of twenty times as many in HTML"),
            Refused::TooDeep => format!("`markdown` takes quotes, lists and emphasis up to {MAX_LEVELS} levels inside each other"),
        })
    })?;
    Ok(Evaluated::Markup(Box::new(markup)))
}
