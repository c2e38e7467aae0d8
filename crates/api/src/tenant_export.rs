//! Everything of a tenant as a ZIP of NDJSON files, written as it is read.

use std::io;

use axum::body::Body;
use axum::extract::{Extension, RawQuery, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::{Stream, stream};
use serde_json::json;
use store::{ExportKind, ExportOptions, TenantExport};
use zip::write::SimpleFileOptions;

use crate::Setup;
use crate::auth::Caller;
use crate::body::Path;
use crate::error::ApiError;
use crate::heavy_reads::Turn;
use crate::query::{Pairs, refused};
use crate::tenants::{served, tenant_id, unknown};
use crate::zip_stream::ZipStream;

/// A tenant's things in a ZIP: `include` names kinds (all when absent), `auditSince` a time.
#[utoipa::path(get, path = "/admin/tenants/{id}/export", tag = "tenants", params(("id" = String, Path), ("include" = Option<String>, Query), ("auditSince" = Option<String>, Query)), responses((status = 200, description = "manifest.json and one NDJSON file for each kind", content_type = "application/zip")))]
pub async fn export(
    State(setup): State<Setup>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, ApiError> {
    served(&setup)?;
    let id = tenant_id(&id)?;
    let pairs = Pairs::read(query.as_deref())?;
    let options = ExportOptions { kinds: kinds(pairs.text("include"))?, audit_since: pairs.time("auditSince")? };
    let turn = setup.heavy_reads.turn(&id).await?;
    let export = setup.store.tenants().export(&id, options, &caller.actor).await?.ok_or_else(|| unknown(&id))?;
    let manifest = json!({ "tenantId": id, "exportedAt": setup.clock.now().to_string(), "engineVersion": setup.version, "format": 1 });
    let zip = ZipStream::begin(&manifest.to_string()).map_err(|error| ApiError::internal(&error))?;
    let archive = Archive { zip, open: None };
    let name = format!("attachment; filename=\"{id}.zip\"");
    let headers = [(header::CONTENT_TYPE, "application/zip".to_owned()), (header::CONTENT_DISPOSITION, name)];
    Ok((headers, Body::from_stream(pieces(export, archive, turn))).into_response())
}

fn kinds(include: Option<&str>) -> Result<Vec<ExportKind>, ApiError> {
    let Some(include) = include else { return Ok(ExportKind::ALL.to_vec()) };
    let accepted = || ExportKind::ALL.map(ExportKind::as_str).join(", ");
    let kind = |word: &str| ExportKind::from_word(word).ok_or_else(|| refused("include", word, &accepted()));
    include.split(',').map(|word| kind(word.trim())).collect()
}

/// The bytes of the archive as they come. A failure in its middle breaks the answer off: the archive then has no end, and no
/// program takes it for a whole one.
/// It holds a connection throughout, and its turn with it.
fn pieces(export: TenantExport, archive: Archive, turn: Turn) -> impl Stream<Item = io::Result<Bytes>> + Send {
    stream::try_unfold(Some((export, archive, turn)), async |state| {
        let Some((mut export, mut archive, turn)) = state else { return Ok(None) };
        match export.next().await.map_err(io::Error::other)? {
            Some(piece) => {
                // Packing a piece is work without waiting, of some milliseconds for each megabyte.
                let packed = tokio::task::spawn_blocking(move || archive.add(piece.kind, &piece.ndjson).map(|bytes| (bytes, archive)));
                let (bytes, archive) = packed.await.map_err(io::Error::other)??;
                Ok(Some((bytes, Some((export, archive, turn)))))
            }
            None => Ok(Some((archive.zip.end()?, None))),
        }
    })
}

/// The archive, and the kind of which a file was begun.
struct Archive {
    zip: ZipStream,
    open: Option<ExportKind>,
}

impl Archive {
    fn add(&mut self, kind: ExportKind, ndjson: &str) -> io::Result<Bytes> {
        if self.open != Some(kind) {
            // An entry may pass 4 GiB.
            self.zip.start_file(&format!("{}.ndjson", kind.as_str()), SimpleFileOptions::default().large_file(true))?;
            self.open = Some(kind);
        }
        self.zip.add(ndjson.as_bytes())
    }
}
