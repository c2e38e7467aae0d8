//! A process that a test keeps: it ends with the value, and when the test's own process is killed.

use std::process::{Child, Command};
use std::sync::mpsc;
use std::thread;

/// The beginning of a command whose process the kernel kills when the thread that started it ends.
pub(crate) fn command() -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL"]);
    command
}

/// A process under a thread that lives as long as it should.
pub(crate) struct Kept {
    process: u32,
    /// Closed to end the thread.
    stop: Option<mpsc::Sender<()>>,
    keeper: Option<thread::JoinHandle<()>>,
}

impl Kept {
    /// Starts what began with [`command`]. `what` names it when that fails.
    pub(crate) fn start(mut command: Command, what: &'static str) -> Self {
        let (stop, stopped) = mpsc::channel::<()>();
        let (started, process) = mpsc::channel();
        let keeper = thread::spawn(move || {
            let mut child: Child = command.spawn().unwrap_or_else(|error| panic!("setpriv (util-linux) with {what}: {error}"));
            let _ = started.send(child.id());
            let _ = stopped.recv();
            let _ = child.kill();
            let _ = child.wait();
        });
        Self { process: process.recv().unwrap_or_else(|_| panic!("{what} was not started")), stop: Some(stop), keeper: Some(keeper) }
    }

    /// Its process.
    pub(crate) fn process(&self) -> u32 {
        self.process
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(keeper) = self.keeper.take() {
            let _ = keeper.join();
        }
    }
}
