//! How a cache in memory does: what was found in it, how full it is, and how full it may become.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// How a look into a cache ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CacheRead {
    /// What was looked for was there, and fresh.
    Hit,
    /// It was not, and its source was asked.
    Miss,
    /// Somebody else was just asking the source for the same, and it was waited for.
    Joined,
    /// It was there and old; its source was away, so it served on.
    Stale,
}

impl CacheRead {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Hit, Self::Miss, Self::Joined, Self::Stale];

    /// One word for metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hit => "hit",
            Self::Miss => "miss",
            Self::Joined => "joined",
            Self::Stale => "stale",
        }
    }
}

/// Counts looks into one cache.
#[derive(Debug, Default)]
pub struct CacheCounts([AtomicU64; CacheRead::ALL.len()]);

impl CacheCounts {
    /// One look ended so.
    pub fn count(&self, read: CacheRead) {
        self.count_many(read, 1);
    }

    /// As many looks ended so.
    pub fn count_many(&self, read: CacheRead, looks: usize) {
        self.0[read as usize].fetch_add(looks as u64, Ordering::Relaxed);
    }

    /// How many looks ended so since the start.
    pub fn reads(&self, read: CacheRead) -> u64 {
        self.0[read as usize].load(Ordering::Relaxed)
    }

    /// A report of the cache that these are about.
    pub fn report(&self, name: &'static str, bound: CacheBound, ttl: Option<Duration>, size: CacheSize) -> CacheReport {
        CacheReport { name, bound, ttl, size, reads: CacheRead::ALL.map(|read| (read, self.reads(read))) }
    }
}

/// What a cache must not outgrow.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CacheBound {
    /// So many entries.
    Entries(u64),
    /// So many bytes, as far as they can be reckoned.
    Bytes(u64),
}

/// How full a cache is, give or take what is just being evicted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CacheSize {
    /// Entries.
    pub entries: u64,
    /// Bytes, where the bound is in bytes.
    pub bytes: Option<u64>,
}

/// One cache of this process.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CacheReport {
    /// What it is called in metrics.
    pub name: &'static str,
    /// How full it may become.
    pub bound: CacheBound,
    /// How old an answer may be before its source is asked again, should the notice of a change have been lost; none where what is
    /// kept never changes.
    pub ttl: Option<Duration>,
    /// How full it is.
    pub size: CacheSize,
    /// Looks since the start.
    pub reads: [(CacheRead, u64); CacheRead::ALL.len()],
}

impl CacheReport {
    /// The share of looks that asked nobody, 0 to 1; none before the first.
    #[expect(clippy::cast_precision_loss, reason = "a share of so many looks needs no more digits")]
    pub fn hit_rate(&self) -> Option<f64> {
        let all: u64 = self.reads.iter().map(|(_, count)| count).sum();
        let spared: u64 = self.reads.iter().filter(|(read, _)| *read != CacheRead::Miss).map(|(_, count)| count).sum();
        (all > 0).then(|| spared as f64 / all as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hit_rate_is_the_share_of_looks_that_asked_nobody() {
        let counts = CacheCounts::default();
        let size = CacheSize { entries: 1, bytes: None };
        let rate = || counts.report("names", CacheBound::Entries(10), None, size).hit_rate();
        assert_eq!(rate(), None);
        counts.count_many(CacheRead::Hit, 2);
        counts.count(CacheRead::Miss);
        counts.count(CacheRead::Stale);
        assert_eq!((rate(), counts.reads(CacheRead::Hit)), (Some(0.75), 2));
    }
}
