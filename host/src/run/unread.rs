//! Who closes the pipe has seen enough: what would be simulated from here on is for nobody.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::watch;

use crate::telemetry::exporter::Account;

use super::event::RunEvent;

/// Ends a run when the reader of a pipe that it writes to has gone.
#[derive(Clone, Debug)]
pub struct Unread {
    is_unread: Arc<AtomicBool>,
    stop: Arc<watch::Sender<bool>>,
}

impl Unread {
    pub fn new(stop: Arc<watch::Sender<bool>>) -> Self {
        Self { is_unread: Arc::default(), stop }
    }

    /// Ends the run when nobody reads what this exporter writes.
    pub async fn watch(self, account: Arc<Account>) {
        account.unread().await;
        self.end();
    }

    /// Nobody reads any more.
    pub fn end(&self) {
        self.is_unread.store(true, Ordering::Relaxed);
        self.stop.send_replace(true);
    }

    /// Leaves out what a run says of its end, where the end is that nobody reads it.
    pub fn quiet<T: Fn(RunEvent) + Clone>(&self, on_event: T) -> impl Fn(RunEvent) + Clone + use<T> {
        let is_unread = Arc::clone(&self.is_unread);
        move |event| {
            let is_of_the_end =
                matches!(event, RunEvent::Draining | RunEvent::Simulated { .. } | RunEvent::Comparing { .. });
            if !(is_of_the_end && is_unread.load(Ordering::Relaxed)) {
                on_event(event);
            }
        }
    }
}
