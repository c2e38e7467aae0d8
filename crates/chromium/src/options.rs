//! What a pool is made with, what a job says and what comes back.

use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::Lane;

/// Whether Chromium's own process sandbox is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sandbox {
    /// Renderers run in namespaces with a seccomp filter. Needs an ordinary user and user namespaces.
    On,
    /// `--no-sandbox`: a renderer that is taken over has the rights of the server's user.
    Off,
}

/// Another user for the browser's processes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Account {
    /// The user's number.
    pub uid: u32,
    /// The number of its only group.
    pub gid: u32,
}

/// Whether tenants may print in tabs of one browser context.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Isolation {
    /// Tabs serve all tenants; script-free documents leave nothing behind in them (`tests/contamination.rs`).
    Shared,
    /// A browser context never serves two tenants. A tab that changes hands is replaced first (about 90 CPU-ms).
    Context,
}

/// When a tab or the browser is replaced although nothing is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecycleLimits {
    /// Prints after which a warm successor takes over from the browser.
    pub renders_per_browser: u64,
    /// Age after which a warm successor takes over from the browser.
    pub age: Duration,
    /// Resident bytes of the browser's main process after which a warm successor takes over.
    pub browser_rss_bytes: u64,
    /// Prints after which a tab is closed and made anew.
    pub renders_per_tab: u32,
    /// Resident bytes of a renderer after which its tab is closed; only closing gives the memory back.
    pub tab_rss_bytes: u64,
}

impl Default for RecycleLimits {
    /// The figures of the measured pool: no leak was found in thousands of prints, so these are insurance, except the
    /// tab's memory: a 100-page table leaves 730 MB behind.
    fn default() -> Self {
        Self {
            renders_per_browser: 50_000,
            age: Duration::from_hours(24),
            browser_rss_bytes: 1024 * 1024 * 1024,
            renders_per_tab: 2_000,
            tab_rss_bytes: 300 * 1024 * 1024,
        }
    }
}

/// How large things may get and how long the pool's own housekeeping may take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Budgets {
    /// Largest HTML accepted, in bytes.
    pub html_bytes: usize,
    /// Largest PDF returned, in bytes.
    pub output_bytes: usize,
    /// HTML from this size on is "large": at most tabs − 1 of them print at once, and the PDF leaves as a stream.
    pub large_html_bytes: usize,
    /// How long a browser may take from `exec` to its first answer.
    pub launch: Duration,
    /// How long opening, resetting or closing a tab may take before the tab counts as lost.
    pub housekeeping: Duration,
}

impl Default for Budgets {
    fn default() -> Self {
        Self {
            html_bytes: 32 * 1024 * 1024,
            output_bytes: 256 * 1024 * 1024,
            large_html_bytes: 200 * 1024,
            launch: Duration::from_secs(30),
            housekeeping: Duration::from_secs(15),
        }
    }
}

/// Everything a [`crate::Pool`] needs to know.
#[derive(Debug, Clone)]
pub struct PoolOptions {
    /// The browser binary, as [`crate::find_executable`] found it.
    pub executable: PathBuf,
    /// Warm tabs; processor cores + 1 is where throughput saturates.
    pub tabs: usize,
    /// Tabs that jobs of [`Priority::Batch`] leave alone; they have one in any case.
    pub reserved_tabs: usize,
    /// Jobs of each priority that may wait for a tab; one more is refused with [`crate::ChromiumError::Saturated`].
    pub queue_depth: usize,
    /// Where profile directories live while a browser runs; best on tmpfs. Made when missing. With an `account` every
    /// folder above it has to be open to that user.
    pub runtime_dir: PathBuf,
    /// Chromium's process sandbox.
    pub sandbox: Sandbox,
    /// Who the browser runs as, when not as ourselves; only root can choose. Chromium's sandbox refuses root.
    pub account: Option<Account>,
    /// Whether tenants may share a browser context.
    pub isolation: Isolation,
    /// Variables for the browser beside the fixed ones (`FONTCONFIG_FILE`, `PATH`, …). Nothing is inherited, so no secret
    /// of the server is in the browser's environment.
    pub environment: Vec<(String, String)>,
    /// When tabs and browsers are replaced.
    pub recycle: RecycleLimits,
    /// Size and time limits.
    pub budgets: Budgets,
}

impl PoolOptions {
    /// Options with the measured defaults: three tabs (two cores), one of them not for batches, eight waiting jobs per tab, sandbox on.
    pub fn new(executable: PathBuf, runtime_dir: PathBuf) -> Self {
        Self {
            executable,
            tabs: 3,
            reserved_tabs: 1,
            queue_depth: 24,
            runtime_dir,
            sandbox: Sandbox::On,
            account: None,
            isolation: Isolation::Shared,
            environment: Vec::new(),
            recycle: RecycleLimits::default(),
            budgets: Budgets::default(),
        }
    }
}

/// Whether the document's own scripts run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Scripts {
    /// They are text. The fast and usual way.
    Off,
    /// They run, in a browser context of their own that is thrown away afterwards.
    On,
}

/// The direction of the paper.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Turn {
    /// As the paper size says.
    Portrait,
    /// Width and height exchanged.
    Landscape,
}

/// Who decides the size of the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum PageSize {
    /// The options, whatever the document's `@page` says.
    Options,
    /// The document's `@page { size }`, and the options when it has none.
    PreferCss,
}

/// Whether CSS backgrounds are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Paint {
    /// Backgrounds and images of CSS are printed.
    Backgrounds,
    /// They are left out, as a browser's print dialog does by default.
    InkOnly,
}

/// Whether the PDF carries the structure that assistive technology reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Tagged {
    /// No structure: the smallest and fastest output.
    No,
    /// Tagged PDF: about 20 % more CPU and up to 15 times the bytes.
    Yes,
}

/// Whether the headings become the PDF's outline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Outline {
    /// No outline.
    No,
    /// One entry per heading.
    Yes,
}

/// Distances from the edges of the paper, in inches.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Margins {
    /// Inches at the top.
    pub top_in: f64,
    /// Inches at the right.
    pub right_in: f64,
    /// Inches at the bottom.
    pub bottom_in: f64,
    /// Inches at the left.
    pub left_in: f64,
}

impl Margins {
    /// The same distance on all four sides.
    pub const fn all(inches: f64) -> Self {
        Self { top_in: inches, right_in: inches, bottom_in: inches, left_in: inches }
    }
}

/// How the page is put on paper.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PrintOptions {
    /// The direction of the paper.
    pub turn: Turn,
    /// Paper width in inches, before turning.
    pub paper_width_in: f64,
    /// Paper height in inches, before turning.
    pub paper_height_in: f64,
    /// Margins where the document's `@page` sets none.
    pub margins: Margins,
    /// Who decides the size of the page.
    pub page_size: PageSize,
    /// Whether CSS backgrounds are printed.
    pub paint: Paint,
    /// Magnification, 0.1 to 2.
    pub scale: f64,
    /// Pages to keep, such as `1-3,5`; empty for all.
    pub page_ranges: String,
    /// Structure for assistive technology.
    pub tagged: Tagged,
    /// Outline from the headings.
    pub outline: Outline,
}

impl Default for PrintOptions {
    /// A4 upright, 1 cm margins, the document's own `@page` preferred, backgrounds printed, untagged.
    fn default() -> Self {
        Self {
            turn: Turn::Portrait,
            paper_width_in: 8.27,
            paper_height_in: 11.69,
            margins: Margins::all(0.4),
            page_size: PageSize::PreferCss,
            paint: Paint::Backgrounds,
            scale: 1.0,
            page_ranges: String::new(),
            tagged: Tagged::No,
            outline: Outline::No,
        }
    }
}

/// Whether somebody waits for this very document.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Priority {
    /// Somebody does: it goes before all batches, and some tabs are for such documents alone.
    #[default]
    Interactive = 0,
    /// It is one of many.
    Batch = 1,
}

/// One document to print.
#[derive(Debug, Clone)]
pub struct PrintJob {
    /// The whole document. Everything it needs is inside it: nothing is fetched.
    pub html: String,
    /// Whether its scripts run.
    pub scripts: Scripts,
    /// How it is put on paper.
    pub print: PrintOptions,
    /// Whose document it is. Tenants that wait have turns; with [`Isolation::Context`] they share nothing.
    pub tenant: String,
    /// Who goes first.
    pub priority: Priority,
}

impl PrintJob {
    /// A script-free job with default print options, for which somebody waits.
    pub fn new(html: String, tenant: String) -> Self {
        Self { html, scripts: Scripts::Off, print: PrintOptions::default(), tenant, priority: Priority::Interactive }
    }
}

/// Where the time of a print went.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Timings {
    /// Waiting for a tab, over all attempts.
    pub queue_wait: Duration,
    /// Parsing, layout, images and fonts, and scripts where they run; of the attempt that succeeded.
    pub load: Duration,
    /// Producing and receiving the PDF; of the attempt that succeeded.
    pub print: Duration,
}

/// A printed document.
#[derive(Debug, Clone)]
pub struct Printed {
    /// The PDF as Chromium wrote it; its dates are the browser's clock.
    pub pdf: Bytes,
    /// The way it took.
    pub lane: Lane,
    /// Where the time went.
    pub timings: Timings,
    /// One, or two when a crash was survived.
    pub attempts: u32,
    /// Requests of the document that were refused (network, files). Not complete: Chromium does not report all kinds.
    pub blocked_requests: u32,
}
