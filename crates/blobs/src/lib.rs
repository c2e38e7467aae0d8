//! Bytes by key, in a folder or a bucket.
//!
//! It must not know what the bytes mean, who may see them, or what the database says of them: keys carry the
//! tenant, the kind and the content hash, and uniqueness is Postgres' affair. Nothing else may name the S3 SDK.
//!
//! To keep bytes of a new kind, enter it in [`BlobKind`]. To support another place, give [`Blobs`] a backend with
//! the five verbs and let `tests/suite` run the conformance suite on it.
//!
//! | what happens | what a caller sees |
//! |---|---|
//! | the place is unreachable, too slow or full | [`BlobError::Away`] after a bounded wait, for reads after bounded retries |
//! | it does not let us in | [`BlobError::Denied`], with what the operator can look at |
//! | a put fails, is cut off or dropped | nothing under its key that was not there before |
//! | bytes do not match the hash of their key | [`BlobError::Corrupt`], when they are put and when all of them are got |

mod blobs;
mod bucket;
mod bucket_list;
mod bucket_put;
mod bucket_read;
mod cache;
mod content;
mod error;
mod folder;
mod folder_list;
mod folder_paths;
mod folder_put;
mod intake;
mod key;
mod outside;
mod settings;
mod source;

pub use blobs::Blobs;
pub use cache::{BlobCache, CacheBounds};
pub use content::{BlobContent, ByteRange};
pub use error::BlobError;
pub use key::{BlobKey, BlobKind, InvalidBlobKey, Listed};
pub use outside::{OutsideBucket, OutsideObject};
pub use settings::{Addressing, BucketSettings, Checksums, Limits, Place, Settings};
pub use source::BlobSource;
