//! Who scrapes without end, who reads no answer, and what else a scraper may meet.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use super::prometheus::{OPEN_METRICS, endpoint, samples, scrape, sum, world};
use crate::support::client::Client;
use crate::support::http::Connection;
use crate::support::server::Server;
use crate::support::{METRICS, Serving, SpanKind, Topology};

const COUNT: &str = "http_server_request_duration_seconds_count";

/// Connections that ask again as soon as they are answered, and those that never read an answer.
const EAGER: usize = 4;
const DEAF: usize = 16;

/// Requests that a connection sends which reads nothing.
const UNREAD: usize = 200;

/// What scrapes may cost in memory: bytes. A page has some ten thousand.
const MEMORY: u64 = 64 << 20;

/// What `front` has served, as a page says.
fn served(page: &str) -> f64 {
    sum(&samples(page), COUNT, &["/front\"", "http_route=\"/call\""])
}

/// Scrapes until it is told to stop. Each page is whole, and no count ever shrinks. Returns how many there
/// were.
fn scrape_eagerly(connection: &mut Connection, target: &str, is_over: &AtomicBool) -> usize {
    let accept = format!("Accept: {OPEN_METRICS}");
    let (mut scrapes, mut before) = (0, 0.0);
    while scrapes == 0 || !is_over.load(Ordering::Relaxed) {
        let page = connection.get(target, &[&accept]);
        assert_eq!(page.status(), 200, "{page:?}");
        assert!(page.body.ends_with("# EOF\n"), "{}", page.body);
        let served = served(&page.body);
        assert!(served >= before, "{served} after {before}");
        (scrapes, before) = (scrapes + 1, served);
    }
    scrapes
}

/// Asks the run for `requests` answers while it is scraped from all sides. Returns how many scrapes were
/// answered.
fn under_scrapes(server: &Serving, requests: usize) -> usize {
    let (at, is_over) = (endpoint(server), AtomicBool::new(false));
    let mut deaf: Vec<_> = (0..DEAF).map(|_| Connection::open(at.0)).collect();
    for connection in &mut deaf {
        // The run may cut off who reads nothing.
        (0..UNREAD).all(|_| connection.try_send("GET /metrics HTTP/1.1\r\nHost: test\r\n\r\n"));
    }
    thread::scope(|scope| {
        let eager: Vec<_> = (0..EAGER)
            .map(|number| {
                let target = ["/metrics", "/metrics/front"][number % 2];
                let is_over = &is_over;
                scope.spawn(move || scrape_eagerly(&mut Connection::open(at.0), target, is_over))
            })
            .collect();
        let statuses: Vec<_> =
            (0..requests).map(|_| server.get("/call?service=back&path=/spans").status).collect();
        is_over.store(true, Ordering::Relaxed);
        assert_eq!(statuses, vec![200; requests]);
        eager.into_iter().map(|eager| eager.join().expect("its pages are whole")).sum()
    })
}

#[test]
fn a_run_goes_on_while_it_is_scraped_as_fast_as_it_answers() {
    let server = world().flags(&["--speed", "10"]).serve();
    server.get("/call?service=back&path=/spans");
    let before = server.memory();
    let scrapes = under_scrapes(&server, 300);
    assert!(scrapes > EAGER, "{scrapes} scrapes");
    let taken = server.memory().saturating_sub(before);
    assert!(taken < MEMORY, "{scrapes} scrapes took {taken} bytes");
    let last = scrape(endpoint(&server), "/metrics", OPEN_METRICS).body;
    let run = server.stop();
    // A snapshot may be a tenth of a second old.
    assert!((1.0..=301.0).contains(&served(&last)), "{last}");
    assert_eq!(run.of("front", SpanKind::Server).len(), 301);
}

#[test]
fn a_paced_run_in_virtual_time_is_the_same_whoever_scrapes_it() {
    let load = "[[load]]\nname = \"steady\"\nto = \"front\"\narrivals = { constant = \"50/s\" }\n\
                request = { path = \"/call?service=back&path=/spans\" }";
    let flags = ["--virtual", "--speed", "10", "--for", "20s", "--start", "2026-01-01T00:00:00Z", "--json"];
    let paced = || world().with(load).flags(&flags).serve();
    let scraped = paced();
    let at = endpoint(&scraped);
    let mut connection = Connection::open(at.0);
    let mut pages = 0;
    while pages < 20 {
        let page = connection.get("/metrics", &[&format!("Accept: {OPEN_METRICS}")]);
        assert!(page.status() == 200 && page.body.ends_with("# EOF\n"), "{page:?}");
        pages += 1;
    }
    let (scraped, alone) = (scraped.ended(), paced().ended());
    assert_eq!(scraped.json()["digest"], alone.json()["digest"]);
}

/// Scrapes until a page says that `front` has served this much.
fn until_served(server: &Serving, expected: f64) -> String {
    loop {
        let page = endpoint(server).get("/metrics").body;
        let served = served(&page);
        assert!(served <= expected, "{page}");
        if served == expected {
            return page;
        }
    }
}

#[test]
fn prometheus_gets_cumulative_explicit_buckets_whatever_is_asked_for_over_otlp() {
    let world = world().env("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "delta").env(
        "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION",
        "base2_exponential_bucket_histogram",
    );
    let server = world.env("OTEL_METRIC_EXPORT_INTERVAL", "10").serve();
    for expected in [1.0, 2.0] {
        server.get("/call?service=back&path=/spans");
        let page = until_served(&server, expected);
        let of_call = ["/front\"", "http_route=\"/call\"", "le=\"+Inf\""];
        assert_eq!(sum(&samples(&page), "http_server_request_duration_seconds_bucket", &of_call), expected);
    }
    server.stop();
}

#[test]
fn a_replica_that_is_down_has_no_page_and_stays_a_target() {
    let fault = "[[faults]]\nname = \"it\"\nkind = \"down\"\ntarget = { service = \"back\", replica = 0 }";
    let server = world().with(fault).serve();
    let at = endpoint(&server);
    let down = at.get("/metrics/back/0");
    assert_eq!((down.status, down.body.as_str()), (503, "the process is down\n"));
    assert_eq!(at.get("/metrics/back/1").status, 200);
    assert_eq!(at.get("/sd").json().as_array().map(Vec::len), Some(3));
    let all = samples(&at.get("/metrics/back").body);
    assert_eq!(sum(&all, "target_info", &["service_name=\"back\""]), 1.0);
    server.stop();
}

#[test]
fn the_report_says_how_often_the_run_was_scraped() {
    let topology = Topology::probe();
    let mut command = topology.command(&["--listen", "127.0.0.1:0"]);
    command.env(METRICS, "prometheus").env("OTEL_EXPORTER_PROMETHEUS_PORT", "0");
    let server = Server::spawn(command.env("OTEL_EXPORTER_PROMETHEUS_HOST", "127.0.0.1"));
    let at = Client(server.metrics.expect("it can be scraped"));
    let statuses = ["/metrics", "/metrics/front", "/metrics/nobody", "/sd"].map(|path| at.get(path).status);
    assert_eq!(statuses, [200, 200, 404, 200]);
    server.signal("-INT");
    let report = server.ended().success().to_owned();
    assert!(report.ends_with("Prometheus: 2 scrapes answered\n"), "{report}");
}
