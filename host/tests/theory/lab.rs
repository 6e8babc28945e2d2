//! Topologies that run in virtual time on this thread, looked at while they run.

use std::cell::RefCell;
use std::path::Path;
use std::rc::Rc;

use simhost::bus::Bus;
use simhost::bus::stats::Accounts;
use simhost::engine::EMBEDDED;
use simhost::load::{Loads, Surroundings, Transport};
use simhost::model::{Model, Nanos};
use simhost::run::{Intent, Options, Plan};
use simhost::sched::Sched;
use simhost::telemetry::record::{ResourceId, SpanRecord};
use simhost::telemetry::recorder::Counts;
use simhost::topology::{self, Topology};

/// Whether spans are recorded. Without them a run is faster, and nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spans {
    Kept,
    Off,
}

/// The services and loads of a topology, with everything that a run has between them.
pub struct Lab {
    model: Model,
    sched: Sched,
    bus: Rc<Bus>,
    spans: Rc<RefCell<Vec<SpanRecord>>>,
}

impl Lab {
    /// Sets up a topology that is written in a test; paths in it begin at `folder`.
    pub fn new(text: &str, folder: &Path, spans: Spans) -> Self {
        Self::of(topology::parse("theory.toml", text, folder, &embedded()).expect("a topology"), spans)
    }

    /// Sets up a topology.
    pub fn of(topology: Topology, spans: Spans) -> Self {
        let model = topology.model.clone();
        // Formulas are of the work that is written, unless the topology says how long computing takes.
        let compute = (!topology.text.contains("[run]")).then_some(0);
        let options = Options { virtual_time: true, compute, ..Options::default() };
        let environment = |name: &str| {
            (name == "OTEL_TRACES_SAMPLER" && spans == Spans::Off).then(|| "always_off".to_owned())
        };
        let plan = Plan::from_topology(topology, options, Intent::Describe, environment).expect("a plan");
        let kept: Rc<RefCell<Vec<SpanRecord>>> = Rc::default();
        let sink = Rc::clone(&kept);
        let (sched, bus) = plan.bus(move |batch| sink.borrow_mut().extend(batch.spans));
        Self { model, sched, bus, spans: kept }
    }

    /// Lets the loads run for `times` stretches of `every` nanoseconds each, and
    /// takes the accounts at the beginning and after each stretch. Then what is
    /// under way ends: the last accounts are those of the end.
    pub fn run(&self, every: Nanos, times: u64) -> Vec<Accounts> {
        let all = async {
            let start = self.sched.now();
            let loads = Loads::start(&Surroundings {
                model: &self.model,
                bus: &self.bus,
                sched: &self.sched,
                transport: &Transport::Bus,
                resource: ResourceId(self.model.services.iter().map(|service| service.replicas).sum()),
                until: Some(every * times),
            });
            let mut accounts = vec![self.accounts()];
            for number in 1..=times {
                self.sched.sleep_until(start + every * number).await;
                accounts.push(self.accounts());
            }
            loads.stop();
            self.sched.drained().await;
            accounts.push(self.accounts());
            accounts
        };
        self.sched.block_on(all, || {}).expect("the loads end")
    }

    /// The spans so far, in the order of their ends.
    pub fn spans(&self) -> Vec<SpanRecord> {
        self.bus.recorder().flush();
        self.spans.take()
    }

    /// What was recorded so far.
    pub fn counts(&self) -> Counts {
        self.bus.recorder().counts()
    }

    fn accounts(&self) -> Accounts {
        self.bus.stats().snapshot(self.sched.now())
    }
}

impl Drop for Lab {
    /// Ends what still waits, such as faults whose time has not come: it holds the bus, and with it
    /// the memory of all workers.
    fn drop(&mut self) {
        self.sched.clear();
    }
}

/// The names of the guests that ship.
pub fn embedded() -> [&'static str; EMBEDDED.len()] {
    EMBEDDED.map(|(name, _)| name)
}
