//! The command line of the browser.

use std::ffi::OsString;

use crate::executable::{Kind, kind_of};
use crate::{PoolOptions, Sandbox, egress};

/// Measured or needed; the reasons stand beside the ones that are not plain.
const BASE: [&str; 24] = [
    "--remote-debugging-pipe",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--no-default-browser-check",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-default-apps",
    "--disable-client-side-phishing-detection",
    "--disable-domain-reliability",
    "--disable-dev-shm-usage",
    "--disable-extensions",
    "--mute-audio",
    "--hide-scrollbars",
    "--disable-breakpad",
    "--disable-crash-reporter",
    "--disable-background-timer-throttling",
    "--disable-backgrounding-occluded-windows",
    "--disable-renderer-backgrounding",
    // The same output on hosts with different screens.
    "--force-color-profile=srgb",
    "--font-render-hinting=none",
    // A reset by navigation keeps its frame: 9 instead of 20 CPU-ms.
    "--disable-features=RenderDocument,Translate,MediaRouter,OptimizationHints,WebUIOmniboxPopup",
    // Without it `HeadlessExperimental.beginFrame` is refused, which scripted documents need.
    "--run-all-compositor-stages-before-draw",
];

/// All arguments but the profile directory.
pub(crate) fn arguments(options: &PoolOptions) -> Vec<OsString> {
    let mut arguments: Vec<OsString> = BASE.iter().chain(&egress::FLAGS).map(OsString::from).collect();
    if kind_of(&options.executable) == Kind::Full {
        arguments.push("--headless".into());
    }
    if options.sandbox == Sandbox::Off {
        arguments.push("--no-sandbox".into());
    }
    arguments
}
