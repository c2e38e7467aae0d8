//! What a document costs alone, in a batch and in a mail merge, measured in turns on one server.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use crate::args::BatchOptions;
use crate::error::{BenchError, Result, While as _};
use crate::figures::{Spread, real, with_range};
use crate::groups::Groups;
use crate::http::{Connection, request};
use crate::load::{self, Until, described};
use crate::run::tabs_of_this_machine;
use crate::servers::{self, HttpVariant};

/// Words that make each document another one.
const WORDS: [&str; 7] = ["valve", "gearbox", "hydraulics", "rotor", "bearing", "manifold", "seal"];

/// How the documents are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Alone,
    Batch,
    MailMerge,
}

const WAYS: [(Way, &str); 3] = [(Way::Alone, "single renders"), (Way::Batch, "batch"), (Way::MailMerge, "mail merge")];

/// Runs the comparison; gives a table.
pub async fn run(options: &BatchOptions, groups: &Groups, facts: &[(&str, String)]) -> Result<String> {
    let server = servers::start_product(groups, &options.places, &[]).await?;
    let facts = facts.iter().map(|(name, value)| format!("{name}: {value}")).collect::<Vec<_>>().join(" · ");
    let mut text = format!(
        "## Batches and mail merges\n\nCPU milliseconds per document of everything the server starts; {} documents each time, median (least–greatest) of {} rounds. {facts}\n\n\
         | document | way | CPU-ms per document | singles ÷ this |\n|---|---|---|---|\n",
        options.items, options.rounds
    );
    for document in &options.documents {
        store(&server, options, document).await?;
        let mut figures: [Vec<f64>; 3] = Default::default();
        // The first round warms everything.
        for round in 0..=options.rounds {
            let mut order: Vec<usize> = (0..WAYS.len()).collect();
            if round % 2 == 1 {
                order.reverse();
            }
            for at in order {
                let before = server.group.cpu_ns();
                ask(&server, document, options.items, WAYS[at].0).await?;
                let cpu = Duration::from_nanos(server.group.cpu_ns().saturating_sub(before));
                if round > 0 {
                    figures[at].push(cpu.as_secs_f64() * 1000.0 / real(options.items));
                }
            }
        }
        for (at, (_, name)) in WAYS.iter().enumerate() {
            let ratio = Spread::of(figures[0].iter().zip(&figures[at]).map(|(alone, this)| alone / this));
            let line =
                format!("| {document} | {name} | {} | {} |\n", with_range(Spread::of(figures[at].iter().copied())), with_range(ratio));
            print!("{line}");
            text.push_str(&line);
        }
    }
    Ok(text)
}

/// What the template is called: the examples of a new server have plainer names.
fn key(document: &str) -> String {
    format!("measured-{document}")
}

/// Keeps the document as a template in which each render says something else.
async fn store(server: &HttpVariant, options: &BatchOptions, document: &str) -> Result<()> {
    let file = options.places.documents_dir.join(format!("{document}.html"));
    let html = fs::read_to_string(&file).while_doing(|| format!("reading {}", file.display()))?;
    let html = html.replace("customer 1", "customer {{number}}").replace("Invoice 1", "Invoice {{number}}").replace("valve", "{{word}}");
    let definition = json!({"key": key(document), "name": document, "html": html}).to_string();
    let mut connection = Connection::open(server.address).await?;
    let answer = connection.exchange(&request("POST", "/templates/", &server.headers, definition.as_bytes())).await?;
    if answer.status == 201 {
        return Ok(());
    }
    Err(BenchError::Answer { what: format!("storing template `{document}`"), answer: described(answer.status, answer.body) })
}

async fn ask(server: &HttpVariant, document: &str, items: usize, way: Way) -> Result<()> {
    let item = |number: usize| json!({"template": key(document), "data": {"number": number, "word": WORDS[number % WORDS.len()]}});
    if way == Way::Alone {
        let requests: Vec<_> = (0..items)
            .map(|number| Arc::new(request("POST", "/render/pdf", &server.headers, item(number).to_string().as_bytes())))
            .collect();
        let outcome = load::run(server.address, &requests, tabs_of_this_machine(), Until::Sent(items)).await?;
        if outcome.failures > 0 {
            return Err(BenchError::Answer { what: format!("rendering `{document}`"), answer: format!("{} failures", outcome.failures) });
        }
        return Ok(());
    }
    let mode = if way == Way::MailMerge { "mail-merge" } else { "ordinary" };
    let body = json!({"mode": mode, "items": (0..items).map(item).collect::<Vec<_>>()}).to_string();
    let mut connection = Connection::open(server.address).await?;
    let answer = connection.exchange(&request("POST", "/render/batch", &server.headers, body.as_bytes())).await?;
    let all = format!("{{\"total\":{items},\"succeeded\":{items},");
    if answer.status == 200 && answer.body.starts_with(all.as_bytes()) {
        return Ok(());
    }
    Err(BenchError::Answer { what: format!("a batch of `{document}`"), answer: described(answer.status, answer.body) })
}
