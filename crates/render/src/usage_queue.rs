//! Rows on their way to the database: bounded, oldest first.

use std::collections::VecDeque;
use std::sync::Arc;

use store::NewUsage;
use tokio::time::Instant;

/// What a row takes beside its texts, in bytes.
const ROW_BYTES: usize = 512;

/// Rows that are not yet known to be written. A row stays until it is, so that a write that fails loses nothing.
pub(crate) struct Queue {
    rows: VecDeque<Queued>,
    bytes: usize,
    next_number: u64,
    most_rows: usize,
    most_bytes: usize,
}

struct Queued {
    number: u64,
    since: Instant,
    bytes: usize,
    row: Arc<NewUsage>,
}

/// The oldest rows, to be written together.
pub(crate) struct Batch {
    pub(crate) rows: Vec<Arc<NewUsage>>,
    last_number: u64,
}

impl Queue {
    pub(crate) fn new(most_rows: usize, most_bytes: usize) -> Self {
        Self { rows: VecDeque::new(), bytes: 0, next_number: 0, most_rows: most_rows.max(1), most_bytes }
    }

    /// Takes a row in. Gives the oldest ones, which had to go for it.
    pub(crate) fn push(&mut self, row: NewUsage, now: Instant) -> Vec<Arc<NewUsage>> {
        let bytes = ROW_BYTES + row.metadata.size_bytes() + row.correlation_id.as_ref().map_or(0, |id| id.len());
        let mut dropped = Vec::new();
        while self.rows.len() >= self.most_rows || (self.bytes + bytes > self.most_bytes && !self.rows.is_empty()) {
            dropped.extend(self.pop());
        }
        self.rows.push_back(Queued { number: self.next_number, since: now, bytes, row: Arc::new(row) });
        self.next_number += 1;
        self.bytes += bytes;
        dropped
    }

    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    /// Since when the oldest row has been waiting.
    pub(crate) fn oldest_since(&self) -> Option<Instant> {
        self.rows.front().map(|queued| queued.since)
    }

    /// The oldest rows; they stay in the queue.
    pub(crate) fn batch(&self, most_rows: usize) -> Option<Batch> {
        let rows: Vec<_> = self.rows.iter().take(most_rows).map(|queued| Arc::clone(&queued.row)).collect();
        let last_number = self.rows.get(rows.len().checked_sub(1)?)?.number;
        Some(Batch { rows, last_number })
    }

    /// The rows of a batch are written, or never will be. Gives those that had not been dropped meanwhile.
    pub(crate) fn remove(&mut self, batch: &Batch) -> Vec<Arc<NewUsage>> {
        let mut removed = Vec::with_capacity(batch.rows.len());
        while self.rows.front().is_some_and(|queued| queued.number <= batch.last_number) {
            removed.extend(self.pop());
        }
        removed
    }

    fn pop(&mut self) -> Option<Arc<NewUsage>> {
        let queued = self.rows.pop_front()?;
        self.bytes = self.bytes.saturating_sub(queued.bytes);
        Some(queued.row)
    }
}

#[cfg(test)]
mod tests {
    use domain::TenantId;
    use domain::ids::UsageId;
    use domain::usage::{RenderMode, RenderOutcome, UsageMetadata};
    use jiff::Timestamp;

    use super::*;

    fn row(duration_ms: u32, word: &str) -> NewUsage {
        NewUsage {
            tenant: TenantId::default_tenant(),
            usage_id: UsageId::generate_at(Timestamp::UNIX_EPOCH),
            rendered_at: Timestamp::UNIX_EPOCH,
            actor: None,
            template: None,
            version: None,
            label: None,
            format: "pdf",
            mode: RenderMode::Single,
            outcome: RenderOutcome::Succeeded,
            duration_ms,
            pages: 1,
            size_bytes: 1,
            data_sha256: None,
            output_sha256: None,
            metadata: UsageMetadata::of([("word".to_owned(), word.to_owned())]),
            correlation_id: None,
        }
    }

    fn numbers(rows: &[Arc<NewUsage>]) -> Vec<u32> {
        rows.iter().map(|row| row.duration_ms).collect()
    }

    #[tokio::test]
    async fn a_full_queue_drops_its_oldest_rows() {
        let mut queue = Queue::new(3, usize::MAX);
        let dropped: Vec<u32> = (0..5).flat_map(|number| numbers(&queue.push(row(number, ""), Instant::now()))).collect();
        assert_eq!((dropped, queue.len()), (vec![0, 1], 3));
        assert_eq!(numbers(&queue.batch(10).unwrap().rows), [2, 3, 4]);
    }

    #[tokio::test]
    async fn large_rows_are_bounded_by_their_bytes_and_the_newest_always_fits() {
        let mut queue = Queue::new(100, 10_000);
        let large = "x".repeat(4_000);
        let dropped: Vec<u32> = (0..4).flat_map(|number| numbers(&queue.push(row(number, &large), Instant::now()))).collect();
        assert_eq!((dropped, queue.len()), (vec![0, 1], 2));
        assert_eq!(queue.push(row(4, &"x".repeat(20_000)), Instant::now()).len(), 2);
        assert_eq!(queue.len(), 1);
    }

    #[tokio::test]
    async fn rows_leave_only_when_they_are_written_and_newer_ones_stay() {
        let mut queue = Queue::new(4, usize::MAX);
        for number in 0..3 {
            queue.push(row(number, ""), Instant::now());
        }
        let batch = queue.batch(2).unwrap();
        assert_eq!(queue.len(), 3, "they stay while they are being written");
        for number in 3..5 {
            queue.push(row(number, ""), Instant::now());
        }
        assert_eq!(numbers(&queue.remove(&batch)), [1], "the first had been dropped meanwhile");
        assert_eq!(numbers(&queue.batch(10).unwrap().rows), [2, 3, 4]);
        let all = queue.batch(10).unwrap();
        queue.remove(&all);
        assert!(queue.batch(10).is_none() && queue.oldest_since().is_none());
        assert_eq!(queue.bytes, 0);
    }
}
