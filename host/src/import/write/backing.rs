//! Databases, caches, topics and subscriptions of a sketch, and what routes have of them.

use std::fmt::Write as _;

use crate::clock;
use crate::error::{INFALLIBLE, quote};

use super::super::fit;
use super::super::notes::comment;
use super::super::sketch::{Cache, Database, RouteSketch, Sketch, Subscription, Topic};
use super::super::trace::Came;
use super::quoted;

/// Connections of a database, unless it has more clients; and the most: see `topology/database.rs`.
const CONNECTIONS: u64 = 100;
const CONNECTIONS_AT_MOST: u64 = 100_000;

pub fn write(text: &mut String, sketch: &Sketch) {
    sketch.databases.iter().for_each(|of| database(text, of));
    sketch.caches.iter().for_each(|of| cache(text, of));
    sketch.topics.iter().for_each(|of| topic(text, of));
    sketch.subscriptions.iter().for_each(|of| subscription(text, of));
}

/// What a route asks, calls and sends.
pub fn of_route(text: &mut String, route: &RouteSketch) {
    let RouteSketch { sql, is_transaction, keeping, calls, publish, message_bytes, .. } = route;
    if let Some((database, statements)) = sql {
        writeln!(text, "sql-in = {}", quoted(database)).expect(INFALLIBLE);
        match &statements[..] {
            [one] => writeln!(text, "sql = {}", quoted(one)).expect(INFALLIBLE),
            several => {
                let lines: Vec<_> = several.iter().map(|one| format!("  {one}")).collect();
                writeln!(text, "sql = {}", lines_of(&format!("{}\n", lines.join(";\n")))).expect(INFALLIBLE);
            }
        }
        if *is_transaction {
            writeln!(text, "transaction = true").expect(INFALLIBLE);
        }
    }
    if !calls.is_empty() {
        writeln!(text, "calls = \"{calls}\"").expect(INFALLIBLE);
    }
    if !publish.is_empty() {
        writeln!(text, "publish = \"{publish}\"").expect(INFALLIBLE);
    }
    if !publish.is_empty() && *message_bytes > 0 {
        writeln!(text, "message-bytes = {message_bytes}").expect(INFALLIBLE);
    }
    if let Some((cache, lasting, share)) = keeping {
        let percent = share * 100.0;
        comment(
            text,
            &format!("guessed: kept for as long as it takes to find {percent:.1} % of the answers"),
        );
        writeln!(text, "cache = {:?}\ncache-in = {}", fit::shown(*lasting), quoted(cache)).expect(INFALLIBLE);
    }
}

fn database(text: &mut String, database: &Database) {
    let Database { name, system, tables, latency, cost, connections } = database;
    text.push('\n');
    if let Some(system) = system {
        comment(text, &format!("{} in the traces.", quote(system)));
    }
    comment(text, "guessed: columns, indexes and rows, by what the statements name");
    writeln!(text, "[databases.{name}]\ntables = {}", lines_of(tables)).expect(INFALLIBLE);
    match latency {
        Some(latency) => writeln!(text, "latency = {latency}").expect(INFALLIBLE),
        None => comment(text, "guessed: the usual latency, as no statement without a commit shows it"),
    }
    writeln!(text, "cost = {cost}").expect(INFALLIBLE);
    if *connections > CONNECTIONS {
        writeln!(text, "connections = {}", (*connections).min(CONNECTIONS_AT_MOST)).expect(INFALLIBLE);
    }
}

fn cache(text: &mut String, cache: &Cache) {
    let Cache { name, system, latency } = cache;
    text.push('\n');
    if let Some(system) = system {
        comment(text, &format!("{} in the traces.", quote(system)));
    }
    writeln!(text, "[caches.{name}]\nlatency = {latency}").expect(INFALLIBLE);
}

fn topic(text: &mut String, topic: &Topic) {
    let Topic { name, recorded, system, broker, partitions, is_guessed, publish } = topic;
    text.push('\n');
    if let Some(recorded) = recorded {
        comment(text, &format!("{} in the traces.", quote(recorded)));
    }
    if let Some((system, false)) = system {
        comment(text, &format!("{} in the traces.", quote(system)));
    }
    writeln!(text, "[topics.{}]", quoted(name)).expect(INFALLIBLE);
    if let Some((system, true)) = system.as_ref().filter(|(system, _)| system != "kafka") {
        writeln!(text, "system = {}", quoted(system)).expect(INFALLIBLE);
    }
    if let Some(broker) = broker {
        writeln!(text, "broker = {}", quoted(broker)).expect(INFALLIBLE);
    }
    if *is_guessed {
        comment(text, "guessed: as many as were consumed at the same time");
    }
    writeln!(text, "partitions = {partitions}").expect(INFALLIBLE);
    if let Some(publish) = publish {
        writeln!(text, "publish = {publish}").expect(INFALLIBLE);
    }
}

fn subscription(text: &mut String, subscription: &Subscription) {
    let Subscription { topic, service, group, batch, context, attempts, dead_letter } = subscription;
    writeln!(text, "\n[[subscriptions]]\ntopic = {}\nservice = \"{service}\"", quoted(topic))
        .expect(INFALLIBLE);
    if let Some(group) = group {
        writeln!(text, "group = {}", quoted(group)).expect(INFALLIBLE);
    }
    if let Some((batch, poll)) = batch {
        writeln!(text, "batch = {batch}\npoll = {:?}", clock::show(*poll)).expect(INFALLIBLE);
    }
    match context {
        Came::Parent => {}
        Came::Link => writeln!(text, "context = \"link\"").expect(INFALLIBLE),
        Came::Alone => writeln!(text, "context = \"none\"").expect(INFALLIBLE),
    }
    if let Some(attempts) = attempts {
        comment(text, "guessed: when a message that failed comes again");
        writeln!(text, "retry = {{ attempts = {attempts} }}").expect(INFALLIBLE);
    }
    if let Some(letters) = dead_letter {
        writeln!(text, "dead-letter = {}", quoted(letters)).expect(INFALLIBLE);
    }
}

/// Lines as a string of TOML: as they are, if nothing in them ends it.
fn lines_of(lines: &str) -> String {
    let is_plain = |c: char| c == '\n' || !c.is_control();
    if lines.contains("'''") || lines.ends_with('\'') || !lines.chars().all(is_plain) {
        return quoted(lines);
    }
    format!("'''\n{lines}'''")
}
