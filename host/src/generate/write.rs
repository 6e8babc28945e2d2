//! A system as a topology's text.

use std::fmt::Write as _;

use super::shape::{Cache, Call, Database, GATEWAY, Pool, Route, Service, System, Topic, Work};
use super::sizing::Load;
use super::{Wanted, databases, names, sizing};
use crate::clock;
use crate::error::INFALLIBLE;
use crate::model::Bounds;

/// A query that takes this multiple of the median is slow.
const SLOW_QUERY: u64 = 5;

/// Connections that a database has where nothing else is written.
const CONNECTIONS: u32 = 100;

/// Columns of a comment.
const WIDTH: usize = 110;

pub fn write(wanted: &Wanted, system: &System, load: &Load) -> String {
    let name = wanted.name.clone().unwrap_or_else(|| format!("services-{}", wanted.services));
    let mut text = String::new();
    head(&mut text, wanted, system, load, &name);
    let last = system.layers.len() - 1;
    for (at, layer) in system.layers.iter().enumerate() {
        let what = match at {
            0 => "the edge",
            1 if at < last => "the interfaces behind the edge",
            _ if at == last => "where the data is",
            _ => "between",
        };
        let count = count(layer.len(), "service");
        writeln!(text, "\n# Layer {} of {}, {what}: {count}.", at + 1, last + 1).expect(INFALLIBLE);
        for index in layer.clone() {
            service(&mut text, system, &system.services[index]);
        }
    }
    backing(&mut text, system);
    requests(&mut text, wanted, system, load);
    text
}

/// Databases, caches and topics.
fn backing(text: &mut String, system: &System) {
    if !system.databases.is_empty() {
        writeln!(text, "\n# What services keep in tables.").expect(INFALLIBLE);
    }
    for Database { name, tables, commit, cores, connections } in &system.databases {
        let (commit, sql) = (lognormal(*commit), databases::sql(tables));
        writeln!(text, "\n[databases.{name}]\ncores = {cores}").expect(INFALLIBLE);
        if *connections > CONNECTIONS {
            writeln!(text, "connections = {connections}").expect(INFALLIBLE);
        }
        write!(text, "cost = {{ commit = {commit} }}\ntables = \"\"\"\n{sql}\"\"\"\n").expect(INFALLIBLE);
    }
    if !system.caches.is_empty() {
        writeln!(text, "\n# What services keep of the answers of others.").expect(INFALLIBLE);
    }
    for Cache { name, entries } in &system.caches {
        writeln!(text, "\n[caches.{name}]\nentries = {entries}\ntimeout = \"100ms\"").expect(INFALLIBLE);
    }
    if !system.topics.is_empty() {
        writeln!(text, "\n# What services tell others of, who do not keep them waiting.").expect(INFALLIBLE);
    }
    for Topic { name, partitions, consumer } in &system.topics {
        let (publish, consumer) = (lognormal(sizing::PUBLISH), &system.services[*consumer].name);
        write!(
            text,
            "\n[topics.{name}]\npartitions = {partitions}\npublish = {publish}\n\n[[subscriptions]]\n\
             topic = \"{name}\"\nservice = \"{consumer}\"\nfetch = {publish}\n\
             retry = {{ attempts = 5, backoff = \"500ms\" }}\n"
        )
        .expect(INFALLIBLE);
    }
}

/// The load that workers were chosen for.
fn requests(text: &mut String, wanted: &Wanted, system: &System, load: &Load) {
    let rate = wanted.rate;
    write!(
        text,
        r#"
# What comes in: the first route at the edge is asked for twice as often as the second, three times as often as
# the third. In virtual time --for 1h is enough to see it, in real time it wants --load visitors=on too.

[[load]]
name = "visitors"
to = "{GATEWAY}"
arrivals = {{ poisson = "{rate}/s" }}
real-time = false
values.id = {{ range = [1, 1000] }}
requests = [
"#
    )
    .expect(INFALLIBLE);
    for (route, weight) in system.services[0].routes.iter().zip(&load.mix) {
        let (method, path) = (route.verb.method, path(route));
        writeln!(text, "    {{ weight = {weight}, method = \"{method}\", path = \"{path}\" }},")
            .expect(INFALLIBLE);
    }
    writeln!(text, "]").expect(INFALLIBLE);
}

fn head(text: &mut String, wanted: &Wanted, system: &System, load: &Load, name: &str) {
    let file = wanted.file.clone().unwrap_or_else(|| format!("{name}.toml"));
    let (services, layers) = (count(wanted.services as usize, "service"), system.layers.len());
    let Wanted { services: number, seed, rate, .. } = wanted;
    let (caches, topics, databases) = (wanted.caches(), wanted.topics(), wanted.databases());
    // In one line, however long: it is to be copied.
    writeln!(
        text,
        "# {file}: simhost generate --services {number} --seed {seed} --layers {layers} --rate {rate} \
         --caches {caches} --topics {topics} --databases {databases} --name {name} --out {file}\n#"
    )
    .expect(INFALLIBLE);
    let words = format!(
        "{services} without code in {layers} layers. A request visits {:.0} services on average and leaves {:.0} \
         spans{}; {} workers are enough for {rate} requests per second.",
        load.visits,
        load.spans,
        if system.caches.is_empty() { "" } else { ", as long as caches are empty" },
        load.workers
    );
    comment(text, &words);
    writeln!(
        text,
        "\n[topology]\nname = \"{name}\"\nseed = {seed}\n\n[ingress]\nto = \"{GATEWAY}\"\n\n\
         [network]\nlatency = {}",
        lognormal(sizing::LATENCY)
    )
    .expect(INFALLIBLE);
    if load.workers > u64::from(Bounds::default().workers) {
        writeln!(text, "\n[limits]\nworkers = {}", load.workers).expect(INFALLIBLE);
    }
}

fn comment(text: &mut String, words: &str) {
    let mut line = String::from("#");
    for word in words.split(' ') {
        if line.len() + 1 + word.len() > WIDTH {
            writeln!(text, "{line}").expect(INFALLIBLE);
            line = String::from("#");
        }
        write!(line, " {word}").expect(INFALLIBLE);
    }
    writeln!(text, "{line}").expect(INFALLIBLE);
}

fn count(number: usize, thing: &str) -> String {
    format!("{number} {thing}{}", if number == 1 { "" } else { "s" })
}

fn service(text: &mut String, system: &System, service: &Service) {
    let Service { name, version, .. } = service;
    writeln!(text, "\n[services.{name}]\nguest = \"service\"\nversion = \"{version}\"").expect(INFALLIBLE);
    if service.replicas > 1 {
        writeln!(text, "replicas = {}", service.replicas).expect(INFALLIBLE);
    }
    writeln!(text, "workers = {}", service.workers).expect(INFALLIBLE);
    writeln!(text, "config.work = {}", lognormal(service.work)).expect(INFALLIBLE);
    writeln!(text, "config.errors = {:?}", f64::from(service.errors) / 10_000.0).expect(INFALLIBLE);
    for (key, line) in [("log", &service.log), ("warn", &service.warn)] {
        if let Some(line) = line {
            writeln!(text, "config.{key} = \"{line}\"").expect(INFALLIBLE);
        }
    }
    if let Some(cache) = service.cache {
        let name = &system.caches[cache].name;
        writeln!(text, "caches = [\"{name}\"]").expect(INFALLIBLE);
    }
    if let Some(Pool { database, max, wait }) = &service.pool {
        let name = &system.databases[*database].name;
        write!(
            text,
            "databases.{name} = {{ pool = {{ max = {max}, wait = \"{wait}s\" }} }}\nconfig.sql-in = \"{name}\"\n"
        )
        .expect(INFALLIBLE);
    }
    if let Some(database) = service.database {
        let slow = clock::show(u64::from(service.work.median) * 1_000 * SLOW_QUERY);
        writeln!(text, "config.database = \"{database}\"\nconfig.slow-query = \"{slow}\"").expect(INFALLIBLE);
    }
    let is_edge = service.name == GATEWAY;
    for route in &service.routes {
        let key =
            if is_edge { format!("{}-{}", route.verb.key, route.things) } else { route.verb.key.to_owned() };
        match route.consumes {
            Some(topic) => {
                let name = &system.topics[topic].name;
                write!(text, "config.on-{name} = {{ topic = \"{name}\"").expect(INFALLIBLE);
            }
            None => {
                let pattern = format!("{} {}", route.verb.method, path(route));
                write!(text, "config.{key} = {{ route = \"{pattern}\"").expect(INFALLIBLE);
            }
        }
        if let Some(database) = service.database {
            let statement = names::statement(database, route.verb);
            write!(text, ", span = \"{statement} {}\"", service.things).expect(INFALLIBLE);
        }
        if let Some(asks) = &route.statements {
            let transaction = if asks.is_transaction { ", transaction = true" } else { "" };
            write!(text, "{transaction}, sql = \"{}\"", asks.texts.join("; ")).expect(INFALLIBLE);
        }
        if !route.calls.is_empty() {
            write!(text, ", calls = \"{}\"", calls(system, route)).expect(INFALLIBLE);
        }
        if let (Some(seconds), Some(cache)) = (route.kept_for, service.cache) {
            let name = &system.caches[cache].name;
            write!(text, ", cache = \"{seconds}s\", cache-in = \"{name}\"").expect(INFALLIBLE);
        }
        if let Some(topic) = route.sends_to {
            write!(text, ", publish = \"{}/{{id}}\"", system.topics[topic].name).expect(INFALLIBLE);
        }
        writeln!(text, " }}").expect(INFALLIBLE);
    }
}

/// A length of time as a topology writes it.
fn lognormal(work: Work) -> String {
    let (median, sigma) = (clock::show(u64::from(work.median) * 1_000), f64::from(work.sigma) / 100.0);
    format!("{{ lognormal = {{ median = \"{median}\", sigma = {sigma:?} }} }}")
}

/// `/items/{id}`: what `{id}` stands for is the reader's affair.
fn path(route: &Route) -> String {
    let things = route.things;
    if route.verb.is_single { format!("/{things}/{{id}}") } else { format!("/{things}") }
}

/// `stock-db/items/{id} & 10% POST audit-service/audits?`
fn calls(system: &System, route: &Route) -> String {
    let step = |step: &Vec<Call>| {
        let calls: Vec<_> = step.iter().map(|one| call(system, one)).collect();
        calls.join(" & ")
    };
    let steps: Vec<_> = route.calls.iter().map(step).collect();
    steps.join(", ")
}

fn call(system: &System, call: &Call) -> String {
    let service = &system.services[call.service];
    let route = &service.routes[call.route];
    let chance = if call.percent < 100 { format!("{}% ", call.percent) } else { String::new() };
    let times = if call.times > 1 { format!("{}x ", call.times) } else { String::new() };
    let method = if route.verb.method == "GET" { String::new() } else { format!("{} ", route.verb.method) };
    let optional = if call.is_optional { "?" } else { "" };
    format!("{chance}{times}{method}{}{}{optional}", service.name, path(route))
}
