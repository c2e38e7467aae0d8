//! The tree that folders of templates make: its lock, the places in it, and what lies within a place.
//!
//! Whoever changes the tree has it alone, and whoever puts a template into a folder keeps it as it is: an advisory lock that
//! is taken before any row. So no two moves can make a cycle, and a folder is empty for as long as its removal takes.

use domain::ids::FolderId;
use domain::template_folders::{FolderName, FolderPath};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::error::StoreError;
use crate::tenants::TenantStore;

/// Which templates a list shows, by where they lie.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum FolderFilter {
    /// In that folder.
    Id(FolderId, FolderReach),
    /// In the folder at that path.
    Path(FolderPath, FolderReach),
}

/// How far down a list looks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FolderReach {
    /// What lies in the folder itself.
    Itself,
    /// What lies in the folders in it too.
    AllWithin,
}

/// The folders that a filter means.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Folders {
    /// Wherever.
    Any,
    /// At the top, in no folder.
    Top,
    /// In one of these.
    Of(Vec<Uuid>),
}

/// Finds the folders that a filter means; none when there is no such folder.
pub(crate) async fn resolve(
    connection: &mut PgConnection,
    handle: &TenantStore,
    filter: Option<&FolderFilter>,
) -> Result<Option<Folders>, StoreError> {
    let (id, path, reach) = match filter {
        None => return Ok(Some(Folders::Any)),
        Some(FolderFilter::Path(path, reach)) if path.is_top() => {
            return Ok(Some(if *reach == FolderReach::Itself { Folders::Top } else { Folders::Any }));
        }
        Some(FolderFilter::Path(path, reach)) => (None, Some(path.folded()), *reach),
        Some(FolderFilter::Id(id, reach)) => (Some(id.as_uuid()), None, *reach),
    };
    let found = sqlx::query_scalar!(
        "SELECT f.folder_id FROM template_folders f, template_folders above
         WHERE above.tenant_id = $1 AND f.tenant_id = $1 AND (above.folder_id = $2 OR above.folded_path = $3)
           AND (f.folder_id = above.folder_id OR $4 AND starts_with(f.folded_path, above.folded_path || '/'))",
        handle.tenant.as_str(),
        id,
        path,
        reach == FolderReach::AllWithin
    )
    .fetch_all(connection)
    .await?;
    Ok((!found.is_empty()).then_some(Folders::Of(found)))
}

/// Whether that folder is there, and stays until the end of the transaction. To be asked before any row is changed.
pub(crate) async fn keep_folder(connection: &mut PgConnection, handle: &TenantStore, folder: FolderId) -> Result<bool, StoreError> {
    keep_the_tree(connection, handle).await?;
    Ok(find(connection, handle.tenant.as_str(), folder).await?.is_some())
}

/// Whether that folder is on the way to a template whose key one of these patterns matches.
pub(crate) async fn is_on_the_way(
    connection: &mut PgConnection,
    handle: &TenantStore,
    folder: FolderId,
    patterns: &[String],
) -> Result<bool, StoreError> {
    let reached = sqlx::query_scalar!(
        r#"SELECT EXISTS (
               SELECT 1 FROM template_folders above JOIN template_folders f USING (tenant_id)
               JOIN templates t ON t.tenant_id = f.tenant_id AND t.folder_id = f.folder_id
               WHERE above.tenant_id = $1 AND above.folder_id = $2 AND t.deleted_at IS NULL AND t.template_key LIKE ANY ($3)
                 AND (f.folder_id = above.folder_id OR starts_with(f.folded_path, above.folded_path || '/'))) AS "reached!""#,
        handle.tenant.as_str(),
        folder.as_uuid(),
        patterns
    )
    .fetch_one(connection)
    .await?;
    Ok(reached)
}

/// Lets nobody change the tree until the end of the transaction. To be asked before any row is changed.
pub(crate) async fn keep_the_tree(connection: &mut PgConnection, handle: &TenantStore) -> Result<(), StoreError> {
    let tenant = handle.tenant.as_str();
    sqlx::query!("SELECT pg_advisory_xact_lock_shared(hashtextextended('template folders of ' || $1, 0))", tenant)
        .fetch_one(connection)
        .await?;
    Ok(())
}

/// Has the tree alone until the end of the transaction. To be asked before any row is changed.
pub(crate) async fn change_the_tree(connection: &mut PgConnection, tenant: &str) -> Result<(), StoreError> {
    sqlx::query!("SELECT pg_advisory_xact_lock(hashtextextended('template folders of ' || $1, 0))", tenant).fetch_one(connection).await?;
    Ok(())
}

pub(crate) async fn find(connection: &mut PgConnection, tenant: &str, folder: FolderId) -> Result<Option<PlaceRow>, StoreError> {
    let row = sqlx::query_as!(
        PlaceRow,
        "SELECT folder_id, parent_id, name, path, folded_path, depth FROM template_folders WHERE tenant_id = $1 AND folder_id = $2",
        tenant,
        folder.as_uuid()
    )
    .fetch_optional(connection)
    .await?;
    Ok(row)
}

/// Where a folder will lie.
pub(crate) struct Spot {
    pub(crate) path: String,
    pub(crate) folded_path: String,
    pub(crate) depth: i32,
}

impl Spot {
    pub(crate) fn under(parent: Option<&PlaceRow>, name: &FolderName) -> Self {
        let (path, folded_path, depth) = parent.map_or(("", "", 0), |parent| (&parent.path, &parent.folded_path, parent.depth));
        Self { path: format!("{path}/{name}"), folded_path: format!("{folded_path}/{}", name.folded()), depth: depth + 1 }
    }
}

/// A folder as the rules of the tree look at it.
pub(crate) struct PlaceRow {
    pub(crate) folder_id: Uuid,
    pub(crate) parent_id: Option<Uuid>,
    pub(crate) name: String,
    pub(crate) path: String,
    pub(crate) folded_path: String,
    pub(crate) depth: i32,
}

impl PlaceRow {
    /// Whether it is `other`, or lies in it.
    pub(crate) fn lies_within(&self, other: &Self) -> bool {
        let rest = self.folded_path.strip_prefix(&other.folded_path);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}
