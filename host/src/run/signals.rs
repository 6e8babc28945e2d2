//! Ctrl-c and SIGTERM. They are caught from the program's start on, so that they end it
//! whatever it does: also as the first process of a container, which the system does not
//! end by itself.
//!
//! While a run goes on, the first tells it to stop, and the second ends the process. At
//! any other time the first ends the process. Signals that come [together](TOGETHER) are one.

use std::sync::{Arc, Mutex, MutexGuard, Once, PoisonError};
use std::thread;
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::runtime::Builder;
use tokio::sync::watch;

use crate::clock;
use crate::files;

/// What a shell says of a process that ctrl-c has ended: 128 + SIGINT.
pub const INTERRUPTED: i32 = 130;

/// Signals that come within this time of the one that tells a run to stop are that one: `timeout` of GNU
/// sends its signal to the process and then to the group that it is in. No person is as quick.
const TOGETHER: Duration = Duration::from_millis(100);

type Beats = Box<dyn Fn() -> u64 + Send>;

/// What is told to stop, and how long it may take.
struct Run {
    stop: Arc<watch::Sender<bool>>,
    at_most: Duration,
    /// How far its simulation is: a number that grows as long as that goes on.
    beats: Option<Beats>,
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
                    tokio::time::sleep(TOGETHER).await;
                    signals.forget();
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
    *run() = Some(Run { stop, at_most, beats: None });
    Guard(())
}

/// See [`stop_on_signal`].
#[derive(Debug)]
pub struct Guard(());

impl Guard {
    /// `beats` tells how far the simulation is: a number that grows as long as that goes on.
    pub fn watch(&self, beats: impl Fn() -> u64 + Send + 'static) {
        if let Some(run) = &mut *run() {
            run.beats = Some(Box::new(beats));
        }
    }
}

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
        _ => files::end_program(INTERRUPTED),
    }
}

/// Ends a run that does not end, and says what has held it up.
async fn quit_after(at_most: Duration) {
    /// A simulation that goes on beats more often.
    const BEAT: Duration = Duration::from_millis(500);
    tokio::time::sleep(at_most).await;
    let beats = || run().as_ref().and_then(|run| Some(run.beats.as_ref()?()));
    let before = beats();
    tokio::time::sleep(BEAT).await;
    let (why, help) = if beats() > before {
        ("it still simulates what was under way", "send the signal twice to end a run at once")
    } else {
        (
            "what it writes to takes nothing",
            "see to it that what it writes to is read, or send the signal twice",
        )
    };
    let took = clock::show(clock::nanos(at_most));
    // Standard error may be what takes nothing.
    let said =
        format!("error: the run is not over {took} after it was told to stop: {why}\n  help: {help}\n");
    thread::spawn(move || std::io::Write::write_all(&mut std::io::stderr(), said.as_bytes()));
    tokio::time::sleep(Duration::from_millis(100)).await;
    files::end_program(INTERRUPTED);
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

    /// Takes those that have come for none.
    fn forget(&mut self) {
        while self.next().now_or_never() == Some(true) {}
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

    /// One is heard of only by who waits for it.
    const fn forget(&mut self) {}
}
