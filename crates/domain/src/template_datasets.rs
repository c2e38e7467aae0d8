//! Named example data of templates, and what a document made of it has to show.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::issues::Issue;

/// The most datasets a template can have.
pub const DATASETS_LIMIT: usize = 100;
/// The largest data, in bytes of JSON text: room for a long statement, and for a hundred of them to be run one after the other.
pub const DATA_LIMIT_BYTES: usize = 2 * 1024 * 1024;
/// The longest title, in characters (a CHECK of the table).
pub const TITLE_LIMIT_CHARS: usize = 255;
/// The most texts that one assertion can list.
pub const TEXTS_LIMIT: usize = 100;
/// The longest text to look for, in characters.
pub const TEXT_LIMIT_CHARS: usize = 1_000;

/// Names a dataset within its template: 1–64 characters of letters, digits, `.`, `_` and `-`, beginning with a letter or digit.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DatasetName(Box<str>);

/// The text is not the name of a dataset.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "the name of a dataset is 1–64 characters of letters, digits, '.', '_' and '-', beginning with a letter or digit, such as \"two-pages\""
)]
pub struct InvalidDatasetName;

impl DatasetName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for DatasetName {
    type Err = InvalidDatasetName;

    fn from_str(text: &str) -> Result<Self, InvalidDatasetName> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
        let starts_well = text.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric());
        if starts_well && text.len() <= 64 && text.bytes().all(allowed) { Ok(Self(text.into())) } else { Err(InvalidDatasetName) }
    }
}

impl TryFrom<String> for DatasetName {
    type Error = InvalidDatasetName;

    fn try_from(text: String) -> Result<Self, InvalidDatasetName> {
        text.parse()
    }
}

impl From<DatasetName> for String {
    fn from(name: DatasetName) -> Self {
        name.0.into()
    }
}

impl fmt::Display for DatasetName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// What a document made of a dataset has to show. What is absent is not asked.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Assertions {
    /// The fewest pages.
    pub min_pages: Option<u32>,
    /// The most pages.
    pub max_pages: Option<u32>,
    /// Texts that the document shows, spaces counted as one.
    pub contains: Vec<String>,
    /// Texts that it does not show.
    pub excludes: Vec<String>,
    /// The most warnings that the render may give.
    pub max_warnings: Option<u32>,
}

impl Assertions {
    /// Reads `{"pages": 2 | {"min": 1, "max": 3}, "contains": [..], "excludes": [..], "maxWarnings": 0}`; the paths of what
    /// is refused begin with `path`.
    pub fn from_json(value: &Value, path: &str) -> Result<Self, Vec<Issue>> {
        let Value::Object(object) = value else { return Err(vec![Issue::new(path, "must be an object")]) };
        let (mut read, mut issues) = (Self::default(), Vec::new());
        for (name, value) in object {
            let path = format!("{path}/{name}");
            match name.as_str() {
                "pages" => match pages(value) {
                    Some(range) => (read.min_pages, read.max_pages) = range,
                    None => issues.push(Issue::new(path, "must be a number of pages, or {\"min\": 1, \"max\": 3} with min up to max")),
                },
                "contains" | "excludes" => match texts(value) {
                    Some(texts) if name == "contains" => read.contains = texts,
                    Some(texts) => read.excludes = texts,
                    None => issues.push(Issue::new(
                        path,
                        format!("must be a list of up to {TEXTS_LIMIT} texts of 1 to {TEXT_LIMIT_CHARS} characters"),
                    )),
                },
                "maxWarnings" => match count(value) {
                    Some(count) => read.max_warnings = Some(count),
                    None => issues.push(Issue::new(path, "must be a whole number from 0")),
                },
                _ => issues.push(Issue::new(path, "is no assertion; accepted: pages, contains, excludes, maxWarnings")),
            }
        }
        if issues.is_empty() { Ok(read) } else { Err(issues) }
    }
}

fn count(value: &Value) -> Option<u32> {
    value.as_u64().and_then(|count| count.try_into().ok())
}

type PageRange = (Option<u32>, Option<u32>);

fn pages(value: &Value) -> Option<PageRange> {
    let Value::Object(object) = value else {
        let exactly = count(value)?;
        return Some((Some(exactly), Some(exactly)));
    };
    if object.keys().any(|name| name != "min" && name != "max") {
        return None;
    }
    let bound = |name: &str| object.get(name).map(count);
    match (bound("min"), bound("max")) {
        (Some(None), _) | (_, Some(None)) => None,
        (min, max) => Some((min.flatten(), max.flatten())).filter(|(min, max)| !matches!((min, max), (Some(min), Some(max)) if min > max)),
    }
}

fn texts(value: &Value) -> Option<Vec<String>> {
    let list = value.as_array().filter(|list| list.len() <= TEXTS_LIMIT)?;
    let text = |value: &Value| {
        let text = value.as_str().map(|text| text.split_whitespace().collect::<Vec<_>>().join(" "));
        text.filter(|text| !text.is_empty() && text.chars().count() <= TEXT_LIMIT_CHARS)
    };
    list.iter().map(text).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_name_is_safe_in_a_path() {
        for good in ["a", "two-pages", "Q3.2026_x"] {
            assert!(good.parse::<DatasetName>().is_ok(), "{good}");
        }
        for bad in ["", "..", "a/b", "a b", "-a", "é", &"x".repeat(65)] {
            assert!(bad.parse::<DatasetName>().is_err(), "{bad}");
        }
    }

    #[test]
    fn assertions_are_read_strictly() {
        let read = Assertions::from_json(&json!({"pages": {"min": 1}, "contains": [" Total \n due "], "maxWarnings": 0}), "").unwrap();
        assert_eq!((read.min_pages, read.max_pages, read.max_warnings), (Some(1), None, Some(0)));
        assert_eq!(read.contains, ["Total due"]);
        let bad = json!({"pages": {"min": 3, "max": 1}, "contains": [""], "excludes": "x", "maxWarnings": -1, "page": 1});
        let issues = Assertions::from_json(&bad, "/assertions").unwrap_err();
        let paths: Vec<_> = issues.iter().map(|issue| issue.path.as_str()).collect();
        assert_eq!(
            paths,
            ["/assertions/pages", "/assertions/contains", "/assertions/excludes", "/assertions/maxWarnings", "/assertions/page"]
        );
    }
}
