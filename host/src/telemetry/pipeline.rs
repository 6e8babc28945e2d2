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

use std::sync::mpsc;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use std::{fmt, io, thread};

use tokio::time::Instant;

use super::digest::Digest;
use super::exporter::{Account, Exporter, Reason, Totals};
use super::outage::Outage;
use super::queue::{Amount, CloseOnDrop, Popped, Queue, Wait};
use super::record::Resource;
use super::recycle::Recycler;
use super::signal::{Batch, Count, Receivers, Signals};

/// Records that wait for the pipeline in virtual time. The core thread waits
/// when there are more, so a longer queue would only cost memory.
const VIRTUAL_QUEUE: usize = 16_384;

/// What waits for the pipeline takes at most, whichever the pace: bytes. A guest decides how
/// large its records are. The exporters have bounds of their own.
const QUEUE_BYTES: usize = 64 << 20;

/// What is gathered before it is exported takes about this at most: bytes.
const GATHERED_BYTES: usize = 16 << 20;

/// How much longer than an exporter's patience the pipeline's thread may take to hand in
/// its accounts.
const GRACE: Duration = Duration::from_millis(250);

/// So long without a record counts as quiet.
const QUIET: Duration = Duration::from_millis(500);

/// Spans that are recycled in one piece: few, as the core thread frees a piece at a time.
const RECYCLED_PIECE: usize = 64;

/// Records that take more together are not recycled: bytes.
const RECYCLED_BYTES: usize = 8 << 20;

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

/// How records are gathered: the `OTEL_BSP_*` variables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Batching {
    /// The longest time for which a record is held back to travel with others.
    pub delay: Duration,
    /// Records that wait, at most: before the pipeline, and again before an OTLP receiver.
    pub queue: usize,
    /// Records in one batch, at most, before the pipeline stops gathering.
    pub batch: usize,
    /// How long an exporter is waited for that takes nothing: by the end of a run
    /// ([`Pipeline::shutdown`]), and in virtual time by the run.
    pub timeout: Duration,
}

impl Default for Batching {
    /// Where they differ from an SDK's (5 s, 2048, 512, 30 s) it is because one
    /// pipeline serves every service of a topology, and because who watches a
    /// simulation wants to see its spans now.
    fn default() -> Self {
        Self { delay: Duration::from_secs(1), queue: 65_536, batch: 8_192, timeout: Duration::from_secs(30) }
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

/// The pipeline's thread, and the accounts of its exporters.
pub struct Pipeline {
    shared: Arc<Shared>,
    accounts: Vec<ExporterAccount>,
    /// Ends when the thread has flushed everything.
    done: mpsc::Receiver<()>,
}

/// An exporter's account, and what is known of the exporter itself.
#[derive(Debug)]
struct ExporterAccount {
    account: Arc<Account>,
    takes: Signals,
    is_receiver: bool,
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
        batching: Batching,
    ) -> io::Result<(Handoff, Self)> {
        let records = match pace {
            Pace::Real => batching.queue,
            Pace::Virtual | Pace::Paced => batching.queue.min(VIRTUAL_QUEUE),
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
            is_receiver: exporter.is_receiver(),
        };
        let accounts = exporters.iter().map(|exporter| keep(exporter.as_ref())).collect();
        let (alive, done) = mpsc::channel();
        thread::Builder::new().name("telemetry".to_owned()).spawn({
            let shared = Arc::clone(&shared);
            move || {
                let outage = Outage::new(batching.queue);
                PipelineThread { resources, exporters, digest, pace, batching, outage }.run(&shared);
                drop(alive);
            }
        })?;
        Ok((Handoff { shared: Arc::clone(&shared), pace }, Self { shared, accounts, done }))
    }

    /// The exporters' accounts, to be read by others while the run goes on.
    pub fn accounts(&self) -> Vec<Arc<Account>> {
        self.accounts.iter().map(|kept| Arc::clone(&kept.account)).collect()
    }

    /// The accounts as they stand, for a progress line.
    pub fn live(&self) -> Settlement {
        let tally = self.tally();
        let exporters = self.accounts.iter().map(|kept| kept.account.totals()).collect();
        Settlement { accepted: tally.accepted, dropped: tally.dropped, exporters, digest: None }
    }

    /// Exports what was handed over, flushes the exporters, and gives up when none has
    /// got rid of a record for `patience`. Every record that was ever handed over is in
    /// the report. What is handed over from now on is dropped.
    pub fn shutdown(self, patience: Duration) -> Settlement {
        self.close(patience);
        self.finish(patience)
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

    /// The end that [`close`](Self::close) has begun: see [`shutdown`](Self::shutdown).
    pub fn finish(self, patience: Duration) -> Settlement {
        let settled =
            || self.accounts.iter().map(|kept| kept.account.totals().settled().records()).sum::<u64>();
        let mut before = settled();
        while !self.ends_within(patience + GRACE) {
            let now = settled();
            if now == before {
                // An exporter is stuck; the thread then ends with the process.
                break;
            }
            before = now;
        }
        let tally = self.tally();
        let settle = |kept: &ExporterAccount| {
            let totals = kept.account.settle(tally.accepted, kept.takes);
            Totals { is_receiver: kept.is_receiver, ..totals }
        };
        let exporters = self.accounts.iter().map(settle).collect();
        let digest = self.shared.digest.lock().unwrap_or_else(PoisonError::into_inner).take();
        Settlement { accepted: tally.accepted, dropped: tally.dropped, exporters, digest }
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

/// What the thread owns.
struct PipelineThread {
    resources: Arc<[Resource]>,
    exporters: Vec<Box<dyn Exporter>>,
    digest: Option<Digest>,
    pace: Pace,
    batching: Batching,
    outage: Outage,
}

impl PipelineThread {
    fn run(mut self, shared: &Shared) {
        let _guard = CloseOnDrop(Arc::clone(&shared.queue));
        let (mut gathered, mut weight) = (Batch::default(), 0);
        // When the gathered records are exported, and when it counts as quiet.
        let (mut due, mut quiet) = (None, None);
        loop {
            match shared.queue.pop_until([due, quiet].into_iter().flatten().min()) {
                Popped::Item(batch) => {
                    if let Some(digest) = &mut self.digest {
                        digest.take(&batch, &self.resources);
                    }
                    if self.exporters.is_empty() {
                        if batch.weight() <= RECYCLED_BYTES {
                            shared.recycler.take(batch.spans);
                        }
                        continue;
                    }
                    if let Some(receivers) = batch.receivers {
                        self.set_receivers(receivers, &mut gathered, &shared.recycler);
                    }
                    self.export_at_once(&batch);
                    weight += batch.weight();
                    if gathered.is_empty() {
                        gathered = batch;
                    } else {
                        gathered.append(batch);
                    }
                    if gathered.len() >= self.batching.batch || weight >= GATHERED_BYTES {
                        self.export(&mut gathered, &shared.recycler);
                        (due, weight) = (None, 0);
                    }
                    if self.pace != Pace::Virtual {
                        let now = Instant::now();
                        quiet = Some(now + QUIET);
                        due = due.or_else(|| (!gathered.is_empty()).then(|| now + self.batching.delay));
                    }
                }
                Popped::Late => {
                    let now = Instant::now();
                    if due.is_some_and(|due| due <= now) {
                        self.export(&mut gathered, &shared.recycler);
                        (due, weight) = (None, 0);
                    }
                    if quiet.is_some_and(|quiet| quiet <= now) {
                        self.exporters.iter_mut().for_each(|exporter| exporter.quiet());
                        quiet = None;
                    }
                }
                Popped::Closed => break,
            }
        }
        // Before the exporters, of which one may be stuck.
        *shared.digest.lock().unwrap_or_else(PoisonError::into_inner) =
            self.digest.take().map(Digest::finish);
        self.export(&mut gathered, &shared.recycler);
        // Receivers that are still down will not come up any more.
        let lost = self.outage.take().count();
        self.drop_for_receivers(lost);
        let patience = *shared.patience.lock().unwrap_or_else(PoisonError::into_inner);
        // None: the pipeline was dropped, nobody asked for the rest.
        let patience = patience.unwrap_or_default();
        for exporter in &mut self.exporters {
            exporter.flush(Instant::now() + patience);
        }
    }

    /// The receivers go down or come up: what has come before is not concerned.
    fn set_receivers(&mut self, receivers: Receivers, gathered: &mut Batch, recycler: &Recycler) {
        self.export(gathered, recycler);
        let Some(held) = self.outage.set(receivers).filter(|held| !held.is_empty()) else { return };
        for exporter in self.exporters.iter_mut().filter(|exporter| exporter.is_receiver()) {
            exporter.export(&held, &self.resources);
        }
    }

    fn drop_for_receivers(&self, count: Count) {
        if count.records() == 0 {
            return;
        }
        for exporter in self.exporters.iter().filter(|exporter| exporter.is_receiver()) {
            exporter.account().dropped(Reason::Down, count.only(exporter.takes()), None);
        }
    }

    fn export_at_once(&mut self, batch: &Batch) {
        for exporter in self.exporters.iter_mut().filter(|exporter| exporter.wants_at_once()) {
            exporter.export(batch, &self.resources);
        }
    }

    fn export(&mut self, batch: &mut Batch, recycler: &Recycler) {
        if batch.is_empty() {
            return;
        }
        let is_down = self.outage.is_down();
        for exporter in self.exporters.iter_mut().filter(|exporter| !exporter.wants_at_once()) {
            if !(is_down && exporter.is_receiver()) {
                exporter.export(batch, &self.resources);
            }
        }
        if is_down {
            let lost = self.outage.hold(batch);
            self.drop_for_receivers(lost);
        }
        if batch.weight() > RECYCLED_BYTES {
            // Nor large ones: they are worth more than the way.
            batch.spans.clear();
        }
        while !batch.spans.is_empty() {
            recycler.take(batch.spans.split_off(batch.spans.len().saturating_sub(RECYCLED_PIECE)));
        }
        batch.clear();
    }
}
