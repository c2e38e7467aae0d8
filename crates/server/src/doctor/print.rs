//! A page on trial, wherever it is printed.

use std::time::Duration;

use chromium::{Pool, PrintJob};
use tokio::time::Instant;

/// A warm tab prints a word in about 10 ms; a cold machine needs some seconds.
pub const TIMEOUT: Duration = Duration::from_secs(30);

/// Prints a word; says how many milliseconds that took, or why there is no PDF.
pub async fn a_page(pool: &Pool) -> Result<u128, String> {
    let began = Instant::now();
    let job = PrintJob::new("<!doctype html><title>doctor</title><p>Hello</p>".to_owned(), "doctor".to_owned());
    let printed = pool.print(job, began + TIMEOUT).await.map_err(|error| error.to_string())?;
    if printed.pdf.starts_with(b"%PDF-") { Ok(began.elapsed().as_millis()) } else { Err("what it printed is no PDF".to_owned()) }
}
