//! What the audit log says of a change, and how its rows are chained.

use jiff::Timestamp;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use uuid::Uuid;

#[cfg(doc)]
use crate::actors::Actor;
use crate::tenants::TenantId;

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $event:literal, $operation:literal, $resource:literal;)+) => {
        /// A kind of change. Its event name begins with the type of the resource.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        pub enum AuditKind { $($(#[$doc])* $name,)+ }

        impl AuditKind {
            /// Every kind.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// The published name of the event.
            pub fn event(self) -> &'static str {
                match self { $(Self::$name => $event,)+ }
            }

            /// The verb: `create`, `update`, `delete` and so on.
            pub fn operation(self) -> &'static str {
                match self { $(Self::$name => $operation,)+ }
            }

            /// The type of what was changed.
            pub fn resource_type(self) -> &'static str {
                match self { $(Self::$name => $resource,)+ }
            }
        }
    };
}

kinds! {
    /// The first version of a template was saved.
    TemplateCreated = "template.created", "create", "template";
    /// A new version of a template was saved.
    TemplateUpdated = "template.updated", "update", "template";
    /// A template was put into the trash.
    TemplateDeleted = "template.deleted", "delete", "template";
    /// A template came back from the trash.
    TemplateUndeleted = "template.undeleted", "undelete", "template";
    /// A template in the trash was removed for good.
    TemplatePurged = "template.purged", "purge", "template";
    /// A template got another folder, other tags or another owner.
    TemplateMetaChanged = "template.meta-changed", "update", "template";
    /// A folder of templates was made.
    FolderCreated = "template-folder.created", "create", "template-folder";
    /// A folder of templates was renamed or moved.
    FolderUpdated = "template-folder.updated", "update", "template-folder";
    /// A folder of templates was removed.
    FolderDeleted = "template-folder.deleted", "delete", "template-folder";
    /// An old version was saved again as the newest.
    TemplateRestored = "template.restored", "restore", "template";
    /// The note of a version was changed.
    TemplateNoteChanged = "template.note-changed", "update", "template";
    /// The example data of a template was saved.
    SampleSaved = "template.sample-saved", "update", "template";
    /// The example data of a template was removed.
    SampleDeleted = "template.sample-deleted", "delete", "template";
    /// A draft was saved: the first time, from another version, or after a while.
    DraftSaved = "template.draft-saved", "update", "template";
    /// A draft was removed by its owner.
    DraftDeleted = "template.draft-deleted", "delete", "template";
    /// A label of a template was given another version, or the first one.
    TemplateLabelMoved = "template.label-moved", "update", "template";
    /// A label of a template was removed.
    TemplateLabelRemoved = "template.label-removed", "delete", "template";
    /// A label's split between its version and that of its control was changed.
    TemplateLabelSplitChanged = "template.label-split-changed", "update", "template";
    /// A move of a label was planned.
    TemplateLabelScheduled = "template.label-scheduled", "schedule", "template";
    /// A planned move of a label was called off.
    TemplateLabelScheduleCancelled = "template.label-schedule-cancelled", "cancel", "template";
    /// The time of a planned move came, and it could not be made.
    TemplateLabelMoveFailed = "template.label-move-failed", "update", "template";
    /// A label was given the version back that it led to before its newest move.
    TemplateLabelRolledBack = "template.label-rolled-back", "rollback", "template";
    /// It was found out what moving a label would change.
    TemplateLabelProven = "template.label-proven", "prove", "template";
    /// Proofs were removed because of their age.
    TemplateLabelProofsExpired = "template.label-proofs-expired", "purge", "template";
    /// The history of labels that was kept for long enough was removed.
    TemplateLabelHistoryExpired = "template.label-history-expired", "purge", "template";
    /// An asset was uploaded.
    AssetUploaded = "asset.uploaded", "create", "asset";
    /// What is said about an asset was changed.
    AssetUpdated = "asset.updated", "update", "asset";
    /// An asset got other bytes.
    AssetReplaced = "asset.replaced", "update", "asset";
    /// An asset got the bytes of an older version again.
    AssetRestored = "asset.restored", "restore", "asset";
    /// An asset was removed with all its versions.
    AssetDeleted = "asset.deleted", "delete", "asset";
    /// Named example data of a template was saved.
    DatasetSaved = "template.dataset-saved", "update", "template";
    /// Named example data of a template was removed.
    DatasetDeleted = "template.dataset-deleted", "delete", "template";
    /// Data was uploaded to be rendered from.
    TemporaryDatasetCreated = "dataset.created", "create", "dataset";
    /// Uploaded data was removed.
    TemporaryDatasetDeleted = "dataset.deleted", "delete", "dataset";
    /// Uploaded data was removed because its time was over.
    TemporaryDatasetsExpired = "dataset.expired", "purge", "dataset";
    /// Documents were asked for that nobody waits for.
    JobSubmitted = "job.submitted", "create", "job";
    /// A job was called off.
    JobCancelled = "job.cancelled", "cancel", "job";
    /// A job was removed with its documents.
    JobDeleted = "job.deleted", "delete", "job";
    /// A finished document was stored, because its request asked for it.
    DocumentStored = "document.stored", "create", "document";
    /// A link to a stored document was made.
    DocumentLinkCreated = "document.link-created", "create", "document";
    /// All links to a stored document were made void.
    DocumentLinksRevoked = "document.links-revoked", "revoke", "document";
    /// A stored document was removed.
    DocumentDeleted = "document.deleted", "delete", "document";
    /// Stored documents were removed because their time was over.
    DocumentsExpired = "document.expired", "purge", "document";
    /// Somebody removed audit events.
    AuditPurged = "audit.purged", "purge", "audit";
    /// Audit events were removed because of their age.
    AuditExpired = "audit.expired", "purge", "audit";
    /// A credential was exchanged for an editor token.
    EditorTokenMinted = "editor_token_minted", "mint", "editor-token";
    /// A person came in through the identity provider.
    UserSignedIn = "user.signed-in", "sign-in", "user";
    /// A render token was made.
    RenderTokenCreated = "render-token.created", "create", "render-token";
    /// A render token was withdrawn.
    RenderTokenRevoked = "render-token.revoked", "revoke", "render-token";
    /// An API key was made.
    ApiKeyCreated = "api-key.created", "create", "api-key";
    /// What an API key may do was changed.
    ApiKeyUpdated = "api-key.updated", "update", "api-key";
    /// An API key got a new secret.
    ApiKeyRotated = "api-key.rotated", "rotate", "api-key";
    /// An API key was withdrawn.
    ApiKeyRevoked = "api-key.revoked", "revoke", "api-key";
    /// A user was made.
    UserCreated = "user.created", "create", "user";
    /// A user was changed.
    UserUpdated = "user.updated", "update", "user";
    /// A user was removed.
    UserDeleted = "user.deleted", "delete", "user";
    /// A subscription to events was made.
    WebhookCreated = "webhook.created", "create", "webhook";
    /// A subscription to events was changed.
    WebhookUpdated = "webhook.updated", "update", "webhook";
    /// A subscription to events was removed with its deliveries.
    WebhookDeleted = "webhook.deleted", "delete", "webhook";
    /// A subscription to events got another secret.
    WebhookSecretRotated = "webhook.secret-rotated", "rotate", "webhook";
    /// A subscription was asked to show that messages arrive.
    WebhookPinged = "webhook.pinged", "ping", "webhook";
    /// An event was sent to a subscription once more.
    WebhookRedelivered = "webhook.redelivered", "replay", "webhook";
    /// Nothing had arrived at a subscription for so long that nobody tries any more.
    WebhookPaused = "webhook.paused", "update", "webhook";
    /// The callback of a job that did not arrive is tried again.
    CallbackReplayed = "callback.replayed", "replay", "callback";
    /// The callback of a job that did not arrive is not wanted any more.
    CallbackAbandoned = "callback.abandoned", "abandon", "callback";
    /// A schedule was made.
    ScheduleCreated = "schedule.created", "create", "schedule";
    /// A schedule was changed, or switched on or off.
    ScheduleUpdated = "schedule.updated", "update", "schedule";
    /// A schedule was removed; what was under way of it is called off.
    ScheduleDeleted = "schedule.deleted", "delete", "schedule";
    /// A calendar of holidays was made.
    ScheduleCalendarCreated = "schedule-calendar.created", "create", "schedule-calendar";
    /// A calendar of holidays was changed.
    ScheduleCalendarUpdated = "schedule-calendar.updated", "update", "schedule-calendar";
    /// A calendar of holidays was removed.
    ScheduleCalendarDeleted = "schedule-calendar.deleted", "delete", "schedule-calendar";
    /// Somebody had a schedule executed at once.
    ScheduleTriggered = "schedule.triggered", "trigger", "schedule";
    /// Somebody had a schedule executed at once, for some addresses alone.
    ScheduleTested = "schedule.tested", "test", "schedule";
    /// What did not arrive of a schedule is tried again.
    ScheduleDeliveryReplayed = "schedule-delivery.replayed", "replay", "schedule-delivery";
    /// What did not arrive of a schedule is not wanted any more.
    ScheduleDeliveryAbandoned = "schedule-delivery.abandoned", "abandon", "schedule-delivery";
    /// A tenant was made.
    TenantCreated = "tenant.created", "create", "tenant";
    /// A tenant was changed.
    TenantUpdated = "tenant.updated", "update", "tenant";
    /// A tenant takes no more writes.
    TenantArchived = "tenant.archived", "archive", "tenant";
    /// A tenant takes writes again.
    TenantUnarchived = "tenant.unarchived", "unarchive", "tenant";
    /// Everything of a tenant was removed.
    TenantPurged = "tenant.purged", "purge", "tenant";
    /// Everything of a tenant was copied out.
    TenantExported = "tenant.exported", "export", "tenant";
}

/// One change, as its author's transaction records it.
#[derive(Clone, Debug)]
pub struct AuditEvent {
    /// What happened.
    pub kind: AuditKind,
    /// Which resource; up to 512 characters.
    pub resource_id: String,
    /// What else is worth knowing. Never a secret.
    pub details: Map<String, Value>,
}

impl AuditEvent {
    /// An event without details.
    pub fn new(kind: AuditKind, resource_id: impl std::fmt::Display) -> Self {
        Self { kind, resource_id: format!("{resource_id}"), details: Map::new() }
    }

    /// Adds a detail.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.details.insert(name.to_owned(), value.into());
        self
    }
}

/// A link of a tenant's chain: SHA-256 over the link before and the content of the row.
pub type ChainHash = [u8; 32];

/// What the first row of every chain follows on.
pub const GENESIS: ChainHash = [0; 32];

/// A row as it is hashed: everything it says, in a fixed order.
#[derive(Clone, Copy, Debug)]
pub struct ChainedRow<'a> {
    /// Whose chain.
    pub tenant: &'a TenantId,
    /// The place in the chain, from 1 without a gap.
    pub seq: i64,
    /// The row's id.
    pub event_id: Uuid,
    /// When it happened, in whole microseconds; never before the row in front of it.
    pub occurred_at: Timestamp,
    /// See [`AuditKind::event`].
    pub event: &'a str,
    /// See [`AuditKind::operation`].
    pub operation: &'a str,
    /// See [`AuditKind::resource_type`].
    pub resource_type: &'a str,
    /// Which resource.
    pub resource_id: &'a str,
    /// See [`Actor::name`].
    pub actor: &'a str,
    /// See [`Actor::scope`].
    pub scope: Option<&'a str>,
    /// See [`Actor::request_id`].
    pub request_id: Option<Uuid>,
    /// The process that wrote the row.
    pub instance_id: &'a str,
    /// The details as JSON text, byte for byte as stored.
    pub details: &'a str,
}

impl ChainedRow<'_> {
    /// SHA-256 of everything the row says. Each field carries its length, so that no text can pass for two fields.
    pub fn content_hash(&self) -> ChainHash {
        let mut hash = Sha256::new();
        let mut field = |bytes: Option<&[u8]>| {
            // Absent is another length than empty.
            hash.update(bytes.map_or(u64::MAX, |bytes| bytes.len() as u64).to_be_bytes());
            hash.update(bytes.unwrap_or_default());
        };
        field(Some(b"pulp-audit-1"));
        field(Some(self.tenant.as_str().as_bytes()));
        field(Some(&self.seq.to_be_bytes()));
        field(Some(self.event_id.as_bytes()));
        field(Some(&self.occurred_at.as_microsecond().to_be_bytes()));
        for text in [self.event, self.operation, self.resource_type, self.resource_id, self.actor] {
            field(Some(text.as_bytes()));
        }
        field(self.scope.map(str::as_bytes));
        field(self.request_id.as_ref().map(|id| id.as_bytes().as_slice()));
        field(Some(self.instance_id.as_bytes()));
        field(Some(self.details.as_bytes()));
        hash.finalize().into()
    }
}

/// The link that follows `previous` with that content.
pub fn link(previous: &ChainHash, content: &ChainHash) -> ChainHash {
    Sha256::new().chain_update(previous).chain_update(content).finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row<'a>(tenant: &'a TenantId, resource_id: &'a str, actor: &'a str) -> ChainedRow<'a> {
        ChainedRow {
            tenant,
            seq: 1,
            event_id: Uuid::nil(),
            occurred_at: Timestamp::UNIX_EPOCH,
            event: "template.created",
            operation: "create",
            resource_type: "template",
            resource_id,
            actor,
            scope: None,
            request_id: None,
            instance_id: "i",
            details: "{}",
        }
    }

    #[test]
    fn no_two_rows_share_a_content_hash() {
        let tenant = TenantId::default_tenant();
        let first = row(&tenant, "ab", "c");
        let others = [
            row(&tenant, "a", "bc"),
            ChainedRow { seq: 2, ..first },
            ChainedRow { scope: Some(""), ..first },
            ChainedRow { request_id: Some(Uuid::nil()), ..first },
            ChainedRow { details: "{ }", ..first },
        ];
        for other in others {
            assert_ne!(first.content_hash(), other.content_hash(), "{other:?}");
        }
        assert_eq!(first.content_hash(), row(&tenant, "ab", "c").content_hash());
    }

    #[test]
    fn a_link_depends_on_what_came_before() {
        let content = row(&TenantId::default_tenant(), "a", "b").content_hash();
        assert_ne!(link(&GENESIS, &content), link(&[1; 32], &content));
    }

    #[test]
    fn event_names_differ() {
        let names: std::collections::BTreeSet<_> = AuditKind::ALL.iter().map(|kind| kind.event()).collect();
        assert_eq!(names.len(), AuditKind::ALL.len());
    }
}
