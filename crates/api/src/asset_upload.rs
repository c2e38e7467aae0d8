//! Files on their way in: written to a temporary file while they are hashed, never whole in memory.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, BodyDataStream};
use axum::extract::multipart::{Field, MultipartError, MultipartRejection};
use axum::extract::{FromRequest, Multipart, Request};
use bytes::Bytes;
use domain::ErrorCode;
use futures_util::Stream;
use render::Upload;
use sha2::{Digest, Sha256};
use tokio::io::{AsyncWriteExt as _, BufWriter};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::Setup;
use crate::error::ApiError;

/// Uploads under way at the same time. Each takes a buffer in memory and its size on the disk.
const PLACES: usize = 8;
/// How long an upload waits for a place.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long nothing may arrive.
const IDLE: Duration = Duration::from_secs(30);
/// How long a whole upload may take: 256 MiB at 2.4 Mbit/s.
pub(crate) const WHOLE: Duration = Duration::from_mins(15);
/// Bytes of a part that is no file.
const FIELD_BYTES: usize = 16 * 1024;
/// How long and how much of a body that is refused goes on being read: a client that is still sending when the connection
/// closes would never see the answer.
const DISCARD: (Duration, u64) = (Duration::from_secs(10), 256 * 1024 * 1024);
/// What is written to the disk at once.
const BUFFER_BYTES: usize = 256 * 1024;

/// Where uploads arrive, and how many and how large ones.
#[derive(Clone, Debug)]
pub struct Uploads {
    folder: Arc<Path>,
    max_bytes: u64,
    places: Arc<Semaphore>,
}

impl Uploads {
    /// Uploads of up to `max_bytes` each, kept in `folder` until they are known.
    pub fn new(folder: PathBuf, max_bytes: u64) -> Self {
        Self { folder: folder.into(), max_bytes, places: Arc::new(Semaphore::new(PLACES)) }
    }

    /// The most bytes of one file.
    pub(crate) fn max_bytes(&self) -> u64 {
        self.max_bytes
    }
}

/// A multipart body that has arrived: one part `file`, and others by name.
pub(crate) struct Received {
    pub(crate) upload: Upload,
    pub(crate) fields: BTreeMap<&'static str, String>,
}

/// Reads a body with one part `file` and these others, each at most once.
pub(crate) async fn receive(setup: &Setup, request: Request, accepted: &[&'static str]) -> Result<Received, ApiError> {
    let uploads = &setup.uploads;
    let Ok(Ok(_place)) = timeout(PATIENCE, uploads.places.acquire()).await else {
        let message = "too many uploads are under way; try again in a moment";
        return Err(ApiError::new(ErrorCode::ServiceUnavailable, message).retry_after(5));
    };
    let request = request.map(|body| Body::from_stream(PieceByPiece { body: body.into_data_stream(), rests: false }));
    let body = Multipart::from_request(request, setup).await.map_err(|rejection| no_multipart(&rejection))?;
    let reading = async {
        let mut body = body;
        let read = parts(&mut body, uploads, accepted).await;
        if read.is_err() {
            let _ = timeout(DISCARD.0, discard(&mut body)).await;
        }
        read
    };
    let late = |_| ApiError::bad_request(format!("the upload did not end within {} minutes", WHOLE.as_secs() / 60));
    timeout(WHOLE, reading).await.map_err(late)?
}

/// A body that gives one piece at a time. The reader of parts takes all that there is before it looks at any of it, and of a body that
/// is unpacked on its way there may be a great deal at once.
struct PieceByPiece {
    body: BodyDataStream,
    rests: bool,
}

impl Stream for PieceByPiece {
    type Item = Result<Bytes, axum::Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if std::mem::take(&mut self.rests) {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        let piece = Pin::new(&mut self.body).poll_next(context);
        self.rests = piece.is_ready();
        piece
    }
}

async fn parts(body: &mut Multipart, uploads: &Uploads, accepted: &[&'static str]) -> Result<Received, ApiError> {
    let mut upload = None;
    let mut fields = BTreeMap::new();
    while let Some(field) = idle(body.next_field()).await?.map_err(|error| malformed(&error, "a part"))? {
        let name = field.name().unwrap_or_default().to_owned();
        if name == "file" {
            if upload.is_some() {
                return Err(ApiError::bad_request("the part \"file\" is there twice; one file is uploaded at a time"));
            }
            upload = Some(file(field, uploads).await?);
            continue;
        }
        let Some(known) = accepted.iter().copied().find(|known| *known == name) else {
            let name: String = name.chars().take(80).collect();
            let accepted = [&["file"], accepted].concat().join(", ");
            return Err(ApiError::bad_request(format!("the part \"{name}\" is not known here; accepted: {accepted}")));
        };
        if fields.insert(known, text(field, known).await?).is_some() {
            return Err(ApiError::bad_request(format!("the part \"{known}\" is there twice")));
        }
    }
    let upload = upload.ok_or_else(|| ApiError::bad_request("the part \"file\" is missing; it holds the file, with its name"))?;
    Ok(Received { upload, fields })
}

async fn text(mut field: Field<'_>, name: &str) -> Result<String, ApiError> {
    let mut bytes = Vec::new();
    while let Some(chunk) = idle(field.chunk()).await?.map_err(|error| malformed(&error, name))? {
        if bytes.len() + chunk.len() > FIELD_BYTES {
            return Err(ApiError::bad_request(format!("the part \"{name}\" has more than {FIELD_BYTES} bytes")));
        }
        bytes.extend_from_slice(&chunk);
    }
    let text = String::from_utf8(bytes).map_err(|_| ApiError::bad_request(format!("the part \"{name}\" is not UTF-8")))?;
    if text.contains('\0') {
        return Err(ApiError::bad_request(format!("the part \"{name}\" holds a NUL")));
    }
    Ok(text)
}

async fn file(mut field: Field<'_>, uploads: &Uploads) -> Result<Upload, ApiError> {
    let Some(file_name) = field.file_name().map(str::to_owned) else {
        return Err(ApiError::bad_request("the part \"file\" has no filename; it is a file with its name"));
    };
    let declared_type = field.content_type().map(str::to_owned);
    let folder = Arc::clone(&uploads.folder);
    let made = tokio::task::spawn_blocking(move || tempfile::tempfile_in(folder)).await.map_err(|error| ApiError::internal(&error))?;
    let mut out = BufWriter::with_capacity(BUFFER_BYTES, tokio::fs::File::from_std(made.map_err(|error| on_disk(&error))?));
    let (mut hash, mut size_bytes) = (Sha256::new(), 0_u64);
    while let Some(chunk) = idle(field.chunk()).await?.map_err(|error| malformed(&error, "file"))? {
        size_bytes += chunk.len() as u64;
        if size_bytes > uploads.max_bytes {
            let said = format!("the file is larger than {} bytes, the most this server takes (ASSET_MAX_BYTES)", uploads.max_bytes);
            return Err(ApiError::new(ErrorCode::PayloadTooLarge, said));
        }
        hash.update(&chunk);
        out.write_all(&chunk).await.map_err(|error| on_disk(&error))?;
    }
    out.flush().await.map_err(|error| on_disk(&error))?;
    if size_bytes == 0 {
        return Err(ApiError::bad_request("the part \"file\" is empty"));
    }
    let file = out.into_inner().into_std().await;
    Ok(Upload { file, size_bytes, sha256: hash.finalize().into(), file_name, declared_type })
}

/// Waits for the next piece, for a while.
async fn idle<T>(piece: impl Future<Output = T>) -> Result<T, ApiError> {
    timeout(IDLE, piece).await.map_err(|_| ApiError::bad_request(format!("nothing of the upload arrived for {} s", IDLE.as_secs())))
}

async fn discard(body: &mut Multipart) {
    let mut left = DISCARD.1;
    while let Ok(Some(mut field)) = body.next_field().await {
        while let Ok(Some(chunk)) = field.chunk().await {
            left = left.saturating_sub(chunk.len() as u64);
            if left == 0 {
                return;
            }
        }
    }
}

fn no_multipart(rejection: &MultipartRejection) -> ApiError {
    tracing::debug!(%rejection, "a body is no multipart body");
    ApiError::new(ErrorCode::UnsupportedMediaType, "the body must be multipart/form-data with a boundary, and the file in a part \"file\"")
}

fn malformed(error: &MultipartError, part: &str) -> ApiError {
    tracing::debug!(%error, "a multipart body could not be read");
    ApiError::bad_request(format!("the multipart body is broken in the part \"{part}\": it ended early, or its boundaries do not fit"))
}

/// The disk is ours and not the caller's affair.
fn on_disk(error: &io::Error) -> ApiError {
    tracing::error!(%error, "an upload could not be written to PULP_DATA_DIR");
    ApiError::new(ErrorCode::ServiceUnavailable, "this server has no room for uploads at the moment; try again later").retry_after(30)
}
