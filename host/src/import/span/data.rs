//! Spans of statements and commands, by the conventions for databases.

use crate::telemetry::record::PEER_NAMES;

use super::super::bounds::MAX_STORE_NAME;
use super::super::names::{Asks, Names, Statement, Store};
use super::super::notes::{LeftOut, Reason};
use super::super::sql;
use super::{Attributes, HOST};

const SYSTEM: [&str; 2] = ["db.system.name", "db.system"];
const NAMESPACE: [&str; 3] = ["db.namespace", "db.name", "db.redis.database_index"];
const TEXT: [&str; 2] = ["db.query.text", "db.statement"];
const OPERATION: [&str; 2] = ["db.operation.name", "db.operation"];

/// Systems that keep entries by their keys.
pub const CACHES: [&str; 5] = ["redis", "valkey", "memcached", "keydb", "dragonfly"];

/// Systems that are asked by SQL.
pub const DATABASES: [&str; 14] = [
    "postgresql",
    "mysql",
    "mariadb",
    "sqlite",
    "mssql",
    "microsoft.sql_server",
    "oracle",
    "oracle.db",
    "cockroachdb",
    "other_sql",
    "db2",
    "ibm.db2",
    "h2",
    "h2database",
];

/// Commands of Redis and of memcached that read an entry, and that write one.
const READS: [&str; 8] = ["GET", "MGET", "HGET", "HMGET", "HGETALL", "GETEX", "GETS", "JSON.GET"];
const WRITES: [&str; 9] = ["SET", "SETEX", "PSETEX", "SETNX", "HSET", "HMSET", "MSET", "ADD", "JSON.SET"];

/// Whether a CLIENT span asks a server of data.
pub fn is_asked(attributes: &Attributes<'_>) -> bool {
    attributes.value(&SYSTEM).is_some()
}

/// The statement or the command of a span; none where there are too many.
pub fn asked(attributes: &Attributes<'_>, names: &mut Names, left_out: &mut LeftOut) -> Option<u32> {
    let text = |names: &[&str]| attributes.text(names).map(short);
    let port = attributes.number(&["server.port", "net.peer.port"]);
    let system = text(&SYSTEM)?.to_ascii_lowercase();
    let namespace =
        text(&NAMESPACE).or_else(|| attributes.number(&NAMESPACE).map(|number| number.to_string()));
    let asks = asks(attributes, &system, left_out);
    let store = names.store(Store {
        system: system.clone(),
        namespace,
        address: text(&HOST),
        port: port.and_then(|port| u16::try_from(port).ok()),
        peer: text(&PEER_NAMES),
    })?;
    // A span without a name is called as the semantic conventions have it where nothing else is known.
    let name = if attributes.0.name.is_empty() { system } else { short(&attributes.0.name) };
    names.statement(Statement { name, store, asks })
}

fn asks(attributes: &Attributes<'_>, system: &str, left_out: &mut LeftOut) -> Asks {
    let text = attributes.text(&TEXT);
    let name = attributes.0.name.split_whitespace().next();
    if CACHES.contains(&system) {
        let of_text = || text.and_then(|text| text.split_whitespace().next());
        let operation = attributes.text(&OPERATION).or_else(of_text).or(name);
        let operation = operation.unwrap_or_default().to_ascii_uppercase();
        return match operation.as_str() {
            read if READS.contains(&read) => Asks::Get,
            write if WRITES.contains(&write) => Asks::Set,
            _ => Asks::Other,
        };
    }
    if !DATABASES.contains(&system) {
        return Asks::Other;
    }
    let control = [text, attributes.text(&OPERATION), name].into_iter().flatten().map(sql::asked);
    let mut control = control.filter(|asks| matches!(asks, Asks::Begin | Asks::Commit | Asks::Rollback));
    if let Some(control) = control.next() {
        return control;
    }
    match text.map(sql::asked) {
        Some(Asks::Sql(text)) => Asks::Sql(text),
        Some(_) => {
            left_out.add(Reason::Unreadable);
            Asks::Other
        }
        None => Asks::Other,
    }
}

fn short(text: &str) -> String {
    text.chars().take(MAX_STORE_NAME).collect()
}
