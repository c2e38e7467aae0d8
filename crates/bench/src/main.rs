//! Measures the product against the floor and against a puppeteer server, in one interleaved run; a tool for developers.
//!
//! It must not share code with the product's rendering: the floor is only honest when its client is another one. Nothing here is part of
//! the tests, since a figure depends on the machine. To measure another document, put `<name>.html` into `bench/` and name it in
//! `--documents`; to add a variant, add it to `plan::Variant`, start it in `servers` and give it a place in `plan::round`.

mod accounting;
mod args;
mod batches;
mod cdp;
mod echo;
mod error;
mod figures;
mod floor;
mod floor_client;
mod goodput;
mod groups;
mod http;
mod load;
mod machine;
mod open_loop;
mod pdf_bytes;
mod plan;
mod proc;
mod report;
mod run;
mod sections;
mod servers;
mod soak;

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::ExitCode;

use domain::clock::Clock;
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{SignalKind, signal};

use crate::accounting::Accounting;
use crate::args::Command;
use crate::error::{BenchError, Result, While as _};
use crate::groups::Groups;

fn main() -> ExitCode {
    match args::parse(std::env::args().skip(1)).and_then(obey) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::from(if matches!(error, BenchError::Usage(_)) { 2 } else { 1 })
        }
    }
}

fn obey(command: Command) -> Result<()> {
    match command {
        Command::Help => {
            println!("{}", args::USAGE);
            Ok(())
        }
        // One thread: the floor's client shall cost as little as a client can.
        Command::FloorClient(options) => runtime(1)?.block_on(floor_client::serve(&options)),
        Command::Run(options) => runtime(2)?.block_on(in_scratch(async |groups: &Groups| {
            let facts = machine::facts(&Clock::system(), &options.places.chromium);
            let findings = run::run(&options, groups).await?;
            let text = report::comparison(&findings, &options, &facts, groups.accounting().named());
            publish(options.places.report.as_deref(), "comparison", &text)
        })),
        Command::Batches(options) => runtime(2)?.block_on(in_scratch(async |groups: &Groups| {
            let facts = machine::facts(&Clock::system(), &options.places.chromium);
            let text = batches::run(&options, groups, &facts).await?;
            publish(options.places.report.as_deref(), "batches", &text)
        })),
        Command::Goodput(options) => runtime(2)?.block_on(in_scratch(async |groups: &Groups| {
            let facts = machine::facts(&Clock::system(), &options.places.chromium);
            let text = goodput::run(&options, groups, &facts).await?;
            publish(options.places.report.as_deref(), "goodput", &text)
        })),
        Command::Soak(options) => runtime(2)?.block_on(in_scratch(async |groups: &Groups| {
            let facts = machine::facts(&Clock::system(), &options.places.chromium);
            let text = soak::run(&options, groups, &facts).await?;
            publish(options.places.report.as_deref(), "soak", &text)
        })),
    }
}

fn runtime(threads: usize) -> Result<Runtime> {
    let mut builder = if threads == 1 { Builder::new_current_thread() } else { Builder::new_multi_thread() };
    builder.worker_threads(threads).enable_all().build().while_doing(|| "starting the runtime".to_owned())
}

/// Runs `act`, and whatever becomes of it ends every process it started and deletes every file they made.
async fn in_scratch(act: impl AsyncFnOnce(&Groups) -> Result<()>) -> Result<()> {
    let mut stop = Vec::new();
    for kind in [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()] {
        stop.push(signal(kind).while_doing(|| "listening for signals".to_owned())?);
    }
    let scratch = tempfile::Builder::new().prefix("pulp-bench-").tempdir().while_doing(|| "making a scratch folder".to_owned())?;
    // A database that gives up root's rights must still reach its folder below.
    fs::set_permissions(scratch.path(), Permissions::from_mode(0o755)).while_doing(|| "opening the scratch folder".to_owned())?;
    let groups = Groups::new(Accounting::find(), scratch.path().to_owned());
    let stopped = async {
        let mut waits: Vec<_> = stop.iter_mut().map(|signal| Box::pin(signal.recv())).collect();
        std::future::poll_fn(|context| {
            let any = waits.iter_mut().any(|wait| wait.as_mut().poll(context).is_ready());
            if any { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
        })
        .await;
    };
    let result = tokio::select! {
        result = act(&groups) => result,
        () = stopped => Err(BenchError::Interrupted),
    };
    groups.stop_all().await;
    result
}

fn publish(file: Option<&Path>, part: &str, text: &str) -> Result<()> {
    println!("\n{text}");
    let Some(file) = file else { return Ok(()) };
    sections::write(file, part, text)?;
    println!("written to {}", file.display());
    Ok(())
}
