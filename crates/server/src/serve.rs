//! The server from its start to its end, in reading order.

use std::os::unix::fs::DirBuilderExt as _;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use domain::Clock;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::sync::CancellationToken;

use crate::browser::{self, Browser};
use crate::config::{self, Config};
use crate::database::Database;
use crate::error::ServerError;
use crate::shutdown::{self, Signals};
use crate::{duties, examples, heartbeat, identity, instance, logs, metrics, outbound, people, process, stored_files, traces};

/// How long Chromium and PostgreSQL may take to end by themselves, once no request is under way.
pub const TIDY_UP: Duration = Duration::from_secs(10);

/// How long they may take when they are not given time: after the grace, or at a second signal. Of [`TIDY_UP`] each has at least this.
const LEAST: Duration = Duration::from_secs(2);
/// How long the other replicas are tried to be told that this one is gone.
const FAREWELL: Duration = Duration::from_secs(1);
/// How long the last traces may take to be sent.
const LAST_TRACES: Duration = Duration::from_secs(2);
/// How long work that looks at nothing may keep the process when all else has ended.
const LAST_WORK: Duration = Duration::from_secs(1);

/// An idle connection takes about 10 KB.
const MOST_CONNECTIONS: usize = 10_000;

/// Runs the server until a signal ends it.
pub fn serve(config: &Config) -> Result<ExitCode, ServerError> {
    let traces = logs::start_with_traces(config);
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(ServerError::Runtime)?;
    let outcome = runtime.block_on(until_signalled(config, traces));
    // Work on other threads that does not end by itself must not keep the process.
    runtime.shutdown_timeout(LAST_WORK);
    outcome
}

async fn until_signalled(config: &Config, traces: Option<traces::Waiting>) -> Result<ExitCode, ServerError> {
    let mut signals = Signals::listen()?;
    let sending = traces.map(traces::Waiting::send);
    let outcome = Box::pin(until_stopped(config, &mut signals)).await;
    if let Some(sending) = sending {
        sending.stop(Instant::now() + LAST_TRACES).await;
    }
    outcome
}

async fn until_stopped(config: &Config, signals: &mut Signals) -> Result<ExitCode, ServerError> {
    let starting = Running::start(config);
    let mut running = tokio::select! {
        running = starting => running?,
        // What had started ends as its handles are dropped.
        signal = signals.next() => {
            tracing::info!(signal, "stopped while starting");
            return Ok(ExitCode::SUCCESS);
        }
    };
    let drain_delay = tokio::select! {
        ended = &mut running.serving => {
            let failure = accepting_ended(ended);
            running.stop(Duration::ZERO).await?;
            return Err(failure);
        }
        signal = signals.next() => {
            let drain_delay = shutdown::drain_delay(signal, config.shutdown);
            let (drain_delay_ms, grace_ms) = (logs::whole_ms(drain_delay), logs::whole_ms(config.shutdown.grace));
            tracing::info!(signal, drain_delay_ms, grace_ms, "stopping; a second signal stops at once");
            running.turn_away();
            drain_delay
        }
    };
    let last_requests = async {
        // Whoever has not noticed yet is served as ever.
        if let Ok(ended) = timeout(drain_delay, &mut running.serving).await {
            tracing::warn!(error = %accepting_ended(ended), "no more requests are accepted before the time to notice has passed");
            return TIDY_UP;
        }
        running.close_the_door();
        if timeout(config.shutdown.grace, &mut running.serving).await.is_ok() {
            return TIDY_UP;
        }
        tracing::warn!("requests were still under way when SHUTDOWN_GRACE_MS had passed; they are cut off");
        LEAST
    };
    let tidy_up = tokio::select! {
        tidy_up = last_requests => tidy_up,
        signal = signals.next() => {
            tracing::warn!(signal, "stopping at once");
            LEAST
        }
    };
    tokio::select! {
        stopped = running.stop(tidy_up) => stopped?,
        signal = signals.next() => tracing::warn!(signal, "stopping at once, without tidying up"),
    }
    tracing::info!("stopped");
    Ok(ExitCode::SUCCESS)
}

/// Everything that runs, and in which order it stops.
struct Running {
    serving: JoinHandle<std::io::Result<()>>,
    readiness: api::Readiness,
    shutdown: CancellationToken,
    duties: worker::Duties,
    heartbeat: worker::Heartbeat,
    renderer: render::Renderer,
    browser: Browser,
    store: store::Store,
    database: Database,
}

fn job_limits(config: &Config) -> api::JobLimits {
    let jobs = &config.jobs;
    api::JobLimits {
        max_items: jobs.max_items,
        max_open_items: jobs.max_open_items,
        max_inline_bytes: jobs.max_inline_bytes,
        retention: jobs.retention,
    }
}

impl Running {
    async fn start(config: &Config) -> Result<Self, ServerError> {
        let began = Instant::now();
        // The port first: nothing is started beside a server that runs already.
        let listener = TcpListener::bind((config.host.as_str(), config.port)).await.map_err(|source| ServerError::Listen {
            host: config.host.clone(),
            port: config.port,
            source,
        })?;
        make_data_dir(config)?;
        let metrics_text = metrics::start(instance::id(), &config.version)?;
        if config.traces.is_some() {
            traces::begin_at_zero();
        }

        let starting_browser = browser::start(config);
        let starting_database = connected_database(config);
        let (browser, (database, store), blobs) = tokio::try_join!(starting_browser, starting_database, stored_files::open(config))?;
        let uploads = stored_files::uploads_dir(config)?;

        let outbound = outbound::start(config)?;
        let clock = Clock::system();
        let renderer = renderer(config, &store, browser.pool.clone(), &blobs, &outbound).await?;
        let examples = match config.examples {
            config::Examples::Auto if database.is_embedded() => examples::load_into_empty(&store).await?,
            _ => 0,
        };

        let credentials = identity::setup(config, store.clone(), clock.clone()).await?;
        people::seed(config, &credentials).await?;
        people::check_default_tenant(config, &store).await?;
        let readiness = api::Readiness::default();
        let shutdown = CancellationToken::new();
        let address = listener.local_addr().map_err(ServerError::Serve)?;
        let who = api::Identity::new(credentials);
        let metrics_text = measured(metrics_text, &store, &renderer, &who);
        let setup = api::Setup {
            renderer: renderer.clone(),
            store: store.clone(),
            outbound: outbound.clone(),
            clock: clock.clone(),
            identity: who,
            mints: api::Rate::of_mints(),
            version: config.version.clone(),
            body_limit_bytes: config.body_limit_bytes,
            connections: connection_limits(config),
            request_timeout: config.connections.request_timeout,
            // Every render that may be under way can bring the largest body, and as many other requests.
            bodies_bytes: config.body_limit_bytes.saturating_mul(2 * config.browser.in_flight()),
            heavy_reads: api::HeavyReads::beside(config.database.max_connections),
            repeats: api::Repeats::default(),
            uploads: api::Uploads::new(uploads, config.assets.max_bytes),
            asset_access: config.assets.access,
            assets_base_url: config.assets.base_url.clone(),
            documents_base_url: config.documents.base_url.clone(),
            outputs: render::Outputs::new(blobs.clone()),
            jobs: job_limits(config),
            docs: match config.docs {
                config::Docs::On => api::Docs::On,
                config::Docs::Off => api::Docs::Off,
            },
            metrics: api::Metrics {
                handle_render: metrics_text,
                token: config.identity.metrics_token.as_ref().map(|token| token.reveal().to_owned()),
            },
            started: began,
            continue_trace: config.traces.as_ref().map(|_| traces::continued()),
            readiness: readiness.clone(),
            trusted_proxies: config.trusted_proxies.clone(),
            https: config.https,
            cors: config.cors.clone(),
        };
        let serving = tokio::spawn(api::serve(listener, setup, shutdown.clone()));
        let duties = duties::start(config, blobs.clone(), renderer.clone(), store.clone(), clock, outbound)?;
        let heartbeat = heartbeat::start(&config.version, store.clone(), renderer.clone(), readiness.clone());
        tracing::info!(
            version = config.version,
            address = %format_args!("http://{address}"),
            storage = database.description,
            assets = blobs.describe(),
            chromium = browser.pool.status().version,
            sandbox = browser.sandbox,
            surroundings = ?config.surroundings,
            tabs = config.browser.max_concurrent_pages,
            keys = config.identity.keys.current.len(),
            examples_loaded = examples,
            started_in_ms = logs::whole_ms(began.elapsed()),
            "Pulp Engine is ready"
        );
        if config.identity.without_credential == api::WithoutCredential::ThisMachinePasses {
            tracing::warn!("no API key is set: every request from this machine passes as admin");
        }
        Ok(Self { serving, readiness, shutdown, duties, heartbeat, renderer, browser, store, database })
    }

    /// Readiness off and no new duties: others are asked to take over, and who comes all the same is served.
    fn turn_away(&self) {
        self.readiness.off();
        self.duties.stop_claiming();
        self.heartbeat.beat_now();
    }

    /// No new connections; requests under way go on.
    fn close_the_door(&self) {
        self.turn_away();
        self.shutdown.cancel();
    }

    /// Ends what requests needed, in the order that leaves nothing hanging: duties, Chromium, usage, connections, PostgreSQL.
    async fn stop(self, tidy_up: Duration) -> Result<(), ServerError> {
        self.close_the_door();
        self.serving.abort();
        // One end for all of them; each has a moment even when those before it took all the time.
        let end = Instant::now() + tidy_up;
        let by = || end.max(Instant::now() + LEAST);
        self.duties.stop(by()).await;
        self.browser.pool.close(by()).await;
        self.renderer.drain_usage(by()).await;
        self.heartbeat.stop(by().min(Instant::now() + FAREWELL)).await;
        if timeout_at(by(), self.store.close()).await.is_err() {
            tracing::warn!("database connections were still in use when they had to close");
        }
        self.database.stop(by() - Instant::now()).await
    }
}

/// What makes documents, over everything that it needs.
async fn renderer(
    config: &Config,
    store: &store::Store,
    pool: chromium::Pool,
    blobs: &blobs::Blobs,
    outbound: &::outbound::Outbound,
) -> Result<render::Renderer, ServerError> {
    let documents =
        render::DocumentOptions { lives: config.documents.lives, secrets: identity::link_secrets(&config.documents, store).await? };
    Ok(render::Renderer::new(render::Setup {
        store: store.clone(),
        pool,
        clock: Clock::system(),
        limits: limits(config),
        blobs: blobs.clone(),
        usage: render::UsageOptions { labels: config.metric_labels.clone(), ..render::UsageOptions::default() },
        releases: config.releases.clone(),
        documents,
        datasets: config.datasets,
        data_urls: config.outbound.data_urls.map(|options| {
            // Half of the renders under way at most wait for somebody else's server.
            render::DataUrls::new(outbound.clone(), options, config.browser.in_flight() / 2)
        }),
    }))
}

/// The text of the metrics, after what is only measured when somebody asks.
fn measured(
    text: metrics::Text,
    store: &store::Store,
    renderer: &render::Renderer,
    callers: &api::Identity,
) -> Arc<dyn Fn() -> String + Send + Sync> {
    let (store, renderer, callers) = (store.clone(), renderer.clone(), callers.clone());
    Arc::new(move || {
        store.record_pool_metrics();
        renderer.record_usage_metrics();
        renderer.record_pool_metrics();
        metrics::record_caches(&renderer.caches());
        metrics::record_caches(&callers.caches());
        text()
    })
}

async fn connected_database(config: &Config) -> Result<(Database, store::Store), ServerError> {
    let database = Database::start(config).await?;
    let store = database.connect().await?;
    duties::prepare(&config.duties, &store).await;
    Ok((database, store))
}

fn make_data_dir(config: &Config) -> Result<(), ServerError> {
    // Its own user's alone; what others have to reach is elsewhere.
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&config.data_dir)
        .map_err(|source| ServerError::DataDir { path: config.data_dir.clone(), source })
}

fn limits(config: &Config) -> render::Limits {
    render::Limits {
        deadline_ms: config.render_timeout_ms,
        max_pages: config.max_pages,
        max_output_bytes: config.browser.max_output_bytes,
        in_flight: config.browser.in_flight(),
        tabs: config.browser.max_concurrent_pages,
        // While all tabs for batches print, one more document is written.
        batch_renders: (config.browser.max_concurrent_pages - config.browser.reserved_slots).max(1) + 1,
        batch_items: config.batch.max_items,
        batch_output_bytes: config.batch.max_output_bytes,
        batch_deadline_ms: config.batch.timeout_ms,
        ..render::Limits::default()
    }
}

/// Half of the files this process may open, which it first raises as far as it may: the browser, the database and the
/// work itself need the others.
fn connection_limits(config: &Config) -> api::ConnectionLimits {
    let files = process::raise_file_limit();
    let most = match config.connections.most {
        Some(most) => {
            let possible = (files / 4 * 3).max(16);
            if most > possible {
                tracing::warn!(
                    most,
                    possible,
                    files,
                    "MAX_CONNECTIONS is more than the files that this process may open allow (ulimit -n)"
                );
            }
            most.min(possible)
        }
        None => (files / 2).clamp(16, MOST_CONNECTIONS),
    };
    api::ConnectionLimits { most, most_of_one: config.connections.most_of_one.unwrap_or(most / 4).clamp(1, most) }
}

/// Accepting connections goes on until it is told to end; anything else is a failure.
fn accepting_ended(ended: Result<std::io::Result<()>, tokio::task::JoinError>) -> ServerError {
    ServerError::Serve(match ended {
        Ok(Ok(())) => std::io::Error::other("nobody asked for it"),
        Ok(Err(error)) => error,
        Err(panicked) => panicked.into(),
    })
}
