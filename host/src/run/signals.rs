//! Ctrl-c and SIGTERM. They are caught from the program's start on, so that they end it
//! whatever it does: also as the first process of a container, which the system does not
//! end by itself.
//!
//! While a run goes on, the first tells it to stop, and the second ends the process. At
//! any other time the first ends the process.

use std::sync::{Arc, Mutex, MutexGuard, Once, PoisonError};
use std::thread;
use std::time::Duration;

use tokio::runtime::Builder;
use tokio::sync::watch;

use crate::clock;

/// What a shell says of a process that ctrl-c has ended: 128 + SIGINT.
pub const INTERRUPTED: i32 = 130;

/// What is told to stop, and how long it may take.
struct Run {
    stop: Arc<watch::Sender<bool>>,
    at_most: Duration,
}

static RUN: Mutex<Option<Run>> = Mutex::new(None);

/// Catches signals from now on. Where the system grants no handler or no thread, they
/// end the process.
pub fn catch() {
    static CAUGHT: Once = Once::new();
    CAUGHT.call_once(|| {
        let Ok(runtime) = Builder::new_current_thread().enable_all().build() else { return };
        let caught = {
            let _runtime = runtime.enter();
            outlive_large_files();
            Signals::catch()
        };
        let Ok(mut signals) = caught else { return };
        let watching = async move {
            while signals.next().await {
                if let Some(at_most) = obey() {
                    tokio::spawn(quit_after(at_most));
                }
            }
        };
        let thread = thread::Builder::new().name("simhost-signals".to_owned());
        thread.spawn(move || runtime.block_on(watching)).ok();
    });
}

/// A file that may grow no more (`ulimit -f`) is to be an error of who writes it. The system ends a process
/// that does not catch its signal.
fn outlive_large_files() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        // Once caught, it stays so.
        drop(signal(SignalKind::from_raw(rustix::process::Signal::XFSZ.as_raw())));
    }
}

/// As long as the guard lives, a signal has `stop` turn true. A run that is not over
/// `at_most` later is ended.
pub fn stop_on_signal(stop: Arc<watch::Sender<bool>>, at_most: Duration) -> Guard {
    catch();
    *run() = Some(Run { stop, at_most });
    Guard(())
}

/// See [`stop_on_signal`].
#[derive(Debug)]
pub struct Guard(());

impl Drop for Guard {
    fn drop(&mut self) {
        *run() = None;
    }
}

fn run() -> MutexGuard<'static, Option<Run>> {
    RUN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Does what a signal wants: with the time that the run may take to end.
fn obey() -> Option<Duration> {
    match &*run() {
        Some(run) if !run.stop.send_replace(true) => Some(run.at_most),
        _ => std::process::exit(INTERRUPTED),
    }
}

/// Ends a run that does not end: something that it writes to takes nothing, most likely.
async fn quit_after(at_most: Duration) {
    tokio::time::sleep(at_most).await;
    // Standard error may be what takes nothing.
    let said = format!(
        "error: the run is not over {} after it was told to stop\n  help: see to it that what it writes to is \
         read, or send the signal twice\n",
        clock::show(clock::nanos(at_most))
    );
    thread::spawn(move || std::io::Write::write_all(&mut std::io::stderr(), said.as_bytes()));
    tokio::time::sleep(Duration::from_millis(100)).await;
    std::process::exit(INTERRUPTED);
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
