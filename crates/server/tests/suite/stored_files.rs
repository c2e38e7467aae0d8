//! Assets in the bucket of a real S3 server, and what goes on while its process is gone.

use reqwest::Method;
use reqwest::multipart::Form;
use serde_json::{Value, json};
use testkit::seaweedfs::SeaweedFs;

use crate::assets::{PNG, large_png, part, refusal, send, server_with_bucket, upload};
use crate::running::wait_until_async;

#[tokio::test]
async fn assets_in_a_real_bucket_are_served_in_parts_and_those_in_memory_outlive_its_process() {
    let Some(mut s3) = SeaweedFs::start() else { return };
    let server = server_with_bucket(s3.endpoint());
    let made = upload(&server, PNG, "logo.png", "image/png").await;
    // Large enough to arrive in parts.
    let file = large_png(12_000_000);
    let large = upload(&server, &file, "large.png", "image/png").await;
    let url = made["url"].as_str().unwrap();
    assert_eq!(server.get(url).await.bytes().await.unwrap(), PNG);
    assert!(server.get(large["url"].as_str().unwrap()).await.bytes().await.unwrap() == file, "the same bytes come back");
    let range = reqwest::Client::new().get(server.url(large["url"].as_str().unwrap())).header("Range", "bytes=9000000-9000999");
    let some = range.send().await.unwrap();
    assert_eq!((some.status().as_u16(), some.headers()["content-length"].to_str().unwrap()), (206, "1000"));
    assert_eq!(some.bytes().await.unwrap(), file[9_000_000..9_001_000]);

    let definition = json!({"key": "x", "name": "X", "html": "<img src='asset:logo'>"});
    let pdf = server.pdf_of(&json!({"definition": definition})).await;
    assert!(pdf.windows(6).any(|bytes| bytes == b"/Image"), "the picture is in the PDF");
    let render = async || server.post("/render/html", &json!({"definition": definition})).await;

    s3.kill();
    let form = || Form::new().part("file", part(large_png(100), "new.png", "image/png"));
    let answer = send(&server, Method::POST, "/assets/upload", form()).await;
    assert!(answer.headers().contains_key("retry-after"));
    let (status, code, message) = refusal(answer).await;
    assert_eq!((status, code.as_str()), (503, "service_unavailable"), "{message}");
    assert!(message.contains("stored files"), "{message}");
    let listed: Value = server.get("/assets").await.json().await.unwrap();
    assert_eq!(listed["total"], 2, "no row is left of an upload without bytes");
    assert_eq!(refusal(server.get(url).await).await.0, 503);
    let html = render().await;
    assert_eq!(html.status(), 200, "what is in memory renders");
    assert!(html.text().await.unwrap().contains("data:image/png;base64,"));
    assert!(server.is_ready(), "and the balancer keeps this replica");

    s3.start_again();
    let again = wait_until_async("uploads work again", async || {
        let answer = send(&server, Method::POST, "/assets/upload", form()).await;
        if answer.status() == 201 { Some(answer.json::<Value>().await.unwrap()) } else { None }
    });
    let again = again.await;
    assert_eq!(server.get(again["url"].as_str().unwrap()).await.bytes().await.unwrap(), large_png(100));
    assert_eq!(server.get(url).await.bytes().await.unwrap(), PNG, "what was kept before is still there");
    let listed: Value = server.get("/assets").await.json().await.unwrap();
    assert_eq!(listed["total"], 3, "each upload that was told to be done is a row, and no other");
}
