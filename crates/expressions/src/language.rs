//! Languages and regions by their tags, and where a document is read.

use icu_locale_core::Locale;
use jiff::Timestamp;
use jiff::tz::TimeZone;

/// Bytes of a tag; the longest that people use have 35.
const MAX_TAG_BYTES: usize = 64;

/// A language and mostly a region, by BCP 47 tag: `de-CH`, `ar-EG-u-nu-latn`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Language(Locale);

impl Language {
    /// None for what is no tag. Where nothing is known of a region its language counts, and where nothing is known of the language
    /// the plain forms that CLDR calls the root.
    pub fn parse(tag: &str) -> Option<Self> {
        if tag.len() > MAX_TAG_BYTES {
            return None;
        }
        Locale::try_from_str(tag).ok().map(Self)
    }

    /// The language of the longest part of the tag that is one; the root's forms where none is.
    pub fn nearest(tag: &str) -> Self {
        let mut tag = tag;
        loop {
            match (Self::parse(tag), tag.rfind('-')) {
                (Some(language), _) => return language,
                (None, Some(at)) => tag = &tag[..at],
                (None, None) => return Self(Locale::UNKNOWN),
            }
        }
    }

    pub(crate) fn locale(&self) -> &Locale {
        &self.0
    }

    /// The two letters of the region, where the tag names one.
    pub(crate) fn region(&self) -> Option<&str> {
        self.0.id.region.as_ref().map(icu_locale_core::subtags::Region::as_str)
    }
}

/// Where a document is read: what numbers, amounts, dates and times look like unless a helper is told otherwise.
#[derive(Debug, Clone)]
pub struct Regional {
    /// For numbers and amounts of money.
    pub numbers: Language,
    /// For dates and times.
    pub dates: Language,
    /// Where moments are put on clocks.
    pub time_zone: TimeZone,
    /// What `"now"` means; none refuses it.
    pub now: Option<Timestamp>,
}

impl Default for Regional {
    /// `en-US` for numbers, `en-AU` for dates, as templates of today's clients expect; UTC; no moment.
    fn default() -> Self {
        Self { numbers: Language::nearest("en-US"), dates: Language::nearest("en-AU"), time_zone: TimeZone::UTC, now: None }
    }
}
