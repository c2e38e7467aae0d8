//! One tab: opened and set up once, then printed in many times.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::runtime::Handle;
use tokio::time::timeout;
use tokio_util::task::task_tracker::TaskTrackerToken;

use crate::browser::Browser;
use crate::cdp::{
    AttachToTarget, CloseTarget, CreateBrowserContext, CreateTarget, DisposeBrowserContext, EnableInspector, EnableLog, EnablePage,
    GetFrameTree, Navigate, SetScriptExecutionDisabled,
};
use crate::session::{CallError, Session};
use crate::{Isolation, egress, memory, page};

/// What a tab is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Script-free documents, many of them.
    Quiet,
    /// One document with scripts.
    Scripted,
}

/// An open tab. Better closed with [`Tab::close`]; a dropped one is closed when somebody gets to it.
#[derive(Debug)]
pub(crate) struct Tab {
    pub(crate) browser: Arc<Browser>,
    pub(crate) session: Session,
    pub(crate) frame_id: String,
    /// The tenant whose documents it has printed, when tenants are kept apart.
    pub(crate) tenant: Option<String>,
    /// Documents printed.
    pub(crate) prints: u32,
    /// Whether frames are drawn only on request.
    pub(crate) begin_frame_control: bool,
    renderer: Option<i32>,
    place: Place,
}

/// A target and its own context, if it has one, in the browser.
#[derive(Debug)]
struct Place {
    browser: Arc<Browser>,
    context_id: Option<String>,
    target_id: Option<String>,
    _open: TaskTrackerToken,
}

impl Tab {
    /// Opens a tab and sets it up, within the housekeeping budget.
    pub(crate) async fn open(browser: &Arc<Browser>, purpose: Purpose) -> Result<Self, CallError> {
        bounded(browser, Self::open_unbounded(browser, purpose)).await
    }

    async fn open_unbounded(browser: &Arc<Browser>, purpose: Purpose) -> Result<Self, CallError> {
        // One at a time, so that a new renderer process belongs to the new tab.
        let mut known = browser.renderers.lock().await;
        let own_context = purpose == Purpose::Scripted || browser.options.isolation == Isolation::Context;
        // From the first command on it cleans up after itself, whatever becomes of this future.
        let mut place = Place { browser: browser.clone(), context_id: None, target_id: None, _open: browser.tabs.token() };
        if own_context {
            let context = browser.call(&CreateBrowserContext { dispose_on_detach: true }).await?;
            place.context_id = Some(context.browser_context_id);
        }
        let (target_id, begin_frame_control) = create_target(browser, place.context_id.as_deref()).await?;
        place.target_id = Some(target_id.clone());
        let attached = browser.call(&AttachToTarget { target_id: &target_id, flatten: true }).await?;
        let session = Session::new(&browser.connection, attached.session_id, &target_id);
        session.call(&EnablePage {}).await?;
        session.call(&EnableInspector {}).await?;
        session.call(&EnableLog {}).await?;
        session.call(&egress::NAVIGATIONS).await?;
        if purpose == Purpose::Quiet {
            session.call(&SetScriptExecutionDisabled { value: true }).await?;
        }
        let frame_id = session.call(&GetFrameTree {}).await?.frame_tree.frame.id;
        let running = browser.renderer_pids().await?;
        let mut fresh = running.difference(&known);
        let renderer = fresh.next().copied().filter(|_| fresh.next().is_none());
        *known = running;
        Ok(Self { browser: browser.clone(), session, frame_id, tenant: None, prints: 0, begin_frame_control, renderer, place })
    }

    /// Opens a tab for script-free documents and prints a small page in it, which loads the default fonts.
    pub(crate) async fn open_warm(browser: &Arc<Browser>) -> Result<Self, CallError> {
        let tab = Self::open(browser, Purpose::Quiet).await?;
        match bounded(browser, page::warm_up(&tab)).await {
            Ok(()) => Ok(tab),
            Err(error) => {
                tab.close().await;
                Err(error)
            }
        }
    }

    /// Puts an empty document with a new realm in the place of whatever is there.
    pub(crate) async fn reset(&self) -> Result<(), CallError> {
        bounded(&self.browser, async {
            let before = self.session.seen();
            let mut changes = self.session.changes();
            let navigated = self.session.call(&Navigate { url: "about:blank" }).await?;
            if let Some(error) = navigated.error_text {
                return Err(CallError::Refused(error));
            }
            let there = changes
                .wait_for(|seen| {
                    seen.crashed || seen.gone || (seen.navigations > before.navigations && seen.loaded_document >= seen.navigated_document)
                })
                .await
                .map(|seen| seen.clone());
            match there {
                Ok(seen) if !seen.crashed && !seen.gone => Ok(()),
                _ => Err(CallError::Crashed),
            }
        })
        .await
    }

    /// Whether it is fit for another document.
    pub(crate) fn is_alive(&self) -> bool {
        self.session.is_alive()
    }

    /// Whether its renderer has grown beyond what only closing gives back.
    pub(crate) fn is_bloated(&self) -> bool {
        let resident = self.renderer.and_then(memory::resident_bytes);
        resident.is_some_and(|bytes| bytes > self.browser.options.recycle.tab_rss_bytes)
    }

    /// Closes it, which ends its renderer even if that is stuck, and its own context.
    pub(crate) async fn close(mut self) {
        self.session.forget();
        self.place.close().await;
        if let Some(pid) = self.renderer {
            self.browser.renderers.lock().await.remove(&pid);
        }
    }
}

impl Drop for Tab {
    fn drop(&mut self) {
        self.session.forget();
    }
}

impl Place {
    async fn close(&mut self) {
        close(self.browser.clone(), self.target_id.take(), self.context_id.take()).await;
    }
}

/// Closes a target and its context. It owns no [`Place`]: a runtime that shuts down drops it unpolled, and what is dropped
/// there must not want to be closed again.
async fn close(browser: Arc<Browser>, target_id: Option<String>, context_id: Option<String>) {
    if !browser.is_alive() {
        return;
    }
    let closed = bounded(&browser, async {
        if let Some(target_id) = &target_id {
            // A crashed target may be gone already; that is what we want.
            let _ = browser.call(&CloseTarget { target_id }).await;
        }
        if let Some(browser_context_id) = &context_id {
            browser.call(&DisposeBrowserContext { browser_context_id }).await?;
        }
        Ok(())
    })
    .await;
    if let Err(error) = closed
        && browser.is_alive()
    {
        tracing::warn!(?error, target_id, "a tab could not be closed");
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let (target_id, context_id) = (self.target_id.take(), self.context_id.take());
        if let Ok(runtime) = Handle::try_current()
            && (target_id.is_some() || context_id.is_some())
            && self.browser.is_alive()
        {
            let (browser, open) = (self.browser.clone(), self.browser.tabs.token());
            runtime.spawn(async move {
                close(browser, target_id, context_id).await;
                drop(open);
            });
        }
    }
}

/// Creates a target with begin-frame control where the browser has it, and remembers where it has not.
async fn create_target(browser: &Browser, context_id: Option<&str>) -> Result<(String, bool), CallError> {
    let controlled = browser.begin_frame_control.load(Ordering::Relaxed);
    let create =
        |enable_begin_frame_control| CreateTarget { url: "about:blank", enable_begin_frame_control, browser_context_id: context_id };
    match browser.call(&create(controlled)).await {
        Err(CallError::Refused(reason)) if controlled => {
            tracing::warn!(reason, "this browser has no begin-frame control; printing costs half as much again");
            browser.begin_frame_control.store(false, Ordering::Relaxed);
            Ok((browser.call(&create(false)).await?.target_id, false))
        }
        created => Ok((created?.target_id, controlled)),
    }
}

/// Housekeeping with its budget; running over it counts as the death of the tab.
async fn bounded<T>(browser: &Browser, work: impl Future<Output = Result<T, CallError>>) -> Result<T, CallError> {
    timeout(browser.options.budgets.housekeeping, work).await.unwrap_or(Err(CallError::TimedOut))
}
