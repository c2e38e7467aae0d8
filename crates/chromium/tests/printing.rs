//! What a caller of the pool gets for a document.

mod support;

use std::time::Duration;

use chromium::{ChromiumError, Lane, Outline, Phase, PrintJob, Scripts, Tagged, Turn};
use support::{job, soon, text};

#[tokio::test(flavor = "multi_thread")]
async fn the_words_of_a_document_come_out_of_its_pdf() {
    let pool = support::start(|_| {}).await;
    let printed = pool.print(job("<h1>Invoice 4711</h1><p>Grüße, 世界"), soon()).await.unwrap();
    assert_eq!(printed.lane, Lane::Fast);
    assert_eq!(printed.attempts, 1);
    assert_eq!(text(&printed.pdf), "Invoice 4711 Grüße, 世界");
    let status = pool.status();
    assert_eq!((status.healthy_tabs, status.browsers, status.restarts), (3, 1, 0));
    assert!(status.version.contains("Chrome/"), "{}", status.version);
    pool.close().await;
}
