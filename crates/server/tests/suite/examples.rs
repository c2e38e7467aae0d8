//! Every folder of `examples/`, printed by a real server: its data, its pages, their words and what they look like.
//!
//! The pictures beside a template are what its pages looked like when somebody last looked at them. After a change that is meant,
//! `RENEW_EXAMPLES=1 cargo test -p server --test suite examples` draws them anew; look at them before they are committed.

#[path = "examples/expected.rs"]
mod expected;
#[path = "examples/picture.rs"]
mod picture;

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};
use testkit::pdf;

use crate::running::{KEY, Server, answer, repository};
use expected::{EXPECTED, Expected};
use picture::{DPI, Picture};

/// A file of an example.
fn read(example: &str, file: &str) -> Value {
    let path = folder(example).join(file);
    serde_json::from_slice(&fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))).expect("JSON")
}

fn folder(example: &str) -> PathBuf {
    repository().join("examples").join(example)
}

fn data(example: &str) -> Value {
    read(example, "request.json")["data"].take()
}

/// What a caller gets who sends a template along, and no moment that would be another tomorrow.
async fn printed(server: &Server, template: &Value, data: &Value) -> Vec<u8> {
    let mut definition = template.clone();
    definition.as_object_mut().expect("a template is an object").remove("key");
    server.pdf_of(&json!({"definition": definition, "data": data, "now": "2026-11-22T09:00:00Z"})).await
}

/// Stores the templates that the server did not bring along.
async fn with_templates() -> Server {
    let server = Server::start();
    for Expected { name, .. } in EXPECTED {
        if server.get(&format!("/templates/{name}")).await.status() == 404 {
            let stored = server.post("/templates", &read(name, "template.json")).await;
            let status = stored.status();
            assert_eq!(status, 201, "{name}: {}", stored.text().await.unwrap_or_default());
        }
    }
    server
}

/// Without the invisible marks of direction that a reader of PDFs puts in as it likes.
fn without_marks(text: &str) -> String {
    text.chars()
        .filter(|character| !matches!(character, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'))
        .collect()
}

#[test]
fn every_folder_of_examples_has_a_template_a_request_and_expectations() {
    let entries = fs::read_dir(repository().join("examples")).expect("the examples");
    let folders: BTreeSet<String> = entries
        .map(|entry| entry.expect("an entry"))
        .filter(|entry| entry.path().is_dir())
        .map(|entry| entry.file_name().into_string().expect("a name in UTF-8"))
        .collect();
    let expected: BTreeSet<String> = EXPECTED.iter().map(|example| example.name.to_owned()).collect();
    assert_eq!(folders, expected, "folders of examples/ on the left, those that are tested on the right");
    let list = fs::read_to_string(repository().join("examples/README.md")).expect("the list of examples");
    for name in &folders {
        let (template, request) = (read(name, "template.json"), read(name, "request.json"));
        assert_eq!((template["key"].as_str(), request["template"].as_str()), (Some(name.as_str()), Some(name.as_str())));
        assert!(template["inputSchema"]["required"].as_array().is_some_and(|required| !required.is_empty()), "{name}");
        assert!(list.contains(&format!("({name}/template.json)")), "{name} is missing in examples/README.md");
    }
}

#[tokio::test]
async fn each_example_prints_its_words_in_order_on_their_pages_and_without_a_warning() {
    let server = with_templates().await;
    for example in EXPECTED {
        let answer = server.post("/render/pdf", &read(example.name, "request.json")).await;
        assert_eq!(answer.headers().get("x-render-warnings"), None, "{}", example.name);
        let (status, bytes) = (answer.status(), answer.bytes().await.expect("the whole answer"));
        assert_eq!(status, 200, "{}: {}", example.name, String::from_utf8_lossy(&bytes));
        assert_eq!(pdf::page_count(&bytes), example.pages(), "pages of {}", example.name);
        for (page, words) in (1..).zip(example.words) {
            let text = without_marks(&pdf::page_words(&bytes, page));
            let mut rest = text.as_str();
            for word in *words {
                let at = rest.find(word).unwrap_or_else(|| panic!("{} page {page} has no {word:?} in its place:\n{text}", example.name));
                rest = &rest[at + word.len()..];
            }
        }
    }
}

#[tokio::test]
async fn data_without_a_field_that_an_example_requires_is_refused_by_its_name() {
    let server = with_templates().await;
    for Expected { name, .. } in EXPECTED {
        let template = read(name, "template.json");
        for field in template["inputSchema"]["required"].as_array().expect("required fields") {
            let field = field.as_str().expect("a name");
            let mut request = read(name, "request.json");
            request["data"].as_object_mut().expect("an object").remove(field);
            let client = reqwest::Client::new();
            let (status, refusal) = answer(client.post(server.url("/render/pdf")).header("X-Api-Key", KEY).json(&request)).await;
            assert_eq!((status, refusal["code"].as_str()), (422, Some("validation_failed")), "{name} without {field}: {refusal}");
            let is_named = |issue: &Value| issue["message"].as_str().is_some_and(|message| message.contains(&format!("\"{field}\"")));
            assert!(refusal["issues"].as_array().is_some_and(|issues| issues.iter().any(is_named)), "{name} without {field}: {refusal}");
        }
    }
}

#[tokio::test]
async fn the_sample_data_that_is_made_from_the_schema_of_an_example_prints_too() {
    let server = with_templates().await;
    for Expected { name, .. } in EXPECTED {
        let sample: Value = server.get(&format!("/templates/{name}/sample")).await.json().await.expect("sample data");
        let data = sample.get("data").unwrap_or(&sample);
        assert!(data.as_object().is_some_and(|data| !data.is_empty()), "{name}: {sample}");
        assert!(server.pdf(name, data).await.starts_with(b"%PDF-"), "{name}");
    }
}

#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "tests have no configuration to read it from")]
async fn each_page_of_the_examples_looks_as_the_picture_beside_its_template() {
    let is_renewed = std::env::var_os("RENEW_EXAMPLES").is_some();
    let server = Server::start();
    let mut different = Vec::new();
    for example in EXPECTED {
        let pdf = printed(&server, &read(example.name, "template.json"), &data(example.name)).await;
        for page in 1..=pdf::page_count(&pdf) {
            let now = Picture::of_page(&pdf, page);
            let file = folder(example.name).join(format!("page-{page}.png"));
            if is_renewed {
                fs::write(&file, now.to_png()).expect("a picture in the repository");
                continue;
            }
            let before = Picture::from_png(&fs::read(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display())));
            let marked = before.changes(&now);
            if !marked.is_empty() {
                let kept = kept_beside(example.name, page, &now, &before.beside(&now, &marked));
                different.push(format!("{} page {page} differs in {} squares: see {kept}", example.name, marked.len()));
            }
        }
        let pictures = fs::read_dir(folder(example.name)).expect("the folder").flatten();
        let pictures = pictures.filter(|entry| entry.path().extension().is_some_and(|kind| kind == "png")).count();
        assert_eq!(u32::try_from(pictures).ok(), Some(pdf::page_count(&pdf)), "pictures beside {}", example.name);
    }
    assert!(different.is_empty(), "{}\nif this is meant, see the first lines of tests/suite/examples.rs", different.join("\n"));
}

/// Keeps the new picture of a page, and the old and the new one beside each other, for people to look at.
fn kept_beside(example: &str, page: u32, now: &Picture, both: &Picture) -> String {
    let kept = repository().join("target/examples").join(example);
    fs::create_dir_all(&kept).expect("a folder for pictures");
    fs::write(kept.join(format!("page-{page}.png")), now.to_png()).expect("a picture");
    let difference = kept.join(format!("page-{page}-difference.png"));
    fs::write(&difference, both.to_png()).expect("a picture");
    difference.canonicalize().expect("a file that was just written").display().to_string()
}

#[tokio::test]
async fn pages_that_are_printed_a_third_of_a_millimetre_elsewhere_still_look_the_same() {
    let server = Server::start();
    for example in EXPECTED {
        let mut template = read(example.name, "template.json");
        for side in ["top", "left"] {
            let margin = &mut template["renderConfig"]["margins"][side];
            let millimetres: f64 = margin.as_str().and_then(|text| text.strip_suffix("mm")?.parse().ok()).expect("millimetres");
            *margin = json!(format!("{}mm", millimetres + 0.3));
        }
        let pdf = printed(&server, &template, &data(example.name)).await;
        for page in 1..=example.pages() {
            let file = folder(example.name).join(format!("page-{page}.png"));
            let before = Picture::from_png(&fs::read(&file).expect("a picture"));
            let (now, name) = (Picture::of_page(&pdf, page), example.name);
            let marked = before.changes(&now);
            if !marked.is_empty() {
                let kept = kept_beside(&format!("{name}-moved"), page, &now, &before.beside(&now, &marked));
                panic!("{name} page {page} differs in {} squares: see {kept}", marked.len());
            }
        }
    }
}

#[tokio::test]
async fn a_moved_column_a_missing_row_and_another_colour_are_seen_and_another_way_of_drawing_is_not() {
    let server = Server::start();
    let (template, data) = (read("invoice", "template.json"), data("invoice"));
    let pdf = printed(&server, &template, &data).await;
    let page = Picture::of_page(&pdf, 1);
    assert_eq!(Picture::from_png(&page.to_png()).changes(&page), [], "a picture is itself");
    let by_poppler = Picture::from_png(&pdf::picture(&pdf, 1, DPI.into()));
    assert_eq!(by_poppler.changes(&page), [], "the same page, drawn by another program with other smoothing");

    let differs = async |template: &Value, data: &Value| {
        let changed = Picture::of_page(&printed(&server, template, data).await, 1);
        page.changes(&changed).len()
    };
    let columns = "/document/children/2/columns";
    assert_eq!(template.pointer(&format!("{columns}/4/header")), Some(&json!("VAT")), "the table of lines");
    for (what, place, value) in [
        ("a column that is 5 mm wider", format!("{columns}/4/width"), json!("20mm")),
        ("a heading in another colour", "/document/children/0/children/1/style/color".to_owned(), json!("#b01020")),
        ("a smaller code", "/document/children/3/children/1/children/0/columns/0/children/0/width".to_owned(), json!(24)),
        ("a text aligned to the other side", "/document/children/0/children/1/style/align".to_owned(), json!("left")),
    ] {
        let mut changed = template.clone();
        *changed.pointer_mut(&place).unwrap_or_else(|| panic!("the template has no {place}")) = value;
        assert!(differs(&changed, &data).await > 0, "{what}");
    }
    let mut shorter = data.clone();
    shorter["items"].as_array_mut().expect("lines").remove(4);
    assert!(differs(&template, &shorter).await > 0, "a row less");
    let mut without_note = data.clone();
    without_note.as_object_mut().expect("an object").remove("note");
    assert!(differs(&template, &without_note).await > 0, "the last line less");
}
