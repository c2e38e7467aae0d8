//! Many renders in a row: does memory stay flat, does anything stay behind?

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time::sleep;

use crate::args::SoakOptions;
use crate::error::{BenchError, Result};
use crate::figures::{Spread, real, short};
use crate::groups::{Group, Groups};
use crate::load::{self, Until};
use crate::proc;
use crate::report;
use crate::run::tabs_of_this_machine;
use crate::servers;

/// Memory is looked at this many times, between slices of renders, so that no render is in flight meanwhile.
const SLICES: usize = 50;

/// Renders of one tab until its renderer stops growing, from the measured reference.
const WARM_UP_PER_TAB: usize = 600;

/// A figure is flat when its last tenth is at most this many times its first.
const FLAT_WITHIN: f64 = 1.10;

/// Which figure of a sample a row shows.
type Figure = fn(&Sample) -> f64;

/// What is looked at, with the name of its row.
const FIGURES: [(&str, Figure); 4] = [
    ("server RSS", |sample| sample.server_rss),
    ("server PSS", |sample| sample.server_pss),
    ("Chromium PSS, whole tree", |sample| sample.chromium_pss),
    ("Chromium RSS, whole tree", |sample| sample.chromium_rss),
];

/// Memory after some renders, in MB.
#[derive(Debug, Clone, Copy, Default)]
struct Sample {
    renders: usize,
    server_rss: f64,
    server_pss: f64,
    chromium_rss: f64,
    chromium_pss: f64,
    browsers: usize,
    zombies: usize,
}

/// Renders as told and returns the report.
pub async fn run(options: &SoakOptions, groups: &Groups, facts: &[(&str, String)]) -> Result<String> {
    let tabs = tabs_of_this_machine();
    let clients = options.clients.unwrap_or(tabs).max(1);
    let warm_up = options.warm_up.unwrap_or(WARM_UP_PER_TAB * tabs);
    let server = servers::start_product(groups, &options.places, &options.documents).await?;
    let mut requests = Vec::new();
    for document in &options.documents {
        requests.push(server.request(document)?);
    }
    let chromium = &options.places.chromium;
    let slice = |count: usize| slice(server.address, &requests, clients, count);
    println!("warming up: {warm_up} renders");
    slice(warm_up).await?;
    let mut samples = vec![sample(&server.group, chromium, 0)];
    let (start, mut pauses) = (Instant::now(), Duration::ZERO);
    for number in 1..=SLICES {
        let (from, to) = (options.renders * (number - 1) / SLICES, options.renders * number / SLICES);
        slice(to - from).await?;
        let pause = Instant::now();
        let taken = sample(&server.group, chromium, to);
        println!("{to} renders: server {} MB RSS, Chromium {} MB PSS", short(taken.server_rss), short(taken.chromium_pss));
        samples.push(taken);
        pauses += pause.elapsed();
    }
    let rate = real(options.renders) / start.elapsed().saturating_sub(pauses).as_secs_f64();
    let zombies = lasting_zombies(&server.group).await;
    let profiles = profile_folders(groups.scratch()).len();
    let went_by_itself = server.group.stop().await;
    let left = profile_folders(groups.scratch()).len();
    let temporary = fs::read_dir(servers::temporary_of_product(groups)).map_or(0, Iterator::count);

    let mut text = "## Soak\n\n".to_owned();
    report::machine(&mut text, facts);
    let _ = writeln!(
        text,
        "{} renders in a row ({}, in turn) after {warm_up} to warm up, {clients} clients, {} docs/s, none failed. Memory in MB between \
         slices of {} renders; \"first\" and \"last\" are medians of a tenth of them.\n",
        options.renders,
        options.documents.join(", "),
        short(rate),
        options.renders / SLICES,
    );
    memory_table(&mut text, &samples);
    let most = |figure: fn(&Sample) -> usize| samples.iter().map(figure).max().unwrap_or(0);
    let _ = writeln!(
        text,
        "* browser processes, at most: {}\n* zombies at the end: {zombies} (most seen at one moment: {})\n\
         * profile folders: {profiles} at the end, {left} after shutdown; other temporary files left: {temporary}\n* shutdown: {}\n",
        most(|sample| sample.browsers),
        most(|sample| sample.zombies),
        if went_by_itself { "every process ended by itself" } else { "**processes had to be killed**" },
    );
    Ok(text)
}

async fn slice(address: std::net::SocketAddr, requests: &[Arc<Vec<u8>>], clients: usize, count: usize) -> Result<()> {
    let outcome = load::run(address, requests, clients, Until::Sent(count)).await?;
    match outcome.first_failure {
        Some(answer) => Err(BenchError::Answer { what: format!("{} of {count} renders", outcome.failures), answer }),
        None => Ok(()),
    }
}

fn megabytes(bytes: u64) -> f64 {
    real(usize::try_from(bytes).unwrap_or(usize::MAX)) / 1e6
}

fn sample(group: &Group, chromium: &Path, renders: usize) -> Sample {
    let mut taken = Sample { renders, browsers: group.browsers(chromium).len(), zombies: zombies(group), ..Sample::default() };
    let (rss, pss) = proc::memory_bytes(group.root());
    (taken.server_rss, taken.server_pss) = (megabytes(rss), megabytes(pss));
    for pid in group.browser_tree(chromium) {
        let (rss, pss) = proc::memory_bytes(pid);
        taken.chromium_rss += megabytes(rss);
        taken.chromium_pss += megabytes(pss);
    }
    taken
}

fn zombies(group: &Group) -> usize {
    proc::tree(group.root()).iter().filter(|process| process.state == 'Z').count()
}

/// A child that ended a moment ago is a zombie until its parent has looked; one that stays is a leak.
async fn lasting_zombies(group: &Group) -> usize {
    let deadline = Instant::now() + Duration::from_secs(5);
    while zombies(group) > 0 && Instant::now() < deadline {
        sleep(Duration::from_millis(50)).await;
    }
    zombies(group)
}

/// Folders below `scratch` that a browser kept its profile in.
fn profile_folders(scratch: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut to_see = vec![(scratch.to_owned(), 0)];
    while let Some((folder, depth)) = to_see.pop() {
        let entries: Vec<PathBuf> = fs::read_dir(&folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
        let is_profile =
            |path: &PathBuf| path.ends_with("Local State") || path.ends_with("Default") || path.ends_with("DevToolsActivePort");
        if entries.iter().any(is_profile) {
            found.push(folder);
        } else if depth < 4 {
            to_see.extend(entries.into_iter().filter(|path| path.is_dir()).map(|path| (path, depth + 1)));
        }
    }
    found
}

fn memory_table(text: &mut String, samples: &[Sample]) {
    let tenth = (samples.len() / 10).max(1);
    let (first, last) = (&samples[..tenth], &samples[samples.len() - tenth..]);
    text.push_str("| | first | last | last ÷ first | most |\n|---|---|---|---|---|\n");
    for (name, figure) in FIGURES {
        let middle = |part: &[Sample]| Spread::of(part.iter().map(figure)).map_or(0.0, |spread| spread.median);
        let (before, after) = (middle(first), middle(last));
        let verdict = match (before, after) {
            (before, _) if before <= 0.0 => "**not seen**",
            (before, after) if after <= before * FLAT_WITHIN => "flat",
            _ => "**grows**",
        };
        let most = samples.iter().map(figure).fold(0.0, f64::max);
        let _ = writeln!(
            text,
            "| {name} | {} | {} | {} {verdict} | {} |",
            short(before),
            short(after),
            short(after / before.max(1e-9)),
            short(most)
        );
    }
    text.push_str("\n| renders | server RSS | Chromium PSS |\n|---|---|---|\n");
    for sample in samples.iter().step_by(5) {
        let _ = writeln!(text, "| {} | {} | {} |", sample.renders, short(sample.server_rss), short(sample.chromium_pss));
    }
    text.push('\n');
}
