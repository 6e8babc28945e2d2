//! A bus on this thread, in virtual time: guest calls, hops, orders.

use std::cell::Cell;
use std::path::Path;
use std::rc::Rc;
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::bus::Bus;
use crate::clock::{self, Stopwatch};
use crate::engine::EMBEDDED;
use crate::error::Refused;
use crate::model::ServiceId;
use crate::run::{Asked, Options, Plan};
use crate::sched::Sched;
use crate::telemetry::encode::{Packing, REQUEST_BYTES, traces};
use crate::telemetry::record::{Batch, Resource};
use crate::topology;

use super::{BenchError, Effort, Row, at_least, at_most, orders_without_sleeps};

/// Batches on their way to the other thread.
const BATCHES: usize = 64;

/// Hops of the chain whose cost is divided by their number.
const CHAIN: usize = 20;

pub fn rows(effort: Effort) -> Result<Vec<Row>, BenchError> {
    let noop = Lab::new(NOOP)?.seconds_each(effort, "GET /");
    let chain = Lab::new(&chain_topology())?.seconds_each(effort, "GET /");
    let orders = Lab::new(&orders_without_sleeps())?;
    let order = orders.seconds_each(effort, r#"POST /orders {"item":"book","quantity":2,"price":9.99}"#);
    let (spans, span) = (orders.spans_each(), orders.encoding(effort));
    let hop = (chain - noop) / CHAIN as f64;
    Ok(vec![
        at_most("a request to a warm guest that answers at once", noop * 1e6, "µs", None),
        at_most("a hop: CLIENT and SERVER span, context, queue, warm guest", hop * 1e6, "µs", Some(2.0)),
        at_least("orders in virtual time, spans recorded", 1.0 / order, "orders/s", Some(40_000.0)),
        at_least("spans through recording, core thread", spans / order, "spans/s", Some(1_000_000.0)),
        at_least("spans to encoded OTLP, one thread", 1.0 / span, "spans/s", Some(1_000_000.0)),
    ])
}

const NOOP: &str =
    "[topology]\nname = \"noop\"\n[ingress]\nto = \"noop\"\n[services.noop]\nguest = \"noop\"\n";

/// `CHAIN` services that each call the next.
fn chain_topology() -> String {
    let mut text =
        "[topology]\nname = \"chain\"\n[ingress]\nto = \"hop-0\"\n[network]\nlatency = \"0ns\"\n".to_owned();
    text.push_str("[limits]\ncall-depth = 100\n");
    for hop in 0..CHAIN {
        text.push_str(&format!(
            "[services.hop-{hop}]\nguest = \"hop\"\nconfig = {{ next = \"hop-{}\" }}\n",
            hop + 1
        ));
    }
    text.push_str(&format!("[services.hop-{CHAIN}]\nguest = \"noop\"\n"));
    text
}

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
        computed.unwrap_or_else(|| self.watch.elapsed()).as_secs_f64()
    }
}

/// A topology on a bus of its own. Its records go to another thread, as they do
/// in a run; they are counted, and the last are kept.
struct Lab {
    sched: Sched,
    bus: Rc<Bus>,
    resources: Arc<[Resource]>,
    last: Arc<Mutex<Batch>>,
    /// Spans of all batches so far.
    spans: Rc<Cell<u64>>,
}

impl Lab {
    fn new(text: &str) -> Result<Self, Refused> {
        let embedded = EMBEDDED.map(|(name, _)| name);
        let topology = topology::parse("bench.toml", text, Path::new(""), &embedded)?;
        let options = Options { virtual_time: true, ..Options::default() };
        let plan = Plan::of(topology, options, |_| None)?;
        let resources = plan.resources();
        let last: Arc<Mutex<Batch>> = Arc::default();
        let keep = Arc::clone(&last);
        let (send, receive) = sync_channel::<Batch>(BATCHES);
        // It ends when the bus, and with it the sender, is gone.
        std::thread::spawn(move || {
            for batch in receive {
                *keep.lock().unwrap_or_else(PoisonError::into_inner) = batch;
            }
        });
        let spans: Rc<Cell<u64>> = Rc::default();
        let count = Rc::clone(&spans);
        let (sched, bus) = plan.bus(move |batch| {
            count.set(count.get() + batch.spans.len() as u64);
            // The thread only goes when this sender does.
            send.send(batch).ok();
        });
        Ok(Self { sched, bus, resources, last, spans })
    }

    /// Core-thread seconds for each request, sent one after the other: the best round.
    fn seconds_each(&self, effort: Effort, request: &str) -> f64 {
        let asked: Asked = request.parse().expect("it is a request");
        let send = async |requests: u32| {
            for _ in 0..requests {
                let answer = Rc::clone(&self.bus).enter(asked.entry(ServiceId(0))).await;
                debug_assert!(answer.response.status < 400);
            }
        };
        let run = |requests: u32| {
            let meter = Meter::start();
            self.sched.block_on(send(requests), || {}).expect("requests end");
            meter.seconds()
        };
        run(100);
        let one = run(1_000) / 1_000.0;
        let requests = (effort.each.as_secs_f64() / one).clamp(1_000.0, 1e7) as u32;
        (0..effort.rounds).map(|_| run(requests) / f64::from(requests)).fold(f64::INFINITY, f64::min)
    }

    /// Spans of one request, on average over all so far.
    fn spans_each(&self) -> f64 {
        self.spans.get() as f64 / self.bus.entered() as f64
    }

    /// Seconds of one thread to encode a span: the best round.
    fn encoding(&self, effort: Effort) -> f64 {
        let batch = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let packing = Packing { bytes: REQUEST_BYTES, records: batch.spans.len() };
        let mut best = f64::INFINITY;
        for _ in 0..effort.rounds {
            let (watch, meter) = (Stopwatch::start(), Meter::start());
            let mut spans = 0;
            while watch.elapsed() < effort.each.min(Duration::from_secs(1)) {
                traces(&batch.spans, &self.resources, packing, |bytes, _| {
                    std::hint::black_box(bytes);
                });
                spans += batch.spans.len();
            }
            best = best.min(meter.seconds() / spans as f64);
        }
        best
    }
}
