//! Everything said to Postgres: one file per noun, LISTEN/NOTIFY, the migrations runner.
//!
//! This room must not decide what a template means or who may touch it, must not hold a connection while something
//! else is waited for, and must not let SQL text or rows of another tenant out. Only it names `sqlx`.
//!
//! To add a noun: a migration in `migrations/` whose table has a `tenant_id`, a file named after the noun with a
//! handle reached from [`TenantStore`], verbs as `get` (an `Option`), `list`, `insert`, `update`, `delete`, each one
//! wrapped in `speak!`, then `scripts/generate-sqlx`. A write announces itself with `changes::announce` in its own
//! transaction, so that the caches of all replicas let go of what they hold.
//!
//! Most saves of a draft are written past `write` (`drafts`), and some things because nobody's change is behind them: what was rendered (`usage`), the months that
//! big tables are cut into (`partitions`), who is at which duty (`duties`, under a `lease`), which replicas are alive (`replicas`), uses of keys, tokens and codes, which
//! request has an idempotency key (`idempotency_keys`), and the rows of a tenant whose end is recorded (`tenant_purge`). A new table with rows of tenants is entered in the lists of
//! `tenant_purge` and `tenant_export`, and every new table in one of the two lists of `backup_tables`.

mod api_key_credentials;
mod api_keys;
mod asset_list;
mod asset_usage;
mod asset_versions;
mod assets;
mod audit;
mod audit_chain;
mod audit_places;
mod audit_retention;
mod audit_walk;
mod backup_list;
mod backup_load;
mod backup_snapshot;
mod backup_tables;
mod backup_target;
mod changes;
mod connect;
mod connection;
mod datasets;
mod delivery_log;
mod delivery_queue;
mod document_list;
mod documents;
mod drafts;
mod duties;
mod error;
mod hashes;
mod held_leases;
mod idempotency_keys;
mod installation_secrets;
mod job_queue;
mod jobs;
mod label_events;
mod label_history;
mod label_moves;
mod label_proofs;
mod label_rollback;
mod labels;
mod lease;
mod listing;
mod migrations;
mod page;
mod partitions;
mod patterns;
mod probe;
mod quotas;
mod rate_windows;
mod reading;
mod render_tokens;
mod replicas;
mod samples;
mod schedule_calendars;
mod schedule_dead_letters;
mod schedule_delivery_queue;
mod schedule_executions;
mod schedule_list;
mod schedule_queue;
mod schedule_ticks;
mod schedules;
mod self_check;
mod template_datasets;
mod template_dependencies;
mod template_dependents;
mod template_folder_tree;
mod template_folders;
mod template_kinds;
mod template_list;
mod template_meta;
mod template_references;
mod template_trash;
mod template_versions;
mod templates;
mod tenant_export;
mod tenant_purge;
mod tenants;
mod totals;
mod url_parameters;
mod usage;
mod usage_list;
mod usage_summary;
mod usage_templates;
mod used_codes;
mod user_credentials;
mod user_provisioning;
mod users;
mod webhook_deliveries;
mod webhooks;
mod write;

pub use api_key_credentials::{ApiKeyCredential, ApiKeyUses};
pub use api_keys::{API_KEY_NAME_LIMIT_CHARS, API_KEY_TEMPLATES_LIMIT, ApiKeyOutcome, ApiKeyPatch, ApiKeyRecord, ApiKeys, NewApiKey};
pub use asset_list::{AssetFilter, AssetSort, Facet, Facets, Subfolders};
pub use asset_usage::{AssetUsage, AssetUser};
pub use asset_versions::{AssetVersionRecord, AssetVersions};
pub use assets::{AssetInUse, AssetOutcome, AssetPatch, AssetRecord, Assets, NewAsset};
pub use audit::{Audit, AuditFilter, AuditRecord, Purge};
pub use audit_chain::ChainReport;
pub use backup_list::{BackupAsset, BackupAssetVersion, BackupCounts, BackupObject, BackupTemplate, BackupTemplateVersion};
pub use backup_load::BackupLoad;
pub use backup_snapshot::{BackupMonth, BackupSnapshot, TableShape};
pub use backup_tables::{BACKUP_TABLES, BackupTable, NOT_IN_BACKUPS, TableDrift};
pub use backup_target::{BackupTarget, RestoreStage, TargetStanding};
pub use changes::{Change, ChangeEvent, ChangeListener, ListenerStanding};
pub use connect::{ConnectOptions, Connections, SessionLimits, Store};
pub use datasets::{NewTemporaryDataset, TemporaryDataset, TemporaryDatasetOutcome, TemporaryDatasets};
pub use delivery_log::{DeadLetters, DeliveryFilter, DeliveryOutcome, DeliveryRecord, WebhookDeliveries};
pub use delivery_queue::{AttemptEnd, ClaimedDelivery, DeliveryAttempt, DeliveryLease, DeliveryQueue, PassedOver};
pub use document_list::DocumentFilter;
pub use documents::{DocumentRecord, Documents, DownloadOutcome, NewDocument, StoreDocumentOutcome};
pub use drafts::{DraftContent, DraftOutcome, DraftRecord, DraftSummary, Drafts};
pub use duties::{Duties, DutyLease, DutyOutcome, DutyRecord};
pub use error::{Outage, PoolerFault, StoreError};
pub use held_leases::{HeldLease, LeaseKind};
pub use idempotency_keys::{AnswerBody, IdempotencyKeys, KeyOutcome, KeyedRequest, STORED_ANSWER_BYTES, StoredAnswer};
pub use installation_secrets::{KeptSecret, PepperStanding};
pub use job_queue::{Attempt, ClaimedItem, ItemEnd, ItemLease, ItemOutcome, ItemOutput, JobQueue};
pub use jobs::{
    CancelJobOutcome, IdempotencyKey, JobFilter, JobItemOutput, JobItemRecord, JobRecord, JobSubmission, Jobs, NewJob, NewJobItem,
};
pub use label_events::{CancelOutcome, LabelEvent, LabelThen, ScheduleOutcome};
pub use label_moves::{DueOutcome, PendingMove};
pub use label_proofs::{LabelProofRecord, LabelProofs, NewLabelProof, ProofPicture};
pub use labels::{Approval, LabelExpected, LabelMove, LabelOutcome, LabelRecord, LabelSplit, LabelUse, Labels, TemplateHead};
pub use migrations::{KnownMigration, MigrationReport, known_migrations, migrate};
pub use page::{MAX_PAGE_ROWS, Page};
pub use partitions::{PARTITION_MONTHS_AHEAD, PartitionedTable, Partitions};
pub use probe::{Probe, probe};
pub use quotas::TenantQuotas;
pub use rate_windows::{RateLease, RateLeaseRequest};
pub use reading::ReadingStanding;
pub use render_tokens::{RenderTokenRecord, RenderTokens, TakeOutcome};
pub use replicas::{ClusterView, HeldDuty, REPLICA_ALIVE, ReplicaRecord, Replicas};
pub use samples::Samples;
pub use schedule_calendars::{CalendarOutcome, CalendarRecord, NewCalendar, SCHEDULE_CALENDARS_LIMIT, ScheduleCalendars};
pub use schedule_dead_letters::{ScheduleDeadLetter, ScheduleDeadLetters, ScheduleDeliveryOutcome};
pub use schedule_delivery_queue::{
    ClaimedScheduleDelivery, DeliverableFile, ScheduleDeliveryAttempt, ScheduleDeliveryLease, ScheduleDeliveryQueue,
};
pub use schedule_executions::{ExecutionDelivery, ExecutionItemRecord, ExecutionRecord, NewExecution, ScheduleExecutions};
pub use schedule_list::ScheduleFilter;
pub use schedule_queue::{ClaimedExecution, ExecutionEnd, ExecutionLease, ExecutionWork, NewExecutionItem, ScheduleQueue, WorkOutcome};
pub use schedule_ticks::{ScheduleTicks, Tick};
pub use schedules::{NewSchedule, SCHEDULES_LIMIT, ScheduleRecord, ScheduleRemoved, ScheduleWritten, Schedules};
pub use self_check::{Findings, OtherLimit, Pooling, self_check};
pub use template_datasets::{DatasetContent, DatasetOutcome, DatasetRecord, DatasetRemoval, DatasetSummary, TemplateDatasets};
pub use template_dependencies::{AssetDependency, Dependencies, Dependency, DependencyOutcome, FoundPart};
pub use template_dependents::{Dependent, Dependents, MAX_SCANNED_DEPENDENTS, Reach};
pub use template_folder_tree::{FolderFilter, FolderReach};
pub use template_folders::{FolderOutcome, FolderPatch, FolderPlace, FolderRecord, TemplateFolders};
pub use template_kinds::TemplateKind;
pub use template_list::{SortOrder, TemplateFilter, TemplateSort, TemplateState};
pub use template_meta::{MetaOutcome, MetaPatch, OWNER_LIMIT_CHARS, Owner, TagCount};
pub use template_references::{PartInUse, PartUsage, PartUser};
pub use template_trash::TrashOutcome;
pub use template_versions::{RestoreOutcome, TemplateRecord, TemplateVersions, VersionSummary};
pub use templates::{
    CHANGE_NOTE_LIMIT_CHARS, DESCRIPTION_LIMIT_CHARS, DeleteOutcome, InsertOutcome, NAME_LIMIT_CHARS, NewTemplate, Revision, TAGS_LIMIT,
    TemplateContent, TemplateSummary, Templates, UpdateOutcome,
};
pub use tenant_export::{ExportKind, ExportOptions, ExportPiece, TenantExport};
pub use tenant_purge::{PurgeCount, PurgeFate, PurgeOptions, PurgeOutcome, Retention};
pub use tenants::{StatusOutcome, TenantRecord, TenantStore, Tenants};
pub use url_parameters::{names_several_hosts, unknown_parameters, unreadable_files};
pub use usage::{MAX_USAGE_INSERT_ROWS, NewUsage, Usage, UsageOfAll, UsagePeriod, UsageRecord};
pub use usage_list::{UsageCursor, UsageFilter, UsageStatus};
pub use usage_summary::{DurationPercentiles, MAX_USAGE_GROUPS, Percentiles, UsageGroup, UsageSummary};
pub use usage_templates::{TemplateUsage, Unused, UsageTemplateSort};
pub use user_credentials::UserCredential;
pub use user_provisioning::{ProvisionOutcome, Provisioned, RoleRule, SeedOutcome};
pub use users::{NewUser, USER_GROUPS_LIMIT, USER_NAME_LIMIT_CHARS, USERS_LIMIT, UserOutcome, UserPatch, UserRecord, Users};
pub use webhooks::{NewWebhook, WEBHOOKS_LIMIT, WebhookInsertion, WebhookPatch, WebhookRecord, Webhooks};
