//! The signals that end the server: the first one politely, the second one now.

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::error::ServerError;

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
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
            _ = self.hang_up.recv() => "SIGHUP",
        }
    }
}
