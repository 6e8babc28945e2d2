//! From the core thread to the exporters.
//!
//! ```text
//!  core thread ──Handoff──► queue ──► pipeline thread ──► digest, exporter, exporter, …
//! ```
//!
//! In real time the core thread never waits: a record for which there is no
//! room is dropped and counted. In virtual time, where the simulation runs as
//! fast as it can and would outrun any disk or receiver, it waits for room, so
//! that a run that is repeated yields the same records. A receiver is waited for
//! while it takes records (`otlp/patience.rs`).

mod thread;

use std::sync::mpsc;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;
use std::{fmt, io};

use tokio::time::Instant;

use super::digest::Digest;
use super::exporter::{Account, Exporter, Totals};
use super::outage::Outage;
use super::queue::{Amount, Queue, Wait};
use super::record::Resource;
use super::recycle::Recycler;
use super::signal::{Batch, Count, PerSignal, Signal, Signals};
use thread::PipelineThread;

/// Records that wait for the pipeline in virtual time. The core thread waits
/// when there are more, so a longer queue would only cost memory.
const VIRTUAL_QUEUE: usize = 16_384;

/// What waits for the pipeline takes at most, whichever the pace: bytes. A guest decides how
/// large its records are. The exporters have bounds of their own.
const QUEUE_BYTES: usize = 64 << 20;

/// Data points that wait for an OTLP receiver, at most: those of 1,000 services are some 60,000 at
/// an instant. Their [bytes](super::otlp::QUEUE_BYTES) have a bound too.
pub const METRIC_QUEUE: usize = 1 << 20;

/// How much longer than an exporter's patience the pipeline's thread may take to hand in
/// its accounts.
const GRACE: Duration = Duration::from_millis(250);

/// Who waits for the end looks this often whether the wait is to go on.
pub const LOOK: Duration = Duration::from_millis(100);

/// Which clock the run has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// A full queue drops; records are gathered for a while before they are exported.
    Real,
    /// A full queue makes the producer wait; records are gathered by number
    /// alone, because a wall clock would make the bytes of a file differ between runs.
    Virtual,
    /// A full queue makes the producer wait; records are gathered for a while, as
    /// somebody watches them come.
    Paced,
}

/// How the records of a signal are gathered: the `OTEL_BSP_*` and `OTEL_BLRP_*` variables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Batching {
    /// The longest time for which a record is held back to travel with others.
    pub delay: Duration,
    /// Records that wait before an OTLP receiver, at most. As many as those of traces are records of
    /// all signals that wait before the pipeline.
    pub queue: usize,
    /// Records in one batch, at most, before the pipeline stops gathering.
    pub batch: usize,
    /// How long an exporter is waited for that takes nothing: by the end of a run
    /// ([`Pipeline::shutdown`]), and in virtual time by the run.
    pub timeout: Duration,
}

impl Default for Batching {
    /// Where they differ from an SDK's (5 s, 2048, 512, 30 s) it is because one
    /// pipeline serves every service of a topology, and because a person who
    /// watches a simulation wants to see its spans now.
    fn default() -> Self {
        Self { delay: Duration::from_secs(1), queue: 65_536, batch: 8_192, timeout: Duration::from_secs(30) }
    }
}

/// The same for all signals.
impl From<Batching> for PerSignal<Batching> {
    fn from(batching: Batching) -> Self {
        Self::from_fn(|_| batching)
    }
}

/// The core thread's end: where batches go in.
#[derive(Clone, Debug)]
pub struct Handoff {
    shared: Arc<Shared>,
    pace: Pace,
}

impl Handoff {
    /// Frees spans that the pipeline is done with, twice as many as there are in
    /// `batch`, which is about to be handed over: see [`Recycler`].
    pub fn make_room(&self, batch: &Batch) {
        self.shared.recycler.free(2 * batch.spans.len());
    }

    /// Hands a batch over. It waits in virtual time only, and for a receiver while that
    /// takes records. What cannot be taken is counted.
    pub fn send(&self, batch: Batch) {
        if batch.is_empty() && batch.receivers.is_none() {
            return;
        }
        let count = batch.count();
        let amount = Amount { records: batch.len(), bytes: batch.weight() };
        let wait = || if self.pace == Pace::Real { Wait::Never } else { Wait::Forever };
        let fate = self.shared.queue.push(batch, amount, wait);
        let mut tally = self.shared.tally.lock().unwrap_or_else(PoisonError::into_inner);
        match fate {
            Ok(()) => tally.accepted += count,
            Err(_) => tally.dropped += count,
        }
    }
}

/// What both ends know.
#[derive(Debug)]
struct Shared {
    queue: Arc<Queue<Batch>>,
    tally: Mutex<Tally>,
    recycler: Recycler,
    /// For how long an exporter is waited for at the end. Set before the queue is closed.
    patience: Mutex<Option<Duration>>,
    /// Set when every record has gone into it.
    digest: Mutex<Option<String>>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    accepted: Count,
    dropped: Count,
}

/// What waits for the pipeline's thread.
#[derive(Clone, Debug)]
pub struct Backlog(Arc<Shared>);

impl Backlog {
    /// Records in its queue.
    pub fn waiting(&self) -> usize {
        self.0.queue.amount().records
    }

    /// Records that fit into its queue.
    pub fn capacity(&self) -> usize {
        self.0.queue.bound().records
    }

    /// Records that found no room in it, so far.
    pub fn dropped(&self) -> Count {
        self.0.tally.lock().unwrap_or_else(PoisonError::into_inner).dropped
    }
}

/// The pipeline's thread, and the accounts of its exporters.
pub struct Pipeline {
    shared: Arc<Shared>,
    accounts: Vec<ExporterAccount>,
    /// Ends when the thread has flushed everything, or has panicked.
    done: mpsc::Receiver<()>,
    /// None once it is joined.
    thread: Option<JoinHandle<()>>,
}

/// An exporter's account, and what is known of the exporter itself.
#[derive(Debug)]
struct ExporterAccount {
    account: Arc<Account>,
    takes: Signals,
    must_be_whole: bool,
}

impl fmt::Debug for Pipeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pipeline").field("accounts", &self.accounts).finish_non_exhaustive()
    }
}

/// What became of every record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settlement {
    /// Handed over to the pipeline.
    pub accepted: Count,
    /// Dropped before they reached any exporter: there was no room.
    pub dropped: Count,
    /// In the order in which the exporters were given.
    pub exporters: Vec<Totals>,
    /// The digest of all that was accepted, if one was asked for; none while the
    /// run goes on, and when an exporter did not let it be finished in time.
    pub digest: Option<String>,
    /// Whether the thread panicked, so that what it still had is lost and counted nowhere.
    pub has_panicked: bool,
}

impl Pipeline {
    /// Starts the thread. Every exporter gets every batch, in the given order;
    /// put those first that cannot be made to wait by others. All go into `digest`.
    ///
    /// # Errors
    /// The system gives no thread.
    pub fn start(
        resources: Arc<[Resource]>,
        exporters: Vec<Box<dyn Exporter>>,
        digest: Option<Digest>,
        pace: Pace,
        batching: impl Into<PerSignal<Batching>>,
    ) -> io::Result<(Handoff, Self)> {
        let batching = batching.into();
        let queue = batching[Signal::Traces].queue;
        let records = match pace {
            Pace::Real => queue,
            Pace::Virtual | Pace::Paced => queue.min(VIRTUAL_QUEUE),
        };
        let shared = Arc::new(Shared {
            queue: Arc::new(Queue::new(Amount { records, bytes: QUEUE_BYTES })),
            tally: Mutex::default(),
            recycler: Recycler::default(),
            patience: Mutex::default(),
            digest: Mutex::default(),
        });
        let keep = |exporter: &dyn Exporter| ExporterAccount {
            account: exporter.account(),
            takes: exporter.takes(),
            must_be_whole: exporter.must_be_whole(),
        };
        let accounts = exporters.iter().map(|exporter| keep(exporter.as_ref())).collect();
        let (alive, done) = mpsc::channel();
        let thread = std::thread::Builder::new().name("telemetry".to_owned()).spawn({
            let shared = Arc::clone(&shared);
            move || {
                let outage = Outage::new(queue);
                PipelineThread { resources, exporters, digest, pace, batching, outage }.run(&shared);
                drop(alive);
            }
        })?;
        Ok((
            Handoff { shared: Arc::clone(&shared), pace },
            Self { shared, accounts, done, thread: Some(thread) },
        ))
    }

    /// The exporters' accounts, to be read by others while the run goes on.
    pub fn accounts(&self) -> Vec<Arc<Account>> {
        self.accounts.iter().map(|kept| Arc::clone(&kept.account)).collect()
    }

    /// What waits for the pipeline's thread, to be asked by others while the run goes on.
    pub fn backlog(&self) -> Backlog {
        Backlog(Arc::clone(&self.shared))
    }

    /// The accounts as they stand, for a progress line.
    pub fn live(&self) -> Settlement {
        let tally = self.tally();
        let exporters = self.accounts.iter().map(|kept| kept.account.totals()).collect();
        Settlement {
            accepted: tally.accepted,
            dropped: tally.dropped,
            exporters,
            digest: None,
            has_panicked: false,
        }
    }

    /// Exports what was handed over, flushes the exporters, and gives up when none has
    /// got rid of a record for `patience`. Every record that was ever handed over is in
    /// the report. What is handed over from now on is dropped.
    pub fn shutdown(self, patience: Duration) -> Settlement {
        self.close(patience);
        self.finish(patience, || false)
    }

    /// Begins the end of it: see [`shutdown`](Self::shutdown). Records flow on.
    pub fn close(&self, patience: Duration) {
        *self.shared.patience.lock().unwrap_or_else(PoisonError::into_inner) = Some(patience);
        self.shared.queue.close();
    }

    /// Waits for the end that [`close`](Self::close) has begun, for no longer than
    /// `soon`: whether it has come.
    pub fn ends_within(&self, soon: Duration) -> bool {
        // Nothing is ever sent: the channel ends when the thread does.
        self.done.recv_timeout(soon) == Err(mpsc::RecvTimeoutError::Disconnected)
    }

    /// The end that [`close`](Self::close) has begun: see [`shutdown`](Self::shutdown). It is not waited
    /// for any more once `is_enough`.
    pub fn finish(mut self, patience: Duration, is_enough: impl Fn() -> bool) -> Settlement {
        let settled =
            || self.accounts.iter().map(|kept| kept.account.totals().settled().records()).sum::<u64>();
        let mut before = settled();
        let mut moved = Instant::now();
        // Where an exporter is stuck, the thread ends with the process.
        let mut has_ended = self.ends_within(Duration::ZERO);
        while !has_ended && !is_enough() && moved.elapsed() < patience + GRACE {
            has_ended = self.ends_within(LOOK.min(patience + GRACE));
            let now = settled();
            if now != before {
                (before, moved) = (now, Instant::now());
            }
        }
        let tally = self.tally();
        let settle = |kept: &ExporterAccount| {
            let totals = kept.account.settle(tally.accepted, kept.takes);
            Totals { must_be_whole: kept.must_be_whole, ..totals }
        };
        let exporters = self.accounts.iter().map(settle).collect();
        let digest = self.shared.digest.lock().unwrap_or_else(PoisonError::into_inner).take();
        let has_panicked = has_ended && self.join();
        Settlement { accepted: tally.accepted, dropped: tally.dropped, exporters, digest, has_panicked }
    }

    /// Whether the thread, which has ended, panicked.
    fn join(&mut self) -> bool {
        self.thread.take().is_some_and(|thread| thread.join().is_err())
    }

    fn tally(&self) -> Tally {
        *self.shared.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Pipeline {
    /// Lets the thread end: without it, it would wait for batches for good.
    fn drop(&mut self) {
        self.shared.queue.close();
    }
}
