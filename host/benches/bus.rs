//! What a request costs on the bus, in virtual time: a guest that answers at
//! once, a chain of ten hops, an order without sleeps, and a guest's calls of the host.

mod world;

use std::rc::Rc;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use simhost::bus::OfClient;
use simhost::model::ServiceId;
use simhost::run::RequestFlag;

use world::world;

const HOPS: u64 = 10;
const CLOCK_READS: u64 = 10_000;

fn chain() -> String {
    let mut text =
        "[topology]\nname = \"chain\"\n[ingress]\nto = \"hop-0\"\n[network]\nlatency = \"0ns\"\n".to_owned();
    for hop in 0..HOPS {
        let next = hop + 1;
        text += &format!("[services.hop-{hop}]\nguest = \"hop\"\nconfig = {{ next = \"hop-{next}\" }}\n");
    }
    text + &format!("[services.hop-{HOPS}]\nguest = \"noop\"\n")
}

/// A guest that calls the host so often that the rest of the request does not count.
fn reader() -> String {
    let mut text = "[topology]\nname = \"reader\"\n[ingress]\nto = \"reader\"\n".to_owned();
    text += "[services.reader]\nguest = \"hop\"\n";
    text + &format!("config = {{ clock-reads = {CLOCK_READS} }}\n")
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
        ("call of the host, by a guest that reads the clock", reader(), "GET /", CLOCK_READS),
    ];
    let mut group = criterion.benchmark_group("bus");
    for (name, topology, request, elements) in cases {
        let (sched, bus) = world(&topology);
        let asked: RequestFlag = request.parse().expect("a request");
        group.throughput(Throughput::Elements(elements));
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let answer = Rc::clone(&bus).enter(asked.entry(ServiceId(0), &OfClient::default()));
                sched.block_on(answer, || {}).expect("an answer")
            });
        });
    }
    group.finish();
}

criterion_group!(benches, bus);
criterion_main!(benches);
