//! Formatters that a document has needed before: making one costs up to three times what writing with it does.

use icu_calendar::Gregorian;
use icu_datetime::FixedCalendarDateTimeFormatter;
use icu_datetime::fieldsets::enums::CompositeDateTimeFieldSet;
use icu_decimal::DecimalFormatter;
use icu_decimal::options::GroupingStrategy;
use icu_experimental::dimension::currency::formatter::CurrencyFormatter;
use icu_experimental::dimension::percent::formatter::PercentFormatter;

use super::NoData;
use super::dates::{DateStyle, TimeStyle};
use super::money::AmountStyle;
use crate::language::Language;

/// Formatters of one sort that are kept, of some kilobytes each: more than a document has languages, styles and currencies. One
/// with more begins anew.
const MAX_KEPT: usize = 16;

/// The formatters of one document.
#[derive(Debug, Default)]
pub(crate) struct Formatters {
    pub(crate) numbers: Kept<GroupingStrategy, DecimalFormatter>,
    pub(crate) shares: Kept<(GroupingStrategy, SignInFront), PercentFormatter<DecimalFormatter>>,
    pub(crate) amounts: Kept<AmountStyle, CurrencyFormatter<DecimalFormatter>>,
    pub(crate) dates: Kept<(DateStyle, TimeStyle), FixedCalendarDateTimeFormatter<Gregorian, CompositeDateTimeFieldSet>>,
}

/// Whether a positive number is written with its sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SignInFront {
    No,
    Yes,
}

/// Formatters of one sort, each with the language and the style it was made for.
#[derive(Debug)]
pub(crate) struct Kept<S, F>(Vec<(Language, S, F)>);

impl<S, F> Default for Kept<S, F> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<S: PartialEq, F> Kept<S, F> {
    /// The one for this language and style, made where there is none yet.
    pub(crate) fn get(&mut self, language: &Language, style: S, make: impl FnOnce() -> Result<F, NoData>) -> Result<&F, NoData> {
        let known = self.0.iter().position(|(of, known, _)| *known == style && of == language);
        let at = if let Some(at) = known {
            at
        } else {
            let formatter = make()?;
            if self.0.len() >= MAX_KEPT {
                self.0.clear();
            }
            self.0.push((language.clone(), style, formatter));
            self.0.len() - 1
        };
        Ok(&self.0[at].2)
    }
}
