//! Which templates a credential reaches: keys, and beginnings of keys.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::templates::TemplateKey;

/// A template key such as `invoice`, or the beginning of keys with a star at the end: `invoice-*`.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TemplateSelector(Box<str>);

/// The text selects no template.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("a template selector is a template key such as \"invoice\", or the beginning of one with a star: \"invoice-*\"")]
pub struct InvalidTemplateSelector;

impl TemplateSelector {
    /// Whether the template of that key is meant.
    pub fn selects(&self, key: &TemplateKey) -> bool {
        match self.0.strip_suffix('*') {
            Some(beginning) => key.as_str().starts_with(beginning),
            None => key.as_str() == &*self.0,
        }
    }

    /// Whether everything that `narrower` selects is selected by this one too.
    pub fn includes(&self, narrower: &Self) -> bool {
        match self.0.strip_suffix('*') {
            Some(beginning) => narrower.0.strip_suffix('*').unwrap_or(&narrower.0).starts_with(beginning),
            None => self == narrower,
        }
    }

    /// What both lists select.
    pub fn reached_by_both(one: &[Self], other: &[Self]) -> Vec<Self> {
        let narrower = |(a, b): (&Self, &Self)| if a.includes(b) { Some(b.clone()) } else { b.includes(a).then(|| a.clone()) };
        one.iter().flat_map(|a| other.iter().map(move |b| (a, b))).filter_map(narrower).collect()
    }

    /// As its author wrote it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for TemplateSelector {
    type Err = InvalidTemplateSelector;

    fn from_str(text: &str) -> Result<Self, InvalidTemplateSelector> {
        let beginning = text.strip_suffix('*').unwrap_or(text);
        // A lone star would read as a limit and be none.
        if beginning.parse::<TemplateKey>().is_ok() { Ok(Self(text.into())) } else { Err(InvalidTemplateSelector) }
    }
}

impl TryFrom<String> for TemplateSelector {
    type Error = InvalidTemplateSelector;

    fn try_from(text: String) -> Result<Self, InvalidTemplateSelector> {
        text.parse()
    }
}

impl From<&TemplateKey> for TemplateSelector {
    fn from(key: &TemplateKey) -> Self {
        Self(key.as_str().into())
    }
}

impl From<TemplateSelector> for String {
    fn from(selector: TemplateSelector) -> Self {
        selector.0.into()
    }
}

impl fmt::Display for TemplateSelector {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_selects_itself_and_a_beginning_all_that_begin_so() {
        let selects = |selector: &str, key: &str| selector.parse::<TemplateSelector>().unwrap().selects(&key.parse().unwrap());
        assert!(selects("invoice", "invoice") && !selects("invoice", "invoice-2") && !selects("invoice-2", "invoice"));
        assert!(selects("invoice-*", "invoice-2") && !selects("invoice-*", "invoice") && !selects("invoice-*", "letter"));
    }

    #[test]
    fn a_selector_includes_what_selects_less() {
        let includes = |wide: &str, narrow: &str| wide.parse::<TemplateSelector>().unwrap().includes(&narrow.parse().unwrap());
        assert!(includes("a-*", "a-b") && includes("a-*", "a-b*") && includes("a-*", "a-*") && includes("a", "a"));
        assert!(!includes("a-b*", "a-*") && !includes("a", "a*") && !includes("a", "b") && !includes("a-*", "a"));
    }

    #[test]
    fn two_lists_reach_together_what_each_of_them_does() {
        let list = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect::<Vec<TemplateSelector>>();
        let both = TemplateSelector::reached_by_both(&list(&["a-*", "b", "c-d*"]), &list(&["a-b", "b", "c-*", "e"]));
        assert_eq!(both, list(&["a-b", "b", "c-d*"]));
    }

    #[test]
    fn what_would_mean_everything_or_nothing_is_refused() {
        for text in ["", "*", "a**", "*a", "a b", "ä*"] {
            assert_eq!(text.parse::<TemplateSelector>(), Err(InvalidTemplateSelector), "{text}");
        }
    }
}
