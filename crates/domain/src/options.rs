//! How a document is laid out and delivered: the render options of a request.

use jiff::tz::TimeZone;
use serde_json::{Map, Value};

use crate::codes::ErrorCode;
use crate::furniture::PageFurniture;
use crate::issues::{Issue, MAX_ISSUES, near_names, pointer};
use crate::margins::Margins;
use crate::paper::PaperSize;
use crate::print_production::PrintProduction;
use crate::watermark::Watermark;

/// Which way the sheet lies.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Orientation {
    /// Upright.
    #[default]
    Portrait,
    /// Lying; width and height are exchanged.
    Landscape,
}

/// The base direction of text.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Direction {
    /// Left to right.
    Ltr,
    /// Right to left.
    Rtl,
    /// From the first strong character.
    Auto,
}

/// What the answer asks of a browser that receives it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Disposition {
    /// Show it.
    Inline,
    /// Save it; the default.
    #[default]
    Attachment,
}

/// What a PDF says about itself. All but title and subject are literal text.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Metadata {
    /// `/Title`; may hold expressions.
    pub title: Option<String>,
    /// `/Subject`; may hold expressions.
    pub subject: Option<String>,
    /// `/Author`.
    pub author: Option<String>,
    /// `/Keywords`.
    pub keywords: Option<String>,
    /// `/Creator`.
    pub creator: Option<String>,
}

/// Options of one render. What is `None` is taken from the template, then from the defaults.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct RenderOptions {
    /// The sheet.
    pub paper_size: Option<PaperSize>,
    /// Which way it lies.
    pub orientation: Option<Orientation>,
    /// The margins.
    pub margins: Margins,
    /// A BCP 47 tag; becomes the document's language, and that of its dates.
    pub locale: Option<String>,
    /// The tag for numbers and amounts of money; it is there when `locale` is.
    pub number_locale: Option<String>,
    /// The zone in which dates are written.
    pub time_zone: Option<TimeZone>,
    /// Base direction of text.
    pub direction: Option<Direction>,
    /// What the PDF says about itself.
    pub metadata: Metadata,
    /// Name of the file in the answer; may hold expressions.
    pub filename: Option<String>,
    /// Show or save.
    pub disposition: Disposition,
    /// Headings as the PDF's outline; absent means no outline.
    pub bookmarks: Option<Bookmarks>,
    /// What stands at the top of every page.
    pub page_header: Option<PageFurniture>,
    /// What stands at the bottom of every page.
    pub page_footer: Option<PageFurniture>,
    /// What stands across the pages.
    pub watermark: Option<Watermark>,
    /// How the sheet is larger than the page.
    pub print_production: Option<PrintProduction>,
}

/// An outline was asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Bookmarks {
    /// From the document's headings.
    FromHeadings,
    /// Explicitly none.
    Off,
}

/// Options that cannot be used, with the code under which they are refused.
#[derive(Debug, PartialEq, Eq)]
pub struct OptionsRefused {
    /// The code for the answer.
    pub code: ErrorCode,
    /// Every option that is wrong.
    pub issues: Vec<Issue>,
}

const KNOWN: [&str; 14] = [
    "paperSize",
    "orientation",
    "margins",
    "locale",
    "timeZone",
    "direction",
    "metadata",
    "filename",
    "disposition",
    "bookmarks",
    "pageHeader",
    "pageFooter",
    "watermark",
    "printProduction",
];
/// Published options that this version does not have.
const UNSUPPORTED: [&str; 4] = ["theme", "layout", "pdf", "aiNarratives"];
const FILENAME_CHARACTERS: usize = 1000;
/// Characters of each text that a PDF says about itself, before and after its expressions are evaluated.
pub const METADATA_CHARACTERS: usize = 2000;

impl RenderOptions {
    /// Reads the `options` object of a render request found at `path`.
    pub fn from_json(value: &Value, path: &str) -> Result<Self, OptionsRefused> {
        let Value::Object(given) = value else {
            return Err(OptionsRefused { code: ErrorCode::InvalidRenderOptions, issues: vec![Issue::new(path, "must be an object")] });
        };
        let mut reader = Reader { given, path, code: ErrorCode::InvalidRenderOptions, issues: Vec::new() };
        let (locale, number_locale) = reader.read_as("locale", ErrorCode::InvalidLocale, locales).unzip();
        let options = Self {
            paper_size: reader.read("paperSize", PaperSize::from_json),
            orientation: reader.read("orientation", |value, path| {
                choice(value, path, &[("portrait", Orientation::Portrait), ("landscape", Orientation::Landscape)])
            }),
            margins: reader.read("margins", Margins::from_json).unwrap_or_default(),
            locale,
            number_locale,
            time_zone: reader.read_as("timeZone", ErrorCode::InvalidTimeZone, time_zone),
            direction: reader.read("direction", |value, path| {
                choice(value, path, &[("ltr", Direction::Ltr), ("rtl", Direction::Rtl), ("auto", Direction::Auto)])
            }),
            metadata: reader.read("metadata", metadata).unwrap_or_default(),
            filename: reader.read("filename", |value, path| text(value, path, FILENAME_CHARACTERS)),
            disposition: reader
                .read("disposition", |value, path| {
                    choice(value, path, &[("inline", Disposition::Inline), ("attachment", Disposition::Attachment)])
                })
                .unwrap_or_default(),
            bookmarks: reader.read("bookmarks", |value, path| {
                let wanted = value.as_bool().ok_or_else(|| Issue::new(path, "must be true or false"))?;
                Ok(if wanted { Bookmarks::FromHeadings } else { Bookmarks::Off })
            }),
            page_header: reader.read("pageHeader", PageFurniture::from_json),
            page_footer: reader.read("pageFooter", PageFurniture::from_json),
            watermark: reader.read("watermark", Watermark::from_json),
            print_production: reader.read("printProduction", PrintProduction::from_json),
        };
        reader.refuse_unknown();
        if reader.issues.is_empty() { Ok(options) } else { Err(OptionsRefused { code: reader.code, issues: reader.issues }) }
    }
}

/// Reads members of one object and gathers what is wrong with them.
struct Reader<'a> {
    given: &'a Map<String, Value>,
    path: &'a str,
    code: ErrorCode,
    issues: Vec<Issue>,
}

impl Reader<'_> {
    fn read<T>(&mut self, name: &str, read: impl FnOnce(&Value, &str) -> Result<T, Issue>) -> Option<T> {
        self.read_as(name, ErrorCode::InvalidRenderOptions, read)
    }

    fn read_as<T>(&mut self, name: &str, code: ErrorCode, read: impl FnOnce(&Value, &str) -> Result<T, Issue>) -> Option<T> {
        let value = self.given.get(name).filter(|value| !value.is_null())?;
        match read(value, &pointer(self.path, name)) {
            Ok(read) => Some(read),
            Err(issue) => {
                self.code = code;
                self.issues.push(issue);
                None
            }
        }
    }

    fn refuse_unknown(&mut self) {
        let mut left_out = 0_usize;
        for (name, value) in self.given {
            if self.issues.len() >= MAX_ISSUES {
                left_out += usize::from(!KNOWN.contains(&name.as_str()) && !UNSUPPORTED.contains(&name.as_str()));
                continue;
            }
            let path = pointer(self.path, name);
            if UNSUPPORTED.contains(&name.as_str()) && !value.is_null() {
                self.code = ErrorCode::UnsupportedRenderOption;
                self.issues.push(Issue::new(path, format!("\"{name}\" is not available in this version; leave it out")));
            } else if !KNOWN.contains(&name.as_str()) && !UNSUPPORTED.contains(&name.as_str()) {
                let hint = near_names(name, KNOWN).first().map_or_else(|| ".".to_owned(), |near| format!("; did you mean \"{near}\"?"));
                self.issues.push(Issue::new(path, format!("\"{}\" is no render option{hint} Accepted: {}", clip(name), KNOWN.join(", "))));
            }
        }
        if left_out > 0 {
            self.issues.push(Issue::new(self.path, format!("{left_out} more options are unknown")));
        }
    }
}

/// Reads one of a few words.
pub fn choice<T: Copy>(value: &Value, path: &str, accepted: &[(&str, T)]) -> Result<T, Issue> {
    let found = value.as_str().and_then(|given| accepted.iter().find(|(name, _)| *name == given));
    found.map(|(_, choice)| *choice).ok_or_else(|| {
        let names: Vec<String> = accepted.iter().map(|(name, _)| format!("\"{name}\"")).collect();
        Issue::new(path, format!("found {}; accepted: {}", short(value), names.join(", ")))
    })
}

fn short(value: &Value) -> String {
    match value {
        Value::Object(_) => "an object".into(),
        Value::Array(_) => "a list".into(),
        plain => clip(&plain.to_string()),
    }
}

/// At most 60 characters of what was given.
fn clip(text: &str) -> String {
    match text.char_indices().nth(60) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

fn text(value: &Value, path: &str, max_characters: usize) -> Result<String, Issue> {
    let given = value.as_str().ok_or_else(|| Issue::new(path, "must be text"))?;
    if given.chars().count() > max_characters {
        return Err(Issue::new(path, format!("is longer than {max_characters} characters")));
    }
    Ok(given.to_owned())
}

fn metadata(value: &Value, path: &str) -> Result<Metadata, Issue> {
    const NAMES: [&str; 5] = ["title", "subject", "author", "keywords", "creator"];
    let Value::Object(given) = value else { return Err(Issue::new(path, "must be an object")) };
    if let Some(other) = given.keys().find(|key| !NAMES.contains(&key.as_str())) {
        return Err(Issue::new(pointer(path, other), format!("\"{other}\" is unknown; accepted: {}", NAMES.join(", "))));
    }
    let field = |name: &str| match given.get(name) {
        None | Some(Value::Null) => Ok(None),
        // Upstream clients send keywords as a list as well.
        Some(Value::Array(words)) if name == "keywords" => {
            let joined = words.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", ");
            text(&Value::String(joined), &pointer(path, name), METADATA_CHARACTERS).map(Some)
        }
        Some(value) => text(value, &pointer(path, name), METADATA_CHARACTERS).map(Some),
    };
    Ok(Metadata {
        title: field("title")?,
        subject: field("subject")?,
        author: field("author")?,
        keywords: field("keywords")?,
        creator: field("creator")?,
    })
}

/// The tags for dates and for numbers. The object form `{currency, date}` names one for each kind of value, and one alone counts for both.
fn locales(value: &Value, path: &str) -> Result<(String, String), Issue> {
    let Value::Object(given) = value else {
        let tag = locale(value, path)?;
        return Ok((tag.clone(), tag));
    };
    let tag = |name: &str| given.get(name).filter(|tag| !tag.is_null()).map(|tag| locale(tag, &pointer(path, name))).transpose();
    match (tag("date")?, tag("currency")?) {
        (Some(dates), Some(numbers)) => Ok((dates, numbers)),
        (Some(both), None) | (None, Some(both)) => Ok((both.clone(), both)),
        (None, None) => locale(&Value::Null, path).map(|tag| (tag.clone(), tag)),
    }
}

fn locale(value: &Value, path: &str) -> Result<String, Issue> {
    let tag = value.as_str().unwrap_or_default();
    let mut subtags = tag.split('-');
    let language = subtags.next().is_some_and(|part| (2..=8).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_alphabetic()));
    let rest = subtags.all(|part| (1..=8).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_alphanumeric()));
    if language && rest && tag.len() <= 64 {
        Ok(tag.to_owned())
    } else {
        Err(Issue::new(path, "must be a BCP 47 language tag, such as \"en-GB\" or \"de\"").with_code("invalid_locale"))
    }
}

fn time_zone(value: &Value, path: &str) -> Result<TimeZone, Issue> {
    value.as_str().and_then(|name| TimeZone::get(name).ok()).ok_or_else(|| {
        Issue::new(path, format!("found {}; must be an IANA time zone, such as \"Europe/Berlin\"", short(value)))
            .with_code("invalid_time_zone")
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_wrong_option_is_named_with_what_is_accepted() {
        let refused =
            RenderOptions::from_json(&json!({"orientation": "sideways", "margins": {"top": "wide"}, "papersize": "A4"}), "/options")
                .unwrap_err();
        let said: Vec<String> = refused.issues.iter().map(|issue| format!("{}: {}", issue.path, issue.message)).collect();
        assert_eq!(said.len(), 3, "{said:?}");
        assert!(said[0].contains("/options/orientation") && said[0].contains("\"portrait\", \"landscape\""), "{said:?}");
        assert!(said[1].starts_with("/options/margins/top"), "{said:?}");
        assert!(said[2].contains("did you mean \"paperSize\""), "{said:?}");
    }

    #[test]
    fn ten_thousand_unknown_options_with_long_names_make_a_short_refusal() {
        let given: Map<String, Value> = (0..10_000).map(|at| (format!("{}{at}", "n".repeat(2_000)), json!(1))).collect();
        let refused = RenderOptions::from_json(&Value::Object(given), "/options").unwrap_err();
        assert_eq!(refused.issues.len(), 101);
        assert!(refused.issues.iter().map(|issue| issue.path.len() + issue.message.len()).sum::<usize>() < 100_000);
        assert_eq!(refused.issues[100].message, "9900 more options are unknown");
    }

    #[test]
    fn keywords_as_a_list_are_as_short_as_keywords_as_text() {
        let refused = RenderOptions::from_json(&json!({"metadata": {"keywords": vec!["word"; 1000]}}), "/options").unwrap_err();
        assert_eq!(refused.issues[0].path, "/options/metadata/keywords");
        let read = RenderOptions::from_json(&json!({"metadata": {"keywords": ["a", "b"]}}), "/options").unwrap();
        assert_eq!(read.metadata.keywords.as_deref(), Some("a, b"));
    }

    #[test]
    fn an_option_of_a_later_version_is_refused_under_its_own_code() {
        let refused = RenderOptions::from_json(&json!({"aiNarratives": "generate"}), "/options").unwrap_err();
        assert_eq!(refused.code, ErrorCode::UnsupportedRenderOption);
    }

    #[test]
    fn zones_and_locales_are_checked_by_name() {
        assert!(RenderOptions::from_json(&json!({"timeZone": "Europe/Berlin", "locale": "de-CH"}), "").is_ok());
        assert_eq!(RenderOptions::from_json(&json!({"timeZone": "Mars/Olympus"}), "").unwrap_err().code, ErrorCode::InvalidTimeZone);
        assert_eq!(RenderOptions::from_json(&json!({"locale": "x\" onload"}), "").unwrap_err().code, ErrorCode::InvalidLocale);
        for (given, dates, numbers) in [
            (json!("de"), "de", "de"),
            (json!({"date": "en-AU", "currency": "en-US"}), "en-AU", "en-US"),
            (json!({"currency": "de-CH"}), "de-CH", "de-CH"),
            (json!({"date": "fr", "currency": null}), "fr", "fr"),
        ] {
            let options = RenderOptions::from_json(&json!({ "locale": given }), "").unwrap();
            assert_eq!((options.locale.as_deref(), options.number_locale.as_deref()), (Some(dates), Some(numbers)));
        }
        for given in [json!({}), json!({"date": 5}), json!({"date": "de", "currency": "1"})] {
            let refused = RenderOptions::from_json(&json!({ "locale": given }), "").unwrap_err();
            assert_eq!(refused.code, ErrorCode::InvalidLocale, "{given}");
        }
    }
}
