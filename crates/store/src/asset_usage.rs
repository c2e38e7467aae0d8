//! Which templates name an asset: those whose current version does, or one that a label leads to or is going to.

use domain::TenantId;
use domain::asset_references::AssetReferences;
use domain::templates::{TemplateKey, TemplateVersion};
use sqlx::PgConnection;

use crate::assets::AssetRecord;
use crate::connect::speak;
use crate::error::StoreError;
use crate::templates::{TemplateRow, key, version};
use crate::tenants::TenantStore;

/// The most templates that are listed.
const MOST_TEMPLATES: i64 = 100;
/// What stands for an address that data decides about.
const DYNAMIC: &str = "*";

/// A template that names an asset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AssetUser {
    /// Its key.
    pub key: TemplateKey,
    /// For people.
    pub name: String,
    /// Its current version, which may not be the one that names the asset.
    pub current_version: TemplateVersion,
    /// Through what: `image`, `html`, `css` or `font`.
    pub via: Vec<String>,
    /// The nodes that name it.
    pub node_ids: Vec<String>,
}

/// Who names an asset.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AssetUsage {
    /// The first hundred templates by key.
    pub named_by: Vec<AssetUser>,
    /// How many there are.
    pub total: u64,
    /// The first hundred templates in which data decides about an address: they may use it too.
    pub dynamic: Vec<AssetUser>,
}

/// Who names an asset by one of these names.
pub(crate) async fn usage_of(connection: &mut PgConnection, tenant: &TenantId, names: &[String]) -> Result<AssetUsage, StoreError> {
    let named_by = users(connection, tenant, names).await?;
    let total = if i64::try_from(named_by.len()).is_ok_and(|count| count < MOST_TEMPLATES) {
        named_by.len() as u64
    } else {
        let count = sqlx::query_scalar!(
            r#"SELECT count(DISTINCT t.template_id) AS "count!"
               FROM template_asset_references r JOIN templates t ON t.tenant_id = r.tenant_id AND t.template_id = r.template_id
               WHERE r.tenant_id = $1 AND r.asset_name = ANY ($2) AND t.deleted_at IS NULL
                 AND EXISTS (SELECT FROM template_versions_in_use u WHERE u.template_id = r.template_id
                         AND (u.major, u.minor, u.patch) = (r.major, r.minor, r.patch))"#,
            tenant.as_str(),
            names
        )
        .fetch_one(&mut *connection)
        .await?;
        u64::try_from(count).unwrap_or(0)
    };
    let dynamic = users(connection, tenant, &[DYNAMIC.to_owned()]).await?;
    Ok(AssetUsage { named_by, total, dynamic })
}

async fn users(connection: &mut PgConnection, tenant: &TenantId, names: &[String]) -> Result<Vec<AssetUser>, StoreError> {
    // A template is listed once: as its current version names the asset, or else as the newest one that a label leads to or is going to.
    let rows = sqlx::query!(
        r#"SELECT DISTINCT ON (t.template_key) t.template_key, t.name, t.current_major, t.current_minor, t.current_patch, r.via, r.node_ids
           FROM template_asset_references r JOIN templates t ON t.tenant_id = r.tenant_id AND t.template_id = r.template_id
           WHERE r.tenant_id = $1 AND r.asset_name = ANY ($2) AND t.deleted_at IS NULL
             AND EXISTS (SELECT FROM template_versions_in_use u WHERE u.template_id = r.template_id
                         AND (u.major, u.minor, u.patch) = (r.major, r.minor, r.patch))
           ORDER BY t.template_key, r.major DESC, r.minor DESC, r.patch DESC, r.asset_name LIMIT $3"#,
        tenant.as_str(),
        names,
        MOST_TEMPLATES
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(AssetUser {
                key: key(row.template_key)?,
                name: row.name,
                current_version: version(row.current_major, row.current_minor, row.current_patch)?,
                via: row.via,
                node_ids: row.node_ids,
            })
        })
        .collect()
}

/// How many templates name each of these assets, in their order.
pub(crate) async fn counts(handle: &TenantStore, assets: &[AssetRecord]) -> Result<Vec<u64>, StoreError> {
    speak!(handle.store, "assets.usage_counts", {
        let ids: Vec<uuid::Uuid> = assets.iter().map(|asset| asset.asset_id.as_uuid()).collect();
        let mut connection = handle.store.acquire().await?;
        let rows = sqlx::query!(
            r#"SELECT a.asset_id, count(DISTINCT t.template_id) AS "count!"
               FROM assets a
               JOIN template_asset_references r ON r.tenant_id = a.tenant_id AND r.asset_name IN (a.slug, a.asset_id::text)
               JOIN templates t ON t.tenant_id = r.tenant_id AND t.template_id = r.template_id AND t.deleted_at IS NULL
               WHERE a.tenant_id = $1 AND a.asset_id = ANY ($2)
                 AND EXISTS (SELECT FROM template_versions_in_use u WHERE u.template_id = r.template_id
                         AND (u.major, u.minor, u.patch) = (r.major, r.minor, r.patch))
               GROUP BY a.asset_id"#,
            handle.tenant.as_str(),
            &ids
        )
        .fetch_all(&mut *connection)
        .await?;
        let count_of = |id| rows.iter().find(|row| row.asset_id == id).map_or(0, |row| u64::try_from(row.count).unwrap_or(0));
        Ok(ids.into_iter().map(count_of).collect())
    })
    .await
}

/// Writes what a version of a template names, which was just written itself.
pub(crate) async fn insert_references(
    connection: &mut PgConnection,
    tenant: &TenantId,
    template: &TemplateRow,
    references: &AssetReferences,
) -> Result<(), StoreError> {
    for reference in merged(references) {
        sqlx::query!(
            "INSERT INTO template_asset_references (template_id, tenant_id, major, minor, patch, asset_name, via, node_ids)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
            template.template_id,
            tenant.as_str(),
            template.current_major,
            template.current_minor,
            template.current_patch,
            reference.name,
            &reference.via,
            &reference.node_ids
        )
        .execute(&mut *connection)
        .await?;
    }
    Ok(())
}

struct Reference {
    name: String,
    via: Vec<String>,
    node_ids: Vec<String>,
}

/// One row for each stored name: the id of an asset and its files are one.
fn merged(references: &AssetReferences) -> Vec<Reference> {
    let mut rows: Vec<Reference> = Vec::new();
    for reference in &references.named {
        let name = reference.name.stored();
        // A node's id is any text; what no column takes names no node that could be shown.
        let node_ids = reference.node_ids.iter().filter(|id| !id.contains('\0')).cloned();
        match rows.iter_mut().find(|row| row.name == name) {
            Some(row) => {
                row.via.extend(reference.via.iter().filter(|via| !row.via.contains(*via)).cloned().collect::<Vec<_>>());
                row.node_ids.extend(node_ids);
            }
            None => rows.push(Reference { name, via: reference.via.clone(), node_ids: node_ids.collect() }),
        }
    }
    if references.dynamic {
        rows.push(Reference { name: DYNAMIC.to_owned(), via: Vec::new(), node_ids: Vec::new() });
    }
    rows
}
