//! The comparing run: start everyone, warm everyone, visit the cells round by round, check the guard rails.

use std::sync::Arc;
use std::time::Duration;

use crate::args::RunOptions;
use crate::error::Result;
use crate::figures::{real, short};
use crate::floor::Floor;
use crate::groups::{Group, Groups};
use crate::load::{self, Outcome, Until};
use crate::pdf_bytes::{self, Comparison};
use crate::plan::{self, Cell, Scope, Variant};
use crate::proc;
use crate::servers::{self, HttpVariant, PuppeteerBrowser};

/// What one cell gave in one round.
#[derive(Debug, Clone)]
pub struct Block {
    /// Which document.
    pub document: String,
    /// Which round, from 0.
    pub round: usize,
    /// Who and how many.
    pub cell: Cell,
    /// Documents, times and failures.
    pub outcome: Outcome,
    /// CPU time of the variant's processes.
    pub cpu: Duration,
    /// CPU time of the generator, counted in no variant.
    pub generator_cpu: Duration,
}

impl Block {
    /// CPU milliseconds of the variant for one document.
    pub fn cpu_ms(&self) -> f64 {
        self.cpu.as_secs_f64() * 1000.0 / real(self.outcome.latencies_us.len())
    }
}

/// Everything a run found.
#[derive(Debug, Default)]
pub struct Findings {
    /// In the order they were measured.
    pub blocks: Vec<Block>,
    /// Per document, how the server's bytes compare with the floor's.
    pub bytes: Vec<(String, Comparison)>,
    /// Browser processes of the server, the most seen after any block.
    pub most_browsers: usize,
    /// Warm tabs of the floor.
    pub tabs: usize,
}

struct Stage {
    floor: Option<Floor>,
    server: Option<HttpVariant>,
    puppeteer: Option<HttpVariant>,
    tuned: Option<HttpVariant>,
    full: Option<HttpVariant>,
}

/// Cores + 1: where the reference saw saturation.
pub fn tabs_of_this_machine() -> usize {
    std::thread::available_parallelism().map_or(2, |cores| cores.get() + 1)
}

/// Runs the whole comparison.
pub async fn run(options: &RunOptions, groups: &Groups) -> Result<Findings> {
    let tabs = tabs_of_this_machine();
    let mut stage = Stage::set(options, groups, tabs).await?;
    let mut findings = Findings { tabs, ..Findings::default() };
    let scope = Scope { tabs, only_ratios: options.only_ratios };
    for document in &options.documents {
        stage.warm(document, options).await?;
        if let Some(comparison) = stage.compare(document, groups).await? {
            println!("{document}: {comparison}");
            findings.bytes.push((document.clone(), comparison));
        }
        for number in 0..options.pairs {
            for cell in plan::round(scope, |variant| stage.has(variant), number) {
                let block = stage.measure(document, cell, number, options.block).await?;
                announce(&block);
                findings.blocks.push(block);
                if let Some(server) = &stage.server {
                    findings.most_browsers = findings.most_browsers.max(server.group.browsers(&options.places.chromium).len());
                }
            }
        }
    }
    Ok(findings)
}

fn announce(block: &Block) {
    let Block { document, round, cell, outcome, .. } = block;
    let (name, clients, rate) = (cell.variant.named(), cell.clients, short(outcome.per_second()));
    let failures = if outcome.failures > 0 { format!(" · {} FAILED", outcome.failures) } else { String::new() };
    println!("{document} round {} · {name} × {clients}: {rate} docs/s · {} CPU-ms{failures}", round + 1, short(block.cpu_ms()));
}

impl Stage {
    async fn set(options: &RunOptions, groups: &Groups, tabs: usize) -> Result<Self> {
        let RunOptions { documents, variants, places, .. } = options;
        let mut stage = Self { floor: None, server: None, puppeteer: None, tuned: None, full: None };
        if variants.server {
            stage.server = Some(servers::start_product(groups, places, documents).await?);
        }
        if variants.floor {
            stage.floor = Some(Floor::start(groups, options, tabs).await?);
        }
        if variants.puppeteer {
            let puppeteer = servers::start_puppeteer(groups, places, documents, PuppeteerBrowser::Shell(&places.chromium)).await?;
            stage.tuned = Some(servers::tuned(&puppeteer, documents)).filter(|_| !options.only_ratios);
            stage.puppeteer = Some(puppeteer);
            if let Some(chrome) = places.chrome.as_deref().filter(|_| !options.only_ratios) {
                stage.full = Some(servers::start_puppeteer(groups, places, documents, PuppeteerBrowser::Full(chrome)).await?);
            }
        }
        Ok(stage)
    }

    fn http(&self, variant: Variant) -> Option<&HttpVariant> {
        match variant {
            Variant::Floor => None,
            Variant::Server => self.server.as_ref(),
            Variant::Puppeteer => self.puppeteer.as_ref(),
            Variant::PuppeteerFull => self.full.as_ref(),
            Variant::PuppeteerTuned => self.tuned.as_ref(),
        }
    }

    fn has(&self, variant: Variant) -> bool {
        self.http(variant).is_some() || (variant == Variant::Floor && self.floor.is_some())
    }

    fn group(&self, variant: Variant) -> Option<Arc<Group>> {
        let floor = self.floor.as_ref().filter(|_| variant == Variant::Floor).map(|floor| &floor.group);
        floor.or_else(|| self.http(variant).map(|http| &http.group)).cloned()
    }

    /// Lets everyone print the document until code is compiled and fonts are loaded.
    async fn warm(&mut self, document: &str, options: &RunOptions) -> Result<()> {
        let length = (options.block / 2).max(Duration::from_secs(1));
        for cell in plan::round(Scope { tabs: tabs_of_this_machine(), only_ratios: true }, |variant| self.has(variant), 0) {
            self.outcome(document, cell, length).await?;
        }
        Ok(())
    }

    async fn outcome(&mut self, document: &str, cell: Cell, length: Duration) -> Result<Outcome> {
        if let (Variant::Floor, Some(floor)) = (cell.variant, &mut self.floor) {
            return floor.run(document, length).await;
        }
        let Some(http) = self.http(cell.variant) else { return Ok(Outcome::default()) };
        load::run(http.address, &[http.request(document)?], cell.clients, Until::Elapsed(length)).await
    }

    async fn measure(&mut self, document: &str, cell: Cell, round: usize, length: Duration) -> Result<Block> {
        let group = self.group(cell.variant);
        let cpu_ns = || group.as_ref().map_or(0, |group| group.cpu_ns());
        let (before, generator_before) = (cpu_ns(), proc::own_cpu());
        let outcome = self.outcome(document, cell, length).await?;
        let cpu = Duration::from_nanos(cpu_ns().saturating_sub(before));
        let generator_cpu = proc::own_cpu().saturating_sub(generator_before);
        Ok(Block { document: document.to_owned(), round, cell, outcome, cpu, generator_cpu })
    }

    async fn compare(&mut self, document: &str, groups: &Groups) -> Result<Option<Comparison>> {
        let (Some(floor), Some(server)) = (&mut self.floor, &self.server) else { return Ok(None) };
        let ours = server.print(document).await?;
        let theirs = floor.print(document, &groups.scratch().join("floor.pdf")).await?;
        Ok(Some(pdf_bytes::compare(&theirs, &ours)))
    }
}
