//! What proves later which data went in and which document came out.

use std::io::{self, Write};

use bytes::Bytes;
use serde_json::Value;
use sha2::{Digest, Sha256};

/// Hashing so many bytes takes about as long as handing them to another thread and back, some 0.2 ms.
const HASHED_INLINE_BYTES: usize = 256 * 1024;

/// The SHA-256 of data as compact JSON, its properties in the order they came in.
pub(crate) fn hash_of_data(data: &Value) -> [u8; 32] {
    let mut hasher = Hashing(Sha256::new());
    // Buffered, because JSON is written a few bytes at a time. Writing into a hash does not fail.
    let mut buffered = io::BufWriter::with_capacity(4 * 1024, &mut hasher);
    let written = serde_json::to_writer(&mut buffered, data).is_ok() && buffered.flush().is_ok();
    debug_assert!(written, "a JSON value can be written");
    drop(buffered);
    hasher.0.finalize().into()
}

/// The SHA-256 of a document. A large one is hashed where it holds up nobody.
pub(crate) async fn hash_of_output(body: &Bytes) -> [u8; 32] {
    if body.len() <= HASHED_INLINE_BYTES {
        return Sha256::digest(body).into();
    }
    let large = body.clone();
    match tokio::task::spawn_blocking(move || Sha256::digest(large).into()).await {
        Ok(hash) => hash,
        // The runtime is shutting down.
        Err(_) => Sha256::digest(body).into(),
    }
}

struct Hashing(Sha256);

impl Write for Hashing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_hash_of_data_is_that_of_its_json_in_the_order_it_came_in() {
        let data: Value = serde_json::from_str(r#"{ "b": 1, "a": [true, null, "ä\n"], "n": 1.50 }"#).unwrap();
        let text = data.to_string();
        assert!(text.starts_with(r#"{"b":1,"a":"#), "{text}");
        assert_eq!(hash_of_data(&data), <[u8; 32]>::from(Sha256::digest(text)));
        assert_ne!(hash_of_data(&json!({"a": 1, "b": 2})), hash_of_data(&json!({"b": 2, "a": 1})));
    }
}
