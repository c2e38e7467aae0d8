//! Everything of a tenant as lines of JSON, a few at a time, so that whoever writes them on holds only those.

use std::collections::VecDeque;

use domain::audit::AuditKind;
use domain::{Actor, AuditEvent, TenantId};
use jiff::Timestamp;
use jiff_sqlx::ToSqlx as _;

use crate::connect::Store;
use crate::error::StoreError;
use crate::reading::read;
use crate::tenants::Tenants;

/// Rows of a piece.
const PIECE_ROWS: i64 = 500;
/// Rows of a piece where each may be as large as a request's body.
const LARGE_PIECE_ROWS: i64 = 8;

/// A kind of things that are exported.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ExportKind {
    /// The tenant itself, one line.
    Tenant,
    /// The folders that templates lie in.
    TemplateFolders,
    /// The templates as they are now, those in the trash too, without their definitions.
    Templates,
    /// Every version of them with its definition, the text of it as it was saved.
    TemplateVersions,
    /// Which version each label leads to.
    Labels,
    /// What happened to the labels, and the moves that were planned.
    LabelHistory,
    /// What moving labels would change, as it was found, without the pictures.
    LabelProofs,
    /// The example data of templates.
    Samples,
    /// The named example data of templates.
    Datasets,
    /// What people are writing and have not saved as a version.
    Drafts,
    /// The assets as they are now, without their bytes.
    Assets,
    /// Every version of them, with the hash of its bytes.
    AssetVersions,
    /// Jobs, without what calls back are signed with.
    Jobs,
    /// The documents of jobs: what was asked for as long as it is open, and what came of it, without the bytes.
    JobItems,
    /// The stored documents, without their bytes.
    Documents,
    /// Data that was uploaded to be rendered from, without its bytes.
    TemporaryDatasets,
    /// The calendars of holidays.
    ScheduleCalendars,
    /// The schedules, without what nobody may read again.
    Schedules,
    /// What came of them each time.
    ScheduleExecutions,
    /// The documents of those, without their bytes and without the data they were made of.
    ScheduleExecutionItems,
    /// Where those went.
    ScheduleDeliveries,
    /// The people, without their keys.
    Users,
    /// The API keys, without their secrets: what can be known of a key, and nothing that lets anybody in.
    ApiKeys,
    /// The subscriptions to events, without their secrets and without what was sent.
    Webhooks,
    /// The audit log with its links, so that it can be verified elsewhere.
    Audit,
    /// What was rendered.
    Usage,
}

impl ExportKind {
    /// Every kind, in the order of an export: what others refer to first.
    pub const ALL: [Self; 26] = [
        Self::Tenant,
        Self::TemplateFolders,
        Self::Templates,
        Self::TemplateVersions,
        Self::Labels,
        Self::LabelHistory,
        Self::LabelProofs,
        Self::Samples,
        Self::Datasets,
        Self::Drafts,
        Self::Assets,
        Self::AssetVersions,
        Self::Jobs,
        Self::JobItems,
        Self::Documents,
        Self::TemporaryDatasets,
        Self::ScheduleCalendars,
        Self::Schedules,
        Self::ScheduleExecutions,
        Self::ScheduleExecutionItems,
        Self::ScheduleDeliveries,
        Self::Users,
        Self::ApiKeys,
        Self::Webhooks,
        Self::Audit,
        Self::Usage,
    ];

    /// The word for it, which can be the name of a file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tenant => "tenant",
            Self::TemplateFolders => "template-folders",
            Self::Templates => "templates",
            Self::TemplateVersions => "template-versions",
            Self::Labels => "labels",
            Self::LabelHistory => "label-history",
            Self::LabelProofs => "label-proofs",
            Self::Samples => "samples",
            Self::Datasets => "datasets",
            Self::Drafts => "drafts",
            Self::Assets => "assets",
            Self::AssetVersions => "asset-versions",
            Self::Jobs => "jobs",
            Self::JobItems => "job-items",
            Self::Documents => "documents",
            Self::TemporaryDatasets => "temporary-datasets",
            Self::ScheduleCalendars => "schedule-calendars",
            Self::Schedules => "schedules",
            Self::ScheduleExecutions => "schedule-executions",
            Self::ScheduleExecutionItems => "schedule-execution-items",
            Self::ScheduleDeliveries => "schedule-deliveries",
            Self::Users => "users",
            Self::ApiKeys => "api-keys",
            Self::Webhooks => "webhooks",
            Self::Audit => "audit",
            Self::Usage => "usage",
        }
    }

    /// The kind of that word, if there is one.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }

    /// The next rows of tenant $1 after the place $2: the place of each, and its line. Up to $3 of them; from $4 on where
    /// that is asked for.
    fn statement(self) -> &'static str {
        match self {
            Self::Tenant => TENANT,
            Self::TemplateFolders => TEMPLATE_FOLDERS,
            Self::Templates => TEMPLATES,
            Self::TemplateVersions => TEMPLATE_VERSIONS,
            Self::Labels => LABELS,
            Self::LabelHistory => LABEL_HISTORY,
            Self::LabelProofs => LABEL_PROOFS,
            Self::Samples => SAMPLES,
            Self::Datasets => DATASETS,
            Self::Drafts => DRAFTS,
            Self::Assets => ASSETS,
            Self::AssetVersions => ASSET_VERSIONS,
            Self::Jobs => JOBS,
            Self::JobItems => JOB_ITEMS,
            Self::Documents => DOCUMENTS,
            Self::TemporaryDatasets => TEMPORARY_DATASETS,
            Self::ScheduleCalendars => SCHEDULE_CALENDARS,
            Self::Schedules => SCHEDULES,
            Self::ScheduleExecutions => SCHEDULE_EXECUTIONS,
            Self::ScheduleExecutionItems => SCHEDULE_EXECUTION_ITEMS,
            Self::ScheduleDeliveries => SCHEDULE_DELIVERIES,
            Self::Users => USERS,
            Self::ApiKeys => API_KEYS,
            Self::Webhooks => WEBHOOKS,
            Self::Audit => AUDIT,
            Self::Usage => USAGE,
        }
    }

    fn piece_rows(self) -> i64 {
        let large = matches!(self, Self::TemplateVersions | Self::Samples | Self::Datasets | Self::Drafts | Self::Jobs | Self::JobItems)
            || matches!(self, Self::ScheduleCalendars | Self::Schedules | Self::ScheduleExecutions);
        if large { LARGE_PIECE_ROWS } else { PIECE_ROWS }
    }
}

/// What to export.
#[derive(Clone, Debug)]
pub struct ExportOptions {
    /// Which kinds; their order does not matter.
    pub kinds: Vec<ExportKind>,
    /// Only what happened from then on, of the audit log.
    pub audit_since: Option<Timestamp>,
}

impl Default for ExportOptions {
    /// Everything.
    fn default() -> Self {
        Self { kinds: ExportKind::ALL.to_vec(), audit_since: None }
    }
}

/// Some lines of an export.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ExportPiece {
    /// What they are about. Pieces of one kind follow each other.
    pub kind: ExportKind,
    /// How many lines.
    pub rows: usize,
    /// The lines, each an object of JSON and a line feed.
    pub ndjson: String,
}

/// An export under way.
#[derive(Debug)]
pub struct TenantExport {
    store: Store,
    tenant: TenantId,
    left: VecDeque<ExportKind>,
    audit_since: Option<Timestamp>,
    after: Option<String>,
}

impl Tenants<'_> {
    /// Begins an export, after its audit row is written; `None` when there is no such tenant. It also works for tenants that
    /// are archived, and for what a purge kept.
    pub async fn export(&self, tenant: &TenantId, options: ExportOptions, actor: &Actor) -> Result<Option<TenantExport>, StoreError> {
        let left: VecDeque<ExportKind> = ExportKind::ALL.into_iter().filter(|kind| options.kinds.contains(kind)).collect();
        let include: Vec<&str> = left.iter().map(|kind| kind.as_str()).collect();
        let event = AuditEvent::new(AuditKind::TenantExported, tenant)
            .with("include", include)
            .with("auditSince", options.audit_since.map(|since| since.to_string()));
        match self.store().tenant(tenant.clone()).audit().insert(event, actor).await {
            Err(StoreError::NoSuchTenant) => return Ok(None),
            recorded => recorded?,
        }
        Ok(Some(TenantExport { store: self.store().clone(), tenant: tenant.clone(), left, audit_since: options.audit_since, after: None }))
    }
}

impl TenantExport {
    /// The next piece; `None` at the end. No connection is held between two pieces, so what changes meanwhile may be in or
    /// not: archive the tenant first for a whole that fits together. After an error the same piece can be asked for again.
    pub async fn next(&mut self) -> Result<Option<ExportPiece>, StoreError> {
        while let Some(&kind) = self.left.front() {
            let rows = self.rows(kind).await?;
            let full = i64::try_from(rows.len()).is_ok_and(|count| count >= kind.piece_rows());
            self.after = if full { rows.last().map(|(place, _)| place.clone()) } else { None };
            if !full {
                self.left.pop_front();
            }
            if !rows.is_empty() {
                let mut ndjson = String::with_capacity(rows.iter().map(|(_, line)| line.len() + 1).sum());
                for (_, line) in &rows {
                    ndjson.push_str(line);
                    ndjson.push('\n');
                }
                return Ok(Some(ExportPiece { kind, rows: rows.len(), ndjson }));
            }
        }
        Ok(None)
    }

    async fn rows(&self, kind: ExportKind) -> Result<Vec<(String, String)>, StoreError> {
        read!(self.store, Some(&self.tenant), "tenants.export", connection, {
            let mut query = sqlx::query_as(kind.statement()).bind(self.tenant.as_str()).bind(self.after.as_deref()).bind(kind.piece_rows());
            if kind == ExportKind::Audit {
                query = query.bind(self.audit_since.map(Timestamp::to_sqlx));
            }
            Ok(query.fetch_all(&mut *connection).await?)
        })
        .await
    }
}

// The place and the line have names of their own, so that ORDER BY means the columns and not their texts.

/// A time as everywhere in the interface, whatever the zone of the session.
macro_rules! utc {
    ($column:literal) => {
        concat!("to_char(", $column, r#" AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')"#)
    };
}

const TENANT: &str = concat!(
    "SELECT tenant_id AS place, json_build_object('id', tenant_id, 'name', name, 'status', status, 'quotas', quotas, 'createdAt', ",
    utc!("created_at"),
    ", 'updatedAt', ",
    utc!("updated_at"),
    ", 'archivedAt', ",
    utc!("archived_at"),
    ", 'purgedAt', ",
    utc!("purged_at"),
    ")::text AS line FROM tenants WHERE tenant_id = $1 AND $2::text IS NULL LIMIT $3"
);

const TEMPLATE_FOLDERS: &str = concat!(
    "SELECT folder_id::text AS place,
            json_build_object('id', folder_id, 'parentId', parent_id, 'name', name, 'path', path, 'createdAt', ",
    utc!("created_at"),
    ", 'createdBy', created_by, 'updatedAt', ",
    utc!("updated_at"),
    ")::text AS line
     FROM template_folders WHERE tenant_id = $1 AND folder_id > COALESCE($2::text::uuid, '00000000-0000-0000-0000-000000000000')
     ORDER BY folder_id LIMIT $3"
);

const TEMPLATES: &str = concat!(
    "SELECT template_id::text AS place,
            json_build_object('templateId', template_id, 'key', template_key, 'name', name, 'description', description, 'kind', kind, 'tags', tags, 'owner', owner, 'folderId', folder_id, 'currentVersion', concat_ws('.', current_major, current_minor, current_patch),
     'createdAt', ",
    utc!("created_at"),
    ", 'updatedAt', ",
    utc!("updated_at"),
    ", 'deletedAt', ",
    utc!("deleted_at"),
    ", 'deletedBy', deleted_by)::text AS line
     FROM templates WHERE tenant_id = $1 AND template_id >= COALESCE($2::text::uuid, '00000000-0000-0000-0000-000000000000')
       AND template_id IS DISTINCT FROM $2::text::uuid
     ORDER BY template_id LIMIT $3"
);

const TEMPLATE_VERSIONS: &str = concat!(
    "SELECT concat_ws(' ', v.template_id, v.major, v.minor, v.patch) AS place,
            json_build_object('templateId', v.template_id, 'key', t.template_key, 'version', concat_ws('.', v.major, v.minor, v.patch),
                'name', v.name, 'description', v.description, 'kind', v.kind, 'contentHash', encode(v.content_hash, 'hex'), 'createdAt', ",
    utc!("v.created_at"),
    ", 'createdBy', v.created_by, 'changeNote', v.change_note, 'definition', v.definition)::text AS line
     FROM templates t JOIN template_versions v USING (tenant_id, template_id)
     WHERE t.tenant_id = $1
       AND t.template_id >= COALESCE(split_part($2::text, ' ', 1)::uuid, '00000000-0000-0000-0000-000000000000')
       AND ($2::text IS NULL OR (v.template_id, v.major, v.minor, v.patch)
            > (split_part($2::text, ' ', 1)::uuid, split_part($2::text, ' ', 2)::int, split_part($2::text, ' ', 3)::int,
               split_part($2::text, ' ', 4)::int))
     ORDER BY t.template_id, v.major, v.minor, v.patch LIMIT $3"
);

const LABELS: &str = concat!(
    "SELECT concat_ws(' ', l.template_id, l.label) AS place,
            json_build_object('templateId', l.template_id, 'key', t.template_key, 'label', l.label,
                'version', concat_ws('.', l.major, l.minor, l.patch), 'trafficSplit', l.traffic_split, 'controlLabel', l.control_label,
                'revision', l.revision, 'movedBy', l.moved_by, 'movedAt', ",
    utc!("l.moved_at"),
    ")::text AS line
     FROM template_labels l JOIN templates t USING (tenant_id, template_id)
     WHERE l.tenant_id = $1
       AND (l.template_id, l.label) > (COALESCE(split_part($2::text, ' ', 1)::uuid, '00000000-0000-0000-0000-000000000000'),
                                       COALESCE(split_part($2::text, ' ', 2), '') COLLATE \"C\")
     ORDER BY l.template_id, l.label LIMIT $3"
);

const LABEL_HISTORY: &str = concat!(
    "SELECT e.place::text AS place,
            json_build_object('id', e.event_id, 'templateId', e.template_id, 'key', t.template_key, 'label', e.label, 'status', e.state,
                'version', NULLIF(concat_ws('.', e.major, e.minor, e.patch), ''),
                'previousVersion', NULLIF(concat_ws('.', e.previous_major, e.previous_minor, e.previous_patch), ''),
                'trafficSplit', e.traffic_split, 'controlLabel', e.control_label, 'effectiveAt', ",
    utc!("e.effective_at"),
    ", 'createdAt', ",
    utc!("e.created_at"),
    ", 'createdBy', e.created_by, 'settledAt', ",
    utc!("e.settled_at"),
    ", 'settledBy', e.settled_by, 'reason', e.reason, 'act', e.act, 'note', e.note, 'proofId', e.proof_id)::text AS line
     FROM template_label_events e JOIN templates t USING (tenant_id, template_id)
     WHERE e.tenant_id = $1 AND e.place > COALESCE($2::text::bigint, 0) ORDER BY e.place LIMIT $3"
);

const LABEL_PROOFS: &str = concat!(
    "SELECT p.place::text AS place,
            json_build_object('id', p.proof_id, 'templateId', p.template_id, 'key', t.template_key, 'label', p.label,
                'base', concat_ws('.', p.base_major, p.base_minor, p.base_patch), 'version', concat_ws('.', p.major, p.minor, p.patch),
                'outcome', p.outcome, 'tookMs', p.took_ms, 'createdAt', ",
    utc!("p.created_at"),
    ", 'createdBy', p.created_by, 'findings', p.findings)::text AS line
     FROM label_proofs p JOIN templates t USING (tenant_id, template_id)
     WHERE p.tenant_id = $1 AND p.place > COALESCE($2::text::bigint, 0) ORDER BY p.place LIMIT $3"
);

const DRAFTS: &str = concat!(
    "SELECT concat_ws(' ', d.template_id, d.owner) AS place,
            json_build_object('templateId', d.template_id, 'key', t.template_key, 'owner', d.owner, 'revision', d.revision,
                'baseVersion', concat_ws('.', d.base_major, d.base_minor, d.base_patch), 'createdAt', ",
    utc!("d.created_at"),
    ", 'updatedAt', ",
    utc!("d.updated_at"),
    ", 'definition', d.definition)::text AS line
     FROM template_drafts d JOIN templates t USING (tenant_id, template_id)
     WHERE d.tenant_id = $1
       AND (d.template_id, d.owner) > (COALESCE(split_part($2::text, ' ', 1)::uuid, '00000000-0000-0000-0000-000000000000'),
                                       COALESCE(substr($2::text, 38), '') COLLATE \"C\")
     ORDER BY d.template_id, d.owner LIMIT $3"
);

const DATASETS: &str = concat!(
    "SELECT concat_ws(' ', d.template_id, d.dataset_name) AS place,
            json_build_object('templateId', d.template_id, 'key', t.template_key, 'name', d.dataset_name, 'revision', d.revision,
                'title', d.title, 'description', d.description, 'tags', d.tags, 'expectInvalid', d.expect_invalid,
                'isDefault', d.is_default, 'assertions', d.assertions, 'createdAt', ",
    utc!("d.created_at"),
    ", 'createdBy', d.created_by, 'updatedAt', ",
    utc!("d.updated_at"),
    ", 'updatedBy', d.updated_by, 'data', d.data)::text AS line
     FROM template_datasets d JOIN templates t USING (tenant_id, template_id)
     WHERE d.tenant_id = $1
       AND (d.template_id, d.dataset_name) > (COALESCE(split_part($2::text, ' ', 1)::uuid, '00000000-0000-0000-0000-000000000000'),
                                              COALESCE(split_part($2::text, ' ', 2), '') COLLATE \"C\")
     ORDER BY d.template_id, d.dataset_name LIMIT $3"
);

const SAMPLES: &str =
    "SELECT template_id::text AS place, json_build_object('templateId', template_id, 'key', template_key, 'sample', sample)::text AS line
     FROM templates WHERE tenant_id = $1 AND sample IS NOT NULL
       AND template_id >= COALESCE($2::text::uuid, '00000000-0000-0000-0000-000000000000')
       AND template_id IS DISTINCT FROM $2::text::uuid
     ORDER BY template_id LIMIT $3";

const ASSETS: &str = concat!(
    "SELECT asset_id::text AS place,
            json_build_object('id', asset_id, 'slug', slug, 'altText', alt_text, 'tags', tags, 'folder', folder, 'version', current_version,
                'kind', kind, 'originalName', original_name, 'mimeType', mime_type, 'sizeBytes', size_bytes,
                'contentHash', encode(content_hash, 'hex'), 'svgSanitized', svg_sanitized, 'createdAt', ",
    utc!("created_at"),
    ", 'createdBy', created_by, 'updatedAt', ",
    utc!("updated_at"),
    ", 'updatedBy', updated_by)::text AS line
     FROM assets WHERE tenant_id = $1 AND asset_id > COALESCE($2::text::uuid, '00000000-0000-0000-0000-000000000000')
     ORDER BY asset_id LIMIT $3"
);

const ASSET_VERSIONS: &str = concat!(
    "SELECT concat_ws(' ', asset_id, version) AS place,
            json_build_object('id', asset_id, 'version', version, 'kind', kind, 'originalName', original_name, 'mimeType', mime_type,
                'sizeBytes', size_bytes, 'contentHash', encode(content_hash, 'hex'), 'width', width, 'height', height, 'font', font,
                'svgSanitized', svg_sanitized, 'createdAt', ",
    utc!("created_at"),
    ", 'createdBy', created_by)::text AS line
     FROM asset_versions
     WHERE tenant_id = $1
       AND (asset_id, version) > (COALESCE(split_part($2::text, ' ', 1)::uuid, '00000000-0000-0000-0000-000000000000'),
                                  COALESCE(split_part($2::text, ' ', 2)::int, 0))
     ORDER BY asset_id, version LIMIT $3"
);

const JOBS: &str = concat!(
    "SELECT job_id::text AS place,
            json_build_object('id', job_id, 'kind', kind, 'format', format, 'status', status, 'total', total, 'succeeded', succeeded,
     'failed', failed, 'failureCode', failure_code, 'reference', reference, 'metadata', metadata, 'correlationId', correlation_id,
     'packaging', packaging, 'packageOptions', package_options, 'definition', definition, 'actor', actor, 'requestId', request_id, 'webhookUrl', callback_url, 'createdAt', ",
    utc!("created_at"),
    ", 'startedAt', ",
    utc!("started_at"),
    ", 'completedAt', ",
    utc!("completed_at"),
    ", 'expiresAt', ",
    utc!("expires_at"),
    ")::text AS line
     FROM jobs WHERE tenant_id = $1 AND job_id > COALESCE($2::text::uuid, '00000000-0000-0000-0000-000000000000')
     ORDER BY job_id LIMIT $3"
);

const JOB_ITEMS: &str = concat!(
    "SELECT i.job_id || '/' || i.item_index AS place,
            json_build_object('jobId', i.job_id, 'index', i.item_index, 'status', i.status, 'request',
         -- Not what data is got with.
         CASE WHEN i.request->'dataHeaders' IS NULL THEN i.request
              ELSE (SELECT json_object_agg(f.key, f.value) FROM json_each(i.request) f WHERE f.key <> 'dataHeaders') END, 'template', i.template,
     'reference', i.reference, 'metadata', i.metadata, 'sha256', encode(i.sha256, 'hex'), 'sizeBytes', i.size_bytes,
     'contentType', i.content_type, 'filename', i.filename, 'pageCount', i.pages, 'templateVersion', i.template_version,
     'renderId', i.usage_id, 'documentId', i.document_id, 'errorCode', i.error_code, 'errorMessage', i.error_message, 'completedAt', ",
    utc!("i.ended_at"),
    ")::text AS line
     FROM jobs j JOIN job_items i USING (job_id)
     WHERE j.tenant_id = $1 AND (i.job_id, i.item_index) > (COALESCE(split_part($2::text, '/', 1), '00000000-0000-0000-0000-000000000000')::uuid,
                                                            COALESCE(split_part($2::text, '/', 2), '-1')::integer)
     ORDER BY i.job_id, i.item_index LIMIT $3"
);

const DOCUMENTS: &str = concat!(
    "SELECT document_id::text AS place,
            json_build_object('id', document_id, 'format', format, 'contentType', content_type, 'filename', filename, 'sha256', encode(sha256, 'hex'),
     'sizeBytes', size_bytes, 'pageCount', pages, 'source', source, 'templateKey', template_key, 'templateVersion', template_version,
     'label', label, 'batchJobId', job_id, 'itemIndex', item_index, 'renderId', usage_id, 'requestId', request_id, 'actor', actor,
     'metadata', metadata, 'downloadCount', download_count, 'maxDownloads', max_downloads, 'linkVersion', link_version, 'lastDownloadedAt', ",
    utc!("last_downloaded_at"),
    ", 'createdAt', ",
    utc!("created_at"),
    ", 'expiresAt', ",
    utc!("expires_at"),
    ")::text AS line
     FROM documents WHERE tenant_id = $1 AND document_id > COALESCE($2::text::uuid, '00000000-0000-0000-0000-000000000000')
     ORDER BY document_id LIMIT $3"
);

const TEMPORARY_DATASETS: &str = concat!(
    "SELECT dataset_id::text AS place,
            json_build_object('id', 'ds_' || replace(dataset_id::text, '-', ''), 'sha256', encode(sha256, 'hex'), 'sizeBytes', size_bytes,
     'actor', actor, 'createdAt', ",
    utc!("created_at"),
    ", 'expiresAt', ",
    utc!("expires_at"),
    ")::text AS line
     FROM datasets WHERE tenant_id = $1 AND dataset_id > COALESCE($2::text::uuid, '00000000-0000-0000-0000-000000000000')
     ORDER BY dataset_id LIMIT $3"
);

const SCHEDULE_CALENDARS: &str = concat!(
    "SELECT calendar_id::text AS place,
            json_build_object('id', calendar_id, 'name', name, 'description', description, 'timezone', timezone, 'holidays', holidays,
                'revision', revision, 'createdAt', ",
    utc!("created_at"),
    ", 'createdBy', created_by, 'updatedAt', ",
    utc!("updated_at"),
    ")::text AS line
     FROM schedule_calendars WHERE tenant_id = $1 AND calendar_id > COALESCE($2::text::uuid, '00000000-0000-0000-0000-000000000000')
     ORDER BY calendar_id LIMIT $3"
);

const SCHEDULES: &str = concat!(
    "SELECT schedule_id::text AS place,
            json_build_object('id', schedule_id, 'name', name, 'enabled', enabled, 'cronExpression', cron_expression, 'timezone', timezone,
                'templateKey', template_key, 'templateLabel', template_label, 'templateVersion', template_version, 'definition', definition,
                'calendarId', calendar_id, 'holidayRule', holiday_rule, 'businessDayOfMonth', business_day_of_month, 'skipDates', skip_dates,
                'maxRuns', max_runs, 'runCount', run_count, 'misfire', misfire, 'misfireLimit', misfire_limit, 'revision', revision, 'validFrom', ",
    utc!("valid_from"),
    ", 'validUntil', ",
    utc!("valid_until"),
    ", 'nextFireAt', ",
    utc!("next_run_at"),
    ", 'lastFiredAt', ",
    utc!("last_fired_at"),
    ", 'createdAt', ",
    utc!("created_at"),
    ", 'createdBy', created_by, 'updatedAt', ",
    utc!("updated_at"),
    ")::text AS line
     FROM schedules WHERE tenant_id = $1 AND schedule_id > COALESCE($2::text::uuid, '00000000-0000-0000-0000-000000000000')
     ORDER BY schedule_id LIMIT $3"
);

const SCHEDULE_EXECUTIONS: &str = concat!(
    "SELECT execution_id::text AS place,
            json_build_object('id', execution_id, 'scheduleId', schedule_id, 'scheduleRevision', schedule_revision,
                'templateKey', template_key, 'trigger', trigger, 'actor', actor, 'status', status, 'missedRuns', missed_runs,
                'businessDayIndex', business_day_index, 'parameters', parameters, 'resolvedParameters', resolved_parameters,
                'skipReason', skip_reason, 'jobId', job_id, 'total', total, 'filtered', filtered, 'truncated', truncated,
                'succeeded', succeeded, 'failed', failed, 'renderDurationMs', render_duration_ms, 'errorCode', error_code,
                'errorMessage', error_message, 'fireTime', ",
    utc!("fire_time"),
    ", 'nominalAt', ",
    utc!("nominal_at"),
    ", 'asOf', ",
    utc!("as_of"),
    ", 'createdAt', ",
    utc!("created_at"),
    ", 'endedAt', ",
    utc!("ended_at"),
    ")::text AS line
     FROM schedule_executions WHERE tenant_id = $1 AND execution_id > COALESCE($2::text::uuid, '00000000-0000-0000-0000-000000000000')
     ORDER BY execution_id LIMIT $3"
);

const SCHEDULE_EXECUTION_ITEMS: &str = concat!(
    "SELECT execution_id || '/' || item_index AS place,
            json_build_object('executionId', execution_id, 'index', item_index, 'status', status, 'key', key, 'recipients', recipients,
                'renderDurationMs', render_duration_ms, 'documentId', document_id, 'errorCode', error_code,
                'errorMessage', error_message, 'createdAt', ",
    utc!("created_at"),
    ", 'updatedAt', ",
    utc!("updated_at"),
    ")::text AS line
     FROM schedule_execution_items
     WHERE tenant_id = $1 AND (execution_id, item_index) > (COALESCE(split_part($2::text, '/', 1), '00000000-0000-0000-0000-000000000000')::uuid,
                                                            COALESCE(split_part($2::text, '/', 2), '-1')::integer)
     ORDER BY execution_id, item_index LIMIT $3"
);

const SCHEDULE_DELIVERIES: &str = concat!(
    "SELECT delivery_id::text AS place,
            json_build_object('id', delivery_id, 'executionId', execution_id, 'scheduleId', schedule_id, 'itemIndex', item_index,
                'targetIndex', target_index, 'targetType', target_type, 'target', target, 'status', status, 'attempts', attempts_total,
                'lastCode', last_code, 'lastError', last_error, 'resolved', resolved, 'createdAt', ",
    utc!("created_at"),
    ", 'endedAt', ",
    utc!("ended_at"),
    ")::text AS line
     FROM schedule_deliveries WHERE tenant_id = $1 AND delivery_id > COALESCE($2::text::uuid, '00000000-0000-0000-0000-000000000000')
     ORDER BY delivery_id LIMIT $3"
);

const USERS: &str = concat!(
    "SELECT user_id AS place,
            json_build_object('id', user_id, 'displayName', display_name, 'role', role, 'authMethod', auth_method, 'email', email,
         'groups', groups, 'userName', user_name, 'externalId', external_id, 'active', deactivated_at IS NULL, 'deactivatedAt', ",
    utc!("deactivated_at"),
    ", 'tokenIssuedAfter', ",
    utc!("token_issued_after"),
    ", 'createdAt', ",
    utc!("created_at"),
    ", 'updatedAt', ",
    utc!("updated_at"),
    ")::text AS line FROM users WHERE tenant_id = $1 AND user_id > COALESCE($2::text, '') ORDER BY user_id LIMIT $3"
);

const API_KEYS: &str = concat!(
    "SELECT api_key_id::text AS place,
            json_build_object('id', api_key_id, 'name', name, 'scope', scope, 'allowedTemplates', allowed_templates,
         'allowedIps', allowed_ips, 'requestsPerMinute', requests_per_minute, 'expiresAt', ",
    utc!("expires_at"),
    ", 'revokedAt', ",
    utc!("revoked_at"),
    ", 'createdAt', ",
    utc!("created_at"),
    ", 'createdBy', created_by, 'updatedAt', ",
    utc!("updated_at"),
    ", 'lastUsedAt', ",
    utc!("last_used_at"),
    ")::text AS line FROM api_keys WHERE tenant_id = $1 AND api_key_id > COALESCE($2::text::uuid, '00000000-0000-0000-0000-000000000000')
     ORDER BY api_key_id LIMIT $3"
);

const WEBHOOKS: &str = concat!(
    "SELECT webhook_id::text AS place,
            json_build_object('id', webhook_id, 'url', url, 'events', events, 'templateKeys', template_keys, 'description', description,
                'enabled', enabled, 'pausedAt', ",
    utc!("paused_at"),
    ", 'pauseReason', pause_reason, 'createdAt', ",
    utc!("created_at"),
    ", 'createdBy', created_by, 'updatedAt', ",
    utc!("updated_at"),
    ")::text AS line FROM webhooks WHERE tenant_id = $1 AND webhook_id > COALESCE($2::text::uuid, '00000000-0000-0000-0000-000000000000')
     ORDER BY webhook_id LIMIT $3"
);

const AUDIT: &str = concat!(
    "SELECT seq::text AS place, json_build_object('seq', seq, 'id', event_id, 'timestamp', ",
    utc!("occurred_at"),
    ", 'event', event, 'operation', operation, 'resourceType', resource_type, 'resourceId', resource_id, 'actor', actor,
         'credentialScope', scope, 'requestId', request_id, 'instanceId', instance_id, 'contentHash', encode(content_hash, 'hex'),
         'chainHash', encode(chain_hash, 'hex'), 'blankedBy', blanked_by, 'details', details)::text AS line
     FROM audit_events WHERE tenant_id = $1 AND seq > COALESCE($2::text::bigint, 0) AND occurred_at >= COALESCE($4::timestamptz, '-infinity')
     ORDER BY seq LIMIT $3"
);

const USAGE: &str = concat!(
    "SELECT concat_ws(' ', usage_id, rendered_at) AS place, json_build_object('id', usage_id, 'timestamp', ",
    utc!("rendered_at"),
    ", 'actor', actor, 'credentialScope', credential_scope, 'requestId', request_id, 'instanceId', instance_id,
         'template', template_key, 'version', template_version, 'label', label, 'format', format, 'mode', mode, 'outcome', outcome,
         'durationMs', duration_ms, 'pages', pages, 'sizeBytes', size_bytes, 'dataSha256', encode(data_sha256, 'hex'),
         'outputSha256', encode(output_sha256, 'hex'), 'metadata', metadata, 'correlationId', correlation_id)::text AS line
     FROM render_usage
     WHERE tenant_id = $1
       AND (rendered_at, usage_id) > (COALESCE(substr($2::text, 38)::timestamptz, '-infinity'),
                                      COALESCE(split_part($2::text, ' ', 1)::uuid, '00000000-0000-0000-0000-000000000000'))
     ORDER BY rendered_at, usage_id LIMIT $3"
);
