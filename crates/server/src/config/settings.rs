//! Every setting there is: its name, what it accepts, its default, whether it is secret and what it means.
//!
//! To add one, add an entry to the list below, read it in the file of its noun, and run `scripts/generate`.

use domain::rate_limits::MOST_REQUESTS_PER_MINUTE;

use super::declaration::Fallback::{Derived, Value};
use super::declaration::Secrecy::{Open, Secret, SecretIn};
use super::declaration::Setting;
use super::forms::Form;

macro_rules! settings {
    ($($chapter:literal { $($(#[doc = $meaning:literal])+ $name:ident: $form:expr, $default:expr, $secrecy:expr;)+ })+) => {
        $($(
            $(#[doc = $meaning])+
            pub const $name: Setting = Setting {
                name: stringify!($name),
                chapter: $chapter,
                form: $form,
                default: $default,
                secrecy: $secrecy,
                meaning: concat!($($meaning),+).trim_ascii(),
            };
        )+)+

        /// All settings, in the order of the manual page.
        pub const ALL: &[&Setting] = &[$($(&$name,)+)+];
    };
}

/// The fewest characters of an API key: 16 characters of hexadecimal are 64 random bits.
pub const MIN_KEY_CHARS: usize = 16;
const KEY: Form = Form::Word { min_chars: MIN_KEY_CHARS };
const TOKEN_SECRET: Form = Form::Word { min_chars: 32 };
const NOT_SET: super::declaration::Fallback = Derived("not set");
const LABELS: super::declaration::Fallback = Derived("bounded when METRICS_TOKEN is set, off otherwise");
const NO_LIMIT: super::declaration::Fallback = Derived("not set: no limit");
const RATE: Form = Form::Whole { from: 1, to: MOST_REQUESTS_PER_MINUTE as u64 };
const DAYS: Form = Form::Whole { from: 0, to: 36_500 };
const CACHE_MS: Form = Form::Whole { from: 100, to: 3_600_000 };
const CLAIM: Form = Form::Word { min_chars: 1 };

settings! {
    "Listening" {
        /// The address to listen on. An address that other machines can reach needs an API key.
        HOST: Form::Host, Value("127.0.0.1"), Open;
        /// The TCP port to listen on.
        PORT: Form::Whole { from: 1, to: 65_535 }, Value("3000"), Open;
        /// The largest request body in bytes, after decompression. Larger ones are answered with 413.
        REQUEST_BODY_LIMIT_BYTES: Form::Whole { from: 1024, to: 1 << 30 }, Value("20971520"), Open;
        /// How many connections may be open. When there are as many, those that are idle longest make room; when none is idle,
        /// new ones are answered with 503.
        MAX_CONNECTIONS: Form::Whole { from: 16, to: 1_000_000 }, Derived("half of the files that the process may open, at most 10000"), Open;
        /// How many of them one address may have (IPv6: one /64), unless TRUST_PROXY names it as a proxy. More are answered with
        /// 503. Behind a proxy that TRUST_PROXY does not name, all clients are one address.
        MAX_CONNECTIONS_PER_ADDRESS: Form::Whole { from: 1, to: 1_000_000 }, Derived("a quarter of MAX_CONNECTIONS"), Open;
        /// The longest that a request may take until its answer begins, whatever it waits for; then it is answered with 503.
        /// Answers that have begun go on while their client takes them, and uploads of files have 16 minutes.
        REQUEST_TIMEOUT_MS: Form::Whole { from: 1_000, to: 3_600_000 }, Derived("75 s more than the longer of RENDER_WORKER_TIMEOUT_MS and BATCH_TIMEOUT_MS"), Open;
        /// How long a server that was sent SIGTERM goes on as before, only that it says it is not ready and ends each connection with
        /// its next answer: the time in which a balancer notices. Ctrl-C does not wait for it.
        SHUTDOWN_DRAIN_DELAY_MS: Form::Whole { from: 0, to: 600_000 }, Derived("5000 with DATABASE_URL, where others can take over; 0 without"), Open;
        /// How long a stopping server then lets requests that are under way finish. A second signal ends it at once.
        SHUTDOWN_GRACE_MS: Form::Whole { from: 0, to: 600_000 }, Value("30000"), Open;
        /// Whether `/docs` and `/docs/json` describe the interface, and `/docs/template.schema.json` the definitions of templates.
        DOCS_ENABLED: Form::Switch, Value("true"), Open;
        /// The version that `/health` and `/capabilities` report.
        APP_VERSION: Form::Word { min_chars: 1 }, Value(env!("CARGO_PKG_VERSION")), Open;
    }
    "Who may reach it" {
        /// The proxies whose `X-Forwarded-For` and `X-Forwarded-Proto` are believed. A number counts the proxies that every
        /// request passes, and `true` means one: right only where nobody can connect to the server but through them.
        TRUST_PROXY: Form::Grammar("true, false, a number of proxies from 1 to 16, or a list with commas of addresses, networks such as 10.0.0.0/8, loopback, linklocal and uniquelocal"), Value("false"), Open;
        /// Whether requests must have come to a trusted proxy by HTTPS. Others are answered with 403, except those for
        /// health and metrics. The server itself speaks HTTP only, so TRUST_PROXY is needed beside it.
        REQUIRE_HTTPS: Form::Switch, Value("false"), Open;
        /// The origins whose web pages may read answers.
        CORS_ALLOWED_ORIGINS: Form::Grammar("origins such as https://app.example.org with commas between them, or * for all"), Derived("not set: no page of another origin"), Open;
        /// The surroundings of this server; `production` asks for the controls of HARDEN_PRODUCTION.
        NODE_ENV: Form::Choice(&["development", "test", "staging", "production"]), NOT_SET, Open;
        /// Another name of NODE_ENV. If both are set they must agree.
        PULP_ENV: Form::Choice(&["development", "test", "staging", "production"]), NOT_SET, Open;
        /// Whether the start is refused unless CORS_ALLOWED_ORIGINS (not *), DOCS_ENABLED, METRICS_TOKEN, REQUIRE_HTTPS=true,
        /// TRUST_PROXY, BLOCK_REMOTE_RESOURCES=true, an API key, and EDITOR_USERS_JSON or ALLOW_SHARED_KEY_EDITOR=true are set.
        HARDEN_PRODUCTION: Form::Switch, Derived("true when NODE_ENV or PULP_ENV is production, false otherwise"), Open;
        /// Whether a server without any credential may listen where other machines reach it. Whoever reaches it is admin.
        ALLOW_UNAUTHENTICATED: Form::Switch, Value("false"), Open;
        /// How many keys and tokens that nobody has one address may send in a minute, to each replica. More are answered with
        /// 429; keys of the configuration, keys in use and valid tokens go on working from there. Behind a proxy all
        /// clients are one address unless TRUST_PROXY names it.
        AUTH_FAILURES_PER_MINUTE: Form::Whole { from: 1, to: 1_000_000 }, Value("30"), Open;
        /// How many requests one credential may send in a minute, to all replicas together. More are answered with 429. A key can
        /// have a limit of its own instead (`requestsPerMinute`).
        RATE_LIMIT_KEY_REQUESTS_PER_MINUTE: RATE, NO_LIMIT, Open;
        /// The same for all credentials of a tenant together. A tenant can have a limit of its own instead.
        RATE_LIMIT_TENANT_REQUESTS_PER_MINUTE: RATE, NO_LIMIT, Open;
        /// In windows of how many seconds requests are counted. Long ones allow bursts; short ones spread requests evenly.
        RATE_LIMIT_WINDOW_SECONDS: Form::Whole { from: 1, to: 3600 }, Value("60"), Open;
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
        /// The key that may do everything in every tenant, and look after tenants. It needs MULTI_TENANT_ENABLED.
        API_KEY_SUPER_ADMIN: KEY, NOT_SET, Secret;
        /// The admin key before its rotation. Tokens made under it stay valid; it lets nobody in.
        API_KEY_ADMIN_PREVIOUS: KEY, NOT_SET, Secret;
        /// The editor key before its rotation. Tokens made under it stay valid; it lets nobody in.
        API_KEY_EDITOR_PREVIOUS: KEY, NOT_SET, Secret;
        /// The render key before its rotation. It lets nobody in.
        API_KEY_RENDER_PREVIOUS: KEY, NOT_SET, Secret;
        /// The preview key before its rotation. It lets nobody in.
        API_KEY_PREVIEW_PREVIOUS: KEY, NOT_SET, Secret;
        /// An admin key under its old name. It cannot stand beside the keys with a scope.
        API_KEY: KEY, NOT_SET, Secret;
        /// More keys, each with a scope and, where wanted, a tenant, an end and limits.
        API_KEYS_JSON: Form::Grammar("a JSON array of objects with id, key and scope, and optionally tenantId, name, expiresAt, allowedTemplates and allowedIps"), NOT_SET, Secret;
        /// The bearer token that `/metrics` asks for.
        METRICS_TOKEN: KEY, Derived("not set: /metrics answers everybody"), Secret;
    }
    "Editors" {
        /// The secret that editor tokens are signed with, the same on every replica.
        EDITOR_TOKEN_SECRET: TOKEN_SECRET, Derived("derived from the admin and editor keys"), Secret;
        /// The secret before its rotation. Tokens signed with it stay valid.
        EDITOR_TOKEN_SECRET_PREVIOUS: TOKEN_SECRET, NOT_SET, Secret;
        /// How long an editor token is valid.
        EDITOR_TOKEN_TTL_MINUTES: Form::Whole { from: 5, to: 1440 }, Value("480"), Open;
        /// Editor tokens that were made before this moment are refused.
        EDITOR_TOKEN_ISSUED_AFTER: Form::Moment, NOT_SET, Open;
        /// The people who may log in with a key of their own. The first start with an empty table of users takes them
        /// over; from then on the table counts.
        EDITOR_USERS_JSON: Form::Grammar("a JSON array of objects with id, displayName, key and role, and optionally email, groups, active and tenantId"), NOT_SET, SecretIn("EDITOR_USERS_FILE");
        /// After this time at the latest every replica knows of a changed user.
        EDITOR_USERS_CACHE_TTL_MS: CACHE_MS, Value("10000"), Open;
        /// Whether hardened production accepts editors who share a key instead of being named.
        ALLOW_SHARED_KEY_EDITOR: Form::Switch, Value("false"), Open;
    }
    "Tenants" {
        /// Whether there are tenants beside `default`.
        MULTI_TENANT_ENABLED: Form::Switch, Value("false"), Open;
        /// After this time at the latest every replica knows that a tenant was archived.
        TENANT_STATUS_CACHE_TTL_MS: CACHE_MS, Value("10000"), Open;
    }
    "OpenID Connect" {
        /// The discovery document of the identity provider. This and the next four settings belong together.
        OIDC_DISCOVERY_URL: Form::Url(&["https", "http"]), NOT_SET, Open;
        /// The id under which the provider knows this server.
        OIDC_CLIENT_ID: Form::Word { min_chars: 1 }, NOT_SET, Open;
        /// The secret of that id.
        OIDC_CLIENT_SECRET: Form::Word { min_chars: 1 }, NOT_SET, Secret;
        /// The address of `/auth/oidc/callback` as browsers reach it.
        OIDC_REDIRECT_URI: Form::Url(&["https", "http"]), NOT_SET, Open;
        /// The secret that signs the cookie of a login under way, the same on every replica.
        OIDC_COOKIE_SECRET: TOKEN_SECRET, NOT_SET, Secret;
        /// The same secret before it was changed, while logins under way still carry it; it verifies only.
        OIDC_COOKIE_SECRET_PREVIOUS: TOKEN_SECRET, NOT_SET, Secret;
        /// What the provider is asked for.
        OIDC_SCOPES: Form::Grammar("words with spaces between them, openid among them"), Value("openid profile email"), Open;
        /// The claim that identifies a person.
        OIDC_CLAIM_SUB: CLAIM, Value("sub"), Open;
        /// The claim with the e-mail address.
        OIDC_CLAIM_EMAIL: CLAIM, Value("email"), Open;
        /// The claim with the name to show.
        OIDC_CLAIM_DISPLAY_NAME: CLAIM, Value("name"), Open;
        /// The claim with the groups.
        OIDC_CLAIM_GROUPS: CLAIM, NOT_SET, Open;
        /// The claim that names the tenant. Whoever has it with something in it that is no text is refused.
        OIDC_CLAIM_TENANT: CLAIM, NOT_SET, Open;
        /// The claim that names the role. Where it is set, each login gives people the role that it names then.
        OIDC_CLAIM_ROLE: CLAIM, NOT_SET, Open;
        /// The tenant of people whose claims name none.
        OIDC_DEFAULT_TENANT: Form::Grammar("a tenant id"), Value("default"), Open;
        /// The role of people whose claims name none that there is: at their first login, and at every one where OIDC_CLAIM_ROLE is set.
        OIDC_DEFAULT_ROLE: Form::Choice(&["viewer", "author", "editor", "publisher", "scheduler", "auditor", "none"]), Value("none"), Open;
        /// Whether people who are no users yet become users when they log in. Otherwise only those come in who became users while it was on.
        OIDC_AUTO_PROVISION: Form::Switch, Value("false"), Open;
        /// The audience that bearer tokens of the provider must name.
        OIDC_AUDIENCE: Form::Word { min_chars: 1 }, Derived("OIDC_CLIENT_ID"), Open;
    }
    "Retention and upkeep" {
        /// The days that audit events are kept; 0 keeps them for ever. Older ones go within some hours.
        AUDIT_RETENTION_DAYS: DAYS, Value("90"), Open;
        /// Whether this server takes part in removing old audit events.
        AUDIT_RETENTION_ENABLED: Form::Switch, Value("true"), Open;
        /// The days that the record of renders is kept; 0 keeps it for ever.
        RENDER_USAGE_RETENTION_DAYS: DAYS, Value("400"), Open;
        /// Whether this server takes part in removing old records of renders.
        RENDER_USAGE_RETENTION_ENABLED: Form::Switch, Value("true"), Open;
        /// The days that deleted templates are kept in the trash; 0 keeps them for ever. Then they go with all their versions.
        TEMPLATE_TRASH_RETENTION_DAYS: DAYS, Value("30"), Open;
        /// Whether this server takes part in removing what has been in the trash for long enough.
        TEMPLATE_TRASH_RETENTION_ENABLED: Form::Switch, Value("true"), Open;
        /// The days that proofs of moves of labels are kept with their pictures; 0 keeps them for ever.
        LABEL_PROOF_RETENTION_DAYS: DAYS, Value("90"), Open;
        /// Whether this server takes part in removing old proofs.
        LABEL_PROOF_RETENTION_ENABLED: Form::Switch, Value("true"), Open;
        /// The days that the history of labels is kept; 0 keeps it for ever. `asOf` and rollbacks reach as far back as it does. What
        /// a label is, and what is to come, stays.
        LABEL_HISTORY_RETENTION_DAYS: DAYS, Value("0"), Open;
        /// Whether this server takes part in removing the old history of labels.
        LABEL_HISTORY_RETENTION_ENABLED: Form::Switch, Value("true"), Open;
        /// Whether this server takes part in preparing the months ahead in which audit events and the record of renders
        /// are kept. Where no server does, nothing is lost, but removing old ones takes longer.
        PARTITIONS_AHEAD_ENABLED: Form::Switch, Value("true"), Open;
        /// Whether this server takes part in forgetting sign-in codes, render tokens and idempotency keys that have expired.
        EXPIRED_CLEANUP_ENABLED: Form::Switch, Value("true"), Open;
    }
    "Labels" {
        /// The label whose version renders where a request names neither version nor label. Saving a template then changes no
        /// document: moving that label does. A template without the label is answered with 409 `template_not_released`;
        /// `@latest` as the label asks for the current version all the same. Without this setting that renders by default.
        DEFAULT_LIVE_LABEL: Form::Grammar("a label: 1 to 64 lower-case letters, digits, '.', '_' and '-', beginning with a letter, such as prod"), NOT_SET, Open;
        /// Whether a label may be split between two versions by the bucket keys of callers. Labels that were split before
        /// it was switched off lead to their control.
        VARIANTS_ENABLED: Form::Switch, Value("false"), Open;
        /// The labels, by commas, that are moved with a proof only: the stored datasets of the template are rendered with the old
        /// and the new version and compared page by page. A change that somebody would see is refused with 409
        /// `approval_required`, unless the move is forced with a note. Every server of an installation needs the same list.
        PROTECTED_LABELS: Form::Grammar("labels by commas, such as prod,staging, each of 1 to 64 lower-case letters, digits, '.', '_' and '-', beginning with a letter"), NOT_SET, Open;
        /// Whether this server takes part in making the planned moves of labels. Where no server does, they stay pending.
        LABEL_MOVES_ENABLED: Form::Switch, Value("true"), Open;
    }
    "Calls outside" {
        /// The hosts and networks, by commas, that may be called although they are not public: for receivers of messages inside
        /// your own network. Everything else that is not reachable for everybody is refused, also when a name leads there later.
        OUTBOUND_ALLOWED_TARGETS: Form::Grammar("host names and networks by commas, such as hooks.internal.example,10.20.0.0/16"), NOT_SET, Open;
        /// Whether calls may be unencrypted.
        OUTBOUND_PLAIN_HTTP_ALLOWED: Form::Switch, Value("false"), Open;
        /// A file with certificates (PEM) that are trusted there beside those of the machine.
        OUTBOUND_CA_FILE: Form::Path, NOT_SET, Open;
        /// Whether documents may be made from data that this server gets from the address in `dataUrl`. What may be called is said
        /// by the settings above. Every server of an installation needs the same.
        DATA_URL_ENABLED: Form::Switch, Value("false"), Open;
        /// The most bytes that are read from such an address.
        DATA_URL_MAX_BYTES: Form::Whole { from: 1024, to: 1 << 30 }, Value("10485760"), Open;
        /// How long such an address has for its whole answer; a render's own deadline ends it earlier.
        DATA_URL_TIMEOUT_MS: Form::Whole { from: 100, to: 60_000 }, Value("10000"), Open;
        /// Whether this server takes part in sending events and callbacks. Where no server does, they wait for a day.
        WEBHOOK_DELIVERIES_ENABLED: Form::Switch, Value("true"), Open;
        /// How often one message is tried, over not quite a day, before it counts as failed.
        WEBHOOK_MAX_ATTEMPTS: Form::Whole { from: 1, to: 10 }, Value("10"), Open;
        /// How many messages this server sends at the same moment.
        WEBHOOK_MAX_CONCURRENT_DELIVERIES: Form::Whole { from: 1, to: 256 }, Value("16"), Open;
        /// The days that messages are kept after they arrived or were given up; 0 keeps them for ever.
        WEBHOOK_DELIVERY_RETENTION_DAYS: DAYS, Value("30"), Open;
        /// Whether this server takes part in removing old messages.
        WEBHOOK_DELIVERY_RETENTION_ENABLED: Form::Switch, Value("true"), Open;
    }
    "Storage" {
        /// Where templates live: `postgres` is the database of DATABASE_URL, `embedded` (or `file`) a private
        /// PostgreSQL that the server starts in PULP_DATA_DIR.
        STORAGE_MODE: Form::Choice(&["embedded", "file", "postgres"]), Derived("postgres when DATABASE_URL is set, embedded otherwise"), Open;
        /// The PostgreSQL database of a server that is one of several, or whose database is looked after elsewhere.
        DATABASE_URL: Form::Url(&["postgres", "postgresql"]), NOT_SET, Secret;
        /// The same database past every connection pooler. Needed where DATABASE_URL leads through one that lends connections by
        /// the transaction (PgBouncer 1.21 or newer with max_prepared_statements above 0): notices of changes and migrations
        /// go this way, over one connection each.
        DATABASE_DIRECT_URL: Form::Url(&["postgres", "postgresql"]), Derived("DATABASE_URL"), Secret;
        /// A replica of the same database, which lists and exports are read from while it is not too far behind. Everything else,
        /// and what was just written through the same server, is read in the database itself.
        DATABASE_READ_URL: Form::Url(&["postgres", "postgresql"]), Derived("not set: lists and exports are read where everything is"), Secret;
        /// How far behind the replica of DATABASE_READ_URL may be.
        DATABASE_READ_MAX_LAG_MS: Form::Whole { from: 1_000, to: 600_000 }, Value("10000"), Open;
        /// How many database connections this server may hold, beside half as many to a replica and one for notices of changes.
        DATABASE_MAX_CONNECTIONS: Form::Whole { from: 2, to: 500 }, Value("10"), Open;
        /// How long a request waits for a database connection before it is answered with 503.
        DATABASE_ACQUIRE_TIMEOUT_MS: Form::Whole { from: 100, to: 60_000 }, Value("5000"), Open;
        /// How long one statement may take, waits for locks included. The database ends it then.
        DATABASE_STATEMENT_TIMEOUT_MS: Form::Whole { from: 1_000, to: 600_000 }, Value("15000"), Open;
        /// How long one statement may wait for one lock.
        DATABASE_LOCK_TIMEOUT_MS: Form::Whole { from: 100, to: 600_000 }, Value("10000"), Open;
        /// How long a transaction may be left idle, as by a server that stopped in the middle of one, before the database ends
        /// it and gives its locks to others.
        DATABASE_IDLE_IN_TRANSACTION_TIMEOUT_MS: Form::Whole { from: 1_000, to: 600_000 }, Value("15000"), Open;
        /// How long a connection is kept that nobody uses.
        DATABASE_IDLE_LIFETIME_MS: Form::Whole { from: 1_000, to: 86_400_000 }, Value("600000"), Open;
        /// How old a connection may become before another takes its place.
        DATABASE_MAX_LIFETIME_MS: Form::Whole { from: 10_000, to: 86_400_000 }, Value("1800000"), Open;
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
        /// Where the bytes of assets live: in a folder, or in a bucket that all replicas share.
        ASSET_BINARY_STORE: Form::Choice(&["filesystem", "s3"]), Value("filesystem"), Open;
        /// The folder of the bytes of assets. Several replicas need one that they share, or a bucket.
        ASSETS_DIR: Form::Path, Derived("assets in PULP_DATA_DIR"), Open;
        /// Who may read the bytes of assets: whoever knows the address, which cannot be guessed, or only whoever has a
        /// credential of the tenant.
        ASSET_ACCESS_MODE: Form::Choice(&["public", "private"]), Value("public"), Open;
        /// What stands in front of `/assets/…` in the `url` of assets, such as `https://files.example.com` of a cache in front of this
        /// server. Without it a `url` is a path on this server. Templates may name files by either.
        ASSETS_BASE_URL: Form::Url(&["http", "https"]), NOT_SET, Open;
        /// The most bytes of one uploaded file.
        ASSET_MAX_BYTES: Form::Whole { from: 65_536, to: 5_368_709_120 }, Value("268435456"), Open;
        /// Whether this server takes part in removing stored bytes that no asset has any more.
        ASSET_SWEEP_ENABLED: Form::Switch, Value("true"), Open;
        /// The hours that such bytes stay, should they be wanted back from a backup of the database.
        ASSET_SWEEP_GRACE_HOURS: Form::Whole { from: 1, to: 8_760 }, Value("24"), Open;
        /// The bucket. This and the S3 settings below are used with ASSET_BINARY_STORE=s3 only; the first four are needed then.
        S3_BUCKET: Form::Word { min_chars: 3 }, NOT_SET, Open;
        /// The region of the bucket.
        S3_REGION: Form::Word { min_chars: 1 }, NOT_SET, Open;
        /// The id of the access key.
        S3_ACCESS_KEY_ID: Form::Word { min_chars: 1 }, NOT_SET, Secret;
        /// The secret of the access key.
        S3_SECRET_ACCESS_KEY: Form::Word { min_chars: 1 }, NOT_SET, Secret;
        /// The address of an S3-compatible store that is not AWS.
        S3_ENDPOINT: Form::Url(&["http", "https"]), NOT_SET, Open;
        /// A file with certificates (PEM) of authorities that are trusted beside those of the machine when an S3_ENDPOINT with
        /// https:// shows its own; also for the buckets of SCHEDULE_S3_TARGETS.
        S3_CA_FILE: Form::Path, NOT_SET, Open;
        /// Put before the name of every object, such as `pulp/`, where the bucket has other things in it too.
        S3_PREFIX: Form::Grammar("characters of a-z, 0-9, '.', '_', '-' and '/', with '/' at the end"), NOT_SET, Open;
        /// Whether the bucket is part of the path instead of the host name.
        S3_PATH_STYLE: Form::Switch, Value("false"), Open;
        /// The address under which browsers reach the bucket. It has no effect, as files always come from this server: see
        /// ASSETS_BASE_URL.
        S3_PUBLIC_URL: Form::Url(&["http", "https"]), NOT_SET, Open;
    }
    "Jobs" {
        /// How many documents of jobs this server makes at once; with 0 it takes no part, and where no server does, jobs wait.
        JOB_CONCURRENCY: Form::Whole { from: 0, to: 50 }, Derived("the tabs that batches may have, at least 1"), Open;
        /// How long after the death of its server a document of a job is somebody else's.
        JOB_LEASE_MS: Form::Whole { from: 3_000, to: 600_000 }, Value("30000"), Open;
        /// How often a document is tried whose attempts end in a crash or in no time. That something was away does not count.
        JOB_MAX_ATTEMPTS: Form::Whole { from: 1, to: 20 }, Value("3"), Open;
        /// The most documents of one job.
        JOB_MAX_ITEMS: Form::Whole { from: 1, to: 100_000 }, Value("10000"), Open;
        /// The most documents that a tenant may have in the queue. A job that would make them more is answered with 429.
        JOB_MAX_OPEN_ITEMS: Form::Whole { from: 1, to: 10_000_000 }, Value("100000"), Open;
        /// The most bytes of documents that come with the answer about a job, or are merged into one.
        JOB_INLINE_BYTES: Form::Whole { from: 65_536, to: 1 << 30 }, Value("67108864"), Open;
        /// How long a job and its documents are kept after its end, in seconds.
        WEBHOOK_JOB_RETENTION_SECONDS: Form::Whole { from: 1, to: 31_536_000 }, Value("86400"), Open;
        /// Whether this server takes part in removing jobs whose time is over.
        JOB_RETENTION_ENABLED: Form::Switch, Value("true"), Open;
        /// Accepted and without effect: whatever is left of a job when a server stops or dies is resumed by the others, or
        /// at its next start, however long that takes.
        STARTUP_ORPHAN_GRACE_MS: Form::Whole { from: 0, to: 4_294_967_295 }, NOT_SET, Open;
    }
    "Schedules" {
        /// Whether this server has schedules executed when they are due. Where no server does, they wait; what was missed meanwhile
        /// is made up for as each schedule says.
        SCHEDULE_ENGINE_ENABLED: Form::Switch, Value("true"), Open;
        /// The most schedules that this server has executed in one transaction. More that are due come in the next one.
        SCHEDULE_ENGINE_TICK_LIMIT: Form::Whole { from: 1, to: 10_000 }, Value("500"), Open;
        /// Whether this server takes part in delivering what schedules made. Where no server does, it waits for up to a day.
        SCHEDULE_DELIVERIES_ENABLED: Form::Switch, Value("true"), Open;
        /// How often one delivery is tried before it is a dead letter; after a day it is one in any case.
        SCHEDULE_DELIVERY_MAX_ATTEMPTS: Form::Whole { from: 1, to: 50 }, Value("10"), Open;
        /// How many deliveries this server makes at once.
        SCHEDULE_MAX_CONCURRENT_DELIVERIES: Form::Whole { from: 1, to: 100 }, Value("8"), Open;
        /// How long after the death of its server an execution of a schedule, or a delivery, is somebody else's. Getting the data has
        /// two thirds of this, an attempt at a delivery half.
        SCHEDULE_LEASE_MS: Form::Whole { from: 5_000, to: 600_000 }, Value("120000"), Open;
        /// The days that the documents of a schedule are kept, for what is delivered late or once more. Dead letters older than this
        /// cannot be replayed.
        SCHEDULE_ARTIFACT_RETENTION_DAYS: Form::Whole { from: 2, to: 365 }, Value("7"), Open;
        /// The days that executions of schedules are kept after they ended, with what did not arrive of them; 0 keeps them for ever.
        SCHEDULE_EXECUTION_RETENTION_DAYS: DAYS, Value("90"), Open;
        /// Whether this server takes part in removing old executions of schedules.
        SCHEDULE_EXECUTION_RETENTION_ENABLED: Form::Switch, Value("true"), Open;
        /// The mail server that schedules send through, such as `smtp://name:password@mail.example.org:587`. Port 587, or 465 with
        /// `smtps://`, when it names none.
        SMTP_URL: Form::Url(&["smtp", "smtps"]), Derived("not set: no e-mail is sent"), Secret;
        /// The address that messages come from.
        SMTP_FROM: Form::Word { min_chars: 3 }, NOT_SET, Open;
        /// How the connection to the mail server is made safe: `starttls` refuses a server that cannot, `none` is for one on the
        /// same machine and goes with no password.
        SMTP_TLS: Form::Choice(&["starttls", "implicit", "none"]), Derived("implicit for smtps://, starttls otherwise"), Open;
        /// A file with certificates (PEM) that are trusted for the mail server beside those of the machine.
        SMTP_CA_FILE: Form::Path, NOT_SET, Open;
        /// The buckets that schedules may name as targets. Nothing else of S3 can be written to.
        SCHEDULE_S3_TARGETS: Form::Grammar("a JSON array of objects with bucket, accessKeyId and secretAccessKey, and optionally name, region, endpoint, prefix and pathStyle"), NOT_SET, Secret;
        /// The folder below which schedules may write files, each tenant in a folder of its own. For an installation of one server.
        SCHEDULE_DELIVERY_FOLDER: Form::Path, NOT_SET, Open;
    }
    "Stored documents" {
        /// The days that a stored document is kept whose request does not say how long.
        DOCUMENT_RETENTION_DAYS: Form::Whole { from: 1, to: 3_650 }, Value("30"), Open;
        /// The most days that a request may ask for. Requests that ask for more are refused.
        DOCUMENT_MAX_RETENTION_DAYS: Form::Whole { from: 1, to: 3_650 }, Value("365"), Open;
        /// Whether this server takes part in removing stored documents whose time is over. Nobody can fetch them by then,
        /// but where no server does they take room.
        DOCUMENT_RETENTION_ENABLED: Form::Switch, Value("true"), Open;
        /// How long a link to a stored document works whose maker does not say. No link outlives its document.
        DOCUMENT_LINK_TTL_SECONDS: Form::Whole { from: 1, to: 31_536_000 }, Value("86400"), Open;
        /// What stands in front of `/documents/links/…` in links, such as `https://files.example.com/pulp`. Without it that is the
        /// address that the request came to which made the link.
        DOCUMENTS_BASE_URL: Form::Url(&["http", "https"]), NOT_SET, Open;
        /// The secret that links are signed with, the same on every replica. Another one ends all links.
        DOCUMENT_LINK_SECRET: TOKEN_SECRET, Derived("made at the first start and kept in the database"), Secret;
        /// The secret before its rotation. Links signed with it go on working.
        DOCUMENT_LINK_SECRET_PREVIOUS: TOKEN_SECRET, NOT_SET, Secret;
    }
    "Datasets" {
        /// The most bytes of one dataset, after decompression. REQUEST_BODY_LIMIT_BYTES holds for uploads too.
        DATASET_MAX_BYTES: Form::Whole { from: 1024, to: 1 << 30 }, Value("20971520"), Open;
        /// The most datasets that a tenant may have at the same time. Uploads that would make them more are refused.
        DATASET_MAX_COUNT: Form::Whole { from: 1, to: 1_000_000 }, Value("1000"), Open;
        /// The most bytes that all datasets of a tenant may have at the same time.
        DATASET_MAX_TOTAL_BYTES: Form::Whole { from: 1024, to: 1 << 50 }, Value("1073741824"), Open;
        /// How long a dataset lives whose upload does not say, in seconds.
        DATASET_TTL_SECONDS: Form::Whole { from: 1, to: 31_536_000 }, Value("86400"), Open;
        /// The most seconds that an upload may ask for. Uploads that ask for more are refused.
        DATASET_MAX_TTL_SECONDS: Form::Whole { from: 1, to: 31_536_000 }, Value("604800"), Open;
        /// Whether this server takes part in removing datasets whose time is over. Nobody can use them by then, but where no
        /// server does they take room.
        DATASET_RETENTION_ENABLED: Form::Switch, Value("true"), Open;
    }
    "Rendering" {
        /// How many documents are printed at the same moment. Each is a browser tab of 40 to 80 MB.
        RENDER_MAX_CONCURRENT_PAGES: Form::Whole { from: 1, to: 50 }, Derived("processor cores + 1, at most 50"), Open;
        /// How many renders may wait for a tab. More are answered with 503 and `Retry-After`.
        RENDER_MAX_QUEUE_DEPTH: Form::Whole { from: 0, to: 1000 }, Derived("twice RENDER_MAX_CONCURRENT_PAGES"), Open;
        /// Tabs that batches and jobs leave to those who wait for one document. One tab always takes batches.
        RENDER_PREVIEW_RESERVED_SLOTS: Form::Whole { from: 0, to: 49 }, Derived("1; 0 where there is only one tab"), Open;
        /// The time from the arrival of a render to its answer, waiting included.
        RENDER_WORKER_TIMEOUT_MS: Form::Whole { from: 5_000, to: 600_000 }, Value("65000"), Open;
        /// The most pages one document may have.
        RENDER_MAX_PAGES: Form::Whole { from: 1, to: 100_000 }, Value("2000"), Open;
        /// The most bytes one document may have.
        RENDER_MAX_OUTPUT_BYTES: Form::Whole { from: 65_536, to: 1 << 31 }, Value("134217728"), Open;
        /// The most documents one batch may have.
        BATCH_MAX_ITEMS: Form::Whole { from: 1, to: 10_000 }, Value("100"), Open;
        /// The most bytes all documents of one batch may have together, where they wait in memory for the last: in everything
        /// but lines (NDJSON).
        BATCH_MAX_OUTPUT_BYTES: Form::Whole { from: 65_536, to: 1 << 31 }, Value("134217728"), Open;
        /// The time within which every document of a batch has to begin; those left by then fail.
        BATCH_TIMEOUT_MS: Form::Whole { from: 5_000, to: 3_600_000 }, Value("300000"), Open;
        /// The browser to print with: `chromium-headless-shell`, or a full Chromium or Chrome, which is slower.
        CHROMIUM_PATH: Form::Path, Derived("the first browser found; see `pulp-engine doctor`"), Open;
        /// Runs Chromium without its sandbox. Without it a document that exploits a fault of the browser has the
        /// rights of the server.
        PULP_ENGINE_DISABLE_SANDBOX: Form::Switch, Value("false"), Open;
        /// Whether documents are kept from loading anything over the network. In this version they always are.
        BLOCK_REMOTE_RESOURCES: Form::Switch, Value("true"), Open;
    }
    "Render workers" {
        /// Where documents are printed: by a browser that this server starts; by the render workers of RENDER_WORKERS, with no browser
        /// here at all; or each in a container of its own that is thrown away.
        RENDER_MODE: Form::Choice(&["child-process", "socket", "container"]), Value("child-process"), Open;
        /// The render workers of RENDER_MODE=socket. A name that leads to several addresses names several workers, and is asked for
        /// them every 5 s.
        RENDER_WORKERS: Form::Grammar("addresses with commas between them, each unix:///path/of/a/socket or tcp://host:port"), NOT_SET, Open;
        /// Where `pulp-engine render-worker` listens. The folder of a socket file is made where it is missing.
        RENDER_WORKER_LISTEN: Form::Grammar("unix:///path/of/a/socket or tcp://host:port"), NOT_SET, Open;
        /// The secret by which servers and render workers know each other, the same on all of them. It never crosses the wire, and it
        /// encrypts nothing.
        RENDER_WORKER_SECRET: TOKEN_SECRET, NOT_SET, Secret;
        /// The certificate (PEM) of this side, for TLS between servers and render workers. A server checks that the certificate of a
        /// worker has the name by which RENDER_WORKERS calls it. The three files are read at the start.
        RENDER_WORKER_TLS_CERT: Form::Path, NOT_SET, Open;
        /// Its key (PEM).
        RENDER_WORKER_TLS_KEY: Form::Path, NOT_SET, Open;
        /// The authority (PEM) that the certificates of both sides come from.
        RENDER_WORKER_TLS_CA: Form::Path, NOT_SET, Open;
        /// The image of the containers of RENDER_MODE=container: this product's own, which the runtime has already. Nothing is pulled.
        RENDER_CONTAINER_IMAGE: Form::Word { min_chars: 1 }, NOT_SET, Open;
        /// The program that runs them: `docker`, or one that takes the same words, by name or path.
        RENDER_CONTAINER_RUNTIME: Form::Path, Value("docker"), Open;
        /// The most memory of one of them, in MiB. A document that takes more is answered with 502.
        RENDER_CONTAINER_MEMORY_MB: Form::Whole { from: 256, to: 1_048_576 }, Value("2048"), Open;
        /// The most processors of one of them.
        RENDER_CONTAINER_CPUS: Form::Grammar("a number of processors from 0.1 to 1024, such as 1.5"), Derived("not set: all"), Open;
        /// A profile of system calls for them, such as `deploy/seccomp.json`, which lets Chromium keep its own sandbox inside.
        RENDER_CONTAINER_SECCOMP: Form::Path, Derived("not set: the runtime's own"), Open;
    }
    "Metrics and traces" {
        /// Whether `/metrics` counts renders by tenant. `bounded` shows METRICS_TENANT_LABEL_MAX tenants, those that rendered
        /// first since the start, and the others as `other`.
        METRICS_TENANT_LABEL_MODE: Form::Choice(&["off", "bounded"]), LABELS, Open;
        /// The most tenants that `/metrics` of one server shows.
        METRICS_TENANT_LABEL_MAX: Form::Whole { from: 1, to: 10_000 }, Value("200"), Open;
        /// Whether `/metrics` counts renders by template. `bounded` shows METRICS_TEMPLATE_LABEL_MAX of them, those that rendered
        /// first since the start, `allowlist` those of METRICS_TEMPLATE_LABEL_ALLOWLIST; the others are `other`.
        METRICS_TEMPLATE_LABEL_MODE: Form::Choice(&["off", "bounded", "allowlist"]), LABELS, Open;
        /// The most templates that `/metrics` of one server shows. Each is several series.
        METRICS_TEMPLATE_LABEL_MAX: Form::Whole { from: 1, to: 10_000 }, Value("500"), Open;
        /// The templates that `/metrics` shows, of whichever tenant.
        METRICS_TEMPLATE_LABEL_ALLOWLIST: Form::Grammar("keys of templates, separated by commas"), NOT_SET, Open;
        /// Where traces are sent by OTLP over HTTP: the address of a collector, to which `/v1/traces` is added. A collector that is
        /// away or slow costs traces and nothing else.
        OTEL_EXPORTER_OTLP_ENDPOINT: Form::Url(&["http", "https"]), Derived("not set: no traces are made"), Open;
        /// How traces are sent.
        OTEL_EXPORTER_OTLP_PROTOCOL: Form::Choice(&["http/protobuf"]), Value("http/protobuf"), Open;
        /// Headers of each call to the collector.
        OTEL_EXPORTER_OTLP_HEADERS: Form::Grammar("name=value pairs, separated by commas"), NOT_SET, Secret;
        /// How long one call to the collector may take, in milliseconds.
        OTEL_EXPORTER_OTLP_TIMEOUT: Form::Whole { from: 100, to: 60_000 }, Value("10000"), Open;
        /// What the server is called in traces.
        OTEL_SERVICE_NAME: Form::Word { min_chars: 1 }, Value("pulp-engine"), Open;
        /// What else traces tell of the server.
        OTEL_RESOURCE_ATTRIBUTES: Form::Grammar("name=value pairs, separated by commas"), NOT_SET, Open;
        /// Which requests are traced. With `parentbased_…` the decision of a caller that sent `traceparent` holds.
        OTEL_TRACES_SAMPLER: Form::Choice(&["always_on", "always_off", "traceidratio", "parentbased_always_on", "parentbased_always_off", "parentbased_traceidratio"]), Value("parentbased_always_on"), Open;
        /// The share of requests that `…traceidratio` traces.
        OTEL_TRACES_SAMPLER_ARG: Form::Grammar("a number from 0 to 1"), Derived("1"), Open;
    }
    "Logs" {
        /// How much is logged.
        LOG_LEVEL: Form::Choice(&["trace", "debug", "info", "warn", "error"]), Value("info"), Open;
        /// How a log line looks.
        LOG_FORMAT: Form::Choice(&["json", "text"]), Derived("text on a terminal, json otherwise"), Open;
    }
}
