//! Keeping what was rendered: one act for every door, links to what is kept, and fetching it.

use std::fmt;
use std::sync::Arc;

use blobs::{BlobContent, BlobKey, BlobKind, BlobSource, Blobs, ByteRange};
use domain::document_links::DocumentLink;
use domain::documents::{DocumentLives, DocumentName, DocumentOutput, DocumentSource};
use domain::ids::{DocumentId, JobId};
use domain::options::Disposition;
use domain::secrets::Secrets;
use domain::signed_tokens::{TokenRefusal, in_milliseconds};
use domain::templates::{TemplateKey, TemplateVersion};
use domain::usage::{RenderMode, UsageMetadata};
use domain::{Actor, Clock, TenantId};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value};
use store::{DocumentRecord, DownloadOutcome, NewDocument, Store, StoreDocumentOutcome};

use crate::error::RenderError;
use crate::outputs;
use crate::request::{Format, RenderRequest, Rendered, Source};
use crate::run::Renderer;

/// How documents are kept in an installation.
#[derive(Clone, Debug)]
pub struct DocumentOptions {
    /// How long they and their links live.
    pub lives: DocumentLives,
    /// What links are signed with, the same on all replicas.
    pub secrets: Secrets,
}

/// Through which door a document that is kept came.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Origin {
    /// How it came about.
    pub source: DocumentSource,
    /// The job and the place in it whose result it is. It is kept once, however often it is rendered.
    pub item: Option<(JobId, u32)>,
}

impl Origin {
    /// A request that waited for it, alone or as one of several.
    pub fn of(mode: RenderMode) -> Self {
        let source = match mode {
            RenderMode::Single => DocumentSource::Single,
            RenderMode::Batch => DocumentSource::Batch,
            RenderMode::Async => DocumentSource::AsyncBatch,
            RenderMode::Scheduled => DocumentSource::Scheduled,
        };
        Self { source, item: None }
    }

    /// An item of a job.
    pub fn of_item(job: JobId, index: u32) -> Self {
        Self { source: DocumentSource::AsyncBatch, item: Some((job, index)) }
    }
}

/// Something that is to be kept once it is rendered: what its request said, taken out before the render uses it up.
#[derive(Clone, Debug)]
pub struct Keeping {
    tenant: TenantId,
    output: DocumentOutput,
    template: Option<TemplateKey>,
    format: Format,
    disposition: Disposition,
    metadata: UsageMetadata,
    actor: Actor,
    life_seconds: u32,
}

/// A link to a kept document.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MadeLink {
    /// The path on this server: `/documents/links/<token>`.
    pub path: String,
    /// The first moment at which it does not work.
    pub expires_at: Timestamp,
}

/// Why a kept document is not given out.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NoDownload {
    /// There is none of that id, or its time is over.
    #[error("there is no such document any more")]
    Gone,
    /// It was fetched as often as it may be.
    #[error("this document was downloaded as often as it may be")]
    Exhausted,
    /// Links of that count were revoked.
    #[error("this link was revoked")]
    Revoked,
}

/// What is asked of a kept document.
#[derive(Clone, Copy, Debug)]
pub struct Fetch {
    /// The count of revocations that the link was made under; none for somebody with a credential.
    pub link_version: Option<u32>,
    /// Which bytes; none for all of them.
    pub range: Option<ByteRange>,
}

/// The kept documents of all tenants. Cloning shares everything.
#[derive(Clone)]
pub struct Documents(Arc<Inner>);

struct Inner {
    store: Store,
    blobs: Blobs,
    clock: Clock,
    options: DocumentOptions,
}

impl Documents {
    pub(crate) fn new(store: Store, blobs: Blobs, clock: Clock, options: DocumentOptions) -> Self {
        Self(Arc::new(Inner { store, blobs, clock, options }))
    }

    /// How long documents and links live here.
    pub fn lives(&self) -> DocumentLives {
        self.0.options.lives
    }

    /// What is to be kept of this request's render; none where nothing is. Refuses a life that is too long here.
    pub fn keeping(&self, request: &RenderRequest) -> Result<Option<Keeping>, RenderError> {
        let Some(output) = &request.output else { return Ok(None) };
        let life_seconds = self.lives().of_document(output.ttl_seconds).map_err(|issue| RenderError::OutputRefused(Box::new(issue)))?;
        let attribution = &request.attribution;
        Ok(Some(Keeping {
            tenant: request.tenant.clone(),
            output: output.clone(),
            template: match &request.source {
                Source::Stored { key, .. } => Some(key.clone()),
                Source::Inline(_) => None,
            },
            format: request.format,
            disposition: request.options.disposition,
            metadata: output.metadata.clone().unwrap_or_else(|| attribution.metadata.clone()),
            actor: attribution.actor.clone().unwrap_or_else(|| Actor::system("render")),
            life_seconds,
        }))
    }

    /// Keeps a finished document: its bytes first, then its row. When it fails, nothing is kept that anybody could find.
    /// An item of a job that was kept before is not kept again: the answer is what was kept then, whose bytes may be others.
    pub async fn keep(&self, keeping: &Keeping, rendered: &Rendered, origin: Origin) -> Result<DocumentRecord, RenderError> {
        let key = BlobKey::new(keeping.tenant.clone(), BlobKind::Outputs, rendered.sha256);
        let size_bytes = self.0.blobs.put(&key, BlobSource::bytes(rendered.body.clone())).await?;
        let fallback = keeping.template.as_ref().map_or("document", TemplateKey::as_str);
        let words = keeping.output.filename.as_deref().or(rendered.filename.as_deref()).filter(|words| !words.trim().is_empty());
        let new = NewDocument {
            format: keeping.format.as_str(),
            content_type: rendered.kind.media_type,
            filename: &DocumentName::of(words.unwrap_or(fallback), rendered.kind.extension),
            disposition: keeping.disposition,
            sha256: rendered.sha256,
            size_bytes,
            pages: (rendered.pages > 0).then_some(rendered.pages),
            source: origin.source,
            template: keeping.template.as_ref(),
            version: rendered.version,
            label: rendered.via.as_ref().map(|via| via.label.as_str()),
            item: origin.item,
            usage_id: Some(rendered.usage_id),
            metadata: &keeping.metadata,
            max_downloads: keeping.output.max_downloads,
            life_seconds: keeping.life_seconds,
        };
        let outcome = self.0.store.tenant(keeping.tenant.clone()).documents().insert(new, &keeping.actor).await?;
        match outcome {
            StoreDocumentOutcome::Stored(record) => {
                metrics::counter!("pulp_documents_stored_total", "source" => origin.source.as_str()).increment(1);
                Ok(*record)
            }
            StoreDocumentOutcome::Full(standing) => Err(RenderError::StorageFull(standing)),
        }
    }

    /// A link that works for so long, and no longer than the document is kept. Nothing is written down of it.
    pub fn link(&self, tenant: &TenantId, document: &DocumentRecord, ttl_seconds: Option<u32>, disposition: Disposition) -> MadeLink {
        let life = SignedDuration::from_secs(self.lives().of_link(ttl_seconds).into());
        let wanted = self.0.clock.now().checked_add(life).unwrap_or(Timestamp::MAX);
        let expires_at = in_milliseconds(wanted.min(document.expires_at));
        let (tenant, version, shown) = (tenant.clone(), document.link_version, disposition.into());
        let link = DocumentLink { tenant, document: document.id, version, shown, expires_at };
        MadeLink { path: format!("/documents/links/{}", link.sign(&self.0.options.secrets.current)), expires_at }
    }

    /// What the text of a link opens, judged without asking anybody. Whether it was revoked is seen when the document is fetched.
    pub fn verify_link(&self, text: &str) -> Result<DocumentLink, TokenRefusal> {
        DocumentLink::verify(text, &self.0.options.secrets, self.0.clock.now()).map(|verified| verified.token)
    }

    /// Counts a fetch and opens the bytes. A fetch that begins behind the first byte goes on with one that was counted, unless
    /// the document may be fetched so often only: then each counts. One that cannot be opened is not counted.
    pub async fn open(
        &self,
        tenant: &TenantId,
        id: DocumentId,
        fetch: Fetch,
    ) -> Result<Result<(DocumentRecord, BlobContent), NoDownload>, RenderError> {
        let handle = self.0.store.tenant(tenant.clone());
        let known = if fetch.range.is_some_and(|range| range.first > 0) { handle.documents().get(id).await? } else { None };
        if let Some(record) = known.filter(|record| record.max_downloads.is_none()) {
            if fetch.link_version.is_some_and(|version| version != record.link_version) {
                return Ok(Err(NoDownload::Revoked));
            }
            let content = self.content(tenant, &record, fetch.range).await?;
            return Ok(Ok((record, content)));
        }
        let record = match handle.documents().count_download(id, fetch.link_version).await? {
            DownloadOutcome::Counted(record) => *record,
            DownloadOutcome::Gone => return Ok(Err(NoDownload::Gone)),
            DownloadOutcome::Exhausted => return Ok(Err(NoDownload::Exhausted)),
            DownloadOutcome::Revoked => return Ok(Err(NoDownload::Revoked)),
        };
        match self.content(tenant, &record, fetch.range).await {
            Ok(content) => {
                metrics::counter!("pulp_documents_downloaded_total").increment(1);
                Ok(Ok((record, content)))
            }
            Err(error) => {
                if let Err(error) = handle.documents().give_download_back(id).await {
                    tracing::warn!(%error, document = %id, "a download that failed was not taken back");
                }
                Err(error)
            }
        }
    }

    /// The bytes of a kept document for whoever had it kept and asks for the same answer again: no fetch that counts. None when it is
    /// gone.
    pub async fn content_of(&self, tenant: &TenantId, id: DocumentId) -> Result<Option<BlobContent>, RenderError> {
        let Some(record) = self.0.store.tenant(tenant.clone()).documents().get(id).await? else { return Ok(None) };
        self.content(tenant, &record, None).await.map(Some)
    }

    async fn content(&self, tenant: &TenantId, record: &DocumentRecord, range: Option<ByteRange>) -> Result<BlobContent, RenderError> {
        let key = BlobKey::new(tenant.clone(), BlobKind::Outputs, record.sha256);
        outputs::found(self.0.blobs.get(&key, range).await, record.filename.as_str())
    }
}

/// A finished document of a schedule that is kept because somebody is to get a link to it.
#[derive(Clone, Copy, Debug)]
pub struct MadeFile<'a> {
    /// What the file is called, with its extension.
    pub filename: &'a str,
    /// Its media type.
    pub content_type: &'a str,
    /// The SHA-256 of its bytes, which are kept with the outputs.
    pub sha256: [u8; 32],
    /// How many they are.
    pub size_bytes: u64,
    /// Pages of a PDF; 0 for anything else.
    pub pages: u32,
    /// The template it was made from.
    pub template: &'a str,
    /// Its version.
    pub version: Option<&'a str>,
    /// Which document of which job it is. It is kept once, however often that is asked for.
    pub item: (JobId, u32),
    /// Words to find it by.
    pub metadata: &'a [(&'a str, String)],
}

impl Documents {
    /// Keeps a finished document of a schedule, whose bytes are there, for as long as the installation keeps one that nobody said it of.
    pub async fn keep_made(&self, tenant: &TenantId, made: MadeFile<'_>) -> Result<DocumentRecord, RenderError> {
        let life_seconds = self.lives().of_document(None).map_err(|issue| RenderError::OutputRefused(Box::new(issue)))?;
        let extension = made.filename.rsplit_once('.').map_or("bin", |(_, extension)| extension);
        let words: Map<String, Value> = made.metadata.iter().map(|(name, word)| ((*name).to_owned(), word.as_str().into())).collect();
        let metadata = UsageMetadata::from_json(&Value::Object(words), "").unwrap_or_default();
        let (template, version): (Option<TemplateKey>, Option<TemplateVersion>) =
            (made.template.parse().ok(), made.version.and_then(|version| version.parse().ok()));
        let new = NewDocument {
            format: extension,
            content_type: made.content_type,
            filename: &DocumentName::of(made.filename, extension),
            disposition: Disposition::Attachment,
            sha256: made.sha256,
            size_bytes: made.size_bytes,
            pages: (made.pages > 0).then_some(made.pages),
            source: DocumentSource::Scheduled,
            template: template.as_ref(),
            version,
            label: None,
            item: Some(made.item),
            usage_id: None,
            metadata: &metadata,
            max_downloads: None,
            life_seconds,
        };
        match self.0.store.tenant(tenant.clone()).documents().insert(new, &Actor::system("schedules")).await? {
            StoreDocumentOutcome::Stored(record) => {
                metrics::counter!("pulp_documents_stored_total", "source" => DocumentSource::Scheduled.as_str()).increment(1);
                Ok(*record)
            }
            StoreDocumentOutcome::Full(standing) => Err(RenderError::StorageFull(standing)),
        }
    }
}

impl fmt::Debug for Documents {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Documents").field("lives", &self.lives()).finish_non_exhaustive()
    }
}

impl Renderer {
    /// Renders, and keeps what comes out where the request asks for it: the act of every door. A document that could not be
    /// kept is an error, though it was rendered and is in the log of renders.
    pub async fn render_and_keep(&self, request: RenderRequest, origin: Origin) -> Result<(Rendered, Option<DocumentRecord>), RenderError> {
        let keeping = self.documents().keeping(&request)?;
        let rendered = self.render(request).await?;
        let kept = match &keeping {
            Some(keeping) => Some(self.documents().keep(keeping, &rendered, origin).await?),
            None => None,
        };
        Ok((rendered, kept))
    }
}
