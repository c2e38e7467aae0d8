//! Reckoning with decimal numbers, so that 0.1 and 0.2 are 0.3: `add`, `subtract`, `multiply`, `divide`, `modulo`, `round`, `floor`,
//! `ceil`, `abs`.

use rust_decimal::{Decimal, RoundingStrategy};

use super::arguments::from_number;
use super::{Act, Helper, Invocation};
use crate::error::ExpressionError;
use crate::value::Evaluated;

pub(super) const HELPERS: &[Helper] = &[
    Helper { name: "add", min_args: 2, max_args: usize::MAX, act: Act::Value(add) },
    Helper { name: "subtract", min_args: 2, max_args: 2, act: Act::Value(subtract) },
    Helper { name: "multiply", min_args: 2, max_args: usize::MAX, act: Act::Value(multiply) },
    Helper { name: "divide", min_args: 2, max_args: 2, act: Act::Value(divide) },
    Helper { name: "modulo", min_args: 2, max_args: 2, act: Act::Value(modulo) },
    Helper { name: "round", min_args: 1, max_args: 2, act: Act::Value(round) },
    Helper { name: "floor", min_args: 1, max_args: 2, act: Act::Value(floor) },
    Helper { name: "ceil", min_args: 1, max_args: 2, act: Act::Value(ceil) },
    Helper { name: "abs", min_args: 1, max_args: 1, act: Act::Value(abs) },
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

fn add<'s>(call: &mut Invocation<'_, '_, '_, 's>) -> Result<Evaluated<'s>, ExpressionError> {
    fold(call, Decimal::checked_add)
}

fn subtract<'s>(call: &mut Invocation<'_, '_, '_, 's>) -> Result<Evaluated<'s>, ExpressionError> {
    fold(call, Decimal::checked_sub)
}

fn multiply<'s>(call: &mut Invocation<'_, '_, '_, 's>) -> Result<Evaluated<'s>, ExpressionError> {
    fold(call, Decimal::checked_mul)
}

fn divide<'s>(call: &mut Invocation<'_, '_, '_, 's>) -> Result<Evaluated<'s>, ExpressionError> {
    refuse_zero(call)?;
    fold(call, Decimal::checked_div)
}

fn modulo<'s>(call: &mut Invocation<'_, '_, '_, 's>) -> Result<Evaluated<'s>, ExpressionError> {
    refuse_zero(call)?;
    fold(call, Decimal::checked_rem)
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

/// Halves away from zero, as on invoices.
fn round<'s>(call: &mut Invocation<'_, '_, '_, 's>) -> Result<Evaluated<'s>, ExpressionError> {
    rounded(call, RoundingStrategy::MidpointAwayFromZero)
}

fn floor<'s>(call: &mut Invocation<'_, '_, '_, 's>) -> Result<Evaluated<'s>, ExpressionError> {
    rounded(call, RoundingStrategy::ToNegativeInfinity)
}

fn ceil<'s>(call: &mut Invocation<'_, '_, '_, 's>) -> Result<Evaluated<'s>, ExpressionError> {
    rounded(call, RoundingStrategy::ToPositiveInfinity)
}

fn abs<'s>(call: &mut Invocation<'_, '_, '_, 's>) -> Result<Evaluated<'s>, ExpressionError> {
    Ok(call.number(0)?.map_or(Evaluated::Undefined, |number| from_number(number.abs())))
}
