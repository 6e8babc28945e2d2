//! What faults cost a chain of ten hops among 1,000 services, in virtual time:
//! those that are not active, those of other services and routes, conditions, and
//! those that strike.

mod world;

use std::fmt::Write as _;
use std::rc::Rc;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use simhost::bus::OfClient;
use simhost::model::ServiceId;
use simhost::run::RequestFlag;

use world::world;

const HOPS: usize = 10;
const SERVICES: usize = 1_000;

const INFALLIBLE: &str = "a String takes every write";

/// A chain, and services that it does not call.
fn services() -> String {
    let mut text =
        "[topology]\nname = \"chain\"\n[ingress]\nto = \"hop-0\"\n[network]\nlatency = \"0ns\"\n".to_owned();
    for hop in 0..SERVICES {
        write!(text, "[services.hop-{hop}]\nguest = \"hop\"\n").expect(INFALLIBLE);
        if hop < HOPS {
            writeln!(text, "config = {{ next = \"hop-{}\" }}", hop + 1).expect(INFALLIBLE);
        }
    }
    text
}

/// So many faults, at the services from `first` on, one each, with further lines.
fn faults(count: usize, first: usize, more: &str) -> String {
    (first..first + count).fold(String::new(), |mut text, hop| {
        write!(
            text,
            "[[faults]]\nname = \"fault-{hop}\"\nkind = \"latency\"\ndelay = \"1ms\"\n\
             target = {{ service = \"hop-{hop}\" }}\n{more}\n"
        )
        .expect(INFALLIBLE);
        text
    })
}

/// The same faults for one route of their services, which nobody asks for.
fn of_other_routes(count: usize) -> String {
    let faults = faults(count, 0, "");
    faults.replace("\" }\n", "\", route = \"GET /health\" }\n")
}

/// Ten conditions at each of the ten services; the last of them does not hold.
fn conditions() -> String {
    let holding = (0..9).map(|number| format!("\"header.x-none-{number}\" = {{ exists = false }}"));
    let all: Vec<_> = holding.chain(["\"header.x-tier\" = \"gold\"".to_owned()]).collect();
    faults(HOPS, 1, &format!("match = {{ {} }}", all.join(", ")))
}

fn bench(criterion: &mut Criterion) {
    let cases = [
        ("none", String::new()),
        ("one without a chance", faults(1, 1, "probability = 0.0")),
        ("one whose window is to come", faults(1, 1, "when = { at = \"100h\", for = \"1h\" }")),
        ("a hundred active, of other services", faults(100, HOPS + 1, "")),
        ("a hundred active, ten of these services and of other routes", of_other_routes(100)),
        ("one at each service, whose dice say no", faults(HOPS, 1, "probability = 1e-12")),
        ("ten conditions at each service", conditions()),
        ("a hundred active, ten of which strike", faults(100, 1, "")),
    ];
    let asked: RequestFlag = "GET /".parse().expect("a request");
    let mut group = criterion.benchmark_group("faults, by chain of ten hops");
    group.throughput(Throughput::Elements(HOPS as u64));
    for (name, faults) in cases {
        let (sched, bus) = world(&(services() + &faults));
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let answer = Rc::clone(&bus).enter(asked.entry(ServiceId(0), &OfClient::default()));
                sched.block_on(answer, || {}).expect("an answer")
            });
        });
        sched.clear();
    }
    group.finish();
}

criterion_group!(benches, bench);
criterion_main!(benches);
