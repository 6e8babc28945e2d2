//! What a request costs on the bus, in virtual time: a guest that answers at
//! once, a chain of ten hops, and an order without sleeps.

use std::hint::black_box;
use std::path::Path;
use std::rc::Rc;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use simhost::bus::Bus;
use simhost::engine::EMBEDDED;
use simhost::model::ServiceId;
use simhost::run::{Asked, Options, Plan};
use simhost::sched::Sched;
use simhost::topology;

const HOPS: u64 = 10;

fn world(text: &str) -> (Sched, Rc<Bus>) {
    let embedded = EMBEDDED.map(|(name, _)| name);
    let topology = topology::parse("bench.toml", text, Path::new(""), &embedded).expect("a topology");
    let options = Options { virtual_time: true, ..Options::default() };
    let plan = Plan::of(topology, options, |_| None).expect("a plan");
    plan.bus(|batch| {
        black_box(batch);
    })
}

fn chain() -> String {
    let mut text =
        "[topology]\nname = \"chain\"\n[ingress]\nto = \"hop-0\"\n[network]\nlatency = \"0ns\"\n".to_owned();
    for hop in 0..HOPS {
        let next = hop + 1;
        text += &format!("[services.hop-{hop}]\nguest = \"hop\"\nconfig = {{ next = \"hop-{next}\" }}\n");
    }
    text + &format!("[services.hop-{HOPS}]\nguest = \"noop\"\n")
}

fn orders() -> String {
    include_str!("../../topologies/orders.toml")
        .replace("guest = \"inventory\"", "guest = \"inventory\"\nconfig = { sleeps = false }")
}

fn bus(criterion: &mut Criterion) {
    let noop = "[topology]\nname = \"noop\"\n[ingress]\nto = \"noop\"\n[services.noop]\nguest = \"noop\"\n";
    let order = r#"POST /orders {"item":"book","quantity":2,"price":9.99}"#;
    let cases = [
        ("answer at once", noop.to_owned(), "GET /", 1),
        ("chain of ten hops", chain(), "GET /", HOPS),
        ("order", orders(), order, 1),
    ];
    let mut group = criterion.benchmark_group("bus");
    for (name, topology, request, elements) in cases {
        let (sched, bus) = world(&topology);
        let asked: Asked = request.parse().expect("a request");
        group.throughput(Throughput::Elements(elements));
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let answer = Rc::clone(&bus).enter(asked.entry(ServiceId(0)));
                sched.block_on(answer, || {}).expect("an answer")
            });
        });
    }
    group.finish();
}

criterion_group!(benches, bus);
criterion_main!(benches);
