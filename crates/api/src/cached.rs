//! What the database was asked about a credential a moment ago, so that requests need not ask again.

use std::hash::Hash;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use moka::future::Cache;
use store::StoreError;
use tokio::time::Instant;

/// Entries kept; whoever invents names must not fill the memory with what does not exist.
const ENTRIES: u64 = 100_000;
/// How long an answer serves on while the database is away. Later a withdrawn credential must not pass any more.
const STALE: Duration = Duration::from_mins(15);

#[derive(Clone)]
struct Entry<V> {
    value: Option<V>,
    as_of: u64,
    read_at: Instant,
}

/// Answers by name, absence included. Clones share them.
pub(crate) struct Cached<K, V> {
    entries: Cache<K, Entry<V>>,
    changes: Arc<AtomicU64>,
    ttl: Duration,
}

impl<K, V> Clone for Cached<K, V> {
    fn clone(&self) -> Self {
        Self { entries: self.entries.clone(), changes: Arc::clone(&self.changes), ttl: self.ttl }
    }
}

impl<K, V> Cached<K, V>
where
    K: Hash + Eq + Send + Sync + Clone + 'static,
    V: Clone + Send + Sync + 'static,
{
    /// An answer is asked for again when it is older than `ttl`, should the notice of a change have been lost.
    pub(crate) fn new(ttl: Duration) -> Self {
        Self { entries: Cache::builder().max_capacity(ENTRIES).time_to_live(STALE).build(), changes: Arc::default(), ttl }
    }

    /// Something changed: every answer is asked for again, and none from before serves any more.
    pub(crate) fn changed(&self) {
        self.changes.fetch_add(1, Ordering::SeqCst);
    }

    /// The answer for `key`, from memory or from `ask`.
    pub(crate) async fn get(&self, key: K, ask: impl Future<Output = Result<Option<V>, StoreError>>) -> Result<Option<V>, StoreError> {
        let known = self.entries.get(&key).await;
        let as_of = self.changes.load(Ordering::SeqCst);
        if let Some(entry) = &known
            && entry.as_of == as_of
            && entry.read_at.elapsed() < self.ttl
        {
            return Ok(entry.value.clone());
        }
        match (ask.await, known) {
            (Ok(value), _) => {
                self.entries.insert(key, Entry { value: value.clone(), as_of, read_at: Instant::now() }).await;
                Ok(value)
            }
            // Something may have been withdrawn: what was known before a change serves nobody.
            (Err(StoreError::Unavailable { .. }), Some(entry)) if entry.as_of == as_of => Ok(entry.value),
            (Err(error), _) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn away() -> StoreError {
        StoreError::Unavailable { why: store::Outage::NoConnection, source: None }
    }

    #[tokio::test]
    async fn an_answer_is_asked_for_once_until_something_changes() {
        let cached = Cached::new(Duration::from_mins(1));
        assert_eq!(cached.get("a", async { Ok(Some(1)) }).await.unwrap(), Some(1));
        assert_eq!(cached.get("a", async { Ok(Some(2)) }).await.unwrap(), Some(1));
        cached.changed();
        assert!(cached.get("a", async { Err(away()) }).await.is_err(), "it may have been withdrawn");
        assert_eq!(cached.get("a", async { Ok(None) }).await.unwrap(), None);
        assert_eq!(cached.get("a", async { Ok(Some(3)) }).await.unwrap(), None, "absence is remembered too");
        assert!(cached.get("b", async { Err(away()) }).await.is_err());
    }

    #[tokio::test]
    async fn an_answer_that_grew_old_serves_on_while_nobody_answers() {
        let cached = Cached::new(Duration::ZERO);
        assert_eq!(cached.get("a", async { Ok(Some(1)) }).await.unwrap(), Some(1));
        assert_eq!(cached.get("a", async { Err(away()) }).await.unwrap(), Some(1));
    }

    #[tokio::test]
    async fn what_was_read_before_a_change_is_not_taken_for_fresh() {
        let cached = Cached::new(Duration::from_mins(1));
        let slow = cached.clone();
        let reading = async {
            slow.changed();
            Ok(Some("old"))
        };
        assert_eq!(cached.get("a", reading).await.unwrap(), Some("old"));
        assert_eq!(cached.get("a", async { Ok(Some("new")) }).await.unwrap(), Some("new"));
    }
}
