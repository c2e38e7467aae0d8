//! The browser that prints, of a server or of a render worker.

use std::path::PathBuf;

use super::Sandbox;
use super::reader::Values;
use super::settings as known;

/// How the browser is started, and how much it does at once.
#[derive(Debug)]
pub struct BrowserSettings {
    /// How many documents are printed at the same moment.
    pub max_concurrent_pages: usize,
    /// Tabs that batches leave alone.
    pub reserved_slots: usize,
    /// How many renders may wait.
    pub max_queue_depth: usize,
    /// The most bytes of a document.
    pub max_output_bytes: usize,
    /// The browser, when the operator named one.
    pub chromium_path: Option<PathBuf>,
    /// Whether Chromium's sandbox may be used.
    pub sandbox: Sandbox,
    /// The folder of a running browser, when the operator named one.
    pub runtime_dir: Option<PathBuf>,
    /// The folder of everything on this server's disk, where the other is by default.
    pub data_dir: PathBuf,
}

impl BrowserSettings {
    /// Documents that are printed or wait for it.
    pub fn in_flight(&self) -> usize {
        self.max_concurrent_pages + self.max_queue_depth
    }

    pub(super) fn read(values: &Values, cores: usize) -> Self {
        let max_concurrent_pages = values.parsed(&known::RENDER_MAX_CONCURRENT_PAGES).unwrap_or_else(|| (cores + 1).min(50));
        Self {
            max_concurrent_pages,
            reserved_slots: values.parsed(&known::RENDER_PREVIEW_RESERVED_SLOTS).unwrap_or(1).min(max_concurrent_pages - 1),
            max_queue_depth: values.parsed(&known::RENDER_MAX_QUEUE_DEPTH).unwrap_or(2 * max_concurrent_pages),
            max_output_bytes: values.required(&known::RENDER_MAX_OUTPUT_BYTES),
            chromium_path: values.path(&known::CHROMIUM_PATH),
            sandbox: if values.is_on(&known::PULP_ENGINE_DISABLE_SANDBOX) { Sandbox::Disabled } else { Sandbox::WhenPossible },
            runtime_dir: values.path(&known::PULP_RUNTIME_DIR),
            data_dir: values.required(&known::PULP_DATA_DIR),
        }
    }
}
