//! Reads the settings of an operation.

use simhost_notation::{Calls, did_you_mean, parse_share, quote};
use simhost_sdk::prelude::*;
use simhost_sdk::{Database, Distribution, SpanBuilder, parse_duration};

use crate::cache::Cache;
use crate::line::Line;
use crate::messages::Messages;
use crate::metric::Metric;
use crate::statements::Statements;
use crate::template::{Template, weights};

/// The largest body, beyond which no topology lets one pass.
const BYTES_AT_MOST: usize = 1 << 30;

/// Calls that a worker may have under way.
const CALLS_AT_MOST: usize = 256;

/// What `database` may be a table of.
const OF_DATABASE: [&str; 4] = ["system", "namespace", "address", "port"];

/// One table of the configuration.
pub struct Settings<'a> {
    pub config: &'a [(String, String)],
    /// The table's name; empty for what stands beside the tables.
    pub prefix: &'a str,
}

impl Settings<'_> {
    pub fn key(&self, name: &str) -> String {
        if self.prefix.is_empty() { name.to_owned() } else { format!("{}.{name}", self.prefix) }
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        let key = self.key(name);
        self.config.iter().find(|(other, _)| *other == key).map(|(_, value)| value.as_str())
    }

    /// What stands at a name and below it.
    fn below(&self, name: &str) -> Vec<(String, String)> {
        config::below(self.config, &self.key(name))
    }
}

/// Reads the settings of one operation.
pub struct Reader<'a> {
    pub own: &'a Settings<'a>,
    pub shared: &'a Settings<'a>,
    pub is_served: bool,
    pub problems: &'a mut Vec<Problem>,
}

impl Reader<'_> {
    /// The table that a setting comes from.
    fn from(&self, name: &str) -> &Settings<'_> {
        if self.own.below(name).is_empty() { self.shared } else { self.own }
    }

    fn text(&self, name: &str) -> Option<String> {
        self.from(name).get(name).map(str::to_owned).filter(|text| !text.is_empty())
    }

    pub fn distribution(&mut self, name: &str) -> Distribution {
        let from = self.from(name);
        let (key, fields) = (from.key(name), from.below(name));
        if fields.is_empty() {
            return Distribution::Fixed(Duration::ZERO);
        }
        Distribution::from_fields(&fields).unwrap_or_else(|problem| {
            self.problems.push(problem.within(&key));
            Distribution::Fixed(Duration::ZERO)
        })
    }

    pub fn line(&mut self, name: &str) -> Option<Line> {
        let text = self.text(name)?;
        Line::parse(&text).map_err(|why| self.refuse(name, &text, &why)).ok()
    }

    pub fn duration(&mut self, name: &str) -> Duration {
        self.value(name, parse_duration)
    }

    /// How long answers are kept, and where.
    pub fn cache(&mut self) -> Cache {
        let (lasting, shared) = (self.duration("cache"), self.text("cache-in"));
        if let Some(name) = &shared {
            let all = cache::all();
            let key = self.from("cache-in").key("cache-in");
            if !all.contains(name) {
                let problem =
                    Problem::of(&key, format!("this service may not use the cache {}", quote(name)));
                let known = did_you_mean(name, "caches of this service", all.iter().map(String::as_str));
                let known = if all.is_empty() {
                    format!("write caches = [{}] in the service", quote(name))
                } else {
                    known
                };
                self.problems.push(problem.remedy(known));
            }
            if lasting.is_zero() && self.is_served {
                let problem =
                    Problem::of(&key, "answers are kept, and there is no `cache` that says how long");
                self.problems.push(problem.remedy("write cache = \"10s\""));
            }
        }
        Cache::new(lasting, shared)
    }

    /// The span around the work, a database's where there is one.
    pub fn span(&mut self, route: &str) -> Option<SpanBuilder> {
        let (name, database) = (self.text("span"), self.database());
        match (name, database) {
            (Some(name), Some(database)) => Some(database.span(&name)),
            (Some(name), None) => Some(Span::build(&name)),
            (None, Some(_)) if self.is_served => {
                let message = format!("a database has spans, and {route} has no `span`");
                let key = self.from("database").key("database");
                self.problems.push(Problem::of(key, message).remedy("write span = \"SELECT items\""));
                None
            }
            (None, _) => None,
        }
    }

    /// `database = "postgresql"`, or a table with the `system` and how to tell it from others.
    fn database(&mut self) -> Option<Database> {
        let from = self.from("database");
        let (key, fields) = (from.key("database"), from.below("database"));
        let get = |name: &str| {
            let found = fields.iter().find(|(field, _)| field == name);
            found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
        };
        for (field, _) in fields.iter().filter(|(field, _)| !field.is_empty()) {
            if !OF_DATABASE.contains(&field.as_str()) {
                let known = did_you_mean(field, "keys of a database", OF_DATABASE);
                self.problems.push(Problem::of(format!("{key}.{field}"), "unknown key").remedy(known));
            }
        }
        let Some(system) = get("").or_else(|| get("system")) else {
            if fields.iter().any(|(field, _)| !field.is_empty()) {
                let problem = Problem::of(&key, "the table has no `system`");
                self.problems.push(problem.remedy("write system = \"postgresql\""));
            }
            return None;
        };
        let mut database = Database::new(system);
        if let Some(namespace) = get("namespace") {
            database = database.namespace(namespace);
        }
        if let Some(address) = get("address") {
            database = database.address(address);
        }
        match get("port").map(|port| (port, port.parse())) {
            None => {}
            Some((_, Ok(port))) => database = database.port(port),
            Some((port, Err(_))) => {
                let why = "write a whole number from 0 to 65535";
                self.problems.push(Problem::invalid(format!("{key}.port"), port, why));
            }
        }
        Some(database)
    }

    pub fn calls(&mut self) -> Calls {
        let Some(text) = self.text("calls") else { return Calls::default() };
        Calls::parse(&text).unwrap_or_else(|problems| {
            let key = self.from("calls").key("calls");
            let form = "write steps of calls, as in \"cart, pricing & POST stock/reserve, 10% similar?\"";
            let problems = problems.into_iter().map(|problem| Problem::of(&key, problem).remedy(form));
            self.problems.extend(problems);
            Calls::default()
        })
    }

    pub fn messages(&mut self) -> Messages {
        let bytes = self.bytes("message-bytes");
        let Some(text) = self.text("publish") else { return Messages::default() };
        Messages::parse(&text, bytes).unwrap_or_else(|problems| {
            let key = self.from("publish").key("publish");
            let form = "write topics and keys, as in \"order-events/{id}, 10% audit?\"";
            self.problems.extend(problems.into_iter().map(|problem| Problem::of(&key, problem).remedy(form)));
            Messages::default()
        })
    }

    /// `{ "orders.placed" = "counter 1 {order}" }`.
    pub fn metrics(&mut self) -> Vec<Metric> {
        let from = self.from("metrics");
        let (key, fields) = (from.key("metrics"), from.below("metrics"));
        let mut metrics = Vec::new();
        for (name, text) in fields {
            let metric = match name.as_str() {
                "" => {
                    let problem = Problem::of(&key, "the setting is a table of instruments by their names");
                    Err(problem.remedy("write metrics = { \"orders.placed\" = \"counter 1 {order}\" }"))
                }
                _ => Metric::parse(format!("{key}.{name}"), &name, &text),
            };
            match metric {
                Ok(metric) => metrics.push(metric),
                Err(problem) => self.problems.push(problem),
            }
        }
        metrics
    }

    /// `sql`, with the database that executes it.
    pub fn statements(&mut self) -> Option<Statements> {
        let (text, database) = (self.text("sql"), self.text("sql-in"));
        let is_transaction = self.value("transaction", |text| match text {
            "true" => Ok(true),
            "false" => Ok(false),
            _ => Err("write true or false".to_owned()),
        });
        match (text, database) {
            (Some(text), Some(database)) => Statements::parse(database, is_transaction, &text)
                .map_err(|why| self.refuse("sql", &text, &why))
                .ok(),
            (Some(_), None) if self.is_served => {
                let problem =
                    Problem::of(self.from("sql").key("sql"), "no `sql-in` says which database executes it");
                self.problems.push(problem.remedy("write sql-in = \"NAME\", a database of this service"));
                None
            }
            _ => None,
        }
    }

    /// `201`, or `200=98,503=2`.
    pub fn statuses(&mut self) -> Vec<(f64, u16)> {
        self.value("status", |text| {
            let status = |(weight, status): (f64, String)| {
                let status = status.parse().ok().filter(|status| (200..=599).contains(status));
                status.map(|status| (weight, status)).ok_or("a status is a number from 200 to 599".to_owned())
            };
            weights(text)?.into_iter().map(status).collect()
        })
    }

    /// `{ "user.tier" = "{pick:gold=1,free=9}" }`.
    pub fn attributes(&mut self) -> Vec<(String, Template)> {
        let from = self.from("attributes");
        let (key, fields) = (from.key("attributes"), from.below("attributes"));
        let mut attributes = Vec::new();
        for (name, text) in fields {
            match Template::parse(&text) {
                _ if name.is_empty() => {
                    let problem = Problem::of(&key, "the setting is a table of attributes by their keys");
                    self.problems.push(problem.remedy("write attributes = { \"user.tier\" = \"gold\" }"));
                }
                Ok(template) => attributes.push((name, template)),
                Err(why) => self.problems.push(Problem::invalid(format!("{key}.{name}"), &text, &why)),
            }
        }
        attributes
    }

    /// How many calls of a step are under way at a time.
    pub fn parallel(&mut self) -> usize {
        let read = self.value("parallel", |text| match text.parse() {
            Ok(number @ 1..=CALLS_AT_MOST) => Ok(Some(number)),
            _ => Err(format!("write a whole number from 1 to {CALLS_AT_MOST}")),
        });
        read.unwrap_or(CALLS_AT_MOST)
    }

    /// `20%` or `0.2`.
    pub fn share(&mut self, name: &str) -> f64 {
        self.value(name, parse_share)
    }

    pub fn bytes(&mut self, name: &str) -> usize {
        self.value(name, |text| match text.parse() {
            Ok(bytes) if bytes <= BYTES_AT_MOST => Ok(bytes),
            _ => Err(format!("write a whole number of bytes, up to {BYTES_AT_MOST}")),
        })
    }

    /// A setting that `parse` makes sense of; without it, the least.
    fn value<T: Default>(&mut self, name: &str, parse: impl Fn(&str) -> Result<T, String>) -> T {
        let Some(text) = self.text(name) else { return T::default() };
        parse(&text).unwrap_or_else(|why| {
            self.refuse(name, &text, &why);
            T::default()
        })
    }

    /// Reports a value that is not valid.
    fn refuse(&mut self, name: &str, text: &str, why: &str) {
        let key = self.from(name).key(name);
        self.problems.push(Problem::invalid(key, text, why));
    }
}
