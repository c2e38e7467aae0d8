//! What happens on a request: who are you, is it allowed, is it well-formed, call the right thing, answer.
//!
//! It must not hold SQL, print pages or read settings. To add an endpoint: write the handler in the file of its noun,
//! annotate it for OpenAPI, name it in [`router`] under the action it needs, and give it a case in
//! the server's `tests/suite/authorization.rs`.

mod api_keys;
mod asset_content;
mod asset_upload;
mod assets;
mod audit;
mod auth;
mod batch_answers;
mod batch_jobs;
mod batches;
mod bindings;
mod bodies;
mod body;
mod cached;
mod callbacks;
mod capabilities;
mod clients;
mod cluster;
mod configured_keys;
mod connections;
mod cors;
mod credentials;
mod csv;
mod data_conversion;
mod datasets;
mod dead_letters;
mod deadlines;
mod deep_json;
mod diffs;
mod docs;
mod document_links;
mod documents;
mod drafts;
mod early_refusals;
mod editor_tokens;
mod error;
mod failures;
mod form_fields;
mod head_scan;
mod health;
mod heavy_reads;
mod https;
mod idempotency;
mod identity;
mod incoming;
mod inference;
mod job_body;
mod job_results;
mod jobs;
mod label_events;
mod label_proofs;
mod labels;
mod loopback;
mod metrics;
mod not_implemented;
mod oidc;
mod packages;
mod people;
mod places;
mod preconditions;
mod progress;
mod query;
mod random;
mod rate_limits;
mod rate_windows;
mod rates;
mod refusal;
mod render_body;
mod render_log;
mod render_tokens;
mod renders;
mod requests;
mod router;
mod samples;
mod schedule_calendars;
mod schedule_data_sources;
mod schedule_dead_letters;
mod schedule_executions;
mod schedule_previews;
mod schedule_triggers;
mod schedules;
mod security_headers;
mod system;
mod template_datasets;
mod template_dependencies;
mod template_dependents;
mod template_filter;
mod template_folders;
mod template_meta;
mod template_references;
mod template_tests;
mod template_trash;
mod template_versions;
mod templates;
mod tenant_export;
mod tenant_purge;
mod tenants;
mod usage;
mod usage_filter;
mod users;
mod webhook_deliveries;
mod webhooks;
mod zip_stream;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use domain::Clock;
use domain::forwarding::TrustProxy;
use outbound::Outbound;
use render::Renderer;
use store::Store;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

pub use asset_content::AssetAccess;
pub use asset_upload::Uploads;
pub use configured_keys::{ConfiguredKey, ConfiguredKeys};
pub use cors::AllowedOrigins;
pub use heavy_reads::HeavyReads;
pub use https::Https;
pub use idempotency::Repeats;
pub use identity::{EditorTokens, Identity, IdentitySetup, Tenancy, WithoutCredential};
pub use people::{Newcomers, Oidc, RolesBy};
pub use places::ConnectionLimits;
pub use rate_limits::RateLimits;
pub use rates::Rate;
pub use router::openapi_json;

/// Gives the span of a request its place in a trace, by the headers of the request, before it is entered.
pub type ContinueTrace = Arc<dyn Fn(&tracing::Span, &axum::http::HeaderMap) + Send + Sync>;

/// What the interface works with.
#[derive(Clone)]
pub struct Setup {
    /// Renders documents.
    pub renderer: Renderer,
    /// Keeps templates.
    pub store: Store,
    /// Knows which addresses may be called.
    pub outbound: Outbound,
    /// Tells the time in answers.
    pub clock: Clock,
    /// Knows every credential.
    pub identity: Identity,
    /// How often one address may try to get a token.
    pub mints: Rate,
    /// The version that health and capabilities name.
    pub version: String,
    /// Bytes a request body may have, after decompression.
    pub body_limit_bytes: usize,
    /// Connections that may be open.
    pub connections: ConnectionLimits,
    /// How long a request may take until its answer begins, uploads of files apart.
    pub request_timeout: std::time::Duration,
    /// Bytes that request bodies under way may have together, after decompression.
    pub bodies_bytes: usize,
    /// The turns of questions that read much.
    pub heavy_reads: HeavyReads,
    /// Those that wait for the same request to be carried out.
    pub repeats: Repeats,
    /// Where files arrive.
    pub uploads: Uploads,
    /// Who may read the bytes of assets.
    pub asset_access: AssetAccess,
    /// What stands in front of `/assets/…` in the addresses of files, without a slash at its end; none where they are paths.
    pub assets_base_url: Option<Arc<str>>,
    /// What stands in front of the path of a link to a stored document, without a slash at its end; the address that a request
    /// came to where there is none.
    pub documents_base_url: Option<Arc<str>>,
    /// The documents of jobs.
    pub outputs: render::Outputs,
    /// What jobs may use.
    pub jobs: JobLimits,
    /// Whether `/docs` is served.
    pub docs: Docs,
    /// Where `/metrics` comes from.
    pub metrics: Metrics,
    /// Makes a request a part of the trace that its caller has begun; none where no traces are made.
    pub continue_trace: Option<ContinueTrace>,
    /// When the process started.
    pub started: tokio::time::Instant,
    /// Whether new work is welcome.
    pub readiness: Readiness,
    /// The proxies whose word about a request is believed.
    pub trusted_proxies: TrustProxy,
    /// Whether requests must have come by HTTPS.
    pub https: Https,
    /// The origins whose pages may read answers.
    pub cors: AllowedOrigins,
}

/// What jobs may use.
#[derive(Clone, Copy, Debug)]
pub struct JobLimits {
    /// Documents of one job.
    pub max_items: usize,
    /// Documents that a tenant may have in the queue.
    pub max_open_items: u32,
    /// Bytes of documents that one answer holds, before they are written as base64 or merged.
    pub max_inline_bytes: u64,
    /// How long a job and its documents are kept after its end.
    pub retention: std::time::Duration,
}

impl Rate {
    /// The published limit of tokens: 10 tries a minute from one address.
    pub fn of_mints() -> Self {
        Self::new(editor_tokens::MINTS, editor_tokens::MINT_WINDOW)
    }

    /// How many credentials that nobody has one address may send in a minute.
    pub fn of_guesses(most: u32) -> Self {
        Self::new(most, editor_tokens::MINT_WINDOW)
    }

    /// How often one address may come back from the identity provider in a minute: more often than it may get a token, as
    /// people of one office come together, and few enough not to make us a burden to the provider.
    pub fn of_callbacks() -> Self {
        Self::new(3 * editor_tokens::MINTS, editor_tokens::MINT_WINDOW)
    }
}

/// Whether the description of the interface is served at `/docs`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Docs {
    /// Served.
    On,
    /// Not found.
    Off,
}

/// Where `/metrics` comes from and who may read it.
#[derive(Clone)]
pub struct Metrics {
    /// Makes the Prometheus text.
    pub handle_render: Arc<dyn Fn() -> String + Send + Sync>,
    /// The bearer token to ask for; without it everybody may read.
    pub token: Option<String>,
}

/// On until the server begins to stop. Clones share it.
#[derive(Clone)]
pub struct Readiness(Arc<AtomicBool>);

impl Default for Readiness {
    fn default() -> Self {
        Self(Arc::new(AtomicBool::new(true)))
    }
}

impl Readiness {
    /// From now on `/health/ready` and `/health/serving` answer 503, and each answer ends its connection.
    pub fn off(&self) {
        self.0.store(false, Ordering::SeqCst);
    }

    /// Whether it is.
    pub fn is_on(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

/// Answers requests until `shutdown` is cancelled and those under way have ended.
pub async fn serve(listener: TcpListener, setup: Setup, shutdown: CancellationToken) -> std::io::Result<()> {
    let places = places::Places::new(setup.connections, setup.trusted_proxies.clone());
    let readiness = setup.readiness.clone();
    connections::serve(listener, router::router(setup), places, readiness, shutdown).await
}
