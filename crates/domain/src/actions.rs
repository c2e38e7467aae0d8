//! What can be done with the product: the words that scopes and roles are made of.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

macro_rules! actions {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)+) => {
        /// One kind of act. Every operation of the interface needs exactly one; who may do it says [`crate::Scope::may`].
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "&'static str")]
        pub enum Action { $($(#[$doc])* $name,)+ }

        impl Action {
            /// Every action.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// The word for it in tokens, roles and answers: `resource:verb`.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)+ }
            }
        }
    };
}

actions! {
    /// Ask what this server can do.
    ServerRead = "server:read",
    /// Look at how this server is set up, and use a path nobody knows.
    SystemRead = "system:read",
    /// Read templates, their versions, schemas and samples, and check data against them.
    TemplateRead = "template:read",
    /// Create templates and save new versions and samples.
    TemplateWrite = "template:write",
    /// Put templates into the trash.
    TemplateDelete = "template:delete",
    /// Make an old version current again.
    TemplateRestore = "template:restore",
    /// Say which version a label leads to, now or later.
    TemplateRelease = "template:release",
    /// Read assets and what is known of them.
    AssetRead = "asset:read",
    /// Upload, change and remove assets.
    AssetWrite = "asset:write",
    /// Render documents.
    DocumentRender = "document:render",
    /// Render previews.
    DocumentPreview = "document:preview",
    /// Read and download stored documents: with a key those that were stored with it.
    DocumentRead = "document:read",
    /// Make and revoke links to stored documents that one may read.
    DocumentShare = "document:share",
    /// Read everybody's stored documents, and remove them.
    DocumentManage = "document:manage",
    /// Look at jobs and get their documents.
    JobRead = "job:read",
    /// Make and withdraw render tokens for browsers.
    RenderTokenManage = "render-token:manage",
    /// Read who changed what.
    AuditRead = "audit:read",
    /// Remove old audit events.
    AuditPurge = "audit:purge",
    /// Read what was rendered and what it cost.
    UsageRead = "usage:read",
    /// Subscribe to events, see what was sent, and look after callbacks of jobs that did not arrive.
    WebhookManage = "webhook:manage",
    /// Look at schedules, their calendars and what came of them.
    ScheduleRead = "schedule:read",
    /// Make, change, start and remove schedules and their calendars, and look after what did not arrive.
    ScheduleManage = "schedule:manage",
    /// Make, change and withdraw API keys.
    ApiKeyManage = "api-key:manage",
    /// Make, change and remove users.
    UserManage = "user:manage",
    /// Make, change, archive and remove tenants, and see the usage of all.
    TenantManage = "tenant:manage",
}

impl Action {
    /// Whether it only looks, is about the tenant itself, or takes back what was given out (making a link asks for itself): such
    /// actions are also there for an archived tenant.
    pub fn spares_archived_tenants(self) -> bool {
        matches!(
            self,
            Self::ServerRead
                | Self::SystemRead
                | Self::TemplateRead
                | Self::AssetRead
                | Self::DocumentRead
                | Self::DocumentShare
                | Self::AuditRead
                | Self::JobRead
                | Self::UsageRead
                | Self::ScheduleRead
                | Self::TenantManage
        )
    }
}

impl Action {
    /// Whether what is done with it asks for each template whether the credential is for it. What is about the tenant as a
    /// whole is not there for a credential that is limited to some templates.
    pub fn asks_for_the_template(self) -> bool {
        matches!(
            self,
            Self::ServerRead
                | Self::TemplateRead
                | Self::TemplateWrite
                | Self::TemplateDelete
                | Self::TemplateRestore
                | Self::TemplateRelease
                | Self::DocumentRender
                | Self::DocumentPreview
                | Self::DocumentRead
                | Self::DocumentShare
                | Self::DocumentManage
                | Self::JobRead
                | Self::RenderTokenManage
                | Self::UsageRead
                | Self::ScheduleRead
                | Self::ScheduleManage
        )
    }
}

/// The text names no action.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("no such action; accepted: {}", Action::ALL.iter().map(|action| action.as_str()).collect::<Vec<_>>().join(", "))]
pub struct UnknownAction;

impl FromStr for Action {
    type Err = UnknownAction;

    fn from_str(text: &str) -> Result<Self, UnknownAction> {
        Self::ALL.iter().copied().find(|action| action.as_str() == text).ok_or(UnknownAction)
    }
}

impl TryFrom<String> for Action {
    type Error = UnknownAction;

    fn try_from(text: String) -> Result<Self, UnknownAction> {
        text.parse()
    }
}

impl From<Action> for &'static str {
    fn from(action: Action) -> Self {
        action.as_str()
    }
}

impl fmt::Display for Action {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}
