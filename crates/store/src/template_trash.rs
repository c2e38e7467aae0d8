//! The trash: templates that were deleted, until they come back or go for good.
//!
//! Several templates of one key can lie there. Whoever names the key means the one that was deleted last.

use domain::audit::AuditKind;
use domain::templates::TemplateKey;
use domain::{Actor, AuditEvent, TenantId};
use jiff::Timestamp;
use jiff_sqlx::ToSqlx as _;

use crate::connect::{Store, speak};
use crate::error::StoreError;
use crate::template_folder_tree::keep_the_tree;
use crate::template_references::{PartUsage, usage_of};
use crate::templates::{TemplateRow, TemplateSummary, Templates, version};
use crate::tenants::tenant_ids;
use crate::write::Write;

/// How an act on the trash ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum TrashOutcome<T = TemplateSummary> {
    /// Done; what there is now.
    Done(T),
    /// There is no template of that key, in the trash or out of it.
    NotFound,
    /// The only template of that key is not in the trash.
    NotInTrash,
    /// The key has another template by now.
    KeyTaken,
    /// Others use it; nothing was changed.
    InUse(PartUsage),
}

impl Templates<'_> {
    /// Takes the template of that key that was deleted last out of the trash, with all its versions.
    pub async fn undelete(&self, key: &TemplateKey, actor: &Actor) -> Result<TrashOutcome, StoreError> {
        let outcome = speak!(self.0.store, "templates.undelete", {
            let mut connection = self.0.store.acquire().await?;
            let mut write = Write::begin(&mut connection, self.0, actor).await?;
            // The folder that it comes back to must not go meanwhile.
            keep_the_tree(&mut write, self.0).await?;
            let (live, trashed) = self.whereabouts(&mut write, key).await?;
            match (live, trashed) {
                (true, true) => return Ok(TrashOutcome::KeyTaken),
                (true, false) => return Ok(TrashOutcome::NotInTrash),
                (false, false) => return Ok(TrashOutcome::NotFound),
                (false, true) => {}
            }
            let row = sqlx::query_as!(
                TemplateRow,
                "UPDATE templates t SET deleted_at = NULL, deleted_by = NULL
                 WHERE deleted_at IS NOT NULL AND tenant_id = $1 AND template_id = (
                     SELECT template_id FROM templates WHERE tenant_id = $1 AND template_key = $2 AND deleted_at IS NOT NULL
                     ORDER BY deleted_at DESC, template_id DESC LIMIT 1)
                 RETURNING template_id, template_key, name, description, kind, tags, owner,
                           current_major, current_minor, current_patch, created_at, updated_at, folder_id,
                           (SELECT path FROM template_folders f WHERE f.folder_id = t.folder_id) AS folder_path, deleted_at, deleted_by",
                self.0.tenant.as_str(),
                key.as_str()
            )
            .fetch_optional(&mut *write)
            .await?;
            let Some(row) = row else {
                // Somebody else took it out, or removed it, since we looked.
                let (live, _) = self.whereabouts(&mut write, key).await?;
                return Ok(if live { TrashOutcome::NotInTrash } else { TrashOutcome::NotFound });
            };
            let back = TemplateSummary::try_from(row)?;
            write.announce("template", key.as_str()).await?;
            write.commit(AuditEvent::new(AuditKind::TemplateUndeleted, key).with("version", back.current_version.to_string())).await?;
            Ok(TrashOutcome::Done(back))
        })
        .await;
        match outcome {
            Err(StoreError::Conflict { what }) if what == "templates_live_key" => Ok(TrashOutcome::KeyTaken),
            outcome => outcome,
        }
    }

    /// Removes the template of that key that was deleted last, for good, with everything that is its own.
    pub async fn purge(&self, key: &TemplateKey, actor: &Actor) -> Result<TrashOutcome<()>, StoreError> {
        speak!(self.0.store, "templates.purge", {
            let mut connection = self.0.store.acquire().await?;
            let mut write = Write::begin(&mut connection, self.0, actor).await?;
            let row = sqlx::query!(
                "DELETE FROM templates
                 WHERE deleted_at IS NOT NULL AND tenant_id = $1 AND template_id = (
                     SELECT template_id FROM templates WHERE tenant_id = $1 AND template_key = $2 AND deleted_at IS NOT NULL
                     ORDER BY deleted_at DESC, template_id DESC LIMIT 1)
                 RETURNING template_id, current_major, current_minor, current_patch",
                self.0.tenant.as_str(),
                key.as_str()
            )
            .fetch_optional(&mut *write)
            .await?;
            let Some(row) = row else {
                let (live, _) = self.whereabouts(&mut write, key).await?;
                return Ok(if live { TrashOutcome::NotInTrash } else { TrashOutcome::NotFound });
            };
            let end = write.chain_end().await?;
            // A template that has the key by now is the one that is used.
            let (live, _) = self.whereabouts(&mut write, key).await?;
            let usage = usage_of(&mut write, &self.0.tenant, key.as_str()).await?;
            if !live && usage.total > 0 {
                return Ok(TrashOutcome::InUse(usage));
            }
            let version = version(row.current_major, row.current_minor, row.current_patch)?;
            let event = AuditEvent::new(AuditKind::TemplatePurged, key).with("version", version.to_string());
            write.commit_at(end, event.with("templateId", row.template_id.to_string())).await?;
            Ok(TrashOutcome::Done(()))
        })
        .await
    }

    /// Removes up to `max` templates that were deleted before `cut_off`, for good, the oldest first; says how many. Those that
    /// others use stay, and those that somebody else is about to change are left for another time.
    pub async fn purge_deleted_before(&self, cut_off: Timestamp, max: u32, actor: &Actor) -> Result<u64, StoreError> {
        speak!(self.0.store, "templates.purge_deleted_before", {
            let mut connection = self.0.store.acquire().await?;
            let mut write = Write::begin(&mut connection, self.0, actor).await?;
            let rows = sqlx::query!(
                "DELETE FROM templates WHERE deleted_at IS NOT NULL AND template_id IN (
                     SELECT template_id FROM templates old WHERE tenant_id = $1 AND deleted_at < $2
                       AND (EXISTS (SELECT FROM templates l
                                    WHERE l.tenant_id = $1 AND l.template_key = old.template_key AND l.deleted_at IS NULL)
                            OR NOT EXISTS (
                                SELECT FROM template_references r JOIN templates t ON t.tenant_id = r.tenant_id AND t.template_id = r.template_id
                                WHERE r.tenant_id = $1 AND r.target_key = old.template_key AND t.deleted_at IS NULL
                                  AND EXISTS (SELECT FROM template_versions_in_use u WHERE u.template_id = r.template_id
                                              AND (u.major, u.minor, u.patch) = (r.major, r.minor, r.patch))))
                     ORDER BY deleted_at, template_key, template_id LIMIT $3 FOR UPDATE SKIP LOCKED)
                 RETURNING template_id, template_key, current_major, current_minor, current_patch",
                self.0.tenant.as_str(),
                cut_off.to_sqlx() as _,
                i64::from(max)
            )
            .fetch_all(&mut *write)
            .await?;
            let removed = rows.len() as u64;
            if rows.is_empty() {
                return Ok(0);
            }
            // Whoever began to use one of them in the same moment has said so by now.
            let _ = write.chain_end().await?;
            for row in &rows {
                let (live, _) = self.whereabouts_of(&mut write, &row.template_key).await?;
                if !live && usage_of(&mut write, &self.0.tenant, &row.template_key).await?.total > 0 {
                    return Ok(0);
                }
            }
            let mut events = Vec::with_capacity(rows.len());
            for row in rows {
                let version = version(row.current_major, row.current_minor, row.current_patch)?;
                let event = AuditEvent::new(AuditKind::TemplatePurged, row.template_key).with("version", version.to_string());
                events.push(event.with("templateId", row.template_id.to_string()));
            }
            let Some(last) = events.pop() else { return Ok(0) };
            for event in events {
                write.record(self.0, event).await?;
            }
            write.commit(last).await?;
            Ok(removed)
        })
        .await
    }

    /// Whether the key has a template, and whether one lies in the trash.
    async fn whereabouts(&self, connection: &mut sqlx::PgConnection, key: &TemplateKey) -> Result<(bool, bool), StoreError> {
        self.whereabouts_of(connection, key.as_str()).await
    }

    async fn whereabouts_of(&self, connection: &mut sqlx::PgConnection, key: &str) -> Result<(bool, bool), StoreError> {
        let row = sqlx::query!(
            r#"SELECT EXISTS (SELECT 1 FROM templates WHERE tenant_id = $1 AND template_key = $2 AND deleted_at IS NULL) AS "live!",
                      EXISTS (SELECT 1 FROM templates WHERE tenant_id = $1 AND template_key = $2 AND deleted_at IS NOT NULL) AS "trashed!""#,
            self.0.tenant.as_str(),
            key
        )
        .fetch_one(connection)
        .await?;
        Ok((row.live, row.trashed))
    }
}

impl Store {
    /// The tenants that take writes and have templates in the trash which were deleted before `cut_off`, by id;
    /// [`Templates::purge_deleted_before`] removes them.
    pub async fn tenants_with_trash_before(&self, cut_off: Timestamp) -> Result<Vec<TenantId>, StoreError> {
        speak!(self, "template_trash.tenants", {
            let mut connection = self.acquire().await?;
            let ids = sqlx::query_scalar!(
                "SELECT tenant_id FROM tenants
                 WHERE status = 'active'
                   AND EXISTS (SELECT 1 FROM templates t WHERE t.tenant_id = tenants.tenant_id AND deleted_at < $1)
                 ORDER BY tenant_id",
                cut_off.to_sqlx() as _
            )
            .fetch_all(&mut *connection)
            .await?;
            tenant_ids(ids)
        })
        .await
    }
}
