//! The immutable versions of assets: what was uploaded when.

use domain::assets::{AssetContent, AssetFile, AssetKind, AssetName};
use domain::audit::AuditKind;
use domain::ids::AssetId;
use domain::quotas::QuotaStanding;
use domain::templates::ContentHash;
use domain::{Actor, AuditEvent, TenantId};
use jiff::Timestamp;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::assets::{AssetOutcome, AssetRecord, AssetRow, event_of, size};
use crate::connect::{Store, speak};
use crate::error::StoreError;
use crate::hashes::hash_of;
use crate::page::{Page, bounds};
use crate::quotas::quotas;
use crate::tenants::TenantStore;
use crate::write::Write;

/// One version of an asset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AssetVersionRecord {
    /// Which asset.
    pub asset_id: AssetId,
    /// Which version, from 1.
    pub version: u32,
    /// What its bytes are.
    pub content: AssetContent,
    /// When it was added.
    pub created_at: Timestamp,
    /// Who added it.
    pub created_by: Option<String>,
}

/// The versions of one tenant's assets.
pub struct AssetVersions<'a>(pub(crate) &'a TenantStore);

impl AssetVersions<'_> {
    /// One page of the versions of an asset, newest first; `None` when there is no such asset.
    /// `limit` counts up to [`crate::MAX_PAGE_ROWS`].
    pub async fn list(&self, id: AssetId, limit: u32, offset: u64) -> Result<Option<Page<AssetVersionRecord>>, StoreError> {
        speak!(self.0.store, "asset_versions.list", {
            let (limit, offset) = bounds(limit, offset);
            let mut connection = self.0.store.acquire().await?;
            let total = sqlx::query_scalar!(
                r#"SELECT count(*) AS "count!" FROM asset_versions WHERE tenant_id = $1 AND asset_id = $2"#,
                self.0.tenant.as_str(),
                id.as_uuid()
            )
            .fetch_one(&mut *connection)
            .await?;
            // Every asset has a version, so an asset without one is none.
            if total == 0 {
                return Ok(None);
            }
            let rows = sqlx::query_as!(
                VersionRow,
                r#"SELECT asset_id, version, kind, original_name, mime_type, size_bytes, content_hash, width, height, font::text AS font,
                          svg_sanitized, created_at, created_by
                   FROM asset_versions WHERE tenant_id = $1 AND asset_id = $2 ORDER BY version DESC LIMIT $3 OFFSET $4"#,
                self.0.tenant.as_str(),
                id.as_uuid(),
                limit,
                offset
            )
            .fetch_all(&mut *connection)
            .await?;
            let items = rows.into_iter().map(AssetVersionRecord::try_from).collect::<Result<_, _>>()?;
            Ok(Some(Page { items, total: u64::try_from(total).unwrap_or(0) }))
        })
        .await
    }

    /// The current version of an asset.
    pub async fn get_current(&self, id: AssetId) -> Result<Option<AssetVersionRecord>, StoreError> {
        Ok(resolve(self.0, &[AssetName::Id(id)]).await?.pop().flatten())
    }

    /// Makes `content`, whose bytes are kept already, the next version. `expected` is the version that has to be current;
    /// without it whichever is.
    pub async fn insert(
        &self,
        id: AssetId,
        expected: Option<u32>,
        content: &AssetContent,
        actor: &Actor,
    ) -> Result<AssetOutcome, StoreError> {
        self.add(id, expected, content, actor, AuditKind::AssetReplaced, None).await
    }

    /// Makes the bytes of an old version the next one. `expected` is the version that has to be current; without it whichever is.
    pub async fn restore(&self, id: AssetId, expected: Option<u32>, version: u32, actor: &Actor) -> Result<AssetOutcome, StoreError> {
        // Read before the transaction: a version never changes.
        let Some(old) = self.get(id, version).await? else {
            return Ok(if self.0.assets().get(id).await?.is_some() { AssetOutcome::VersionNotFound } else { AssetOutcome::NotFound });
        };
        self.add(id, expected, &old.content, actor, AuditKind::AssetRestored, Some(version)).await
    }

    /// That version of an asset.
    pub async fn get(&self, id: AssetId, version: u32) -> Result<Option<AssetVersionRecord>, StoreError> {
        speak!(self.0.store, "asset_versions.get", {
            // A number that no column can hold is no version of anything.
            let Ok(version) = i32::try_from(version) else { return Ok(None) };
            let mut connection = self.0.store.acquire().await?;
            let row = sqlx::query_as!(
                VersionRow,
                r#"SELECT asset_id, version, kind, original_name, mime_type, size_bytes, content_hash, width, height, font::text AS font,
                          svg_sanitized, created_at, created_by
                   FROM asset_versions WHERE tenant_id = $1 AND asset_id = $2 AND version = $3"#,
                self.0.tenant.as_str(),
                id.as_uuid(),
                version
            )
            .fetch_optional(&mut *connection)
            .await?;
            row.map(AssetVersionRecord::try_from).transpose()
        })
        .await
    }

    async fn add(
        &self,
        id: AssetId,
        expected: Option<u32>,
        content: &AssetContent,
        actor: &Actor,
        kind: AuditKind,
        restored: Option<u32>,
    ) -> Result<AssetOutcome, StoreError> {
        speak!(self.0.store, "asset_versions.insert", {
            let mut connection = self.0.store.acquire().await?;
            let mut write = Write::begin(&mut connection, self.0, actor).await?;
            // The WHERE is the check, so two writers who expect the same version cannot both pass it.
            let updated = sqlx::query_as!(
                AssetRow,
                "UPDATE assets SET current_version = current_version + 1, kind = $4, original_name = $5, mime_type = $6, size_bytes = $7,
                        content_hash = $8, svg_sanitized = $9, updated_at = $10, updated_by = $11
                 WHERE tenant_id = $1 AND asset_id = $2 AND current_version = COALESCE($3, current_version)
                 RETURNING asset_id, slug, alt_text, tags, folder, current_version, kind, original_name, mime_type, size_bytes,
                           content_hash, svg_sanitized, created_at, created_by, updated_at, updated_by",
                self.0.tenant.as_str(),
                id.as_uuid(),
                expected.map(|version| i32::try_from(version).unwrap_or(0)),
                content.kind.as_str(),
                content.original_name,
                content.mime_type,
                size(content.size_bytes),
                content.hash.as_bytes().as_slice(),
                content.svg_sanitized,
                self.0.store.now() as _,
                &*actor.name
            )
            .fetch_optional(&mut *write)
            .await?;
            let Some(row) = updated else { return why_not(self.0, &mut write, id).await };
            insert_version(&mut write, &self.0.tenant, &row, content).await?;
            let end = write.chain_end().await?;
            if let Some(full) = room_for(&mut write, self.0, &row).await? {
                return Ok(AssetOutcome::OverQuota(full));
            }
            write.announce("asset", &id.to_string()).await?;
            let now = AssetRecord::try_from(row)?;
            let mut event: AuditEvent = event_of(kind, &now);
            if let Some(restored) = restored {
                event = event.with("restored", restored);
            }
            write.commit_at(end, event).await?;
            Ok(AssetOutcome::Written(now))
        })
        .await
    }

    /// Which of these contents are still a version's.
    pub async fn known(&self, hashes: &[[u8; 32]]) -> Result<Vec<[u8; 32]>, StoreError> {
        speak!(self.0.store, "asset_versions.known", {
            let wanted: Vec<Vec<u8>> = hashes.iter().map(|hash| hash.to_vec()).collect();
            let mut connection = self.0.store.acquire().await?;
            let known = sqlx::query_scalar!(
                "SELECT DISTINCT content_hash FROM asset_versions WHERE tenant_id = $1 AND content_hash = ANY ($2)",
                self.0.tenant.as_str(),
                &wanted
            )
            .fetch_all(&mut *connection)
            .await?;
            known.iter().map(|hash| hash_of("assets", hash)).collect()
        })
        .await
    }

    /// Bytes that the tenant keeps in assets, stored documents and results of jobs: each different content once, however many have it.
    pub async fn stored_bytes(&self) -> Result<u64, StoreError> {
        speak!(self.0.store, "asset_versions.stored_bytes", {
            let mut connection = self.0.store.acquire().await?;
            stored_bytes(&mut connection, &self.0.tenant).await
        })
        .await
    }
}

impl Store {
    /// The version whose bytes a file's name means, of whichever tenant: for files that anybody may read who knows the name.
    pub async fn asset_file(&self, file: &AssetFile) -> Result<Option<(TenantId, AssetVersionRecord)>, StoreError> {
        let tenant = speak!(self, "asset_files.get", {
            let mut connection = self.acquire().await?;
            let tenant = sqlx::query_scalar!("SELECT tenant_id FROM assets WHERE asset_id = $1", file.asset.as_uuid())
                .fetch_optional(&mut *connection)
                .await?;
            tenant.map(|tenant| tenant.parse().map_err(|error| StoreError::inconsistent("assets", error))).transpose()
        })
        .await?;
        let Some(tenant): Option<TenantId> = tenant else { return Ok(None) };
        let found = resolve(&self.tenant(tenant.clone()), &[AssetName::File(file.clone())]).await?.pop().flatten();
        Ok(found.map(|version| (tenant, version)))
    }
}

/// What names mean now, in their order.
pub(crate) async fn resolve(handle: &TenantStore, names: &[AssetName]) -> Result<Vec<Option<AssetVersionRecord>>, StoreError> {
    speak!(handle.store, "assets.resolve", {
        let slugs: Vec<String> = names.iter().filter_map(|name| if let AssetName::Slug(slug) = name { Some(slug.to_string()) } else { None }).collect();
        let ids: Vec<Uuid> = names.iter().filter_map(|name| if let AssetName::Id(id) = name { Some(id.as_uuid()) } else { None }).collect();
        let mut connection = handle.store.acquire().await?;
        let mut current = Vec::new();
        if !slugs.is_empty() || !ids.is_empty() {
            let rows = sqlx::query!(
                r#"SELECT a.slug, v.asset_id, v.version, v.kind, v.original_name, v.mime_type, v.size_bytes, v.content_hash, v.width, v.height,
                          v.font::text AS font, v.svg_sanitized, v.created_at, v.created_by
                   FROM assets a JOIN asset_versions v ON v.asset_id = a.asset_id AND v.version = a.current_version
                   WHERE a.tenant_id = $1 AND (a.slug = ANY ($2) OR a.asset_id = ANY ($3))"#,
                handle.tenant.as_str(),
                &slugs,
                &ids
            )
            .fetch_all(&mut *connection)
            .await?;
            for row in rows {
                let version = VersionRow {
                    asset_id: row.asset_id,
                    version: row.version,
                    kind: row.kind,
                    original_name: row.original_name,
                    mime_type: row.mime_type,
                    size_bytes: row.size_bytes,
                    content_hash: row.content_hash,
                    width: row.width,
                    height: row.height,
                    font: row.font,
                    svg_sanitized: row.svg_sanitized,
                    created_at: row.created_at,
                    created_by: row.created_by,
                };
                current.push((row.slug, AssetVersionRecord::try_from(version)?));
            }
        }
        let mut found = Vec::with_capacity(names.len());
        for name in names {
            found.push(match name {
                AssetName::Slug(slug) => current.iter().find(|(known, _)| known == slug.as_str()).map(|(_, version)| version.clone()),
                AssetName::Id(id) => current.iter().find(|(_, version)| version.asset_id == *id).map(|(_, version)| version.clone()),
                AssetName::File(file) => of_file(&mut connection, &handle.tenant, file).await?,
            });
        }
        Ok(found)
    })
    .await
}

/// The newest version of an asset with the bytes that a file's name means.
async fn of_file(connection: &mut PgConnection, tenant: &TenantId, file: &AssetFile) -> Result<Option<AssetVersionRecord>, StoreError> {
    let row = sqlx::query_as!(
        VersionRow,
        r#"SELECT asset_id, version, kind, original_name, mime_type, size_bytes, content_hash, width, height, font::text AS font,
                  svg_sanitized, created_at, created_by
           FROM asset_versions WHERE tenant_id = $1 AND asset_id = $2 AND substring(content_hash FOR 8) = $3 ORDER BY version DESC LIMIT 1"#,
        tenant.as_str(),
        file.asset.as_uuid(),
        file.hash.as_slice()
    )
    .fetch_optional(connection)
    .await?;
    row.map(AssetVersionRecord::try_from).transpose()
}

/// After a conditional write touched no row: is the asset absent, or is another version current?
pub(crate) async fn why_not<T>(handle: &TenantStore, connection: &mut PgConnection, id: AssetId) -> Result<AssetOutcome<T>, StoreError> {
    let current = sqlx::query_scalar!(
        "SELECT current_version FROM assets WHERE tenant_id = $1 AND asset_id = $2",
        handle.tenant.as_str(),
        id.as_uuid()
    )
    .fetch_optional(connection)
    .await?;
    Ok(match current {
        None => AssetOutcome::NotFound,
        Some(current) => AssetOutcome::Stale { current: u32::try_from(current).unwrap_or(0) },
    })
}

/// Writes the version that `asset` now has as its current one.
pub(crate) async fn insert_version(
    connection: &mut PgConnection,
    tenant: &TenantId,
    asset: &AssetRow,
    content: &AssetContent,
) -> Result<(), StoreError> {
    let pixels = |pixels: u32| i32::try_from(pixels).unwrap_or(i32::MAX);
    let font = content.font.as_ref().map(serde_json::to_string).transpose();
    let font = font.map_err(|error| StoreError::Unexpected { source: error.into() })?;
    sqlx::query!(
        "INSERT INTO asset_versions (asset_id, tenant_id, version, kind, original_name, mime_type, size_bytes, content_hash, width, height,
                                     font, svg_sanitized, created_at, created_by)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11::text::json, $12, $13, $14)",
        asset.asset_id,
        tenant.as_str(),
        asset.current_version,
        asset.kind,
        asset.original_name,
        asset.mime_type,
        asset.size_bytes,
        asset.content_hash,
        content.size_px.map(|(width, _)| pixels(width)),
        content.size_px.map(|(_, height)| pixels(height)),
        font,
        asset.svg_sanitized,
        asset.updated_at as _,
        asset.updated_by
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Whether the tenant may keep as much as it does now, the version that was just written with it; where it stood before that
/// when it may not. Each different content of a tenant counts once: uploading the same bytes again costs nothing.
pub(crate) async fn room_for(
    connection: &mut PgConnection,
    handle: &TenantStore,
    added: &AssetRow,
) -> Result<Option<QuotaStanding>, StoreError> {
    let stored = sqlx::query_scalar!("SELECT quotas::text AS quotas FROM tenants WHERE tenant_id = $1", handle.tenant.as_str())
        .fetch_one(&mut *connection)
        .await?;
    let limits = quotas(stored.as_deref())?;
    let Some(limit) = limits.storage_bytes else { return Ok(None) };
    let used = stored_bytes(connection, &handle.tenant).await?;
    if used <= limit {
        return Ok(None);
    }
    let versions = sqlx::query_scalar!(
        r#"SELECT count(*) AS "count!" FROM asset_versions WHERE tenant_id = $1 AND content_hash = $2"#,
        handle.tenant.as_str(),
        added.content_hash
    )
    .fetch_one(&mut *connection)
    .await?;
    // Bytes that were there already take no more room, also where there is too little of it.
    if versions > 1 {
        return Ok(None);
    }
    let before = used.saturating_sub(u64::try_from(added.size_bytes).unwrap_or(0));
    Ok(limits.storage_standing(before, handle.store.now().to_jiff()))
}

/// What a tenant keeps in all: each different content of its assets, and of its documents, be they stored or results of jobs.
pub(crate) async fn stored_bytes(connection: &mut PgConnection, tenant: &TenantId) -> Result<u64, StoreError> {
    let bytes = sqlx::query_scalar!(
        r#"SELECT COALESCE(sum(size_bytes), 0)::bigint AS "bytes!"
           FROM (SELECT DISTINCT content_hash, size_bytes FROM asset_versions WHERE tenant_id = $1
                 UNION ALL
                 (SELECT sha256, size_bytes FROM documents WHERE tenant_id = $1
                  UNION
                  SELECT sha256, size_bytes FROM job_items WHERE tenant_id = $1 AND sha256 IS NOT NULL)) AS contents"#,
        tenant.as_str()
    )
    .fetch_one(connection)
    .await?;
    Ok(u64::try_from(bytes).unwrap_or(0))
}

struct VersionRow {
    asset_id: Uuid,
    version: i32,
    kind: String,
    original_name: String,
    mime_type: String,
    size_bytes: i64,
    content_hash: Vec<u8>,
    width: Option<i32>,
    height: Option<i32>,
    font: Option<String>,
    svg_sanitized: bool,
    created_at: jiff_sqlx::Timestamp,
    created_by: Option<String>,
}

impl TryFrom<VersionRow> for AssetVersionRecord {
    type Error = StoreError;

    fn try_from(row: VersionRow) -> Result<Self, StoreError> {
        let wrong = |what: &str| StoreError::inconsistent("asset_versions", what);
        let number = |number: i32| u32::try_from(number).map_err(|_| wrong("a number is negative"));
        let font = row.font.as_deref().map(serde_json::from_str).transpose();
        let content_hash: ContentHash = hash_of("assets", &row.content_hash)?.into();
        Ok(Self {
            asset_id: row.asset_id.into(),
            version: number(row.version)?,
            content: AssetContent {
                kind: AssetKind::from_word(&row.kind).ok_or_else(|| wrong("unknown kind"))?,
                original_name: row.original_name,
                mime_type: row.mime_type,
                size_bytes: u64::try_from(row.size_bytes).map_err(|_| wrong("a size is negative"))?,
                hash: content_hash,
                size_px: row
                    .width
                    .zip(row.height)
                    .map(|(width, height)| Ok::<_, StoreError>((number(width)?, number(height)?)))
                    .transpose()?,
                font: font.map_err(|error| StoreError::inconsistent("asset_versions", error))?,
                svg_sanitized: row.svg_sanitized,
            },
            created_at: row.created_at.to_jiff(),
            created_by: row.created_by,
        })
    }
}
