//! Bytes to store, and how to look at them.

use std::future::Future;
use std::time::{Duration, Instant};

use blobs::{BlobContent, BlobError, BlobKey, BlobKind};
use bytes::Bytes;
use domain::TenantId;
use futures_util::StreamExt;
use sha2::{Digest, Sha256};

pub const MIB: usize = 1024 * 1024;

/// So many bytes, other ones for each seed.
pub fn sample(seed: u64, length: usize) -> Bytes {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes.into()
}

pub fn tenant(name: &str) -> TenantId {
    name.parse().unwrap()
}

/// The key of these bytes, of a tenant that owns them.
pub fn key_of(owner: &str, bytes: &[u8]) -> BlobKey {
    BlobKey::new(tenant(owner), BlobKind::Assets, Sha256::digest(bytes).into())
}

pub async fn read(content: BlobContent) -> Result<Vec<u8>, BlobError> {
    let mut content = Box::pin(content);
    let mut all = Vec::new();
    while let Some(piece) = content.next().await {
        all.extend_from_slice(&piece?);
    }
    Ok(all)
}

/// Looks until it is so, for at most 20 s.
pub async fn until<F: Future<Output = bool>>(what: &str, mut condition: impl FnMut() -> F) {
    let since = Instant::now();
    while !condition().await {
        assert!(since.elapsed() < Duration::from_secs(20), "in vain: {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
