//! A sketch as a topology's text.

use std::fmt::Write as _;

use crate::error::{INFALLIBLE, quote};
use crate::model::{Bounds, Limits};
use crate::report::words::counted;

use super::bounds::{MAX_NAMED_ROUTES, MAX_REQUEST_TIME};
use super::names::{Statement, Store};
use super::notes::comment;
use super::path;
use super::sketch::{Latency, Link, Load, RouteSketch, Service, Sketch, seconds};
use super::{Read, Wanted};

mod backing;

/// Ports of a database that its spans do not name.
const DEFAULT_PORTS: [(&str, u16); 4] =
    [("postgresql", 5432), ("mysql", 3306), ("redis", 6379), ("mongodb", 27017)];

/// Connections of a pool: see `topology/database.rs`.
const CONNECTIONS_AT_MOST: u64 = 10_000;

/// A route's own failures that are none: requests are too few to tell.
const FEWEST_ERRORS: f64 = 1e-9;

pub fn write(wanted: &Wanted, read: &Read, sketch: &Sketch) -> String {
    let mut text = String::new();
    head(&mut text, wanted, read, sketch);
    sketch.services.iter().for_each(|of| service(&mut text, of));
    sketch.links.iter().for_each(|of| link(&mut text, of));
    backing::write(&mut text, sketch);
    sketch.loads.iter().for_each(|of| load(&mut text, of));
    text
}

fn head(text: &mut String, wanted: &Wanted, read: &Read, sketch: &Sketch) {
    let Wanted { name, seed, file, out, .. } = wanted;
    let title = out.clone().unwrap_or_else(|| format!("{name}.toml"));
    let out = out.as_ref().map_or_else(String::new, |out| format!(" --out {}", shown(out)));
    let command = format!("simhost import {} --name {name} --seed {seed}{out}", shown(file));
    writeln!(text, "# {}: {command}\n#", shown(&title)).expect(INFALLIBLE);
    let traces = format!(
        "A sketch of {} to {} within {:.1} s of traces. Recorded times include computing and waiting for workers. So \
         computing takes no time here, and services have twice the workers that were busy at the busiest moment. \
         What no span shows is marked as guessed.",
        counted(read.requests, "request"),
        counted(sketch.services.len() as u64, "service"),
        seconds(read.window),
    );
    comment(text, &traces);
    write!(
        text,
        "\n[topology]\nname = \"{name}\"\nseed = {seed}\n\n[run]\ncompute = \"0\"\n\n[ingress]\nto = \"{}\"\n\n[network]\n",
        sketch.entry
    )
    .expect(INFALLIBLE);
    match &sketch.latency {
        Some(latency) => writeln!(text, "latency = {latency}").expect(INFALLIBLE),
        None => {
            comment(
                text,
                "guessed: no call has the spans of both ends, so the way between them takes no time",
            );
            writeln!(text, "latency = \"0ms\"").expect(INFALLIBLE);
        }
    }
    let workers: u64 = sketch.services.iter().map(|service| service.replicas * service.workers).sum();
    let workers = (workers > u64::from(Bounds::default().workers)).then(|| format!("workers = {workers}"));
    // What is drawn by chance may be longer than all that was recorded.
    let longest = sketch.longest.saturating_mul(2).min(MAX_REQUEST_TIME).div_ceil(1_000_000_000);
    let is_long = longest > Limits::default().request_time / 1_000_000_000;
    let time = is_long.then(|| format!("request-time = \"{longest}s\""));
    let limits: Vec<_> = workers.into_iter().chain(time).collect();
    if !limits.is_empty() {
        writeln!(text, "\n[limits]\n{}", limits.join("\n")).expect(INFALLIBLE);
    }
}

fn service(text: &mut String, service: &Service) {
    let Service { name, recorded, is_guessed, version, replicas, workers, databases, caches, routes } =
        service;
    text.push('\n');
    if let Some(recorded) = recorded {
        comment(text, &format!("{} in the traces.", quote(recorded)));
    }
    if *is_guessed {
        let is_of_topic = routes.iter().all(|route| route.topic.is_some());
        let words = if is_of_topic {
            "guessed: no span consumes the topic"
        } else {
            "guessed: no span is of this service; its times are those that its callers saw"
        };
        comment(text, words);
    }
    writeln!(text, "[services.{name}]\nguest = \"service\"").expect(INFALLIBLE);
    if let Some(version) = version {
        writeln!(text, "version = {}", quoted(version)).expect(INFALLIBLE);
    }
    if *replicas > 1 {
        writeln!(text, "replicas = {replicas}").expect(INFALLIBLE);
    }
    writeln!(text, "workers = {workers}").expect(INFALLIBLE);
    if !caches.is_empty() {
        let names: Vec<_> = caches.iter().map(|name| quoted(name)).collect();
        writeln!(text, "caches = [{}]", names.join(", ")).expect(INFALLIBLE);
    }
    for database in databases {
        // As many as workers: what was waited for is in the recorded times.
        let most = (*workers).min(CONNECTIONS_AT_MOST);
        writeln!(text, "databases.{database} = {{ pool = {{ max = {most} }} }}").expect(INFALLIBLE);
    }
    let mut keys = std::collections::BTreeSet::new();
    for (number, of) in routes.iter().enumerate() {
        let called = of.topic.as_ref().map(|topic| format!("topic {topic}"));
        let plain = match routes.len() {
            ..=MAX_NAMED_ROUTES => {
                path::slug(&called.unwrap_or_else(|| format!("{} {}", of.method, of.path)))
            }
            _ => format!("r{}", number + 1),
        };
        let (mut key, mut number) = (plain.clone(), 2);
        while !keys.insert(key.clone()) {
            key = format!("{plain}-{number}");
            number += 1;
        }
        route(text, name, &key, of);
    }
}

fn route(text: &mut String, service: &str, key: &str, route: &RouteSketch) {
    let RouteSketch { method, path, topic, work, errors, statement, response_bytes, is_guessed, .. } = route;
    text.push('\n');
    if *is_guessed {
        comment(text, "guessed: messages, jobs or requests whose own span is missing, drawn as requests");
    }
    route.undrawn.iter().for_each(|words| comment(text, words));
    writeln!(text, "[services.{service}.config.{key}]").expect(INFALLIBLE);
    match topic {
        Some(topic) => writeln!(text, "topic = {}", quoted(topic)),
        None => writeln!(text, "route = \"{method} {path}\""),
    }
    .expect(INFALLIBLE);
    writeln!(text, "work = {work}").expect(INFALLIBLE);
    if *errors > FEWEST_ERRORS {
        writeln!(text, "errors = {:?}", digits(*errors)).expect(INFALLIBLE);
    }
    if let Some((statement, store)) = statement {
        self::statement(text, statement, store);
    }
    backing::of_route(text, route);
    if let Some(bytes) = response_bytes.filter(|_| topic.is_none()) {
        writeln!(text, "response-bytes = {bytes}").expect(INFALLIBLE);
    }
}

fn statement(text: &mut String, statement: &Statement, store: &Store) {
    let Store { system, namespace, address, port, .. } = store;
    writeln!(text, "span = {}", quoted(&statement.name)).expect(INFALLIBLE);
    let is_usual = |port: &u16| DEFAULT_PORTS.contains(&(system.as_str(), *port));
    let parts = [
        namespace.as_ref().map(|namespace| format!(", namespace = {}", quoted(namespace))),
        address.as_ref().map(|address| format!(", address = {}", quoted(address))),
        port.filter(|port| !is_usual(port)).map(|port| format!(", port = {port}")),
    ];
    let parts: String = parts.into_iter().flatten().collect();
    if parts.is_empty() {
        writeln!(text, "database = {}", quoted(system)).expect(INFALLIBLE);
    } else {
        writeln!(text, "database = {{ system = {}{parts} }}", quoted(system)).expect(INFALLIBLE);
    }
}

fn link(text: &mut String, link: &Link) {
    let Link { from, to, latency, attempts } = link;
    writeln!(text, "\n[[links]]\nfrom = \"{from}\"\nto = \"{to}\"").expect(INFALLIBLE);
    match latency {
        Latency::OfNetwork => {}
        Latency::Own(latency) => writeln!(text, "latency = {latency}").expect(INFALLIBLE),
        Latency::InCallee => {
            comment(text, "guessed: the way is in the callee's times");
            writeln!(text, "latency = \"0ms\"").expect(INFALLIBLE);
        }
    }
    if let Some(attempts) = attempts {
        comment(text, "guessed: which failures are tried again, and when");
        writeln!(
            text,
            "retry = {{ attempts = {attempts}, on = [\"5xx\", \"timeout\", \"reset\", \"refused\"], methods = \"all\" }}"
        )
        .expect(INFALLIBLE);
    }
}

fn load(text: &mut String, load: &Load) {
    let Load { to, rate, requests, values, .. } = load;
    text.push('\n');
    if rate.is_none() {
        comment(text, "guessed: all requests came at once, so there is no rate");
    }
    let rate = per_time(rate.unwrap_or(1.0));
    writeln!(
        text,
        "[[load]]\nname = \"clients-of-{to}\"\nto = \"{to}\"\narrivals = {{ poisson = \"{rate}\" }}\nreal-time = false"
    )
    .expect(INFALLIBLE);
    for (name, count) in values {
        writeln!(text, "values.{name} = {{ range = [1, {count}] }}").expect(INFALLIBLE);
    }
    if let [(_, method, path)] = &requests[..] {
        writeln!(text, "request = {{ method = \"{method}\", path = \"{path}\" }}").expect(INFALLIBLE);
        return;
    }
    writeln!(text, "requests = [").expect(INFALLIBLE);
    for (weight, method, path) in requests {
        writeln!(text, "    {{ weight = {weight}, method = \"{method}\", path = \"{path}\" }},")
            .expect(INFALLIBLE);
    }
    writeln!(text, "]").expect(INFALLIBLE);
}

/// A rate in the unit of time in which it is at least one.
fn per_time(per_second: f64) -> String {
    let units = [(1.0, "s"), (60.0, "m"), (3_600.0, "h")];
    let found = units.iter().find(|(seconds, _)| per_second * seconds >= 1.0);
    let (seconds, unit) = found.unwrap_or(&units[2]);
    format!("{}/{unit}", digits(per_second * seconds))
}

/// Four digits of a number above 0.
fn digits(number: f64) -> f64 {
    let places = 3 - libm::floor(libm::log10(number)) as i32;
    let unit = libm::pow(10.0, f64::from(places.abs()));
    if places >= 0 { libm::round(number * unit) / unit } else { libm::round(number / unit) * unit }
}

/// A name of a file, in a line of its own.
fn shown(file: &str) -> String {
    file.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// A basic string of TOML 1.0.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() => write!(quoted, "\\u{:04x}", u32::from(c)).expect(INFALLIBLE),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_in_the_unit_in_which_they_are_one_or_more() {
        assert_eq!(
            [49.982_31, 0.05, 0.000_9, 12_345.6].map(per_time),
            ["49.98/s", "3/m", "3.24/h", "12350/s"]
        );
    }

    #[test]
    fn any_text_is_a_string_of_toml() {
        for text in ["SELECT \"a\\b\"", "a\u{7}b\nc\u{7f}", "ü"] {
            let table: toml::Table = format!("a = {}", quoted(text)).parse().expect("TOML");
            assert_eq!(table["a"].as_str(), Some(text));
        }
    }
}
