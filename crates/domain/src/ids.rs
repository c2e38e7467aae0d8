//! Ids that sort by the time they were made.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// A new id (UUID version 7).
            pub fn generate() -> Self {
                Self(Uuid::now_v7())
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
    /// Names one HTTP request in answers and logs (`X-Request-ID`).
    RequestId
}
id! {
    /// Names one stored template, whatever its key becomes.
    TemplateId
}
id! {
    /// Names one render token where its renders are counted and where it is withdrawn.
    RenderTokenId
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
    /// Names one render in the usage log. Its time is the row's `rendered_at` in whole milliseconds, so that the id leads
    /// to the part of the table that has the row.
    UsageId
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
