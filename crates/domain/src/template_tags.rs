//! Tags: words to find templates by.

use std::fmt;
use std::str::FromStr;

use crate::invisible::is_invisible;

/// The longest tag, in characters.
pub const TAG_LIMIT_CHARS: usize = 64;

/// A tag as it is kept and compared: in lower case, without space around, with single spaces inside; 1 to
/// [`TAG_LIMIT_CHARS`] characters, no comma and nothing that nobody sees.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TemplateTag(Box<str>);

/// The text is no tag.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("a tag has 1–64 characters and holds no comma, control or invisible characters")]
pub struct InvalidTemplateTag;

impl TemplateTag {
    /// The tag as it is kept.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Each tag once, in the order in which they first come.
    pub fn distinct(tags: impl IntoIterator<Item = Self>) -> Vec<String> {
        let mut kept: Vec<String> = Vec::new();
        for tag in tags {
            if !kept.iter().any(|known| *known == *tag.0) {
                kept.push(tag.0.into());
            }
        }
        kept
    }
}

impl FromStr for TemplateTag {
    type Err = InvalidTemplateTag;

    fn from_str(text: &str) -> Result<Self, InvalidTemplateTag> {
        let tag = text.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase();
        let length = tag.chars().count();
        if length == 0 || length > TAG_LIMIT_CHARS || tag.contains(|character: char| character == ',' || is_invisible(character)) {
            return Err(InvalidTemplateTag);
        }
        Ok(Self(tag.into()))
    }
}

impl fmt::Display for TemplateTag {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_that_people_would_call_the_same_are_the_same() {
        let tags = ["Finance", " finance ", "FINANCE", "Year  End", "year end"].map(|tag| tag.parse().unwrap());
        assert_eq!(TemplateTag::distinct(tags), ["finance", "year end"]);
    }

    #[test]
    fn what_cannot_be_told_apart_or_written_in_a_list_is_no_tag() {
        for bad in ["", "  ", "a,b", "a\u{200B}b", "a\0", &"x".repeat(65)] {
            assert!(bad.parse::<TemplateTag>().is_err(), "{bad:?}");
        }
    }
}
