//! Templates: what is true of them now. Their past is in `template_versions`.

use domain::audit::AuditKind;
use domain::ids::{FolderId, TemplateId};
use domain::labels::LabelName;
use domain::templates::{ContentHash, TemplateKey, TemplateVersion};
use domain::{Actor, AuditEvent};
use jiff::Timestamp;
use serde_json::Value;
use uuid::Uuid;

use crate::connect::speak;
use crate::error::StoreError;
use crate::labels::{Approval, labels_of};
use crate::page::Page;
pub(crate) use crate::template_kinds::TemplateKind;
use crate::template_list::TemplateFilter;
use crate::template_references::{PartInUse, PartUsage, missing_part, usage_of};
use crate::template_versions::{TemplateRecord, insert_version};
use crate::tenants::TenantStore;
use crate::write::Write;

/// The longest name of a template, in characters (a CHECK of the table).
pub const NAME_LIMIT_CHARS: usize = 255;
/// The longest description of a template, in characters (a CHECK of the table).
pub const DESCRIPTION_LIMIT_CHARS: usize = 4_000;
/// The longest change note of a version, in characters (a CHECK of the table; the wire contract's limit).
pub const CHANGE_NOTE_LIMIT_CHARS: usize = 2_000;
/// The most tags a template can have (a CHECK of the table).
pub const TAGS_LIMIT: usize = 50;

/// What a save says about a template. The texts keep to the limits of this module.
#[derive(Clone, Copy, Debug)]
pub struct TemplateContent<'a> {
    /// For people, not empty.
    pub name: &'a str,
    /// For people.
    pub description: Option<&'a str>,
    /// What the template is for.
    pub kind: TemplateKind,
    /// The whole definition; its order of properties is kept.
    pub definition: &'a Value,
}

/// A template that does not exist yet.
#[derive(Clone, Copy, Debug)]
pub struct NewTemplate<'a> {
    /// Unique among the tenant's templates that are not deleted.
    pub key: &'a TemplateKey,
    /// What its first version says.
    pub content: TemplateContent<'a>,
    /// Words to find it by.
    pub tags: &'a [String],
    /// Who looks after it.
    pub owner: Option<&'a str>,
}

/// Who saves, and why.
#[derive(Clone, Copy, Debug)]
pub struct Revision<'a> {
    /// Who saves.
    pub actor: &'a Actor,
    /// Why, up to [`CHANGE_NOTE_LIMIT_CHARS`].
    pub change_note: Option<&'a str>,
}

/// A template without its definition, as a list shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TemplateSummary {
    /// Names the template for ever; a key can be used anew.
    pub template_id: TemplateId,
    /// Names it to callers.
    pub key: TemplateKey,
    /// For people.
    pub name: String,
    /// For people.
    pub description: Option<String>,
    /// What it is for.
    pub kind: TemplateKind,
    /// The version that renders unless another one is asked for.
    pub current_version: TemplateVersion,
    /// Words to find it by.
    pub tags: Vec<String>,
    /// Who looks after it.
    pub owner: Option<String>,
    /// When its first version was saved.
    pub created_at: Timestamp,
    /// When its current version was saved.
    pub updated_at: Timestamp,
    /// The folder it lies in; none at the top.
    pub folder_id: Option<FolderId>,
    /// The way to that folder, from the top down.
    pub folder_path: Option<String>,
    /// When it was put into the trash; none for one that is not there.
    pub deleted_at: Option<Timestamp>,
    /// Who did that.
    pub deleted_by: Option<String>,
}

/// How an insert ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum InsertOutcome {
    /// The template exists now.
    Written(Box<TemplateSummary>),
    /// The key is taken; nothing was changed.
    KeyTaken,
    /// What it is made with is not there; nothing was changed.
    PartMissing {
        /// The first template of it that is missing.
        part: TemplateKey,
    },
}

/// How a conditional write ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
#[expect(clippy::large_enum_variant, reason = "made once for each save")]
pub enum UpdateOutcome {
    /// Done; what there is now.
    Written(TemplateSummary),
    /// There is no such template; nothing was changed.
    NotFound,
    /// Another version is current than the caller expected; nothing was changed.
    Stale {
        /// The current version.
        current: TemplateVersion,
    },
    /// What it is made with is not there; nothing was changed.
    PartMissing {
        /// The first template of it that is missing.
        part: TemplateKey,
    },
}

/// How an act of putting a template into the trash ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum DeleteOutcome {
    /// It is in the trash now.
    Deleted,
    /// There is no such template; nothing was changed.
    NotFound,
    /// Another version is current than the caller expected; nothing was changed.
    Stale {
        /// The current version.
        current: TemplateVersion,
    },
    /// Others use it; nothing was changed.
    InUse(PartUsage),
    /// It has a label that does not go without somebody who answers for it; nothing was changed.
    Protected {
        /// The first of them by name.
        label: LabelName,
    },
}

/// The templates of one tenant.
pub struct Templates<'a>(pub(crate) &'a TenantStore);

impl Templates<'_> {
    /// The template of that key, without its definition.
    pub async fn get(&self, key: &TemplateKey) -> Result<Option<TemplateSummary>, StoreError> {
        speak!(self.0.store, "templates.get", {
            let mut connection = self.0.store.acquire().await?;
            let row = sqlx::query_as!(
                TemplateRow,
                "SELECT template_id, template_key, name, description, kind, tags, owner,
                        current_major, current_minor, current_patch, created_at, updated_at, folder_id,
                        (SELECT path FROM template_folders f WHERE f.folder_id = t.folder_id) AS folder_path, deleted_at, deleted_by
                 FROM templates t WHERE tenant_id = $1 AND template_key = $2 AND deleted_at IS NULL",
                self.0.tenant.as_str(),
                key.as_str()
            )
            .fetch_optional(&mut *connection)
            .await?;
            row.map(TemplateSummary::try_from).transpose()
        })
        .await
    }

    /// The current version of the template of that key, with its definition.
    pub async fn get_current(&self, key: &TemplateKey) -> Result<Option<TemplateRecord>, StoreError> {
        self.0.template_versions().get_current(key).await
    }

    /// One page of the templates that `filter` describes.
    pub async fn list(&self, filter: &TemplateFilter) -> Result<Page<TemplateSummary>, StoreError> {
        crate::template_list::list(self.0, filter).await
    }

    /// Makes a template. Its first version has the number in the definition's `version`, or else 1.0.0.
    pub async fn insert(&self, new: NewTemplate<'_>, revision: Revision<'_>) -> Result<InsertOutcome, StoreError> {
        speak!(self.0.store, "templates.insert", {
            let text = new.content.definition.to_string();
            let version = first_version(new.content.definition);
            let (major, minor, patch) = numbers(version)?;
            let mut connection = self.0.store.acquire().await?;
            let mut write = Write::begin(&mut connection, self.0, revision.actor).await?;
            let inserted = sqlx::query_as!(
                TemplateRow,
                "INSERT INTO templates (template_id, tenant_id, template_key, name, description, kind, tags, owner,
                                        current_major, current_minor, current_patch, created_at, updated_at)
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $12)
                 ON CONFLICT (tenant_id, template_key) WHERE deleted_at IS NULL DO NOTHING
                 RETURNING template_id, template_key, name, description, kind, tags, owner,
                           current_major, current_minor, current_patch, created_at, updated_at, folder_id,
                           NULL::text AS folder_path, deleted_at, deleted_by",
                TemplateId::generate().as_uuid(),
                self.0.tenant.as_str(),
                new.key.as_str(),
                new.content.name,
                new.content.description,
                new.content.kind.as_str(),
                new.tags,
                new.owner,
                major,
                minor,
                patch,
                self.0.store.now() as _
            )
            .fetch_optional(&mut *write)
            .await?;
            let Some(row) = inserted else { return Ok(InsertOutcome::KeyTaken) };
            let hash = ContentHash::of(new.content.definition);
            insert_version(&mut write, &self.0.tenant, &row, new.content.definition, &text, hash, revision).await?;
            let end = write.chain_end().await?;
            if let Some(part) = missing_part(&mut write, row.template_id, version).await? {
                return Ok(InsertOutcome::PartMissing { part });
            }
            write.announce("template", new.key.as_str()).await?;
            write.commit_at(end, AuditEvent::new(AuditKind::TemplateCreated, new.key).with("version", version.to_string())).await?;
            Ok(InsertOutcome::Written(Box::new(row.try_into()?)))
        })
        .await
    }

    /// Saves `content` as the next version (patch + 1), if `expected` is the current one.
    pub async fn update(
        &self,
        key: &TemplateKey,
        expected: TemplateVersion,
        content: TemplateContent<'_>,
        revision: Revision<'_>,
    ) -> Result<UpdateOutcome, StoreError> {
        self.save(key, expected, content, revision, AuditEvent::new(AuditKind::TemplateUpdated, key)).await
    }

    /// Saves the next version and records that as `event`.
    pub(crate) async fn save(
        &self,
        key: &TemplateKey,
        expected: TemplateVersion,
        content: TemplateContent<'_>,
        revision: Revision<'_>,
        event: AuditEvent,
    ) -> Result<UpdateOutcome, StoreError> {
        speak!(self.0.store, "templates.update", {
            let text = content.definition.to_string();
            let hash = ContentHash::of(content.definition);
            let (major, minor, patch) = numbers(expected)?;
            let mut connection = self.0.store.acquire().await?;
            let mut write = Write::begin(&mut connection, self.0, revision.actor).await?;
            // The WHERE is the check, so two writers cannot both pass it: the second one waits for the row and then finds
            // another version there.
            let updated = sqlx::query_as!(
                TemplateRow,
                "UPDATE templates t
                 SET name = $6, description = $7, kind = $8, current_patch = current_patch + 1, updated_at = $9
                 WHERE tenant_id = $1 AND template_key = $2 AND deleted_at IS NULL
                   AND current_major = $3 AND current_minor = $4 AND current_patch = $5
                 RETURNING template_id, template_key, name, description, kind, tags, owner,
                           current_major, current_minor, current_patch, created_at, updated_at, folder_id,
                           (SELECT path FROM template_folders f WHERE f.folder_id = t.folder_id) AS folder_path, deleted_at, deleted_by",
                self.0.tenant.as_str(),
                key.as_str(),
                major,
                minor,
                patch,
                content.name,
                content.description,
                content.kind.as_str(),
                self.0.store.now() as _
            )
            .fetch_optional(&mut *write)
            .await?;
            let Some(row) = updated else { return why_not(self.0, &mut write, key).await };
            insert_version(&mut write, &self.0.tenant, &row, content.definition, &text, hash, revision).await?;
            let saved = TemplateSummary::try_from(row)?;
            let end = write.chain_end().await?;
            if let Some(part) = missing_part(&mut write, saved.template_id.as_uuid(), saved.current_version).await? {
                return Ok(UpdateOutcome::PartMissing { part });
            }
            write.announce("template", key.as_str()).await?;
            write.commit_at(end, event.with("version", saved.current_version.to_string())).await?;
            Ok(UpdateOutcome::Written(saved))
        })
        .await
    }

    /// Puts the template into the trash, if `expected` is its current version. Nothing of it is lost, and its key is free. With a
    /// label that `approval` protects it stays: whoever answers for that passes none, and a note.
    pub async fn delete(
        &self,
        key: &TemplateKey,
        expected: TemplateVersion,
        in_use: PartInUse,
        approval: Approval<'_>,
        deleted_by: &Actor,
    ) -> Result<DeleteOutcome, StoreError> {
        speak!(self.0.store, "templates.delete", {
            let (major, minor, patch) = numbers(expected)?;
            let mut connection = self.0.store.acquire().await?;
            let mut write = Write::begin(&mut connection, self.0, deleted_by).await?;
            let Some(template_id) = lock_template(&mut write, self.0, key).await? else { return Ok(DeleteOutcome::NotFound) };
            let deleted = sqlx::query!(
                "UPDATE templates SET deleted_at = $6, deleted_by = $7
                 WHERE tenant_id = $1 AND template_key = $2 AND deleted_at IS NULL
                   AND current_major = $3 AND current_minor = $4 AND current_patch = $5",
                self.0.tenant.as_str(),
                key.as_str(),
                major,
                minor,
                patch,
                self.0.store.now() as _,
                &*deleted_by.name
            )
            .execute(&mut *write)
            .await?;
            if deleted.rows_affected() == 0 {
                return Ok(match current_version(self.0, &mut write, key).await? {
                    None => DeleteOutcome::NotFound,
                    Some(current) => DeleteOutcome::Stale { current },
                });
            }
            let end = write.chain_end().await?;
            let usage = usage_of(&mut write, &self.0.tenant, key.as_str()).await?;
            if usage.total > 0 && in_use == PartInUse::Refuse {
                return Ok(DeleteOutcome::InUse(usage));
            }
            let labels = labels_of(&mut write, template_id).await?;
            if let Some(found) = labels.into_iter().find(|found| approval.protected.contains(&found.label)) {
                return Ok(DeleteOutcome::Protected { label: found.label });
            }
            write.announce("template", key.as_str()).await?;
            let event = AuditEvent::new(AuditKind::TemplateDeleted, key).with("version", expected.to_string());
            let event = if usage.total > 0 { event.with("usedBy", usage.total) } else { event };
            let event = if let Some(note) = approval.note { event.with("note", note.as_str()) } else { event };
            write.commit_at(end, event).await?;
            Ok(DeleteOutcome::Deleted)
        })
        .await
    }
}

/// Holds the template of that key until the transaction ends, so that writers of what belongs to it (labels, drafts, datasets) come
/// one after the other; `None` when there is none. What is read of it afterwards, in statements of their own, stays true.
pub(crate) async fn lock_template(
    connection: &mut sqlx::PgConnection,
    handle: &TenantStore,
    key: &TemplateKey,
) -> Result<Option<Uuid>, StoreError> {
    let found = sqlx::query_scalar!(
        "SELECT template_id FROM templates WHERE tenant_id = $1 AND template_key = $2 AND deleted_at IS NULL FOR NO KEY UPDATE",
        handle.tenant.as_str(),
        key.as_str()
    );
    Ok(found.fetch_optional(connection).await?)
}

/// After a conditional write touched no row: is the template absent, or is another version current?
async fn why_not(handle: &TenantStore, connection: &mut sqlx::PgConnection, key: &TemplateKey) -> Result<UpdateOutcome, StoreError> {
    let current = current_version(handle, connection, key).await?;
    Ok(current.map_or(UpdateOutcome::NotFound, |current| UpdateOutcome::Stale { current }))
}

async fn current_version(
    handle: &TenantStore,
    connection: &mut sqlx::PgConnection,
    key: &TemplateKey,
) -> Result<Option<TemplateVersion>, StoreError> {
    let row = sqlx::query!(
        "SELECT current_major, current_minor, current_patch FROM templates
         WHERE tenant_id = $1 AND template_key = $2 AND deleted_at IS NULL",
        handle.tenant.as_str(),
        key.as_str()
    )
    .fetch_optional(connection)
    .await?;
    row.map(|row| version(row.current_major, row.current_minor, row.current_patch)).transpose()
}

/// The number of the first version: the author's, where the definition names one.
fn first_version(definition: &Value) -> TemplateVersion {
    definition.get("version").and_then(Value::as_str).and_then(|text| text.parse().ok()).unwrap_or(TemplateVersion::FIRST)
}

/// A row of `templates` as it comes.
#[derive(sqlx::FromRow)]
pub(crate) struct TemplateRow {
    pub(crate) template_id: Uuid,
    pub(crate) template_key: String,
    pub(crate) name: String,
    pub(crate) description: Option<String>,
    pub(crate) kind: String,
    pub(crate) tags: Vec<String>,
    pub(crate) owner: Option<String>,
    pub(crate) current_major: i32,
    pub(crate) current_minor: i32,
    pub(crate) current_patch: i32,
    pub(crate) created_at: jiff_sqlx::Timestamp,
    pub(crate) updated_at: jiff_sqlx::Timestamp,
    pub(crate) folder_id: Option<Uuid>,
    pub(crate) folder_path: Option<String>,
    pub(crate) deleted_at: Option<jiff_sqlx::Timestamp>,
    pub(crate) deleted_by: Option<String>,
}

impl TryFrom<TemplateRow> for TemplateSummary {
    type Error = StoreError;

    fn try_from(row: TemplateRow) -> Result<Self, StoreError> {
        Ok(Self {
            template_id: row.template_id.into(),
            key: key(row.template_key)?,
            name: row.name,
            description: row.description,
            kind: kind(&row.kind)?,
            current_version: version(row.current_major, row.current_minor, row.current_patch)?,
            tags: row.tags,
            owner: row.owner,
            created_at: row.created_at.to_jiff(),
            updated_at: row.updated_at.to_jiff(),
            folder_id: row.folder_id.map(FolderId::from),
            folder_path: row.folder_path,
            deleted_at: row.deleted_at.map(jiff_sqlx::Timestamp::to_jiff),
            deleted_by: row.deleted_by,
        })
    }
}

/// The three numbers as their columns take them.
pub(crate) fn numbers(version: TemplateVersion) -> Result<(i32, i32, i32), StoreError> {
    let column = |number: u32| i32::try_from(number).map_err(|_| StoreError::Refused { what: "template version".to_owned() });
    Ok((column(version.major)?, column(version.minor)?, column(version.patch)?))
}

pub(crate) fn version(major: i32, minor: i32, patch: i32) -> Result<TemplateVersion, StoreError> {
    let number = |column: i32| u32::try_from(column).map_err(|error| StoreError::inconsistent("templates", error));
    Ok(TemplateVersion { major: number(major)?, minor: number(minor)?, patch: number(patch)? })
}

pub(crate) fn key(text: String) -> Result<TemplateKey, StoreError> {
    TemplateKey::try_from(text).map_err(|error| StoreError::inconsistent("templates", error))
}

pub(crate) fn kind(word: &str) -> Result<TemplateKind, StoreError> {
    TemplateKind::from_word(word).ok_or_else(|| StoreError::inconsistent("templates", "unknown kind"))
}
