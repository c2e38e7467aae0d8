//! An upload, step by step: look at the bytes, keep them, then say so in the database.

use std::fs::File;

use domain::Actor;
use domain::assets::{AssetContent, AssetFolder, AssetKind, FontFacts, FontSlant, original_name};
use domain::ids::AssetId;
use domain::templates::ContentHash;
use domain::{ErrorCode, TenantId};
use media::{Content, DeclaredType, FontStyle, Kind, Media};
use store::{AssetOutcome, NewAsset};

use crate::assets::{Assets, Kept};
use crate::error::RenderError;

/// A file that has arrived whole.
#[derive(Debug)]
pub struct Upload {
    /// Its bytes, from the first one on. Nobody else changes it.
    pub file: File,
    /// How many there are.
    pub size_bytes: u64,
    /// Their SHA-256.
    pub sha256: [u8; 32],
    /// How its owner called it.
    pub file_name: String,
    /// What its owner says it is.
    pub declared_type: Option<String>,
}

/// What is said about a new asset.
#[derive(Clone, Debug, Default)]
pub struct AssetDetails {
    /// Words for readers who do not see it.
    pub alt_text: Option<String>,
    /// Words to find it by.
    pub tags: Vec<String>,
    /// Where people put it.
    pub folder: Option<AssetFolder>,
}

impl Assets {
    /// Makes an asset of a file: its bytes first and its row second, so that no row is ever without bytes. What is left of an
    /// upload that ends in between is litter, and is swept.
    pub async fn add(&self, tenant: &TenantId, upload: Upload, details: &AssetDetails, actor: &Actor) -> Result<AssetOutcome, RenderError> {
        let content = self.keep(tenant, upload, None).await?;
        let new =
            NewAsset { content: &content, alt_text: details.alt_text.as_deref(), tags: &details.tags, folder: details.folder.as_ref() };
        let outcome = self.store().tenant(tenant.clone()).assets().insert(new, actor).await?;
        self.changed(tenant).await;
        Ok(outcome)
    }

    /// Makes a file the next version of an asset, in the same order. `expected` is the version that has to be current.
    pub async fn replace(
        &self,
        tenant: &TenantId,
        id: AssetId,
        expected: Option<u32>,
        upload: Upload,
        actor: &Actor,
    ) -> Result<AssetOutcome, RenderError> {
        let Some(before) = self.store().tenant(tenant.clone()).assets().get(id).await? else { return Ok(AssetOutcome::NotFound) };
        if let Some(expected) = expected
            && expected != before.version
        {
            return Ok(AssetOutcome::Stale { current: before.version });
        }
        let content = self.keep(tenant, upload, Some(before.kind)).await?;
        let outcome = self.store().tenant(tenant.clone()).asset_versions().insert(id, expected, &content, actor).await?;
        self.changed(tenant).await;
        Ok(outcome)
    }

    /// Looks at the bytes and keeps them. `kind` is the one they have to be of.
    async fn keep(&self, tenant: &TenantId, upload: Upload, kind: Option<AssetKind>) -> Result<AssetContent, RenderError> {
        let inspecting = tokio::task::spawn_blocking(move || inspected(upload));
        let (content, kept) = inspecting.await.map_err(RenderError::Defect)??;
        if let Some(kind) = kind.filter(|kind| *kind != content.kind) {
            return Err(RenderError::OtherKind { is: kind.as_str(), given: content.mime_type });
        }
        self.put(tenant, *content.hash.as_bytes(), kept).await?;
        metrics::counter!("pulp_asset_uploads_total", "type" => content.mime_type.clone()).increment(1);
        Ok(content)
    }
}

fn inspected(upload: Upload) -> Result<(AssetContent, Kept), RenderError> {
    let Upload { file, size_bytes, sha256, file_name, declared_type } = upload;
    let declared = DeclaredType { mime: declared_type.as_deref(), file_name: Some(&file_name) };
    let Media { media_type, content, .. } = media::inspect(&declared, &file, &media::Limits::default())?;
    let mut kept = AssetContent {
        kind: match media_type.kind() {
            Kind::Image => AssetKind::Image,
            Kind::Font => AssetKind::Font,
            Kind::Document => AssetKind::Document,
        },
        original_name: original_name(&file_name),
        mime_type: media_type.mime().to_owned(),
        size_bytes,
        hash: sha256.into(),
        size_px: None,
        font: None,
        svg_sanitized: false,
    };
    match content {
        Content::Picture(picture) => kept.size_px = Some((picture.width, picture.height)),
        Content::Svg(svg) => {
            kept.hash = ContentHash::of_bytes(&svg.bytes);
            kept.size_bytes = svg.bytes.len() as u64;
            kept.svg_sanitized = true;
            return Ok((kept, Kept::Memory(svg.bytes)));
        }
        Content::Font(font) => {
            kept.font = Some(FontFacts {
                family: font.family,
                subfamily: font.subfamily,
                weight: font.weight,
                style: match font.style {
                    FontStyle::Normal => FontSlant::Normal,
                    FontStyle::Italic => FontSlant::Italic,
                },
                format: media_type.css_format().unwrap_or("truetype").to_owned(),
                embeddable: font.embeddable,
            });
        }
        Content::Document => {}
    }
    Ok((kept, Kept::File(file)))
}

/// The code of a refused upload.
pub(crate) fn code_of(refusal: &media::Refusal) -> ErrorCode {
    match refusal {
        media::Refusal::Unsupported { .. } => ErrorCode::UnsupportedMediaType,
        media::Refusal::Mismatch { .. } => ErrorCode::AssetMimeMismatch,
        media::Refusal::Broken { .. } | media::Refusal::Foreign { .. } => ErrorCode::ValidationFailed,
        media::Refusal::TooLarge { .. } => ErrorCode::PayloadTooLarge,
        media::Refusal::Read(_) => ErrorCode::InternalError,
    }
}
