//! Reckoning with decimal numbers, so that 0.1 and 0.2 are 0.3: `add`, `subtract`, `multiply`, `divide`, `modulo`, `round`, `floor`,
//! `ceil`, `abs`.

use rust_decimal::{Decimal, RoundingStrategy};

use super::arguments::from_number;
use super::{Act, Helper, Invocation};
use crate::error::ExpressionError;
use crate::value::Evaluated;

pub(super) const HELPERS: &[Helper] = &[
    Helper { name: "add", min_args: 2, max_args: usize::MAX, options: Some(&[]), act: Act::Value(|call| fold(call, Decimal::checked_add)) },
    Helper { name: "subtract", min_args: 2, max_args: 2, options: Some(&[]), act: Act::Value(|call| fold(call, Decimal::checked_sub)) },
    Helper {
        name: "multiply",
        min_args: 2,
        max_args: usize::MAX,
        options: Some(&[]),
        act: Act::Value(|call| fold(call, Decimal::checked_mul)),
    },
    Helper { name: "divide", min_args: 2, max_args: 2, options: Some(&[]), act: Act::Value(|call| divided(call, Decimal::checked_div)) },
    Helper { name: "modulo", min_args: 2, max_args: 2, options: Some(&[]), act: Act::Value(|call| divided(call, Decimal::checked_rem)) },
    // Halves away from zero, as on invoices.
    Helper {
        name: "round",
        min_args: 1,
        max_args: 2,
        options: Some(&[]),
        act: Act::Value(|call| rounded(call, RoundingStrategy::MidpointAwayFromZero)),
    },
    Helper {
        name: "floor",
        min_args: 1,
        max_args: 2,
        options: Some(&[]),
        act: Act::Value(|call| rounded(call, RoundingStrategy::ToNegativeInfinity)),
    },
    Helper {
        name: "ceil",
        min_args: 1,
        max_args: 2,
        options: Some(&[]),
        act: Act::Value(|call| rounded(call, RoundingStrategy::ToPositiveInfinity)),
    },
    Helper { name: "abs", min_args: 1, max_args: 1, options: Some(&[]), act: Act::Value(abs) },
];

/// Digits after the point that can be asked for.
const MAX_DIGITS: u32 = 20;

/// All arguments one after the other; nothing where one is missing.
fn fold<'s>(
    call: &mut Invocation<'_, '_, '_, 's>,
    act: impl Fn(Decimal, Decimal) -> Option<Decimal>,
) -> Result<Evaluated<'s>, ExpressionError> {
    let mut result: Option<Decimal> = None;
    let mut is_missing = false;
    for at in 0..call.arg_count() {
        match (call.number(at)?, result) {
            (None, _) => is_missing = true,
            (Some(number), None) => result = Some(number),
            (Some(number), Some(so_far)) => result = Some(act(so_far, number).ok_or_else(|| too_large(call))?),
        }
    }
    Ok(if is_missing { Evaluated::Undefined } else { result.map_or(Evaluated::Undefined, from_number) })
}

fn too_large(call: &Invocation<'_, '_, '_, '_>) -> ExpressionError {
    call.wrong(format!("`{}` gives a number of more than 28 digits", call.call.name))
}

fn divided<'s>(
    call: &mut Invocation<'_, '_, '_, 's>,
    act: impl Fn(Decimal, Decimal) -> Option<Decimal>,
) -> Result<Evaluated<'s>, ExpressionError> {
    refuse_zero(call)?;
    fold(call, act)
}

fn refuse_zero(call: &mut Invocation<'_, '_, '_, '_>) -> Result<(), ExpressionError> {
    let divisor = call.arg(1)?;
    match super::arguments::number_of(divisor.view()) {
        Some(number) if number.is_zero() => Err(call.wrong(format!("`{}` cannot divide by 0", call.call.name))),
        _ => Ok(()),
    }
}

fn rounded<'s>(call: &mut Invocation<'_, '_, '_, 's>, how: RoundingStrategy) -> Result<Evaluated<'s>, ExpressionError> {
    let number = call.number(0)?;
    let digits = match if call.arg_count() > 1 { call.number(1)? } else { Some(Decimal::ZERO) } {
        Some(digits) => u32::try_from(digits).ok().filter(|found| *found <= MAX_DIGITS && digits.fract().is_zero()),
        None => None,
    };
    let Some(digits) = digits else {
        return Err(call.wrong(format!("`{}` takes a whole number of digits from 0 to {MAX_DIGITS} as its 2nd argument", call.call.name)));
    };
    Ok(number.map_or(Evaluated::Undefined, |number| from_number(number.round_dp_with_strategy(digits, how))))
}

fn abs<'s>(call: &mut Invocation<'_, '_, '_, 's>) -> Result<Evaluated<'s>, ExpressionError> {
    Ok(call.number(0)?.map_or(Evaluated::Undefined, |number| from_number(number.abs())))
}
