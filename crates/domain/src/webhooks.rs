//! Telling others: which events there are, what a subscription asks for, how a delivery stands, how often it is tried and how it is signed.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use url::Url;

use crate::audit::AuditKind;

/// Events and beginnings of events that one subscription may name (a CHECK of the table).
pub const PATTERNS_LIMIT: usize = 50;
/// Templates that one subscription may name (a CHECK of the table).
pub const TEMPLATE_KEYS_LIMIT: usize = 100;
/// Characters of a description (a CHECK of the table).
pub const DESCRIPTION_LIMIT_CHARS: usize = 1000;
/// Characters of a secret that a caller chooses (a CHECK of the table): 16 of hexadecimal are 64 random bits.
pub const SECRET_CHARS: std::ops::RangeInclusive<usize> = 16..=255;
/// How long the secret before a rotation may go on signing, in seconds: a week.
pub const MAX_OVERLAP_SECONDS: u32 = 7 * 24 * 3600;
/// Attempts at one delivery, unless the operator says otherwise.
pub const DEFAULT_ATTEMPTS: u32 = 10;
/// No delivery is tried for longer than this after it began to be.
pub const TRIED_FOR: Duration = Duration::from_hours(24);
/// Consecutive attempts that must have failed before a subscription is paused.
pub const FAILURES_BEFORE_PAUSE: u32 = 20;
/// And for how long nothing may have arrived.
pub const FAILING_BEFORE_PAUSE: Duration = Duration::from_hours(24);
/// The longest `Retry-After` that is kept; who asks for more is asked again after this.
pub const LONGEST_RETRY_AFTER: Duration = Duration::from_hours(6);
/// Pauses between attempts: together not quite a day.
const PAUSES_SECONDS: [u64; 9] = [5, 30, 120, 600, 1_800, 3_600, 10_800, 21_600, 43_200];

macro_rules! events {
    ($($(#[doc = $about:literal])+ $name:ident = $word:literal;)+) => {
        /// Something that others can be told of. Its name begins with the noun.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        pub enum EventType { $($(#[doc = $about])+ $name,)+ }

        impl EventType {
            /// Every event, in the order of the documentation.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// The name on the wire.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $word,)+ }
            }

            /// What happened, for people who choose.
            pub fn about(self) -> &'static str {
                match self { $(Self::$name => concat!($($about),+).trim_ascii(),)+ }
            }
        }
    };
}

events! {
    /// The first version of a template was saved.
    TemplateCreated = "template.created";
    /// A new version of a template was saved.
    TemplateUpdated = "template.updated";
    /// An old version of a template was saved again as the newest.
    TemplateRestored = "template.restored";
    /// A template was put into the trash.
    TemplateDeleted = "template.deleted";
    /// A template came back from the trash.
    TemplateUndeleted = "template.undeleted";
    /// A label of a template was given another version, or the first one.
    LabelMoved = "label.moved";
    /// A label was given the version back that it led to before.
    LabelRolledBack = "label.rolled-back";
    /// A label of a template was removed.
    LabelRemoved = "label.removed";
    /// A label's split between two versions was changed.
    LabelSplitChanged = "label.split-changed";
    /// A move of a label was planned.
    LabelScheduled = "label.scheduled";
    /// A planned move of a label was called off.
    LabelScheduleCancelled = "label.schedule-cancelled";
    /// The time of a planned move came, and it could not be made.
    LabelMoveFailed = "label.move-failed";
    /// An asset was uploaded.
    AssetUploaded = "asset.uploaded";
    /// What is said about an asset was changed.
    AssetUpdated = "asset.updated";
    /// An asset got other bytes.
    AssetReplaced = "asset.replaced";
    /// An asset got the bytes of an older version again.
    AssetRestored = "asset.restored";
    /// An asset was removed with all its versions.
    AssetDeleted = "asset.deleted";
    /// All items of a job have ended, at least one of them in a document.
    JobCompleted = "job.completed";
    /// All items of a job have ended, none of them in a document.
    JobFailed = "job.failed";
    /// A job was called off.
    JobCancelled = "job.cancelled";
    /// A document was stored.
    DocumentCreated = "document.created";
    /// A stored document was removed by somebody.
    DocumentDeleted = "document.deleted";
    /// A subscription was asked to show that messages arrive. It goes to that one alone, whatever it subscribes to.
    WebhookPing = "webhook.ping";
}

impl EventType {
    /// The event that a change of a tenant's rows is, if others are told of it.
    pub fn of(kind: AuditKind) -> Option<Self> {
        Some(match kind {
            AuditKind::TemplateCreated => Self::TemplateCreated,
            AuditKind::TemplateUpdated => Self::TemplateUpdated,
            AuditKind::TemplateRestored => Self::TemplateRestored,
            AuditKind::TemplateDeleted => Self::TemplateDeleted,
            AuditKind::TemplateUndeleted => Self::TemplateUndeleted,
            AuditKind::TemplateLabelMoved => Self::LabelMoved,
            AuditKind::TemplateLabelRolledBack => Self::LabelRolledBack,
            AuditKind::TemplateLabelRemoved => Self::LabelRemoved,
            AuditKind::TemplateLabelSplitChanged => Self::LabelSplitChanged,
            AuditKind::TemplateLabelScheduled => Self::LabelScheduled,
            AuditKind::TemplateLabelScheduleCancelled => Self::LabelScheduleCancelled,
            AuditKind::TemplateLabelMoveFailed => Self::LabelMoveFailed,
            AuditKind::AssetUploaded => Self::AssetUploaded,
            AuditKind::AssetUpdated => Self::AssetUpdated,
            AuditKind::AssetReplaced => Self::AssetReplaced,
            AuditKind::AssetRestored => Self::AssetRestored,
            AuditKind::AssetDeleted => Self::AssetDeleted,
            AuditKind::JobCancelled => Self::JobCancelled,
            AuditKind::DocumentStored => Self::DocumentCreated,
            AuditKind::DocumentDeleted => Self::DocumentDeleted,
            _ => return None,
        })
    }

    /// The noun that it begins with.
    pub fn noun(self) -> &'static str {
        self.as_str().split_once('.').map_or(self.as_str(), |(noun, _)| noun)
    }

    /// Every pattern that names it: a subscription gets it exactly when it has one of these.
    pub fn patterns(self) -> [String; 3] {
        [self.as_str().to_owned(), format!("{}.*", self.noun()), "*".to_owned()]
    }
}

impl fmt::Display for EventType {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl FromStr for EventType {
    type Err = UnknownEvent;

    fn from_str(text: &str) -> Result<Self, UnknownEvent> {
        Self::ALL.iter().copied().find(|known| known.as_str() == text).ok_or_else(|| UnknownEvent { found: cut(text, 100) })
    }
}

/// What a subscription asks for: the name of an event, all events of a noun (`label.*`), or all (`*`).
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct EventPattern(String);

impl EventPattern {
    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether a subscription with this pattern gets that event.
    pub fn names(&self, event: EventType) -> bool {
        event.patterns().contains(&self.0)
    }
}

impl FromStr for EventPattern {
    type Err = UnknownEvent;

    fn from_str(text: &str) -> Result<Self, UnknownEvent> {
        let pattern = Self(text.to_owned());
        if EventType::ALL.iter().any(|event| pattern.names(*event)) { Ok(pattern) } else { Err(UnknownEvent { found: cut(text, 100) }) }
    }
}

/// There is no such event, and none whose name begins so.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("there is no event {found:?}; accepted are names such as label.moved, label.* and *")]
pub struct UnknownEvent {
    /// What was written, at most 100 characters.
    pub found: String,
}

/// How a delivery stands.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum DeliveryStatus {
    /// It is to be tried, is being tried, or is to be tried again.
    Pending,
    /// The receiver said that it has it.
    Delivered,
    /// Nobody tries any more; it can be tried again when somebody asks.
    Failed,
    /// Somebody said that it is not wanted any more.
    Abandoned,
}

impl DeliveryStatus {
    /// Every one.
    pub const ALL: &'static [Self] = &[Self::Pending, Self::Delivered, Self::Failed, Self::Abandoned];

    /// The word on the wire and in the table.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Delivered => "delivered",
            Self::Failed => "failed",
            Self::Abandoned => "abandoned",
        }
    }

    /// Whether a delivery that stands so may stand as `next` afterwards.
    pub fn can_become(self, next: Self) -> bool {
        match self {
            Self::Pending => matches!(next, Self::Delivered | Self::Failed),
            Self::Failed => matches!(next, Self::Pending | Self::Abandoned),
            Self::Delivered | Self::Abandoned => false,
        }
    }
}

impl FromStr for DeliveryStatus {
    type Err = UnknownDeliveryStatus;

    fn from_str(text: &str) -> Result<Self, UnknownDeliveryStatus> {
        Self::ALL.iter().copied().find(|known| known.as_str() == text).ok_or(UnknownDeliveryStatus)
    }
}

/// The text is no state of a delivery.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("no such state of a delivery; accepted: pending, delivered, failed, abandoned")]
pub struct UnknownDeliveryStatus;

/// What is waited before the attempt after the `attempt`th (from 1) that failed. What the receiver asked for (`Retry-After`)
/// counts where it is longer, up to [`LONGEST_RETRY_AFTER`].
pub fn pause_after(attempt: u32, asked_for: Option<Duration>) -> Duration {
    let place = usize::try_from(attempt.saturating_sub(1)).unwrap_or(usize::MAX).min(PAUSES_SECONDS.len() - 1);
    let own = Duration::from_secs(PAUSES_SECONDS[place]);
    own.max(asked_for.unwrap_or_default().min(LONGEST_RETRY_AFTER))
}

/// The value of `X-PulpEngine-Signature`: for each secret `sha256=` and the HMAC-SHA256 of the time, a dot and the body in
/// hexadecimal, by commas. The current secret comes first.
pub fn signatures(secrets: &[&str], timestamp_s: i64, body: &[u8]) -> String {
    let time = timestamp_s.to_string();
    let signed = secrets.iter().filter_map(|secret| {
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).ok()?;
        for part in [time.as_bytes(), b".", body] {
            mac.update(part);
        }
        Some(format!("sha256={}", hex::encode(mac.finalize().into_bytes())))
    });
    signed.collect::<Vec<_>>().join(",")
}

/// Host and port of a URL: what is away together. What is no URL is a target of its own.
pub fn target(url: &str) -> String {
    let parsed = Url::parse(url).ok();
    let host = parsed.as_ref().and_then(|url| Some(format!("{}:{}", url.host_str()?, url.port_or_known_default()?)));
    host.unwrap_or_else(|| cut(url, 300)).chars().take(300).collect()
}

fn cut(text: &str, chars: usize) -> String {
    text.chars().take(chars).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signatures_are_those_of_the_published_vectors() {
        let callback = signatures(&["wave10-signature-vector"], 1_791_690_000, br#"{"jobId":"vector","status":"completed"}"#);
        assert_eq!(callback, "sha256=1b1a1ad483b58eec8504996e33461c47d64b1fcdc559e168c9546fd335fc8c78");
        let body = br#"{"id":"evt_golden","type":"webhook.ping","apiVersion":"1","createdAt":"2026-10-12T00:00:00.000Z","correlationId":null,"data":{"message":"hello"}}"#;
        let event = signatures(&["golden-secret-key-32-characters!!"], 1_791_763_200, body);
        assert_eq!(event, "sha256=87bee10971bb35db3428507d599456ef5823f75c5a31b6502b9a14cda038ef65");
        let both = signatures(&["golden-secret-key-32-characters!!", "another"], 1_791_763_200, body);
        let (first, second) = both.split_once(',').unwrap();
        assert_eq!(first, event, "the current secret comes first");
        assert!(second.starts_with("sha256=") && second.len() == 71 && second != event);
    }

    #[test]
    fn a_pattern_names_one_event_those_of_a_noun_or_all() {
        let names = |pattern: &str| {
            let pattern: EventPattern = pattern.parse().unwrap();
            EventType::ALL.iter().filter(|event| pattern.names(**event)).count()
        };
        assert_eq!(names("label.moved"), 1);
        assert_eq!(names("label.*"), 7);
        assert_eq!(names("*"), EventType::ALL.len());
        for unknown in ["", "label", "label.", "label.m*", "lab*", "nothing.*", "Label.moved", "*.*", "label.moved "] {
            assert!(unknown.parse::<EventPattern>().is_err(), "{unknown:?}");
        }
        for event in EventType::ALL {
            assert_eq!(event.as_str().parse(), Ok(*event));
            assert!(event.about().ends_with('.'), "{event}");
        }
    }

    #[test]
    fn what_arrived_or_was_abandoned_stays_so() {
        for from in DeliveryStatus::ALL {
            for to in DeliveryStatus::ALL {
                let ended = matches!(from, DeliveryStatus::Delivered | DeliveryStatus::Abandoned);
                assert!(!(ended && from.can_become(*to)), "{from:?} {to:?}");
            }
            assert_eq!(from.as_str().parse(), Ok(*from));
            assert!(!from.can_become(*from));
        }
    }

    #[test]
    fn pauses_grow_and_all_of_them_fit_into_a_day() {
        let pauses: Vec<Duration> = (1..DEFAULT_ATTEMPTS).map(|attempt| pause_after(attempt, None)).collect();
        assert!(pauses.is_sorted() && pauses.iter().sum::<Duration>() < TRIED_FOR);
        assert_eq!(pause_after(1, Some(Duration::from_mins(1))), Duration::from_mins(1), "the receiver may ask for more");
        assert_eq!(pause_after(4, Some(Duration::from_secs(1))), Duration::from_mins(10), "and not for less");
        assert_eq!(pause_after(1, Some(Duration::from_hours(1000))), LONGEST_RETRY_AFTER);
        assert_eq!(pause_after(u32::MAX, None), Duration::from_hours(12));
    }

    #[test]
    fn what_is_away_together_has_one_target() {
        assert_eq!(target("https://Hooks.example.org/a?b"), "hooks.example.org:443");
        assert_eq!(target("https://hooks.example.org:8443/"), "hooks.example.org:8443");
        assert_eq!(target("https://[2001:db8::1]/"), "[2001:db8::1]:443");
        assert_eq!(target("no url"), "no url");
    }
}
