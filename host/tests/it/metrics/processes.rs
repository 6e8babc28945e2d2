//! What is looked at when metrics are collected: queues, workers, processes, policies.

use serde_json::Value;
use simhost::clock::VIRTUAL_START;

use super::{SECOND, callers, last, numbers, of_metric};
use crate::support::metrics::Measured;
use crate::support::{SpanKind, World};

/// One worker, which has more to do than it can for ten seconds.
fn overloaded() -> World {
    let load = "[[load]]\nname = \"steady\"\nto = \"front\"\narrivals = { constant = \"20/s\" }\n\
                for = \"10s\"\nrequest = { path = \"/\" }";
    let world = World::of_services(&[("front", "workers = 1\nqueue = 1000\nconfig = { work = \"100ms\" }")]);
    world.with(load).measured(2_000).flags(&["--json"])
}

#[test]
fn queue_and_workers_are_those_of_the_instant() {
    let run = overloaded().virtually(&[]);
    // 20 arrive and 10 leave in each second; one is in work.
    let lengths = numbers(&run, "front", "simhost.queue.length");
    for (time, length) in lengths.iter().filter(|(time, _)| *time <= 10 * SECOND) {
        let expected = (*time / SECOND * 10) as f64;
        assert!((length - expected).abs() <= 2.0, "{length} wait after {time} ns, not {expected}");
    }
    assert_eq!(lengths.last().map(|(_, length)| *length), Some(0.0), "{lengths:?}");
    let busy = numbers(&run, "front", "simhost.worker.busy");
    assert!(busy.iter().rev().skip(1).all(|(_, busy)| *busy == 1.0), "{busy:?}");
    assert!(numbers(&run, "front", "simhost.worker.count").iter().all(|(_, count)| *count == 1.0));
    let active = numbers(&run, "front", "http.server.active_requests");
    assert_eq!(active, busy, "a request is active while a worker has it");
}

#[test]
fn waits_in_the_queue_are_those_of_the_report() {
    let run = overloaded().virtually(&[]);
    let report = run.json();
    let row = &report["services"][0];
    let points = last(&run, "simhost.queue.wait");
    let histogram = points.values().next().expect("a point").histogram();
    assert_eq!(row["waited"], histogram.count, "{row}");
    let longest = row["wait_max_ns"].as_u64().expect("the longest wait") as f64 / 1e9;
    assert!((histogram.max - longest).abs() < 1e-9, "{} is not {longest}", histogram.max);
}

#[test]
fn a_process_has_memory_and_an_uptime_and_a_load_has_none() {
    let run = callers("").virtually(&[]);
    for (time, uptime) in numbers(&run, "front", "process.uptime") {
        assert!((uptime - time as f64 / 1e9).abs() < 1e-9);
    }
    let memory = numbers(&run, "front", "process.memory.usage");
    assert!(memory.iter().all(|(_, bytes)| *bytes >= 65_536.0 && *bytes % 65_536.0 == 0.0), "{memory:?}");
    let gauge = &of_metric(&run, "process.uptime")[0];
    assert_eq!((&gauge.value, gauge.start), (&Measured::Gauge(10.0), 0));
    let load = "[[load]]\nname = \"shoppers\"\nto = \"front\"\nspan = true\narrivals = { constant = \"5/s\" }\n\
                request = { path = \"/spans\" }";
    let run = World::of("probe", "").with(load).measured(10_000).flags(&["--for", "15s"]).virtually(&[]);
    let of_load: Vec<_> = run.points().into_iter().filter(|point| point.service == "shoppers").collect();
    assert!(of_load.iter().all(|point| point.metric == super::CLIENT));
    let count = of_load.last().expect("its requests are measured").histogram().count;
    assert_eq!(count, run.of("shoppers", SpanKind::Client).len() as u64);
}

#[test]
fn the_time_of_the_processor_is_what_requests_took_that_only_compute() {
    let load = "[[load]]\nname = \"steady\"\nto = \"front\"\narrivals = { constant = \"10/s\" }\n\
                request = { path = \"/spans\" }";
    let world = World::of("probe", "").with(load).measured(10_000);
    let run = world.clone().flags(&["--for", "15s", "--compute", "1ns"]).virtually(&[]);
    let computed = numbers(&run, "front", "process.cpu.time");
    let spans = run.of("front", SpanKind::Server);
    let took: u64 = spans.iter().map(|span| span.duration()).sum();
    let (_, last) = computed.last().expect("it computes");
    assert!(took > 0 && (last - took as f64 / 1e9).abs() < 1e-9 * spans.len() as f64, "{last} s, {took} ns");
    let none = world.flags(&["--for", "15s", "--compute", "0"]).virtually(&[]);
    assert!(numbers(&none, "front", "process.cpu.time").is_empty());
}

#[test]
fn in_real_time_the_processor_runs_by_the_clock_of_the_run() {
    let world = World::of("hostile", "limits = { cpu-time = \"1m\", request-time = \"1h\" }");
    let server = world.measured(3_600_000).flags(&["--speed", "20"]).serve();
    assert_eq!(server.get("/spin/now/100000").body, "100000 times");
    let run = server.stop();
    let spans = run.of("front", SpanKind::Server);
    let took = spans.iter().map(|span| span.duration()).sum::<u64>() as f64 / 1e9;
    let computed: f64 = last(&run, "process.cpu.time").values().map(super::Point::number).sum();
    // It does nothing else.
    assert!((0.5 * took..=took).contains(&computed), "{computed} s of {took} s");
}

#[test]
fn sizes_of_bodies_are_measured_on_both_sides_where_the_topology_asks_for_it() {
    let sizes = ["http.server.request.body.size", "http.server.response.body.size"];
    let of_client = ["http.client.request.body.size", "http.client.response.body.size"];
    let run = callers("").virtually(&[]);
    assert!(sizes.iter().chain(&of_client).all(|metric| of_metric(&run, metric).is_empty()));
    let run = callers("[telemetry]\nbody-sizes = true").virtually(&[]);
    let total = |metric: &str, service: &str| {
        let points = last(&run, metric).into_values().filter(|point| point.service == service);
        points.fold((0, 0.0), |(count, sum), point| {
            assert_eq!(point.unit, "By");
            (count + point.histogram().count, sum + point.histogram().sum)
        })
    };
    for (server, client) in sizes.iter().zip(of_client) {
        let (served, sent) = (total(server, "back"), total(client, "front"));
        assert_eq!((served, served.0), (sent, 1_000), "{server}");
    }
    assert!(total(sizes[1], "back").1 > 0.0);
}

#[test]
fn a_load_measures_the_sizes_that_its_service_does() {
    let load = "[[load]]\nname = \"shoppers\"\nto = \"front\"\nspan = true\narrivals = { constant = \"5/s\" }\n\
                request = { path = \"/spans\" }\n[telemetry]\nbody-sizes = true";
    let run = World::of("probe", "").with(load).measured(60_000).flags(&["--for", "15s"]).virtually(&[]);
    let of = |metric: &str, service: &str| {
        let points = last(&run, metric).into_values().filter(|point| point.service == service);
        points.fold((0, 0.0), |(count, sum), point| {
            (count + point.histogram().count, sum + point.histogram().sum)
        })
    };
    for body in ["request", "response"] {
        let served = of(&format!("http.server.{body}.body.size"), "front");
        let sent = of(&format!("http.client.{body}.body.size"), "shoppers");
        assert_eq!((served, served.0), (sent, 75), "{body}");
    }
}

#[test]
fn policies_count_what_the_report_does() {
    let link = "[[links]]\nfrom = \"front\"\nto = \"back\"\n\
                retry = { attempts = 3, backoff = \"10ms\" }\n\
                breaker = { rate = 0.2, min-requests = 5, open-for = \"2s\" }\nfallback = { status = 200 }";
    let run = callers(link).virtually(&[]);
    let report = run.json();
    let links = report["links"].as_array().expect("rows");
    let row = links.iter().find(|row| row["from"] == "front").expect("the link");
    let policies = &row["policies"];
    let value = |metric: &str| {
        let points = last(&run, metric);
        points.values().map(super::Point::number).sum::<f64>()
    };
    for (metric, key) in [
        ("simhost.retry.count", "resends"),
        ("simhost.breaker.opened", "opened"),
        ("simhost.fallback.count", "fallbacks"),
    ] {
        let counted = policies[key].as_f64().unwrap_or_else(|| panic!("{key} in {row}"));
        assert!(counted > 0.0, "{key} in {row}");
        assert_eq!(value(metric), counted, "{metric}");
    }
    let states = of_metric(&run, "simhost.breaker.state");
    let at =
        |time: u64| states.iter().filter(move |point| point.time == time).map(super::Point::number).sum();
    let sums: Vec<f64> = states.iter().map(|point| at(point.time)).collect();
    assert!(!sums.is_empty() && sums.iter().all(|sum| *sum == 1.0), "it is in one state: {states:?}");
    let server = states[0].attributes.get("server.address");
    assert_eq!(server, Some(&Value::from("back")));
    assert!(states.iter().all(|point| point.start == VIRTUAL_START));
}
