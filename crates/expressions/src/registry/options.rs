//! What helpers ask of their named arguments, and what they say to one that they cannot take.

use std::borrow::Cow;

use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive as _;

use super::arguments::{kind_of, number_of};
use super::{Invocation, MAX_SHOWN_CHARACTERS};
use crate::error::ExpressionError;
use crate::language::{Language, Regional};
use crate::value::{Evaluated, View};

impl<'s> Invocation<'_, '_, '_, 's> {
    /// A named argument that is there and not null.
    fn option(&mut self, name: &str) -> Result<Option<Evaluated<'s>>, ExpressionError> {
        let value = self.hash(name)?;
        Ok((!value.is_nullish()).then_some(value))
    }

    /// A text.
    pub(crate) fn option_text(&mut self, name: &str) -> Result<Option<String>, ExpressionError> {
        let Some(value) = self.option(name)? else { return Ok(None) };
        match value.view() {
            View::Text(text) => Ok(Some(text.to_owned())),
            other => Err(self.refused_option(name, "a text", other)),
        }
    }

    /// A whole number up to `max`.
    pub(crate) fn option_count(&mut self, name: &str, max: u32) -> Result<Option<u32>, ExpressionError> {
        let Some(value) = self.option(name)? else { return Ok(None) };
        let whole = number_of(value.view()).filter(|number| number.fract().is_zero()).and_then(|number| u32::try_from(number).ok());
        match whole.filter(|count| *count <= max) {
            Some(count) => Ok(Some(count)),
            None => Err(self.refused_option(name, &format!("a whole number from 0 to {max}"), value.view())),
        }
    }

    /// A length above 0, in millimetres.
    pub(crate) fn option_measure(&mut self, name: &str, max: u32) -> Result<Option<f64>, ExpressionError> {
        let Some(value) = self.option(name)? else { return Ok(None) };
        let found = number_of(value.view()).filter(|number| *number > Decimal::ZERO && *number <= Decimal::from(max));
        match found.and_then(|number| number.to_f64()) {
            Some(number) => Ok(Some(number)),
            None => Err(self.refused_option(name, &format!("millimetres above 0 and up to {max}"), value.view())),
        }
    }

    /// True or false; false where it is not given, unless `default` says so.
    pub(crate) fn option_flag(&mut self, name: &str, default: bool) -> Result<bool, ExpressionError> {
        let Some(value) = self.option(name)? else { return Ok(default) };
        match value.view() {
            View::Bool(flag) => Ok(flag),
            other => Err(self.refused_option(name, "true or false", other)),
        }
    }

    /// One of the words, or the default of its type.
    pub(crate) fn option_choice<T: Copy + Default>(&mut self, name: &str, accepted: &[(&str, T)]) -> Result<T, ExpressionError> {
        let Some(value) = self.option(name)? else { return Ok(T::default()) };
        let found = match value.view() {
            View::Text(text) => accepted.iter().find(|(word, _)| *word == text).map(|(_, choice)| *choice),
            _ => None,
        };
        found.ok_or_else(|| {
            let words: Vec<String> = accepted.iter().map(|(word, _)| format!("\"{word}\"")).collect();
            self.refused_option(name, &words.join(", "), value.view())
        })
    }

    /// The language of `locale=`, or the one of the document that `of_document` picks.
    pub(crate) fn language(&mut self, of_document: impl Fn(&Regional) -> &Language) -> Result<Language, ExpressionError> {
        let Some(tag) = self.option_text("locale")? else { return Ok(of_document(&self.evaluator.run.regional).clone()) };
        Language::parse(&tag).ok_or_else(|| self.refused_option("locale", "a BCP 47 tag such as \"de-CH\"", View::Text(&tag)))
    }

    /// A named argument is something else than the helper needs.
    #[cold]
    pub(crate) fn refused_option(&self, option: &str, wanted: &str, found: View<'_>) -> ExpressionError {
        self.wrong(format!("`{}` takes {option}= as {wanted}, not {}", self.call.name, shown(found)))
    }
}

/// A value as an error repeats it: short texts and numbers as they are, others by their kind.
pub(crate) fn shown(value: View<'_>) -> Cow<'static, str> {
    match value {
        View::Text(text) if !text.is_empty() => {
            let clean = |character: char| if character.is_control() { ' ' } else { character };
            let start: String = text.chars().take(MAX_SHOWN_CHARACTERS).map(clean).collect();
            let rest = if start.len() < text.len() { "…" } else { "" };
            Cow::Owned(format!("\"{start}{rest}\""))
        }
        View::Number(number) => Cow::Owned(number.to_string()),
        other => Cow::Borrowed(kind_of(other)),
    }
}
