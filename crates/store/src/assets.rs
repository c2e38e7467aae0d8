//! Assets: what is true of them now. Their past is in `asset_versions`.

use domain::assets::{AssetContent, AssetFolder, AssetKind, AssetName, AssetSlug};
use domain::audit::AuditKind;
use domain::ids::AssetId;
use domain::quotas::QuotaStanding;
use domain::templates::ContentHash;
use domain::{Actor, AuditEvent};
use jiff::Timestamp;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::asset_list::{AssetFilter, Facets};
use crate::asset_usage::{AssetUsage, usage_of};
use crate::asset_versions::{insert_version, room_for, why_not};
use crate::connect::speak;
use crate::error::StoreError;
use crate::hashes::hash_of;
use crate::page::Page;
use crate::tenants::TenantStore;
use crate::write::Write;

/// How often a free slug is looked for by counting, before a part of the id makes it one.
const COUNTED_SLUGS: u32 = 5;

/// An asset that does not exist yet.
#[derive(Clone, Copy, Debug)]
pub struct NewAsset<'a> {
    /// What its first version is. Its bytes are kept already.
    pub content: &'a AssetContent,
    /// Words for readers who do not see it, up to [`domain::assets::ASSET_ALT_TEXT_LIMIT_CHARS`].
    pub alt_text: Option<&'a str>,
    /// Words to find it by, up to [`domain::assets::ASSET_TAGS_LIMIT`].
    pub tags: &'a [String],
    /// Where people put it.
    pub folder: Option<&'a AssetFolder>,
}

/// An asset as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AssetRecord {
    /// Names it for ever.
    pub asset_id: AssetId,
    /// Names it for people and templates.
    pub slug: AssetSlug,
    /// Words for readers who do not see it.
    pub alt_text: Option<String>,
    /// Words to find it by.
    pub tags: Vec<String>,
    /// Where people put it.
    pub folder: Option<String>,
    /// Which version is current, from 1.
    pub version: u32,
    /// A picture or a font.
    pub kind: AssetKind,
    /// How the file of the current version was called.
    pub original_name: String,
    /// What its bytes are.
    pub mime_type: String,
    /// How many bytes.
    pub size_bytes: u64,
    /// Their SHA-256.
    pub content_hash: ContentHash,
    /// Whether they are an SVG that was cleaned.
    pub svg_sanitized: bool,
    /// When it was uploaded.
    pub created_at: Timestamp,
    /// Who uploaded it.
    pub created_by: Option<String>,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// Who changed it.
    pub updated_by: Option<String>,
}

/// What to change about an asset. What is `None` stays.
#[derive(Clone, Debug, Default)]
pub struct AssetPatch {
    /// Another slug.
    pub slug: Option<AssetSlug>,
    /// Other words for readers, or none.
    pub alt_text: Option<Option<String>>,
    /// All tags.
    pub tags: Option<Vec<String>>,
    /// Another folder, or none.
    pub folder: Option<Option<AssetFolder>>,
}

/// What becomes of an asset's references when it goes or is renamed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AssetInUse {
    /// Refuse where templates would no longer find it.
    Refuse,
    /// Do it; those templates no longer render.
    Override,
}

/// How a change of an asset ended.
#[derive(Clone, Debug, PartialEq)]
#[must_use]
pub enum AssetOutcome<T = AssetRecord> {
    /// Done; what there is now.
    Written(T),
    /// There is no such asset; nothing was changed.
    NotFound,
    /// Another version is current than the caller expected; nothing was changed.
    Stale {
        /// The current version.
        current: u32,
    },
    /// The asset has no such version; nothing was changed.
    VersionNotFound,
    /// Another asset has the slug; nothing was changed.
    SlugTaken,
    /// Templates would no longer find it; nothing was changed.
    InUse(AssetUsage),
    /// The tenant has no room for it; nothing was changed.
    OverQuota(QuotaStanding),
}

/// The assets of one tenant.
pub struct Assets<'a>(pub(crate) &'a TenantStore);

impl Assets<'_> {
    /// The asset of that id.
    pub async fn get(&self, id: AssetId) -> Result<Option<AssetRecord>, StoreError> {
        speak!(self.0.store, "assets.get", {
            let mut connection = self.0.store.acquire().await?;
            let row = sqlx::query_as!(
                AssetRow,
                "SELECT asset_id, slug, alt_text, tags, folder, current_version, kind, original_name, mime_type, size_bytes, content_hash,
                        svg_sanitized, created_at, created_by, updated_at, updated_by
                 FROM assets WHERE tenant_id = $1 AND asset_id = $2",
                self.0.tenant.as_str(),
                id.as_uuid()
            )
            .fetch_optional(&mut *connection)
            .await?;
            row.map(AssetRecord::try_from).transpose()
        })
        .await
    }

    /// One page of the assets that `filter` describes.
    pub async fn list(&self, filter: &AssetFilter) -> Result<Page<AssetRecord>, StoreError> {
        crate::asset_list::list(self.0, filter).await
    }

    /// The folders and tags in use, with how many assets have each.
    pub async fn facets(&self) -> Result<Facets, StoreError> {
        crate::asset_list::facets(self.0).await
    }

    /// Which templates name the asset of that id; `None` when there is no such asset.
    pub async fn usage(&self, id: AssetId) -> Result<Option<AssetUsage>, StoreError> {
        let Some(asset) = self.get(id).await? else { return Ok(None) };
        speak!(self.0.store, "assets.usage", {
            let mut connection = self.0.store.acquire().await?;
            usage_of(&mut connection, &self.0.tenant, &[asset.slug.to_string(), id.to_string()]).await.map(Some)
        })
        .await
    }

    /// Makes an asset of bytes that are kept already. Its slug is made of the file's name.
    pub async fn insert(&self, new: NewAsset<'_>, actor: &Actor) -> Result<AssetOutcome, StoreError> {
        speak!(self.0.store, "assets.insert", {
            let mut connection = self.0.store.acquire().await?;
            let mut write = Write::begin(&mut connection, self.0, actor).await?;
            let id = AssetId::generate();
            let row = self.insert_row(&mut write, id, new, actor).await?;
            insert_version(&mut write, &self.0.tenant, &row, new.content).await?;
            // The end of the chain is taken before the room is judged, so that two uploads cannot both take the last of it.
            let end = write.chain_end().await?;
            if let Some(full) = room_for(&mut write, self.0, &row).await? {
                return Ok(AssetOutcome::OverQuota(full));
            }
            write.announce("asset", &id.to_string()).await?;
            let made = AssetRecord::try_from(row)?;
            write.commit_at(end, event_of(AuditKind::AssetUploaded, &made)).await?;
            Ok(AssetOutcome::Written(made))
        })
        .await
    }

    async fn insert_row(&self, write: &mut Write<'_>, id: AssetId, new: NewAsset<'_>, actor: &Actor) -> Result<AssetRow, StoreError> {
        let plain = AssetSlug::from_file_name(&new.content.original_name);
        let counted = (2..=COUNTED_SLUGS).map(|number| plain.numbered(number));
        let last = format!("asset-{}", id.as_uuid().simple()).parse().ok();
        for slug in std::iter::once(plain.clone()).chain(counted).chain(last) {
            let row = sqlx::query_as!(
                AssetRow,
                "INSERT INTO assets (asset_id, tenant_id, slug, alt_text, tags, folder, current_version, kind, original_name, mime_type,
                                     size_bytes, content_hash, svg_sanitized, created_at, created_by, updated_at, updated_by)
                 VALUES ($1, $2, $3, $4, $5, $6, 1, $7, $8, $9, $10, $11, $12, $13, $14, $13, $14)
                 ON CONFLICT (tenant_id, slug) DO NOTHING
                 RETURNING asset_id, slug, alt_text, tags, folder, current_version, kind, original_name, mime_type, size_bytes,
                           content_hash, svg_sanitized, created_at, created_by, updated_at, updated_by",
                id.as_uuid(),
                self.0.tenant.as_str(),
                slug.as_str(),
                new.alt_text,
                new.tags,
                new.folder.map(AssetFolder::as_str),
                new.content.kind.as_str(),
                new.content.original_name,
                new.content.mime_type,
                size(new.content.size_bytes),
                new.content.hash.as_bytes().as_slice(),
                new.content.svg_sanitized,
                self.0.store.now() as _,
                &*actor.name
            )
            .fetch_optional(&mut **write)
            .await?;
            if let Some(row) = row {
                return Ok(row);
            }
        }
        Err(StoreError::Conflict { what: "assets_slug".to_owned() })
    }

    /// Changes what is said about an asset. Another slug is refused where templates name it by the old one, unless `in_use`
    /// overrides that. `expected` is the version that has to be current; without it whichever is.
    pub async fn update(
        &self,
        id: AssetId,
        expected: Option<u32>,
        patch: AssetPatch,
        in_use: AssetInUse,
        actor: &Actor,
    ) -> Result<AssetOutcome, StoreError> {
        let outcome = speak!(self.0.store, "assets.update", {
            let mut connection = self.0.store.acquire().await?;
            let mut write = Write::begin(&mut connection, self.0, actor).await?;
            let Some(before) = locked(&mut write, self.0, id, expected).await? else { return why_not(self.0, &mut write, id).await };
            // Whoever saves a template commits before this, or finds what this leaves.
            let end = write.chain_end().await?;
            if let Some(slug) = patch.slug.as_ref().filter(|slug| slug.as_str() != before.slug && in_use == AssetInUse::Refuse) {
                tracing::debug!(%slug, "an asset is renamed");
                let usage = usage_of(&mut write, &self.0.tenant, std::slice::from_ref(&before.slug)).await?;
                if usage.total > 0 {
                    return Ok(AssetOutcome::InUse(usage));
                }
            }
            let row = sqlx::query_as!(
                AssetRow,
                "UPDATE assets SET slug = COALESCE($3, slug), tags = COALESCE($4, tags),
                        alt_text = CASE WHEN $5 THEN $6 ELSE alt_text END, folder = CASE WHEN $7 THEN $8 ELSE folder END,
                        updated_at = $9, updated_by = $10
                 WHERE tenant_id = $1 AND asset_id = $2
                 RETURNING asset_id, slug, alt_text, tags, folder, current_version, kind, original_name, mime_type, size_bytes,
                           content_hash, svg_sanitized, created_at, created_by, updated_at, updated_by",
                self.0.tenant.as_str(),
                id.as_uuid(),
                patch.slug.as_ref().map(AssetSlug::as_str),
                patch.tags.as_deref(),
                patch.alt_text.is_some(),
                patch.alt_text.clone().flatten(),
                patch.folder.is_some(),
                patch.folder.as_ref().and_then(|folder| folder.as_ref().map(AssetFolder::as_str)),
                self.0.store.now() as _,
                &*actor.name
            )
            .fetch_one(&mut *write)
            .await?;
            let now = AssetRecord::try_from(row)?;
            let mut event = event_of(AuditKind::AssetUpdated, &now);
            if now.slug.as_str() != before.slug {
                event = event.with("previousSlug", before.slug);
            }
            write.announce("asset", &id.to_string()).await?;
            write.commit_at(end, event).await?;
            Ok(AssetOutcome::Written(now))
        })
        .await;
        match outcome {
            Err(StoreError::Conflict { what }) if what == "assets_slug" => Ok(AssetOutcome::SlugTaken),
            outcome => outcome,
        }
    }

    /// Removes an asset with all its versions. Their bytes go later, when nothing names them any more. `expected` is the version
    /// that has to be current; without it whichever is.
    pub async fn delete(
        &self,
        id: AssetId,
        expected: Option<u32>,
        in_use: AssetInUse,
        actor: &Actor,
    ) -> Result<AssetOutcome<()>, StoreError> {
        speak!(self.0.store, "assets.delete", {
            let mut connection = self.0.store.acquire().await?;
            let mut write = Write::begin(&mut connection, self.0, actor).await?;
            let Some(before) = locked(&mut write, self.0, id, expected).await? else { return why_not(self.0, &mut write, id).await };
            let end = write.chain_end().await?;
            if in_use == AssetInUse::Refuse {
                let usage = usage_of(&mut write, &self.0.tenant, &[before.slug.clone(), id.to_string()]).await?;
                if usage.total > 0 {
                    return Ok(AssetOutcome::InUse(usage));
                }
            }
            sqlx::query!("DELETE FROM assets WHERE tenant_id = $1 AND asset_id = $2", self.0.tenant.as_str(), id.as_uuid())
                .execute(&mut *write)
                .await?;
            write.announce("asset", &id.to_string()).await?;
            let gone = AssetRecord::try_from(before)?;
            write.commit_at(end, event_of(AuditKind::AssetDeleted, &gone)).await?;
            Ok(AssetOutcome::Written(()))
        })
        .await
    }

    /// How many of the tenant's templates name each of these assets, in their order.
    pub async fn usage_counts(&self, assets: &[AssetRecord]) -> Result<Vec<u64>, StoreError> {
        crate::asset_usage::counts(self.0, assets).await
    }

    /// What these names mean now, in their order; `None` for one that names no asset.
    pub async fn resolve(&self, names: &[AssetName]) -> Result<Vec<Option<crate::AssetVersionRecord>>, StoreError> {
        crate::asset_versions::resolve(self.0, names).await
    }
}

/// An asset whose row nobody else changes until the transaction ends; `None` also where `expected` is not its current version.
async fn locked(
    connection: &mut PgConnection,
    handle: &TenantStore,
    id: AssetId,
    expected: Option<u32>,
) -> Result<Option<AssetRow>, StoreError> {
    let row = sqlx::query_as!(
        AssetRow,
        "SELECT asset_id, slug, alt_text, tags, folder, current_version, kind, original_name, mime_type, size_bytes, content_hash,
                svg_sanitized, created_at, created_by, updated_at, updated_by
         FROM assets WHERE tenant_id = $1 AND asset_id = $2 AND current_version = COALESCE($3, current_version) FOR UPDATE",
        handle.tenant.as_str(),
        id.as_uuid(),
        expected.map(|version| i32::try_from(version).unwrap_or(0))
    )
    .fetch_optional(connection)
    .await?;
    Ok(row)
}

/// What the audit log says of every change of an asset.
pub(crate) fn event_of(kind: AuditKind, asset: &AssetRecord) -> AuditEvent {
    AuditEvent::new(kind, asset.asset_id)
        .with("slug", asset.slug.as_str())
        .with("version", asset.version)
        .with("contentHash", asset.content_hash.to_string())
        .with("sizeBytes", asset.size_bytes)
}

/// Bytes as their column takes them.
pub(crate) fn size(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

/// A row of `assets` as it comes.
#[derive(sqlx::FromRow)]
pub(crate) struct AssetRow {
    pub(crate) asset_id: Uuid,
    pub(crate) slug: String,
    pub(crate) alt_text: Option<String>,
    pub(crate) tags: Vec<String>,
    pub(crate) folder: Option<String>,
    pub(crate) current_version: i32,
    pub(crate) kind: String,
    pub(crate) original_name: String,
    pub(crate) mime_type: String,
    pub(crate) size_bytes: i64,
    pub(crate) content_hash: Vec<u8>,
    pub(crate) svg_sanitized: bool,
    pub(crate) created_at: jiff_sqlx::Timestamp,
    pub(crate) created_by: Option<String>,
    pub(crate) updated_at: jiff_sqlx::Timestamp,
    pub(crate) updated_by: Option<String>,
}

impl TryFrom<AssetRow> for AssetRecord {
    type Error = StoreError;

    fn try_from(row: AssetRow) -> Result<Self, StoreError> {
        let wrong = |what: &str| StoreError::inconsistent("assets", what);
        Ok(Self {
            asset_id: row.asset_id.into(),
            slug: row.slug.parse().map_err(|error| StoreError::inconsistent("assets", error))?,
            alt_text: row.alt_text,
            tags: row.tags,
            folder: row.folder,
            version: u32::try_from(row.current_version).map_err(|_| wrong("a version is negative"))?,
            kind: AssetKind::from_word(&row.kind).ok_or_else(|| wrong("unknown kind"))?,
            original_name: row.original_name,
            mime_type: row.mime_type,
            size_bytes: u64::try_from(row.size_bytes).map_err(|_| wrong("a size is negative"))?,
            content_hash: hash_of("assets", &row.content_hash)?.into(),
            svg_sanitized: row.svg_sanitized,
            created_at: row.created_at.to_jiff(),
            created_by: row.created_by,
            updated_at: row.updated_at.to_jiff(),
            updated_by: row.updated_by,
        })
    }
}
