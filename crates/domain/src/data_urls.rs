//! Addresses that data is got from: what a request may say about them.

use serde_json::Value;

use crate::issues::Issue;
use crate::secret_text::SecretText;

/// The most headers.
const HEADERS: usize = 20;
/// Bytes of a header's name, of its value, and of all of them.
const NAME_BYTES: usize = 64;
const VALUE_BYTES: usize = 4096;
const ALL_BYTES: usize = 16 * 1024;
/// Bytes of the URL; what may be called is judged later.
const URL_BYTES: usize = crate::outbound::OutboundUrl::MAX_BYTES;
/// What is the connection's or the client's to say, and what would make somebody else of us.
const NOT_YOURS: [&str; 15] = [
    "host",
    "connection",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "http2-settings",
    "expect",
    "content-length",
    "content-encoding",
    "accept-encoding",
    "range",
    "forwarded",
    "x-real-ip",
];
const NOT_YOURS_EITHER: [&str; 3] = ["proxy-", "x-forwarded-", "sec-"];

/// Where data is got from, and what is sent along. Neither is shown: both may hold secrets.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DataUrl {
    /// The URL as it was given. Whether it may be called is judged when it is.
    pub url: SecretText,
    /// Headers: names in lower case, each once, none that is the connection's own.
    pub headers: Vec<(Box<str>, SecretText)>,
}

impl DataUrl {
    /// Reads `dataUrl` and `dataHeaders`.
    pub fn from_json(url: &Value, headers: Option<&Value>) -> Result<Self, Issue> {
        let text = url.as_str().filter(|text| (1..=URL_BYTES).contains(&text.len()));
        let url = text.ok_or_else(|| Issue::new("/dataUrl", format!("must be a URL, as text of at most {URL_BYTES} bytes")))?;
        let headers = match headers {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::Object(given)) => {
                if given.len() > HEADERS {
                    return Err(Issue::new("/dataHeaders", format!("has {} headers; at most {HEADERS} are accepted", given.len())));
                }
                let mut read: Vec<(Box<str>, SecretText)> = Vec::with_capacity(given.len());
                for (name, value) in given {
                    let (name, value) = header(name, value)?;
                    if read.iter().any(|(known, _)| *known == name) {
                        return Err(of_header(&name, "is there twice"));
                    }
                    read.push((name, value));
                }
                read
            }
            Some(_) => return Err(Issue::new("/dataHeaders", "must be an object with a text for each name")),
        };
        if headers.iter().map(|(name, value)| name.len() + value.reveal().len()).sum::<usize>() > ALL_BYTES {
            return Err(Issue::new("/dataHeaders", format!("has more than {ALL_BYTES} bytes")));
        }
        Ok(Self { url: SecretText::new(url), headers })
    }
}

fn header(given: &str, value: &Value) -> Result<(Box<str>, SecretText), Issue> {
    let name = given.to_ascii_lowercase();
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if name.is_empty() || name.len() > NAME_BYTES || !name.bytes().all(is_token) {
        let said = format!("is no name of a header: 1 to {NAME_BYTES} letters, digits and -");
        return Err(of_header(&given.chars().take(NAME_BYTES).collect::<String>(), &said));
    }
    if NOT_YOURS.contains(&name.as_str()) || NOT_YOURS_EITHER.iter().any(|beginning| name.starts_with(beginning)) {
        return Err(of_header(&name, "is the server's own to send; leave it out"));
    }
    // What is wrong with the value is not shown with it.
    let fits = |text: &&str| text.len() <= VALUE_BYTES && text.trim() == *text && text.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    let value = value.as_str().filter(fits).ok_or_else(|| {
        of_header(&name, &format!("must be text of at most {VALUE_BYTES} visible ASCII characters, without a space at either end"))
    })?;
    Ok((name.into(), SecretText::new(value)))
}

fn of_header(name: &str, message: &str) -> Issue {
    Issue::new(format!("/dataHeaders/{}", name.replace('~', "~0").replace('/', "~1")), message)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(headers: &Value) -> Result<DataUrl, Issue> {
        DataUrl::from_json(&json!("https://data.example/x?token=hush"), Some(headers))
    }

    #[test]
    fn headers_are_read_by_their_names_in_lower_case_and_nothing_of_them_is_shown() {
        let url = read(&json!({"Authorization": "Bearer hush", "X-Region": "eu"})).unwrap();
        let names: Vec<&str> = url.headers.iter().map(|(name, _)| &**name).collect();
        assert_eq!(names, ["authorization", "x-region"]);
        assert!(!format!("{url:?}").contains("hush"), "{url:?}");
        assert_eq!(DataUrl::from_json(&json!("https://x.example"), None).unwrap().headers, []);
    }

    #[test]
    fn what_is_not_the_callers_to_say_is_refused_by_name_and_never_with_its_value() {
        for name in
            ["Host", "connection", "Transfer-Encoding", "Content-Length", "Proxy-Authorization", "X-Forwarded-For", "Accept-Encoding"]
        {
            let issue = read(&json!({name: "hush"})).unwrap_err();
            assert_eq!(issue.path, format!("/dataHeaders/{}", name.to_ascii_lowercase()));
            assert!(issue.message.contains("own to send") && !issue.message.contains("hush"), "{issue:?}");
        }
        for (name, value) in [
            ("", "x"),
            ("a b", "x"),
            ("a:b", "x"),
            ("ä", "x"),
            ("a\r\nb", "x"),
            ("a", "x\r\nHost: hush"),
            ("a", " hush"),
            ("a", "hüsh"),
            ("a", "\0hush"),
        ] {
            let issue = read(&json!({name: value})).unwrap_err();
            assert!(!issue.message.contains("sh") || issue.message.contains("ASCII"), "{issue:?}");
            assert!(!issue.message.contains("hush"), "{issue:?}");
        }
        assert!(read(&json!({"a": "1", "A": "2"})).unwrap_err().message.contains("twice"));
        assert!(read(&json!({"a": 1})).is_err() && read(&json!(["a"])).is_err());
        let many: serde_json::Map<String, Value> = (0..21).map(|number| (format!("x-{number}"), json!("1"))).collect();
        assert!(read(&Value::Object(many)).unwrap_err().message.contains("21 headers"));
        let large: serde_json::Map<String, Value> = (0..5).map(|number| (format!("x-{number}"), json!("1".repeat(4000)))).collect();
        assert!(read(&Value::Object(large)).unwrap_err().message.contains("more than"));
        assert!(read(&json!({"a": "1".repeat(5000)})).is_err());
    }

    #[test]
    fn a_url_is_text_of_a_bounded_length() {
        for wrong in [json!(1), json!(""), json!({}), json!("x".repeat(3000))] {
            assert_eq!(DataUrl::from_json(&wrong, None).unwrap_err().path, "/dataUrl");
        }
    }
}
