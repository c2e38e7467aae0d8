//! What a manifest lists of a moment of the database: templates, assets and the objects that rows name, one after the other.

use futures_util::TryStreamExt as _;
use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, Row as _};

use crate::backup_snapshot::{BackupSnapshot, columns};
use crate::backup_tables::OBJECTS;
use crate::error::StoreError;
use crate::hashes::hash_of;

/// A template that is not in the trash.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BackupTemplate {
    /// Whose it is.
    pub tenant: String,
    /// Its key.
    pub key: String,
    /// What it is called.
    pub name: String,
    /// The version that renders, such as `1.0.2`.
    pub current_version: String,
    /// Every version, oldest first.
    pub versions: Vec<BackupTemplateVersion>,
}

/// A version of a template.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BackupTemplateVersion {
    /// Such as `1.0.2`.
    pub version: String,
    /// The SHA-256 of its definition, as it is stored beside it.
    pub content_hash: String,
}

/// An asset as it is now.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BackupAsset {
    /// Whose it is.
    pub tenant: String,
    /// Its id.
    pub id: String,
    /// What its file was called.
    pub filename: String,
    /// How many bytes it has.
    pub size_bytes: u64,
    /// What it is.
    pub mime_type: String,
    /// Every version, oldest first.
    pub versions: Vec<BackupAssetVersion>,
}

/// A version of an asset.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BackupAssetVersion {
    /// From 1.
    pub version: i32,
    /// The SHA-256 of its bytes, in hexadecimal digits.
    pub content_hash: String,
}

/// Stored bytes that rows name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BackupObject {
    /// Whose they are.
    pub tenant: String,
    /// The word of their kind.
    pub kind: String,
    /// Their SHA-256.
    pub sha256: [u8; 32],
    /// How many there are.
    pub size_bytes: u64,
}

/// How many there are of what.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BackupCounts {
    /// Tenants, with those that were purged.
    pub tenants: u64,
    /// Templates that are not in the trash.
    pub templates: u64,
    /// Their versions, and of those in the trash.
    pub template_versions: u64,
    /// Assets.
    pub assets: u64,
    /// Their versions.
    pub asset_versions: u64,
}

const TEMPLATES: &str = "
    SELECT t.tenant_id, t.template_key, t.name, concat_ws('.', t.current_major, t.current_minor, t.current_patch),
           (SELECT array_agg(concat_ws('.', v.major, v.minor, v.patch) ORDER BY v.major, v.minor, v.patch)
            FROM template_versions v WHERE v.template_id = t.template_id),
           (SELECT array_agg(encode(v.content_hash, 'hex') ORDER BY v.major, v.minor, v.patch)
            FROM template_versions v WHERE v.template_id = t.template_id)
    FROM templates t WHERE t.deleted_at IS NULL ORDER BY t.tenant_id, t.template_key";

const ASSETS: &str = "
    SELECT a.tenant_id, a.asset_id::text, a.original_name, a.size_bytes, a.mime_type,
           (SELECT array_agg(v.version ORDER BY v.version) FROM asset_versions v WHERE v.asset_id = a.asset_id),
           (SELECT array_agg(encode(v.content_hash, 'hex') ORDER BY v.version) FROM asset_versions v WHERE v.asset_id = a.asset_id)
    FROM assets a ORDER BY a.tenant_id, a.asset_id";

const COUNTS: &str = "
    SELECT (SELECT count(*) FROM tenants), (SELECT count(*) FROM templates WHERE deleted_at IS NULL),
           (SELECT count(*) FROM template_versions), (SELECT count(*) FROM assets), (SELECT count(*) FROM asset_versions)";

/// Definitions whose text is not the one that was saved: the key of the template and the version.
const ALTERED: &str = "
    SELECT t.tenant_id || '/' || t.template_key || '@' || concat_ws('.', v.major, v.minor, v.patch)
    FROM template_versions v JOIN templates t USING (template_id)
    WHERE sha256(convert_to(v.definition::text, 'UTF8')) <> v.content_hash
    ORDER BY t.tenant_id, t.template_key, v.major, v.minor, v.patch LIMIT 1000";

impl BackupSnapshot {
    /// Gives every template to `each`, by tenant and key.
    pub async fn templates<E: From<StoreError>>(&mut self, mut each: impl FnMut(BackupTemplate) -> Result<(), E>) -> Result<(), E> {
        self.rows(TEMPLATES.to_owned(), |row| {
            let (numbers, hashes): (Vec<String>, Vec<String>) = (row.try_get(4)?, row.try_get(5)?);
            let versions =
                numbers.into_iter().zip(hashes).map(|(version, content_hash)| BackupTemplateVersion { version, content_hash }).collect();
            let (tenant, key, name, current_version) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?, row.try_get(3)?);
            Ok(each(BackupTemplate { tenant, key, name, current_version, versions }))
        })
        .await
    }

    /// Gives every asset to `each`, by tenant and id.
    pub async fn assets<E: From<StoreError>>(&mut self, mut each: impl FnMut(BackupAsset) -> Result<(), E>) -> Result<(), E> {
        self.rows(ASSETS.to_owned(), |row| {
            let (numbers, hashes): (Vec<i32>, Vec<String>) = (row.try_get(5)?, row.try_get(6)?);
            let versions =
                numbers.into_iter().zip(hashes).map(|(version, content_hash)| BackupAssetVersion { version, content_hash }).collect();
            let (tenant, id, filename, mime_type) = (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?, row.try_get(4)?);
            let size_bytes = size(row.try_get(3)?);
            Ok(each(BackupAsset { tenant, id, filename, size_bytes, mime_type, versions }))
        })
        .await
    }

    /// Gives all stored bytes that rows name to `each`, by tenant, kind and hash, each once.
    pub async fn objects<E: From<StoreError>>(&mut self, mut each: impl FnMut(BackupObject) -> Result<(), E>) -> Result<(), E> {
        let mut parts = Vec::new();
        for (table, kind, hash, size) in OBJECTS {
            if !columns(&mut self.connection, table).await?.is_empty() {
                parts.push(format!(
                    "SELECT tenant_id, '{kind}'::text COLLATE \"C\" AS kind, {hash} AS sha256, {size} AS size_bytes FROM {table} WHERE {hash} IS NOT NULL"
                ));
            }
        }
        let statement = format!(
            "SELECT tenant_id, kind, sha256, max(size_bytes)::bigint FROM ({}) named
             GROUP BY tenant_id, kind, sha256 ORDER BY tenant_id, kind, sha256",
            parts.join(" UNION ALL ")
        );
        self.rows(statement, |row| {
            let (tenant, kind, size_bytes) = (row.try_get(0)?, row.try_get(1)?, size(row.try_get(3)?));
            let hash: Vec<u8> = row.try_get(2)?;
            Ok(hash_of("stored objects", &hash).map_err(E::from).and_then(|sha256| each(BackupObject { tenant, kind, sha256, size_bytes })))
        })
        .await
    }

    /// How many there are of what.
    pub async fn counts(&mut self) -> Result<BackupCounts, StoreError> {
        let row = sqlx::query(COUNTS).fetch_one(&mut self.connection).await?;
        let count = |at: usize| row.try_get::<i64, _>(at).map(size);
        Ok(BackupCounts {
            tenants: count(0)?,
            templates: count(1)?,
            template_versions: count(2)?,
            assets: count(3)?,
            asset_versions: count(4)?,
        })
    }

    /// Versions of templates whose text does not have the hash that stands beside it, as `tenant/key@version`; a thousand at most.
    pub async fn altered_definitions(&mut self) -> Result<Vec<String>, StoreError> {
        Ok(sqlx::query_scalar(ALTERED).fetch_all(&mut self.connection).await?)
    }

    async fn rows<E: From<StoreError>>(
        &mut self,
        statement: String,
        mut each: impl FnMut(PgRow) -> Result<Result<(), E>, sqlx::Error>,
    ) -> Result<(), E> {
        let mut rows = sqlx::query(AssertSqlSafe(statement)).fetch(&mut self.connection);
        while let Some(row) = rows.try_next().await.map_err(StoreError::from)? {
            each(row).map_err(StoreError::from)??;
        }
        Ok(())
    }
}

/// A count or a size, which is never below 0.
fn size(found: i64) -> u64 {
    u64::try_from(found).unwrap_or(0)
}
