//! One value of many: `sum`, `avg`, `min`, `max`, `count`.

use std::cmp::Ordering;

use rust_decimal::Decimal;
use serde_json::Value;

use super::arguments::{Field, from_number, kind_of, number_of};
use super::comparisons::order;
use super::{Act, Helper, Invocation};
use crate::error::ExpressionError;
use crate::value::{Evaluated, View};

pub(super) const HELPERS: &[Helper] = &[
    Helper { name: "sum", min_args: 1, max_args: 2, options: Some(&[]), act: Act::Value(sum) },
    Helper { name: "avg", min_args: 1, max_args: 2, options: Some(&[]), act: Act::Value(avg) },
    Helper { name: "min", min_args: 1, max_args: 2, options: Some(&[]), act: Act::Value(|call| extreme(call, Ordering::Less)) },
    Helper { name: "max", min_args: 1, max_args: 2, options: Some(&[]), act: Act::Value(|call| extreme(call, Ordering::Greater)) },
    Helper { name: "count", min_args: 1, max_args: 2, options: Some(&[]), act: Act::Value(count) },
];

/// The sum of a field of the items, or of the items, and how many were there. Items without it are left out.
fn added(call: &mut Invocation<'_, '_, '_, '_>) -> Result<Option<(Decimal, u32)>, ExpressionError> {
    let Some(list) = call.list(0)? else { return Ok(None) };
    let field = call.field(1)?;
    let View::Array(items) = list.view() else { return Ok(None) };
    let (mut sum, mut there) = (Decimal::ZERO, 0_u32);
    for (index, item) in items.iter().enumerate() {
        call.charge(1)?;
        let value = Field::within(field.as_ref(), item);
        if value.is_nullish() {
            continue;
        }
        let number = number_of(value.view()).ok_or_else(|| {
            let place = field.as_ref().map_or_else(|| format!("[{index}]"), |field| format!("[{index}].{}", field.written()));
            call.wrong(format!(
                "`{}` adds numbers of up to 28 digits, and {place} of the list is {}",
                call.call.name,
                kind_of(value.view())
            ))
        })?;
        sum = sum.checked_add(number).ok_or_else(|| call.wrong(format!("`{}` comes to more than 28 digits", call.call.name)))?;
        there = there.saturating_add(1);
    }
    Ok(Some((sum, there)))
}

fn sum<'s>(call: &mut Invocation<'_, '_, '_, 's>) -> Result<Evaluated<'s>, ExpressionError> {
    Ok(added(call)?.map_or(Evaluated::Undefined, |(sum, _)| from_number(sum)))
}

fn avg<'s>(call: &mut Invocation<'_, '_, '_, 's>) -> Result<Evaluated<'s>, ExpressionError> {
    let average = added(call)?.and_then(|(sum, there)| sum.checked_div(Decimal::from(there)));
    Ok(average.map_or(Evaluated::Undefined, from_number))
}

/// The first of the values that none comes before, in the order that is looked for.
fn extreme<'s>(call: &mut Invocation<'_, '_, '_, 's>, wanted: Ordering) -> Result<Evaluated<'s>, ExpressionError> {
    let Some(list) = call.list(0)? else { return Ok(Evaluated::Undefined) };
    let field = call.field(1)?;
    let View::Array(items) = list.view() else { return Ok(Evaluated::Undefined) };
    let mut best: Option<Evaluated<'_>> = None;
    for item in items {
        call.charge(1)?;
        let value = Field::within(field.as_ref(), item);
        if value.is_nullish() {
            continue;
        }
        let is_better = match &best {
            None => true,
            Some(best) => {
                order(value.view(), best.view()).map_err(|found| {
                    call.wrong(format!(
                        "`{}` compares numbers with numbers and texts with texts; the list has {} and {}",
                        call.call.name, found.1, found.0
                    ))
                })? == Some(wanted)
            }
        };
        if is_better {
            best = Some(value);
        }
    }
    let best = best.and_then(|best| best.as_value().map(std::borrow::Cow::into_owned));
    if let Some(best) = &best {
        call.charge_copy(best)?;
    }
    Ok(best.map_or(Evaluated::Undefined, Evaluated::Owned))
}

/// How many items there are, or how many of them have a field that counts as true; none of what is missing.
fn count<'s>(call: &mut Invocation<'_, '_, '_, 's>) -> Result<Evaluated<'s>, ExpressionError> {
    let value = call.arg(0)?;
    if let View::Object(fields) = value.view()
        && call.arg_count() == 1
    {
        return Ok(Evaluated::Owned(Value::from(fields.len())));
    }
    let Some(list) = call.list(0)? else { return Ok(Evaluated::Owned(Value::from(0))) };
    let field = call.field(1)?;
    let View::Array(items) = list.view() else { return Ok(Evaluated::Undefined) };
    if field.is_none() {
        return Ok(Evaluated::Owned(Value::from(items.len())));
    }
    let mut counted = 0_u64;
    for item in items {
        call.charge(1)?;
        counted += u64::from(Field::within(field.as_ref(), item).is_truthy());
    }
    Ok(Evaluated::Owned(Value::from(counted)))
}
