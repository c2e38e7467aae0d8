//! The comparing run as Markdown: ratios first, guard rails, then every cell.

use std::fmt::Write as _;

use crate::args::RunOptions;
use crate::figures::{Spread, ms_of_us, percentile, real, short, with_range};
use crate::pdf_bytes::Comparison;
use crate::plan::{COMPARED_CLIENTS, Cell, Variant};
use crate::run::{Block, Findings};

/// What a ratio should reach; `None` where nothing is promised for that document.
struct Goals {
    cpu: Option<f64>,
    throughput: Option<f64>,
    over_puppeteer: Option<f64>,
}

fn goals(document: &str) -> Goals {
    let (cpu, over_puppeteer) = match document {
        "invoice" => (Some(0.95), Some(7.0)),
        "letter" => (Some(0.90), Some(10.0)),
        _ => (None, None),
    };
    Goals { cpu, throughput: over_puppeteer.map(|_| 0.85), over_puppeteer }
}

/// A slow answer may take this many times the middle one, at as many clients as tabs.
const TAIL_GOAL: f64 = 2.5;

/// The whole report.
pub fn comparison(findings: &Findings, options: &RunOptions, facts: &[(&str, String)], counted: &str) -> String {
    let mut text = "## Comparison\n\n".to_owned();
    machine(&mut text, facts);
    let _ = writeln!(
        text,
        "Blocks of {} s, {} rounds per document, {} tabs. CPU counted by {counted}.\n",
        short(options.block.as_secs_f64()),
        options.pairs,
        findings.tabs
    );
    ratios(&mut text, findings, &options.documents);
    guard_rails(&mut text, findings, &options.documents);
    for document in &options.documents {
        cells(&mut text, findings, document);
    }
    text
}

/// The machine as a small table.
pub fn machine(text: &mut String, facts: &[(&str, String)]) {
    text.push_str("| | |\n|---|---|\n");
    for (name, value) in facts {
        let _ = writeln!(text, "| {name} | {value} |");
    }
    text.push('\n');
}

impl Findings {
    fn of(&self, document: &str, cell: Cell) -> impl Iterator<Item = &Block> {
        self.blocks.iter().filter(move |block| block.document == document && block.cell == cell)
    }

    /// The quotient of two cells in each round that has both.
    fn pairs(&self, document: &str, over: Cell, under: Cell, figure: impl Fn(&Block) -> f64) -> Option<Spread> {
        let quotient = |above: &Block| {
            let below = self.of(document, under).find(|block| block.round == above.round)?;
            Some(figure(above) / figure(below))
        };
        Spread::of(self.of(document, over).filter_map(quotient))
    }
}

fn judged(spread: Option<Spread>, goal: Option<f64>) -> String {
    let verdict = match (spread, goal) {
        (Some(spread), Some(goal)) if spread.median >= goal => format!(", goal {} met", short(goal)),
        (Some(_), Some(goal)) => format!(", goal {} **missed**", short(goal)),
        _ => String::new(),
    };
    format!("{}{verdict}", with_range(spread))
}

fn ratios(text: &mut String, findings: &Findings, documents: &[String]) {
    let floor = Cell { variant: Variant::Floor, clients: findings.tabs };
    let server = Cell { variant: Variant::Server, clients: 2 * findings.tabs };
    let compared = |variant| Cell { variant, clients: COMPARED_CLIENTS };
    let ours = compared(Variant::Server);
    let _ = writeln!(
        text,
        "| document | E_cpu | E_thr | × puppeteer, docs/s at {COMPARED_CLIENTS} clients | × puppeteer, CPU | × tuned puppeteer, CPU |\n\
         |---|---|---|---|---|---|"
    );
    for document in documents {
        let goals = goals(document);
        let rate = |block: &Block| block.outcome.per_second();
        let times_cheaper = |variant| findings.pairs(document, compared(variant), ours, Block::cpu_ms);
        let _ = writeln!(
            text,
            "| {document} | {} | {} | {} | {} | {} |",
            judged(findings.pairs(document, floor, server, Block::cpu_ms), goals.cpu),
            judged(findings.pairs(document, server, floor, rate), goals.throughput),
            judged(findings.pairs(document, ours, compared(Variant::Puppeteer), rate), goals.over_puppeteer),
            with_range(times_cheaper(Variant::Puppeteer)),
            with_range(times_cheaper(Variant::PuppeteerTuned)),
        );
    }
    text.push('\n');
}

fn tail(block: &Block) -> f64 {
    let sorted = sorted(std::iter::once(block));
    ms_of_us(percentile(&sorted, 990)) / ms_of_us(percentile(&sorted, 500))
}

fn guard_rails(text: &mut String, findings: &Findings, documents: &[String]) {
    text.push_str("Guard rails of the same run:\n\n");
    for (document, comparison) in &findings.bytes {
        let sign = if matches!(comparison, Comparison::Equal { .. }) { "" } else { "**missed:** " };
        let _ = writeln!(text, "* {document}: {sign}{comparison}");
    }
    let at_tabs = Cell { variant: Variant::Server, clients: findings.tabs };
    for document in documents {
        let Some(spread) = Spread::of(findings.of(document, at_tabs).map(tail)) else { continue };
        let verdict = if spread.median <= TAIL_GOAL { "goal met" } else { "goal **missed**" };
        let _ = writeln!(
            text,
            "* {document}: p99 ÷ p50 at {} clients {}, at most {TAIL_GOAL} wanted: {verdict}",
            findings.tabs,
            with_range(Some(spread))
        );
    }
    if findings.most_browsers > 0 {
        let _ = writeln!(text, "* browser processes of pulp-engine: {} (1 wanted)", findings.most_browsers);
    }
    let failed: Vec<&Block> = findings.blocks.iter().filter(|block| block.outcome.failures > 0).collect();
    let count: usize = failed.iter().map(|block| block.outcome.failures).sum();
    let _ = writeln!(text, "* failed requests: {count}");
    for block in failed {
        let first = block.outcome.first_failure.as_deref().unwrap_or_default().replace('\n', " ");
        let (cell, failures) = (block.cell, block.outcome.failures);
        let _ = writeln!(text, "  * {} × {}, {}: {failures}, the first `{first}`", cell.variant.named(), cell.clients, block.document);
    }
    text.push('\n');
}

fn sorted<'a>(blocks: impl Iterator<Item = &'a Block>) -> Vec<u64> {
    let mut latencies: Vec<u64> = blocks.flat_map(|block| block.outcome.latencies_us.iter().copied()).collect();
    latencies.sort_unstable();
    latencies
}

fn cells(text: &mut String, findings: &Findings, document: &str) {
    let mut order: Vec<Cell> = Vec::new();
    for block in findings.blocks.iter().filter(|block| block.document == document) {
        if !order.contains(&block.cell) {
            order.push(block.cell);
        }
    }
    order.sort_by_key(|cell| (format!("{:?}", cell.variant), cell.clients));
    let _ = writeln!(
        text,
        "### {document}\n\n| variant | clients | docs/s | p50 ms | p99 ms | CPU-ms | generator CPU-ms | documents |\n\
         |---|---|---|---|---|---|---|---|"
    );
    for cell in order {
        let blocks = || findings.of(document, cell);
        let latencies = sorted(blocks());
        let generator = |block: &Block| block.generator_cpu.as_secs_f64() * 1000.0 / real(block.outcome.latencies_us.len());
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} | {} | {} | {} |",
            cell.variant.named(),
            cell.clients,
            with_range(Spread::of(blocks().map(|block| block.outcome.per_second()))),
            short(ms_of_us(percentile(&latencies, 500))),
            short(ms_of_us(percentile(&latencies, 990))),
            with_range(Spread::of(blocks().map(Block::cpu_ms))),
            Spread::of(blocks().map(generator)).map_or_else(|| "–".to_owned(), |spread| short(spread.median)),
            latencies.len(),
        );
    }
    text.push('\n');
}
