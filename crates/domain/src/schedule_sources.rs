//! What a schedule's documents are made of: where the data comes from, when nothing is delivered, and one document for each element.

use serde_json::{Map, Value};

use crate::issues::Issue;
use crate::schedule_fields::Fields;

/// How long a URL may take where the schedule does not say, in milliseconds.
pub const DEFAULT_TIMEOUT_MS: u64 = 30_000;
/// How long it may take at most.
pub const LONGEST_TIMEOUT_MS: u64 = 60_000;
/// Documents of one run where the schedule does not say.
pub const DEFAULT_BURST_ITEMS: u64 = 1_000;
/// Documents of one run at most.
pub const MOST_BURST_ITEMS: u64 = 10_000;
/// Characters of a path into the data, or of an expression.
const EXPRESSION: usize = 2_000;

/// Where the data of a run comes from.
#[derive(Clone, PartialEq, Debug)]
pub enum DataSource {
    /// It is in the schedule.
    Static {
        /// The data.
        data: Value,
    },
    /// It is in the schedule in another form, as the `dataInput` of a render.
    Input {
        /// As it was sent.
        input: Value,
        /// The name that a list gets.
        array_key: Option<String>,
    },
    /// It is fetched.
    Url(Box<UrlSource>),
    /// It is the example data of the template.
    Template {
        /// The name of one of its datasets; its sample where there is none.
        dataset: Option<String>,
    },
}

/// What is fetched.
#[derive(Clone, PartialEq, Debug)]
pub struct UrlSource {
    /// Where; may hold expressions over the parameters.
    pub url: String,
    /// Whether something is sent: `POST` instead of `GET`.
    pub posts: bool,
    /// Headers, of which the values are secrets.
    pub headers: Vec<(String, String)>,
    /// Added to the URL; values may hold expressions over the parameters.
    pub query: Vec<(String, String)>,
    /// What is sent; texts in it may hold expressions over the parameters.
    pub body: Option<Value>,
    /// For everything together.
    pub timeout_ms: u64,
    /// The name that a list gets, as a document's data is an object.
    pub array_key: Option<String>,
    /// What comes: `json`, `csv`, `xml` or `xlsx`.
    pub format: &'static str,
    /// How that is read.
    pub format_options: Option<Map<String, Value>>,
}

impl DataSource {
    /// Reads the `dataSource` of a schedule.
    pub fn from_json(value: &Value, path: &str) -> Result<Self, Vec<Issue>> {
        let mut fields = Fields::of(value, path, "{\"type\": \"static\", \"data\": {\"name\": \"Ada\"}}")?;
        if fields.get("connection").is_some() {
            fields.refuse("connection", "is not available in this version; send url and headers");
        }
        let read = match fields.get("type").and_then(Value::as_str) {
            Some("static") => stated(&mut fields),
            Some("url") => url(&mut fields).map(|source| Self::Url(Box::new(source))),
            Some("template") => Some(Self::Template { dataset: fields.text("dataset", 128) }),
            _ => {
                fields.refuse("type", "accepted: static, url, template");
                None
            }
        };
        fields.end_with(read)
    }
}

fn stated(fields: &mut Fields<'_>) -> Option<DataSource> {
    let array_key = fields.text("arrayKey", 128);
    match (fields.get("data"), fields.get("dataInput")) {
        (Some(_), Some(_)) => {
            fields.refuse("dataInput", "and data exclude each other");
            None
        }
        (None, Some(input)) if input.is_object() => Some(DataSource::Input { input: input.clone(), array_key }),
        (None, Some(_)) => {
            fields.refuse("dataInput", "must be an object such as {\"format\": \"csv\", \"content\": \"a,b\\n1,2\"}");
            None
        }
        (data, None) => {
            let data = data.cloned().unwrap_or_else(|| Value::Object(Map::new()));
            if !data.is_object() {
                fields.refuse("data", "must be an object");
                return None;
            }
            Some(DataSource::Static { data })
        }
    }
}

fn url(fields: &mut Fields<'_>) -> Option<UrlSource> {
    let url = fields.needed_text("url", 2048, "https://data.example.org/report.json");
    let posts = fields.word("method", &[("GET", false), ("POST", true)]).unwrap_or(false);
    let headers = fields.texts("headers", 20, 4_000);
    if headers.iter().any(|(name, _)| !is_token(name)) {
        fields.refuse("headers", "has a name that no header can have");
    }
    if headers.iter().any(|(name, _)| OURS.iter().any(|ours| name.eq_ignore_ascii_case(ours))) {
        fields.refuse("headers", format!("may not set {}", OURS.join(", ")));
    }
    let body = fields.get("body").cloned();
    if body.is_some() && !posts {
        fields.refuse("body", "is for the method POST");
    }
    let format_options = fields.get("formatOptions").map(Value::as_object);
    if format_options == Some(None) {
        fields.refuse("formatOptions", "must be an object");
    }
    let words = [("json", "json"), ("csv", "csv"), ("xml", "xml"), ("xlsx", "xlsx")];
    Some(UrlSource {
        posts,
        headers,
        query: fields.texts("query", 50, 2_000),
        body,
        timeout_ms: fields.whole("timeoutMs", 1..=LONGEST_TIMEOUT_MS).unwrap_or(DEFAULT_TIMEOUT_MS),
        array_key: fields.text("arrayKey", 128),
        format: fields.word("format", &words).unwrap_or("json"),
        format_options: format_options.flatten().cloned(),
        url: url?,
    })
}

/// What the client decides by itself.
const OURS: [&str; 5] = ["host", "content-length", "transfer-encoding", "connection", "te"];

fn is_token(name: &str) -> bool {
    (1..=100).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

/// When a run delivers nothing.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct DeliveryCondition {
    /// A path into the data: nothing is delivered when nothing, or an empty list, object or text is there.
    pub skip_if_empty: Option<String>,
    /// An expression: nothing is delivered unless it is true.
    pub deliver_if: Option<String>,
}

impl DeliveryCondition {
    /// Reads the `deliveryCondition` of a schedule.
    pub fn from_json(value: &Value, path: &str) -> Result<Self, Vec<Issue>> {
        let mut fields = Fields::of(value, path, "{\"skipIfEmpty\": \"orders\"}")?;
        fields.refuse_unknown(&["skipIfEmpty", "deliverIf"]);
        let condition = Self { skip_if_empty: fields.text("skipIfEmpty", EXPRESSION), deliver_if: fields.text("deliverIf", EXPRESSION) };
        fields.end(condition)
    }
}

/// One document for each element of a list in the data.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Burst {
    /// Where the list is.
    pub items_path: String,
    /// Where in an element its name is; its place is its name otherwise.
    pub key_path: Option<String>,
    /// The name that the element has in the data of its document. Without one its fields are that data.
    pub item_as: Option<String>,
    /// Whether the data around the list is in the data of each document.
    pub merge_parent: bool,
    /// An expression over the data of a document: without its being true there is none.
    pub item_condition: Option<String>,
    /// Documents of one run.
    pub max_items: usize,
    /// Whether more elements cut the list, or fail the run.
    pub truncates: bool,
    /// After so many failures in a row the others are not made; 0 for never.
    pub abort_after: u32,
}

impl Burst {
    /// Reads the `burst` of a schedule.
    pub fn from_json(value: &Value, path: &str) -> Result<Self, Vec<Issue>> {
        let mut fields = Fields::of(value, path, "{\"itemsPath\": \"customers\"}")?;
        let known = [
            "itemsPath",
            "keyPath",
            "itemAs",
            "mergeParent",
            "itemCondition",
            "maxItems",
            "onOverflow",
            "concurrency",
            "abortAfterConsecutiveFailures",
        ];
        fields.refuse_unknown(&known);
        // Turns between tenants and the places of each server decide that.
        fields.whole("concurrency", 1..=100);
        let burst = Self {
            items_path: fields.needed_text("itemsPath", EXPRESSION, "customers").unwrap_or_default(),
            key_path: fields.text("keyPath", EXPRESSION),
            item_as: fields.text("itemAs", 128),
            merge_parent: fields.switch("mergeParent").unwrap_or(false),
            item_condition: fields.text("itemCondition", EXPRESSION),
            max_items: usize::try_from(fields.whole("maxItems", 1..=MOST_BURST_ITEMS).unwrap_or(DEFAULT_BURST_ITEMS)).unwrap_or(1),
            truncates: fields.word("onOverflow", &[("fail", false), ("truncate", true)]).unwrap_or(false),
            abort_after: u32::try_from(fields.whole("abortAfterConsecutiveFailures", 0..=10_000).unwrap_or(0)).unwrap_or(0),
        };
        fields.end(burst)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn paths<T: std::fmt::Debug>(read: Result<T, Vec<Issue>>) -> Vec<String> {
        read.unwrap_err().into_iter().map(|issue| issue.path).collect()
    }

    #[test]
    fn a_data_source_is_static_a_url_or_the_templates_own() {
        assert_eq!(
            DataSource::from_json(&json!({"type": "static", "data": {"a": 1}}), ""),
            Ok(DataSource::Static { data: json!({"a": 1}) })
        );
        assert_eq!(DataSource::from_json(&json!({"type": "template"}), ""), Ok(DataSource::Template { dataset: None }));
        let Ok(DataSource::Url(url)) =
            DataSource::from_json(&json!({"type": "url", "url": "https://x.example/", "headers": {"Authorization": "Bearer x"}}), "")
        else {
            panic!("a URL is a source")
        };
        assert_eq!((url.posts, url.timeout_ms, url.format), (false, DEFAULT_TIMEOUT_MS, "json"));
    }

    #[test]
    fn what_is_wrong_with_a_data_source_is_named() {
        let read = |value| paths(DataSource::from_json(&value, "/dataSource"));
        assert_eq!(read(json!("x")), ["/dataSource"]);
        assert_eq!(read(json!({"type": "ftp"})), ["/dataSource/type"]);
        assert_eq!(read(json!({"type": "static", "data": [1]})), ["/dataSource/data"]);
        assert_eq!(read(json!({"type": "url"})), ["/dataSource/url"]);
        assert_eq!(
            read(json!({"type": "url", "url": "https://x", "body": 1, "timeoutMs": 0})),
            ["/dataSource/body", "/dataSource/timeoutMs"]
        );
        assert_eq!(read(json!({"type": "url", "url": "https://x", "headers": {"Host": "y"}})), ["/dataSource/headers"]);
        assert_eq!(read(json!({"type": "url", "url": "https://x", "headers": {"X": "a\r\nY: b"}})), ["/dataSource/headers/X"]);
    }

    #[test]
    fn a_burst_and_a_condition_are_read_strictly() {
        let burst =
            Burst::from_json(&json!({"itemsPath": "customers", "onOverflow": "truncate", "maxItems": 3, "concurrency": 4}), "").unwrap();
        assert_eq!((burst.truncates, burst.max_items, burst.merge_parent), (true, 3, false));
        assert_eq!(
            paths(Burst::from_json(&json!({"maxItems": 0, "itemPath": "x"}), "/burst")),
            ["/burst/itemPath", "/burst/itemsPath", "/burst/maxItems"]
        );
        assert_eq!(
            paths(DeliveryCondition::from_json(&json!({"skipIfempty": "x"}), "/deliveryCondition")),
            ["/deliveryCondition/skipIfempty"]
        );
    }
}
