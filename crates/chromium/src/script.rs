//! Documents with scripts: loaded with frames drawn on request, and ready when fonts and images are.

use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};

use crate::ChromiumError;
use crate::cdp::{BeginFrame, Evaluate};
use crate::page::{self, Failure};
use crate::session::{CallError, Seen};
use crate::tab::Tab;

/// How often a frame is drawn while a document gets ready; animation frames and observers only run with one.
const FRAME: Duration = Duration::from_millis(10);

/// Resolves once the fonts in use are loaded and every image is decoded or has failed.
const READY: &str = "(async () => { \
    await document.fonts.ready; \
    await Promise.all(Array.from(document.images, image => { image.loading = 'eager'; return image.decode().catch(() => {}); })); \
    await document.fonts.ready; })()";

/// Puts the document into the tab, runs its scripts and waits until it is ready.
pub(crate) async fn load(tab: &Tab, html: &str, before: &Seen) -> Result<(), Failure> {
    tokio::select! {
        result = settle(tab, html, before) => result,
        never = draw_frames(tab) => match never {},
    }
}

async fn settle(tab: &Tab, html: &str, before: &Seen) -> Result<(), Failure> {
    page::load(tab, html, before).await?;
    let ready = tab.session.call(&Evaluate { expression: READY, await_promise: true, return_by_value: true }).await?;
    match ready.exception_details {
        None => Ok(()),
        Some(exception) => Err(Failure::Final(ChromiumError::Refused {
            reason: format!("its fonts and images cannot be waited for: {}", exception.text),
        })),
    }
}

/// Draws frames until dropped.
async fn draw_frames(tab: &Tab) -> std::convert::Infallible {
    let mut ticks = interval(FRAME);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while tab.begin_frame_control {
        ticks.tick().await;
        match tab.session.call(&BeginFrame { no_display_updates: true }).await {
            // Asked for while the page is being replaced, for instance; the next one may do.
            Ok(_) | Err(CallError::Refused(_)) => {}
            Err(_) => break,
        }
    }
    std::future::pending().await
}
