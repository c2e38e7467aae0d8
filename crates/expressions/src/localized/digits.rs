//! A number rounded to the digits that are shown, with the sign that is shown.

use fixed_decimal::{Decimal as Shown, Sign};
use icu_decimal::options::{DecimalFormatterOptions, GroupingStrategy};
use rust_decimal::{Decimal, RoundingStrategy};

/// Digits after the decimal separator, from fewest to most. The most is at most 20.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fraction {
    pub(crate) min: u32,
    pub(crate) max: u32,
}

/// When a number has a sign in front.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum SignDisplay {
    /// Negative ones have; what is rounded to 0 is not negative.
    #[default]
    Negative,
    Always,
    /// All but 0.
    ExceptZero,
    Never,
}

/// How digits are put together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NumberStyle {
    pub(crate) fraction: Fraction,
    pub(crate) sign: SignDisplay,
    /// As the language groups digits, or not at all.
    pub(crate) grouping: GroupingStrategy,
}

impl NumberStyle {
    pub(crate) fn formatter_options(self) -> DecimalFormatterOptions {
        let mut options = DecimalFormatterOptions::default();
        options.grouping_strategy = Some(self.grouping);
        options
    }

    /// The number times a power of ten, rounded half away from zero.
    pub(crate) fn shown(self, number: Decimal, power_of_ten: u32) -> Shown {
        let Fraction { min, max } = self.fraction;
        let rounded = number.round_dp_with_strategy(max + power_of_ten, RoundingStrategy::MidpointAwayFromZero).normalize();
        // Digits with a point are what both sides read and write.
        let mut shown = Shown::try_from_str(&rounded.abs().to_string()).unwrap_or_default();
        shown.multiply_pow10(clamped(power_of_ten));
        shown.trim_start();
        shown.trim_end();
        shown.pad_end(-clamped(min));
        shown.with_sign(self.sign.of(rounded))
    }
}

impl SignDisplay {
    fn of(self, number: Decimal) -> Sign {
        match self {
            Self::Never => Sign::None,
            _ if number.is_zero() => {
                if self == Self::Always {
                    Sign::Positive
                } else {
                    Sign::None
                }
            }
            _ if number.is_sign_negative() => Sign::Negative,
            Self::Negative => Sign::None,
            Self::Always | Self::ExceptZero => Sign::Positive,
        }
    }
}

fn clamped(digits: u32) -> i16 {
    i16::try_from(digits).unwrap_or(i16::MAX)
}
