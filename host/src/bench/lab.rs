//! A bus on this thread, in virtual time, whose requests are measured.

use std::cell::Cell;
use std::path::Path;
use std::rc::Rc;
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::bus::{Bus, NodeCode, OfClient};
use crate::clock::{self, Stopwatch};
use crate::engine::EMBEDDED;
use crate::error::Refused;
use crate::guest::{GuestFailure, Worker};
use crate::model::ServiceId;
use crate::run::{Intent, Options, Plan, RequestFlag};
use crate::sched::Sched;
use crate::telemetry::encode::{Packing, REQUEST_BYTES, requests};
use crate::telemetry::record::Resource;
use crate::telemetry::recycle::Recycler;
use crate::telemetry::signal::Batch;
use crate::topology;

use super::{BenchError, Effort, sending};

/// Batches on their way to the other thread.
const BATCHES: usize = 64;

/// An order of the topology `orders`.
pub const ORDER: &str = r#"POST /orders {"item":"book","quantity":2,"price":9.99}"#;

/// Time of this thread on a processor or, where the system does not tell, wall time.
struct Meter {
    watch: Stopwatch,
    before: Option<Duration>,
}

impl Meter {
    fn start() -> Self {
        Self { watch: Stopwatch::start(), before: clock::thread_time() }
    }

    fn seconds(&self) -> f64 {
        let computed = clock::thread_time().zip(self.before).map(|(now, before)| now.saturating_sub(before));
        // It moves by ticks: within one, nothing seems to be computed.
        let computed = computed.filter(|computed| !computed.is_zero());
        computed.unwrap_or_else(|| self.watch.elapsed()).as_secs_f64()
    }
}

/// Variables of an environment, by their names.
type Variables = [(&'static str, &'static str); 2];

/// Spans are recorded, and nothing is measured.
pub const RECORDED: Variables = [("OTEL_TRACES_SAMPLER", "always_on"), ("OTEL_METRICS_EXPORTER", "none")];

/// Nothing is recorded.
pub const UNRECORDED: Variables = [("OTEL_TRACES_SAMPLER", "always_off"), ("OTEL_METRICS_EXPORTER", "none")];

/// Spans are recorded, and metrics are made.
pub const MEASURED: Variables = [("OTEL_TRACES_SAMPLER", "always_on"), ("OTEL_METRICS_EXPORTER", "console")];

/// A topology on a bus of its own. Its records go to another thread, as they do
/// in a run; they are counted, and the last are kept.
pub struct Lab {
    sched: Sched,
    bus: Rc<Bus>,
    resources: Arc<[Resource]>,
    last: Arc<Mutex<Batch>>,
    /// Spans of all batches so far.
    spans: Rc<Cell<u64>>,
}

impl Lab {
    /// Batches end on another thread, all but the last.
    pub fn new(text: &str) -> Result<Self, Refused> {
        Self::with(text, RECORDED)
    }

    /// A bus whose batches end on another thread, with these variables.
    pub fn with(text: &str, variables: Variables) -> Result<Self, Refused> {
        Self::start(text, variables, |_, _| {})
    }

    /// The other thread encodes each batch, as an exporter would.
    pub fn encoding_beside(text: &str) -> Result<Self, Refused> {
        Self::start(text, RECORDED, |batch, resources| {
            let packing = Packing { bytes: REQUEST_BYTES, records: batch.spans.len() };
            requests(&batch.spans, resources, packing, |bytes, _| {
                std::hint::black_box(bytes);
            });
        })
    }

    fn start(
        text: &str,
        variables: Variables,
        beside: impl Fn(&Batch, &[Resource]) + Send + 'static,
    ) -> Result<Self, Refused> {
        let embedded = EMBEDDED.map(|(name, _)| name);
        let topology = topology::parse("bench.toml", text, Path::new(""), &embedded)?;
        let options = Options { virtual_time: true, ..Options::default() };
        let environment = |name: &str| {
            let variable = variables.iter().find(|(known, _)| *known == name);
            variable.map(|(_, value)| (*value).to_owned())
        };
        let plan = Plan::from_topology(topology, options, Intent::Describe, environment)?;
        let resources = plan.resources();
        let last: Arc<Mutex<Batch>> = Arc::default();
        let (keep, theirs) = (Arc::clone(&last), Arc::clone(&resources));
        let (send, receive) = sync_channel::<Batch>(BATCHES);
        let recycler = Arc::new(Recycler::default());
        let back = Arc::clone(&recycler);
        // It ends when the bus, and with it the sender, is gone.
        std::thread::spawn(move || {
            for batch in receive {
                beside(&batch, &theirs);
                let mut kept = keep.lock().unwrap_or_else(PoisonError::into_inner);
                back.take(std::mem::replace(&mut *kept, batch).spans);
            }
        });
        let spans: Rc<Cell<u64>> = Rc::default();
        let count = Rc::clone(&spans);
        let (sched, bus) = plan.bus(move |batch| {
            count.set(count.get() + batch.spans.len() as u64);
            recycler.free(2 * batch.spans.len());
            // The thread only goes when this sender does.
            send.send(batch).ok();
        });
        Ok(Self { sched, bus, resources, last, spans })
    }

    /// Core-thread seconds for a call into the guest of the first service, by
    /// itself: without request and spans.
    pub fn guest_call(&self, effort: Effort) -> Result<f64, BenchError> {
        let failed = |failure: GuestFailure| BenchError::Child(failure.to_string());
        let Some(NodeCode::Guest(guest)) = self.bus.nodes().first().map(|node| &node.code) else {
            return Err(BenchError::Child("the bench's topology has no guest".to_owned()));
        };
        let run = |calls: u32| {
            let calling = async {
                // A worker for each round: nothing between the calls refills its fuel.
                let identity = &guest.set.replicas[0].identity;
                let mut worker = Worker::new(&guest.set.code.pre, self.bus.host(), identity, 0).await?;
                let meter = Meter::start();
                for _ in 0..calls {
                    worker.handle(Some(0)).await?;
                }
                Ok(meter.seconds() / f64::from(calls))
            };
            self.sched.block_on(calling, || {}).expect("a guest that answers at once").map_err(failed)
        };
        let calls = (effort.each.as_secs_f64() / run(1_000)?).clamp(1_000.0, 1e6) as u32;
        (0..effort.rounds).map(|_| run(calls)).try_fold(f64::INFINITY, |best, each| Ok(best.min(each?)))
    }

    /// Seconds by the wall clock for each request: the best round.
    pub fn wall_seconds_each(&self, effort: Effort, request: &str) -> f64 {
        self.rounds(effort, request, |watch, _| watch.elapsed().as_secs_f64())
    }

    /// Core-thread seconds for each request: the best round.
    pub fn seconds_each(&self, effort: Effort, request: &str) -> f64 {
        self.rounds(effort, request, |_, meter| meter.seconds())
    }

    /// Sends a request again and again, one after the other, and reads what each took.
    fn rounds(&self, effort: Effort, request: &str, read: impl Fn(Stopwatch, &Meter) -> f64) -> f64 {
        let run = |requests: u32| {
            let (watch, meter) = (Stopwatch::start(), Meter::start());
            self.send(request, requests);
            read(watch, &meter)
        };
        run(100);
        let one = run(1_000) / 1_000.0;
        let requests = (effort.each.as_secs_f64() / one).clamp(1_000.0, 1e7) as u32;
        (0..effort.rounds).map(|_| run(requests) / f64::from(requests)).fold(f64::INFINITY, f64::min)
    }

    /// Sends `requests` requests, one after the other.
    fn send(&self, request: &str, requests: u32) {
        let asked: RequestFlag = request.parse().expect("it is a request");
        let sending = async {
            for number in 0..requests {
                // An instant in which all of them happen would count as one without end.
                if number % 1_000 == 0 {
                    self.sched.sleep(1).await;
                }
                let answer =
                    Rc::clone(&self.bus).enter(asked.entry(ServiceId(0), &OfClient::default())).await;
                debug_assert!(answer.outcome.is_ok_and(|response| response.status < 400));
            }
        };
        self.sched.block_on(sending, || {}).expect("requests end");
    }

    /// Spans that it hands over in a second of wall time, measured for `time`.
    pub fn spans_a_second(&self, request: &str, time: Duration) -> f64 {
        let (watch, before) = (Stopwatch::start(), self.spans.get());
        while watch.elapsed() < time {
            self.send(request, 200);
        }
        (self.spans.get() - before) as f64 / watch.elapsed().as_secs_f64()
    }

    /// Spans of one request, on average over all so far.
    pub fn spans_each(&self) -> f64 {
        self.spans.get() as f64 / self.bus.entered() as f64
    }

    /// Seconds to encode a span, send it and have it received.
    pub fn sending(&self, effort: Effort) -> Result<f64, BenchError> {
        let batch = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        sending::seconds_each(effort, &batch, &self.resources)
    }

    /// Seconds of one thread to encode a span: the best round.
    pub fn encoding(&self, effort: Effort) -> f64 {
        let batch = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let packing = Packing { bytes: REQUEST_BYTES, records: batch.spans.len() };
        let mut best = f64::INFINITY;
        for _ in 0..effort.rounds {
            let (watch, meter) = (Stopwatch::start(), Meter::start());
            let mut spans = 0;
            while watch.elapsed() < effort.each.min(Duration::from_secs(1)) {
                requests(&batch.spans, &self.resources, packing, |bytes, _| {
                    std::hint::black_box(bytes);
                });
                spans += batch.spans.len();
            }
            best = best.min(meter.seconds() / spans as f64);
        }
        best
    }
}
