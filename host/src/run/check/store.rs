//! Databases and caches with who uses them, as `simhost check` says it.

use schemars::JsonSchema;
use serde::Serialize;

use crate::clock;
use crate::database::Opened;
use crate::model::{Cache, ConnectionPool, Database, Model, Schema};
use crate::report::words;
use crate::topology::{show_distribution, show_size};

/// One database.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct DatabaseRow {
    pub name: String,
    /// `db.system.name` of its clients' spans.
    pub system: String,
    /// The file with its tables; null where they are in the topology.
    pub schema: Option<String>,
    /// As a run finds them.
    pub tables: Vec<TableRow>,
    /// Statements that it executes at a time.
    pub cores: u32,
    /// Connections of all clients together.
    pub connections: u32,
    /// Of the services that use it.
    pub pools: Vec<PoolRow>,
}

/// One table of a database.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct TableRow {
    pub name: String,
    pub rows: u64,
}

/// The connections of a service to a database.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct PoolRow {
    pub service: String,
    /// Connections of each replica at a time.
    pub max: u32,
    /// How many replicas have so many.
    pub replicas: u32,
    /// How long a request waits for a connection: nanoseconds.
    pub wait_ns: u64,
}

/// One cache.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct CacheRow {
    pub name: String,
    /// `db.system.name` of its clients' spans.
    pub system: String,
    /// Bytes of all entries.
    pub memory: u64,
    /// How many entries there may be.
    pub entries: u64,
    /// One way, as a topology writes it.
    pub latency: String,
    /// How long a service waits for an answer: nanoseconds; null where it waits until there is one.
    pub timeout_ns: Option<u64>,
    /// How long requests wait at most for the one that makes a missing entry: nanoseconds; null where each
    /// makes it itself.
    pub single_flight_ns: Option<u64>,
}

/// A service that uses a database.
#[derive(Clone, Copy, Debug)]
pub struct Client<'a> {
    pub service: &'a str,
    replicas: u32,
    pool: &'a ConnectionPool,
}

impl Client<'_> {
    /// Those of all replicas.
    pub fn connections(&self) -> u64 {
        u64::from(self.replicas) * u64::from(self.pool.max)
    }
}

/// Who uses a database, by its place in the model.
pub fn clients(model: &Model, database: usize) -> Vec<Client<'_>> {
    let mut clients = Vec::new();
    for service in &model.services {
        let pools = service.databases.iter().filter(|pool| pool.database == database);
        let (name, replicas) = (service.name.as_str(), service.replicas);
        clients.extend(pools.map(|pool| Client { service: name, replicas, pool }));
    }
    clients
}

/// The tables of each database with how many rows they have; none of one whose rows cannot be counted.
pub fn tables(databases: &mut [Opened]) -> Vec<Vec<TableRow>> {
    let of = |database: &mut Opened| {
        let tables = database.tables().unwrap_or_default().into_iter();
        tables.map(|table| TableRow { name: table.name, rows: table.rows }).collect()
    };
    databases.iter_mut().map(of).collect()
}

/// A database, as the text puts it: what it is, its tables, and who uses it; a paragraph each.
pub(super) fn lines(model: &Model, at: usize, tables: &[TableRow]) -> Vec<String> {
    let Database { name, schema, cores, connections, .. } = &model.databases[at];
    let made = match schema {
        Schema::File { path, .. } => path.display().to_string(),
        Schema::Inline(_) => "its tables are in the topology".to_owned(),
    };
    let cores = words::counted(u64::from(*cores), "core");
    let connections = words::counted(u64::from(*connections), "connection");
    let head = format!("database {name}: {}, {made}, {cores}, {connections}", Database::SYSTEM);
    let table = |TableRow { name, rows }: &TableRow| {
        let rows = if *rows == 0 { "no rows".to_owned() } else { words::counted(*rows, "row") };
        format!("{name} ({rows})")
    };
    let tables: Vec<_> = tables.iter().map(table).collect();
    let tables = (!tables.is_empty()).then(|| format!("tables {}", tables.join(", ")));
    let pool = |client: Client<'_>| {
        let most = words::counted(u64::from(client.pool.max), "connection");
        let replicas = match client.replicas {
            1 => String::new(),
            several => format!(" of each of {several} replicas"),
        };
        format!("used by {}: {most}{replicas}, wait {}", client.service, clock::show(client.pool.wait))
    };
    [head].into_iter().chain(tables).chain(clients(model, at).into_iter().map(pool)).collect()
}

/// A cache, as the text puts it.
pub(super) fn cache(model: &Model, at: usize) -> String {
    let Cache { name, system, memory, entries, latency, timeout, single_flight, .. } = &model.caches[at];
    let (system, memory, latency) = (system.name(), show_size(*memory), show_distribution(latency));
    let patience = timeout.map_or_else(String::new, |timeout| format!(", timeout {}", clock::show(timeout)));
    let flight = single_flight.map(|most| format!(", single-flight up to {}", clock::show(most)));
    let flight = flight.unwrap_or_default();
    let users = model.services.iter().filter(|service| service.caches.contains(&at));
    let users: Vec<_> = users.map(|service| service.name.as_str()).collect();
    let users = if users.is_empty() { String::new() } else { format!(", used by {}", users.join(", ")) };
    format!("cache {name}: {system}, {memory}, {entries} entries, latency {latency}{patience}{flight}{users}")
}

impl DatabaseRow {
    pub fn of(model: &Model, at: usize, tables: &[TableRow]) -> Self {
        let Database { name, schema, cores, connections, .. } = &model.databases[at];
        let pool = |client: Client<'_>| PoolRow {
            service: client.service.to_owned(),
            max: client.pool.max,
            replicas: client.replicas,
            wait_ns: client.pool.wait,
        };
        Self {
            name: name.clone(),
            system: Database::SYSTEM.to_owned(),
            schema: match schema {
                Schema::File { path, .. } => Some(path.display().to_string()),
                Schema::Inline(_) => None,
            },
            tables: tables.to_vec(),
            cores: *cores,
            connections: *connections,
            pools: clients(model, at).into_iter().map(pool).collect(),
        }
    }
}

impl From<&Cache> for CacheRow {
    fn from(cache: &Cache) -> Self {
        Self {
            name: cache.name.clone(),
            system: cache.system.name().to_owned(),
            memory: cache.memory,
            entries: cache.entries,
            latency: show_distribution(&cache.latency),
            timeout_ns: cache.timeout,
            single_flight_ns: cache.single_flight,
        }
    }
}
