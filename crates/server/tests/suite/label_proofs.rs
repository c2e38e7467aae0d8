//! Publishing with proof, from outside: what is let through, what is refused with which pictures, and how to go back.

use std::process::{Command, Stdio};
use std::time::Instant;

use serde_json::{Value, json};

use crate::running::{EDITOR_KEY, KEY, PREVIEW_KEY, Server, answer, wait_until_async};

const PROTECTED: &[(&str, &str)] = &[("PROTECTED_LABELS", "prod"), ("VARIANTS_ENABLED", "true")];
const PROD: &str = "/templates/card/labels/prod";

async fn ask(server: &Server, method: &str, path: &str, body: &Value) -> (u16, Value) {
    let request = reqwest::Client::new().request(method.parse().unwrap(), server.url(path)).header("X-Api-Key", KEY);
    answer(if body.is_null() { request } else { request.json(body) }).await
}

async fn ok(server: &Server, method: &str, path: &str, body: &Value) -> Value {
    let (status, answer) = ask(server, method, path, body).await;
    assert!((200..300).contains(&status), "{method} {path}: {status} {answer}");
    answer
}

/// Asks for something that is refused so.
async fn refused(server: &Server, method: &str, path: &str, body: &Value, status: u16, code: &str) -> Value {
    let (found, answer) = ask(server, method, path, body).await;
    assert_eq!((found, answer["code"].as_str()), (status, Some(code)), "{method} {path}: {answer}");
    answer
}

fn card(html: &str) -> Value {
    let schema = json!({"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]});
    json!({"key": "card", "name": "Card", "html": html, "inputSchema": schema})
}

/// Saves the next version; gives its number.
async fn save(server: &Server, definition: &Value) -> String {
    let current = ok(server, "GET", "/templates/card", &Value::Null).await["currentVersion"].as_str().unwrap().to_owned();
    let request = reqwest::Client::new().put(server.url("/templates/card")).header("X-Api-Key", KEY);
    let (status, saved) = answer(request.header("If-Match", format!("\"{current}\"")).json(definition)).await;
    assert_eq!(status, 200, "{saved}");
    saved["currentVersion"].as_str().unwrap().to_owned()
}

const HELLO: &str = "<h1>Card</h1><p>Dear {{name}}, welcome.</p>";

/// A template with two datasets whose version 1.0.0 is `prod`.
async fn released(server: &Server) {
    ok(server, "POST", "/templates", &card(HELLO)).await;
    for name in ["Anna", "Berta"] {
        ok(server, "PUT", &format!("/templates/card/datasets/{name}"), &json!({"data": {"name": name}})).await;
    }
    ok(server, "PUT", PROD, &json!({"version": "1.0.0"})).await;
}

async fn leads_to(server: &Server) -> String {
    ok(server, "GET", PROD, &Value::Null).await["version"].as_str().unwrap().to_owned()
}

async fn newest_event(server: &Server) -> Value {
    ok(server, "GET", "/audit-events?limit=1", &Value::Null).await["items"][0].clone()
}

/// The width, the height and the pixels of a PNG, read by a program that is not ours.
fn decoded(png: &[u8]) -> (usize, usize, Vec<[u8; 3]>) {
    let mut child = Command::new("python3").args(["-c", DECODE]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("python3");
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), png).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    let size = |at: usize| usize::try_from(u32::from_be_bytes(output.stdout[at..at + 4].try_into().unwrap())).unwrap();
    let pixels = output.stdout[8..].chunks_exact(3).map(|pixel| pixel.try_into().unwrap()).collect();
    (size(0), size(4), pixels)
}

/// Reads a PNG of 8 bits a channel without interlacing by the rules of its specification; prints width, height and RGB.
const DECODE: &str = r#"
import struct, sys, zlib
data = sys.stdin.buffer.read()
assert data[:8] == b"\x89PNG\r\n\x1a\n"
at, packed = 8, b""
while at < len(data):
    size, kind = struct.unpack(">I4s", data[at:at + 8])
    body = data[at + 8:at + 8 + size]
    assert zlib.crc32(kind + body) == struct.unpack(">I", data[at + 8 + size:at + 12 + size])[0]
    if kind == b"IHDR":
        width, height, depth, colour, _, _, interlace = struct.unpack(">IIBBBBB", body)
    if kind == b"IDAT":
        packed += body
    at += 12 + size
assert depth == 8 and colour in (2, 6) and interlace == 0
step = 4 if colour == 6 else 3
raw, line, above, out = zlib.decompress(packed), width * step, bytearray(width * step), bytearray()
for row in range(height):
    kind, now = raw[row * (line + 1)], bytearray(raw[row * (line + 1) + 1:(row + 1) * (line + 1)])
    for i in range(line):
        left, up, corner = now[i - step] if i >= step else 0, above[i], above[i - step] if i >= step else 0
        if kind == 1: add = left
        elif kind == 2: add = up
        elif kind == 3: add = (left + up) // 2
        elif kind == 4:
            p = left + up - corner
            a, b, c = abs(p - left), abs(p - up), abs(p - corner)
            add = left if a <= b and a <= c else up if b <= c else corner
        else: add = 0
        now[i] = (now[i] + add) & 255
    above = now
    for x in range(width):
        out += now[x * step:x * step + 3]
sys.stdout.buffer.write(struct.pack(">II", width, height) + bytes(out))
"#;

/// Where the reddened pixels are: the box of left, top, right and bottom.
fn marked(width: usize, pixels: &[[u8; 3]]) -> Option<(usize, usize, usize, usize)> {
    let is_red = |pixel: &[u8; 3]| pixel[0] > pixel[1].saturating_add(40) && pixel[1].abs_diff(pixel[2]) < 8;
    let places = pixels.iter().enumerate().filter(|(_, pixel)| is_red(pixel)).map(|(at, _)| (at % width, at / width));
    places.fold(None, |area: Option<(usize, usize, usize, usize)>, (x, y)| {
        let (left, top, right, bottom) = area.unwrap_or((x, y, x, y));
        Some((left.min(x), top.min(y), right.max(x), bottom.max(y)))
    })
}

#[tokio::test]
async fn a_version_that_looks_the_same_is_released_without_a_note() {
    let server = Server::start_with(PROTECTED);
    released(&server).await;
    let same = save(&server, &card("<h1>Card</h1>\n<!-- as before --><p class=\"x\">Dear {{name}}, welcome.</p>")).await;
    let moved = ok(&server, "PUT", PROD, &json!({"version": same})).await;
    assert_eq!(moved["version"], json!("1.0.1"));
    let event = newest_event(&server).await;
    assert_eq!((&event["event"], &event["details"]["proofOutcome"]), (&json!("template.label-moved"), &json!("unchanged")), "{event}");
    let proofs = ok(&server, "GET", &format!("{PROD}/proofs"), &Value::Null).await;
    assert_eq!((&proofs["total"], &proofs["items"][0]["outcome"]), (&json!(1), &json!("unchanged")), "{proofs}");
    assert_eq!(proofs["items"][0]["id"], event["details"]["proofId"]);
    let proof = ok(&server, "GET", &format!("{PROD}/proofs/{}", event["details"]["proofId"].as_str().unwrap()), &Value::Null).await;
    assert_eq!(proof["counts"], json!({"unchanged": 2, "not_compared": 0, "changed": 0, "failed": 0}), "{proof}");
    // To where it is, and to a label that does not exist: nothing to prove.
    ok(&server, "PUT", PROD, &json!({"version": "1.0.1"})).await;
    ok(&server, "PUT", "/templates/card/labels/test", &json!({"version": "1.0.0"})).await;
    assert_eq!(ok(&server, "GET", &format!("{PROD}/proofs"), &Value::Null).await["total"], json!(1));
}

#[tokio::test]
async fn a_changed_word_is_refused_with_a_picture_of_it_and_moved_only_by_somebody_who_says_why() {
    let server = Server::start_with(PROTECTED);
    released(&server).await;
    let changed = save(&server, &card("<h1>Card</h1><p>Dear {{name}}, farewell.</p>")).await;
    let told = refused(&server, "PUT", PROD, &json!({"version": changed}), 409, "approval_required").await;
    assert_eq!(leads_to(&server).await, "1.0.0", "nothing was moved");
    assert_eq!(told["proof"]["counts"]["changed"], json!(2), "{told}");
    assert_eq!(told["issues"][0]["path"], json!("/datasets/Anna"));
    let id = told["proof"]["id"].as_str().unwrap();
    let proof = ok(&server, "GET", &format!("{PROD}/proofs/{id}"), &Value::Null).await;
    assert_eq!((&proof["base"], &proof["version"], &proof["outcome"]), (&json!("1.0.0"), &json!("1.0.1"), &json!("changed")), "{proof}");
    let page = &proof["datasets"][1]["differences"][0];
    assert_eq!((&page["page"], &page["change"], &page["picture"]), (&json!(1), &json!("changed"), &json!(2)), "{proof}");

    let path = format!("{PROD}/proofs/{id}/pictures/2");
    let picture = server.get(&path).await;
    assert_eq!((picture.status().as_u16(), picture.headers()["content-type"].to_str().unwrap()), (200, "image/png"));
    assert!(picture.headers()["cache-control"].to_str().unwrap().starts_with("private"), "{:?}", picture.headers());
    let png = picture.bytes().await.unwrap();
    for (key, status) in [(EDITOR_KEY, 200), (PREVIEW_KEY, 403)] {
        let asked = reqwest::Client::new().get(server.url(&path)).header("X-Api-Key", key).send().await.unwrap();
        assert_eq!(asked.status(), status, "a picture shows stored data");
    }
    let (width, height, pixels) = decoded(&png);
    let page_width = (width - 16) / 2;
    let (left, top, right, bottom) = marked(width, &pixels).expect("something is marked");
    assert!(bottom - top < 60 && top > 40 && bottom < height / 4, "one line under the heading is marked: {top}..{bottom} of {height}");
    assert!(left > 40 && right < width - 40, "{left}..{right} of {width}");
    let halves = [0, page_width + 16].map(|from| {
        let half: Vec<[u8; 3]> = pixels.chunks_exact(width).flat_map(|row| row[from..from + page_width].to_vec()).collect();
        marked(page_width, &half)
    });
    assert_eq!(halves[0], halves[1], "the same place on the old page and on the new one");
    let (left, _, right, _) = halves[0].unwrap();
    assert!(left > 120 && right - left < 130, "the greeting before the word is not marked: {left}..{right}");

    refused(&server, "PUT", PROD, &json!({"version": changed, "force": true}), 422, "validation_failed").await;
    refused(&server, "PUT", PROD, &json!({"version": changed, "force": true, "note": "  "}), 422, "validation_failed").await;
    let long = "x".repeat(1001);
    refused(&server, "PUT", PROD, &json!({"version": changed, "force": true, "note": long}), 422, "validation_failed").await;
    refused(&server, "PUT", PROD, &json!({"version": changed, "note": "a note alone"}), 409, "approval_required").await;
    ok(&server, "PUT", PROD, &json!({"version": changed, "force": true, "note": "The campaign is over"})).await;
    assert_eq!(leads_to(&server).await, "1.0.1");
    let event = newest_event(&server).await;
    let details = &event["details"];
    assert_eq!(
        (&details["note"], &details["proofOutcome"], &details["forced"]),
        (&json!("The campaign is over"), &json!("changed"), &json!(true))
    );
    let proofs = ok(&server, "GET", &format!("{PROD}/proofs?limit=1"), &Value::Null).await;
    assert_eq!(proofs["items"][0]["id"], details["proofId"], "{proofs}");
    let history = ok(&server, "GET", &format!("{PROD}/history"), &Value::Null).await;
    assert_eq!((&history["items"][0]["note"], &history["items"][0]["proofId"]), (&details["note"], &details["proofId"]), "{history}");
}

#[tokio::test]
async fn a_schema_that_breaks_callers_and_data_that_no_longer_renders_are_refused() {
    let server = Server::start_with(PROTECTED);
    released(&server).await;
    let mut breaking = card(HELLO);
    breaking["inputSchema"]["required"] = json!(["name", "city"]);
    let breaking = save(&server, &breaking).await;
    let told = refused(&server, "PUT", PROD, &json!({"version": breaking}), 409, "breaking_contract_change").await;
    assert_eq!((&told["proof"]["outcome"], &told["compatibility"]["compatible"]), (&json!("breaking"), &json!(false)), "{told}");

    let failing = save(&server, &card("<h1>Card</h1><p>Dear {{name}}, welcome.</p>{{#if (shout name)}}x{{/if}}")).await;
    let told = ask(&server, "PUT", PROD, &json!({"version": failing})).await;
    assert_eq!((told.0, &told.1["code"], &told.1["proof"]["outcome"]), (409, &json!("approval_required"), &json!("failed")));
    assert_eq!(leads_to(&server).await, "1.0.0");
}

#[tokio::test]
async fn rolling_back_goes_further_back_each_time_and_never_to_and_fro() {
    let server = Server::start_with(PROTECTED);
    released(&server).await;
    for word in ["one", "two"] {
        let version = save(&server, &card(&format!("<p>{{{{name}}}} {word}</p>"))).await;
        ok(&server, "PUT", PROD, &json!({"version": version, "force": true, "note": word})).await;
    }
    let rollback = format!("{PROD}/rollback");
    assert_eq!(ok(&server, "POST", &rollback, &json!({"note": "A customer called"})).await["version"], json!("1.0.1"));
    let event = newest_event(&server).await;
    assert_eq!(
        (&event["event"], &event["details"]["note"]),
        (&json!("template.label-rolled-back"), &json!("A customer called")),
        "{event}"
    );
    let request = reqwest::Client::new().post(server.url(&rollback)).header("X-Api-Key", KEY);
    let (status, told) = answer(request.header("If-Match", "\"1\"")).await;
    assert_eq!((status, &told["code"]), (412, &json!("precondition_failed")), "{told}");
    assert_eq!(ok(&server, "POST", &rollback, &Value::Null).await["version"], json!("1.0.0"));
    refused(&server, "POST", &rollback, &Value::Null, 409, "nothing_to_roll_back").await;
    let history = ok(&server, "GET", &format!("{PROD}/history"), &Value::Null).await;
    let acts: Vec<_> = history["items"].as_array().unwrap().iter().map(|event| event["act"].as_str().unwrap()).collect();
    assert_eq!(acts, ["rollback", "rollback", "move", "move", "move"]);
    refused(&server, "POST", "/templates/card/labels/none/rollback", &Value::Null, 404, "not_found").await;
    refused(&server, "POST", &rollback, &json!({"note": "x".repeat(1001)}), 422, "validation_failed").await;
}

#[tokio::test]
async fn a_label_that_is_taken_back_while_its_move_is_proven_stays_where_it_was_taken() {
    let server = Server::start_with(PROTECTED);
    released(&server).await;
    let second = save(&server, &card("<p>Dear {{name}}</p>")).await;
    ok(&server, "PUT", PROD, &json!({"version": second, "force": true, "note": "shorter"})).await;
    let third = save(&server, &card("<p>{{name}}</p>")).await;
    for number in 0..18 {
        ok(&server, "PUT", &format!("/templates/card/datasets/d{number}"), &json!({"data": {"name": format!("N{number}")}})).await;
    }
    let renders = async || ok(&server, "GET", "/renders?limit=1", &Value::Null).await["total"].as_u64().unwrap_or(0);
    let before = renders().await;
    let (client, url) = (reqwest::Client::new(), server.url(PROD));
    let body = json!({"version": third, "force": true, "note": "shorter still"});
    let moving = tokio::spawn(async move { answer(client.put(url).header("X-Api-Key", KEY).json(&body)).await });
    wait_until_async("the proof is under way", async || (renders().await > before).then_some(())).await;
    let (status, busy) = ask(&server, "POST", &format!("{PROD}/proofs"), &json!({"version": third})).await;
    assert_eq!((status, &busy["code"]), (429, &json!("rate_limited")), "one at a time: {busy}");
    assert!(busy["retryAfter"].as_u64().is_some_and(|seconds| seconds > 0), "{busy}");
    assert_eq!(ok(&server, "POST", &format!("{PROD}/rollback"), &Value::Null).await["version"], json!("1.0.0"));
    let (status, told) = moving.await.unwrap();
    assert_eq!((status, &told["code"]), (409, &json!("conflict")), "{told}");
    assert_eq!(leads_to(&server).await, "1.0.0");
}

/// What has become of the newest event of the label, when it is no longer to come.
async fn settled(server: &Server, id: &str) -> Value {
    wait_until_async("the planned move is settled", async || {
        let history = ok(server, "GET", &format!("{PROD}/history"), &Value::Null).await;
        let event = history["items"].as_array()?.iter().find(|event| event["id"] == json!(id))?.clone();
        (event["status"] != json!("pending")).then_some(event)
    })
    .await
}

#[tokio::test]
async fn a_planned_move_is_proven_when_it_is_planned_and_fails_when_the_label_leads_elsewhere_by_then() {
    let server = Server::start_with(PROTECTED);
    released(&server).await;
    let second = save(&server, &card("<p>Dear {{name}}</p>")).await;
    let schedule = format!("{PROD}/schedule");
    let soon = |seconds: i64| (domain::Clock::system().now() + jiff::SignedDuration::from_secs(seconds)).to_string();
    refused(&server, "POST", &schedule, &json!({"version": second, "effectiveAt": soon(600)}), 409, "approval_required").await;
    let planned = json!({"version": second, "effectiveAt": soon(5), "force": true, "note": "At midnight"});
    let planned = ok(&server, "POST", &schedule, &planned).await;
    let made = settled(&server, planned["id"].as_str().unwrap()).await;
    assert_eq!((&made["status"], &made["note"]), (&json!("applied"), &json!("At midnight")), "{made}");
    assert!(made["proofId"].is_string() && made["proofId"] == planned["proofId"], "{made}");
    let event = newest_event(&server).await;
    assert_eq!((&event["details"]["proofOutcome"], &event["details"]["forced"]), (&json!("changed"), &json!(true)), "{event}");

    let third = save(&server, &card("<p>{{name}}</p>")).await;
    let planned = json!({"version": third, "effectiveAt": soon(8), "force": true, "note": "Later"});
    let planned = ok(&server, "POST", &schedule, &planned).await;
    ok(&server, "POST", &format!("{PROD}/rollback"), &Value::Null).await;
    let failed = settled(&server, planned["id"].as_str().unwrap()).await;
    assert_eq!(failed["status"], json!("failed"), "{failed}");
    let reason = failed["reason"].as_str().unwrap();
    assert!(reason.contains("callers get 1.0.0 now") && reason.contains("proven from 1.0.1"), "{reason}");
    assert_eq!(leads_to(&server).await, "1.0.0");
}

#[tokio::test]
async fn what_is_left_out_has_to_be_answered_for_and_so_has_a_removal_and_a_split() {
    let server = Server::start_with(PROTECTED);
    ok(&server, "POST", "/templates", &card(HELLO)).await;
    ok(&server, "PUT", PROD, &json!({"version": "1.0.0"})).await;
    let same = save(&server, &card(&format!("{HELLO}<!-- -->"))).await;
    let told = refused(&server, "PUT", PROD, &json!({"version": same}), 409, "approval_required").await;
    assert_eq!(told["proof"]["outcome"], json!("incomplete"), "nothing proves nothing: {told}");
    ok(&server, "PUT", "/templates/card/sample", &json!({"name": "Anna"})).await;
    ok(&server, "PUT", PROD, &json!({"version": same})).await;

    for number in 0..21 {
        ok(&server, "PUT", &format!("/templates/card/datasets/d{number}"), &json!({"data": {"name": format!("N{number}")}})).await;
    }
    let told = refused(&server, "PUT", PROD, &json!({"version": "1.0.0"}), 409, "approval_required").await;
    assert_eq!((&told["proof"]["counts"]["unchanged"], &told["proof"]["counts"]["not_compared"]), (&json!(20), &json!(1)), "{told}");

    let other = save(&server, &card("<p>{{name}}</p>")).await;
    ok(&server, "PUT", "/templates/card/labels/test", &json!({"version": other})).await;
    let split = json!({"version": same, "trafficSplit": 50, "controlLabel": "test"});
    refused(&server, "PUT", PROD, &split, 409, "approval_required").await;

    refused(&server, "DELETE", PROD, &Value::Null, 409, "approval_required").await;
    refused(&server, "DELETE", &format!("{PROD}?force=true"), &Value::Null, 422, "validation_failed").await;
    refused(&server, "DELETE", "/templates/card/labels/none?force=true&note=x", &Value::Null, 404, "not_found").await;
    ok(&server, "DELETE", &format!("{PROD}?force=true&note=No%20longer%20sold"), &Value::Null).await;
    let event = newest_event(&server).await;
    assert_eq!((&event["event"], &event["details"]["note"]), (&json!("template.label-removed"), &json!("No longer sold")), "{event}");
    refused(&server, "POST", &format!("{PROD}/proofs"), &json!({"version": same}), 404, "not_found").await;
}

#[tokio::test]
async fn proving_an_invoice_with_three_datasets_takes_a_time_that_can_be_waited_for() {
    let server = Server::start_with(PROTECTED);
    let invoice = ok(&server, "GET", "/templates/invoice", &Value::Null).await;
    let sample = ok(&server, "GET", "/templates/invoice/sample", &Value::Null).await;
    let data = sample.get("data").cloned().unwrap_or_else(|| sample.clone());
    for name in ["a", "b", "c"] {
        ok(&server, "PUT", &format!("/templates/invoice/datasets/{name}"), &json!({"data": data})).await;
    }
    let version = invoice["currentVersion"].as_str().unwrap();
    ok(&server, "PUT", "/templates/invoice/labels/prod", &json!({"version": version})).await;
    let mut definition = invoice["definition"].clone();
    definition["renderConfig"]["margin"] = json!({"top": "31mm", "right": "20mm", "bottom": "20mm", "left": "20mm"});
    let request = reqwest::Client::new().put(server.url("/templates/invoice")).header("X-Api-Key", KEY);
    let (status, saved) = answer(request.header("If-Match", format!("\"{version}\"")).json(&definition)).await;
    assert_eq!(status, 200, "{saved}");
    let started = Instant::now();
    let proof = ok(&server, "POST", "/templates/invoice/labels/prod/proofs", &json!({"version": saved["currentVersion"]})).await;
    println!("a proof of the invoice with three datasets took {:?}: {}", started.elapsed(), proof["datasets"]);
    assert_eq!(proof["outcome"], json!("changed"), "{proof}");
}

/// Takes a template as it is now away, or changes it.
async fn now(server: &Server, method: &str, template: &str, query: &str, body: &Value) -> (u16, Value) {
    let found = ok(server, "GET", &format!("/templates/{template}"), &Value::Null).await;
    let request = reqwest::Client::new().request(method.parse().unwrap(), server.url(&format!("/templates/{template}{query}")));
    let request = request.header("X-Api-Key", KEY).header("If-Match", format!("\"{}\"", found["currentVersion"].as_str().unwrap()));
    answer(if body.is_null() { request } else { request.json(body) }).await
}

#[tokio::test]
async fn a_label_whose_version_lost_a_part_is_led_out_with_force_and_not_rolled_back_onto_it() {
    let server = Server::start_with(PROTECTED);
    let address = json!({"kind": "component", "key": "address", "name": "Address", "html": "<p>12 High Street</p>"});
    ok(&server, "POST", "/templates", &address).await;
    let mut with_part = card("<p>Dear {{name}}</p>{{> address}}");
    with_part["components"] = json!({"address": "address"});
    ok(&server, "POST", "/templates", &with_part).await;
    ok(&server, "PUT", "/templates/card/datasets/Anna", &json!({"data": {"name": "Anna"}})).await;
    ok(&server, "PUT", PROD, &json!({"version": "1.0.0"})).await;
    let without = save(&server, &card(HELLO)).await;

    // The part became another kind of template: the old version makes no document any more.
    let theme = json!({"kind": "theme", "key": "address", "name": "Address", "theme": {"variables": {"ink": "#123456"}}});
    let (status, saved) = now(&server, "PUT", "address", "", &theme).await;
    assert_eq!(status, 200, "{saved}");
    let told = refused(&server, "PUT", PROD, &json!({"version": without}), 409, "approval_required").await;
    assert_eq!((&told["proof"]["outcome"], &told["proof"]["counts"]["failed"]), (&json!("failed"), &json!(1)), "{told}");
    let said = told["issues"][0]["message"].as_str().unwrap();
    assert!(said.contains("the old version 1.0.0") && said.contains("address"), "{told}");

    // And then it is gone.
    let (status, gone) = now(&server, "DELETE", "address", "?force=true", &Value::Null).await;
    assert_eq!(status, 204, "{gone}");
    let told = refused(&server, "PUT", PROD, &json!({"version": without}), 409, "approval_required").await;
    let path = format!("{PROD}/proofs/{}", told["proof"]["id"].as_str().unwrap());
    let proof = ok(&server, "GET", &path, &Value::Null).await;
    assert_eq!((&proof["outcome"], &proof["compatibility"]), (&json!("failed"), &Value::Null), "{proof}");
    ok(&server, "PUT", PROD, &json!({"version": without, "force": true, "note": "The address is gone"})).await;
    assert_eq!(leads_to(&server).await, without);
    let event = newest_event(&server).await;
    assert_eq!((&event["details"]["proofOutcome"], &event["details"]["forced"]), (&json!("failed"), &json!(true)), "{event}");

    let told = refused(&server, "POST", &format!("{PROD}/rollback"), &Value::Null, 409, "conflict").await;
    assert!(told["message"].as_str().unwrap().contains("\"address\""), "the missing part is named: {told}");
    assert_eq!(leads_to(&server).await, without, "nothing was moved");
    let history = ok(&server, "GET", &format!("{PROD}/history"), &Value::Null).await;
    assert_eq!(history["total"], json!(2), "{history}");
    ok(&server, "POST", "/templates/address/undelete", &Value::Null).await;
    ok(&server, "POST", &format!("{PROD}/rollback"), &Value::Null).await;
    assert_eq!(leads_to(&server).await, "1.0.0");
}

#[tokio::test]
async fn data_that_both_versions_are_to_refuse_proves_nothing_about_their_documents() {
    let server = Server::start_with(PROTECTED);
    ok(&server, "POST", "/templates", &card(HELLO)).await;
    ok(&server, "PUT", "/templates/card/datasets/empty", &json!({"data": {}, "expectInvalid": true})).await;
    ok(&server, "PUT", PROD, &json!({"version": "1.0.0"})).await;
    let changed = save(&server, &card("<p>{{name}}, get out!</p>")).await;
    let told = refused(&server, "PUT", PROD, &json!({"version": changed}), 409, "approval_required").await;
    assert_eq!((&told["proof"]["outcome"], &told["proof"]["counts"]["unchanged"]), (&json!("incomplete"), &json!(1)), "{told}");
    // Now the sample is there to make a document of.
    ok(&server, "PUT", "/templates/card/sample", &json!({"name": "Anna"})).await;
    let told = refused(&server, "PUT", PROD, &json!({"version": changed}), 409, "approval_required").await;
    assert_eq!((&told["proof"]["outcome"], &told["issues"][0]["path"]), (&json!("changed"), &json!("/sample")), "{told}");
    let same = save(&server, &card(&format!("{HELLO}<!-- -->"))).await;
    ok(&server, "PUT", PROD, &json!({"version": same})).await;
    // A dataset that makes a document takes the sample's place.
    ok(&server, "PUT", "/templates/card/datasets/valid", &json!({"data": {"name": "Berta"}})).await;
    let proof = ok(&server, "POST", &format!("{PROD}/proofs"), &json!({"version": "1.0.0"})).await;
    let names: Vec<_> = proof["datasets"].as_array().unwrap().iter().map(|found| found["dataset"].as_str()).collect();
    assert_eq!((names, &proof["outcome"]), (vec![Some("valid"), Some("empty")], &json!("unchanged")), "{proof}");
}

#[tokio::test]
async fn the_control_of_a_protected_label_is_not_rolled_back_past_its_protection() {
    let server = Server::start_with(PROTECTED);
    released(&server).await;
    let control = "/templates/card/labels/ctl";
    let never = save(&server, &card("<p>{{name}}, get out!</p>")).await;
    ok(&server, "PUT", control, &json!({"version": never})).await;
    ok(&server, "PUT", control, &json!({"version": "1.0.0"})).await;
    ok(&server, "PUT", PROD, &json!({"version": "1.0.0", "trafficSplit": 0, "controlLabel": "ctl"})).await;
    let told = refused(&server, "POST", &format!("{control}/rollback"), &Value::Null, 409, "approval_required").await;
    assert!(told["message"].as_str().unwrap().contains("PUT"), "{told}");
    assert_eq!(ok(&server, "GET", control, &Value::Null).await["version"], json!("1.0.0"), "nothing was moved");
    refused(&server, "PUT", control, &json!({"version": never}), 409, "approval_required").await;
    ok(&server, "PUT", control, &json!({"version": never, "force": true, "note": "As told"})).await;
    // Back to what callers of the protected label get anyway, and without a split, nothing is in the way.
    ok(&server, "POST", &format!("{control}/rollback"), &Value::Null).await;
    ok(&server, "PUT", PROD, &json!({"version": "1.0.0"})).await;
    ok(&server, "PUT", control, &json!({"version": never})).await;
    ok(&server, "POST", &format!("{control}/rollback"), &Value::Null).await;
}

#[tokio::test]
async fn a_template_with_a_protected_label_goes_into_the_trash_only_with_somebody_who_says_why() {
    let server = Server::start_with(PROTECTED);
    released(&server).await;
    for query in ["", "?force=true", "?note=Sold"] {
        let (status, told) = now(&server, "DELETE", "card", query, &Value::Null).await;
        assert_eq!((status, &told["code"]), (409, &json!("approval_required")), "{query}: {told}");
        assert!(told["message"].as_str().unwrap().contains("\"prod\""), "{told}");
    }
    let (status, told) = now(&server, "DELETE", "card", &format!("?force=true&note={}", "x".repeat(1001)), &Value::Null).await;
    assert_eq!(status, 422, "{told}");
    assert_eq!(leads_to(&server).await, "1.0.0");
    let (status, told) = now(&server, "DELETE", "card", "?force=true&note=No%20longer%20sold", &Value::Null).await;
    assert_eq!(status, 204, "{told}");
    let event = newest_event(&server).await;
    assert_eq!((&event["event"], &event["details"]["note"]), (&json!("template.deleted"), &json!("No longer sold")), "{event}");
    let purged = reqwest::Client::new().delete(server.url("/templates/card?permanent=true")).header("X-Api-Key", KEY).send().await.unwrap();
    assert_eq!(purged.status(), 204, "in the trash nobody gets it any more");
}
