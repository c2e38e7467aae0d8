//! Documents as tables, workbooks, pictures and pages of their own, opened by other programs.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use testkit::pdf;

use crate::running::{KEY, Server, repository};

fn statement() -> Value {
    json!({"key": "statement", "name": "Statement", "document": {"id": "root", "type": "document", "children": [
        {"id": "title", "type": "heading", "level": 1, "content": "Statement of {{customer}}"},
        {"id": "lines", "type": "table", "items": "lines", "columns": [
            {"header": "Day", "field": "day", "format": "date"},
            {"header": "Text", "field": "text"},
            {"header": "Amount", "field": "amount", "format": "currency", "currency": "EUR", "total": "sum"},
        ]},
        {"id": "next", "type": "pageBreak"},
        {"id": "by-kind", "type": "pivotTable", "items": "lines", "rowBy": "kind", "columnBy": "text", "value": "amount"},
    ]}})
}

fn request() -> Value {
    json!({"definition": statement(), "now": "2026-11-21T10:00:00Z", "data": {"customer": "Ada", "lines": [
        {"day": "2026-11-01", "text": "Paper", "kind": "Goods", "amount": 12.5},
        {"day": "2026-11-02", "text": "=HYPERLINK(\"http://evil.example\")", "kind": "Goods", "amount": -2},
    ]}})
}

fn with(fields: &Value) -> Value {
    let mut body = request();
    body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    body
}

/// Status, media type, name and bytes.
async fn made(server: &Server, path: &str, body: &Value) -> (u16, String, String, Vec<u8>) {
    let answer = server.post(path, body).await;
    let header = |name: &str| answer.headers().get(name).map_or_else(String::new, |value| value.to_str().unwrap().to_owned());
    let (status, kind, name) = (answer.status().as_u16(), header("content-type"), header("content-disposition"));
    (status, kind, name, answer.bytes().await.unwrap().to_vec())
}

async fn refused(server: &Server, path: &str, fields: &Value) -> (u16, String, String) {
    let answer = server.post(path, &with(fields)).await;
    let status = answer.status().as_u16();
    let told: Value = answer.json().await.unwrap();
    let said = told["issues"][0]["message"]
        .as_str()
        .map_or_else(|| told["message"].to_string(), |said| format!("{}: {said}", told["issues"][0]["path"].as_str().unwrap()));
    (status, told["code"].as_str().unwrap().to_owned(), said)
}

/// What a program of somebody else says of a file.
fn read_by_python(script: &str, file: &[u8]) -> String {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("file"), file).unwrap();
    let ran = Command::new("python3").arg("-c").arg(script).current_dir(folder.path()).output().unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    String::from_utf8(ran.stdout).unwrap()
}

fn names_in_archive(file: &[u8]) -> String {
    read_by_python("import zipfile; print(' '.join(zipfile.ZipFile('file').namelist()))", file).trim().to_owned()
}

const WORKBOOK: &str = r#"
import zipfile, re, xml.etree.ElementTree as tree
book = zipfile.ZipFile("file")
assert book.testzip() is None
for name in book.namelist():
    if name.endswith((".xml", ".rels")): tree.fromstring(book.read(name))
assert not any("external" in name.lower() for name in book.namelist()), book.namelist()
ns = {"m": "http://schemas.openxmlformats.org/spreadsheetml/2006/main"}
print("sheets", [sheet.get("name") for sheet in tree.fromstring(book.read("xl/workbook.xml")).iterfind(".//m:sheet", ns)])
texts = ["".join(part.text or "" for part in text.iter("{%s}t" % ns["m"])) for text in tree.fromstring(book.read("xl/sharedStrings.xml")).iterfind("m:si", ns)]
sheet = tree.fromstring(book.read("xl/worksheets/sheet1.xml"))
assert not list(sheet.iter("{%s}f" % ns["m"])), "a formula"
for cell in sheet.iterfind(".//m:c", ns):
    value = cell.find("m:v", ns)
    if value is not None: print(cell.get("r"), texts[int(value.text)] if cell.get("t") == "s" else float(value.text))
"#;

#[tokio::test]
async fn a_workbook_has_a_sheet_for_each_table_with_numbers_and_dates_and_no_formula() {
    let server = Server::start();
    let (status, kind, name, file) = made(&server, "/render/xlsx", &request()).await;
    assert_eq!((status, kind.as_str()), (200, "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"));
    assert!(name.contains("document.xlsx"), "{name}");
    let said = read_by_python(WORKBOOK, &file);
    let wanted = "sheets ['lines', 'by-kind']\nA1 Day\nB1 Text\nC1 Amount\nA2 46327.0\nB2 Paper\nC2 12.5\nA3 46328.0\nB3 =HYPERLINK(\"http://evil.example\")\nC3 -2.0\nA4 Total\nC4 10.5\n";
    assert_eq!(said, wanted);
    assert_eq!(made(&server, "/render/xlsx", &request()).await.3, file, "the same request gives the same bytes");
    let of_one =
        made(&server, "/render/xlsx", &with(&json!({"tableId": "by-kind", "xlsx": {"layout": "data", "cellTyping": "text"}}))).await.3;
    assert!(read_by_python(WORKBOOK, &of_one).starts_with("sheets ['by-kind']\nB1 Paper\n"));
}

#[tokio::test]
async fn comma_separated_values_are_of_one_table_or_of_all_in_an_archive() {
    let server = Server::start();
    let (status, kind, _, file) = made(&server, "/render/csv", &with(&json!({"tableId": "lines"}))).await;
    assert_eq!((status, kind.as_str()), (200, "text/csv; charset=utf-8"));
    let text = String::from_utf8(file).unwrap();
    assert!(
        text.starts_with("Day,Text,Amount\r\n")
            && text.contains("\"'=HYPERLINK(\"\"http://evil.example\"\")\"")
            && text.contains("Total,,"),
        "{text}"
    );

    let (_, kind, name, file) = made(&server, "/render/csv", &with(&json!({"csv": {"tables": "all", "bom": true}}))).await;
    assert!(kind == "application/zip" && name.contains("document.zip"), "{kind} {name}");
    assert_eq!(names_in_archive(&file), "lines.csv by-kind.csv");
    let begins = "import zipfile; book = zipfile.ZipFile('file'); print([book.read(name)[:3].hex() for name in book.namelist()])";
    assert_eq!(read_by_python(begins, &file), "['efbbbf', 'efbbbf']\n");

    let (status, code, said) = refused(&server, "/render/csv", &json!({})).await;
    assert!((status, code.as_str()) == (422, "ambiguous_table") && said.contains("lines") && said.contains("by-kind"), "{said}");
    let (status, code, said) = refused(&server, "/render/csv", &json!({"tableId": "line"})).await;
    assert_eq!(
        (status, code.as_str(), said.as_str()),
        (422, "validation_failed", "/tableId: there is no table \"line\"; the document has \"lines\", \"by-kind\"")
    );
    let bare = json!({"definition": {"key": "k", "name": "n", "html": "<p>no table</p>"}});
    for path in ["/render/csv", "/render/xlsx"] {
        let (status, code, _) = refused(&server, path, &bare).await;
        assert_eq!((status, code.as_str()), (422, "no_rendered_tables"));
    }
    // Tables ask no browser.
    let metrics = server.metrics().await;
    assert!(!metrics.contains("pulp_render_phase_seconds_count{phase=\"print\"}"), "{metrics}");
}

#[tokio::test]
async fn a_picture_shows_the_printed_page_in_the_width_and_format_that_were_asked_for() {
    let server = Server::start();
    let page = |fields: Value| with(&json!({ "image": fields }));
    let (status, kind, name, png) = made(&server, "/render/image", &page(json!({"pages": "1", "width": 794}))).await;
    assert_eq!((status, kind.as_str()), (200, "image/png"), "{}", String::from_utf8_lossy(&png));
    assert!(name.contains("document.png"), "{name}");
    assert_eq!(size_of_png(&png), (794, 1123));
    // What poppler draws of the PDF is the same page.
    let printed = server.pdf_of(&request()).await;
    let other = pdf::picture(&printed, 1, 96);
    let share = unlike(&png, &other);
    assert!(share < 0.02, "{share} of the pixels differ");
    let second = made(&server, "/render/image", &page(json!({"pages": 2, "width": 794}))).await.3;
    assert!(unlike(&second, &other) > 0.005, "the second page is another one");

    let (_, kind, _, jpeg) = made(&server, "/render/image", &page(json!({"pages": "1", "format": "jpeg", "width": 400}))).await;
    assert!(kind == "image/jpeg" && jpeg.starts_with(&[0xff, 0xd8, 0xff]), "{kind}");
    let worse = made(&server, "/render/image", &page(json!({"pages": "1", "format": "jpeg", "width": 400, "quality": 10}))).await.3;
    assert!(worse.len() * 2 < jpeg.len(), "{} {}", worse.len(), jpeg.len());
    let (_, kind, _, webp) = made(&server, "/render/image", &page(json!({"pages": "1", "format": "webp", "width": 400}))).await;
    assert!(kind == "image/webp" && webp.starts_with(b"RIFF") && &webp[8..12] == b"WEBP", "{kind}");

    let (_, kind, _, all) = made(&server, "/render/image", &page(json!({"width": 100}))).await;
    assert_eq!((kind.as_str(), names_in_archive(&all).as_str()), ("application/zip", "page-001.png page-002.png"));
    let (status, code, said) = refused(&server, "/render/image", &json!({"image": {"pages": "2-3"}})).await;
    assert_eq!((status, code.as_str(), said.as_str()), (422, "validation_failed", "/image/pages: there is no page 3: the document has 2"));
}

fn size_of_png(png: &[u8]) -> (u32, u32) {
    assert!(png.starts_with(b"\x89PNG\r\n\x1a\n"));
    let side = |at: usize| u32::from_be_bytes(png[at..at + 4].try_into().unwrap());
    (side(16), side(20))
}

/// The share of pixels whose channels differ by more than a third, of two pictures of about the same size.
fn unlike(one: &[u8], other: &[u8]) -> f64 {
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in [("one.png", one), ("other.png", other)] {
        std::fs::write(folder.path().join(name), bytes).unwrap();
    }
    let script = r#"
import zlib, struct, sys
def pixels(path):
    data = open(path, "rb").read(); at = 8; packed = b""
    while at < len(data):
        size, kind = struct.unpack(">I4s", data[at:at+8]); body = data[at+8:at+8+size]; at += 12 + size
        if kind == b"IHDR": width, height, depth, colour = struct.unpack(">IIBB", body[:10])
        if kind == b"IDAT": packed += body
    assert depth == 8, depth
    step = {0: 1, 2: 3, 6: 4}[colour]; raw = zlib.decompress(packed); stride = width * step; rows = []; above = bytearray(stride); at = 0
    for _ in range(height):
        kind = raw[at]; row = bytearray(raw[at+1:at+1+stride]); at += 1 + stride
        for x in range(stride):
            left = row[x-step] if x >= step else 0; up = above[x]; corner = above[x-step] if x >= step else 0
            if kind == 1: row[x] = (row[x] + left) & 255
            elif kind == 2: row[x] = (row[x] + up) & 255
            elif kind == 3: row[x] = (row[x] + (left + up) // 2) & 255
            elif kind == 4:
                p = left + up - corner; a, b, c = abs(p-left), abs(p-up), abs(p-corner)
                row[x] = (row[x] + (left if a <= b and a <= c else up if b <= c else corner)) & 255
        rows.append([row[x] for x in range(0, stride, step)]); above = row
    return rows
one, other = pixels("one.png"), pixels("other.png")
height, width = min(len(one), len(other)), min(len(one[0]), len(other[0]))
assert abs(len(one) - len(other)) <= 2 and abs(len(one[0]) - len(other[0])) <= 2, (len(one), len(other))
print(sum(abs(one[y][x] - other[y][x]) > 85 for y in range(height) for x in range(width)) / (width * height))
"#;
    let ran = Command::new("python3").arg("-c").arg(script).current_dir(folder.path()).output().unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    String::from_utf8(ran.stdout).unwrap().trim().parse().unwrap()
}

#[tokio::test]
async fn pictures_are_bounded_in_number_and_in_size() {
    let server = Server::start();
    let html = format!("<style>p{{break-after:page}}</style>{}", "<p>x</p>".repeat(51));
    let long = json!({"definition": {"key": "k", "name": "n", "html": html}});
    let (status, code, said) = refused(&server, "/render/image", &long).await;
    assert!((status, code.as_str()) == (422, "too_many_pages") && said.contains("at most 50"), "{status} {code} {said}");
    let some = json!({"definition": long["definition"], "image": {"pages": "50-51", "width": 16}});
    let (status, _, _, file) = made(&server, "/render/image", &with(&some)).await;
    assert_eq!((status, names_in_archive(&file).as_str()), (200, "page-050.png page-051.png"));
    let wide = json!({"image": {"pages": "1", "width": 4096}});
    let (status, code, said) = refused(&server, "/render/image", &wide).await;
    assert!((status, code.as_str()) == (422, "validation_failed") && said.starts_with("/image/width: page 1 would have 4096 × "), "{said}");
}

#[tokio::test]
async fn a_self_contained_page_asks_nobody_for_anything_in_a_browser() {
    let server = Server::start();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let outside = format!("http://{}", listener.local_addr().unwrap());
    let came = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&came);
    // Counts whoever comes and hangs up. It ends with the tests.
    std::thread::spawn(move || {
        for _ in listener.incoming() {
            counted.fetch_add(1, Ordering::SeqCst);
        }
    });
    let html = format!(
        "<!doctype html><html><head><link rel=stylesheet href={outside}/a.css><link rel=preconnect href={outside}><meta http-equiv=refresh content='0;url={outside}/b'>\
         <style>p{{background:url({outside}/c.png)}}</style></head><body><p>Words</p><img src={outside}/d.png><iframe src={outside}/e></iframe></body></html>"
    );
    let body = json!({"definition": {"key": "k", "name": "n", "html": html}, "html": {"selfContained": true}});
    let answer = server.post("/render/html", &body).await;
    assert_eq!(answer.headers()["x-render-warnings"], "count=5; codes=css_url,RESOURCE_BLOCKED");
    let page = answer.text().await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let shown = opened(folder.path(), &page);
    assert!(shown.contains("Words"), "{shown}");
    assert_eq!(came.load(Ordering::SeqCst), 0, "the page asks nobody");
    // The same page as it is printed does ask, so that the test would see it.
    let plain = server.post("/render/html", &json!({"definition": body["definition"]})).await.text().await.unwrap();
    opened(folder.path(), &plain);
    assert!(came.load(Ordering::SeqCst) > 0, "a page without rules asks");
}

/// What a browser of its own has made of the page, which it opens as a file.
fn opened(folder: &Path, page: &str) -> String {
    let file = folder.join("page.html");
    std::fs::write(&file, page).unwrap();
    // The one that the scripts of this repository find.
    let script = format!(
        ". scripts/machine.sh; exec timeout 60 \"$(find_browser)\" --headless --no-sandbox --disable-gpu --virtual-time-budget=3000 --user-data-dir={} --dump-dom file://{}",
        folder.join("profile").display(),
        file.display()
    );
    let ran = Command::new("bash").arg("-c").arg(script).current_dir(repository()).env("root", repository()).output().unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    String::from_utf8_lossy(&ran.stdout).into_owned()
}

#[tokio::test]
async fn batches_jobs_and_stored_documents_have_the_same_files() {
    let server = Server::start();
    assert_eq!(server.post("/templates", &statement()).await.status(), 201);
    let item = json!({"template": "statement", "data": request()["data"], "now": request()["now"], "tableId": "lines"});
    let alone = made(&server, "/render/csv", &item).await.3;
    let batch: Value = server
        .post("/render/batch/csv", &json!({"items": [item, {"template": "statement", "data": {"lines": []}}]}))
        .await
        .json()
        .await
        .unwrap();
    assert_eq!((&batch["succeeded"], &batch["results"][1]["error"]["code"]), (&json!(1), &json!("ambiguous_table")), "{batch}");
    assert_eq!(STANDARD.decode(batch["results"][0]["csv"].as_str().unwrap()).unwrap(), alone);
    assert_eq!(
        (&batch["results"][0]["filename"], &batch["results"][0]["contentType"]),
        (&json!("statement.csv"), &json!("text/csv; charset=utf-8"))
    );
    let batch: Value = server.post("/render/batch/xlsx", &json!({"items": [item]})).await.json().await.unwrap();
    let workbook = made(&server, "/render/xlsx", &item).await.3;
    assert_eq!(STANDARD.decode(batch["results"][0]["xlsx"].as_str().unwrap()).unwrap(), workbook);

    let picture = json!({"template": "statement", "data": request()["data"], "image": {"pages": "1", "width": 200}});
    for (format, body, kind) in [("xlsx", &item, "application/vnd"), ("csv", &item, "text/csv"), ("image", &picture, "image/png")] {
        let mut job = body.clone();
        job["format"] = json!(format);
        let job = crate::jobs::ended(&server, &crate::jobs::submitted(&server, &job).await).await;
        assert_eq!(job["status"], "completed", "{job}");
        let content = server.get(&format!("/render/jobs/{}/items/0/content", job["jobId"].as_str().unwrap())).await;
        assert!(content.headers()["content-type"].to_str().unwrap().starts_with(kind), "{format}: {:?}", content.headers());
        let direct = made(&server, &format!("/render/{format}"), body).await.3;
        if format != "image" {
            assert_eq!(content.bytes().await.unwrap(), direct, "{format}");
        }
        let mut stored = body.clone();
        stored["output"] = json!({"store": true, "respondWith": "link"});
        let stored: Value = server.post(&format!("/render/{format}"), &stored).await.json().await.unwrap();
        assert_eq!(stored["format"], format, "{stored}");
    }
    let (status, code, said) = refused(&server, "/render/pdf", &json!({"tableId": "lines"})).await;
    assert_eq!(
        (status, code.as_str(), said.as_str()),
        (422, "validation_failed", "/tableId: is about csv and xlsx, and this makes pdf; leave it out")
    );
    let capabilities: Value = server.get("/capabilities").await.json().await.unwrap();
    assert_eq!(capabilities["formats"], json!(["pdf", "html", "csv", "xlsx", "image"]));
}

#[tokio::test]
async fn the_examples_of_the_page_about_formats_do_what_it_says() {
    let server = Server::start();
    let page = std::fs::read_to_string(repository().join("docs/formats.md")).unwrap();
    let examples: Vec<&str> = page.split("```sh\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    assert_eq!(examples.len(), 5);
    let folder = tempfile::tempdir().unwrap();
    let script = format!("set -euo pipefail\n{}", examples.concat().replace("localhost:3000", &format!("127.0.0.1:{}", server.port())));
    let ran = Command::new("bash").arg("-c").arg(&script).env("KEY", KEY).current_dir(folder.path()).output().unwrap();
    assert!(ran.status.success(), "{script}\n{}\n{}", String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    let file = |name: &str| std::fs::read(folder.path().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
    assert_eq!(String::from_utf8(file("lines.csv")).unwrap(), "Item,Amount\r\nPaper,€12.50\r\nInk,€8.00\r\nTotal,€20.50\r\n");
    assert!(read_by_python(WORKBOOK, &file("statement.xlsx")).contains("B2 12.5\n"));
    assert_eq!(size_of_png(&file("page.png")).0, 600);
    assert!(file("page.jpg").starts_with(&[0xff, 0xd8, 0xff]));
    assert!(String::from_utf8(file("statement.html")).unwrap().contains("Content-Security-Policy"));
}
