//! Ctrl-c and SIGTERM, which end a run.

use std::sync::Arc;

use tokio::runtime::Runtime;
use tokio::sync::watch;

/// What a shell says of a process that ctrl-c has ended: 128 + SIGINT.
const INTERRUPTED: i32 = 130;

/// Has `stop` turn true at the first ctrl-c or SIGTERM; the second ends the process.
/// Both are caught from here on, not only when the network has its first turn (on
/// Unix): who reads that a run listens may end it at once.
pub fn stop_on_signal(network: &Runtime, stop: Arc<watch::Sender<bool>>) {
    let caught = {
        let _network = network.enter();
        Signals::catch()
    };
    // Where the system grants no handler, a signal ends the process.
    let Ok(mut signals) = caught else { return };
    network.spawn(async move {
        while signals.next().await {
            if stop.send_replace(true) {
                std::process::exit(INTERRUPTED);
            }
        }
    });
}

#[cfg(unix)]
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn catch() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    /// Waits for the next one; false when none can come.
    async fn next(&mut self) -> bool {
        tokio::select! {
            interrupted = self.interrupt.recv() => interrupted.is_some(),
            terminated = self.terminate.recv() => terminated.is_some(),
        }
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    const fn catch() -> std::io::Result<Self> {
        Ok(Self)
    }

    /// Waits for the next one; false when none can come.
    async fn next(&mut self) -> bool {
        tokio::signal::ctrl_c().await.is_ok()
    }
}
