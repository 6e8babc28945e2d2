//! Topology files and what simhost says about them: each `tests/ui/*.toml` has
//! a `.out` beside it (the model) or an `.err` (the report).
//!
//! `BLESS=1 cargo test --test it ui::` writes both anew; read the difference before
//! committing it.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use simhost::error::Look;
use simhost::model::{
    self, Chance, Code, Condition, DatabaseFault, Distribution, DoorFault, Effect, Fault, FaultEvent, Load,
    Model, NetworkFault, RequestTemplate, Service, SpanFault, Target, TopicTarget, When, WorkerFault,
};
use simhost::topology::{Topology, parse};

const EMBEDDED: [&str; 13] = [
    "checkout",
    "command",
    "dispatch",
    "gateway",
    "inventory",
    "items",
    "mailer",
    "notification",
    "orders",
    "payment",
    "service",
    "stock",
    "storefront",
];

#[test]
fn every_file_is_read_or_refused_as_its_golden_file_says() {
    let bless = std::env::var_os("BLESS").is_some();
    let mut wrong = Vec::new();
    for path in files(Path::new("tests/ui")) {
        let (extension, other, said) = match read(&path) {
            Ok(topology) => ("out", "err", dump(&topology.model)),
            Err(report) => ("err", "out", report),
        };
        let golden = path.with_extension(extension);
        if bless {
            fs::write(&golden, &said).expect("golden file is written");
            let _ = fs::remove_file(path.with_extension(other));
        } else if fs::read_to_string(&golden).ok().as_deref() != Some(&said) {
            wrong.push(format!("{} differs; it is now:\n{said}", golden.display()));
        }
    }
    assert!(wrong.is_empty(), "{}\nBLESS=1 writes the golden files anew", wrong.join("\n"));
}

#[test]
fn every_golden_file_has_its_topology() {
    for entry in fs::read_dir("tests/ui").expect("folder of golden files") {
        let path = entry.expect("entry").path();
        assert!(path.with_extension("toml").exists(), "{} is left over", path.display());
    }
}

#[test]
fn every_topology_that_ships_is_read_and_says_what_it_shows() {
    let shipped = files(Path::new("../topologies"));
    assert!(!shipped.is_empty());
    for path in shipped {
        let topology = read(&path).unwrap_or_else(|report| panic!("{report}"));
        let stem = path.file_stem().expect("stem").to_string_lossy();
        assert!(topology.text.starts_with(&format!("# {stem}.toml: ")), "{}", path.display());
        assert_eq!(topology.model.name, stem);
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("folder of topologies");
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("entry").path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
    files.sort();
    files
}

fn read(path: &Path) -> Result<Topology, String> {
    let name = path.file_name().expect("file name").to_string_lossy();
    let text = fs::read_to_string(path).expect("topology is text");
    parse(&name, &text, Path::new("folder"), &EMBEDDED).map_err(|refused| refused.render(Look::PLAIN))
}

/// The model, one fact a line, without places.
fn dump(model: &Model) -> String {
    let mut text = String::new();
    let name = |id| &model.service(id).name;
    let mut line = |line: String| writeln!(text, "{line}").expect("strings take all");
    let environment = model.environment.as_deref().unwrap_or("local");
    line(format!("topology {} seed={} environment={environment}", model.name, model.seed));
    if let Some(ingress) = &model.ingress {
        line(format!("ingress {} -> {}", ingress.listen, name(ingress.to)));
    }
    line(format!("latency {:?}", model.latency));
    line(format!("allow {:?}", model.allowed_hosts));
    line(format!("{:?}", model.bounds));
    model.services.iter().for_each(|service| line(dump_service(service)));
    for link in &model.links {
        let (latency, timeout) = (&link.latency, link.timeout);
        line(format!(
            "link {} -> {} latency={latency:?} timeout={timeout:?}",
            name(link.from),
            name(link.to)
        ));
        link.policies.iter().for_each(|policies| line(format!("  {policies:?}")));
    }
    model.faults.iter().for_each(|fault| dump_fault(&mut line, fault, model));
    for load in &model.loads {
        let Load { start, lasts, max_requests, max_in_flight, timeout, span, real_time, .. } = load;
        line(format!("load {} -> {} start={start} for={lasts:?}", load.name, name(load.to)));
        line(format!("  max-requests={max_requests:?} max-in-flight={max_in_flight} timeout={timeout:?}"));
        line(format!("  span={span} real-time={real_time} ends={}", load.ends()));
        line(format!("  {:?}", load.traffic));
        load.values.iter().for_each(|value| line(format!("  value {}: {:?}", value.name, value.draw)));
        load.requests.iter().for_each(|request| dump_request(&mut line, request));
    }
    for objective in &model.objectives {
        let goals = objective.goals.iter().map(|goal| format!("{:?} {}", goal.measure, goal.limit));
        let goals: Vec<_> = goals.collect();
        line(format!("objective {:?} {}", objective.of, goals.join(", ")));
    }
    for database in &model.databases {
        let schema = match &database.schema {
            model::Schema::File { path, .. } => path.display().to_string(),
            model::Schema::Inline(inline) => format!("{:?}", inline.text),
        };
        line(format!("database {} {schema}", database.name));
        let model::Database { cores, connections, latency, cost, statement_timeout, lock_timeout, .. } =
            database;
        line(format!("  cores={cores} connections={connections} latency={latency:?} {cost:?}"));
        line(format!("  statement-timeout={statement_timeout:?} lock-timeout={lock_timeout:?}"));
        for rows in &database.rows {
            line(format!("  {} {} {:?}", rows.count, rows.table, rows.values));
        }
    }
    for service in model.services.iter().filter(|service| !service.caches.is_empty()) {
        line(format!("caches of {}: {:?}", service.name, service.caches));
    }
    model.caches.iter().for_each(|cache| line(format!("{cache:?}")));
    model.schedules.iter().for_each(|schedule| line(format!("{schedule:?}")));
    model.topics.iter().for_each(|topic| line(without_place(&format!("{topic:?}"))));
    model.subscriptions.iter().for_each(|one| line(without_place(&format!("{one:?}"))));
    line(format!("{:?}", model.telemetry));
    text
}

fn dump_fault(line: &mut impl FnMut(String), fault: &Fault, model: &Model) {
    let Fault { name, effect, conditions, chance, when, enabled, .. } = fault;
    line(format!("fault {name} {} enabled={enabled}", dump_effect(effect)));
    for Target { service, route, from, replica, from_replica, span, .. } in fault.targets() {
        let [route, span] = [route, span].map(|named| named.as_ref().map(|(name, _)| name));
        let from = from.map(|from| &model.service(from).name);
        line(format!("  target {} route={route:?} from={from:?}", model.service(*service).name));
        if replica.or(*from_replica).is_some() || span.is_some() {
            line(format!("  replica={replica:?} from-replica={from_replica:?} span={span:?}"));
        }
    }
    if let several @ [_, _, ..] = fault.databases() {
        let names = several.iter().map(|database| model.databases[*database].name.as_str());
        line(format!("  at one of {}", names.collect::<Vec<_>>().join(", ")));
    }
    conditions.iter().for_each(|Condition { of, test, .. }| line(format!("  {of:?} {test:?}")));
    if *chance != Chance::default() {
        line(format!("  {chance:?}"));
    }
    if *when != When::default() {
        line(format!("  {when:?}"));
    }
}

/// What a fault does, by the words of its kind.
fn dump_effect(effect: &Effect) -> String {
    let text = match effect {
        Effect::Worker(WorkerFault::Error { status, body, headers }) => {
            let body = body.as_deref().map(String::from_utf8_lossy);
            return format!("Error {{ status: {status}, body: {body:?}, headers: {headers:?} }}");
        }
        Effect::Network(NetworkFault::Latency { delay, on }) => latency(delay, format!("{on:?}"), None),
        Effect::Worker(WorkerFault::Latency { delay }) => latency(delay, "Handler", None),
        Effect::Span(SpanFault::Latency { delay, event }) => latency(delay, "Span", event.as_ref()),
        Effect::Network(fault) => format!("{fault:?}"),
        // Without the places of its keys.
        Effect::Door(DoorFault::BadDeploy { code, version, config, canary, .. }) => format!(
            "BadDeploy {{ code: {code:?}, version: {version:?}, config: {config:?}, canary: {canary:?} }}"
        ),
        Effect::Door(fault) => format!("{fault:?}"),
        Effect::Worker(fault) => format!("{fault:?}"),
        Effect::Replica(fault) => format!("{fault:?}"),
        Effect::Record(fault) => format!("{fault:?}"),
        Effect::Database { database, fault, .. } => {
            let fault = match fault {
                DatabaseFault::DropIndex { index: (index, _) } => format!("DropIndex {index}"),
                DatabaseFault::LockTable { table: (table, _), mode } => format!("LockTable {table} {mode:?}"),
                other => format!("{other:?}"),
            };
            format!("{fault} of database {database}")
        }
        Effect::Cache(effect) => format!("{effect:?}"),
        Effect::Topic { target, one_of, fault } => {
            let all = if one_of.is_empty() { std::slice::from_ref(target) } else { &one_of[..] };
            let of = |TopicTarget { topic, group, partition, .. }: &TopicTarget| {
                format!("topic {topic} group={group:?} partition={partition:?}")
            };
            format!("{fault:?} of {}", all.iter().map(of).collect::<Vec<_>>().join("; "))
        }
        Effect::Export(fault) => format!("{fault:?}"),
    };
    without_places(&text)
}

/// The one kind that takes effect at several points.
fn latency(delay: &Distribution, on: impl std::fmt::Display, event: Option<&FaultEvent>) -> String {
    format!("Latency {{ delay: {delay:?}, on: {on}, event: {event:?} }}")
}

/// Where a guest's file is named says nothing about what was read.
fn without_places(text: &str) -> String {
    match text.split_once(", place: Some(") {
        Some((before, rest)) => format!("{before}{}", rest.split_once(')').map_or("", |(_, rest)| rest)),
        None => text.to_owned(),
    }
}

/// What ends with a place that says nothing about what was read.
fn without_place(text: &str) -> String {
    text.rsplit_once(", place: ").map_or(text, |(before, _)| before).to_owned()
}

fn dump_request(line: &mut impl FnMut(String), request: &RequestTemplate) {
    let RequestTemplate { weight, method, target, headers, body, .. } = request;
    line(format!("  {weight} {method} {:?}", target.0));
    headers.iter().for_each(|(name, value)| line(format!("    {name}: {:?}", value.0)));
    line(format!("    {:?}", body.0));
}

fn dump_service(service: &Service) -> String {
    let code = match &service.code {
        Code::File { path, .. } => format!("File({:?})", path.display().to_string()),
        other => format!("{other:?}"),
    };
    let Service { name, version, replicas, workers, queue, config, resource, limits, .. } = service;
    format!(
        "service {name} {code} version={version:?} replicas={replicas} workers={workers} queue={queue}\n  \
         config={config:?}\n  resource={resource:?}\n  {limits:?}"
    )
}
