//! Batches with a real browser: documents printed together are those that are printed alone, and a batch that is let go stops.
#![cfg(test)]

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use blobs::{Blobs, Place};
use chromium::{Pool, PoolOptions, Sandbox, find_executable};
use document::Bindings;
use domain::labels::Releases;
use domain::options::RenderOptions;
use domain::usage::RenderMode;
use domain::{Clock, ErrorCode, TenantId};
use render::{
    Attribution, Format, FormatOptions, Limits, Printing, RenderError, RenderRequest, Rendered, Renderer, Setup, Source, UsageOptions,
};
use serde_json::{Value, json};
use store::{ConnectOptions, Store};
use tempfile::TempDir;
use testkit::pdf;
use testkit::postgres::TestDatabase;

/// How long anything is waited for.
const PATIENCE: Duration = Duration::from_mins(1);

struct Fixture {
    renderer: Renderer,
    store: Store,
    pool: Pool,
    _runtime: TempDir,
    _database: TestDatabase,
}

impl Fixture {
    async fn new(limits: Limits) -> Self {
        let database = TestDatabase::create(async |url: &str| {
            store::migrate(url, PATIENCE).await.unwrap();
        })
        .await;
        let store = Store::connect(ConnectOptions::new(database.url())).await.unwrap();
        let runtime = tempfile::tempdir().unwrap();
        let mut options = PoolOptions::new(find_executable(None).unwrap().path, runtime.path().join("run"));
        options.sandbox = Sandbox::Off;
        let pool = Pool::start(options).await.unwrap();
        let place = Place::Folder(runtime.path().join("assets"));
        let setup = Setup {
            store: store.clone(),
            pool: pool.clone(),
            clock: Clock::system(),
            limits,
            blobs: Blobs::open(blobs::Settings { place, limits: blobs::Limits::default() }).await.unwrap(),
            usage: UsageOptions::default(),
            releases: Releases::default(),
            documents: render::DocumentOptions {
                lives: domain::documents::DocumentLives::default(),
                secrets: domain::secrets::Secret::from_random([7; 32]).into(),
            },
            datasets: domain::datasets::DatasetLimits::default(),
            data_urls: None,
        };
        Self { renderer: Renderer::new(setup), store, pool, _runtime: runtime, _database: database }
    }

    /// All results of a batch by their number.
    async fn batch(&self, requests: &[RenderRequest], printing: Printing) -> BTreeMap<usize, Result<Rendered, RenderError>> {
        let items = requests.iter().cloned().enumerate().collect();
        let mut batch = self.renderer.batch(&TenantId::default_tenant(), items, printing).unwrap();
        let mut found = BTreeMap::new();
        while let Some((index, outcome)) = batch.next().await {
            assert!(found.insert(index, outcome.map(|(rendered, _)| rendered)).is_none(), "{index} came twice");
        }
        found
    }

    async fn close(self) {
        self.pool.close(tokio::time::Instant::now() + PATIENCE).await;
        self.store.close().await;
    }
}

fn request(definition: Value, data: Value) -> RenderRequest {
    RenderRequest {
        tenant: TenantId::default_tenant(),
        source: Source::Inline(definition.into()),
        data: data.into(),
        fixed_data: None,
        options: RenderOptions::default(),
        now: Some("2026-11-21T10:00:00Z".parse().unwrap()),
        bindings: Bindings::Lenient,
        format: Format::Pdf,
        format_options: FormatOptions::default(),
        attribution: Attribution { mode: RenderMode::Batch, ..Attribution::default() },
        output: None,
    }
}

/// A page of the benchmarks with a name in its text and its title.
fn page(file: &str) -> Value {
    let path = format!("{}/../../bench/{file}.html", env!("CARGO_MANIFEST_DIR"));
    let html = std::fs::read_to_string(path).unwrap();
    let html = html
        .replace("</title>", " for {{name}}</title>")
        .replace("</body>", "<p>{{name}}</p>{{#each lines}}<p>line {{this}}</p>{{/each}}</body>");
    json!({"key": file, "name": file, "html": html, "renderConfig": {"metadata": {"author": "Office", "subject": "For {{name}}"}}})
}

/// Nodes, with our own style sheet, which has much to say about the first and the last of a page.
fn tree() -> Value {
    json!({
        "key": "tree", "name": "Statement",
        "document": {"type": "document", "id": "root", "children": [
            {"type": "heading", "id": "heading", "level": 1, "content": "Statement of {{name}}"},
            {"type": "text", "id": "due", "content": "Due soon."},
            {"type": "table", "id": "lines", "items": "lines", "columns": [{"header": "Line", "value": "{{this}}"}]}
        ]},
        "renderConfig": {"pageHeader": {"left": "Example Ltd"}}
    })
}

/// A fragment whose body is styled, with margins at its begin and its end.
fn fragment() -> Value {
    let css = "body{margin:12mm 4mm;padding:3mm;font:11pt/1.3 \"Liberation Serif\"}body>p:first-child{margin-top:9mm;color:#600}p:last-child{margin-bottom:20mm}* + *{margin-top:1mm}li{margin:0}";
    let html = "<p>Dear {{name}}</p><ol><li>one</li><li>two</li></ol>{{#each lines}}<div>line {{this}}</div>{{/each}}<p>Yours</p>";
    json!({"key": "fragment", "name": "Fragment", "html": html, "css": css})
}

/// The lines of all pages with their blanks. Whether a blank line stands between two is, for the program, a matter of the last bit
/// of their places; that lines stand where they should is for pictures to show.
fn lines(pdf: &[u8]) -> Vec<String> {
    pdf::words(pdf).split('\n').filter(|line| !line.trim_matches(' ').is_empty()).map(str::to_owned).collect()
}

/// Where two documents differ that should be the same for whoever opens them.
fn difference(one: &[u8], other: &[u8]) -> Option<String> {
    let about = |pdf: &[u8]| {
        let mut info = pdf::info(pdf);
        // Fonts of the others may make it larger.
        info.remove("File size");
        info
    };
    if about(one) != about(other) {
        return Some(format!("{:?} and {:?}", about(one), about(other)));
    }
    if lines(one) != lines(other) {
        return Some(format!("{:#?} and {:#?}", lines(one), lines(other)));
    }
    let differs = |page: &u32| pdf::picture(one, *page, 50) != pdf::picture(other, *page, 50);
    (1..=pdf::page_count(one)).find(differs).map(|page| format!("page {page} looks different"))
}

#[tokio::test(flavor = "multi_thread")]
async fn documents_printed_together_have_the_pages_words_metadata_and_looks_of_documents_printed_alone() {
    let fixture = Fixture::new(Limits::default()).await;
    let mut requests = Vec::new();
    for number in 0..36_usize {
        let definition = match number % 4 {
            0 => page("letter"),
            1 => page("invoice"),
            2 => tree(),
            _ => fragment(),
        };
        let lines: Vec<usize> = (0..[0, 3, 120, 1, 40, 0, 75, 2, 31][number / 4]).collect();
        requests.push(request(definition, json!({"name": format!("Reader № {number}"), "lines": lines})));
    }
    let together = fixture.batch(&requests, Printing::Together).await;
    let alone = fixture.batch(&requests, Printing::Alone).await;
    assert_eq!(together.len(), requests.len());
    for ((index, one), other) in together.into_iter().zip(alone.into_values()) {
        let (one, other) = (one.unwrap(), other.unwrap());
        assert_eq!((one.pages, &one.warnings), (other.pages, &other.warnings), "{index}");
        assert!(pdf::words(&one.body).contains(&format!("Reader № {index}")));
        assert!(one.body != other.body, "{index} was printed alone both times");
        assert_eq!(difference(&one.body, &other.body), None, "document {index}");
    }
    fixture.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_would_come_out_otherwise_among_others_is_printed_alone_and_one_that_fails_spoils_no_other() {
    let fixture = Fixture::new(Limits::default()).await;
    let numbered = |html: &str| json!({"key": "n", "name": "N", "html": html, "renderConfig": {"pageFooter": {"center": "{{pageNumber}} / {{totalPages}}"}}});
    let fixed = json!({"key": "f", "name": "F", "html": "<p>x</p><div style=\"position:fixed;top:0\">stamp of {{name}}</div>"});
    let strict = |name: &str| RenderRequest { bindings: Bindings::Strict, ..request(page("letter"), json!({ name: "Ada", "lines": [] })) };
    let requests = [
        request(numbered("<p>one {{name}}</p>"), json!({"name": "a"})),
        request(numbered("<p>two {{name}}</p>"), json!({"name": "b"})),
        strict("nobody"),
        strict("name"),
        strict("name"),
        request(fixed.clone(), json!({"name": "first"})),
        request(fixed, json!({"name": "second"})),
    ];
    let mut found = fixture.batch(&requests, Printing::Together).await;
    assert_eq!(found.remove(&2).unwrap().unwrap_err().code(), ErrorCode::UnresolvedBindings);
    let words = |index: usize| pdf::words(&found[&index].as_ref().unwrap().body);
    // Blanks in margin boxes are not told of with the layout.
    let numbers = |index: usize| words(index).split_whitespace().collect::<String>();
    assert!(numbers(0).contains("onea1/1") && numbers(1).contains("twob1/1"), "{} {}", words(0), words(1));
    assert!(words(3).contains("Ada") && words(4).contains("Ada"));
    assert!(words(5).contains("stamp of first") && !words(5).contains("second"), "{}", words(5));
    fixture.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_lets_those_pass_who_wait_for_one_document_and_stops_when_nobody_waits_for_it() {
    let fixture = Fixture::new(Limits { batches: 2, ..Limits::default() }).await;
    let long = json!({"key": "long", "name": "Long", "html": format!("<p>{}</p>{{{{name}}}}", "word ".repeat(60_000))});
    let items: Vec<_> = (0..200).map(|number| (number, request(long.clone(), json!({"name": number})))).collect();
    let tenant = TenantId::default_tenant();
    let mut batch = fixture.renderer.batch(&tenant, items.clone(), Printing::Alone).unwrap();
    assert!(batch.next().await.is_some());
    let refused = fixture.renderer.batch(&tenant, items.clone(), Printing::Alone).err().map(|error| error.code());
    assert_eq!(refused, Some(ErrorCode::RenderSaturated), "a tenant has half of the places");
    for _ in 0..5 {
        let asked = Instant::now();
        let one = RenderRequest { attribution: Attribution::default(), ..request(page("letter"), json!({"name": "Ada"})) };
        fixture.renderer.render(one).await.unwrap();
        assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
    }
    drop(batch);
    let started = Instant::now();
    while fixture.pool.status().in_use > 0 || fixture.pool.status().queued > 0 {
        assert!(started.elapsed() < PATIENCE, "{:?}", fixture.pool.status());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    drop(fixture.renderer.batch(&tenant, items, Printing::Alone).unwrap());
    fixture.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_not_begun_by_the_deadline_of_its_batch_is_told_so() {
    let fixture = Fixture::new(Limits { batch_deadline_ms: 0, ..Limits::default() }).await;
    let requests: Vec<_> = (0..40).map(|number| request(page("letter"), json!({"name": number}))).collect();
    let found = fixture.batch(&requests, Printing::Alone).await;
    assert_eq!(found.len(), 40);
    assert!(found.values().any(|outcome| matches!(outcome, Err(RenderError::DeadlineExceeded { deadline_ms: 0 }))));
    fixture.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_of_contents_names_the_page_of_every_heading_also_among_documents_that_are_printed_together() {
    let fixture = Fixture::new(Limits::default()).await;
    let book = json!({
        "key": "book", "name": "Book",
        "document": {"type": "document", "id": "root", "children": [
            {"type": "tableOfContents", "id": "contents", "title": "Contents of {{name}}"},
            {"type": "pageBreak", "id": "break"},
            {"type": "repeater", "id": "chapters", "items": "chapters", "children": [
                {"type": "heading", "id": "heading", "level": 1, "content": "Chapter-{{number}}"},
                {"type": "repeater", "id": "lines", "items": "lines", "children": [{"type": "text", "id": "line", "content": "A line of it."}]}
            ]}
        ]}
    });
    let of = |name: &str, step: usize| {
        let chapters: Vec<Value> = (1..=20).map(|number| json!({"number": number, "lines": vec![0; number * step % 70]})).collect();
        request(book.clone(), json!({"name": name, "chapters": chapters}))
    };
    let found = fixture.batch(&[of("one", 7), of("two", 11), of("three", 23)], Printing::Together).await;
    for (index, outcome) in found {
        let body = outcome.unwrap().body;
        let contents = pdf::page_words(&body, 1);
        let tokens: Vec<&str> = contents.split_whitespace().collect();
        let last = pdf::page_count(&body);
        assert!(last > 5, "{index} has {last} pages");
        for number in 1..=20 {
            let chapter = format!("Chapter-{number}");
            let is_on = |page: &u32| pdf::page_words(&body, *page).split_whitespace().any(|word| word == chapter);
            let page = (2..=last).find(is_on).unwrap_or_else(|| panic!("{chapter} of {index} is on no page"));
            let told = tokens.iter().position(|token| *token == chapter).and_then(|at| tokens.get(at + 1)).copied();
            assert_eq!(told, Some(page.to_string().as_str()), "{chapter} of {index}: {contents}");
        }
    }
    fixture.close().await;
}
