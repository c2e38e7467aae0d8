//! Drafts of templates: one for each person, seen by the others, never rendered by a key.
//!
//! Most saves go past `write`: of an editor that saves every few seconds the audit log tells the first save, each one
//! from another version, and one in ten minutes.

use domain::audit::AuditKind;
use domain::drafts::{DRAFT_RECORD_EVERY, DRAFTS_LIMIT};
use domain::templates::{TemplateKey, TemplateVersion};
use domain::{Actor, AuditEvent};
use jiff::Timestamp;
use jiff_sqlx::ToSqlx as _;
use serde_json::Value;
use uuid::Uuid;

use crate::connect::speak;
use crate::connection::Connection;
use crate::error::StoreError;
use crate::page::{Page, bounds};
use crate::templates::{lock_template, numbers, version};
use crate::tenants::TenantStore;
use crate::write::Write;

/// A draft without its definition, as a list shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DraftSummary {
    /// The id of the user whose it is.
    pub owner: String,
    /// The version it was begun from.
    pub base_version: TemplateVersion,
    /// Counts the saves from 1.
    pub revision: u64,
    /// When it was first saved.
    pub created_at: Timestamp,
    /// When it was last saved.
    pub updated_at: Timestamp,
}

/// A draft with its definition.
#[derive(Clone, Debug, PartialEq)]
pub struct DraftRecord {
    /// Everything else about it.
    pub summary: DraftSummary,
    /// The definition, which need not be valid, properties in their author's order.
    pub definition: Value,
}

/// What a save says.
#[derive(Clone, Copy, Debug)]
pub struct DraftContent<'a> {
    /// The version it was begun from, which has to exist.
    pub base_version: TemplateVersion,
    /// The definition.
    pub definition: &'a Value,
}

/// How a write of a draft ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum DraftOutcome<T = DraftSummary> {
    /// Done; what there is now.
    Written(T),
    /// There is no such template; nothing was changed.
    NotFound,
    /// The template has no such version to begin from; nothing was changed.
    UnknownBase,
    /// The draft has another revision than the caller expected, 0 where there is none; nothing was changed.
    Stale {
        /// The revision there is.
        current: u64,
    },
    /// The template has [`DRAFTS_LIMIT`] of them already; nothing was changed.
    TooMany,
}

/// The drafts of one tenant's templates.
pub struct Drafts<'a>(pub(crate) &'a TenantStore);

impl Drafts<'_> {
    /// The draft of `owner`. The outer `None`: there is no such template; the inner one: there is no such draft.
    pub async fn get(&self, key: &TemplateKey, owner: &str) -> Result<Option<Option<DraftRecord>>, StoreError> {
        speak!(self.0.store, "drafts.get", {
            let mut connection = self.0.store.acquire().await?;
            let Some(template_id) = self.template(&mut connection, key).await? else { return Ok(None) };
            let row = sqlx::query_as!(
                DraftRow,
                r#"SELECT owner, base_major, base_minor, base_patch, revision, created_at, updated_at, definition::text AS "definition?"
                   FROM template_drafts WHERE tenant_id = $1 AND template_id = $2 AND owner = $3"#,
                self.0.tenant.as_str(),
                template_id,
                owner
            )
            .fetch_optional(&mut *connection)
            .await?;
            row.map(DraftRow::record).transpose().map(Some)
        })
        .await
    }

    /// One page of the drafts of a template, saved last first; `None` when there is no such template. `limit` counts up to
    /// [`crate::MAX_PAGE_ROWS`].
    pub async fn list(&self, key: &TemplateKey, limit: u32, offset: u64) -> Result<Option<Page<DraftSummary>>, StoreError> {
        speak!(self.0.store, "drafts.list", {
            let (limit, offset) = bounds(limit, offset);
            let mut connection = self.0.store.acquire().await?;
            let Some(template_id) = self.template(&mut connection, key).await? else { return Ok(None) };
            let total = sqlx::query_scalar!(r#"SELECT count(*) AS "count!" FROM template_drafts WHERE template_id = $1"#, template_id)
                .fetch_one(&mut *connection)
                .await?;
            let rows = sqlx::query_as!(
                DraftRow,
                r#"SELECT owner, base_major, base_minor, base_patch, revision, created_at, updated_at, NULL AS "definition?"
                   FROM template_drafts WHERE tenant_id = $1 AND template_id = $2 ORDER BY updated_at DESC, owner LIMIT $3 OFFSET $4"#,
                self.0.tenant.as_str(),
                template_id,
                limit,
                offset
            )
            .fetch_all(&mut *connection)
            .await?;
            let items = rows.into_iter().map(DraftRow::summary).collect::<Result<_, _>>()?;
            Ok(Some(Page { items, total: u64::try_from(total).unwrap_or(0) }))
        })
        .await
    }

    /// Saves the draft of `actor`; where `expected` is given, only if that is its revision (0: only if there is none yet).
    pub async fn put(
        &self,
        key: &TemplateKey,
        expected: Option<u64>,
        content: DraftContent<'_>,
        actor: &Actor,
    ) -> Result<DraftOutcome, StoreError> {
        speak!(self.0.store, "drafts.put", {
            let text = content.definition.to_string();
            let mut connection = self.0.store.acquire().await?;
            if let Some(saved) = self.save_quietly(&mut connection, key, expected, content, &text, actor).await? {
                return Ok(DraftOutcome::Written(saved));
            }
            self.save(&mut connection, key, expected, content, &text, actor).await
        })
        .await
    }

    /// A save that the audit log does not tell: soon after one that it does, and from the same version.
    async fn save_quietly(
        &self,
        connection: &mut Connection,
        key: &TemplateKey,
        expected: Option<u64>,
        content: DraftContent<'_>,
        text: &str,
        actor: &Actor,
    ) -> Result<Option<DraftSummary>, StoreError> {
        let (major, minor, patch) = numbers(content.base_version)?;
        let now = self.0.store.now();
        let recorded_since = now.to_jiff().saturating_sub(DRAFT_RECORD_EVERY).unwrap_or(Timestamp::MIN);
        let row = sqlx::query_as!(
            DraftRow,
            r#"UPDATE template_drafts d SET definition = $7::text::json, revision = d.revision + 1, updated_at = $8
               FROM templates t JOIN tenants n USING (tenant_id)
               WHERE t.tenant_id = $1 AND t.template_key = $2 AND t.deleted_at IS NULL AND n.status = 'active'
                 AND d.template_id = t.template_id AND d.tenant_id = t.tenant_id AND d.owner = $3
                 AND (d.base_major, d.base_minor, d.base_patch) = ($4, $5, $6)
                 AND d.recorded_at > $9 AND ($10::bigint IS NULL OR d.revision = $10)
               RETURNING d.owner, d.base_major, d.base_minor, d.base_patch, d.revision, d.created_at, d.updated_at,
                         NULL AS "definition?""#,
            self.0.tenant.as_str(),
            key.as_str(),
            &*actor.name,
            major,
            minor,
            patch,
            text,
            now as _,
            recorded_since.to_sqlx() as _,
            column(expected)
        )
        .fetch_optional(&mut **connection)
        .await?;
        row.map(DraftRow::summary).transpose()
    }

    async fn save(
        &self,
        connection: &mut Connection,
        key: &TemplateKey,
        expected: Option<u64>,
        content: DraftContent<'_>,
        text: &str,
        actor: &Actor,
    ) -> Result<DraftOutcome, StoreError> {
        let (major, minor, patch) = numbers(content.base_version)?;
        let mut write = Write::begin(connection, self.0, actor).await?;
        // Holds the template: two writers of its drafts come one after the other.
        let Some(template_id) = lock_template(&mut write, self.0, key).await? else { return Ok(DraftOutcome::NotFound) };
        let standing = sqlx::query!(
            r#"SELECT count(*) AS "count!", max(revision) FILTER (WHERE owner = $2) AS revision,
                      EXISTS (SELECT 1 FROM template_versions v WHERE v.template_id = $1
                              AND v.major = $3 AND v.minor = $4 AND v.patch = $5) AS "has_base!"
               FROM template_drafts WHERE template_id = $1"#,
            template_id,
            &*actor.name,
            major,
            minor,
            patch
        )
        .fetch_one(&mut *write)
        .await?;
        let current = u64::try_from(standing.revision.unwrap_or(0)).unwrap_or(0);
        if expected.is_some_and(|expected| expected != current) {
            return Ok(DraftOutcome::Stale { current });
        }
        if !standing.has_base {
            return Ok(DraftOutcome::UnknownBase);
        }
        if current == 0 && usize::try_from(standing.count).unwrap_or(usize::MAX) >= DRAFTS_LIMIT {
            return Ok(DraftOutcome::TooMany);
        }
        let row = sqlx::query_as!(
            DraftRow,
            r#"INSERT INTO template_drafts AS d (tenant_id, template_id, owner, base_major, base_minor, base_patch, definition,
                                                 created_at, updated_at, recorded_at)
               VALUES ($1, $2, $3, $4, $5, $6, $7::text::json, $8, $8, $8)
               ON CONFLICT (template_id, owner) DO UPDATE SET
                   base_major = excluded.base_major, base_minor = excluded.base_minor, base_patch = excluded.base_patch,
                   definition = excluded.definition, revision = d.revision + 1, updated_at = excluded.updated_at,
                   recorded_at = excluded.recorded_at
               RETURNING owner, base_major, base_minor, base_patch, revision, created_at, updated_at, NULL AS "definition?""#,
            self.0.tenant.as_str(),
            template_id,
            &*actor.name,
            major,
            minor,
            patch,
            text,
            self.0.store.now() as _
        )
        .fetch_one(&mut *write)
        .await?;
        let saved = row.summary()?;
        let event = AuditEvent::new(AuditKind::DraftSaved, key).with("baseVersion", content.base_version.to_string());
        write.commit(event.with("revision", saved.revision)).await?;
        Ok(DraftOutcome::Written(saved))
    }

    /// Removes the draft of `actor`, where `expected` is given only if that is its revision; without a draft there is nothing
    /// to do.
    pub async fn delete(&self, key: &TemplateKey, expected: Option<u64>, actor: &Actor) -> Result<DraftOutcome<()>, StoreError> {
        speak!(self.0.store, "drafts.delete", {
            let mut connection = self.0.store.acquire().await?;
            let mut write = Write::begin(&mut connection, self.0, actor).await?;
            let Some(template_id) = lock_template(&mut write, self.0, key).await? else { return Ok(DraftOutcome::NotFound) };
            let deleted = sqlx::query_scalar!(
                "DELETE FROM template_drafts WHERE template_id = $1 AND owner = $2 AND ($3::bigint IS NULL OR revision = $3)
                 RETURNING revision",
                template_id,
                &*actor.name,
                column(expected)
            )
            .fetch_optional(&mut *write)
            .await?;
            let Some(revision) = deleted else {
                let current = sqlx::query_scalar!(
                    "SELECT revision FROM template_drafts WHERE template_id = $1 AND owner = $2",
                    template_id,
                    &*actor.name
                )
                .fetch_optional(&mut *write)
                .await?;
                let current = u64::try_from(current.unwrap_or(0)).unwrap_or(0);
                let is_as_expected = expected.is_none_or(|expected| expected == current);
                return Ok(if is_as_expected { DraftOutcome::Written(()) } else { DraftOutcome::Stale { current } });
            };
            write.commit(AuditEvent::new(AuditKind::DraftDeleted, key).with("revision", revision)).await?;
            Ok(DraftOutcome::Written(()))
        })
        .await
    }

    async fn template(&self, connection: &mut Connection, key: &TemplateKey) -> Result<Option<Uuid>, StoreError> {
        Ok(sqlx::query_scalar!(
            "SELECT template_id FROM templates WHERE tenant_id = $1 AND template_key = $2 AND deleted_at IS NULL",
            self.0.tenant.as_str(),
            key.as_str()
        )
        .fetch_optional(&mut **connection)
        .await?)
    }
}

/// What no column can hold is no revision that anything has.
fn column(expected: Option<u64>) -> Option<i64> {
    expected.map(|expected| i64::try_from(expected).unwrap_or(-1))
}

struct DraftRow {
    owner: String,
    base_major: i32,
    base_minor: i32,
    base_patch: i32,
    revision: i64,
    created_at: jiff_sqlx::Timestamp,
    updated_at: jiff_sqlx::Timestamp,
    definition: Option<String>,
}

impl DraftRow {
    fn summary(self) -> Result<DraftSummary, StoreError> {
        Ok(DraftSummary {
            owner: self.owner,
            base_version: version(self.base_major, self.base_minor, self.base_patch)?,
            revision: u64::try_from(self.revision).map_err(|error| StoreError::inconsistent("template_drafts", error))?,
            created_at: self.created_at.to_jiff(),
            updated_at: self.updated_at.to_jiff(),
        })
    }

    fn record(mut self) -> Result<DraftRecord, StoreError> {
        let text = self.definition.take().unwrap_or_default();
        let definition = serde_json::from_str(&text).map_err(|error| StoreError::inconsistent("template_drafts", error))?;
        Ok(DraftRecord { summary: self.summary()?, definition })
    }
}
