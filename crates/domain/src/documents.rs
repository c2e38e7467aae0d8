//! Stored documents: what a request says about keeping what comes out, and the names of kept files.

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

use serde_json::{Map, Value};

use crate::invisible::is_invisible;
use crate::issues::{Issue, near_names, pointer};
use crate::usage::UsageMetadata;

/// How often a document may be fetched where that is limited.
pub const DOWNLOADS: RangeInclusive<u32> = 1..=1000;
/// The longest life that any request can ask for, in seconds: ten years. Installations allow less.
pub const LONGEST_LIFE_SECONDS: u32 = 10 * 366 * 24 * 3600;
/// Characters of a file's name, its extension included (a CHECK of the table allows as many).
const NAME_CHARS: usize = 200;
/// What the `output` of a request takes.
const KNOWN: [&str; 7] = ["store", "respondWith", "ttlSeconds", "linkTtlSeconds", "maxDownloads", "filename", "metadata"];

/// How a stored document came about.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum DocumentSource {
    /// A request that waited for it.
    Single,
    /// One of several in a request that waited for all.
    Batch,
    /// A job.
    AsyncBatch,
    /// A schedule.
    Scheduled,
    /// A page for people who are no users.
    Portal,
}

/// The text names no source.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("accepted: single, batch, async-batch, scheduled, portal")]
pub struct UnknownDocumentSource;

impl DocumentSource {
    /// Every source.
    pub const ALL: [Self; 5] = [Self::Single, Self::Batch, Self::AsyncBatch, Self::Scheduled, Self::Portal];

    /// The word on the wire and in the table.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Single => "single",
            Self::Batch => "batch",
            Self::AsyncBatch => "async-batch",
            Self::Scheduled => "scheduled",
            Self::Portal => "portal",
        }
    }
}

impl FromStr for DocumentSource {
    type Err = UnknownDocumentSource;

    fn from_str(text: &str) -> Result<Self, UnknownDocumentSource> {
        Self::ALL.into_iter().find(|source| source.as_str() == text).ok_or(UnknownDocumentSource)
    }
}

/// What the answer to a render holds whose document is stored.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum RespondWith {
    /// The document itself.
    #[default]
    Bytes,
    /// A link to it.
    Link,
}

/// What a request says about keeping its document.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct DocumentOutput {
    /// What the answer holds.
    pub respond_with: RespondWith,
    /// How long the document is kept, in seconds, from 1; the installation's default where it is not said.
    pub ttl_seconds: Option<u32>,
    /// How long the link of the answer works, in seconds, from 1. No link outlives its document.
    pub link_ttl_seconds: Option<u32>,
    /// How often it may be fetched, within [`DOWNLOADS`]; as often as anybody likes where it is not said.
    pub max_downloads: Option<u32>,
    /// What the kept file is called, whatever the document is; its extension is added where it is missing.
    pub filename: Option<String>,
    /// Words to find it by; those of the render where it is not said.
    pub metadata: Option<UsageMetadata>,
}

impl DocumentOutput {
    /// Reads the `output` of a request; none where nothing is to be kept. `path` is where it stands.
    pub fn from_json(value: &Value, path: &str) -> Result<Option<Self>, Vec<Issue>> {
        let given = match value {
            Value::Null => return Ok(None),
            Value::Object(given) => given,
            _ => return Err(vec![Issue::new(path, "must be an object, such as {\"store\": true}")]),
        };
        let mut reader = Reader { given, path, issues: Vec::new() };
        reader.refuse_unknown();
        let store = reader.read("store", |value| value.as_bool().ok_or_else(|| "must be true or false".to_owned()));
        let output = Self {
            respond_with: reader.read("respondWith", respond_with).unwrap_or_default(),
            ttl_seconds: reader.read("ttlSeconds", |value| within(value, 1..=LONGEST_LIFE_SECONDS)),
            link_ttl_seconds: reader.read("linkTtlSeconds", |value| within(value, 1..=LONGEST_LIFE_SECONDS)),
            max_downloads: reader.read("maxDownloads", |value| within(value, DOWNLOADS)),
            filename: reader.read("filename", filename),
            metadata: reader.metadata(),
        };
        if !reader.issues.is_empty() {
            return Err(reader.issues);
        }
        match store {
            Some(true) => Ok(Some(output)),
            Some(false) => Ok(None),
            None => Err(vec![Issue::new(pointer(path, "store"), "is missing; true keeps the document, false does not")]),
        }
    }
}

struct Reader<'a> {
    given: &'a Map<String, Value>,
    path: &'a str,
    issues: Vec<Issue>,
}

impl Reader<'_> {
    fn read<T>(&mut self, name: &str, read: impl FnOnce(&Value) -> Result<T, String>) -> Option<T> {
        let value = self.given.get(name).filter(|value| !value.is_null())?;
        read(value).map_err(|why| self.issues.push(Issue::new(pointer(self.path, name), why))).ok()
    }

    fn metadata(&mut self) -> Option<UsageMetadata> {
        let value = self.given.get("metadata").filter(|value| !value.is_null())?;
        UsageMetadata::from_json(value, &pointer(self.path, "metadata")).map_err(|issue| self.issues.push(issue)).ok()
    }

    fn refuse_unknown(&mut self) {
        for name in self.given.keys().filter(|name| !KNOWN.contains(&name.as_str())) {
            let near = near_names(name, KNOWN);
            let hint = near.first().map_or_else(|| format!("accepted: {}", KNOWN.join(", ")), |near| format!("did you mean \"{near}\"?"));
            self.issues.push(Issue::new(pointer(self.path, name), format!("is not known here; {hint}")));
        }
    }
}

fn respond_with(value: &Value) -> Result<RespondWith, String> {
    match value.as_str() {
        Some("bytes") => Ok(RespondWith::Bytes),
        Some("link") => Ok(RespondWith::Link),
        _ => Err("must be \"bytes\" or \"link\"".to_owned()),
    }
}

fn within(value: &Value, accepted: RangeInclusive<u32>) -> Result<u32, String> {
    let number = value.as_u64().and_then(|number| u32::try_from(number).ok()).filter(|number| accepted.contains(number));
    number.ok_or_else(|| format!("must be a whole number from {} to {}", accepted.start(), accepted.end()))
}

fn filename(value: &Value) -> Result<String, String> {
    let text = value.as_str().filter(|text| !text.trim().is_empty() && text.chars().count() <= NAME_CHARS);
    text.map(str::to_owned).ok_or_else(|| format!("must be text of 1 to {NAME_CHARS} characters"))
}

/// The name of a kept file as a browser may be told it: one line, no folders, nothing that nobody sees, with an extension;
/// 1–200 characters.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DocumentName(Box<str>);

impl DocumentName {
    /// The name that is made of these words: what cannot stand in a name gives way to `_`, and a missing extension (without its
    /// dot, such as `pdf`) is added.
    pub fn of(words: &str, extension: &str) -> Self {
        let plain = |character: char| match character {
            '/' | '\\' | ':' | '*' | '?' | '"' | '<' | '>' | '|' => '_',
            character if is_invisible(character) => '_',
            character => character,
        };
        let cleaned: String = words.trim().chars().map(plain).collect();
        // A leading dot would hide the file from the person who saved it.
        let cleaned = cleaned.trim_start_matches('.').trim();
        let suffix = format!(".{extension}");
        let lower = cleaned.to_lowercase();
        let stem =
            if lower.len() == cleaned.len() && lower.ends_with(&suffix) { &cleaned[..cleaned.len() - suffix.len()] } else { cleaned };
        let stem: String = stem.chars().take(NAME_CHARS - suffix.chars().count()).collect();
        let stem = if stem.trim().is_empty() { "document" } else { stem.trim_end() };
        Self(format!("{stem}{suffix}").into())
    }

    /// The name as it was kept.
    pub fn from_stored(text: String) -> Self {
        Self(text.into())
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for DocumentName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// How long documents and links live in an installation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DocumentLives {
    /// Of a document whose request does not say, in seconds.
    pub default_seconds: u32,
    /// The longest that a request may ask for, in seconds.
    pub longest_seconds: u32,
    /// Of a link whose maker does not say, in seconds.
    pub link_seconds: u32,
}

impl Default for DocumentLives {
    /// A month, a year, and a day for links.
    fn default() -> Self {
        const DAY: u32 = 24 * 3600;
        Self { default_seconds: 30 * DAY, longest_seconds: 365 * DAY, link_seconds: DAY }
    }
}

impl DocumentLives {
    /// How long a document lives of which this was said; refused with what is accepted when it is too long here.
    pub fn of_document(&self, asked_seconds: Option<u32>) -> Result<u32, Issue> {
        let seconds = asked_seconds.unwrap_or(self.default_seconds.min(self.longest_seconds));
        if seconds > self.longest_seconds {
            let said = format!("is {seconds}; documents are kept for up to {} seconds here", self.longest_seconds);
            return Err(Issue::new("/output/ttlSeconds", said));
        }
        Ok(seconds)
    }

    /// How long a link lives of which this was said. It ends with its document in any case.
    pub fn of_link(&self, asked_seconds: Option<u32>) -> u32 {
        asked_seconds.unwrap_or(self.link_seconds)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn issues(value: &Value) -> Vec<String> {
        DocumentOutput::from_json(value, "/output").unwrap_err().into_iter().map(|issue| issue.path).collect()
    }

    #[test]
    fn an_output_is_read_and_every_wrong_part_of_it_is_named() {
        let whole = json!({"store": true, "respondWith": "link", "ttlSeconds": 60, "linkTtlSeconds": 1, "maxDownloads": 1000,
                           "filename": "Rechnung 7", "metadata": {"order": "7"}});
        let output = DocumentOutput::from_json(&whole, "/output").unwrap().unwrap();
        assert_eq!((output.respond_with, output.ttl_seconds, output.max_downloads), (RespondWith::Link, Some(60), Some(1000)));
        assert_eq!(output.metadata.unwrap().iter().collect::<Vec<_>>(), [("order", "7")]);
        assert_eq!(DocumentOutput::from_json(&json!({"store": true}), "").unwrap(), Some(DocumentOutput::default()));
        for nothing in [json!(null), json!({"store": false}), json!({"store": false, "ttlSeconds": 5})] {
            assert_eq!(DocumentOutput::from_json(&nothing, "").unwrap(), None);
        }
        assert_eq!(issues(&json!({})), ["/output/store"]);
        assert_eq!(issues(&json!(true)), ["/output"]);
        assert_eq!(issues(&json!({"store": true, "ttl": 5})), ["/output/ttl"]);
        let wrong = json!({"store": "yes", "respondWith": "url", "ttlSeconds": 0, "linkTtlSeconds": 1.5, "maxDownloads": 1001,
                           "filename": " ", "metadata": {"a": 1}});
        assert_eq!(issues(&wrong).len(), 7);
    }

    #[test]
    fn names_of_files_are_one_harmless_line_with_an_extension() {
        let named = |words: &str| DocumentName::of(words, "pdf").to_string();
        assert_eq!(named("invoice"), "invoice.pdf");
        assert_eq!(named("Invoice.PDF"), "Invoice.pdf");
        assert_eq!(named(" ../../etc/passwd "), "_.._etc_passwd.pdf");
        assert_eq!(named("a\r\nSet-Cookie: x"), "a__Set-Cookie_ x.pdf");
        assert_eq!(named("fdp.\u{202E}exe"), "fdp._exe.pdf");
        assert_eq!(named("..."), "document.pdf");
        assert_eq!(named(".pdf"), "pdf.pdf");
        assert_eq!(named("請求書"), "請求書.pdf");
        assert_eq!(named(&"ß".repeat(500)).chars().count(), NAME_CHARS);
    }

    #[test]
    fn no_document_lives_longer_than_the_installation_allows() {
        let lives = DocumentLives { default_seconds: 100, longest_seconds: 50, link_seconds: 9 };
        assert_eq!(lives.of_document(None), Ok(50));
        assert_eq!(lives.of_document(Some(50)), Ok(50));
        assert!(lives.of_document(Some(51)).unwrap_err().message.contains("up to 50 seconds"));
        assert_eq!((lives.of_link(None), lives.of_link(Some(3))), (9, 3));
    }
}
