//! How many documents still come out when more are asked for than can be made: peak and overload in turns, on one server.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use crate::args::GoodputOptions;
use crate::error::{BenchError, Result};
use crate::figures::{Spread, ms_of_us, percentile, real, short, with_range};
use crate::groups::Groups;
use crate::load::{self, Until};
use crate::open_loop::{self, Offered};
use crate::proc;
use crate::run::tabs_of_this_machine;
use crate::servers::{self, HttpVariant};

/// The block with a burst is shorter: it is about the moment.
const BURST: Duration = Duration::from_secs(2);
/// How many times the peak a burst offers.
const BURST_FACTOR: f64 = 10.0;
/// What overload may cost: a tenth of the peak.
const GOAL: f64 = 0.90;

/// What one block told.
#[derive(Default)]
struct Row {
    offered: Vec<f64>,
    good: Vec<f64>,
    of_peak: Vec<f64>,
    good_us: Vec<u64>,
    shed_us: Vec<u64>,
    shed: Vec<f64>,
    cpu_per_document: Vec<f64>,
    cpu_per_shed: Vec<f64>,
    generator: Vec<f64>,
}

/// Processor time of the server and of this process while something happened.
struct Meter<'a> {
    server: &'a HttpVariant,
    cpu_ns: u64,
    own: Duration,
}

impl<'a> Meter<'a> {
    fn start(server: &'a HttpVariant) -> Self {
        Self { server, cpu_ns: server.group.cpu_ns(), own: proc::own_cpu() }
    }

    /// Milliseconds of the server, and of this process.
    fn stop(self) -> (f64, f64) {
        let server = Duration::from_nanos(self.server.group.cpu_ns().saturating_sub(self.cpu_ns));
        (server.as_secs_f64() * 1000.0, proc::own_cpu().saturating_sub(self.own).as_secs_f64() * 1000.0)
    }
}

/// Runs the comparison; gives a table for each document.
pub async fn run(options: &GoodputOptions, groups: &Groups, facts: &[(&str, String)]) -> Result<String> {
    let server = servers::start_product(groups, &options.places, &options.documents).await?;
    let facts = facts.iter().map(|(name, value)| format!("{name}: {value}")).collect::<Vec<_>>().join(" · ");
    let mut text = format!(
        "## Overload\n\nPeak: a closed loop at the best number of connections. Overload: requests are sent when their time has come, {} times \
         as many as the peak, whether or not those before were answered; burst: {BURST_FACTOR} times as many for {} s. Blocks of {} s take \
         turns, {} rounds; median (least–greatest). Times count from when a request should have been sent; shed is 503 with \
         `Retry-After`. The generator shares the cores: what it takes, the server does not have. {facts}\n\n",
        options.factor,
        BURST.as_secs(),
        options.block.as_secs_f64(),
        options.rounds
    );
    for document in &options.documents {
        one_document(&mut text, document, options, &server).await?;
    }
    Ok(text)
}

async fn one_document(text: &mut String, document: &str, options: &GoodputOptions, server: &HttpVariant) -> Result<()> {
    let request = server.request(document)?;
    let clients = best(server, &request, options.block / 2).await?;
    let (mut peak, mut over, mut burst) = (Row::default(), Row::default(), Row::default());
    for round in 0..options.rounds {
        let meter = Meter::start(server);
        let outcome = load::run(server.address, std::slice::from_ref(&request), clients, Until::Elapsed(options.block)).await?;
        if let Some(answer) = outcome.first_failure {
            return Err(BenchError::Answer { what: format!("{} renders at the peak", outcome.failures), answer });
        }
        let (cpu, own) = meter.stop();
        let rate = outcome.per_second();
        let per_document = cpu / real(outcome.latencies_us.len().max(1));
        peak.good.push(rate);
        peak.good_us.extend(outcome.latencies_us);
        peak.cpu_per_document.push(per_document);
        peak.generator.push(own / outcome.elapsed.as_secs_f64() / 10.0);
        for (row, factor, length) in [(&mut over, options.factor, options.block), (&mut burst, BURST_FACTOR, BURST)] {
            let meter = Meter::start(server);
            let offered = open_loop::run(server.address, &request, rate * factor, length).await?;
            let (cpu, own) = meter.stop();
            row.take(&offered, rate, (cpu, own), per_document)?;
        }
        println!("{document}, round {}: peak {}, overload {}", round + 1, short(rate), short(over.of_peak.last().copied().unwrap_or(0.0)));
    }
    let ratio = Spread::of(over.of_peak.iter().copied());
    let met = ratio.is_some_and(|ratio| ratio.median >= GOAL);
    let _ = writeln!(
        text,
        "### {document}: {} of the peak under {} times the peak, goal {GOAL} {}\n",
        with_range(ratio),
        options.factor,
        if met { "met" } else { "**missed**" }
    );
    text.push_str(
        "| block | offered/s | docs/s | ÷ peak | shed/s | p50 ms, p99 ms of documents | p50 ms, p99 ms of shed | CPU-ms per document | CPU-ms per shed | generator, % of a core |\n|---|---|---|---|---|---|---|---|---|---|\n",
    );
    for (name, row) in
        [(format!("peak, {clients} connections"), &mut peak), ("overload".to_owned(), &mut over), ("burst".to_owned(), &mut burst)]
    {
        row.write(text, &name);
    }
    text.push('\n');
    Ok(())
}

impl Row {
    fn take(&mut self, offered: &Offered, peak: f64, (cpu, own): (f64, f64), per_document: f64) -> Result<()> {
        if let Some(answer) = &offered.first_failure {
            let what = format!("{} requests under overload", offered.failures);
            return Err(BenchError::Answer { what, answer: answer.clone() });
        }
        if offered.speechless > 0 {
            let what = format!("{} requests under overload", offered.speechless);
            return Err(BenchError::Answer { what, answer: "429 or 503 without Retry-After".to_owned() });
        }
        let (good, shed) = (offered.good_us.len(), offered.shed_us.len());
        self.offered.push(real(good + shed) / offered.elapsed.as_secs_f64().max(1e-9));
        self.good.push(offered.good_per_second());
        self.of_peak.push(offered.good_per_second() / peak);
        self.shed.push(offered.shed_per_second());
        self.cpu_per_document.push(cpu / real(good.max(1)));
        self.cpu_per_shed.push((cpu - real(good) * per_document).max(0.0) / real(shed.max(1)));
        self.generator.push(own / offered.elapsed.as_secs_f64() / 10.0);
        self.good_us.extend(&offered.good_us);
        self.shed_us.extend(&offered.shed_us);
        Ok(())
    }

    fn write(&mut self, text: &mut String, name: &str) {
        self.good_us.sort_unstable();
        self.shed_us.sort_unstable();
        let spread = |values: &[f64]| with_range(Spread::of(values.iter().copied()));
        let times = |sorted: &[u64]| match sorted {
            [] => "–".to_owned(),
            _ => format!("{}, {}", short(ms_of_us(percentile(sorted, 500))), short(ms_of_us(percentile(sorted, 990)))),
        };
        let line = format!(
            "| {name} | {} | {} | {} | {} | {} | {} | {} | {} | {} |\n",
            spread(&self.offered),
            spread(&self.good),
            spread(&self.of_peak),
            spread(&self.shed),
            times(&self.good_us),
            times(&self.shed_us),
            spread(&self.cpu_per_document),
            spread(&self.cpu_per_shed),
            spread(&self.generator),
        );
        print!("{line}");
        text.push_str(&line);
    }
}

/// The number of connections with which the most documents come out.
async fn best(server: &HttpVariant, request: &Arc<Vec<u8>>, block: Duration) -> Result<usize> {
    let tabs = tabs_of_this_machine();
    let mut best = (0.0, tabs);
    // What was not warm before is so after the first.
    for clients in [tabs, tabs, tabs + 1, 2 * tabs, 3 * tabs] {
        let outcome = load::run(server.address, std::slice::from_ref(request), clients, Until::Elapsed(block)).await?;
        if outcome.per_second() > best.0 {
            best = (outcome.per_second(), clients);
        }
    }
    Ok(best.1)
}
