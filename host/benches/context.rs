//! The cost of context at every hop: reading it, and writing it.

use std::hint::black_box;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use simhost::context::{extract, inject};
use simhost::message::Headers;

const TRACEPARENT: (&str, &str) = ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-03");
const TRACESTATE: (&str, &str) = ("tracestate", "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE");
const BAGGAGE: (&str, &str) = ("baggage", "userId=Am%C3%A9lie,serverNode=DF%2028,isProduction=false");
const OTHERS: [(&str, &str); 5] = [
    ("host", "inventory-service"),
    ("user-agent", "simhost"),
    ("accept", "*/*"),
    ("content-type", "application/json"),
    ("content-length", "64"),
];

fn headers(fields: &[&[(&str, &str)]]) -> Headers {
    Headers(fields.concat().into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
}

fn context(criterion: &mut Criterion) {
    let requests = [
        ("no context", headers(&[&OTHERS])),
        ("traceparent alone", headers(&[&[TRACEPARENT]])),
        ("traceparent among others", headers(&[&OTHERS, &[TRACEPARENT]])),
        ("traceparent, tracestate", headers(&[&OTHERS, &[TRACEPARENT, TRACESTATE]])),
        ("traceparent, baggage", headers(&[&OTHERS, &[TRACEPARENT, BAGGAGE]])),
        ("traceparent, tracestate, baggage", headers(&[&OTHERS, &[TRACEPARENT, TRACESTATE, BAGGAGE]])),
    ];
    let mut group = criterion.benchmark_group("extract");
    for (name, request) in &requests {
        group.bench_function(*name, |bencher| bencher.iter(|| extract(black_box(request))));
    }
    group.finish();

    let mut group = criterion.benchmark_group("inject");
    for (name, request) in &requests[2..] {
        let incoming = extract(request);
        let parent = incoming.parent.expect("valid");
        group.bench_function(*name, |bencher| {
            bencher.iter_batched_ref(
                || {
                    // A caller's own fields, with room for more as a growing list has it.
                    let mut own = Headers(Vec::with_capacity(8));
                    own.0.extend(headers(&[&OTHERS[..2]]).0);
                    own
                },
                |headers| inject(black_box(&parent), &incoming.baggage, headers),
                BatchSize::SmallInput,
            );
        });
    }
    group.finish();
}

criterion_group!(benches, context);
criterion_main!(benches);
