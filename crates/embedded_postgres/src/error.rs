//! What can go wrong, each with the path, what was found there and what helps.

use std::path::PathBuf;

/// Why a private Postgres could not be started, kept or stopped.
#[derive(Debug, thiserror::Error)]
pub enum EmbeddedPostgresError {
    /// No folder with both `initdb` and `postgres` was found.
    #[error(
        "no PostgreSQL server found (looked in {looked_in}); install it with `apt install postgresql`, \
         or set DATABASE_URL to use a server of your own"
    )]
    BinariesNotFound {
        /// The places that were tried, separated by commas.
        looked_in: String,
    },

    /// A program of PostgreSQL exists but cannot be run or does not say its version.
    #[error(
        "{} cannot be used: {found}; reinstall it with `apt install --reinstall postgresql`, \
         or set DATABASE_URL to use a server of your own",
        path.display()
    )]
    BinaryUnusable {
        /// The program.
        path: PathBuf,
        /// What happened when it was asked for its version.
        found: String,
    },

    /// Another process holds the data folder.
    #[error(
        "the data folder {} is in use by {}; stop that process, or give this one a data folder of its own",
        data_dir.display(), holder(*holder_pid)
    )]
    AlreadyRunning {
        /// The data folder both want.
        data_dir: PathBuf,
        /// The process that holds it, when it left its id.
        holder_pid: Option<u32>,
    },

    /// The cluster was made by another major version. Nothing was changed.
    #[error(
        "{} was made by PostgreSQL {found_major}, but PostgreSQL {installed_major} is installed in {}. \
         Nothing was changed. Either install PostgreSQL {found_major} beside it \
         (`apt install postgresql-{found_major}`), or move the data over: with the programs of version \
         {found_major} start that folder and write it out with `pg_dump`, move the folder away, \
         start again (a new, empty cluster is made), and read it in with `psql`",
        cluster.display(), bin_dir.display()
    )]
    ForeignMajor {
        /// The cluster's folder.
        cluster: PathBuf,
        /// The major version in its `PG_VERSION`.
        found_major: u32,
        /// The major version of the programs that were found.
        installed_major: u32,
        /// Where those programs are.
        bin_dir: PathBuf,
    },

    /// The folder of the cluster holds something that is not a cluster. Nothing was changed.
    #[error(
        "{} is not a PostgreSQL cluster: {found}. Nothing was changed; move it away, or use another data folder",
        path.display()
    )]
    NotACluster {
        /// The folder.
        path: PathBuf,
        /// What is in it.
        found: String,
    },

    /// The cluster belongs to a user the server cannot or may not run as.
    #[error("{} belongs to {owner}, but PostgreSQL would run as {wanted}; {remedy}", path.display())]
    WrongOwner {
        /// The cluster's folder.
        path: PathBuf,
        /// Who owns it.
        owner: String,
        /// Who would have to.
        wanted: String,
        /// What to do.
        remedy: String,
    },

    /// The user to run as is unknown, is root, or cannot be had.
    #[error("PostgreSQL cannot run as the user {name:?}: {found}; name an existing unprivileged user")]
    UnusableUser {
        /// The name that was asked for.
        name: String,
        /// Why not.
        found: String,
    },

    /// Started as root, but the program that drops the rights is missing.
    #[error(
        "PostgreSQL refuses to run as root and `setpriv`, which would run it as another user, {found}; \
         install it with `apt install util-linux`, or start this program as an unprivileged user"
    )]
    SetprivMissing {
        /// What happened when it was tried.
        found: String,
    },

    /// A file or folder could not be made, read or changed.
    #[error("cannot {action} {}: {source}{}", path.display(), remedy(source))]
    Folder {
        /// What was tried, as a verb.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system answered.
        source: std::io::Error,
    },

    /// The path cannot be handed on as text.
    #[error("the data folder {} is not valid UTF-8 or contains a line break; use another name", path.display())]
    PathNotText {
        /// The path.
        path: PathBuf,
    },

    /// There is no room left.
    #[error(
        "the file system of {} is full ({free_mib} MiB free); make room (a new cluster needs 50 MiB) and start again. \
         PostgreSQL said:\n{log_tail}",
        path.display()
    )]
    DiskFull {
        /// The data folder.
        path: PathBuf,
        /// What is left for unprivileged users, in MiB.
        free_mib: u64,
        /// The last lines of the log.
        log_tail: String,
    },

    /// `initdb`, or the making of the database, failed. The half-made cluster was removed.
    #[error("making a new PostgreSQL cluster in {} failed ({status}). It said:\n{log_tail}", path.display())]
    InitFailed {
        /// Where the cluster should have come.
        path: PathBuf,
        /// How the program ended.
        status: String,
        /// Its last lines.
        log_tail: String,
    },

    /// Postgres ended before it was ready.
    #[error("PostgreSQL in {} ended while starting ({status}). Its log says:\n{log_tail}", cluster.display())]
    StartFailed {
        /// The cluster's folder.
        cluster: PathBuf,
        /// How it ended.
        status: String,
        /// The last lines of the log.
        log_tail: String,
    },

    /// Postgres runs but was not ready in time; it was told to stop.
    #[error(
        "PostgreSQL in {} was not ready after {waited_ms} ms; after a crash it may need longer to recover, \
         so raise the time limit. Its log says:\n{log_tail}",
        cluster.display()
    )]
    StartTimedOut {
        /// The cluster's folder.
        cluster: PathBuf,
        /// How long it was waited for.
        waited_ms: u128,
        /// The last lines of the log.
        log_tail: String,
    },

    /// Postgres says it is ready but its socket cannot be reached.
    #[error("PostgreSQL is ready, but its socket {} cannot be reached: {source}", socket.display())]
    SocketUnreachable {
        /// The socket.
        socket: PathBuf,
        /// What the system answered.
        source: std::io::Error,
    },

    /// A Postgres left over from a killed server does not end.
    #[error(
        "a PostgreSQL left over from an earlier run (process {pid}) still uses {} and {found}; \
         end it with `kill -INT {pid}` and start again",
        cluster.display()
    )]
    OrphanStays {
        /// The cluster's folder.
        cluster: PathBuf,
        /// Its process id.
        pid: u32,
        /// What was seen of it.
        found: String,
    },

    /// Postgres ignored both the polite and the impolite request to stop.
    #[error("PostgreSQL (process {pid}) did not stop; its data is safe, end it with `kill -QUIT {pid}`")]
    StopTimedOut {
        /// Its process id.
        pid: u32,
    },
}

fn holder(pid: Option<u32>) -> String {
    pid.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"))
}

fn remedy(source: &std::io::Error) -> &'static str {
    use std::io::ErrorKind;
    match source.kind() {
        ErrorKind::PermissionDenied => "; give the user that runs this program the right to write there, or use another data folder",
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => "; make room (a new cluster needs 50 MiB)",
        ErrorKind::ReadOnlyFilesystem => "; use a data folder on a writable file system",
        ErrorKind::NotADirectory | ErrorKind::AlreadyExists => "; a file stands where a folder is needed: move it away",
        _ => "",
    }
}

/// Turns an I/O error into one that names the path and the act.
pub(crate) fn folder(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> EmbeddedPostgresError {
    let path = path.into();
    move |source| EmbeddedPostgresError::Folder { action, path, source }
}
