use super::{EMBEDDED, Engine, Settings};
use crate::clock::{Clock, VIRTUAL_START};
use crate::guest::Worker;
use crate::guest::host::fixture;
use crate::sched::Sched;
use crate::telemetry::recorder::Recorder;

/// What the built-in guest `service` computes until it has told its routes, with this
/// configuration: units of fuel.
fn computed(config: &[(&str, &str)]) -> u64 {
    let settings = Settings { fuel: true, workers: 1, delays_spans: false, memory: 64 << 20 };
    let engine = Engine::new(settings).unwrap();
    let (_, bytes) = EMBEDDED.iter().find(|(name, _)| *name == "service").unwrap();
    let code = engine.load("service", bytes).unwrap();
    let sched = Sched::new(Clock::virtual_from(VIRTUAL_START));
    let host = fixture::world(&sched, Recorder::new(|_| {}), None);
    let identity = fixture::replica(&sched, config);
    let asking = async {
        let mut worker = Worker::new(&code.pre, &host, &identity, 0).await.unwrap();
        worker.routes().await.unwrap();
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
