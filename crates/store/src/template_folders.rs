//! Folders of templates: a tree whose paths are kept beside its names.

use std::collections::BTreeSet;

use domain::audit::AuditKind;
use domain::ids::FolderId;
use domain::template_folders::{FOLDER_DEPTH_LIMIT, FOLDERS_LIMIT, FolderName};
use domain::{Actor, AuditEvent, TemplateSelector};
use jiff::Timestamp;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::connect::speak;
use crate::error::StoreError;
use crate::page::Page;
use crate::template_folder_tree::{PlaceRow, Spot, change_the_tree, find};
use crate::template_list::selected_patterns;
use crate::tenants::TenantStore;
use crate::write::Write;

/// A folder.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FolderRecord {
    /// Names it for ever.
    pub id: FolderId,
    /// The folder it lies in; none at the top.
    pub parent_id: Option<FolderId>,
    /// For people; differs in more than case from those beside it.
    pub name: String,
    /// The names from the top down, each behind a slash.
    pub path: String,
    /// How many templates lie in it, those in its folders and in the trash not counted.
    pub template_count: u64,
    /// When it was made.
    pub created_at: Timestamp,
    /// Who made it.
    pub created_by: Option<String>,
    /// When it was last renamed or moved itself.
    pub updated_at: Timestamp,
}

/// What is to change about a folder. What is `None` stays.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct FolderPatch {
    /// Another name.
    pub name: Option<FolderName>,
    /// Another place.
    pub parent: Option<FolderPlace>,
}

/// Where a folder lies.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FolderPlace {
    /// At the top.
    Top,
    /// In that folder.
    In(FolderId),
}

impl FolderPlace {
    fn parent(self) -> Option<Uuid> {
        match self {
            Self::Top => None,
            Self::In(folder) => Some(folder.as_uuid()),
        }
    }
}

/// How a change of a folder ended. All but the first changed nothing.
#[derive(Clone, PartialEq, Eq, Debug)]
#[must_use]
pub enum FolderOutcome<T = FolderRecord> {
    /// Done; what there is now.
    Written(T),
    /// There is no such folder.
    NotFound,
    /// There is no folder to put it into.
    ParentNotFound,
    /// A folder of that name is there already.
    Exists,
    /// It would lie in itself.
    Cycle,
    /// It, or a folder in it, would lie deeper than [`FOLDER_DEPTH_LIMIT`].
    TooDeep,
    /// The tenant has [`FOLDERS_LIMIT`] folders.
    TooMany,
    /// Folders lie in it, or templates that are not in the trash.
    NotEmpty,
}

/// The folders of one tenant.
pub struct TemplateFolders<'a>(pub(crate) &'a TenantStore);

impl TemplateFolders<'_> {
    /// One page of the folders by path, a folder before what lies in it. With `reached`, only those on the way to templates
    /// within that reach, and only these are counted.
    pub async fn list(&self, reached: Option<&[TemplateSelector]>, limit: u32, offset: u64) -> Result<Page<FolderRecord>, StoreError> {
        let patterns = reached.map(selected_patterns);
        speak!(self.0.store, "template_folders.list", {
            let mut connection = self.0.store.acquire().await?;
            // There are at most a few thousand, and which of them are on the way to something only the whole tree tells.
            let rows = sqlx::query_as!(
                FolderRow,
                r#"SELECT f.folder_id, f.parent_id, f.name, f.path, f.created_at, f.created_by, f.updated_at,
                          COALESCE(c.templates, 0) AS "template_count!"
                   FROM template_folders f LEFT JOIN (
                       SELECT folder_id, count(*) AS templates FROM templates
                       WHERE tenant_id = $1 AND deleted_at IS NULL AND folder_id IS NOT NULL
                         AND ($2::text[] IS NULL OR template_key LIKE ANY ($2))
                       GROUP BY folder_id) c USING (folder_id)
                   WHERE f.tenant_id = $1 ORDER BY f.folded_path"#,
                self.0.tenant.as_str(),
                patterns.as_deref()
            )
            .fetch_all(&mut *connection)
            .await?;
            let mut rows = rows;
            if patterns.is_some() {
                keep_the_way(&mut rows);
            }
            let total = rows.len() as u64;
            let page = rows.into_iter().skip(usize::try_from(offset).unwrap_or(usize::MAX)).take(limit as usize);
            Ok(Page { items: page.map(FolderRecord::from).collect(), total })
        })
        .await
    }

    /// Makes a folder.
    pub async fn insert(&self, name: &FolderName, place: FolderPlace, actor: &Actor) -> Result<FolderOutcome, StoreError> {
        speak!(self.0.store, "template_folders.insert", {
            let tenant = self.0.tenant.as_str();
            let mut connection = self.0.store.acquire().await?;
            let mut write = Write::begin(&mut connection, self.0, actor).await?;
            change_the_tree(&mut write, tenant).await?;
            let parent = match place {
                FolderPlace::Top => None,
                FolderPlace::In(folder) => match find(&mut write, tenant, folder).await? {
                    None => return Ok(FolderOutcome::ParentNotFound),
                    found => found,
                },
            };
            let count = sqlx::query_scalar!(r#"SELECT count(*) AS "count!" FROM template_folders WHERE tenant_id = $1"#, tenant)
                .fetch_one(&mut *write)
                .await?;
            if count >= i64::from(FOLDERS_LIMIT) {
                return Ok(FolderOutcome::TooMany);
            }
            let at = Spot::under(parent.as_ref(), name);
            if at.depth > FOLDER_DEPTH_LIMIT.cast_signed() {
                return Ok(FolderOutcome::TooDeep);
            }
            let row = sqlx::query_as!(
                FolderRow,
                r#"INSERT INTO template_folders (folder_id, tenant_id, parent_id, name, folded_name, path, folded_path, depth,
                                                 created_at, created_by, updated_at)
                   VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $9)
                   ON CONFLICT DO NOTHING
                   RETURNING folder_id, parent_id, name, path, created_at, created_by, updated_at, 0::bigint AS "template_count!""#,
                FolderId::generate().as_uuid(),
                tenant,
                place.parent(),
                name.as_str(),
                name.folded(),
                at.path,
                at.folded_path,
                at.depth,
                self.0.store.now() as _,
                &*actor.name
            )
            .fetch_optional(&mut *write)
            .await?;
            let Some(row) = row else { return Ok(FolderOutcome::Exists) };
            let made = FolderRecord::from(row);
            write.commit(AuditEvent::new(AuditKind::FolderCreated, made.id).with("path", made.path.as_str())).await?;
            Ok(FolderOutcome::Written(made))
        })
        .await
    }

    /// Renames a folder, moves it, or both. The paths of what lies in it go along.
    pub async fn update(&self, folder: FolderId, patch: &FolderPatch, actor: &Actor) -> Result<FolderOutcome, StoreError> {
        speak!(self.0.store, "template_folders.update", {
            let tenant = self.0.tenant.as_str();
            let mut connection = self.0.store.acquire().await?;
            let mut write = Write::begin(&mut connection, self.0, actor).await?;
            change_the_tree(&mut write, tenant).await?;
            let Some(old) = find(&mut write, tenant, folder).await? else { return Ok(FolderOutcome::NotFound) };
            let place = patch.parent.unwrap_or(old.parent_id.map_or(FolderPlace::Top, |parent| FolderPlace::In(parent.into())));
            let parent = match place {
                FolderPlace::Top => None,
                FolderPlace::In(above) => match find(&mut write, tenant, above).await? {
                    None => return Ok(FolderOutcome::ParentNotFound),
                    Some(above) if above.lies_within(&old) => return Ok(FolderOutcome::Cycle),
                    found => found,
                },
            };
            let name = patch.name.clone().map_or_else(|| old.name.parse(), Ok);
            let name: FolderName = name.map_err(|error| StoreError::inconsistent("template_folders", error))?;
            let at = Spot::under(parent.as_ref(), &name);
            if old.path == at.path {
                return Ok(FolderOutcome::Written(record(&mut write, tenant, folder).await?));
            }
            if self.deepest_within(&mut write, &old).await? + at.depth - old.depth > FOLDER_DEPTH_LIMIT.cast_signed() {
                return Ok(FolderOutcome::TooDeep);
            }
            let taken = sqlx::query_scalar!(
                r#"SELECT EXISTS (SELECT 1 FROM template_folders
                                  WHERE tenant_id = $1 AND folded_name = $3 AND folder_id <> $4
                                    AND COALESCE(parent_id, '00000000-0000-0000-0000-000000000000')
                                      = COALESCE($2::uuid, '00000000-0000-0000-0000-000000000000')) AS "taken!""#,
                tenant,
                place.parent(),
                name.folded(),
                folder.as_uuid()
            )
            .fetch_one(&mut *write)
            .await?;
            if taken {
                return Ok(FolderOutcome::Exists);
            }
            self.put(&mut write, &old, place, &name, &at).await?;
            let now = record(&mut write, tenant, folder).await?;
            let event = AuditEvent::new(AuditKind::FolderUpdated, folder).with("from", old.path.as_str());
            write.commit(event.with("path", now.path.as_str())).await?;
            Ok(FolderOutcome::Written(now))
        })
        .await
    }

    /// Removes a folder in which nothing lies. Templates in the trash lose it: they come back to the top.
    pub async fn delete(&self, folder: FolderId, actor: &Actor) -> Result<FolderOutcome<()>, StoreError> {
        speak!(self.0.store, "template_folders.delete", {
            let tenant = self.0.tenant.as_str();
            let mut connection = self.0.store.acquire().await?;
            let mut write = Write::begin(&mut connection, self.0, actor).await?;
            change_the_tree(&mut write, tenant).await?;
            let Some(old) = find(&mut write, tenant, folder).await? else { return Ok(FolderOutcome::NotFound) };
            let used = sqlx::query_scalar!(
                r#"SELECT EXISTS (SELECT 1 FROM template_folders WHERE tenant_id = $1 AND parent_id = $2)
                       OR EXISTS (SELECT 1 FROM templates WHERE tenant_id = $1 AND folder_id = $2 AND deleted_at IS NULL) AS "used!""#,
                tenant,
                folder.as_uuid()
            )
            .fetch_one(&mut *write)
            .await?;
            if used {
                return Ok(FolderOutcome::NotEmpty);
            }
            // In the order in which the emptying of the trash takes them, or the two could wait for each other.
            sqlx::query!(
                "UPDATE templates SET folder_id = NULL WHERE template_id IN (
                     SELECT template_id FROM templates WHERE tenant_id = $1 AND folder_id = $2 AND deleted_at IS NOT NULL
                     ORDER BY template_id FOR UPDATE)",
                tenant,
                folder.as_uuid()
            )
            .execute(&mut *write)
            .await?;
            sqlx::query!("DELETE FROM template_folders WHERE tenant_id = $1 AND folder_id = $2", tenant, folder.as_uuid())
                .execute(&mut *write)
                .await?;
            write.commit(AuditEvent::new(AuditKind::FolderDeleted, folder).with("path", old.path)).await?;
            Ok(FolderOutcome::Written(()))
        })
        .await
    }

    /// Gives a folder, and what lies in it, its new place. `write` has the tree alone.
    async fn put(&self, write: &mut Write<'_>, old: &PlaceRow, place: FolderPlace, name: &FolderName, at: &Spot) -> Result<(), StoreError> {
        let beginning = |text: &str| i32::try_from(text.chars().count() + 1).unwrap_or(i32::MAX);
        sqlx::query!(
            "UPDATE template_folders SET path = $3 || substr(path, $4), folded_path = $5 || substr(folded_path, $6), depth = depth + $7
             WHERE tenant_id = $1 AND starts_with(folded_path, $2 || '/')",
            self.0.tenant.as_str(),
            old.folded_path,
            at.path,
            beginning(&old.path),
            at.folded_path,
            beginning(&old.folded_path),
            at.depth - old.depth
        )
        .execute(&mut **write)
        .await?;
        sqlx::query!(
            "UPDATE template_folders SET parent_id = $3, name = $4, folded_name = $5, path = $6, folded_path = $7, depth = $8,
                                         updated_at = $9
             WHERE tenant_id = $1 AND folder_id = $2",
            self.0.tenant.as_str(),
            old.folder_id,
            place.parent(),
            name.as_str(),
            name.folded(),
            at.path,
            at.folded_path,
            at.depth,
            self.0.store.now() as _
        )
        .execute(&mut **write)
        .await?;
        Ok(())
    }

    /// The depth of the folder that lies deepest in this one.
    async fn deepest_within(&self, write: &mut Write<'_>, folder: &PlaceRow) -> Result<i32, StoreError> {
        let deepest = sqlx::query_scalar!(
            "SELECT max(depth) FROM template_folders WHERE tenant_id = $1 AND starts_with(folded_path, $2 || '/')",
            self.0.tenant.as_str(),
            folder.folded_path
        )
        .fetch_one(&mut **write)
        .await?;
        Ok(deepest.unwrap_or(folder.depth))
    }
}

async fn record(connection: &mut PgConnection, tenant: &str, folder: FolderId) -> Result<FolderRecord, StoreError> {
    let row = sqlx::query_as!(
        FolderRow,
        r#"SELECT folder_id, parent_id, name, path, created_at, created_by, updated_at,
                  (SELECT count(*) FROM templates t
                   WHERE t.tenant_id = $1 AND t.folder_id = $2 AND t.deleted_at IS NULL) AS "template_count!"
           FROM template_folders WHERE tenant_id = $1 AND folder_id = $2"#,
        tenant,
        folder.as_uuid()
    )
    .fetch_one(connection)
    .await?;
    Ok(row.into())
}

/// Keeps the folders in which something was counted, and those above them.
fn keep_the_way(rows: &mut Vec<FolderRow>) {
    let mut kept: BTreeSet<Uuid> = BTreeSet::new();
    // From the end: what lies in a folder comes after it.
    for row in rows.iter().rev() {
        if row.template_count > 0 || kept.contains(&row.folder_id) {
            kept.insert(row.folder_id);
            kept.extend(row.parent_id);
        }
    }
    rows.retain(|row| kept.contains(&row.folder_id));
}

struct FolderRow {
    folder_id: Uuid,
    parent_id: Option<Uuid>,
    name: String,
    path: String,
    created_at: jiff_sqlx::Timestamp,
    created_by: Option<String>,
    updated_at: jiff_sqlx::Timestamp,
    template_count: i64,
}

impl From<FolderRow> for FolderRecord {
    fn from(row: FolderRow) -> Self {
        Self {
            id: row.folder_id.into(),
            parent_id: row.parent_id.map(FolderId::from),
            name: row.name,
            path: row.path,
            template_count: u64::try_from(row.template_count).unwrap_or(0),
            created_at: row.created_at.to_jiff(),
            created_by: row.created_by,
            updated_at: row.updated_at.to_jiff(),
        }
    }
}
