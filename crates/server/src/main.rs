//! The binary `pulp-engine`: configuration, wiring in reading order, subcommands, shutdown order.
//!
//! It must hold no rule of the product: what a request means is said in `api`, what a render does in `render`.
//! To add a setting, see `config/settings.rs`; to add a subcommand, give it a variant in `cli.rs` and a file of its name.

mod audit;
mod backup;
mod browser;
mod cli;
mod config;
mod database;
mod doctor;
mod duties;
mod error;
mod examples;
mod healthcheck;
mod heartbeat;
mod identity;
mod instance;
mod logs;
mod metrics;
mod migrate;
mod outbound;
mod people;
mod process;
mod render_worker;
mod schedule_deliveries;
mod serve;
mod shutdown;
mod stored_files;
mod traces;

use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser as _;

use crate::cli::{Audit, Cli, Command, Page, RenderWorker};
use crate::config::{Config, WorkerConfig};
use crate::error::ServerError;

fn main() -> ExitCode {
    let command = match Cli::try_parse() {
        Ok(cli) => cli.command.unwrap_or(Command::Serve),
        Err(usage) => {
            // Help and version are "errors" of clap too; a broken pipe while printing them changes nothing.
            let _ = usage.print();
            return ExitCode::from(u8::try_from(usage.exit_code()).unwrap_or(2));
        }
    };
    match run(&command) {
        Ok(code) => code,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "{error}");
            match error {
                ServerError::Config(_) => ExitCode::from(2),
                _ => ExitCode::FAILURE,
            }
        }
    }
}

fn run(command: &Command) -> Result<ExitCode, ServerError> {
    match command {
        Command::Config { page: Page { markdown: true } } => print(&config::markdown()),
        Command::Config { page: Page { markdown: false } } => print(&config::plain()),
        Command::Openapi => print(&format!("{}\n", api::openapi_json())),
        Command::Serve => serve::serve(&read_config()?),
        Command::Migrate => migrate::migrate(&read_config()?),
        Command::Healthcheck => Ok(healthcheck::healthcheck(&read_config()?)),
        Command::RenderWorker(RenderWorker { stdio: true, .. }) => {
            render_worker::serve(&WorkerConfig::for_one_document(&config::environment())?)
        }
        Command::RenderWorker(RenderWorker { check: false, .. }) => render_worker::serve(&read_worker_config()?),
        Command::RenderWorker(RenderWorker { check: true, .. }) => render_worker::check(&read_worker_config()?),
        Command::Audit(Audit::Verify(wanted)) => audit::verify(&read_config()?, wanted),
        Command::Backup(wanted) => backup::backup(read_config(), wanted),
        Command::Doctor => doctor::doctor(read_config()),
    }
}

fn read_config() -> Result<Config, ServerError> {
    Ok(Config::read(&config::environment(), cores())?)
}

fn read_worker_config() -> Result<WorkerConfig, ServerError> {
    Ok(WorkerConfig::read(&config::environment(), cores())?)
}

/// The processors this process may use.
fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// Prints a page; a reader that stopped reading early (`| head`) is no failure.
fn print(page: &str) -> Result<ExitCode, ServerError> {
    match std::io::stdout().write_all(page.as_bytes()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(ServerError::Print(error)),
        _ => Ok(ExitCode::SUCCESS),
    }
}
