//! The pipeline's thread: it gathers records, and gives them to the digest and to every exporter.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::{Batching, Pace, Shared};
use crate::telemetry::digest::Digest;
use crate::telemetry::exporter::{Exporter, Reason};
use crate::telemetry::outage::Outage;
use crate::telemetry::queue::{CloseOnDrop, Popped};
use crate::telemetry::record::Resource;
use crate::telemetry::recycle::Recycler;
use crate::telemetry::signal::{Batch, Count, PerSignal, Receivers, Record, each_signal};

/// What is gathered before it is exported takes about this at most: bytes.
const GATHERED_BYTES: usize = 16 << 20;

/// This long without a record counts as quiet.
const QUIET: Duration = Duration::from_millis(500);

/// Spans that are recycled in one piece: few, as the core thread frees a piece at a time.
const RECYCLED_PIECE: usize = 64;

/// Records that take more together are not recycled: bytes.
const RECYCLED_BYTES: usize = 8 << 20;

/// What the thread owns.
pub struct PipelineThread {
    pub resources: Arc<[Resource]>,
    pub exporters: Vec<Box<dyn Exporter>>,
    pub digest: Option<Digest>,
    pub pace: Pace,
    pub batching: PerSignal<Batching>,
    pub outage: Outage,
}

impl PipelineThread {
    /// Works until the queue is closed and empty, and flushes the exporters.
    pub fn run(mut self, shared: &Shared) {
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
                    let delay = self.delay(&batch);
                    if gathered.is_empty() {
                        gathered = batch;
                    } else {
                        gathered.append(batch);
                    }
                    if self.is_enough(&gathered) || weight >= GATHERED_BYTES {
                        self.export(&mut gathered, &shared.recycler);
                        (due, weight) = (None, 0);
                    }
                    if self.pace != Pace::Virtual {
                        let now = Instant::now();
                        quiet = Some(now + QUIET);
                        let gathered_due = delay.filter(|_| !gathered.is_empty()).map(|delay| now + delay);
                        due = due.into_iter().chain(gathered_due).min();
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
        // None: the pipeline was dropped without a shutdown.
        let patience = patience.unwrap_or_default();
        for exporter in &mut self.exporters {
            exporter.flush(Instant::now() + patience);
        }
    }

    /// For how long records of a batch are held back at most; none where it has none.
    fn delay(&self, batch: &Batch) -> Option<Duration> {
        let mut shortest = None;
        each_signal!(R => if !R::list(batch).is_empty() {
            let delay = self.batching[R::SIGNAL].delay;
            shortest = Some(shortest.map_or(delay, |shortest: Duration| shortest.min(delay)));
        });
        shortest
    }

    /// Whether there are as many records as a batch of any signal has.
    fn is_enough(&self, gathered: &Batch) -> bool {
        self.batching.iter().any(|(_, batching)| gathered.len() >= batching.batch)
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
