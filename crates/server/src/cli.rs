//! What can be typed after `pulp-engine`.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// Turns stored templates and JSON data into documents. Settings are environment variables: see `pulp-engine config`.
#[derive(Parser, Debug)]
#[command(name = "pulp-engine", version)]
pub struct Cli {
    /// What to do; `serve` when nothing is said.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// One act of the binary.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// Start the server (what happens without a subcommand)
    Serve,
    /// Bring the database of DATABASE_URL, or the embedded one, to this version, and end
    Migrate,
    /// Check everything the server needs and say what helps; exit code 1 when something is broken
    Doctor,
    /// Print the OpenAPI document of the interface as JSON
    Openapi,
    /// Ask the server on the configured port whether it is ready; exit code 0 or 1
    Healthcheck,
    /// Print for servers with RENDER_MODE=socket: a browser, and neither database nor keys
    RenderWorker(RenderWorker),
    /// Look into the audit log
    #[command(subcommand)]
    Audit(Audit),
    /// Write backups, compare them with what is there, and bring them back
    #[command(subcommand)]
    Backup(Backup),
    /// Print every setting with its default, what it accepts and what it does
    Config {
        /// How the page looks.
        #[command(flatten)]
        page: Page,
    },
}

/// What a render worker is to do.
#[derive(Args, Debug)]
pub struct RenderWorker {
    /// Ask the worker that runs with these settings whether it is ready; exit code 0 or 1
    #[arg(long)]
    pub check: bool,
    /// Print one document for whoever has the standard input and output, and end: how RENDER_MODE=container uses it
    #[arg(long, conflicts_with = "check")]
    pub stdio: bool,
}

/// How the manual page looks.
#[derive(Args, Debug)]
pub struct Page {
    /// Print docs/configuration.md instead of plain text
    #[arg(long)]
    pub markdown: bool,
}

/// What can be done with backups.
#[derive(Subcommand, Debug)]
pub enum Backup {
    /// Write down what there is, and with --full all of it; servers may go on meanwhile
    Create(CreateBackup),
    /// Compare a backup with what is there: exit code 0 when it is the same, 2 when it is not, 1 when that cannot be told
    Verify(VerifyBackup),
    /// Bring a full backup back: files, then rows, then migrations; run again after it was cut off, it goes on
    Restore(RestoreBackup),
}

/// Where a backup goes.
#[derive(Args, Debug)]
pub struct CreateBackup {
    /// All rows and all stored files too, not only the list of them
    #[arg(long)]
    pub full: bool,
    /// A folder that is not there yet or empty; without --full also a file that ends in .json
    #[arg(long, value_name = "DIR|FILE")]
    pub output: PathBuf,
}

/// What is compared.
#[derive(Args, Debug)]
pub struct VerifyBackup {
    /// The folder of the backup, or its manifest
    #[arg(value_name = "DIR")]
    pub backup: PathBuf,
    /// So many differences are none
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub tolerance: u64,
    /// Read every row and every stored file of both sides, and compare checksums
    #[arg(long)]
    pub deep: bool,
}

/// What is brought back.
#[derive(Args, Debug)]
pub struct RestoreBackup {
    /// The folder of a backup that was made with --full
    #[arg(value_name = "DIR")]
    pub backup: PathBuf,
    /// Even where there is something already; all rows that are there are replaced
    #[arg(long)]
    pub force: bool,
}

/// What can be done with the audit log.
#[derive(Subcommand, Debug)]
pub enum Audit {
    /// Compute every link of the log's chains again; exit code 1 when a row was altered or is missing
    Verify(VerifyAudit),
}

/// Which chains.
#[derive(Args, Debug)]
pub struct VerifyAudit {
    /// Only the chain of this tenant
    #[arg(long)]
    pub tenant: Option<domain::TenantId>,
}
