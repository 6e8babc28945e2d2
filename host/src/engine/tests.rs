use std::cell::{Cell, OnceCell};
use std::net::Ipv4Addr;
use std::rc::Rc;

use super::{EMBEDDED, Engine, Settings};
use crate::clock::{Clock, VIRTUAL_START};
use crate::guest::budget::UnderWay;
use crate::guest::endpoint::Endpoint;
use crate::guest::{Host, Identity, Worker};
use crate::model::{Limits, ServiceId};
use crate::process::Process;
use crate::sched::Sched;
use crate::telemetry::env::SpanLimits;
use crate::telemetry::record::ResourceId;
use crate::telemetry::recorder::Recorder;

/// What the built-in guest `service` computes until it has told its routes, with this
/// configuration: units of fuel.
fn computed(config: &[(&str, &str)]) -> u64 {
    let settings = Settings { fuel: true, workers: 1, delays_spans: false, memory: 64 << 20 };
    let engine = Engine::new(settings).unwrap();
    let (_, bytes) = EMBEDDED.iter().find(|(name, _)| *name == "service").unwrap();
    let code = engine.load(bytes).unwrap();
    let sched = Sched::new(Clock::virtual_from(VIRTUAL_START));
    let host = Rc::new(Host {
        sched: sched.clone(),
        recorder: Rc::new(Recorder::new(|_| {})),
        span_limits: SpanLimits::default(),
        root: 1,
        places: Cell::new(1),
        outbound: OnceCell::new(),
    });
    let pairs = config.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    let identity = Rc::new(Identity {
        service: ServiceId(0),
        name: "front".to_owned(),
        replica: 0,
        process: Process::new(&sched, false),
        resource: ResourceId(0),
        endpoint: Rc::new(Endpoint::new(Ipv4Addr::LOCALHOST, "simhost".into())),
        config: pairs.collect(),
        environment: Vec::new(),
        limits: Limits::default(),
        under_way: UnderWay::new(1 << 20, 1),
        crew: Rc::default(),
    });
    let asking = async {
        let mut worker = Worker::new(&code.pre, &host, &identity, 0).await.unwrap();
        worker.describe().await.unwrap();
        worker.computed().unwrap()
    };
    sched.block_on(asking, || {}).unwrap()
}

#[test]
fn what_a_guest_has_computed_can_be_read_and_is_the_same_every_time() {
    let plain = computed(&[]);
    assert!((1_000..10_000_000).contains(&plain), "{plain}");
    assert_eq!(computed(&[]), plain);
}

#[test]
fn what_the_host_copies_for_a_guest_is_among_what_it_has_computed() {
    let text = "x".repeat(100_000);
    let (short, long) = (computed(&[("span", "x")]), computed(&[("span", &text)]));
    // At the least what the host copies: a guest that only holds a text does not look at it.
    assert!(long >= short + 99_000, "{short} {long}");
}
