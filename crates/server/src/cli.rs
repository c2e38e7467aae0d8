//! What can be typed after `pulp-engine`.

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
    /// Look into the audit log
    #[command(subcommand)]
    Audit(Audit),
    /// Print every setting with its default, what it accepts and what it does
    Config {
        /// How the page looks.
        #[command(flatten)]
        page: Page,
    },
}

/// How the manual page looks.
#[derive(Args, Debug)]
pub struct Page {
    /// Print docs/configuration.md instead of plain text
    #[arg(long)]
    pub markdown: bool,
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
