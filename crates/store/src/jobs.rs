//! Jobs as their tenant sees them: submitted, looked at, called off and removed. Who makes their documents is in `job_queue`.

use std::time::Duration;

use domain::audit::AuditKind;
use domain::datasets::DatasetId;
use domain::ids::{JobId, UsageId};
use domain::jobs::{JobItemStatus, JobKind, JobProgress, JobStatus, Packaging};
use domain::{Actor, AuditEvent, TemplateSelector, TenantId};
use jiff::Timestamp;
use uuid::Uuid;

use crate::connect::speak;
use crate::error::StoreError;
use crate::hashes::hash_of;
use crate::job_queue::{JobEnd, end_job};
use crate::page::{Page, bounds};
use crate::patterns::literal;
use crate::reading::read;
use crate::tenants::TenantStore;
use crate::write::Write;

/// A job to be submitted.
#[derive(Clone, Debug)]
pub struct NewJob {
    /// Names it.
    pub id: JobId,
    /// Whether one document was asked for, or a list.
    pub kind: JobKind,
    /// What comes out: `pdf`, `html`.
    pub format: &'static str,
    /// The caller's own name for it, 1–255 characters.
    pub reference: Option<String>,
    /// Words to find its renders by, as a JSON object.
    pub metadata: Option<String>,
    /// What the caller calls the whole, up to 200 characters.
    pub correlation_id: Option<Box<str>>,
    /// How its documents are wanted in one piece.
    pub packaging: Option<Packaging>,
    /// What that is like, as a JSON object.
    pub package_options: Option<String>,
    /// The definition that all items share, as JSON text.
    pub definition: Option<String>,
    /// Whether an item has a definition of its own, or shares that one.
    pub inline: bool,
    /// The datasets that its documents are made from, each once. They stay until it ends.
    pub datasets: Vec<DatasetId>,
    /// The same request under the same key is the same job.
    pub idempotency: Option<IdempotencyKey>,
    /// Where its end is told: an address that was judged, and what the message is signed with, 1–512 characters.
    pub callback: Option<(String, String)>,
    /// Its documents, 1 or more.
    pub items: Vec<NewJobItem>,
    /// How long it is kept after its end.
    pub retention: Duration,
}

/// What tells a repeated request from another one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct IdempotencyKey {
    /// The caller's key, 1–255 characters.
    pub key: String,
    /// SHA-256 of what was asked for.
    pub request_sha256: [u8; 32],
}

/// One document of a job to be submitted.
#[derive(Clone, Debug)]
pub struct NewJobItem {
    /// What is asked for, as JSON text.
    pub request: String,
    /// What it is shown under: the template's key, or the definition's; 1–255 characters.
    pub template: String,
    /// Whether that is a stored template.
    pub is_stored: bool,
    /// The caller's own name for it, 1–255 characters.
    pub reference: Option<String>,
    /// Words to find the render by, as a JSON object.
    pub metadata: Option<String>,
}

/// How a submission ended.
#[derive(Clone, Debug)]
#[must_use]
pub enum JobSubmission {
    /// It is in the queue.
    Inserted(Box<JobRecord>),
    /// It was submitted before, under the same key.
    Repeated(Box<JobRecord>),
    /// Something else was submitted under the same key.
    KeyReused,
    /// There is no such dataset, or its time is over.
    NoDataset(DatasetId),
    /// The tenant has too much in the queue.
    TooManyOpen {
        /// What it may have.
        most: u32,
    },
}

/// A job as it stands.
#[derive(Clone, PartialEq, Eq, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a column of its own")]
pub struct JobRecord {
    /// Names it.
    pub id: JobId,
    /// Whether one document was asked for, or a list.
    pub kind: JobKind,
    /// What comes out.
    pub format: String,
    /// How it stands.
    pub status: JobStatus,
    /// How much has ended.
    pub progress: JobProgress,
    /// Whether it was called off.
    pub cancel_requested: bool,
    /// Why it failed.
    pub failure_code: Option<String>,
    /// The caller's own name for it.
    pub reference: Option<String>,
    /// Words to find its renders by, as JSON text.
    pub metadata: Option<String>,
    /// What the caller calls the whole.
    pub correlation_id: Option<String>,
    /// How its documents are wanted in one piece.
    pub packaging: Option<Packaging>,
    /// What that is like, as a JSON object.
    pub package_options: Option<String>,
    /// The stored templates of its items, each once.
    pub templates: Vec<String>,
    /// Whether an item is of no stored template.
    pub inline: bool,
    /// Whether its end is told somewhere.
    pub has_callback: bool,
    /// How often that was tried.
    pub callback_attempts: u32,
    /// Whether it was heard.
    pub callback_delivered: bool,
    /// When it was submitted.
    pub created_at: Timestamp,
    /// When its first item was begun.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub completed_at: Option<Timestamp>,
    /// When it and its documents go; before its end, what that would be if it ended now.
    pub expires_at: Timestamp,
}

impl JobRecord {
    /// Whether its time is over: it is there no more, but was.
    pub fn has_expired(&self, now: Timestamp) -> bool {
        self.status.has_ended() && self.expires_at <= now
    }
}

/// One document of a job as it stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct JobItemRecord {
    /// Which one, from 0.
    pub index: u32,
    /// How it stands.
    pub status: JobItemStatus,
    /// What it is shown under.
    pub template: String,
    /// The caller's own name for it.
    pub reference: Option<String>,
    /// Words to find the render by, as JSON text.
    pub metadata: Option<String>,
    /// The document.
    pub output: Option<JobItemOutput>,
    /// When it ended, in whichever way.
    pub ended_at: Option<Timestamp>,
    /// Why there is none: a code and words.
    pub error: Option<(String, String)>,
}

/// A finished document.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct JobItemOutput {
    /// SHA-256 of its bytes.
    pub sha256: [u8; 32],
    /// How many they are.
    pub size_bytes: u64,
    /// Their media type.
    pub content_type: String,
    /// With its extension.
    pub filename: String,
    /// `inline` or `attachment`.
    pub disposition: String,
    /// Pages of a PDF.
    pub pages: u32,
    /// How many things were not quite right.
    pub warnings: u32,
    /// The stored document it was also kept as.
    pub document_id: Option<Uuid>,
    /// The render in the log of renders.
    pub usage_id: Option<UsageId>,
}

/// Which jobs. What is `None` filters nothing.
#[derive(Clone, Debug, Default)]
pub struct JobFilter {
    /// Those that stand so.
    pub status: Option<JobStatus>,
    /// Submitted then or later.
    pub since: Option<Timestamp>,
    /// Submitted before.
    pub until: Option<Timestamp>,
    /// With exactly this name.
    pub reference: Option<String>,
    /// All of whose documents are of stored templates that one of these selects.
    pub templates: Option<Vec<TemplateSelector>>,
}

/// How calling a job off ended.
#[derive(Clone, Debug)]
#[must_use]
pub enum CancelJobOutcome {
    /// It is called off.
    Cancelled(Box<JobRecord>),
    /// It had ended before.
    AlreadyEnded(JobStatus),
    /// There is no such job.
    NotFound,
}

/// The jobs of one tenant.
pub struct Jobs<'a>(pub(crate) &'a TenantStore);

impl TenantStore {
    /// Documents that nobody waits for.
    pub fn jobs(&self) -> Jobs<'_> {
        Jobs(self)
    }
}

impl Jobs<'_> {
    /// Submits a job, unless the tenant has `most_open` items in the queue without it. Its items take turns with those of
    /// other tenants, and its tenant's single documents with those of its batches.
    pub async fn insert(&self, new: &NewJob, most_open: u32, actor: &Actor) -> Result<JobSubmission, StoreError> {
        match self.try_insert(new, most_open, actor).await {
            // Somebody was there with the key between our look and our insert.
            Err(StoreError::Conflict { what }) if what == "jobs_idempotency_key" => self.try_insert(new, most_open, actor).await,
            outcome => outcome,
        }
    }

    async fn try_insert(&self, new: &NewJob, most_open: u32, actor: &Actor) -> Result<JobSubmission, StoreError> {
        speak!(self.0.store, "jobs.insert", {
            let mut connection = self.0.store.acquire().await?;
            if let Some(found) = self.repeated(&mut connection, new, actor).await? {
                return Ok(found);
            }
            let mut write = Write::begin(&mut connection, self.0, actor).await?;
            let tenant = self.0.tenant.as_str();
            self.free_key(&mut write, new, actor).await?;
            let open = sqlx::query_scalar!(
                r#"SELECT count(*) AS "count!" FROM (SELECT FROM job_items WHERE tenant_id = $1 AND status = 'pending' LIMIT $2) AS open"#,
                tenant,
                i64::from(most_open)
            )
            .fetch_one(&mut *write)
            .await?;
            let items = i64::try_from(new.items.len()).unwrap_or(i64::MAX);
            if open.saturating_add(items) > i64::from(most_open) {
                return Ok(JobSubmission::TooManyOpen { most: most_open });
            }
            if let Some(missing) = self.missing_dataset(&mut write, &new.datasets).await? {
                return Ok(JobSubmission::NoDataset(missing));
            }
            let mut templates: Vec<&str> = new.items.iter().filter(|item| item.is_stored).map(|item| item.template.as_str()).collect();
            templates.sort_unstable();
            templates.dedup();
            let row = sqlx::query_as!(
                JobRow,
                r#"INSERT INTO jobs (job_id, tenant_id, kind, format, total, reference, metadata, correlation_id, packaging, definition,
                                     templates, inline, actor, actor_scope, request_id, idempotency_key, request_sha256, created_at,
                                     expires_at, callback_url, callback_secret, datasets, package_options)
                   VALUES ($1, $2, $3, $4, $5, $6, $7::text::jsonb, $8, $9, $10::text::json, $11::text[], $12, $13, $14, $15, $16, $17, $18,
                           $18::timestamptz + make_interval(secs => $19), $20, $21, $22, $23::text::jsonb)
                   RETURNING job_id, kind, format, status, total, succeeded, failed, cancel_requested, failure_code, reference,
                             metadata::text, correlation_id, packaging, package_options::text, templates, inline, callback_url IS NOT NULL AS "has_callback!",
                             callback_attempts, callback_delivered_at IS NOT NULL AS "callback_delivered!", created_at, started_at,
                             completed_at, expires_at"#,
                new.id.as_uuid(),
                tenant,
                new.kind.as_str(),
                new.format,
                i32::try_from(items).unwrap_or(i32::MAX),
                new.reference,
                new.metadata,
                new.correlation_id.as_deref(),
                new.packaging.map(Packaging::as_str),
                new.definition,
                &templates as _,
                new.inline,
                &*actor.name,
                actor.scope.map(domain::Scope::as_str),
                actor.request_id.map(domain::ids::RequestId::as_uuid),
                new.idempotency.as_ref().map(|given| given.key.as_str()),
                new.idempotency.as_ref().map(|given| given.request_sha256.to_vec()),
                self.0.store.now() as _,
                new.retention.as_secs_f64(),
                new.callback.as_ref().map(|(url, _)| url.as_str()),
                new.callback.as_ref().map(|(_, secret)| secret.as_str()),
                &new.datasets.iter().map(|id| id.as_uuid()).collect::<Vec<_>>(),
                new.package_options
            )
            .fetch_one(&mut *write)
            .await?;
            insert_items(&mut write, &self.0.tenant, new).await?;
            write.announce("job", &new.id.to_string()).await?;
            let event = AuditEvent::new(AuditKind::JobSubmitted, new.id).with("kind", new.kind.as_str()).with("items", items);
            write.commit(event.with("templates", templates.len())).await?;
            Ok(JobSubmission::Inserted(Box::new(row.try_into()?)))
        })
        .await
    }

    /// The first of these datasets that is not there; the others are until this transaction ends.
    async fn missing_dataset(&self, write: &mut Write<'_>, datasets: &[DatasetId]) -> Result<Option<DatasetId>, StoreError> {
        if datasets.is_empty() {
            return Ok(None);
        }
        let found = sqlx::query_scalar!(
            "SELECT dataset_id FROM datasets WHERE tenant_id = $1 AND dataset_id = ANY ($2) AND expires_at > $3 ORDER BY dataset_id FOR SHARE",
            self.0.tenant.as_str(),
            &datasets.iter().map(|id| id.as_uuid()).collect::<Vec<_>>(),
            self.0.store.now() as _
        )
        .fetch_all(&mut **write)
        .await?;
        Ok(datasets.iter().find(|id| !found.contains(&id.as_uuid())).copied())
    }

    /// The job that this request led to before, or the refusal of another request under its key.
    async fn repeated(
        &self,
        connection: &mut sqlx::PgConnection,
        new: &NewJob,
        actor: &Actor,
    ) -> Result<Option<JobSubmission>, StoreError> {
        let Some(given) = &new.idempotency else { return Ok(None) };
        let found = sqlx::query!(
            "SELECT job_id, request_sha256 FROM jobs
             WHERE tenant_id = $1 AND actor = $2 AND idempotency_key = $3 AND (completed_at IS NULL OR expires_at > $4)",
            self.0.tenant.as_str(),
            &*actor.name,
            given.key,
            self.0.store.now() as _
        )
        .fetch_optional(&mut *connection)
        .await?;
        let Some(found) = found else { return Ok(None) };
        if found.request_sha256.as_deref() != Some(&given.request_sha256) {
            return Ok(Some(JobSubmission::KeyReused));
        }
        let row = self.row(connection, found.job_id.into()).await?;
        Ok(row.map(JobRecord::try_from).transpose()?.map(|job| JobSubmission::Repeated(Box::new(job))))
    }

    /// A job whose time is over has nothing to give any more: its key is free for another one.
    async fn free_key(&self, write: &mut Write<'_>, new: &NewJob, actor: &Actor) -> Result<(), StoreError> {
        let Some(given) = &new.idempotency else { return Ok(()) };
        sqlx::query!(
            "UPDATE jobs SET idempotency_key = NULL, request_sha256 = NULL
             WHERE tenant_id = $1 AND actor = $2 AND idempotency_key = $3 AND completed_at IS NOT NULL AND expires_at <= $4",
            self.0.tenant.as_str(),
            &*actor.name,
            given.key,
            self.0.store.now() as _
        )
        .execute(&mut **write)
        .await?;
        Ok(())
    }

    /// A job; expired ones too, for a while.
    pub async fn get(&self, id: JobId) -> Result<Option<JobRecord>, StoreError> {
        speak!(self.0.store, "jobs.get", {
            let mut connection = self.0.store.acquire().await?;
            self.row(&mut connection, id).await?.map(JobRecord::try_from).transpose()
        })
        .await
    }

    async fn row(&self, connection: &mut sqlx::PgConnection, id: JobId) -> Result<Option<JobRow>, StoreError> {
        let row = sqlx::query_as!(
            JobRow,
            r#"SELECT job_id, kind, format, status, total, succeeded, failed, cancel_requested, failure_code, reference, metadata::text,
                      correlation_id, packaging, package_options::text, templates, inline, callback_url IS NOT NULL AS "has_callback!", callback_attempts,
                      callback_delivered_at IS NOT NULL AS "callback_delivered!", created_at, started_at, completed_at, expires_at
               FROM jobs WHERE tenant_id = $1 AND job_id = $2 AND kind <> 'schedule'"#,
            self.0.tenant.as_str(),
            id.as_uuid()
        );
        Ok(row.fetch_optional(connection).await?)
    }

    /// One page, the newest first, without those that have expired. `limit` counts up to [`crate::MAX_PAGE_ROWS`].
    pub async fn list(&self, filter: &JobFilter, limit: u32, offset: u64) -> Result<Page<JobRecord>, StoreError> {
        read!(self.0.store, Some(&self.0.tenant), "jobs.list", connection, {
            let (limit, offset) = bounds(limit, offset);
            let patterns: Option<Vec<String>> = filter.templates.as_ref().map(|selectors| selectors.iter().map(pattern).collect());
            let [since, until] = [filter.since, filter.until].map(|moment| moment.map(jiff_sqlx::ToSqlx::to_sqlx));
            let rows = sqlx::query_as!(
                JobRow,
                r#"SELECT job_id, kind, format, status, total, succeeded, failed, cancel_requested, failure_code, reference,
                          metadata::text, correlation_id, packaging, package_options::text, templates, inline, callback_url IS NOT NULL AS "has_callback!",
                          callback_attempts, callback_delivered_at IS NOT NULL AS "callback_delivered!", created_at, started_at,
                          completed_at, expires_at
                   FROM jobs
                   WHERE tenant_id = $1 AND kind <> 'schedule' AND ($2::text IS NULL OR status = $2) AND ($3::timestamptz IS NULL OR created_at >= $3)
                     AND ($4::timestamptz IS NULL OR created_at < $4) AND ($5::text IS NULL OR reference = $5)
                     AND ($6::text[] IS NULL OR NOT inline AND NOT EXISTS (SELECT FROM unnest(templates) AS t WHERE NOT t LIKE ANY ($6)))
                     AND (completed_at IS NULL OR expires_at > $7)
                   ORDER BY created_at DESC, job_id DESC LIMIT $8 OFFSET $9"#,
                self.0.tenant.as_str(),
                filter.status.map(JobStatus::as_str),
                since as _,
                until as _,
                filter.reference,
                patterns as _,
                self.0.store.now() as _,
                limit,
                offset
            )
            .fetch_all(&mut *connection)
            .await?;
            let total = if let Some(total) = Page::<JobRecord>::total_from_its_end(rows.len(), limit, offset) {
                total
            } else {
                    let count = sqlx::query_scalar!(
                        r#"SELECT count(*) AS "count!" FROM jobs
                           WHERE tenant_id = $1 AND kind <> 'schedule' AND ($2::text IS NULL OR status = $2) AND ($3::timestamptz IS NULL OR created_at >= $3)
                             AND ($4::timestamptz IS NULL OR created_at < $4) AND ($5::text IS NULL OR reference = $5)
                             AND ($6::text[] IS NULL OR NOT inline AND NOT EXISTS (SELECT FROM unnest(templates) AS t WHERE NOT t LIKE ANY ($6)))
                             AND (completed_at IS NULL OR expires_at > $7)"#,
                        self.0.tenant.as_str(),
                        filter.status.map(JobStatus::as_str),
                        since as _,
                        until as _,
                        filter.reference,
                        patterns as _,
                        self.0.store.now() as _
                    );
                    u64::try_from(count.fetch_one(&mut *connection).await?).unwrap_or(0)
            };
            let items = rows.into_iter().map(JobRecord::try_from).collect::<Result<_, _>>()?;
            Ok(Page { items, total })
        })
        .await
    }

    /// The documents of a job from `first` on, up to `most` of them, in their order.
    pub async fn items(&self, id: JobId, first: u32, most: u32) -> Result<Vec<JobItemRecord>, StoreError> {
        speak!(self.0.store, "jobs.items", {
            let mut connection = self.0.store.acquire().await?;
            let rows = sqlx::query_as!(
                ItemRow,
                "SELECT item_index, status, template, reference, metadata::text, sha256, size_bytes, content_type, filename, disposition,
                        pages, warnings, document_id, usage_id, ended_at, error_code, error_message
                 FROM job_items WHERE tenant_id = $1 AND job_id = $2 AND item_index >= $3 ORDER BY item_index LIMIT $4",
                self.0.tenant.as_str(),
                id.as_uuid(),
                i32::try_from(first).unwrap_or(i32::MAX),
                i64::from(most)
            )
            .fetch_all(&mut *connection)
            .await?;
            rows.into_iter().map(JobItemRecord::try_from).collect()
        })
        .await
    }

    /// Calls a job off: what has not ended will not be made, also where somebody is at it. It is kept for `retention` from then on.
    pub async fn cancel(&self, id: JobId, retention: Duration, actor: &Actor) -> Result<CancelJobOutcome, StoreError> {
        speak!(self.0.store, "jobs.cancel", {
            let mut connection = self.0.store.acquire().await?;
            let mut write = Write::begin(&mut connection, self.0, actor).await?;
            let status = sqlx::query_scalar!(
                "SELECT status FROM jobs WHERE tenant_id = $1 AND job_id = $2 AND kind <> 'schedule' FOR NO KEY UPDATE",
                self.0.tenant.as_str(),
                id.as_uuid()
            );
            let Some(status) = status.fetch_optional(&mut *write).await? else { return Ok(CancelJobOutcome::NotFound) };
            let status: JobStatus = status.parse().map_err(|error| StoreError::inconsistent("jobs", error))?;
            if !status.can_become(JobStatus::Cancelled) {
                return Ok(CancelJobOutcome::AlreadyEnded(status));
            }
            let now = self.0.store.now();
            let called_off = sqlx::query!(
                "UPDATE job_items
                 SET status = 'cancelled', ended_at = $2, request = NULL, lease_owner = NULL, lease_token = NULL, lease_until = NULL
                 WHERE job_id = $1 AND status = 'pending'",
                id.as_uuid(),
                now as _
            )
            .execute(&mut *write)
            .await?
            .rows_affected();
            end_job(&mut write, &self.0.store, id, JobEnd { status: JobStatus::Cancelled, code: None, retention }).await?;
            let row = self.row(&mut write, id).await?.ok_or_else(|| StoreError::inconsistent("jobs", "a job without a row"))?;
            write.announce("job_ended", &id.to_string()).await?;
            write.commit(AuditEvent::new(AuditKind::JobCancelled, id).with("items", called_off)).await?;
            Ok(CancelJobOutcome::Cancelled(Box::new(row.try_into()?)))
        })
        .await
    }

    /// Removes a job with its documents, whether it has ended or not; false when there is none.
    pub async fn delete(&self, id: JobId, actor: &Actor) -> Result<bool, StoreError> {
        speak!(self.0.store, "jobs.delete", {
            let mut connection = self.0.store.acquire().await?;
            let mut write = Write::begin(&mut connection, self.0, actor).await?;
            let status = sqlx::query_scalar!(
                "DELETE FROM jobs WHERE tenant_id = $1 AND job_id = $2 AND kind <> 'schedule' RETURNING status",
                self.0.tenant.as_str(),
                id.as_uuid()
            );
            let Some(status) = status.fetch_optional(&mut *write).await? else { return Ok(false) };
            write.announce("job_ended", &id.to_string()).await?;
            write.commit(AuditEvent::new(AuditKind::JobDeleted, id).with("status", status)).await?;
            Ok(true)
        })
        .await
    }

    /// Which of these contents a document of a job has.
    pub async fn known(&self, hashes: &[[u8; 32]]) -> Result<Vec<[u8; 32]>, StoreError> {
        speak!(self.0.store, "jobs.known", {
            let hashes: Vec<&[u8]> = hashes.iter().map(<[u8; 32]>::as_slice).collect();
            let mut connection = self.0.store.acquire().await?;
            let found = sqlx::query_scalar!(
                r#"SELECT DISTINCT sha256 AS "sha256!" FROM job_items WHERE tenant_id = $1 AND sha256 = ANY ($2::bytea[])"#,
                self.0.tenant.as_str(),
                &hashes as _
            );
            Ok(found.fetch_all(&mut *connection).await?.into_iter().filter_map(|hash| hash.try_into().ok()).collect())
        })
        .await
    }
}

/// Each item gets the turn after the last open one of its tenant and kind, and none before those who wait already.
pub(crate) async fn insert_items(connection: &mut sqlx::PgConnection, tenant: &TenantId, new: &NewJob) -> Result<(), StoreError> {
    let column = |text: fn(&NewJobItem) -> Option<&str>| new.items.iter().map(text).collect::<Vec<_>>();
    sqlx::query!(
        "WITH before AS (
                 SELECT GREATEST(
                     (SELECT max(turn) FROM job_items WHERE tenant_id = $2 AND kind = $3 AND status = 'pending'),
                     (SELECT turn FROM job_items
                      WHERE status = 'pending' AND lease_until IS NULL AND next_run_at <= now()
                        AND tenant_id NOT IN (SELECT tenant_id FROM tenants WHERE status <> 'active')
                      ORDER BY priority, turn LIMIT 1),
                     0) AS turn)
             INSERT INTO job_items (job_id, tenant_id, kind, item_index, turn, request, template, reference, metadata)
             SELECT $1, $2, $3, item.place - 1, before.turn + item.place, item.request::json, item.template, item.reference,
                    item.metadata::jsonb
             FROM before, unnest($4::text[], $5::text[], $6::text[], $7::text[])
                          WITH ORDINALITY AS item(request, template, reference, metadata, place)",
        new.id.as_uuid(),
        tenant.as_str(),
        new.kind.as_str(),
        &column(|item| Some(&item.request)) as _,
        &column(|item| Some(&item.template)) as _,
        &column(|item| item.reference.as_deref()) as _,
        &column(|item| item.metadata.as_deref()) as _
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// What a selector selects, for LIKE.
pub(crate) fn pattern(selector: &TemplateSelector) -> String {
    match selector.as_str().strip_suffix('*') {
        Some(beginning) => format!("{}%", literal(beginning)),
        None => literal(selector.as_str()),
    }
}

#[expect(clippy::struct_excessive_bools, reason = "each is a column of its own")]
struct JobRow {
    job_id: Uuid,
    kind: String,
    format: String,
    status: String,
    total: i32,
    succeeded: i32,
    failed: i32,
    cancel_requested: bool,
    failure_code: Option<String>,
    reference: Option<String>,
    metadata: Option<String>,
    correlation_id: Option<String>,
    packaging: Option<String>,
    package_options: Option<String>,
    templates: Vec<String>,
    inline: bool,
    has_callback: bool,
    callback_attempts: i32,
    callback_delivered: bool,
    created_at: jiff_sqlx::Timestamp,
    started_at: Option<jiff_sqlx::Timestamp>,
    completed_at: Option<jiff_sqlx::Timestamp>,
    expires_at: jiff_sqlx::Timestamp,
}

impl TryFrom<JobRow> for JobRecord {
    type Error = StoreError;

    fn try_from(row: JobRow) -> Result<Self, StoreError> {
        let wrong = |error| StoreError::inconsistent("jobs", error);
        let [total, succeeded, failed] = [row.total, row.succeeded, row.failed].map(|count| u32::try_from(count).unwrap_or(0));
        Ok(Self {
            id: row.job_id.into(),
            kind: row.kind.parse().map_err(wrong)?,
            format: row.format,
            status: row.status.parse().map_err(wrong)?,
            progress: JobProgress { total, succeeded, failed },
            cancel_requested: row.cancel_requested,
            failure_code: row.failure_code,
            reference: row.reference,
            metadata: row.metadata,
            correlation_id: row.correlation_id,
            packaging: row.packaging.as_deref().map(str::parse).transpose().map_err(wrong)?,
            package_options: row.package_options,
            templates: row.templates,
            inline: row.inline,
            has_callback: row.has_callback,
            callback_attempts: u32::try_from(row.callback_attempts).unwrap_or(0),
            callback_delivered: row.callback_delivered,
            created_at: row.created_at.to_jiff(),
            started_at: row.started_at.map(jiff_sqlx::Timestamp::to_jiff),
            completed_at: row.completed_at.map(jiff_sqlx::Timestamp::to_jiff),
            expires_at: row.expires_at.to_jiff(),
        })
    }
}

struct ItemRow {
    item_index: i32,
    status: String,
    template: String,
    reference: Option<String>,
    metadata: Option<String>,
    sha256: Option<Vec<u8>>,
    size_bytes: Option<i64>,
    content_type: Option<String>,
    filename: Option<String>,
    disposition: Option<String>,
    pages: Option<i32>,
    warnings: Option<i32>,
    document_id: Option<Uuid>,
    usage_id: Option<Uuid>,
    ended_at: Option<jiff_sqlx::Timestamp>,
    error_code: Option<String>,
    error_message: Option<String>,
}

impl TryFrom<ItemRow> for JobItemRecord {
    type Error = StoreError;

    fn try_from(row: ItemRow) -> Result<Self, StoreError> {
        let sha256 = row.sha256.map(|hash| hash_of("job_items", &hash)).transpose()?;
        let count = |count: Option<i32>| u32::try_from(count.unwrap_or(0)).unwrap_or(0);
        let (pages, warnings) = (count(row.pages), count(row.warnings));
        let output = sha256.map(|sha256| JobItemOutput {
            sha256,
            size_bytes: u64::try_from(row.size_bytes.unwrap_or(0)).unwrap_or(0),
            content_type: row.content_type.unwrap_or_default(),
            filename: row.filename.unwrap_or_default(),
            disposition: row.disposition.unwrap_or_default(),
            pages,
            warnings,
            document_id: row.document_id,
            usage_id: row.usage_id.map(UsageId::from),
        });
        Ok(Self {
            index: u32::try_from(row.item_index).unwrap_or(0),
            status: row.status.parse().map_err(|error| StoreError::inconsistent("job_items", error))?,
            template: row.template,
            reference: row.reference,
            metadata: row.metadata,
            output,
            ended_at: row.ended_at.map(jiff_sqlx::Timestamp::to_jiff),
            error: row.error_code.map(|code| (code, row.error_message.unwrap_or_default())),
        })
    }
}
