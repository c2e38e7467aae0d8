//! How far it is, on standard error: a line that changes on a terminal, a line every few seconds elsewhere.

use std::io::{IsTerminal as _, Write as _, stderr};
use std::time::{Duration, Instant};

/// On a terminal.
const REDRAWN_EVERY: Duration = Duration::from_millis(200);
/// In a log.
const TOLD_EVERY: Duration = Duration::from_secs(5);

/// Counts one kind of things.
pub struct Progress {
    what: &'static str,
    total: u64,
    total_bytes: u64,
    done: u64,
    bytes: u64,
    terminal: bool,
    begun: Instant,
    told: Instant,
}

impl Progress {
    /// Begins to count. A total of 0 is one that is not known.
    pub fn of(what: &'static str, total: u64, total_bytes: u64) -> Self {
        let now = Instant::now();
        Self { what, total, total_bytes, done: 0, bytes: 0, terminal: stderr().is_terminal(), begun: now, told: now }
    }

    /// So many more.
    pub fn add(&mut self, count: u64, bytes: u64) {
        self.done += count;
        self.bytes += bytes;
        let every = if self.terminal { REDRAWN_EVERY } else { TOLD_EVERY };
        if self.told.elapsed() >= every {
            self.told = Instant::now();
            self.tell(if self.terminal { "\r" } else { "" }, if self.terminal { "" } else { "\n" });
        }
    }

    /// The last line.
    pub fn end(self) {
        self.tell(if self.terminal { "\r" } else { "" }, "\n");
    }

    fn tell(&self, before: &str, after: &str) {
        let of = if self.total > 0 { format!(" of {}", self.total) } else { String::new() };
        let share = (self.total_bytes > 0).then(|| self.bytes.saturating_mul(100) / self.total_bytes);
        let share = share.map(|share| format!(" ({share} %)")).unwrap_or_default();
        let seconds = self.begun.elapsed().as_secs_f64();
        // Nobody reads it any more: no reason to stop.
        let _ = write!(stderr(), "{before}{}: {}{of}, {}{share}, {seconds:.1} s{after}", self.what, self.done, in_units(self.bytes));
    }
}

/// A number of bytes for people.
#[expect(clippy::cast_precision_loss, reason = "shown with one digit behind the point")]
pub fn in_units(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} B"),
        1_000..1_000_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", bytes as f64 / 1e6),
        _ => format!("{:.1} GB", bytes as f64 / 1e9),
    }
}
