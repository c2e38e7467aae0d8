//! When a browser that works is replaced all the same.

use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until};

use crate::browser::Browser;
use crate::memory;

/// How often the limits are looked at; each look reads one file in `/proc`.
const LOOK: Duration = Duration::from_millis(500);

/// Returns when a limit of the browser is reached, with its name, and not before `not_before`.
pub(crate) async fn due(browser: &Browser, not_before: Instant) -> &'static str {
    let limits = &browser.options.recycle;
    sleep_until(not_before).await;
    loop {
        if browser.prints() >= limits.renders_per_browser {
            return "recycle_renders";
        }
        if browser.age() >= limits.age {
            return "recycle_age";
        }
        if memory::resident_bytes(browser.pid()).is_some_and(|bytes| bytes > limits.browser_rss_bytes) {
            return "recycle_memory";
        }
        sleep(LOOK).await;
    }
}
