//! The signals that end the server: the first one politely, the second one now.

use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::config::shutdown::Shutdown;
use crate::error::ServerError;

/// What service managers, containers and clusters send.
const TERMINATE: &str = "SIGTERM";

/// How long a signal leaves others to notice. Somebody at a terminal has no balancer and does not want to wait.
pub fn drain_delay(signal: &str, shutdown: Shutdown) -> Duration {
    if signal == TERMINATE { shutdown.drain_delay } else { Duration::ZERO }
}

/// Listens for SIGTERM (service managers), SIGINT (Ctrl-C) and SIGHUP (a terminal that went away).
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

impl Signals {
    /// From here on the signals no longer kill the process by themselves.
    pub fn listen() -> Result<Self, ServerError> {
        let on = |kind| signal(kind).map_err(ServerError::Runtime);
        Ok(Self { terminate: on(SignalKind::terminate())?, interrupt: on(SignalKind::interrupt())?, hang_up: on(SignalKind::hangup())? })
    }

    /// Waits for the next signal and says its name.
    pub async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => TERMINATE,
            _ = self.interrupt.recv() => "SIGINT",
            _ = self.hang_up.recv() => "SIGHUP",
        }
    }
}
