//! Amounts of money: digits by currency, symbol and its place by language.

use icu_decimal::DecimalFormatter;
use icu_decimal::options::GroupingStrategy;
use icu_decimal::provider::{DecimalDigitsV1, DecimalSymbolsV1};
use icu_experimental::dimension::currency::CurrencyType;
use icu_experimental::dimension::currency::formatter::CurrencyFormatter;
use icu_experimental::dimension::currency::options::{CurrencyFormatterOptions, CurrencyUsage};
use icu_experimental::dimension::provider::currency::essentials::CurrencyEssentialsV1;
use icu_experimental::dimension::provider::currency::extended::CurrencyExtendedDataV1;
use icu_experimental::dimension::provider::currency::fractions::{CurrencyFractionsV1, FractionInfo, Rounding};
use icu_experimental::dimension::provider::currency::no_currency::CurrencyPatternsNoCurrencyV1;
use icu_experimental::dimension::provider::currency::patterns::CurrencyPatternsDataV1;
use icu_experimental::dimension::provider::currency::symbols::{CurrencyDecimalSymbolsV1, CurrencySymbolsV1};
use icu_plurals::provider::PluralsCardinalV1;
use icu_provider::prelude::*;
use rust_decimal::{Decimal, RoundingStrategy};

use super::formatters::Formatters;
use super::{Fraction, NoData, NumberStyle, SignDisplay};
use crate::language::Language;

/// A currency by its ISO 4217 code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Currency(CurrencyType);

/// What stands for the currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum CurrencyDisplay {
    /// `US$` in Canada.
    #[default]
    Symbol,
    /// `$` in Canada too.
    Narrow,
    Code,
    Name,
    /// Nothing: the amount alone, with the currency's digits.
    None,
}

/// How an amount is written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct MoneyStyle {
    pub(crate) display: CurrencyDisplay,
    /// None: as many as the currency has.
    pub(crate) fraction: Option<Fraction>,
    pub(crate) sign: SignDisplay,
    pub(crate) grouping: GroupingStrategy,
    /// Negative amounts with a minus, or as bookkeepers of the language write them, mostly in parentheses.
    pub(crate) usage: CurrencyUsage,
    pub(crate) rounding: MoneyRounding,
}

/// To which coins an amount is rounded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum MoneyRounding {
    #[default]
    Account,
    /// To what can be paid in coins, as to 5 centimes in Switzerland.
    Cash,
}

impl Currency {
    /// None for what is no code of three letters; small letters count as capitals.
    pub(crate) fn parse(code: &str) -> Option<Self> {
        let is_code = code.len() == 3 && code.bytes().all(|byte| byte.is_ascii_alphabetic());
        is_code.then(|| code.to_ascii_uppercase().parse().ok().map(Self)).flatten()
    }

    /// The currency of a region, by ISO 3166 letters; none where it is not known here.
    pub(crate) fn of_region(region: &str) -> Option<Self> {
        let (code, _) = REGIONS.iter().find(|(_, regions)| regions.split(' ').any(|known| known == region))?;
        Self::parse(code)
    }

    fn digits(self) -> Result<FractionInfo, NoData> {
        let found: DataResponse<CurrencyFractionsV1> =
            icu_experimental::provider::Baked.load(DataRequest::default()).map_err(|_| NoData)?;
        Ok(found.payload.get().resolve(self.0))
    }
}

/// `€1,234.50` in `en-IE`, `1.234,50 €` in `de`.
pub(crate) fn money(
    amount: Decimal,
    currency: Currency,
    style: MoneyStyle,
    language: &Language,
    formatters: &mut Formatters,
) -> Result<String, NoData> {
    let own = currency.digits()?;
    let info = match style.rounding {
        MoneyRounding::Account => own,
        MoneyRounding::Cash => {
            FractionInfo { digits: own.cash_digits.unwrap_or(own.digits), rounding: own.cash_rounding.unwrap_or(own.rounding), ..own }
        }
    };
    let (shown, info) = if let Some(fraction) = style.fraction {
        let shown = plain(style, fraction).shown(amount, 0);
        let digits = u8::try_from(-shown.nonzero_magnitude_end().min(0)).unwrap_or(u8::MAX);
        let digits = u8::try_from(fraction.min).unwrap_or(u8::MAX).max(digits);
        (shown, FractionInfo { digits, rounding: Rounding::R1, ..info })
    } else {
        let digits = u32::from(info.digits);
        (plain(style, Fraction { min: digits, max: digits }).shown(to_coins(amount, info), 0), info)
    };
    let style = AmountStyle { currency, display: style.display, usage: style.usage, source: Source { info, grouping: style.grouping } };
    let formatter = formatters.amounts.get(language, style, || style.formatter(language))?;
    Ok(with_own_separators(formatter.format_fixed_decimal(&shown).to_string(), language))
}

/// Languages and regions whose amounts have another separator than their numbers, which CLDR knows and icu does not read: what stands
/// between two digits, and what is to stand there.
const OWN_SEPARATORS: [(&str, &str, char, char); 2] = [("de", "AT", '\u{a0}', '.'), ("fr", "CH", ',', '.')];

fn with_own_separators(text: String, language: &Language) -> String {
    let id = &language.locale().id;
    let known = |(of, region, ..): &&(&str, &str, char, char)| id.language.as_str() == *of && language.region() == Some(*region);
    let Some((_, _, found, wanted)) = OWN_SEPARATORS.iter().find(known) else { return text };
    let characters: Vec<char> = text.chars().collect();
    let is_digit = |at: Option<usize>| at.and_then(|at| characters.get(at)).is_some_and(char::is_ascii_digit);
    let own = |(at, character): (usize, &char)| {
        let between = character == found && is_digit(at.checked_sub(1)) && is_digit(at.checked_add(1));
        if between { *wanted } else { *character }
    };
    characters.iter().enumerate().map(own).collect()
}

/// The nearest amount that the coins of the currency come to, half away from zero.
fn to_coins(amount: Decimal, info: FractionInfo) -> Decimal {
    let smallest = match info.rounding {
        Rounding::R5 => 5,
        Rounding::R20 => 20,
        Rounding::R50 => 50,
        _ => return amount,
    };
    let coin = Decimal::new(smallest, u32::from(info.digits));
    let coins = amount.checked_div(coin).map(|coins| coins.round_dp_with_strategy(0, RoundingStrategy::MidpointAwayFromZero));
    // A number of so many digits has no coins.
    coins.and_then(|coins| coins.checked_mul(coin)).unwrap_or(amount)
}

fn plain(style: MoneyStyle, fraction: Fraction) -> NumberStyle {
    NumberStyle { fraction, sign: style.sign, grouping: style.grouping }
}

/// What a formatter of amounts is made for, beside its language.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct AmountStyle {
    currency: Currency,
    display: CurrencyDisplay,
    usage: CurrencyUsage,
    source: Source,
}

impl AmountStyle {
    fn formatter(self, language: &Language) -> Result<CurrencyFormatter<DecimalFormatter>, NoData> {
        let (source, prefs, Currency(currency)) = (&self.source, language.locale().into(), self.currency);
        let options = CurrencyFormatterOptions::from(self.usage);
        let formatter: Result<_, DataError> = match self.display {
            CurrencyDisplay::Symbol => CurrencyFormatter::try_new_symbol_unstable(source, prefs, currency, options),
            CurrencyDisplay::Narrow => CurrencyFormatter::try_new_symbol_narrow_unstable(source, prefs, currency, options),
            CurrencyDisplay::Code => CurrencyFormatter::try_new_code_unstable(source, prefs, currency, options),
            CurrencyDisplay::Name => CurrencyFormatter::try_new_name_unstable(source, prefs, currency),
            CurrencyDisplay::None => CurrencyFormatter::try_new_no_currency_unstable(source, prefs, currency, options),
        };
        formatter.map_err(|_| NoData)
    }
}

/// The compiled data, but for the digits and groups that a template asks for.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Source {
    info: FractionInfo,
    grouping: GroupingStrategy,
}

impl DataProvider<CurrencyFractionsV1> for Source {
    fn load(&self, request: DataRequest<'_>) -> Result<DataResponse<CurrencyFractionsV1>, DataError> {
        let mut found: DataResponse<CurrencyFractionsV1> = icu_experimental::provider::Baked.load(request)?;
        let info = self.info;
        found.payload.with_mut(move |data| {
            data.fractions.clear();
            data.default = info;
        });
        Ok(found)
    }
}

impl DataProvider<DecimalSymbolsV1> for Source {
    fn load(&self, request: DataRequest<'_>) -> Result<DataResponse<DecimalSymbolsV1>, DataError> {
        let mut found: DataResponse<DecimalSymbolsV1> = icu_decimal::provider::Baked.load(request)?;
        if self.grouping == GroupingStrategy::Never {
            found.payload.with_mut(|data| data.grouping_sizes.primary = 0);
        }
        Ok(found)
    }
}

impl DataProvider<CurrencyDecimalSymbolsV1> for Source {
    fn load(&self, request: DataRequest<'_>) -> Result<DataResponse<CurrencyDecimalSymbolsV1>, DataError> {
        let mut found: DataResponse<CurrencyDecimalSymbolsV1> = icu_experimental::provider::Baked.load(request)?;
        if self.grouping == GroupingStrategy::Never {
            found.payload.with_mut(|data| data.grouping_sizes.primary = 0);
        }
        Ok(found)
    }
}

/// Passes what is asked for on to the compiled data.
macro_rules! as_compiled {
    ($($marker:ty => $baked:path),* $(,)?) => {
        $(impl DataProvider<$marker> for Source {
            fn load(&self, mut request: DataRequest<'_>) -> Result<DataResponse<$marker>, DataError> {
                // A currency without a symbol in a language is no matter for standard error.
                request.metadata.silent = true;
                $baked.load(request)
            }
        })*
    };
}

as_compiled! {
    CurrencyEssentialsV1 => icu_experimental::provider::Baked,
    CurrencyExtendedDataV1 => icu_experimental::provider::Baked,
    CurrencyPatternsDataV1 => icu_experimental::provider::Baked,
    CurrencyPatternsNoCurrencyV1 => icu_experimental::provider::Baked,
    CurrencySymbolsV1 => icu_experimental::provider::Baked,
    DecimalDigitsV1 => icu_decimal::provider::Baked,
    PluralsCardinalV1 => icu_plurals::provider::Baked,
}

/// ISO 4217 codes and the ISO 3166 regions that pay with them, for amounts without a code.
const REGIONS: [(&str, &str); 46] = [
    ("AED", "AE"),
    ("ARS", "AR"),
    ("AUD", "AU"),
    ("BHD", "BH"),
    ("BRL", "BR"),
    ("CAD", "CA"),
    ("CHF", "CH LI"),
    ("CLP", "CL"),
    ("CNY", "CN"),
    ("COP", "CO"),
    ("CZK", "CZ"),
    ("DKK", "DK GL FO"),
    ("EGP", "EG"),
    ("EUR", "AD AT BE BG CY DE EE ES FI FR GR HR IE IT LT LU LV MC ME MT NL PT SI SK SM VA XK"),
    ("GBP", "GB GG IM JE"),
    ("HKD", "HK"),
    ("HUF", "HU"),
    ("IDR", "ID"),
    ("ILS", "IL"),
    ("INR", "IN"),
    ("ISK", "IS"),
    ("JPY", "JP"),
    ("KRW", "KR"),
    ("KWD", "KW"),
    ("MAD", "MA"),
    ("MXN", "MX"),
    ("MYR", "MY"),
    ("NGN", "NG"),
    ("NOK", "NO"),
    ("NZD", "NZ"),
    ("PEN", "PE"),
    ("PHP", "PH"),
    ("PKR", "PK"),
    ("PLN", "PL"),
    ("QAR", "QA"),
    ("RON", "RO"),
    ("RSD", "RS"),
    ("SAR", "SA"),
    ("SEK", "SE"),
    ("SGD", "SG"),
    ("THB", "TH"),
    ("TRY", "TR"),
    ("TWD", "TW"),
    ("UAH", "UA"),
    ("USD", "US PR"),
    ("ZAR", "ZA"),
];
