//! What a caller of the pool gets for a document.
#![cfg(test)]

mod support;

use chromium::{ChromiumError, Lane, Margins, Outline, PageSize, Paint, PrintJob, PrintOptions, Tagged, Turn};
use support::{job, pages, soon, text, undated};

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

/// The size of the first page in points, as its PDF says.
fn media_box(pdf: &[u8]) -> String {
    let start = memchr::memmem::find(pdf, b"/MediaBox [").unwrap() + 11;
    let end = start + memchr::memchr(b']', &pdf[start..]).unwrap();
    String::from_utf8_lossy(&pdf[start..end]).into_owned()
}

fn contains(pdf: &[u8], what: &str) -> bool {
    memchr::memmem::find(pdf, what.as_bytes()).is_some()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_print_option_has_its_effect_and_the_same_job_gives_the_same_bytes() {
    let pool = support::start(|options| options.tabs = 2).await;
    let html = "<!DOCTYPE html><html lang=en><title>T</title><h1>One</h1><h2>Two</h2><p style='break-before:page;background:red'>next";
    let print = async |options: PrintOptions| {
        let job = PrintJob { print: options, ..job(html) };
        pool.print(job, soon()).await.map(|printed| printed.pdf)
    };
    let base = || PrintOptions { page_size: PageSize::Options, paper_width_in: 5.0, paper_height_in: 7.0, ..PrintOptions::default() };
    let plain = print(base()).await.unwrap();
    assert_eq!((media_box(&plain).as_str(), pages(&plain)), ("0 0 360 504", 2));
    assert!(!contains(&plain, "/StructTreeRoot") && !contains(&plain, "/Outlines"));
    assert!(undated(&plain) == undated(&print(base()).await.unwrap()));
    let turned = print(PrintOptions { turn: Turn::Landscape, ..base() }).await.unwrap();
    assert_eq!(media_box(&turned), "0 0 504 360");
    let second = print(PrintOptions { page_ranges: "2".to_owned(), ..base() }).await.unwrap();
    assert_eq!(text(&second), "next");
    let tagged = print(PrintOptions { tagged: Tagged::Yes, ..base() }).await.unwrap();
    assert!(contains(&tagged, "/StructTreeRoot"));
    let outlined = print(PrintOptions { tagged: Tagged::Yes, outline: Outline::Yes, ..base() }).await.unwrap();
    assert!(contains(&outlined, "/Outlines"));
    for different in [
        PrintOptions { paint: Paint::InkOnly, ..base() },
        PrintOptions { scale: 0.5, ..base() },
        PrintOptions { margins: Margins::all(1.0), ..base() },
    ] {
        assert!(undated(&print(different).await.unwrap()) != undated(&plain));
    }
    for wrong in [
        PrintOptions { page_ranges: "7-9".to_owned(), ..base() },
        PrintOptions { page_ranges: "nonsense".to_owned(), ..base() },
        PrintOptions { scale: 40.0, ..base() },
        PrintOptions { margins: Margins::all(30.0), ..base() },
    ] {
        let refused = print(wrong.clone()).await;
        assert!(matches!(refused, Err(ChromiumError::Refused { .. })), "{wrong:?}: {refused:?}");
    }
    assert_eq!(pool.status().restarts, 0);
    pool.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_size_of_the_document_wins_when_asked_to() {
    let pool = support::start(|options| options.tabs = 1).await;
    let html = "<style>@page{size:4in 6in;margin:0}</style>x";
    let preferred = pool.print(job(html), soon()).await.unwrap();
    assert_eq!(media_box(&preferred.pdf), "0 0 288 432");
    pool.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_reference_that_keeps_the_load_event_away_does_not_hold_up_the_print() {
    let pool = support::start(|options| options.tabs = 1).await;
    let printed = pool.print(job("<svg><use href='http://icons.example/all.svg#a'/></svg><p>text"), soon()).await.unwrap();
    assert_eq!(text(&printed.pdf), "text");
    assert!(printed.blocked_requests >= 1 && printed.timings.load.as_secs() < 3, "{printed:?}");
    pool.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_request_does_not_cut_a_slow_document_short() {
    let pool = support::start(|options| options.tabs = 1).await;
    let rows = support::each(20_000, |row| format!("<p>row {row}"));
    let html = format!("<img src=http://nowhere.example/>{rows}<p id=end>the end");
    let printed = pool
        .print(PrintJob { print: PrintOptions { page_ranges: "1".to_owned(), ..PrintOptions::default() }, ..job(&html) }, soon())
        .await
        .unwrap();
    assert!(text(&printed.pdf).starts_with("row 0 row 1 row 2"));
    assert_eq!(printed.blocked_requests, 1);
    let scripted = support::scripted(
        "<img src=http://nowhere.example/><p id=o>early<script>const t=Date.now();while(Date.now()-t<1500);o.textContent='late'</script>",
    );
    assert_eq!(text(&pool.print(scripted, soon()).await.unwrap().pdf), "late");
    pool.close().await;
}
