//! SHA-256 as columns have them.

use crate::error::StoreError;

/// The hash that a column of `table` has; an error where it is none.
pub(crate) fn hash_of(table: &'static str, bytes: &[u8]) -> Result<[u8; 32], StoreError> {
    bytes.try_into().map_err(|_| StoreError::inconsistent(table, "a hash is not 32 bytes"))
}
