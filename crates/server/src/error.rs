//! Why the server does not start or go on, in words for the operator.

use std::io;
use std::path::PathBuf;

use crate::config::Problems;

/// What ended a subcommand. The binary answers `Config` with exit code 2, and all others with 1.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// Settings are wrong; correct them.
    #[error("{0}")]
    Config(#[from] Problems),
    /// The data folder cannot be made or written.
    #[error("PULP_DATA_DIR={} cannot be used: {source}; {}", path.display(), data_dir_remedy(source))]
    DataDir {
        /// The folder.
        path: PathBuf,
        /// What the system answered.
        source: io::Error,
    },
    /// The address cannot be listened on.
    #[error("cannot listen on HOST={host} PORT={port}: {source}{}", if source.kind() == io::ErrorKind::AddrInUse { "; stop the program that does, or choose another PORT" } else { "" })]
    Listen {
        /// The configured host.
        host: String,
        /// The configured port.
        port: u16,
        /// What the system answered.
        source: io::Error,
    },
    /// The embedded database cannot be started or stopped.
    #[error("the embedded database: {0}")]
    EmbeddedPostgres(#[from] embedded_postgres::EmbeddedPostgresError),
    /// The database cannot be reached, or its tables cannot be brought to this version.
    #[error("the database: {}", with_causes(.0))]
    Store(#[from] store::StoreError),
    /// The folder or bucket of stored files cannot be used.
    #[error("the place of stored files (ASSET_BINARY_STORE): {0}")]
    Blobs(#[from] blobs::BlobError),
    /// A backup cannot be made, read or brought back.
    #[error("{0}")]
    Backup(#[from] crate::backup::BackupError),
    /// Chromium is not there or does not start.
    #[error("{0}")]
    Chromium(#[from] chromium::ChromiumError),
    /// The way to render workers, or that of a worker to servers, cannot be opened.
    #[error("{0}")]
    RenderWorkers(#[from] chromium::remote::RemoteError),
    /// Documents cannot be printed in containers.
    #[error("{0}")]
    RenderContainers(#[from] chromium::container::ContainerError),
    /// The settings of the identity provider cannot work.
    #[error("{0}")]
    OpenId(#[from] openid::OpenIdError),
    /// An example that is part of the binary could not be loaded.
    #[error("the example template {key} could not be loaded: {reason}")]
    Example {
        /// Its key.
        key: &'static str,
        /// What was wrong with it.
        reason: String,
    },
    /// Certificates for calls outside cannot be used.
    #[error("OUTBOUND_CA_FILE={} cannot be used: {reason}", path.display())]
    Outbound {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The way to the mail server cannot be prepared.
    #[error("e-mail of schedules: {0}")]
    Mail(String),
    /// The recorder of `/metrics` could not be set up.
    #[error("metrics: {0}")]
    Metrics(#[from] metrics_exporter_prometheus::BuildError),
    /// The system gives no random bytes.
    #[error("the system gives no random bytes")]
    Random,
    /// The system refuses threads or signal handlers.
    #[error("the runtime: {0}")]
    Runtime(io::Error),
    /// The standard input and output are no pipes.
    #[error("render-worker --stdio needs pipes as standard input and output, as RENDER_MODE=container gives it: {0}")]
    Streams(io::Error),
    /// Accepting connections ended with an error.
    #[error("serving ended: {0}")]
    Serve(io::Error),
    /// Nothing can be printed.
    #[error("cannot print: {0}")]
    Print(io::Error),
}

/// What helps where the data folder cannot be made or written.
pub fn data_dir_remedy(error: &io::Error) -> &'static str {
    use io::ErrorKind;
    match error.kind() {
        ErrorKind::AlreadyExists | ErrorKind::NotADirectory => {
            "a file stands where a folder is needed: move it away, or set PULP_DATA_DIR to a folder"
        }
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => "make room there, or set PULP_DATA_DIR to a folder on another disk",
        ErrorKind::ReadOnlyFilesystem => "set PULP_DATA_DIR to a folder on a file system that can be written",
        _ => "give this user the right to write there, or set PULP_DATA_DIR to another folder",
    }
}

/// An error with what caused it, for messages that stand alone.
pub fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let words = error.to_string();
        // Some errors repeat their cause in their own words.
        if !text.contains(&words) {
            text.push_str(": ");
            text.push_str(&words);
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_in_the_place_of_the_data_folder_is_no_question_of_rights() {
        let file = tempfile::NamedTempFile::new().unwrap();
        for path in [file.path().to_owned(), file.path().join("below")] {
            let source = std::fs::create_dir_all(&path).unwrap_err();
            let said = ServerError::DataDir { path, source }.to_string();
            assert!(said.contains("a file stands where a folder is needed") && !said.contains("the right"), "{said}");
        }
    }
}
