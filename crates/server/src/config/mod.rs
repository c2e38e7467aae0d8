//! What the operator asked for: the environment, checked as a whole, as one value.
//!
//! This is the only place that reads the environment. A setting is declared in `settings.rs` and read here.

mod assets;
mod batch;
mod browser;
mod connections;
mod cross_origin;
mod database;
mod datasets;
mod declaration;
mod documents;
mod duties;
mod editor_tokens;
mod editor_users;
mod forms;
mod hardening;
mod identity;
mod jobs;
mod keys;
mod listed_keys;
mod lists;
mod manual;
pub mod observability;
mod oidc;
mod outbound;
mod problems;
mod proxies;
mod reader;
mod releases;
mod render_workers;
mod rules;
mod schedule_deliveries;
mod schedules;
mod secrets;
mod settings;
pub mod shutdown;
mod tenancy;
#[cfg(test)]
mod tests;
mod unknown;

use std::collections::BTreeMap;
use std::path::PathBuf;

use domain::forwarding::TrustProxy;
use domain::labels::Releases;

pub use assets::Assets;
pub use browser::BrowserSettings;
pub use database::Database;
pub use documents::Documents;
pub use editor_users::{Activity, ListedUser};
pub use hardening::Surroundings;
pub use identity::Identity;
pub use manual::{markdown, plain};
pub use oidc::Oidc;
pub use outbound::Outbound;
pub use problems::Problems;
use reader::Values;
pub use render_workers::{Containers, Door, RenderMode, WorkerConfig};
pub use secrets::Secret;
use settings as known;
pub use tenancy::Tenancy;

/// The environment, or what a test says instead of it.
pub type Variables = BTreeMap<String, String>;

/// The variables of this process. Bytes that are not UTF-8 become U+FFFD, which no setting accepts as it was meant.
pub fn environment() -> Variables {
    std::env::vars_os().map(|(name, value)| (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned())).collect()
}

/// Where the templates live.
#[derive(Debug)]
pub enum Storage {
    /// In a private PostgreSQL that this server starts in its data folder.
    Embedded {
        /// Where its programs are, when the operator said so.
        bin_dir: Option<PathBuf>,
    },
    /// In the database of these URLs.
    Postgres(DatabaseUrls),
}

/// The ways to the database, with their passwords.
#[derive(Debug)]
pub struct DatabaseUrls {
    /// The one of nearly everything.
    pub url: Secret,
    /// Past every pooler, where one is in between.
    pub direct: Option<Secret>,
    /// To a replica, for lists and exports.
    pub read: Option<Secret>,
}

/// Whether the examples are loaded into an empty embedded database.
#[derive(Debug, PartialEq, Eq, Clone, Copy)]
pub enum Examples {
    /// When it holds no template.
    Auto,
    /// Not at all.
    Never,
}

/// Whether `/docs` answers.
#[derive(Debug, PartialEq, Eq, Clone, Copy)]
pub enum Docs {
    /// It does.
    On,
    /// It answers 404.
    Off,
}

/// Whether Chromium's sandbox may be used.
#[derive(Debug, PartialEq, Eq, Clone, Copy)]
pub enum Sandbox {
    /// Where the host allows it.
    WhenPossible,
    /// Not at all: the operator switched it off.
    Disabled,
}

/// How a log line looks.
#[derive(Debug, PartialEq, Eq, Clone, Copy)]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// For people.
    Text,
    /// For people on a terminal, JSON otherwise.
    ByTerminal,
}

impl LogFormat {
    fn read(values: &Values) -> Self {
        match values.text(&known::LOG_FORMAT) {
            Some("json") => Self::Json,
            Some(_) => Self::Text,
            None => Self::ByTerminal,
        }
    }
}

/// A configuration without problems.
#[derive(Debug)]
pub struct Config {
    /// The address or name to listen on.
    pub host: String,
    /// The port to listen on.
    pub port: u16,
    /// How many connections may be open, and how long a request may take.
    pub connections: connections::Connections,
    /// The largest request body after decompression.
    pub body_limit_bytes: usize,
    /// How long a stopping server takes for what.
    pub shutdown: shutdown::Shutdown,
    /// Whether the interface is described at `/docs`.
    pub docs: Docs,
    /// The version to report.
    pub version: String,
    /// Who may come in, and by what.
    pub identity: Identity,
    /// Whether there are tenants beside `default`.
    pub tenancy: Tenancy,
    /// How labels are used.
    pub releases: Releases,
    /// How stored documents are kept and linked.
    pub documents: Documents,
    /// What datasets may be.
    pub datasets: domain::datasets::DatasetLimits,
    /// How jobs are done.
    pub jobs: jobs::Jobs,
    /// How what they made is delivered.
    pub schedule_deliveries: schedule_deliveries::ScheduleDeliveries,
    /// How schedules are looked after.
    pub schedules: schedules::Schedules,
    /// What may be called outside, and how messages are sent there.
    pub outbound: Outbound,
    /// What this server does without a request.
    pub duties: worker::Options,
    /// Whether this server does real work.
    pub surroundings: Surroundings,
    /// The proxies whose word about a request is believed.
    pub trusted_proxies: TrustProxy,
    /// Whether requests must have come by HTTPS.
    pub https: api::Https,
    /// The origins whose pages may read answers.
    pub cors: api::AllowedOrigins,
    /// Where the templates live.
    pub storage: Storage,
    /// Where the bytes of assets live, and who may read them.
    pub assets: Assets,
    /// How the database may be used.
    pub database: Database,
    /// The folder of everything on this server's disk.
    pub data_dir: PathBuf,
    /// Whether the examples are loaded.
    pub examples: Examples,
    /// Where documents are printed.
    pub render_mode: RenderMode,
    /// How much is printed at once, and by which browser where it is this server's own.
    pub browser: BrowserSettings,
    /// What one batch may use.
    pub batch: batch::Batch,
    /// The time a render may take, waiting included.
    pub render_timeout_ms: u64,
    /// The most pages of a document.
    pub max_pages: u32,
    /// Which names `/metrics` shows.
    pub metric_labels: render::MetricLabels,
    /// Where traces are sent.
    pub traces: Option<observability::Traces>,
    /// How much is logged.
    pub log_level: String,
    /// How a log line looks.
    pub log_format: LogFormat,
    /// What the operator should know, though it stops nothing.
    pub warnings: Vec<String>,
}

impl Config {
    /// Checks `variables` as a whole; `cores` is the number of processors that defaults are worked out from.
    pub fn read(variables: &Variables, cores: usize) -> Result<Self, Problems> {
        let mut problems = Vec::new();
        let mut warnings = Vec::new();
        let values = Values::read(variables, &mut problems);
        unknown::check(variables, &mut problems, &mut warnings);
        let certificates = assets::certificates(&values, &mut problems);
        let place = assets::place(&values, certificates.clone(), &mut problems);
        let base_url = assets::base_url(&values, &known::ASSETS_BASE_URL, &mut problems);
        rules::remote_resources_are_blocked(&values, &mut warnings);
        let identity = identity::read(&values, &mut problems, &mut warnings);
        let storage = rules::storage(&values, &mut problems);
        rules::database_urls(&storage, &mut problems, &mut warnings);
        let trusted_proxies = proxies::read(&values, &mut problems);
        rules::https_needs_a_proxy(&values, &trusted_proxies, &mut problems);
        let allowed_origins = cross_origin::read(&values, &mut problems, &mut warnings);
        let surroundings = hardening::surroundings(&values, &mut problems);
        hardening::check(&values, surroundings, &allowed_origins, &mut problems);
        let outbound = outbound::read(&values, &mut problems);
        let releases = releases::read(&values, &mut problems);
        let documents = documents::read(&values, &mut problems);
        let schedule_deliveries = schedule_deliveries::read(&values, &certificates, &mut problems);
        let datasets = datasets::read(&values, &mut problems);
        let render_mode = render_workers::mode(&values, &mut problems);
        let metric_labels = observability::labels(&values, &mut problems);
        let traces = observability::traces(&values, &mut problems);
        if !problems.is_empty() {
            return Err(Problems(problems));
        }

        let browser = BrowserSettings::read(&values, cores);
        Ok(Self {
            host: values.required(&known::HOST),
            port: values.required(&known::PORT),
            connections: connections::Connections::read(&values),
            body_limit_bytes: values.required(&known::REQUEST_BODY_LIMIT_BYTES),
            shutdown: shutdown::Shutdown::read(&values, &storage),
            docs: if values.is_on(&known::DOCS_ENABLED) { Docs::On } else { Docs::Off },
            version: values.required(&known::APP_VERSION),
            identity,
            tenancy: tenancy::read(&values),
            releases,
            documents,
            datasets,
            schedule_deliveries,
            schedules: schedules::Schedules::read(&values),
            jobs: jobs::Jobs::read(&values, browser.max_concurrent_pages - browser.reserved_slots),
            outbound,
            duties: duties::read(&values),
            surroundings,
            trusted_proxies,
            https: if values.is_on(&known::REQUIRE_HTTPS) { api::Https::Required } else { api::Https::Optional },
            cors: allowed_origins,
            storage,
            assets: assets::read(&values, place, base_url),
            database: Database::read(&values),
            data_dir: values.required(&known::PULP_DATA_DIR),
            examples: if values.text(&known::LOAD_EXAMPLES) == Some("never") { Examples::Never } else { Examples::Auto },
            render_mode,
            browser,
            batch: batch::Batch::read(&values),
            render_timeout_ms: values.required(&known::RENDER_WORKER_TIMEOUT_MS),
            max_pages: values.required(&known::RENDER_MAX_PAGES),
            metric_labels,
            traces,
            log_level: values.required(&known::LOG_LEVEL),
            log_format: LogFormat::read(&values),
            warnings,
        })
    }
}
