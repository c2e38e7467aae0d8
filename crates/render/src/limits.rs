//! What one render may use.

/// Limits of one render; every excess ends in its own error.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Milliseconds from the first step to the last, the queue included. Default 65,000, the published worker budget.
    pub deadline_ms: u64,
    /// Pages of a PDF. Default 2,000: a page of a dense table takes Chromium about 10 MB.
    pub max_pages: u32,
    /// Bytes of a PDF. Default 128 MiB.
    pub max_output_bytes: usize,
    /// Documents whose HTML is written at once; more wait within their deadline. Default 4.
    pub concurrent_writes: usize,
    /// Files with data that are read at once; more wait within their deadline. Default 2: the largest take 300 MB of memory.
    pub concurrent_conversions: usize,
    /// Renders that are worked on or wait for a tab; one more is refused at once, and of several tenants each has its share. As
    /// many checks (dry runs, validations, definitions) may be under way beside them. Default 9: the tabs and the queue of two
    /// cores.
    pub in_flight: usize,
    /// Of those the ones that are printed at once. Default 3: the tabs of two cores.
    pub tabs: usize,
    /// Batches under way; one more is refused at once, and a tenant has half of them at most. Default 4.
    pub batches: usize,
    /// Documents of batches that are worked on at once; more wait. Default 3: the tabs of two cores that batches may have, and
    /// one whose HTML is being written.
    pub batch_renders: usize,
    /// Milliseconds within which all documents of a batch have to begin. Default 300,000.
    pub batch_deadline_ms: u64,
    /// Documents of one batch. Default 100.
    pub batch_items: usize,
    /// Bytes of all documents of a batch that is answered in one piece, which wait in memory for the last. Default 128 MiB.
    pub batch_output_bytes: u64,
    /// Pages of one document that become pictures. Default 50: as many seconds of one core where they are wide.
    pub pictures: u32,
    /// Documents whose pages are drawn at once; more wait within their deadline. Default 2: each takes up to 200 MB of memory.
    pub concurrent_drawings: usize,
    /// Limits of the definition, its data and its HTML.
    pub document: document::Limits,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            deadline_ms: 65_000,
            max_pages: 2_000,
            max_output_bytes: 128 * 1024 * 1024,
            concurrent_writes: 4,
            concurrent_conversions: 2,
            in_flight: 9,
            tabs: 3,
            batches: 4,
            batch_renders: 3,
            batch_deadline_ms: 300_000,
            batch_items: 100,
            batch_output_bytes: 128 * 1024 * 1024,
            pictures: 50,
            concurrent_drawings: 2,
            document: document::Limits::default(),
        }
    }
}
