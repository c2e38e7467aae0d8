//! Documents with scripts: loaded with frames drawn on request, and ready when fonts and images are.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};

use crate::ChromiumError;
use crate::cdp::{BeginFrame, Evaluate};
use crate::page::{self, Failure};
use crate::session::{CallError, Seen};
use crate::tab::Tab;

/// How often a frame is drawn while a document gets ready; animation frames and observers only run with one.
const FRAME: Duration = Duration::from_millis(10);

/// Refusals in a row after which this browser is taken not to draw frames on request at all.
const REFUSALS: u32 = 50;

/// Resolves once the fonts in use are loaded and every image is decoded or has failed.
const READY: &str = "(async () => { \
    await document.fonts.ready; \
    await Promise.all(Array.from(document.images, image => { image.loading = 'eager'; return image.decode().catch(() => {}); })); \
    await document.fonts.ready; })()";

/// Frames drawn after the load event: one for what waits for a frame, one for what that asked for, one for observers.
const FRAMES_AFTER_LOAD: u64 = 3;

/// Puts the document into the tab, runs its scripts and waits until it is ready.
pub(crate) async fn load(tab: &Tab, html: &str, before: &Seen) -> Result<(), Failure> {
    let (drawn, frames) = watch::channel(0);
    tokio::select! {
        result = settle(tab, html, before, frames) => result,
        never = draw_frames(tab, drawn) => match never {},
    }
}

async fn settle(tab: &Tab, html: &str, before: &Seen, mut frames: watch::Receiver<u64>) -> Result<(), Failure> {
    page::load(tab, html, before).await?;
    let so_far = *frames.borrow();
    // An error means that frames are drawn without us.
    let _ = frames.wait_for(|drawn| *drawn >= so_far + FRAMES_AFTER_LOAD).await;
    let ready = tab.session.call(&Evaluate { expression: READY, await_promise: true, return_by_value: true }).await?;
    match ready.exception_details {
        None => Ok(()),
        Some(exception) => {
            Err(Failure::Final(ChromiumError::Refused { reason: format!("its fonts and images cannot be waited for: {}", exception.text) }))
        }
    }
}

/// Draws frames until dropped, where the tab draws none by itself.
async fn draw_frames(tab: &Tab, drawn: watch::Sender<u64>) -> std::convert::Infallible {
    let mut ticks = interval(FRAME);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut refused_in_a_row = 0;
    while tab.begin_frame_control && refused_in_a_row < REFUSALS {
        ticks.tick().await;
        match tab.session.call(&BeginFrame { no_display_updates: true }).await {
            Ok(_) => {
                refused_in_a_row = 0;
                drawn.send_modify(|drawn| *drawn += 1);
            }
            // Asked for while the page is being replaced, for instance; the next one may do.
            Err(CallError::Refused(_)) => refused_in_a_row += 1,
            Err(_) => break,
        }
    }
    drop(drawn);
    std::future::pending().await
}
