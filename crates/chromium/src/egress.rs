//! Closing the ways from a document to the network and the disk.
//!
//! Three layers, none of which costs the fast lane anything measurable:
//! * No host resolves. In Chromium 156 this stops addresses written as numbers as well (measured), which is not promised.
//! * Every request, WebSocket included, is sent to a proxy whose name does not resolve either, loopback not excepted.
//!   There is no port on which somebody could listen. Each of the two closes every case of `tests/egress.rs` alone.
//! * Navigations to a URL are aborted through `Fetch`: without it a refused `<meta refresh>` puts Chromium's error page
//!   in the place of the document.
//!
//! Files are out of reach because a document at about:blank may not load `file:` URLs.

use crate::cdp::{FetchEnable, FetchPattern};

/// The launch flags that leave no way out.
pub(crate) const FLAGS: [&str; 5] = [
    "--host-resolver-rules=MAP * ~NOTFOUND",
    "--proxy-server=http://closed.invalid:1",
    "--proxy-bypass-list=<-loopback>",
    // WebRTC would send UDP past any proxy; it exists only where scripts run.
    "--force-webrtc-ip-handling-policy=disable_non_proxied_udp",
    "--webrtc-ip-handling-policy=disable_non_proxied_udp",
];

/// Pauses every navigation that would load a document from somewhere, so that it can be refused.
pub(crate) const NAVIGATIONS: FetchEnable = FetchEnable {
    patterns: &[
        FetchPattern { url_pattern: "http*", resource_type: "Document" },
        FetchPattern { url_pattern: "file*", resource_type: "Document" },
        FetchPattern { url_pattern: "ftp*", resource_type: "Document" },
    ],
};
