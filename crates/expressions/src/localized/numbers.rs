//! Plain numbers and per cent.

use icu_decimal::DecimalFormatter;
use icu_experimental::dimension::percent::formatter::PercentFormatter;
use icu_experimental::dimension::percent::options::{Display, PercentFormatterOptions};
use rust_decimal::Decimal;

use super::formatters::{Formatters, SignInFront};
use super::{NoData, NumberStyle};
use crate::language::Language;

/// `1,234.5` in `en-US`, `1'234.5` in `de-CH`.
pub(crate) fn number(number: Decimal, style: NumberStyle, language: &Language, formatters: &mut Formatters) -> Result<String, NoData> {
    let formatter = formatters.numbers.get(language, style.grouping, || digits(style, language))?;
    Ok(formatter.format(&style.shown(number, 0)).to_string())
}

/// A share of one as per cent: 0.19 is `19%` in `en-US` and `19 %` in `de`.
pub(crate) fn percent(share: Decimal, style: NumberStyle, language: &Language, formatters: &mut Formatters) -> Result<String, NoData> {
    let shown = style.shown(share, 2);
    let sign = if shown.sign() == fixed_decimal::Sign::Positive { SignInFront::Yes } else { SignInFront::No };
    let formatter = formatters.shares.get(language, (style.grouping, sign), || {
        let mut options = PercentFormatterOptions::default();
        if sign == SignInFront::Yes {
            options.display = Display::ExplicitSign;
        }
        let digits = digits(style, language)?;
        PercentFormatter::try_new_with_decimal_formatter(language.locale().into(), digits, options).map_err(|_| NoData)
    })?;
    Ok(formatter.format(&shown).to_string())
}

fn digits(style: NumberStyle, language: &Language) -> Result<DecimalFormatter, NoData> {
    DecimalFormatter::try_new(language.locale().into(), style.formatter_options()).map_err(|_| NoData)
}
