//! The world that benches send requests into: services on a bus, in virtual time.

use std::hint::black_box;
use std::path::Path;
use std::rc::Rc;

use simhost::bus::Bus;
use simhost::engine::EMBEDDED;
use simhost::run::{Intent, Options, Plan};
use simhost::sched::Sched;
use simhost::topology;

/// The services of a topology in `text`. Records are made, and nobody takes them.
pub fn world(text: &str) -> (Sched, Rc<Bus>) {
    let embedded = EMBEDDED.map(|(name, _)| name);
    let topology = topology::parse("bench.toml", text, Path::new(""), &embedded).expect("a topology");
    let options = Options { virtual_time: true, ..Options::default() };
    let plan = Plan::from_topology(topology, options, Intent::Describe, |_| None).expect("a plan");
    plan.bus(|batch| {
        black_box(batch);
    })
}
