//! Numbers as people write them: `number`, `percent`, `currency`.

use icu_decimal::options::GroupingStrategy;
use icu_experimental::dimension::currency::options::CurrencyUsage;
use rust_decimal::Decimal;
use serde_json::Value;

use super::{Act, Helper, Invocation};
use crate::error::ExpressionError;
use crate::language::Language;
use crate::localized::formatters::Formatters;
use crate::localized::money::{self, Currency, CurrencyDisplay, MoneyRounding, MoneyStyle};
use crate::localized::{Fraction, NoData, NumberStyle, SignDisplay, numbers};
use crate::value::{Evaluated, View};

const OF_NUMBERS: &[&str] = &["decimals", "minDecimals", "maxDecimals", "grouping", "sign", "locale"];
const OF_AMOUNTS: &[&str] = &["decimals", "minDecimals", "maxDecimals", "grouping", "sign", "locale", "display", "negative", "rounding"];

pub(super) const HELPERS: &[Helper] = &[
    Helper { name: "number", min_args: 1, max_args: 1, options: Some(OF_NUMBERS), act: Act::Value(|call| plain(call, 3, numbers::number)) },
    // 8.1 per cent are common, and must not become 8.
    Helper {
        name: "percent",
        min_args: 1,
        max_args: 1,
        options: Some(OF_NUMBERS),
        act: Act::Value(|call| plain(call, 2, numbers::percent)),
    },
    Helper { name: "currency", min_args: 1, max_args: 2, options: Some(OF_AMOUNTS), act: Act::Value(currency) },
];

/// Digits after the decimal separator that can be asked for.
const MAX_DECIMALS: u32 = 20;

type Format = fn(Decimal, NumberStyle, &Language, &mut Formatters) -> Result<String, NoData>;

fn plain<'s>(call: &mut Invocation<'_, '_, '_, 's>, max: u32, format: Format) -> Result<Evaluated<'s>, ExpressionError> {
    let number = call.number(0)?;
    let fraction = fraction(call, max)?.unwrap_or(Fraction { min: 0, max });
    let style = NumberStyle { fraction, sign: sign(call)?, grouping: grouping(call)? };
    let language = call.language(|regional| &regional.numbers)?;
    let Some(number) = number else { return Ok(Evaluated::Undefined) };
    call.charge(STEPS)?;
    let text = format(number, style, &language, &mut call.evaluator.run.formatters);
    written(call, text)
}

/// Steps that looking up a language and writing a number is worth.
pub(super) const STEPS: u64 = 20;

pub(super) fn written<'s>(call: &Invocation<'_, '_, '_, 's>, text: Result<String, NoData>) -> Result<Evaluated<'s>, ExpressionError> {
    match text {
        Ok(text) => Ok(Evaluated::Owned(Value::String(text))),
        Err(NoData) => Err(call.wrong(format!("`{}` has no data for this language", call.call.name))),
    }
}

/// What `decimals`, `minDecimals` and `maxDecimals` ask for; none where none is given. Of a pair that is not in order the one that is given
/// moves the one that is not.
fn fraction(call: &mut Invocation<'_, '_, '_, '_>, default_max: u32) -> Result<Option<Fraction>, ExpressionError> {
    let exact = call.option_count("decimals", MAX_DECIMALS)?;
    let min = call.option_count("minDecimals", MAX_DECIMALS)?;
    let max = call.option_count("maxDecimals", MAX_DECIMALS)?;
    match (exact, min, max) {
        (None, None, None) => Ok(None),
        (Some(count), None, None) => Ok(Some(Fraction { min: count, max: count })),
        (None, Some(min), None) => Ok(Some(Fraction { min, max: default_max.max(min) })),
        (None, None, Some(max)) => Ok(Some(Fraction { min: 0, max })),
        (None, Some(min), Some(max)) if min <= max => Ok(Some(Fraction { min, max })),
        (None, Some(_), Some(_)) => Err(call.wrong(format!("`{}` is given a minDecimals= above its maxDecimals=", call.call.name))),
        (Some(_), ..) => Err(call.wrong(format!("`{}` takes decimals= or minDecimals= and maxDecimals=, not both", call.call.name))),
    }
}

fn sign(call: &mut Invocation<'_, '_, '_, '_>) -> Result<SignDisplay, ExpressionError> {
    call.option_choice(
        "sign",
        &[
            ("negative", SignDisplay::Negative),
            ("always", SignDisplay::Always),
            ("exceptZero", SignDisplay::ExceptZero),
            ("never", SignDisplay::Never),
        ],
    )
}

fn grouping(call: &mut Invocation<'_, '_, '_, '_>) -> Result<GroupingStrategy, ExpressionError> {
    Ok(if call.option_flag("grouping", true)? { GroupingStrategy::Auto } else { GroupingStrategy::Never })
}

fn currency<'s>(call: &mut Invocation<'_, '_, '_, 's>) -> Result<Evaluated<'s>, ExpressionError> {
    let amount = call.number(0)?;
    let language = call.language(|regional| &regional.numbers)?;
    let currency = currency_of(call, &language)?;
    let style = MoneyStyle {
        display: call.option_choice(
            "display",
            &[
                ("symbol", CurrencyDisplay::Symbol),
                ("narrow", CurrencyDisplay::Narrow),
                ("code", CurrencyDisplay::Code),
                ("name", CurrencyDisplay::Name),
                ("none", CurrencyDisplay::None),
            ],
        )?,
        fraction: fraction(call, MAX_DECIMALS)?,
        sign: sign(call)?,
        grouping: grouping(call)?,
        usage: call.option_choice("negative", &[("minus", CurrencyUsage::Standard), ("accounting", CurrencyUsage::Accounting)])?,
        rounding: call.option_choice("rounding", &[("account", MoneyRounding::Account), ("cash", MoneyRounding::Cash)])?,
    };
    let (Some(amount), Some(currency)) = (amount, currency) else { return Ok(Evaluated::Undefined) };
    call.charge(2 * STEPS)?;
    let text = money::money(amount, currency, style, &language, &mut call.evaluator.run.formatters);
    written(call, text)
}

/// The currency by its code; without one that of the language's region. None where the code is missing from the data.
fn currency_of(call: &mut Invocation<'_, '_, '_, '_>, language: &Language) -> Result<Option<Currency>, ExpressionError> {
    if call.arg_count() < 2 {
        let of_region = language.region().and_then(Currency::of_region);
        let unknown = || call.wrong("`currency` needs the ISO 4217 code of the currency as its 2nd argument, such as \"EUR\"".to_owned());
        return of_region.map(Some).ok_or_else(unknown);
    }
    let Some(code) = call.required(1)? else { return Ok(None) };
    let found = match code.view() {
        View::Text(text) => Currency::parse(text),
        _ => None,
    };
    let unknown = || {
        let found = super::options::shown(code.view());
        call.wrong(format!("`currency` needs an ISO 4217 code such as \"EUR\" as its 2nd argument, not {found}"))
    };
    found.map(Some).ok_or_else(unknown)
}
