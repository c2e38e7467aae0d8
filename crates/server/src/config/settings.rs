//! Every setting there is: its name, what it accepts, its default, whether it is secret and what it means.
//!
//! To add one, add an entry to the list below, read it in `config/mod.rs`, and run `scripts/generate`.

/// One setting, as the manual page shows it and the reader checks it.
#[derive(Debug)]
pub struct Setting {
    /// The environment variable.
    pub name: &'static str,
    /// The chapter of the manual page it stands in.
    pub chapter: &'static str,
    /// What it accepts.
    pub form: Form,
    /// What holds when it is not set.
    pub default: Fallback,
    /// Whether its value may be shown, and whether it can come from a file.
    pub secrecy: Secrecy,
    /// What it does, in one or two sentences.
    pub meaning: &'static str,
}

/// What a setting accepts.
#[derive(Debug)]
pub enum Form {
    /// A whole number within a range, both ends included.
    Whole {
        /// The smallest accepted value.
        from: u64,
        /// The largest accepted value.
        to: u64,
    },
    /// A strict boolean: anything but the listed words stops the start.
    Switch,
    /// One of a few words.
    Choice(&'static [&'static str]),
    /// An IP address or host name to listen on.
    Host,
    /// A file-system path.
    Path,
    /// A URL with one of these schemes.
    Url(&'static [&'static str]),
    /// Printable characters without spaces, at least this many.
    Word {
        /// The fewest characters accepted.
        min_chars: usize,
    },
}

/// What holds when a setting is not set.
#[derive(Debug)]
pub enum Fallback {
    /// This value, which is checked like one that was set.
    Value(&'static str),
    /// A value worked out when the server starts, described here.
    Derived(&'static str),
}

/// Whether a value may be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Secrecy {
    /// It may be printed.
    Open,
    /// It is never printed, and `NAME_FILE` may name a file that holds it.
    Secret,
}

impl Form {
    /// What is accepted, as the manual page and the error message say it.
    pub fn accepted(&self) -> String {
        match self {
            Self::Whole { from, to } => format!("a whole number from {from} to {to}"),
            Self::Switch => "true, 1, yes, on or false, 0, no, off".to_owned(),
            Self::Choice(words) => match words {
                [only] => (*only).to_owned(),
                [first @ .., last] => format!("{} or {last}", first.join(", ")),
                [] => String::new(),
            },
            Self::Host => "an IP address or a host name".to_owned(),
            Self::Path => "a path".to_owned(),
            Self::Url(schemes) => {
                format!("a URL beginning with {}", schemes.iter().map(|scheme| format!("{scheme}://")).collect::<Vec<_>>().join(" or "))
            }
            Self::Word { min_chars: 1 } => "printable characters without spaces".to_owned(),
            Self::Word { min_chars } => format!("at least {min_chars} printable characters without spaces"),
        }
    }
}

macro_rules! settings {
    ($($chapter:literal { $($(#[doc = $meaning:literal])+ $name:ident: $form:expr, $default:expr, $secrecy:ident;)+ })+) => {
        $($(
            $(#[doc = $meaning])+
            pub const $name: Setting = Setting {
                name: stringify!($name),
                chapter: $chapter,
                form: $form,
                default: $default,
                secrecy: Secrecy::$secrecy,
                meaning: concat!($($meaning),+).trim_ascii(),
            };
        )+)+

        /// All settings, in the order of the manual page.
        pub const ALL: &[&Setting] = &[$($(&$name,)+)+];
    };
}

use self::Fallback::{Derived, Value};

/// The fewest characters of an API key: 16 characters of hexadecimal are 64 random bits.
const KEY: Form = Form::Word { min_chars: 16 };
const NOT_SET: Fallback = Derived("not set");

settings! {
    "Listening" {
        /// The address to listen on. An address that other machines can reach needs an API key.
        HOST: Form::Host, Value("127.0.0.1"), Open;
        /// The TCP port to listen on.
        PORT: Form::Whole { from: 1, to: 65_535 }, Value("3000"), Open;
        /// The largest request body in bytes, after decompression. Larger ones are answered with 413.
        REQUEST_BODY_LIMIT_BYTES: Form::Whole { from: 1024, to: 1 << 30 }, Value("20971520"), Open;
        /// How long a stopping server lets requests that are under way finish. A second signal ends it at once.
        SHUTDOWN_GRACE_MS: Form::Whole { from: 0, to: 600_000 }, Value("30000"), Open;
        /// Whether `/docs` and `/docs/json` describe the interface.
        DOCS_ENABLED: Form::Switch, Value("true"), Open;
        /// The version that `/health` and `/capabilities` report.
        APP_VERSION: Form::Word { min_chars: 1 }, Value(env!("CARGO_PKG_VERSION")), Open;
    }
    "API keys" {
        /// The key that may do everything. Without any key the server listens on the loopback address only,
        /// and every request passes as admin.
        API_KEY_ADMIN: KEY, NOT_SET, Secret;
        /// The key that may read and write templates and render previews.
        API_KEY_EDITOR: KEY, NOT_SET, Secret;
        /// The key that may render documents.
        API_KEY_RENDER: KEY, NOT_SET, Secret;
        /// The key that may render previews.
        API_KEY_PREVIEW: KEY, NOT_SET, Secret;
        /// An admin key under its old name. It cannot stand beside the keys with a scope.
        API_KEY: KEY, NOT_SET, Secret;
        /// Reserved for signing editor tokens. It is checked, and has no effect in this version.
        EDITOR_TOKEN_SECRET: Form::Word { min_chars: 32 }, NOT_SET, Secret;
        /// The bearer token that `/metrics` asks for.
        METRICS_TOKEN: KEY, Derived("not set: /metrics answers everybody"), Secret;
    }
    "Storage" {
        /// Where templates live: `postgres` is the database of DATABASE_URL, `embedded` (or `file`) a private
        /// PostgreSQL that the server starts in PULP_DATA_DIR.
        STORAGE_MODE: Form::Choice(&["embedded", "file", "postgres"]), Derived("postgres when DATABASE_URL is set, embedded otherwise"), Open;
        /// The PostgreSQL database of a server that is one of several, or whose database is looked after elsewhere.
        DATABASE_URL: Form::Url(&["postgres", "postgresql"]), NOT_SET, Secret;
        /// How many database connections this server may hold.
        DATABASE_MAX_CONNECTIONS: Form::Whole { from: 2, to: 500 }, Value("10"), Open;
        /// The folder of everything this server keeps on its own disk.
        PULP_DATA_DIR: Form::Path, Value("./data"), Open;
        /// The folder of what a running browser keeps for itself; best in memory, nothing of value is in it. Started as
        /// root, the server gives the browser to the user `nobody`, who has to be able to reach this folder.
        PULP_RUNTIME_DIR: Form::Path, Derived("chromium in PULP_DATA_DIR; for root /run/pulp-engine"), Open;
        /// The folder of the PostgreSQL programs `initdb` and `postgres`, for the embedded database.
        PG_BIN_DIR: Form::Path, Derived("the newest found in /usr/lib/postgresql/*/bin or PATH"), Open;
        /// Whether the example templates are loaded when the server starts: `auto` only into an embedded
        /// database that holds no template.
        LOAD_EXAMPLES: Form::Choice(&["auto", "never"]), Value("auto"), Open;
    }
    "Assets" {
        /// Where the bytes of assets live. `s3` is known but not available in this version.
        ASSET_BINARY_STORE: Form::Choice(&["filesystem", "s3"]), Value("filesystem"), Open;
        /// The bucket. This and the S3 settings below are checked, and are used with ASSET_BINARY_STORE=s3 only.
        S3_BUCKET: Form::Word { min_chars: 3 }, NOT_SET, Open;
        /// The region of the bucket.
        S3_REGION: Form::Word { min_chars: 1 }, NOT_SET, Open;
        /// The id of the access key.
        S3_ACCESS_KEY_ID: Form::Word { min_chars: 1 }, NOT_SET, Secret;
        /// The secret of the access key.
        S3_SECRET_ACCESS_KEY: Form::Word { min_chars: 1 }, NOT_SET, Secret;
        /// The address of an S3-compatible store that is not AWS.
        S3_ENDPOINT: Form::Url(&["http", "https"]), NOT_SET, Open;
        /// Whether the bucket is part of the path instead of the host name.
        S3_PATH_STYLE: Form::Switch, Value("false"), Open;
        /// The address under which browsers reach the bucket.
        S3_PUBLIC_URL: Form::Url(&["http", "https"]), NOT_SET, Open;
    }
    "Rendering" {
        /// How many documents are printed at the same moment. Each is a browser tab of 40 to 80 MB.
        RENDER_MAX_CONCURRENT_PAGES: Form::Whole { from: 1, to: 50 }, Derived("processor cores + 1, at most 50"), Open;
        /// How many renders may wait for a tab. More are answered with 503 and `Retry-After`.
        RENDER_MAX_QUEUE_DEPTH: Form::Whole { from: 0, to: 1000 }, Derived("twice RENDER_MAX_CONCURRENT_PAGES"), Open;
        /// The time from the arrival of a render to its answer, waiting included.
        RENDER_WORKER_TIMEOUT_MS: Form::Whole { from: 5_000, to: 600_000 }, Value("65000"), Open;
        /// The most pages one document may have.
        RENDER_MAX_PAGES: Form::Whole { from: 1, to: 100_000 }, Value("2000"), Open;
        /// The most bytes one document may have.
        RENDER_MAX_OUTPUT_BYTES: Form::Whole { from: 65_536, to: 1 << 31 }, Value("134217728"), Open;
        /// The browser to print with: `chromium-headless-shell`, or a full Chromium or Chrome, which is slower.
        CHROMIUM_PATH: Form::Path, Derived("the first browser found; see `pulp-engine doctor`"), Open;
        /// Runs Chromium without its sandbox. Without it a document that exploits a fault of the browser has the
        /// rights of the server.
        PULP_ENGINE_DISABLE_SANDBOX: Form::Switch, Value("false"), Open;
    }
    "Logs" {
        /// How much is logged.
        LOG_LEVEL: Form::Choice(&["trace", "debug", "info", "warn", "error"]), Value("info"), Open;
        /// How a log line looks.
        LOG_FORMAT: Form::Choice(&["json", "text"]), Derived("text on a terminal, json otherwise"), Open;
    }
}

/// Published settings of releases to come. Setting one is warned about, so that nobody relies on it.
pub const NOT_YET: &[&str] = &[
    "ALLOW_SHARED_KEY_EDITOR",
    "API_KEYS_JSON",
    "API_KEYS_JSON_FILE",
    "API_KEY_ADMIN_PREVIOUS",
    "API_KEY_EDITOR_PREVIOUS",
    "API_KEY_PREVIEW_PREVIOUS",
    "API_KEY_RENDER_PREVIOUS",
    "API_KEY_SUPER_ADMIN",
    "ASSETS_BASE_URL",
    "ASSETS_DIR",
    "ASSET_ACCESS_MODE",
    "AUDIT_RETENTION_DAYS",
    "BLOCK_REMOTE_RESOURCES",
    "CORS_ALLOWED_ORIGINS",
    "DATABASE_DIRECT_URL",
    "EDITOR_TOKEN_ISSUED_AFTER",
    "EDITOR_TOKEN_TTL_MINUTES",
    "EDITOR_USERS_CACHE_TTL_MS",
    "EDITOR_USERS_FILE",
    "EDITOR_USERS_JSON",
    "HARDEN_PRODUCTION",
    "JOB_RESULT_BLOB_BUCKET",
    "JOB_RESULT_BLOB_DIR",
    "METRICS_TEMPLATE_LABEL_ALLOWLIST",
    "METRICS_TEMPLATE_LABEL_MAX",
    "METRICS_TEMPLATE_LABEL_MODE",
    "MULTI_TENANT_ENABLED",
    "OIDC_CLIENT_ID",
    "OIDC_CLIENT_SECRET",
    "OIDC_DISCOVERY_URL",
    "PPTX_ENABLED",
    "PREVIEW_ROUTES_ENABLED",
    "PULP_ENGINE_PLUGINS",
    "PULP_LICENCE_KEY",
    "RENDER_MODE",
    "RENDER_PREVIEW_RESERVED_SLOTS",
    "RENDER_TENANT_ISOLATION",
    "RENDER_USAGE_RETENTION_DAYS",
    "REQUIRE_HTTPS",
    "SCHEDULE_DLQ_ENABLED",
    "SCHEDULE_ENGINE_TICK_LIMIT",
    "STARTUP_ORPHAN_GRACE_MS",
    "TEMPLATES_DIR",
    "TENANT_STATUS_CACHE_TTL_MS",
    "TRUST_PROXY",
    "VARIANTS_ENABLED",
    "WEBHOOK_JOB_RETENTION_SECONDS",
];
