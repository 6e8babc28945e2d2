//! The client of a database, as its spans show it.

use std::borrow::Cow;

use crate::span::{Span, SpanBuilder, SpanKind};

/// Systems and the ports at which they listen unless told otherwise: from their own documentation.
const PORTS: [(&str, u16); 14] = [
    ("cassandra", 9042),
    ("clickhouse", 9000),
    ("cockroachdb", 26257),
    ("couchdb", 5984),
    ("elasticsearch", 9200),
    ("mariadb", 3306),
    ("memcached", 11211),
    ("microsoft.sql_server", 1433),
    ("mongodb", 27017),
    ("mysql", 3306),
    ("opensearch", 9200),
    ("oracle.db", 1521),
    ("postgresql", 5432),
    ("redis", 6379),
];

/// Systems whose operations are commands with a name, not texts of a query language.
const COMMANDS: [&str; 7] =
    ["couchdb", "elasticsearch", "hbase", "memcached", "mongodb", "opensearch", "redis"];

/// Of those, the systems whose commands have no collection (table, index, container).
const KEYS: [&str; 2] = ["memcached", "redis"];

/// A database that a service uses, for spans by the semantic conventions for database client spans.
///
/// ```no_run
/// # use simhost_sdk::Database;
/// let stock = Database::new("postgresql").namespace("stock").address("stock-db.internal");
/// let _span = stock.span("SELECT items").start();
/// ```
///
/// Service graphs tell databases apart by these attributes. A database that has no name given is the service's own:
/// `inventory-service` uses `inventory_db` at `inventory-postgresql`.
#[derive(Clone, Debug, PartialEq)]
pub struct Database {
    system: String,
    namespace: String,
    address: String,
    port: Option<u16>,
}

impl Database {
    /// The database of this service in a `db.system.name` such as `postgresql`, at the system's usual port.
    pub fn new(system: &str) -> Self {
        Self::of(&std::env::var("SERVICE_NAME").unwrap_or_default(), system)
    }

    fn of(service: &str, system: &str) -> Self {
        let of = ["-service", "-svc", "-db"].into_iter().find_map(|end| service.strip_suffix(end));
        let of = of.filter(|name| !name.is_empty()).unwrap_or(service);
        let port = PORTS.iter().find(|(known, _)| *known == system).map(|(_, port)| *port);
        Self {
            system: system.to_owned(),
            namespace: format!("{}_db", of.replace(['-', '.'], "_")),
            address: format!("{of}-{}", system.replace(['_', '.'], "-")),
            port,
        }
    }

    /// `db.namespace`: the name of the database, fully qualified within the server.
    #[must_use]
    pub fn namespace(self, namespace: &str) -> Self {
        Self { namespace: namespace.to_owned(), ..self }
    }

    /// `server.address`: the name or the IP address of the database's host.
    #[must_use]
    pub fn address(self, address: &str) -> Self {
        Self { address: address.to_owned(), ..self }
    }

    /// `server.port`.
    #[must_use]
    pub fn port(self, port: u16) -> Self {
        Self { port: Some(port), ..self }
    }

    /// A CLIENT span of one operation, named by its summary: `SELECT items`, in a system of commands
    /// `findOne items`.
    pub fn span(&self, summary: &str) -> SpanBuilder {
        let mut span = Span::build(summary)
            .kind(SpanKind::Client)
            .set("db.system.name", &self.system)
            .set("db.namespace", &self.namespace)
            .set("server.address", &self.address);
        if let Some(port) = self.port {
            span = span.set("server.port", port);
        }
        for (key, value) in self.operation(summary) {
            span = span.set(key, &*value);
        }
        span
    }

    /// What a summary says of the operation. A query keeps its summary whole: the conventions want no part of it
    /// taken for the name of the operation or the collection.
    fn operation<'a>(&self, summary: &'a str) -> Vec<(&'static str, Cow<'a, str>)> {
        let is_among = |systems: &[&str]| systems.contains(&self.system.as_str());
        if !is_among(&COMMANDS) {
            return vec![("db.query.summary", summary.into())];
        }
        let mut words = summary.split_whitespace();
        let operation = words.next().map(|word| ("db.operation.name", word.into()));
        let collection = words.next().filter(|_| !is_among(&KEYS));
        operation.into_iter().chain(collection.map(|word| ("db.collection.name", word.into()))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(service: &str, system: &str) -> (String, String, Option<u16>) {
        let Database { namespace, address, port, .. } = Database::of(service, system);
        (namespace, address, port)
    }

    #[test]
    fn a_database_without_a_name_is_the_services_own() {
        let of = |namespace: &str, address: &str, port| (namespace.to_owned(), address.to_owned(), port);
        assert_eq!(
            named("inventory-service", "postgresql"),
            of("inventory_db", "inventory-postgresql", Some(5432))
        );
        assert_eq!(named("stock-db", "mysql"), of("stock_db", "stock-mysql", Some(3306)));
        assert_eq!(
            named("user.cart", "microsoft.sql_server"),
            of("user_cart_db", "user.cart-microsoft-sql-server", Some(1433))
        );
        assert_eq!(named("-service", "mine"), of("_service_db", "-service-mine", None));
    }

    #[test]
    fn a_query_has_a_summary_and_a_command_a_name() {
        let of = |system: &str, summary| {
            let operation = Database::of("a", system).operation(summary);
            operation.into_iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>()
        };
        assert_eq!(of("postgresql", "SELECT items"), ["db.query.summary=SELECT items"]);
        assert_eq!(of("mongodb", "find items"), ["db.operation.name=find", "db.collection.name=items"]);
        assert_eq!(of("redis", "GET item:7"), ["db.operation.name=GET"]);
        assert!(of("redis", "").is_empty());
    }
}
