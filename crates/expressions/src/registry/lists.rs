//! Lists made of lists: `sort`, `filter`, `groupBy`, and `join`, which makes a text.

use std::cmp::Ordering;

use serde_json::{Value, json};

use super::arguments::Field;
use super::comparisons::{self, by_name, equal, order};
use super::{Act, Helper, Invocation};
use crate::error::ExpressionError;
use crate::value::{Evaluated, View};

pub(super) const HELPERS: &[Helper] = &[
    Helper { name: "sort", min_args: 1, max_args: 2, options: Some(&["order"]), act: Act::Value(sort) },
    Helper { name: "filter", min_args: 2, max_args: 4, options: Some(&[]), act: Act::Value(filter) },
    Helper { name: "groupBy", min_args: 2, max_args: 2, options: Some(&[]), act: Act::Value(group_by) },
    Helper { name: "join", min_args: 1, max_args: 3, options: Some(&[]), act: Act::Value(join) },
];

/// The most groups that one list is put into.
const MAX_GROUPS: usize = 10_000;

/// The items in the order of a field, or of themselves; `order="desc"` the other way round. Items that are equal stay as they were,
/// and those without the field come last.
fn sort<'s>(call: &mut Invocation<'_, '_, '_, 's>) -> Result<Evaluated<'s>, ExpressionError> {
    let direction = call.hash("order")?;
    let is_descending = match direction.view() {
        View::Undefined | View::Text("asc") => false,
        View::Text("desc") => true,
        _ => return Err(call.wrong("`sort` takes order=\"asc\" or order=\"desc\"".to_owned())),
    };
    let Some(list) = call.list(0)? else { return Ok(Evaluated::Undefined) };
    let field = call.field(1)?;
    let View::Array(items) = list.view() else { return Ok(Evaluated::Undefined) };
    let mut keyed = Vec::with_capacity(items.len());
    for item in items {
        call.charge_copy(item)?;
        keyed.push((Field::within(field.as_ref(), item), item));
    }
    let count = u64::try_from(keyed.len()).unwrap_or(u64::MAX);
    call.charge(count.saturating_mul(u64::from(count.max(1).ilog2())))?;
    keyed.sort_by(|(a, _), (b, _)| {
        let (is_missing, of_missing) = (a.is_nullish(), b.is_nullish());
        if is_missing || of_missing {
            return is_missing.cmp(&of_missing);
        }
        // Kinds between which there is no order are put one after the other.
        let ordered = order(a.view(), b.view()).unwrap_or_else(|_| Some(rank(a.view()).cmp(&rank(b.view())))).unwrap_or(Ordering::Equal);
        if is_descending { ordered.reverse() } else { ordered }
    });
    Ok(Evaluated::Owned(keyed.into_iter().map(|(_, item)| item.clone()).collect()))
}

fn rank(value: View<'_>) -> u8 {
    match value {
        View::Undefined | View::Null => 0,
        View::Bool(_) => 1,
        View::Number(_) => 2,
        View::Text(_) => 3,
        View::Array(_) => 4,
        View::Object(_) => 5,
    }
}

/// The items whose field counts as true, is equal to a value, or compares with one: `filter items "open"`, `filter items "state" "paid"`,
/// `filter items "total" "gt" 100`.
fn filter<'s>(call: &mut Invocation<'_, '_, '_, 's>) -> Result<Evaluated<'s>, ExpressionError> {
    let Some(list) = call.list(0)? else { return Ok(Evaluated::Undefined) };
    let field = call.field(1)?;
    let (name, other) = match call.arg_count() {
        2 => (None, Evaluated::Undefined),
        3 => (Some("eq".to_owned()), call.arg(2)?),
        _ => (Some(call.arg(2)?.to_text()), call.arg(3)?),
    };
    let compare = match &name {
        None => None,
        Some(name) => {
            let found = by_name(name);
            Some(
                found
                    .ok_or_else(|| call.wrong(format!("`filter` knows no comparison of that name; accepted: {}", comparisons::names())))?,
            )
        }
    };
    let View::Array(items) = list.view() else { return Ok(Evaluated::Undefined) };
    let mut kept = Vec::new();
    for item in items {
        call.charge(1)?;
        let value = Field::within(field.as_ref(), item);
        let passes = match compare {
            None => value.is_truthy(),
            Some(compare) => compare(value.view(), other.view()).map_err(|found| {
                let name = name.as_deref().unwrap_or_default();
                call.wrong(format!("`filter` cannot compare {} with {} by `{name}`", found.0, found.1))
            })?,
        };
        if passes {
            call.charge_copy(item)?;
            kept.push(item.clone());
        }
    }
    Ok(Evaluated::Owned(Value::Array(kept)))
}

/// The items put together by a field: a list of objects with `key` and `items`, in the order in which the keys come first.
fn group_by<'s>(call: &mut Invocation<'_, '_, '_, 's>) -> Result<Evaluated<'s>, ExpressionError> {
    let Some(list) = call.list(0)? else { return Ok(Evaluated::Undefined) };
    let field = call.field(1)?;
    let View::Array(items) = list.view() else { return Ok(Evaluated::Undefined) };
    let mut groups: Vec<(Value, Vec<Value>)> = Vec::new();
    let mut of_text = std::collections::HashMap::<String, usize>::new();
    for item in items {
        call.charge_copy(item)?;
        let key = Field::within(field.as_ref(), item);
        let key = key.as_value().map_or(Value::Null, std::borrow::Cow::into_owned);
        call.charge_copy(&key)?;
        let at = *of_text.entry(key.to_string()).or_insert(groups.len());
        match groups.get_mut(at) {
            Some((known, group)) if equal(View::of(Some(known)), View::of(Some(&key))) => group.push(item.clone()),
            _ => groups.push((key, vec![item.clone()])),
        }
        if groups.len() > MAX_GROUPS {
            return Err(call.wrong(format!("`groupBy` makes more than {MAX_GROUPS} groups")));
        }
    }
    Ok(Evaluated::Owned(groups.into_iter().map(|(key, items)| json!({ "key": key, "items": items })).collect()))
}

/// The items, or a field of theirs, as one text with something between them, `", "` where nothing is said. What is missing is left out.
fn join<'s>(call: &mut Invocation<'_, '_, '_, 's>) -> Result<Evaluated<'s>, ExpressionError> {
    let Some(list) = call.list(0)? else { return Ok(Evaluated::Undefined) };
    let between = if call.arg_count() > 1 { call.text(1)?.unwrap_or_default() } else { ", ".to_owned() };
    let field = call.field(2)?;
    let View::Array(items) = list.view() else { return Ok(Evaluated::Undefined) };
    let mut joined = String::new();
    let mut is_first = true;
    for item in items {
        let value = Field::within(field.as_ref(), item);
        if value.is_nullish() {
            continue;
        }
        call.charge(1 + value.text_steps() + crate::evaluate::steps_of(between.len()))?;
        if !std::mem::replace(&mut is_first, false) {
            joined.push_str(&between);
        }
        joined.push_str(&value.to_text());
    }
    Ok(Evaluated::Owned(Value::String(joined)))
}
