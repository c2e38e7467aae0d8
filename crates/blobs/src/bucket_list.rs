//! The keys in a bucket, page by page.

use domain::TenantId;
use jiff::Timestamp;

use crate::bucket::{Bucket, failure};
use crate::error::BlobError;
use crate::key::{BlobKey, BlobKind, Listed};

/// Pages of names that are not ours are passed over, but not without end: a call has a deadline.
const PAGES: usize = 100;

impl Bucket {
    pub(crate) async fn list(
        &self,
        tenant: &TenantId,
        kind: BlobKind,
        after: Option<&BlobKey>,
        limit: usize,
    ) -> Result<Vec<Listed>, BlobError> {
        let prefix = self.named(&format!("tenants/{tenant}/{}/", kind.as_str()));
        let mut behind = after.map(|key| self.object(key));
        let mut found = Vec::new();
        for _ in 0..PAGES {
            let missing = i32::try_from(limit - found.len()).unwrap_or(i32::MAX);
            if missing == 0 {
                return Ok(found);
            }
            let asking =
                self.client.list_objects_v2().bucket(&*self.name).prefix(&prefix).set_start_after(behind.clone()).max_keys(missing);
            let answer = asking.send().await.map_err(|error| failure("list", &error).into_error("list"))?;
            for object in answer.contents() {
                let key = object.key().and_then(|name| self.ours(name)).and_then(|text| text.parse::<BlobKey>().ok());
                let put_at = object.last_modified().and_then(|moment| Timestamp::new(moment.secs(), 0).ok());
                if let (Some(key), Some(put_at)) = (key, put_at) {
                    let size_bytes = object.size().and_then(|size| u64::try_from(size).ok()).unwrap_or(0);
                    found.push(Listed { key, size_bytes, put_at });
                }
            }
            let last = answer.contents().last().and_then(|object| object.key()).map(ToOwned::to_owned);
            match (answer.is_truncated(), last) {
                (Some(true), Some(last)) => behind = Some(last),
                _ => return Ok(found),
            }
        }
        Err(BlobError::denied("list", "too many names in the bucket are not ours"))
    }
}
