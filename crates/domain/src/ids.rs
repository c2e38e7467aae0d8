//! Ids that sort by the time they were made.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        id! { $(#[$doc])* $name: Uuid::now_v7, "A new id (UUID version 7)." }
    };
    ($(#[$doc:meta])* $name:ident: $new:path, $about:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            #[doc = $about]
            pub fn generate() -> Self {
                Self($new())
            }

            /// The id as the database stores it.
            pub fn as_uuid(self) -> Uuid {
                self.0
            }
        }

        impl From<Uuid> for $name {
            fn from(uuid: Uuid) -> Self {
                Self(uuid)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(formatter)
            }
        }
    };
}

id! {
    /// Names one HTTP request in answers, logs and records (`X-Request-ID`).
    RequestId: own_request, "A new id of this server: UUID version 8, in which no id of a caller is accepted."
}
id! {
    /// Names one stored template, whatever its key becomes.
    TemplateId
}
id! {
    /// Names one folder of templates, whatever its name becomes and wherever it goes.
    FolderId
}
id! {
    /// Names one render token where its renders are counted and where it is withdrawn.
    RenderTokenId
}
id! {
    /// Names one act on a label: done, to come, called off or failed.
    LabelEventId
}
id! {
    /// Names one proof of what moving a label would change.
    LabelProofId
}
id! {
    /// Names one stored document.
    DocumentId
}
id! {
    /// Names one job.
    JobId
}
id! {
    /// Names one schedule, whatever it says.
    ScheduleId
}
id! {
    /// Names one calendar of holidays.
    ScheduleCalendarId
}
id! {
    /// Names one execution of a schedule.
    ScheduleExecutionId
}
id! {
    /// Names one asset, whatever its slug and its bytes become.
    AssetId
}
id! {
    /// Names one audit event.
    AuditEventId
}
id! {
    /// Names one holding of a lease: whoever has it may go on.
    LeaseToken
}
id! {
    /// Names one API key of the database, whatever its secret becomes.
    ApiKeyId
}
id! {
    /// Names one subscription to events, whatever it asks for and wherever it leads.
    WebhookId
}
id! {
    /// Names one delivery: a message to one receiver, however often it is tried.
    DeliveryId
}
id! {
    /// Names one event, the same for everybody who is told of it.
    EventId
}
id! {
    /// Names one render in the usage log. Its time is the row's `rendered_at` in whole milliseconds, so that the id leads
    /// to the part of the table that has the row.
    UsageId
}

/// Version 7 under the number for forms of one's own.
fn own_request() -> Uuid {
    const VERSION: usize = 6;
    let mut bytes = Uuid::now_v7().into_bytes();
    bytes[VERSION] = OWN << 4 | bytes[VERSION] & 0x0F;
    Uuid::from_bytes(bytes)
}

/// The version of the ids that this server gives to requests.
const OWN: u8 = 8;

impl RequestId {
    /// The id that a caller wants its request to have; none where it looks like one of ours: whoever reads a record can
    /// tell by its id alone whether the caller chose it, and may have chosen it more than once.
    pub fn of_caller(uuid: Uuid) -> Option<Self> {
        (uuid.get_version_num() != usize::from(OWN)).then_some(Self(uuid))
    }

    /// Whether this server made it.
    pub fn is_own(self) -> bool {
        Self::of_caller(self.0).is_none()
    }
}

impl UsageId {
    /// A new id that says `moment`.
    pub fn generate_at(moment: Timestamp) -> Self {
        let (seconds, nanoseconds) = (moment.as_second(), moment.subsec_nanosecond());
        let (seconds, nanoseconds) = (u64::try_from(seconds).unwrap_or(0), u32::try_from(nanoseconds).unwrap_or(0));
        Self(Uuid::new_v7(uuid::Timestamp::from_unix(uuid::NoContext, seconds, nanoseconds)))
    }

    /// The millisecond that the id says; none for an id of another kind.
    pub fn moment(self) -> Option<Timestamp> {
        let (seconds, nanoseconds) = self.0.get_timestamp()?.to_unix();
        let whole_ms = i32::try_from(nanoseconds / 1_000_000 * 1_000_000).ok()?;
        Timestamp::new(i64::try_from(seconds).ok()?, whole_ms).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_of_a_request_says_whether_a_caller_chose_it() {
        let (first, second) = (RequestId::generate(), RequestId::generate());
        assert!(first < second && first.is_own() && second.is_own());
        assert_eq!(RequestId::of_caller(first.as_uuid()), None, "nobody passes for us");
        for text in ["00000000-0000-0000-0000-000000000000", "f47ac10b-58cc-4372-a567-0e02b2c3d479", "0193e2a0-0000-7000-8000-000000000000"]
        {
            let theirs = RequestId::of_caller(text.parse().unwrap()).unwrap();
            assert!(!theirs.is_own(), "{text}");
            assert_eq!(theirs.to_string(), text);
        }
    }
}
