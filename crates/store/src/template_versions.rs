//! The immutable versions of templates: one for each save, the definition with it.

use domain::asset_references::asset_references;
use domain::audit::AuditKind;
use domain::ids::TemplateId;
use domain::template_references::template_references;
use domain::templates::{ContentHash, TemplateKey, TemplateVersion};
use domain::{Actor, AuditEvent, TenantId};
use jiff::Timestamp;
use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::asset_usage;
use crate::connect::speak;
use crate::error::StoreError;
use crate::hashes::hash_of;
use crate::page::{Page, bounds};
use crate::template_references::insert_references;
use crate::templates::{Revision, TemplateContent, TemplateKind, TemplateRow, UpdateOutcome, key, kind, numbers, version};
use crate::tenants::TenantStore;
use crate::write::Write;

/// One version of a template with its definition.
#[derive(Clone, Debug, PartialEq)]
pub struct TemplateRecord {
    /// Names the template for ever.
    pub template_id: TemplateId,
    /// Names it to callers.
    pub key: TemplateKey,
    /// What the template was called in this version.
    pub name: String,
    /// How it was described in this version.
    pub description: Option<String>,
    /// What it was for in this version.
    pub kind: TemplateKind,
    /// Which version this is.
    pub version: TemplateVersion,
    /// Which version is current.
    pub current_version: TemplateVersion,
    /// Equal for equal definitions.
    pub content_hash: ContentHash,
    /// The definition, properties in their author's order.
    pub definition: Value,
    /// When this version was saved.
    pub created_at: Timestamp,
    /// Who saved it, if that was said.
    pub created_by: Option<String>,
    /// Why, if that was said.
    pub change_note: Option<String>,
}

/// One version without its definition, as a list shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VersionSummary {
    /// Which version this is.
    pub version: TemplateVersion,
    /// Equal for equal definitions.
    pub content_hash: ContentHash,
    /// When it was saved.
    pub created_at: Timestamp,
    /// Who saved it, if that was said.
    pub created_by: Option<String>,
    /// Why, if that was said.
    pub change_note: Option<String>,
}

/// How a restore ended.
#[derive(Clone, Debug, PartialEq)]
#[must_use]
pub enum RestoreOutcome {
    /// The old definition is current again, under a new number.
    Written(Box<TemplateRecord>),
    /// There is no such template; nothing was changed.
    NotFound,
    /// The template has no such version; nothing was changed.
    VersionNotFound,
    /// Another version is current than the caller expected; nothing was changed.
    Stale {
        /// The current version.
        current: TemplateVersion,
    },
    /// What it is made with is not there any more; nothing was changed.
    PartMissing {
        /// The first template of it that is missing.
        part: TemplateKey,
    },
}

/// The versions of one tenant's templates.
pub struct TemplateVersions<'a>(pub(crate) &'a TenantStore);

impl TemplateVersions<'_> {
    /// One page of the versions of a template, newest first; `None` when there is no such template.
    /// `limit` counts up to [`crate::MAX_PAGE_ROWS`].
    pub async fn list(&self, key: &TemplateKey, limit: u32, offset: u64) -> Result<Option<Page<VersionSummary>>, StoreError> {
        speak!(self.0.store, "template_versions.list", {
            let (limit, offset) = bounds(limit, offset);
            let mut connection = self.0.store.acquire().await?;
            let rows = sqlx::query_as!(
                VersionRow,
                "SELECT v.major, v.minor, v.patch, v.content_hash, v.created_at, v.created_by, v.change_note
                 FROM templates t JOIN template_versions v USING (tenant_id, template_id)
                 WHERE t.tenant_id = $1 AND t.template_key = $2 AND t.deleted_at IS NULL
                 ORDER BY v.major DESC, v.minor DESC, v.patch DESC LIMIT $3 OFFSET $4",
                self.0.tenant.as_str(),
                key.as_str(),
                limit,
                offset
            )
            .fetch_all(&mut *connection)
            .await?;
            let known = Page::<VersionSummary>::total_from_its_end(rows.len(), limit, offset);
            let total = if let Some(total) = known {
                total
            } else {
                let count = sqlx::query_scalar!(
                    r#"SELECT count(*) AS "count!"
                       FROM templates t JOIN template_versions v USING (tenant_id, template_id)
                       WHERE t.tenant_id = $1 AND t.template_key = $2 AND t.deleted_at IS NULL"#,
                    self.0.tenant.as_str(),
                    key.as_str()
                )
                .fetch_one(&mut *connection)
                .await?;
                u64::try_from(count).unwrap_or(0)
            };
            // Every template has a version, so a template without one is no template.
            if total == 0 {
                return Ok(None);
            }
            let items = rows.into_iter().map(VersionSummary::try_from).collect::<Result<_, _>>()?;
            Ok(Some(Page { items, total }))
        })
        .await
    }

    /// That version of the template of that key, with its definition.
    pub async fn get(&self, key: &TemplateKey, version: TemplateVersion) -> Result<Option<TemplateRecord>, StoreError> {
        speak!(self.0.store, "template_versions.get", {
            // A number that no column can hold is no version of anything.
            let Ok((major, minor, patch)) = numbers(version) else { return Ok(None) };
            let mut connection = self.0.store.acquire().await?;
            let row = sqlx::query_as!(
                RecordRow,
                r#"SELECT t.template_id, t.template_key, t.current_major, t.current_minor, t.current_patch,
                          v.name, v.description, v.kind, v.major, v.minor, v.patch, v.content_hash,
                          v.definition::text AS "definition!", v.created_at, v.created_by, v.change_note
                   FROM templates t JOIN template_versions v USING (tenant_id, template_id)
                   WHERE t.tenant_id = $1 AND t.template_key = $2 AND t.deleted_at IS NULL
                     AND v.major = $3 AND v.minor = $4 AND v.patch = $5"#,
                self.0.tenant.as_str(),
                key.as_str(),
                major,
                minor,
                patch
            )
            .fetch_optional(&mut *connection)
            .await?;
            row.map(TemplateRecord::try_from).transpose()
        })
        .await
    }

    /// The current version of the template of that key, with its definition.
    pub(crate) async fn get_current(&self, key: &TemplateKey) -> Result<Option<TemplateRecord>, StoreError> {
        speak!(self.0.store, "templates.get_current", {
            let mut connection = self.0.store.acquire().await?;
            let row = sqlx::query_as!(
                RecordRow,
                r#"SELECT t.template_id, t.template_key, t.current_major, t.current_minor, t.current_patch,
                          v.name, v.description, v.kind, v.major, v.minor, v.patch, v.content_hash,
                          v.definition::text AS "definition!", v.created_at, v.created_by, v.change_note
                   FROM templates t JOIN template_versions v USING (tenant_id, template_id)
                   WHERE t.tenant_id = $1 AND t.template_key = $2 AND t.deleted_at IS NULL
                     AND v.major = t.current_major AND v.minor = t.current_minor AND v.patch = t.current_patch"#,
                self.0.tenant.as_str(),
                key.as_str()
            )
            .fetch_optional(&mut *connection)
            .await?;
            row.map(TemplateRecord::try_from).transpose()
        })
        .await
    }

    /// Saves what `restored` says as the next version, if `expected` is the current one.
    pub async fn restore(
        &self,
        key: &TemplateKey,
        expected: TemplateVersion,
        restored: TemplateVersion,
        revision: Revision<'_>,
    ) -> Result<RestoreOutcome, StoreError> {
        // Read before the transaction: a version never changes.
        let Some(old) = self.get(key, restored).await? else {
            let template = self.0.templates().get(key).await?;
            return Ok(template.map_or(RestoreOutcome::NotFound, |_| RestoreOutcome::VersionNotFound));
        };
        let content =
            TemplateContent { name: &old.name, description: old.description.as_deref(), kind: old.kind, definition: &old.definition };
        let event = AuditEvent::new(AuditKind::TemplateRestored, key).with("restored", restored.to_string());
        Ok(match self.0.templates().save(key, expected, content, revision, event).await? {
            UpdateOutcome::NotFound => RestoreOutcome::NotFound,
            UpdateOutcome::Stale { current } => RestoreOutcome::Stale { current },
            UpdateOutcome::PartMissing { part } => RestoreOutcome::PartMissing { part },
            UpdateOutcome::Written(now) => RestoreOutcome::Written(Box::new(TemplateRecord {
                version: now.current_version,
                current_version: now.current_version,
                created_at: now.updated_at,
                created_by: Some(revision.actor.name.to_string()),
                change_note: revision.change_note.map(ToOwned::to_owned),
                ..old
            })),
        })
    }

    /// Replaces the change note of a version, or takes it away; `None` when there is no such version.
    /// A note has up to [`crate::CHANGE_NOTE_LIMIT_CHARS`].
    pub async fn set_change_note(
        &self,
        key: &TemplateKey,
        version: TemplateVersion,
        change_note: Option<&str>,
        actor: &Actor,
    ) -> Result<Option<VersionSummary>, StoreError> {
        speak!(self.0.store, "template_versions.set_change_note", {
            let Ok((major, minor, patch)) = numbers(version) else { return Ok(None) };
            let mut connection = self.0.store.acquire().await?;
            let mut write = Write::begin(&mut connection, self.0, actor).await?;
            let row = sqlx::query_as!(
                VersionRow,
                "UPDATE template_versions v SET change_note = $6
                 FROM templates t
                 WHERE t.tenant_id = $1 AND t.template_key = $2 AND t.deleted_at IS NULL
                   AND v.tenant_id = t.tenant_id AND v.template_id = t.template_id
                   AND v.major = $3 AND v.minor = $4 AND v.patch = $5
                 RETURNING v.major, v.minor, v.patch, v.content_hash, v.created_at, v.created_by, v.change_note",
                self.0.tenant.as_str(),
                key.as_str(),
                major,
                minor,
                patch,
                change_note
            )
            .fetch_optional(&mut *write)
            .await?;
            let Some(row) = row else { return Ok(None) };
            write.commit(AuditEvent::new(AuditKind::TemplateNoteChanged, key).with("version", version.to_string())).await?;
            Ok(Some(row.try_into()?))
        })
        .await
    }
}

/// Writes the version that `template` now has as its current one, dated as the template's last change.
pub(crate) async fn insert_version(
    connection: &mut PgConnection,
    tenant: &TenantId,
    template: &TemplateRow,
    definition: &Value,
    definition_text: &str,
    hash: ContentHash,
    revision: Revision<'_>,
) -> Result<(), StoreError> {
    // The text goes as text: the driver's own JSON encoding puts a space in front, and the hash would not fit.
    sqlx::query!(
        "INSERT INTO template_versions (template_id, tenant_id, major, minor, patch, name, description, kind,
                                        definition, content_hash, created_at, created_by, change_note)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9::text::json, $10, $11, $12, $13)",
        template.template_id,
        tenant.as_str(),
        template.current_major,
        template.current_minor,
        template.current_patch,
        template.name,
        template.description,
        template.kind,
        definition_text,
        hash.as_bytes().as_slice(),
        template.updated_at as _,
        &*revision.actor.name,
        revision.change_note
    )
    .execute(&mut *connection)
    .await?;
    // With the version, so that no way to save one can forget them.
    asset_usage::insert_references(connection, tenant, template, &asset_references(definition)).await?;
    insert_references(connection, tenant, template, &template_references(definition)).await
}

struct VersionRow {
    major: i32,
    minor: i32,
    patch: i32,
    content_hash: Vec<u8>,
    created_at: jiff_sqlx::Timestamp,
    created_by: Option<String>,
    change_note: Option<String>,
}

impl TryFrom<VersionRow> for VersionSummary {
    type Error = StoreError;

    fn try_from(row: VersionRow) -> Result<Self, StoreError> {
        Ok(Self {
            version: version(row.major, row.minor, row.patch)?,
            content_hash: hash_of("template_versions", &row.content_hash)?.into(),
            created_at: row.created_at.to_jiff(),
            created_by: row.created_by,
            change_note: row.change_note,
        })
    }
}

struct RecordRow {
    template_id: Uuid,
    template_key: String,
    current_major: i32,
    current_minor: i32,
    current_patch: i32,
    name: String,
    description: Option<String>,
    kind: String,
    major: i32,
    minor: i32,
    patch: i32,
    content_hash: Vec<u8>,
    definition: String,
    created_at: jiff_sqlx::Timestamp,
    created_by: Option<String>,
    change_note: Option<String>,
}

impl TryFrom<RecordRow> for TemplateRecord {
    type Error = StoreError;

    fn try_from(row: RecordRow) -> Result<Self, StoreError> {
        Ok(Self {
            template_id: row.template_id.into(),
            key: key(row.template_key)?,
            name: row.name,
            description: row.description,
            kind: kind(&row.kind)?,
            version: version(row.major, row.minor, row.patch)?,
            current_version: version(row.current_major, row.current_minor, row.current_patch)?,
            content_hash: hash_of("template_versions", &row.content_hash)?.into(),
            definition: serde_json::from_str(&row.definition).map_err(|error| StoreError::inconsistent("template_versions", error))?,
            created_at: row.created_at.to_jiff(),
            created_by: row.created_by,
            change_note: row.change_note,
        })
    }
}
