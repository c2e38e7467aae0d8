//! Assets from their upload to the document, through a server as people run it.

use reqwest::multipart::{Form, Part};
use reqwest::{Method, Response};
use serde_json::{Value, json};

use testkit::s3::{ACCESS_KEY_ID, BUCKET, Fault, S3Server};
use testkit::seaweedfs::SECRET_ACCESS_KEY;

use crate::running::{EDITOR_KEY, KEY, RENDER_KEY, Server};

/// The smallest PNG of one grey pixel: its chunks and their checksums are right.
pub const PNG: &[u8] =
    b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\0\0\0\0:~\x9bU\0\0\0\nIDATx\x9cc(\x07\0\0y\0xS3\xe1\xfe\0\0\0\0IEND\xaeB`\x82";
const FONT: &str = "/usr/share/fonts/truetype/liberation/LiberationSans-Bold.ttf";

pub fn part(bytes: impl Into<Vec<u8>>, name: &str, kind: &str) -> Part {
    Part::bytes(bytes.into()).file_name(name.to_owned()).mime_str(kind).unwrap()
}

pub async fn send(server: &Server, method: Method, path: &str, form: Form) -> Response {
    reqwest::Client::new().request(method, server.url(path)).header("X-Api-Key", EDITOR_KEY).multipart(form).send().await.unwrap()
}

pub async fn upload(server: &Server, bytes: &[u8], name: &str, kind: &str) -> Value {
    let answer = send(server, Method::POST, "/assets/upload", Form::new().part("file", part(bytes, name, kind))).await;
    let (status, text) = (answer.status(), answer.text().await.unwrap());
    assert_eq!(status, 201, "{text}");
    serde_json::from_str(&text).unwrap()
}

pub async fn refusal(answer: Response) -> (u16, String, String) {
    let status = answer.status().as_u16();
    let body: Value = answer.json().await.unwrap();
    (status, body["code"].as_str().unwrap().to_owned(), body["message"].as_str().unwrap().to_owned())
}

async fn make_template(server: &Server, definition: &Value) {
    let answer = server.post("/templates", definition).await;
    assert_eq!(answer.status(), 201, "{}", answer.text().await.unwrap());
}

#[tokio::test]
async fn a_picture_is_uploaded_listed_got_and_printed() {
    let server = Server::start();
    let form = Form::new().text("folder", "brand/logos").text("tags", "logo, grey").text("altText", "A dot");
    let answer = send(&server, Method::POST, "/assets/upload", form.part("file", part(PNG, "Company Logo.png", "image/png"))).await;
    assert_eq!(answer.status(), 201);
    let made: Value = answer.json().await.unwrap();
    assert_eq!(made["slug"], "company-logo");
    assert_eq!((made["mimeType"].as_str(), made["sizeBytes"].as_u64()), (Some("image/png"), Some(PNG.len() as u64)));
    assert_eq!((made["folder"].as_str(), &made["tags"]), (Some("brand/logos"), &json!(["logo", "grey"])));

    let listed: Value =
        server.get("/assets/?folder=brand&recursive=true&tag=grey&kind=image&q=dot&include=usage").await.json().await.unwrap();
    assert_eq!((listed["total"].as_u64(), &listed["items"][0]["id"]), (Some(1), &made["id"]));
    assert_eq!(listed["items"][0]["usageCount"], 0);

    let url = made["url"].as_str().unwrap();
    let got = reqwest::get(server.url(url)).await.unwrap();
    assert_eq!(got.status(), 200);
    let headers = got.headers().clone();
    assert_eq!(headers["content-type"], "image/png");
    assert_eq!(headers["cache-control"], "public, max-age=31536000, immutable");
    assert_eq!(headers["x-content-type-options"], "nosniff");
    assert!(headers["content-security-policy"].to_str().unwrap().starts_with("sandbox; default-src 'none'"));
    assert_eq!(got.bytes().await.unwrap(), PNG);
    let ask = |name: &'static str, value: String| {
        let request = reqwest::Client::new().get(server.url(url)).header(name, value);
        async move { request.send().await.unwrap() }
    };
    assert_eq!(ask("If-None-Match", headers["etag"].to_str().unwrap().to_owned()).await.status(), 304);
    let some = ask("Range", "bytes=1-3".to_owned()).await;
    assert_eq!((some.status().as_u16(), some.headers()["content-range"].to_str().unwrap()), (206, &*format!("bytes 1-3/{}", PNG.len())));
    assert_eq!(some.bytes().await.unwrap(), "PNG");
    assert_eq!(ask("Range", "bytes=900-".to_owned()).await.status(), 416);
    let head = reqwest::Client::new().head(server.url(url)).send().await.unwrap();
    assert_eq!(head.headers()["content-length"].to_str().unwrap(), PNG.len().to_string());

    make_template(
        &server,
        &json!({"key": "card", "name": "Card", "document": {"id": "root", "type": "document", "children": [
            {"id": "picture", "type": "image", "src": "asset:company-logo"},
            {"id": "own", "type": "html", "content": "<img src='{{logo}}'><p style=\"background:url(asset:company-logo)\">Hello</p>"},
        ]}}),
    )
    .await;
    let html = server
        .post("/render/html", &json!({"template": "card", "data": {"logo": format!("asset:{}", made["id"].as_str().unwrap())}}))
        .await;
    assert_eq!(html.status(), 200);
    let html = html.text().await.unwrap();
    assert_eq!(html.matches("data:image/png;base64,iVBOR").count(), 3, "{html}");
    assert!(!html.contains("asset:"), "{html}");
    let pdf = server.pdf("card", &json!({"logo": url})).await;
    assert!(pdf.windows(6).any(|bytes| bytes == b"/Image"), "the picture is in the PDF");

    let (status, code, message) =
        refusal(server.post("/render/pdf", &json!({"template": "card", "data": {"logo": "asset:nowhere"}})).await).await;
    assert_eq!((status, code.as_str()), (422, "asset_blocked"));
    assert!(message.contains("Html 1") && message.contains("nowhere"), "{message}");
    let dry: Value = server
        .post("/render/html", &json!({"template": "card", "data": {"logo": "asset:nowhere"}, "dryRun": true}))
        .await
        .json()
        .await
        .unwrap();
    assert_eq!(dry["valid"], false, "{dry}");
}

#[tokio::test]
async fn an_asset_has_versions_and_stays_where_templates_name_it() {
    let server = Server::start();
    let made = upload(&server, PNG, "logo.png", "image/png").await;
    let id = made["id"].as_str().unwrap();
    make_template(&server, &json!({"key": "card", "name": "Card", "html": "<img src=\"asset:logo\">"})).await;

    let ask = |method: Method, path: String, body: Option<Value>| {
        let request = reqwest::Client::new().request(method, server.url(&path)).header("X-Api-Key", EDITOR_KEY);
        let request = match body {
            Some(body) => request.json(&body),
            None => request,
        };
        async move { request.send().await.unwrap() }
    };
    let (status, code, message) = refusal(ask(Method::DELETE, format!("/assets/{id}?force=false"), None).await).await;
    assert_eq!((status, code.as_str()), (409, "asset_in_use"));
    assert!(message.contains("card"), "{message}");
    let renamed = ask(Method::PATCH, format!("/assets/{id}?force=false"), Some(json!({"slug": "mark"}))).await;
    assert_eq!(renamed.status(), 409);
    let body: Value = renamed.json().await.unwrap();
    assert_eq!((&body["referencedBy"][0]["key"], &body["referencedBy"][0]["via"]), (&json!("card"), &json!(["html"])));
    let details: Value = server.get(&format!("/assets/{id}/details")).await.json().await.unwrap();
    assert_eq!((&details["usageCount"], &details["referencedBy"][0]["name"]), (&json!(1), &json!("Card")));

    let svg = b"<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"4\" height=\"4\" onload=\"alert(1)\"><script>alert(2)</script><rect width=\"4\" height=\"4\"/></svg>";
    let replace = |etag: &'static str| {
        let form = Form::new().part("file", part(svg.as_slice(), "logo.svg", "image/svg+xml"));
        let request = reqwest::Client::new().put(server.url(&format!("/assets/{id}/content"))).header("X-Api-Key", EDITOR_KEY);
        async move { request.header("If-Match", etag).multipart(form).send().await.unwrap() }
    };
    assert_eq!(refusal(replace("\"7\"").await).await.1, "precondition_failed");
    assert_eq!(replace("7").await.status(), 400);
    let replaced: Value = replace("\"1\"").await.json().await.unwrap();
    assert_eq!((&replaced["version"], &replaced["svgSanitized"], &replaced["slug"]), (&json!(2), &json!(true), &json!("logo")));
    let cleaned = server.get(replaced["url"].as_str().unwrap()).await.text().await.unwrap();
    assert!(cleaned.contains("rect") && !cleaned.contains("script") && !cleaned.contains("onload"), "{cleaned}");
    // The old address still means the old bytes.
    assert_eq!(server.get(made["url"].as_str().unwrap()).await.bytes().await.unwrap(), PNG);
    let html = server.post("/render/html", &json!({"template": "card"})).await.text().await.unwrap();
    assert!(html.contains("data:image/svg+xml;base64,"), "{html}");

    let restored: Value = ask(Method::POST, format!("/assets/{id}/versions/1/restore"), None).await.json().await.unwrap();
    assert_eq!((&restored["version"], &restored["contentHash"]), (&json!(3), &made["contentHash"]));
    assert_eq!(ask(Method::POST, format!("/assets/{id}/versions/9/restore"), None).await.status(), 404);
    let versions: Value = server.get(&format!("/assets/{id}/versions?limit=2")).await.json().await.unwrap();
    assert_eq!((&versions["total"], &versions["items"][0]["version"]), (&json!(3), &json!(3)));

    upload(&server, PNG, "other.png", "image/png").await;
    let taken = ask(Method::PATCH, format!("/assets/{id}?force=true"), Some(json!({"slug": "other"}))).await;
    assert_eq!(refusal(taken).await.1, "asset_slug_conflict");
    let patched: Value =
        ask(Method::PATCH, format!("/assets/{id}?force=true"), Some(json!({"slug": "mark", "altText": "M", "folder": null})))
            .await
            .json()
            .await
            .unwrap();
    assert_eq!((&patched["slug"], &patched["altText"]), (&json!("mark"), &json!("M")));
    let html = server.post("/render/html", &json!({"template": "card"})).await;
    assert_eq!(refusal(html).await.1, "asset_blocked");
    assert_eq!(ask(Method::DELETE, format!("/assets/{id}?force=true"), None).await.status(), 204);
    assert_eq!(server.get(made["url"].as_str().unwrap()).await.status(), 404);
    let events: Value = server.get("/audit-events?resourceType=asset&limit=20").await.json().await.unwrap();
    let events: Vec<&str> = events["items"].as_array().unwrap().iter().map(|event| event["event"].as_str().unwrap()).collect();
    assert_eq!(events, ["asset.deleted", "asset.updated", "asset.uploaded", "asset.restored", "asset.replaced", "asset.uploaded"]);
}

#[tokio::test]
async fn a_font_prints_under_its_own_name_without_being_installed() {
    let server = Server::start();
    let font = upload(&server, &std::fs::read(FONT).unwrap(), "brand.ttf", "font/ttf").await;
    let info: Value = server.get(&format!("/assets/{}/font-info", font["id"].as_str().unwrap())).await.json().await.unwrap();
    assert_eq!(
        (&info["family"], &info["weight"], &info["style"], &info["format"]),
        (&json!("Liberation Sans"), &json!(700), &json!("normal"), &json!("truetype"))
    );
    let definition =
        |fonts: Value, css: &str| json!({"key": "x", "name": "X", "html": "<p>Hi</p>", "css": css, "renderConfig": {"fonts": fonts}});
    let render = async |definition: Value| server.post("/render/html", &json!({"definition": definition})).await;
    let html = render(definition(json!(["brand"]), "p{font-family:'Liberation Sans'}")).await.text().await.unwrap();
    assert!(
        html.contains("@font-face{font-family:\"Liberation Sans\";font-weight:700;font-style:normal;src:url(data:font/ttf;base64,"),
        "{}",
        &html[..800]
    );
    let html = render(definition(json!([]), "@font-face{font-family:B;src:url('asset:brand')}")).await.text().await.unwrap();
    assert!(html.contains("src:url('data:font/ttf;base64,"), "{}", &html[..800]);
    assert_eq!(refusal(render(definition(json!(["absent"]), "")).await).await.1, "font_asset_missing");
    upload(&server, PNG, "dot.png", "image/png").await;
    assert_eq!(refusal(render(definition(json!(["dot"]), "")).await).await.1, "font_asset_missing");
}

#[tokio::test]
async fn what_is_no_acceptable_upload_is_told_why_and_leaves_nothing() {
    let server = Server::start_with(&[("ASSET_MAX_BYTES", "65536")]);
    let file = |bytes: &[u8], name: &str, kind: &str| Form::new().part("file", part(bytes, name, kind));
    for (form, status, code, said) in [
        (Form::new().text("folder", "x"), 400, "bad_request", "\"file\" is missing"),
        (file(PNG, "a.png", "image/png").text("surprise", "x"), 400, "bad_request", "\"surprise\""),
        (file(PNG, "a.png", "image/png").part("file", part(PNG, "b.png", "image/png")), 400, "bad_request", "twice"),
        (file(b"", "a.png", "image/png"), 400, "bad_request", "empty"),
        (Form::new().text("file", "no file"), 400, "bad_request", "filename"),
        (file(PNG, "a.jpg", "image/jpeg"), 415, "asset_mime_mismatch", "image/jpeg"),
        (file(b"MZ\x90\0 a program", "a.exe", "application/octet-stream"), 415, "unsupported_media_type", "accepted"),
        (file(&PNG[..40], "a.png", "image/png"), 422, "validation_failed", "broken"),
        (file(&[PNG, b"<script>"].concat(), "a.png", "image/png"), 422, "validation_failed", ""),
        (file(&vec![0; 70_000], "a.png", "image/png"), 413, "payload_too_large", "65536"),
        (file(PNG, "a.png", "image/png").text("folder", "a/../b"), 422, "validation_failed", "folder"),
        (file(PNG, "a.png", "image/png").text("tags", "x".repeat(80)), 422, "validation_failed", "tag"),
    ] {
        let answer = refusal(send(&server, Method::POST, "/assets/upload", form).await).await;
        assert_eq!((answer.0, answer.1.as_str()), (status, code), "{said}: {}", answer.2);
        assert!(answer.2.contains(said), "{said}: {}", answer.2);
    }
    let broken = reqwest::Client::new()
        .post(server.url("/assets/upload"))
        .header("X-Api-Key", EDITOR_KEY)
        .header("Content-Type", "multipart/form-data; boundary=x")
        .body("--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.png\"\r\n\r\ncut off");
    let answer = refusal(broken.send().await.unwrap()).await;
    assert_eq!((answer.0, answer.1.as_str()), (400, "bad_request"), "{}", answer.2);
    assert!(answer.2.contains("\"file\""), "{}", answer.2);
    assert_eq!(refusal(server.post("/assets/upload", &json!({})).await).await.0, 415);
    let listed: Value = server.get("/assets").await.json().await.unwrap();
    assert_eq!(listed["total"], 0);
    for (query, said) in
        [("sort=color", "createdAt"), ("kind=film", "image"), ("limit=0", "1000"), ("legacySvg=perhaps", "true"), ("include=all", "usage")]
    {
        let answer = refusal(server.get(&format!("/assets?{query}")).await).await;
        assert!(answer.0 == 400 && answer.2.contains(said), "{query}: {}", answer.2);
    }
}

#[tokio::test]
async fn private_files_are_for_those_who_may_read_assets() {
    let server = Server::start_with(&[("ASSET_ACCESS_MODE", "private")]);
    let made = upload(&server, PNG, "logo.png", "image/png").await;
    let url = server.url(made["url"].as_str().unwrap());
    let status = |key: Option<&'static str>| {
        let request = reqwest::Client::new().get(&url);
        let request = match key {
            Some(key) => request.header("X-Api-Key", key),
            None => request,
        };
        async move { request.send().await.unwrap().status().as_u16() }
    };
    assert_eq!((status(None).await, status(Some(RENDER_KEY)).await), (401, 403));
    assert_eq!((status(Some(EDITOR_KEY)).await, status(Some(KEY)).await), (200, 200));
    let answer = server.get(made["url"].as_str().unwrap()).await;
    assert!(answer.headers()["cache-control"].to_str().unwrap().starts_with("private"));
}

#[tokio::test]
async fn bytes_that_are_lost_are_said_to_be_lost() {
    let server = Server::start();
    let made = upload(&server, PNG, "logo.png", "image/png").await;
    let hash = made["contentHash"].as_str().unwrap();
    let mut found = Vec::new();
    find(&server.data_dir().join("assets"), hash, &mut found);
    assert_eq!(found.len(), 1, "{found:?}");
    std::fs::remove_file(&found[0]).unwrap();
    assert_eq!(refusal(server.get(made["url"].as_str().unwrap()).await).await.1, "ASSET_BINARY_MISSING");
    let definition = json!({"key": "x", "name": "X", "html": "<img src='asset:logo'>"});
    let rendered = server.post("/render/html", &json!({"definition": definition})).await;
    assert_eq!(refusal(rendered).await.1, "ASSET_BINARY_MISSING");
    // The same file again heals it.
    upload(&server, PNG, "again.png", "image/png").await;
    assert_eq!(server.post("/render/html", &json!({"definition": definition})).await.status(), 200);
}

/// The files of a folder whose names hold `part`.
fn find(folder: &std::path::Path, part: &str, found: &mut Vec<std::path::PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            find(&path, part, found);
        } else if path.to_string_lossy().contains(part) {
            found.push(path);
        }
    }
}

/// A picture of this many bytes: the smallest one with much in its middle.
pub fn large_png(size_bytes: usize) -> Vec<u8> {
    let mut file = PNG[..33].to_vec();
    let body: Vec<u8> = (0..=250).cycle().take(size_bytes).collect();
    let mut chunk = b"IDAT".to_vec();
    chunk.extend_from_slice(&body);
    let mut sum = flate2::Crc::new();
    sum.update(&chunk);
    file.extend_from_slice(&u32::try_from(body.len()).unwrap().to_be_bytes());
    file.extend_from_slice(&chunk);
    file.extend_from_slice(&sum.sum().to_be_bytes());
    file.extend_from_slice(&PNG[PNG.len() - 12..]);
    file
}

/// The most memory a process ever had, in bytes.
fn peak_bytes(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").trim().parse::<u64>().unwrap() * 1024
}

#[tokio::test]
async fn two_hundred_megabytes_go_in_and_out_with_flat_memory() {
    let server = Server::start();
    upload(&server, PNG, "warm.png", "image/png").await;
    let before = peak_bytes(server.pid());
    let file = large_png(200_000_000);
    let started = std::time::Instant::now();
    let made = upload(&server, &file, "large.png", "image/png").await;
    let in_s = started.elapsed().as_secs_f64();
    let mut answer = server.get(made["url"].as_str().unwrap()).await;
    assert_eq!(answer.headers()["content-length"].to_str().unwrap(), file.len().to_string());
    let mut got = 0;
    while let Some(chunk) = answer.chunk().await.unwrap() {
        assert_eq!(chunk, file[got..got + chunk.len()]);
        got += chunk.len();
    }
    assert_eq!(got, file.len());
    let grown = peak_bytes(server.pid()) - before;
    println!("200 MB in {in_s:.1} s, in and out {:.1} s, {} MB more at the peak", started.elapsed().as_secs_f64(), grown / 1_000_000);
    assert!(grown < 48_000_000, "{grown}");
    // No document takes it, and it is not even looked at.
    let definition = json!({"key": "x", "name": "X", "html": "<img src='asset:large'>"});
    let (status, code, message) = refusal(server.post("/render/html", &json!({"definition": definition})).await).await;
    assert_eq!((status, code.as_str()), (422, "asset_blocked"), "{message}");
    let grown = peak_bytes(server.pid()) - before;
    assert!(grown < 48_000_000, "{grown}");
}

/// A server whose assets are in that bucket.
pub fn server_with_bucket(endpoint: String) -> Server {
    let endpoint: &'static str = Box::leak(endpoint.into_boxed_str());
    Server::start_with(Box::leak(Box::new([
        ("ASSET_BINARY_STORE", "s3"),
        ("S3_BUCKET", BUCKET),
        ("S3_REGION", "us-east-1"),
        ("S3_ACCESS_KEY_ID", ACCESS_KEY_ID),
        ("S3_SECRET_ACCESS_KEY", SECRET_ACCESS_KEY),
        ("S3_PATH_STYLE", "true"),
        ("S3_PREFIX", "pulp/"),
        ("S3_ENDPOINT", endpoint),
    ])))
}

/// What the server counts of statements about assets.
async fn statements(server: &Server) -> Vec<String> {
    let metrics = server.metrics().await;
    let about_assets = |line: &&str| line.starts_with("pulp_store_statements_total") && line.contains("\"asset");
    let mut lines: Vec<String> = metrics.lines().filter(about_assets).map(str::to_owned).collect();
    lines.sort();
    lines
}

#[tokio::test]
async fn while_the_bucket_is_away_uploads_say_so_and_renders_go_on() {
    let s3 = S3Server::start().unwrap();
    let server = server_with_bucket(s3.endpoint());
    let made = upload(&server, PNG, "logo.png", "image/png").await;
    let definition = json!({"key": "x", "name": "X", "html": "<img src='asset:logo'>"});
    let render = async || server.post("/render/html", &json!({"definition": definition})).await;
    assert_eq!(render().await.status(), 200);

    // A warm one asks nobody.
    let (asked, said) = (s3.count_requests("GET", ""), statements(&server).await);
    assert!(said.iter().any(|line| line.contains("assets.resolve")), "{said:?}");
    assert_eq!(render().await.status(), 200);
    assert_eq!((s3.count_requests("GET", ""), statements(&server).await), (asked, said));

    s3.set_fault(Fault::Closed);
    let form = Form::new().part("file", part(large_png(100), "new.png", "image/png"));
    let answer = send(&server, Method::POST, "/assets/upload", form).await;
    assert!(answer.headers().contains_key("retry-after"));
    let (status, code, message) = refusal(answer).await;
    assert_eq!((status, code.as_str()), (503, "service_unavailable"), "{message}");
    assert!(message.contains("stored files"), "{message}");
    assert_eq!(refusal(server.get(made["url"].as_str().unwrap()).await).await.0, 503);
    assert_eq!(render().await.status(), 200);
    assert!(server.is_ready(), "what is cached renders: the balancer keeps this replica");
    let readiness = async |files: &'static str| {
        let ready = server.get("/health/ready").await;
        assert_eq!(ready.status(), 200, "most of the work goes on");
        let ready: Value = ready.json().await.unwrap();
        assert_eq!(ready["checks"]["storage"], "ok");
        (ready["checks"]["storedFiles"] == files).then(|| ready["status"].as_str().unwrap().to_owned())
    };
    let away = crate::running::wait_until_async("it says what is away", async || readiness("error").await).await;
    assert_eq!(away, "degraded");
    let plain = server.pdf_of(&json!({"definition": {"key": "y", "name": "Y", "html": "<p>no picture</p>"}})).await;
    assert!(plain.starts_with(b"%PDF-"), "what names no asset renders");
    s3.set_fault(Fault::Silent);
    let asked = std::time::Instant::now();
    for _ in 0..20 {
        assert_eq!(readiness("error").await.as_deref(), Some("degraded"));
    }
    assert!(asked.elapsed() < std::time::Duration::from_secs(8), "nobody waits for a place that does not answer: {:?}", asked.elapsed());
    let listed: Value = server.get("/assets").await.json().await.unwrap();
    assert_eq!(listed["total"], 1, "no row is left of an upload without bytes");

    s3.set_fault(Fault::None);
    let back = crate::running::wait_until_async("it is back", async || readiness("ok").await).await;
    assert_eq!(back, "ok");
    let form = Form::new().part("file", part(large_png(100), "new.png", "image/png"));
    assert_eq!(send(&server, Method::POST, "/assets/upload", form).await.status(), 201);
    assert_eq!(server.get(made["url"].as_str().unwrap()).await.status(), 200);
}

#[tokio::test]
async fn files_have_the_address_that_the_operator_gives_them_and_render_by_it() {
    let server = Server::start_with(&[("ASSETS_BASE_URL", "https://files.example.com/pulp/")]);
    let made = upload(&server, PNG, "logo.png", "image/png").await;
    let (id, file, url) = (made["id"].as_str().unwrap(), made["filename"].as_str().unwrap(), made["url"].as_str().unwrap());
    assert_eq!(url, format!("https://files.example.com/pulp/assets/{file}"));
    let versions: Value = server.get(&format!("/assets/{id}/versions")).await.json().await.unwrap();
    assert_eq!(versions["items"][0]["url"], made["url"]);
    assert_eq!(server.get(&format!("/assets/{file}")).await.bytes().await.unwrap(), PNG);

    // Nobody is at that address: what renders was not fetched.
    make_template(
        &server,
        &json!({"key": "card", "name": "Card", "html": format!("<p>{url}</p><img src=\"{url}\"><img src='{{{{logo}}}}'>")}),
    )
    .await;
    let html = server.post("/render/html", &json!({"template": "card", "data": {"logo": url}})).await.text().await.unwrap();
    assert_eq!(html.matches("data:image/png;base64,").count(), 2, "{html}");
    assert!(html.contains(&format!("<p>{url}</p>")), "words for readers stay");
    let details: Value = server.get(&format!("/assets/{id}/details")).await.json().await.unwrap();
    assert_eq!(details["referencedBy"][0]["key"], "card");
}
