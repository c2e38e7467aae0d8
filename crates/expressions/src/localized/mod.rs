//! Numbers, amounts, dates and addresses as people of a language and region write them.
//!
//! All data is that of CLDR, compiled in; nothing here knows helpers or templates.

pub(crate) mod addresses;
pub(crate) mod dates;
mod digits;
pub(crate) mod formatters;
pub(crate) mod moments;
pub(crate) mod money;
pub(crate) mod numbers;
pub(crate) mod patterns;

pub(crate) use digits::{Fraction, NumberStyle, SignDisplay};

/// Compiled data is never missing for a tag: in the end there is the root's. This is what the type of the lookup demands.
#[derive(Debug)]
pub(crate) struct NoData;
