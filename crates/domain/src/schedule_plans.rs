//! What is delivered of one item of an execution, and where: written down once its data is known, so that every attempt delivers the same.

use serde::{Deserialize, Serialize};

use crate::schedule_targets::EmailMode;

/// What is delivered of one item.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeliveryPlan {
    /// Which documents of the job are the item's, one for each format.
    pub files: Vec<u32>,
    /// Whether they go in one archive.
    pub packaging: Packaging,
    /// The name of the archive, and of a file that has none, without its extension.
    pub name: String,
    /// What the item is called.
    pub key: Option<String>,
    /// The name of the schedule.
    pub schedule_name: String,
    /// When the execution was due, as an ISO 8601 time.
    pub fire_time: String,
    /// Where it goes.
    pub targets: Vec<PlannedTarget>,
}

/// Whether several documents go in one archive.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Packaging {
    /// Each by itself.
    #[default]
    Attachments,
    /// In a ZIP.
    Zip,
}

/// One target with all words filled in.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PlannedTarget {
    /// What is away together.
    pub place: String,
    /// Where and how.
    #[serde(flatten)]
    pub way: Way,
}

/// Where and how.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum Way {
    /// A message.
    Email(PlannedEmail),
    /// An object in a declared bucket.
    S3(PlannedObject),
    /// A signed call.
    Webhook(PlannedCall),
    /// A file.
    Folder(PlannedFile),
}

/// A message with all words filled in.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PlannedEmail {
    /// To whom.
    pub to: Vec<String>,
    /// Who gets a copy.
    pub cc: Vec<String>,
    /// Who gets one unseen.
    pub bcc: Vec<String>,
    /// Where answers go.
    pub reply_to: Option<String>,
    /// The name beside the operator's address.
    pub from_name: Option<String>,
    /// One line.
    pub subject: String,
    /// The text.
    pub body: Option<String>,
    /// The HTML.
    pub body_html: Option<String>,
    /// The document of the job that is the HTML.
    pub body_file: Option<u32>,
    /// The name of the attached file without its extension.
    pub attachment_name: Option<String>,
    /// Whether files are attached or linked.
    pub mode: EmailMode,
    /// From how many bytes on `auto` links.
    pub link_threshold_bytes: u64,
}

/// An object with all words filled in.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PlannedObject {
    /// The name of a declared bucket.
    pub bucket: String,
    /// The object's name; made of the schedule, the moment and the file's name where there is none.
    pub key: Option<String>,
    /// What browsers do with it.
    pub content_disposition: Option<String>,
    /// Words kept with it.
    pub metadata: Vec<(String, String)>,
}

/// A call with all words filled in.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PlannedCall {
    /// Where.
    pub url: String,
    /// Whether the files are in it; they are linked otherwise.
    pub includes_files: bool,
}

/// A file with all words filled in.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PlannedFile {
    /// The folder below the operator's root.
    pub folder: Option<String>,
    /// The name of the file without its extension.
    pub filename: Option<String>,
}

impl PlannedTarget {
    /// The word on the wire.
    pub fn kind(&self) -> &'static str {
        match self.way {
            Way::Email(_) => "email",
            Way::S3(_) => "s3",
            Way::Webhook(_) => "webhook",
            Way::Folder(_) => "folder",
        }
    }

    /// Who gets the message, where it is one.
    pub fn recipients(&self) -> Vec<String> {
        match &self.way {
            Way::Email(email) => email.to.iter().chain(&email.cc).chain(&email.bcc).cloned().collect(),
            _ => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_is_read_back_as_it_was_written() {
        let plan = DeliveryPlan {
            files: vec![0, 1],
            packaging: Packaging::Zip,
            name: "report".to_owned(),
            key: Some("north".to_owned()),
            schedule_name: "Monthly".to_owned(),
            fire_time: "2026-11-21T10:00:00Z".to_owned(),
            targets: vec![
                PlannedTarget {
                    place: "smtp".to_owned(),
                    way: Way::Email(PlannedEmail { to: vec!["a@b.c".to_owned()], ..PlannedEmail::default() }),
                },
                PlannedTarget {
                    place: "h:443".to_owned(),
                    way: Way::Webhook(PlannedCall { url: "https://h/".to_owned(), includes_files: true }),
                },
                PlannedTarget { place: "folder".to_owned(), way: Way::Folder(PlannedFile::default()) },
            ],
        };
        let text = serde_json::to_string(&plan).unwrap();
        assert!(text.contains(r#""type":"email""#) && text.contains(r#""place":"smtp""#), "the database reads these: {text}");
        assert_eq!(serde_json::from_str::<DeliveryPlan>(&text).unwrap(), plan);
    }
}
