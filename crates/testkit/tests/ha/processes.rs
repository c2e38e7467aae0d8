//! An installation of processes that belong to the test.

use std::path::Path;

use testkit::haproxy::HaProxy;
use testkit::postgres::Cluster;
use testkit::seaweedfs::{ACCESS_KEY_ID, BUCKET, SECRET_ACCESS_KEY, SeaweedFs};
use testkit::server_process::ServerProcess;
use testkit::tcp_proxy::{Target, TcpProxy};

pub const KEY: &str = "an-admin-key-of-the-tests";
pub const SUPER_KEY: &str = "a-super-admin-key-of-the-tests";
/// The backend that goes by whether a replica is ready.
const READY: &str = "ready";

/// Everything there is. It ends with the value.
pub struct Processes {
    pub replicas: Vec<ServerProcess>,
    pub balancer: HaProxy,
    pub database: Cluster,
    /// The address of the database, which survives it.
    pub way: TcpProxy,
    pub bucket: SeaweedFs,
}

/// What is different about a replica.
#[derive(Default)]
pub struct Odd {
    pub settings: Vec<(&'static str, String)>,
}

impl Processes {
    /// Starts all of it; it answers some seconds later. Nothing where a part is not installed.
    pub fn start(count: usize, more: &[(&str, &str)], odd: impl Fn(usize) -> Odd) -> Option<Self> {
        let bucket = SeaweedFs::start()?;
        let database = Cluster::start_with(&["max_connections=150"]);
        let way = TcpProxy::to(Target::of_url(&database.url()));
        let url = format!("postgres://postgres@127.0.0.1:{}/postgres", way.port());
        let endpoint = bucket.endpoint();
        let shared = [
            ("DATABASE_URL", url.as_str()),
            ("ASSET_BINARY_STORE", "s3"),
            ("S3_BUCKET", BUCKET),
            ("S3_REGION", "us-east-1"),
            ("S3_ACCESS_KEY_ID", ACCESS_KEY_ID),
            ("S3_SECRET_ACCESS_KEY", SECRET_ACCESS_KEY),
            ("S3_PATH_STYLE", "true"),
            ("S3_ENDPOINT", endpoint.as_str()),
            ("API_KEY_ADMIN", KEY),
            ("API_KEY_SUPER_ADMIN", SUPER_KEY),
            ("MULTI_TENANT_ENABLED", "true"),
            ("EDITOR_TOKEN_SECRET", "a-secret-of-the-tests-for-editor-tokens"),
            ("TRUST_PROXY", "1"),
            ("RENDER_MAX_CONCURRENT_PAGES", "2"),
            ("RENDER_MAX_QUEUE_DEPTH", "60"),
            ("JOB_LEASE_MS", "3000"),
            ("SCHEDULE_LEASE_MS", "6000"),
            // As long as the balancer needs to notice, and some more on a busy machine.
            ("SHUTDOWN_DRAIN_DELAY_MS", "3000"),
        ];
        let start = |number| {
            let Odd { settings } = odd(number);
            let its = settings.iter().map(|(name, value)| (*name, value.as_str()));
            let settings: Vec<_> = shared.iter().chain(more).copied().chain(its).collect();
            ServerProcess::start(&settings)
        };
        let replicas: Vec<_> = (0..count).map(start).collect();
        let configuration = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/ha/haproxy.cfg");
        let configuration = std::fs::read_to_string(&configuration).unwrap_or_else(|error| panic!("{}: {error}", configuration.display()));
        let balancer = HaProxy::start(&configuration, &replicas.iter().map(ServerProcess::port).collect::<Vec<_>>())?;
        Some(Self { replicas, balancer, database, way, bucket })
    }

    /// How many replicas the balancer holds for ready.
    pub fn servers_up(&self) -> Option<usize> {
        self.balancer.servers_up(READY)
    }
}
