//! Stored documents: what is known of each, who fetched it how often, and when it goes. Their bytes are elsewhere.

use domain::audit::AuditKind;
use domain::documents::{DocumentName, DocumentSource};
use domain::ids::{DocumentId, JobId, RequestId, UsageId};
use domain::options::Disposition;
use domain::quotas::{QuotaStanding, Quotas};
use domain::templates::{TemplateKey, TemplateVersion};
use domain::usage::UsageMetadata;
use domain::{Actor, AuditEvent, TenantId};
use jiff::Timestamp;
use jiff_sqlx::ToSqlx as _;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::asset_versions::stored_bytes;
use crate::connect::{Store, speak};
use crate::error::StoreError;
use crate::hashes::hash_of;
use crate::quotas::quotas;
use crate::tenants::{TenantStore, tenant_ids};
use crate::write::{Needs, Write};

/// A stored document.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DocumentRecord {
    /// Names it.
    pub id: DocumentId,
    /// What kind of file it is: `pdf`, `html`.
    pub format: String,
    /// Its media type.
    pub content_type: String,
    /// What the file is called.
    pub filename: DocumentName,
    /// Whether a browser shows it or saves it, where a link does not say.
    pub disposition: Disposition,
    /// The SHA-256 of its bytes.
    pub sha256: [u8; 32],
    /// How many bytes it has.
    pub size_bytes: u64,
    /// Pages, where it has some.
    pub pages: Option<u32>,
    /// How it came about.
    pub source: DocumentSource,
    /// The template it was made from; none for a definition that came with the request.
    pub template: Option<String>,
    /// Its version.
    pub version: Option<String>,
    /// The label that led to that version.
    pub label: Option<String>,
    /// The job and the place in it whose result it is.
    pub item: Option<(JobId, u32)>,
    /// The render in the log of renders.
    pub usage_id: Option<UsageId>,
    /// The request it was made in.
    pub request_id: Option<RequestId>,
    /// Who asked for it.
    pub actor: String,
    /// What it can be found by.
    pub metadata: UsageMetadata,
    /// When it was stored.
    pub created_at: Timestamp,
    /// The first moment at which it is there no more.
    pub expires_at: Timestamp,
    /// How often it was fetched.
    pub download_count: u32,
    /// How often it may be fetched; none for as often as anybody likes.
    pub max_downloads: Option<u32>,
    /// When it was fetched last.
    pub last_downloaded_at: Option<Timestamp>,
    /// The count that links have to be made under.
    pub link_version: u32,
}

/// A document whose bytes are in their place already.
#[derive(Clone, Copy, Debug)]
pub struct NewDocument<'a> {
    /// What kind of file it is: `pdf`, `html`.
    pub format: &'a str,
    /// Its media type.
    pub content_type: &'a str,
    /// What the file is called.
    pub filename: &'a DocumentName,
    /// Whether a browser shows it or saves it, where a link does not say.
    pub disposition: Disposition,
    /// The SHA-256 of its bytes.
    pub sha256: [u8; 32],
    /// How many bytes it has.
    pub size_bytes: u64,
    /// Pages, where it has some.
    pub pages: Option<u32>,
    /// How it came about.
    pub source: DocumentSource,
    /// The template it was made from.
    pub template: Option<&'a TemplateKey>,
    /// Its version.
    pub version: Option<TemplateVersion>,
    /// The label that led to that version.
    pub label: Option<&'a str>,
    /// The job and the place in it whose result it is. It is stored once: storing it again gives what was stored first.
    pub item: Option<(JobId, u32)>,
    /// The render in the log of renders.
    pub usage_id: Option<UsageId>,
    /// What it can be found by.
    pub metadata: &'a UsageMetadata,
    /// How often it may be fetched.
    pub max_downloads: Option<u32>,
    /// How long it is kept, in seconds.
    pub life_seconds: u32,
}

/// How storing a document ended.
#[derive(Clone, PartialEq, Debug)]
#[must_use]
pub enum StoreDocumentOutcome {
    /// It is stored.
    Stored(Box<DocumentRecord>),
    /// The tenant has no room for it; nothing was changed.
    Full(Box<QuotaStanding>),
}

/// How a fetch ended.
#[derive(Clone, PartialEq, Eq, Debug)]
#[must_use]
pub enum DownloadOutcome {
    /// It was counted; the count is that after it.
    Counted(Box<DocumentRecord>),
    /// There is no such document, or its time is over.
    Gone,
    /// It was fetched as often as it may be.
    Exhausted,
    /// The links of that count were revoked.
    Revoked,
}

/// The stored documents of one tenant.
pub struct Documents<'a>(pub(crate) &'a TenantStore);

impl TenantStore {
    /// The stored documents.
    pub fn documents(&self) -> Documents<'_> {
        Documents(self)
    }
}

impl Documents<'_> {
    /// Stores a document, unless the item of a job whose result it is has one already: then that one is the answer, and the
    /// bytes that came now are nobody's.
    pub async fn insert(&self, new: NewDocument<'_>, actor: &Actor) -> Result<StoreDocumentOutcome, StoreError> {
        speak!(self.0.store, "documents.insert", {
            let id = DocumentId::generate();
            let mut connection = self.0.store.acquire().await?;
            if let Some(found) = self.of_item(&mut connection, new.item).await? {
                return Ok(StoreDocumentOutcome::Stored(Box::new(found)));
            }
            let mut write = Write::begin(&mut connection, self.0, actor).await?;
            let now = self.0.store.now();
            let expires_at = now.to_jiff().checked_add(jiff::SignedDuration::from_secs(new.life_seconds.max(1).into()));
            let metadata = (!new.metadata.is_empty()).then(|| new.metadata.to_string());
            let row = sqlx::query_as!(
                DocumentRow,
                r#"INSERT INTO documents (document_id, tenant_id, format, content_type, filename, disposition, sha256, size_bytes, pages,
                                          source, template_key, template_version, label, job_id, item_index, usage_id, request_id,
                                          actor, metadata, created_at, expires_at, max_downloads)
                   VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19::text::jsonb, $20, $21, $22)
                   ON CONFLICT (job_id, item_index) WHERE job_id IS NOT NULL DO NOTHING
                   RETURNING document_id, format, content_type, filename, disposition, sha256, size_bytes, pages, source, template_key,
                             template_version, label, job_id, item_index, usage_id, request_id, actor, metadata::text AS metadata,
                             created_at, expires_at, download_count, max_downloads, last_downloaded_at, link_version"#,
                id.as_uuid(),
                self.0.tenant.as_str(),
                new.format,
                new.content_type,
                new.filename.as_str(),
                disposition_word(new.disposition),
                new.sha256.as_slice(),
                i64::try_from(new.size_bytes).unwrap_or(i64::MAX),
                new.pages.map(|pages| i32::try_from(pages).unwrap_or(i32::MAX)),
                new.source.as_str(),
                new.template.map(TemplateKey::as_str),
                new.version.map(|version| version.to_string()),
                new.label,
                new.item.map(|(job, _)| job.as_uuid()),
                new.item.map(|(_, index)| i32::try_from(index).unwrap_or(i32::MAX)),
                new.usage_id.map(UsageId::as_uuid),
                actor.request_id.map(RequestId::as_uuid),
                &*actor.name,
                metadata,
                now as _,
                expires_at.unwrap_or(Timestamp::MAX).to_sqlx() as _,
                new.max_downloads.map(|most| i32::try_from(most).unwrap_or(i32::MAX))
            )
            .fetch_optional(&mut *write)
            .await?;
            let Some(row) = row else {
                // Another attempt at the same item was first, in this very moment.
                let found = self.of_item(&mut write, new.item).await?.ok_or_else(|| wrong("a document went while it was stored"))?;
                return Ok(StoreDocumentOutcome::Stored(Box::new(found)));
            };
            let record = row.record()?;
            // The end of the chain is taken before the room is judged, so that two cannot both take the last of it.
            let end = write.chain_end().await?;
            if let Some(full) = room_for(&mut write, &self.0.store, &self.0.tenant, (&record.sha256, record.size_bytes)).await? {
                return Ok(StoreDocumentOutcome::Full(Box::new(full)));
            }
            let event = AuditEvent::new(AuditKind::DocumentStored, record.id)
                .with("format", new.format)
                .with("sizeBytes", new.size_bytes)
                .with("sha256", hex::encode(new.sha256))
                .with("source", new.source.as_str())
                .with("template", record.template.as_deref())
                .with("version", record.version.as_deref())
                .with("jobId", record.item.map(|(job, _)| job.to_string()))
                .with("itemIndex", record.item.map(|(_, index)| index))
                .with("expiresAt", record.expires_at.to_string())
                .with("maxDownloads", new.max_downloads);
            write.commit_at(end, event).await?;
            Ok(StoreDocumentOutcome::Stored(Box::new(record)))
        })
        .await
    }

    /// What the item of a job was stored as.
    async fn of_item(&self, connection: &mut PgConnection, item: Option<(JobId, u32)>) -> Result<Option<DocumentRecord>, StoreError> {
        let Some((job, index)) = item else { return Ok(None) };
        let row = sqlx::query_as!(
            DocumentRow,
            "SELECT document_id, format, content_type, filename, disposition, sha256, size_bytes, pages, source, template_key,
                    template_version, label, job_id, item_index, usage_id, request_id, actor, metadata::text AS metadata,
                    created_at, expires_at, download_count, max_downloads, last_downloaded_at, link_version
             FROM documents WHERE tenant_id = $1 AND job_id = $2 AND item_index = $3",
            self.0.tenant.as_str(),
            job.as_uuid(),
            i32::try_from(index).unwrap_or(i32::MAX)
        );
        row.fetch_optional(connection).await?.map(DocumentRow::record).transpose()
    }

    /// The document of that id, unless its time is over.
    pub async fn get(&self, id: DocumentId) -> Result<Option<DocumentRecord>, StoreError> {
        speak!(self.0.store, "documents.get", {
            let mut connection = self.0.store.acquire().await?;
            let row = sqlx::query_as!(
                DocumentRow,
                "SELECT document_id, format, content_type, filename, disposition, sha256, size_bytes, pages, source, template_key,
                        template_version, label, job_id, item_index, usage_id, request_id, actor, metadata::text AS metadata,
                        created_at, expires_at, download_count, max_downloads, last_downloaded_at, link_version
                 FROM documents WHERE tenant_id = $1 AND document_id = $2 AND expires_at > $3",
                self.0.tenant.as_str(),
                id.as_uuid(),
                self.0.store.now() as _
            );
            row.fetch_optional(&mut *connection).await?.map(DocumentRow::record).transpose()
        })
        .await
    }

    /// Counts a fetch, if it may be fetched once more: two requests never take the same one. With a link, `link_version` is the
    /// count it was made under. A fetch is usage and no change by a person, so no audit event goes with it, and it also
    /// happens to documents of archived tenants.
    pub async fn count_download(&self, id: DocumentId, link_version: Option<u32>) -> Result<DownloadOutcome, StoreError> {
        speak!(self.0.store, "documents.count_download", {
            let now = self.0.store.now();
            let version = link_version.map(|version| i32::try_from(version).unwrap_or(i32::MAX));
            let mut connection = self.0.store.acquire().await?;
            // The row's lock decides between two: the later one sees the count of the earlier one.
            let row = sqlx::query_as!(
                DocumentRow,
                "UPDATE documents SET download_count = download_count + 1, last_downloaded_at = $3
                 WHERE tenant_id = $1 AND document_id = $2 AND expires_at > $3 AND ($4::integer IS NULL OR link_version = $4)
                   AND (max_downloads IS NULL OR download_count < max_downloads)
                 RETURNING document_id, format, content_type, filename, disposition, sha256, size_bytes, pages, source, template_key,
                           template_version, label, job_id, item_index, usage_id, request_id, actor, metadata::text AS metadata,
                           created_at, expires_at, download_count, max_downloads, last_downloaded_at, link_version",
                self.0.tenant.as_str(),
                id.as_uuid(),
                now as _,
                version
            )
            .fetch_optional(&mut *connection)
            .await?;
            if let Some(row) = row {
                return Ok(DownloadOutcome::Counted(Box::new(row.record()?)));
            }
            let why = sqlx::query_scalar!(
                "SELECT link_version FROM documents WHERE tenant_id = $1 AND document_id = $2 AND expires_at > $3",
                self.0.tenant.as_str(),
                id.as_uuid(),
                now as _
            );
            Ok(match why.fetch_optional(&mut *connection).await? {
                None => DownloadOutcome::Gone,
                Some(current) if version.is_some_and(|version| version != current) => DownloadOutcome::Revoked,
                Some(_) => DownloadOutcome::Exhausted,
            })
        })
        .await
    }

    /// Takes a fetch back of which no byte was sent; says whether one was counted. Unaudited as [`Documents::count_download`].
    pub async fn give_download_back(&self, id: DocumentId) -> Result<bool, StoreError> {
        speak!(self.0.store, "documents.give_download_back", {
            let mut connection = self.0.store.acquire().await?;
            let given = sqlx::query!(
                "UPDATE documents SET download_count = download_count - 1 WHERE tenant_id = $1 AND document_id = $2 AND download_count > 0",
                self.0.tenant.as_str(),
                id.as_uuid()
            )
            .execute(&mut *connection)
            .await?;
            Ok(given.rows_affected() == 1)
        })
        .await
    }

    /// Records that a link was made that works until `expires_at`, under the count that the document had when it was read; says
    /// whether there is still such a document under that count.
    pub async fn record_link(&self, document: &DocumentRecord, expires_at: Timestamp, actor: &Actor) -> Result<bool, StoreError> {
        speak!(self.0.store, "documents.record_link", {
            let mut connection = self.0.store.acquire().await?;
            let mut write = Write::begin(&mut connection, self.0, actor).await?;
            let held = sqlx::query_scalar!(
                "SELECT document_id FROM documents
                 WHERE tenant_id = $1 AND document_id = $2 AND link_version = $3 AND expires_at > $4 FOR SHARE",
                self.0.tenant.as_str(),
                document.id.as_uuid(),
                i32::try_from(document.link_version).unwrap_or(i32::MAX),
                self.0.store.now() as _
            );
            if held.fetch_optional(&mut *write).await?.is_none() {
                return Ok(false);
            }
            let event = AuditEvent::new(AuditKind::DocumentLinkCreated, document.id).with("expiresAt", expires_at.to_string());
            write.commit(event.with("linkVersion", document.link_version)).await?;
            Ok(true)
        })
        .await
    }

    /// Makes all links void that there are; gives the count that links are made under from now on. It only takes away, so it
    /// also happens to documents of archived tenants.
    pub async fn revoke_links(&self, id: DocumentId, actor: &Actor) -> Result<Option<u32>, StoreError> {
        speak!(self.0.store, "documents.revoke_links", {
            let mut connection = self.0.store.acquire().await?;
            let mut write = Write::begin_on(&mut connection, self.0, actor, Needs::AnyTenant).await?;
            let revoked = sqlx::query_scalar!(
                "UPDATE documents SET link_version = link_version + 1
                 WHERE tenant_id = $1 AND document_id = $2 AND expires_at > $3 RETURNING link_version",
                self.0.tenant.as_str(),
                id.as_uuid(),
                self.0.store.now() as _
            );
            let Some(version) = revoked.fetch_optional(&mut *write).await? else { return Ok(None) };
            let version = count("link_version", version)?;
            write.commit(AuditEvent::new(AuditKind::DocumentLinksRevoked, id).with("linkVersion", version)).await?;
            Ok(Some(version))
        })
        .await
    }

    /// Removes a document; says whether there was one. Its bytes go when stored files are swept.
    pub async fn delete(&self, id: DocumentId, actor: &Actor) -> Result<bool, StoreError> {
        speak!(self.0.store, "documents.delete", {
            let mut connection = self.0.store.acquire().await?;
            let mut write = Write::begin(&mut connection, self.0, actor).await?;
            let removed = sqlx::query!(
                "DELETE FROM documents WHERE tenant_id = $1 AND document_id = $2 AND expires_at > $3
                 RETURNING format, size_bytes, sha256, template_key, download_count",
                self.0.tenant.as_str(),
                id.as_uuid(),
                self.0.store.now() as _
            );
            let Some(removed) = removed.fetch_optional(&mut *write).await? else { return Ok(false) };
            let event = AuditEvent::new(AuditKind::DocumentDeleted, id)
                .with("format", removed.format)
                .with("sizeBytes", removed.size_bytes)
                .with("sha256", hex::encode(&removed.sha256))
                .with("template", removed.template_key)
                .with("downloadCount", removed.download_count);
            write.commit(event).await?;
            Ok(true)
        })
        .await
    }

    /// Those of these hashes that a document of the tenant has; documents whose time is over have none.
    pub async fn known(&self, hashes: &[[u8; 32]]) -> Result<Vec<[u8; 32]>, StoreError> {
        speak!(self.0.store, "documents.known", {
            let wanted: Vec<Vec<u8>> = hashes.iter().map(|hash| hash.to_vec()).collect();
            let mut connection = self.0.store.acquire().await?;
            let known = sqlx::query_scalar!(
                "SELECT DISTINCT sha256 FROM documents WHERE tenant_id = $1 AND sha256 = ANY ($2)",
                self.0.tenant.as_str(),
                &wanted
            )
            .fetch_all(&mut *connection)
            .await?;
            known.iter().map(|hash| hash_of("documents", hash)).collect()
        })
        .await
    }

    /// Removes up to `limit` documents whose time was over at `moment`, the oldest first, in one transaction with an event that
    /// says how many; gives how many. Their time is a promise, so it also ends in archived tenants.
    pub async fn delete_expired(&self, moment: Timestamp, limit: u32, actor: &Actor) -> Result<u64, StoreError> {
        speak!(self.0.store, "documents.delete_expired", {
            let mut connection = self.0.store.acquire().await?;
            let mut write = Write::begin_on(&mut connection, self.0, actor, Needs::AnyTenant).await?;
            let removed = sqlx::query!(
                "DELETE FROM documents WHERE document_id IN (
                     SELECT document_id FROM documents WHERE tenant_id = $1 AND expires_at <= $2 ORDER BY expires_at LIMIT $3)",
                self.0.tenant.as_str(),
                moment.to_sqlx() as _,
                i64::from(limit)
            )
            .execute(&mut *write)
            .await?
            .rows_affected();
            if removed > 0 {
                let event = AuditEvent::new(AuditKind::DocumentsExpired, &self.0.tenant);
                write.commit(event.with("removed", removed).with("before", moment.to_string())).await?;
            }
            Ok(removed)
        })
        .await
    }
}

impl Store {
    /// The tenants that have documents whose time was over at `moment`.
    pub async fn tenants_with_expired_documents(&self, moment: Timestamp) -> Result<Vec<TenantId>, StoreError> {
        speak!(self, "documents.tenants", {
            let mut connection = self.acquire().await?;
            let ids = sqlx::query_scalar!(
                "SELECT tenant_id FROM tenants
                 WHERE EXISTS (SELECT 1 FROM documents d WHERE d.tenant_id = tenants.tenant_id AND d.expires_at <= $1)
                 ORDER BY tenant_id",
                moment.to_sqlx() as _
            )
            .fetch_all(&mut *connection)
            .await?;
            tenant_ids(ids)
        })
        .await
    }
}

/// Whether the tenant may keep as much as it does now, the document of these bytes that was just written with it; where it stood
/// before that when it may not. Bytes that were there already take no more room. Call it with the end of the tenant's chain taken.
pub(crate) async fn room_for(
    connection: &mut PgConnection,
    store: &Store,
    tenant: &TenantId,
    (sha256, size_bytes): (&[u8; 32], u64),
) -> Result<Option<QuotaStanding>, StoreError> {
    let limits = storage_limits(connection, tenant).await?;
    let Some(limit) = limits.storage_bytes else { return Ok(None) };
    let used = stored_bytes(connection, tenant).await?;
    if used <= limit {
        return Ok(None);
    }
    let copies = sqlx::query_scalar!(
        r#"SELECT (SELECT count(*) FROM (SELECT FROM documents WHERE tenant_id = $1 AND sha256 = $2 LIMIT 2) AS stored)
                + (SELECT count(*) FROM (SELECT FROM job_items WHERE tenant_id = $1 AND sha256 = $2 LIMIT 2) AS made) AS "count!""#,
        tenant.as_str(),
        sha256.as_slice()
    );
    if copies.fetch_one(connection).await? > 1 {
        return Ok(None);
    }
    Ok(limits.storage_standing(used.saturating_sub(size_bytes), store.now().to_jiff()))
}

/// The tenant's limits.
pub(crate) async fn storage_limits(connection: &mut PgConnection, tenant: &TenantId) -> Result<Quotas, StoreError> {
    let stored = sqlx::query_scalar!("SELECT quotas::text AS quotas FROM tenants WHERE tenant_id = $1", tenant.as_str());
    quotas(stored.fetch_one(connection).await?.as_deref())
}

fn disposition_word(disposition: Disposition) -> &'static str {
    match disposition {
        Disposition::Inline => "inline",
        Disposition::Attachment => "attachment",
    }
}

fn wrong(why: &str) -> StoreError {
    StoreError::inconsistent("documents", why.to_owned())
}

fn count(column: &str, number: i32) -> Result<u32, StoreError> {
    u32::try_from(number).map_err(|_| wrong(&format!("{column} is {number}")))
}

#[derive(sqlx::FromRow)]
pub(crate) struct DocumentRow {
    document_id: Uuid,
    format: String,
    content_type: String,
    filename: String,
    disposition: String,
    sha256: Vec<u8>,
    size_bytes: i64,
    pages: Option<i32>,
    source: String,
    template_key: Option<String>,
    template_version: Option<String>,
    label: Option<String>,
    job_id: Option<Uuid>,
    item_index: Option<i32>,
    usage_id: Option<Uuid>,
    request_id: Option<Uuid>,
    actor: String,
    metadata: Option<String>,
    created_at: jiff_sqlx::Timestamp,
    expires_at: jiff_sqlx::Timestamp,
    download_count: i32,
    max_downloads: Option<i32>,
    last_downloaded_at: Option<jiff_sqlx::Timestamp>,
    link_version: i32,
}

impl DocumentRow {
    pub(crate) fn record(self) -> Result<DocumentRecord, StoreError> {
        let metadata = self.metadata.as_deref().map(serde_json::from_str::<std::collections::BTreeMap<String, String>>).transpose();
        let item = self.job_id.zip(self.item_index).map(|(job, index)| Ok::<_, StoreError>((job.into(), count("item_index", index)?)));
        Ok(DocumentRecord {
            id: self.document_id.into(),
            format: self.format,
            content_type: self.content_type,
            filename: DocumentName::from_stored(self.filename),
            disposition: if self.disposition == "inline" { Disposition::Inline } else { Disposition::Attachment },
            sha256: hash_of("documents", &self.sha256)?,
            size_bytes: u64::try_from(self.size_bytes).map_err(|_| wrong("size_bytes is negative"))?,
            pages: self.pages.map(|pages| count("pages", pages)).transpose()?,
            source: self.source.parse().map_err(|_| wrong("source is none that is known"))?,
            template: self.template_key,
            version: self.template_version,
            label: self.label,
            item: item.transpose()?,
            usage_id: self.usage_id.map(Into::into),
            request_id: self.request_id.map(Into::into),
            actor: self.actor,
            metadata: UsageMetadata::of(metadata.map_err(|_| wrong("metadata is no object of texts"))?.unwrap_or_default()),
            created_at: self.created_at.to_jiff(),
            expires_at: self.expires_at.to_jiff(),
            download_count: count("download_count", self.download_count)?,
            max_downloads: self.max_downloads.map(|most| count("max_downloads", most)).transpose()?,
            last_downloaded_at: self.last_downloaded_at.map(jiff_sqlx::Timestamp::to_jiff),
            link_version: count("link_version", self.link_version)?,
        })
    }
}
