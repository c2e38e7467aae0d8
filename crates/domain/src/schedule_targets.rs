//! Where the documents of a schedule are delivered: read, checked, and told apart by what is away together.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::issues::{Issue, pointer};
use crate::schedule_fields::Fields;

/// Targets that one schedule may have.
pub const TARGETS_LIMIT: usize = 10;
/// Addresses of one message, all kinds together: what most mail servers take at once.
pub const RECIPIENTS_LIMIT: usize = 100;
/// The largest attachment of a message that nobody gave a limit: most mail servers take 25 MB with the third that base64 adds.
pub const DEFAULT_LINK_THRESHOLD_BYTES: u64 = 10 * 1024 * 1024;
const MOST_THRESHOLD_BYTES: u64 = 100 * 1024 * 1024;
/// Characters of a subject, a name or a path.
const SHORT: usize = 998;
/// Characters of a body.
const BODY: usize = 100_000;
/// Types that other installations of the product know and this one does not.
const LATER: [&str; 8] = ["sftp", "azure-blob", "sharepoint", "onedrive", "slack", "teams", "google-drive", "esign"];

/// Somewhere a schedule's documents go. Texts marked as templates hold expressions over the document's data.
#[derive(Clone, PartialEq, Eq, Debug)]
#[expect(clippy::large_enum_variant, reason = "a schedule has a few of them, most of which are e-mails")]
pub enum ScheduleTarget {
    /// By e-mail.
    Email(EmailTarget),
    /// Into a bucket that the operator declared.
    S3(BucketTarget),
    /// To an address outside, signed.
    Webhook(WebhookTarget),
    /// Into a folder under the operator's root.
    Folder(FolderTarget),
}

/// A message with the documents, or links to them.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct EmailTarget {
    /// To whom.
    pub to: Vec<String>,
    /// Who gets a copy.
    pub cc: Vec<String>,
    /// Who gets a copy that the others do not see.
    pub bcc: Vec<String>,
    /// Where in the data more addresses stand: one or a list.
    pub to_path: Option<String>,
    /// The same for copies.
    pub cc_path: Option<String>,
    /// Where answers go.
    pub reply_to: Option<String>,
    /// The name beside the operator's address; a template.
    pub from_name: Option<String>,
    /// A template.
    pub subject: Option<String>,
    /// The text; a template.
    pub body: Option<String>,
    /// The HTML; a template.
    pub body_html: Option<String>,
    /// A stored template whose HTML is the body.
    pub body_template: Option<BodyTemplate>,
    /// The name of the attached file without its extension; a template.
    pub attachment_name: Option<String>,
    /// Whether files are attached or linked.
    pub mode: EmailMode,
    /// From how many bytes on `auto` links.
    pub link_threshold_bytes: u64,
}

/// A stored template.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BodyTemplate {
    /// Its key.
    pub template: String,
    /// Which version.
    pub version: Option<String>,
    /// Or where which label leads.
    pub label: Option<String>,
}

/// Whether files are attached or linked.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EmailMode {
    /// Attached, whatever their size.
    Attachment,
    /// Linked.
    Link,
    /// Attached unless they are too large.
    #[default]
    Auto,
}

/// A place in a bucket.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BucketTarget {
    /// The name of a declared bucket.
    pub bucket: String,
    /// The name of the object; a template. Without one it is made of the schedule and the moment.
    pub key: Option<String>,
    /// What browsers do with the object.
    pub content_disposition: Option<&'static str>,
    /// Words kept with the object.
    pub metadata: Vec<(String, String)>,
}

/// An address outside.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct WebhookTarget {
    /// Where.
    pub url: String,
    /// What messages are signed with; taken out before the schedule is kept.
    pub secret: Option<String>,
    /// Whether the files are in the message.
    pub files: WebhookFiles,
}

/// Whether the files are in the message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum WebhookFiles {
    /// As base64.
    Inside,
    /// As links.
    Linked,
}

/// A place under the operator's root.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FolderTarget {
    /// The folder below the root; a template.
    pub folder: Option<String>,
    /// The name of the file without its extension; a template.
    pub filename: Option<String>,
}

impl ScheduleTarget {
    /// The word on the wire.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Email(_) => "email",
            Self::S3(_) => "s3",
            Self::Webhook(_) => "webhook",
            Self::Folder(_) => "folder",
        }
    }

    /// What is away together: the mail server, the bucket, the host and port of a URL, the folder.
    pub fn place(&self) -> String {
        match self {
            Self::Email(_) => "smtp".to_owned(),
            Self::S3(target) => format!("s3 {}", target.bucket),
            Self::Webhook(target) => crate::webhooks::target(&target.url),
            Self::Folder(_) => "folder".to_owned(),
        }
    }

    /// Reads the `deliveryTargets` of a schedule. `path` is where they stand.
    pub fn list_from_json(value: &Value, path: &str) -> Result<Vec<Self>, Vec<Issue>> {
        let Some(list) = value.as_array() else {
            return Err(vec![Issue::new(path, "must be a list such as [{\"type\": \"email\", \"to\": [\"ada@example.org\"]}]")]);
        };
        if list.len() > TARGETS_LIMIT {
            return Err(vec![Issue::new(path, format!("has {} targets; at most {TARGETS_LIMIT} are accepted", list.len()))]);
        }
        let (mut targets, mut issues) = (Vec::new(), Vec::new());
        for (index, value) in list.iter().enumerate() {
            match Self::from_json(value, &pointer(path, index)) {
                Ok(target) => targets.push(target),
                Err(found) => issues.extend(found),
            }
        }
        if issues.is_empty() { Ok(targets) } else { Err(issues) }
    }

    /// Reads one target. Fields that nobody knows are kept and mean nothing.
    pub fn from_json(value: &Value, path: &str) -> Result<Self, Vec<Issue>> {
        let mut fields = Fields::of(value, path, "{\"type\": \"email\", \"to\": [\"ada@example.org\"]}")?;
        let read = match fields.get("type").and_then(Value::as_str) {
            Some("email") => Some(Self::Email(email(&mut fields))),
            Some("s3") => Some(Self::S3(bucket(&mut fields))),
            Some("webhook") => webhook(&mut fields).map(Self::Webhook),
            Some("folder") => {
                Some(Self::Folder(FolderTarget { folder: fields.text("folderPath", SHORT), filename: fields.text("filename", SHORT) }))
            }
            Some(other) if LATER.contains(&other) => {
                fields.refuse("type", format!("{other} is not available in this version; available: email, s3, webhook, folder"));
                None
            }
            _ => {
                fields.refuse("type", "accepted: email, s3, webhook, folder");
                None
            }
        };
        fields.end_with(read)
    }
}

fn email(fields: &mut Fields<'_>) -> EmailTarget {
    let [to, cc, bcc] = ["to", "cc", "bcc"].map(|name| addresses(fields, name));
    let target = EmailTarget {
        to,
        cc,
        bcc,
        to_path: fields.text("toPath", SHORT),
        cc_path: fields.text("ccPath", SHORT),
        reply_to: fields.text("replyTo", SHORT),
        from_name: fields.text("fromName", SHORT),
        subject: fields.text("subject", SHORT),
        body: fields.lines("body", BODY),
        body_html: fields.lines("bodyHtml", BODY),
        body_template: body_template(fields),
        attachment_name: fields.text("attachmentName", SHORT),
        mode: fields
            .word("deliveryMode", &[("attachment", EmailMode::Attachment), ("link", EmailMode::Link), ("auto", EmailMode::Auto)])
            .unwrap_or_default(),
        link_threshold_bytes: fields.whole("linkThresholdBytes", 1..=MOST_THRESHOLD_BYTES).unwrap_or(DEFAULT_LINK_THRESHOLD_BYTES),
    };
    if let Some(reply_to) = &target.reply_to
        && !is_address(reply_to)
    {
        fields.refuse("replyTo", "must be an address such as ada@example.org");
    }
    if target.to.is_empty() && target.to_path.is_none() {
        fields.refuse("to", "is missing; accepted: a list of addresses such as [\"ada@example.org\"], or toPath");
    }
    if target.to.len() + target.cc.len() + target.bcc.len() > RECIPIENTS_LIMIT {
        fields.refuse("to", format!("at most {RECIPIENTS_LIMIT} addresses with cc and bcc"));
    }
    if target.body_html.is_some() && target.body_template.is_some() {
        fields.refuse("bodyTemplate", "and bodyHtml exclude each other");
    }
    target
}

fn addresses(fields: &mut Fields<'_>, name: &str) -> Vec<String> {
    let Some(value) = fields.get(name) else { return Vec::new() };
    let single = std::slice::from_ref(value);
    let list = if value.is_string() { single } else { value.as_array().map_or(&[][..], Vec::as_slice) };
    let read: Vec<String> =
        list.iter().filter_map(|value| value.as_str().map(str::trim).filter(|text| is_address(text)).map(str::to_owned)).collect();
    if read.len() != list.len() || !(value.is_array() || value.is_string()) {
        fields.refuse(name, "must be a list of addresses such as [\"ada@example.org\"]");
    }
    read
}

/// Whether a text is a plain address: one `@`, nothing that separates or ends a header, as mail servers everywhere take it.
pub fn is_address(text: &str) -> bool {
    let plain = |character: char| {
        character.is_ascii_graphic() && !matches!(character, ',' | ';' | ':' | '<' | '>' | '(' | ')' | '[' | ']' | '"' | '\\')
    };
    let Some((local, host)) = text.rsplit_once('@') else { return false };
    let is_host = host.split('.').all(|label| {
        !label.is_empty()
            && label.len() <= 63
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    });
    let dots = !local.starts_with('.') && !local.ends_with('.') && !local.contains("..");
    (1..=64).contains(&local.len()) && text.len() <= 254 && !local.contains('@') && local.chars().all(plain) && dots && is_host
}

fn body_template(fields: &mut Fields<'_>) -> Option<BodyTemplate> {
    let value = fields.get("bodyTemplate")?;
    let path = fields.path("bodyTemplate");
    let read = Fields::of(value, &path, "{\"template\": \"cover-note\"}").and_then(|mut inner| {
        let template = if inner.get("template").is_none() && inner.get("key").is_some() {
            inner.needed_text("key", 128, "cover-note")
        } else {
            inner.needed_text("template", 128, "cover-note")
        };
        let (version, label) = (inner.text("version", 32), inner.text("label", 64));
        if version.is_some() && label.is_some() {
            inner.refuse("label", "and version exclude each other");
        }
        inner.end_with(template.map(|template| BodyTemplate { template, version, label }))
    });
    fields.take(read)
}

fn bucket(fields: &mut Fields<'_>) -> BucketTarget {
    let bucket = fields.needed_text("bucket", 255, "reports");
    let target = BucketTarget {
        bucket: bucket.unwrap_or_default(),
        key: fields.text("key", SHORT),
        content_disposition: fields.word("contentDisposition", &[("inline", "inline"), ("attachment", "attachment")]),
        metadata: fields.texts("metadata", 10, 500),
    };
    if target.metadata.iter().any(|(name, value)| !is_header_name(name) || !value.is_ascii()) {
        fields.refuse("metadata", "names may have letters, digits and '-', and texts are ASCII");
    }
    target
}

fn is_header_name(name: &str) -> bool {
    (1..=100).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

fn webhook(fields: &mut Fields<'_>) -> Option<WebhookTarget> {
    let url = fields.needed_text("url", 2048, "https://hooks.example.org/reports");
    let secret = fields.text("secret", 255);
    if secret.as_ref().is_some_and(|secret| secret.chars().count() < 8) {
        fields.refuse("secret", "accepted: 8 to 255 printable characters");
    }
    let files = if fields.switch("includeBody").unwrap_or(true) { WebhookFiles::Inside } else { WebhookFiles::Linked };
    url.map(|url| WebhookTarget { url, secret, files })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn wrong(value: &Value) -> Vec<String> {
        ScheduleTarget::list_from_json(value, "/deliveryTargets").unwrap_err().into_iter().map(|issue| issue.path).collect()
    }

    #[test]
    fn targets_are_read_with_what_they_leave_out() {
        let targets = ScheduleTarget::list_from_json(
            &json!([
                {"type": "email", "to": ["ada@example.org"], "subject": "Report {{month}}", "unknownField": 1},
                {"type": "s3", "bucket": "reports", "key": "a/{{id}}.pdf"},
                {"type": "webhook", "url": "https://Hooks.example.org/x", "secret": "12345678", "includeBody": false},
                {"type": "folder"}
            ]),
            "",
        )
        .unwrap();
        let places: Vec<String> = targets.iter().map(ScheduleTarget::place).collect();
        assert_eq!(places, ["smtp", "s3 reports", "hooks.example.org:443", "folder"]);
        let ScheduleTarget::Email(email) = &targets[0] else { panic!("{targets:?}") };
        assert_eq!((email.mode, email.link_threshold_bytes), (EmailMode::Auto, DEFAULT_LINK_THRESHOLD_BYTES));
    }

    #[test]
    fn everything_that_is_wrong_with_targets_is_named_where_it_stands() {
        assert_eq!(wrong(&json!({})), ["/deliveryTargets"]);
        assert_eq!(
            wrong(&json!([{"type": "sftp"}, {"type": "pigeon"}, 7])),
            ["/deliveryTargets/0/type", "/deliveryTargets/1/type", "/deliveryTargets/2"]
        );
        assert_eq!(wrong(&json!([{"type": "email"}])), ["/deliveryTargets/0/to"]);
        assert_eq!(wrong(&json!([{"type": "webhook"}])), ["/deliveryTargets/0/url"]);
        assert_eq!(wrong(&json!([{"type": "s3"}])), ["/deliveryTargets/0/bucket"]);
        let email = json!([{"type": "email", "to": ["ada@example.org\r\nBcc: eve@example.org"], "subject": "a\r\nBcc: x", "deliveryMode": "pigeon", "linkThresholdBytes": 0}]);
        assert_eq!(
            wrong(&email),
            [
                "/deliveryTargets/0/to",
                "/deliveryTargets/0/subject",
                "/deliveryTargets/0/deliveryMode",
                "/deliveryTargets/0/linkThresholdBytes",
                "/deliveryTargets/0/to"
            ]
        );
    }

    #[test]
    fn an_address_is_one_address_and_nothing_else() {
        for good in ["ada@example.org", "a.b+c@x-y.example", "ada@localhost", "o'hara@example.org"] {
            assert!(is_address(good), "{good}");
        }
        for bad in [
            "",
            "ada",
            "@example.org",
            "ada@",
            "ada@example.org,eve@example.org",
            "ada@exa mple.org",
            "ada@example.org\n",
            "Ada <ada@example.org>",
            "a@b@c",
            ".a@b.c",
            "a..b@c",
            "ada@-x.org",
            "ada@example..org",
            "äda@example.org",
        ] {
            assert!(!is_address(bad), "{bad}");
        }
    }
}
