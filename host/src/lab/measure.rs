//! Numbers of a report by their names: `link inventory -> stock-db calls`.

use serde_json::{Map, Value};

use crate::error::{did_you_mean, list, quote};
use crate::report::Report;
use crate::report::words;

/// What a number is, which says how it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    Plain,
    Share,
    /// Nanoseconds.
    Time,
}

impl Unit {
    /// As a person reads it.
    pub fn show(self, value: f64) -> String {
        match self {
            _ if value.is_infinite() => "without end".to_owned(),
            Self::Plain => words::number(value),
            Self::Share => words::percent(value),
            Self::Time => words::time(value.max(0.0).round() as u64),
        }
    }

    /// How bounds of it are written.
    pub const fn form(self) -> &'static str {
        match self {
            Self::Plain => "a number, such as 1.5",
            Self::Share => "a share, such as \"15%\" or 0.15",
            Self::Time => "a time, such as \"80ms\"",
        }
    }
}

/// One number of a report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metric {
    pub subject: Subject,
    measure: &'static Measure,
    written: String,
}

/// Whose number it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    Load(String),
    Route { service: String, route: String },
    Service(String),
    Link { from: String, to: String },
    Database(String),
    Pool { service: String, database: String },
    Cache(String),
    Topic(String),
    Group(String),
    Job { service: String, job: String },
    Fault(String),
    Run,
}

/// What shows a metric at its worst, among the spans that it is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sign {
    /// The one that took longest.
    Slow,
    /// One that failed.
    Failed,
    /// Many in one trace.
    Many,
}

/// A measure of a kind of rows.
#[derive(Debug, PartialEq, Eq)]
struct Measure {
    name: &'static str,
    unit: Unit,
    from: From,
}

/// Where its number stands in a row.
#[derive(Debug, PartialEq, Eq)]
enum From {
    Key(&'static str),
    /// A key of a table in the row; without the table it is 0.
    In(&'static str, &'static str),
    /// One key divided by another one; 0 of nothing.
    Share(&'static str, &'static str),
    /// The sum over a list in the row.
    Sum(&'static str, &'static str),
    /// The product of two keys.
    Product(&'static str, &'static str),
    /// The sum over a list of the product of two keys.
    Products(&'static str, [&'static str; 2]),
}

const fn plain(name: &'static str, key: &'static str) -> Measure {
    Measure { name, unit: Unit::Plain, from: From::Key(key) }
}

const fn time(name: &'static str, key: &'static str) -> Measure {
    Measure { name, unit: Unit::Time, from: From::Key(key) }
}

const fn share(name: &'static str, of: &'static str, all: &'static str) -> Measure {
    Measure { name, unit: Unit::Share, from: From::Share(of, all) }
}

/// Those of all rows that count requests.
const NUMBERS: [Measure; 10] = [
    plain("count", "count"),
    plain("per-second", "rate"),
    plain("errors", "errors"),
    share("error-share", "errors", "count"),
    time("mean", "mean_ns"),
    time("p50", "p50_ns"),
    time("p90", "p90_ns"),
    time("p95", "p95_ns"),
    time("p99", "p99_ns"),
    time("max", "max_ns"),
];

const LOAD: &[Measure] = &[
    plain("requests", "requests"),
    plain("in-flight", "in_flight"),
    plain("dropped", "dropped"),
    plain("drained", "drained"),
    time("duration", "duration_ns"),
];

const ROUTE: &[Measure] = &[plain("requests", "count")];

const SERVICE: &[Measure] = &[
    plain("requests", "count"),
    plain("replicas", "replicas"),
    plain("workers", "workers"),
    Measure { name: "all-workers", unit: Unit::Plain, from: From::Product("replicas", "workers") },
    plain("queue", "queue"),
    Measure { name: "utilisation", unit: Unit::Share, from: From::Key("utilisation") },
    plain("busy-mean", "busy_mean"),
    time("busy", "busy_ns"),
    plain("waiting-mean", "waiting_mean"),
    plain("waiting-max", "waiting_max"),
    plain("waited", "waited"),
    time("wait-mean", "wait_mean_ns"),
    time("wait-p99", "wait_p99_ns"),
    time("wait-max", "wait_max_ns"),
];

const LINK: &[Measure] = &[
    plain("calls", "count"),
    plain("in-flight-mean", "in_flight_mean"),
    plain("in-flight-max", "in_flight_max"),
    plain("unsent", "unsent"),
    Measure { name: "resends", unit: Unit::Plain, from: From::In("policies", "resends") },
    Measure { name: "withheld", unit: Unit::Plain, from: From::In("policies", "withheld") },
    Measure { name: "opened", unit: Unit::Plain, from: From::In("policies", "opened") },
    Measure { name: "fallbacks", unit: Unit::Plain, from: From::In("policies", "fallbacks") },
];

const DATABASE: &[Measure] = &[
    Measure { name: "statements", unit: Unit::Plain, from: From::Sum("statements", "count") },
    Measure { name: "errors", unit: Unit::Plain, from: From::Sum("statements", "errors") },
    Measure { name: "rows-scanned", unit: Unit::Plain, from: From::Sum("statements", "rows_scanned") },
    Measure { name: "lock-waits", unit: Unit::Plain, from: From::Sum("statements", "lock_waits") },
];

const POOL: &[Measure] = &[
    plain("asked", "asked"),
    plain("waited", "waited"),
    time("wait-mean", "wait_mean_ns"),
    time("wait-max", "wait_max_ns"),
    plain("timeouts", "timeouts"),
    plain("refused", "refused"),
];

const CACHE: &[Measure] = &[
    plain("commands", "commands"),
    plain("per-second", "rate"),
    plain("unanswered", "unanswered"),
    plain("hits", "hits"),
    plain("misses", "misses"),
    Measure { name: "hit-share", unit: Unit::Share, from: From::Key("hit_ratio") },
    plain("waited", "waited"),
    plain("evicted", "evicted"),
    plain("expired", "expired"),
    plain("keys", "keys"),
    plain("bytes", "bytes"),
];

const TOPIC: &[Measure] = &[
    plain("partitions", "partitions"),
    plain("published", "published"),
    plain("per-second", "rate"),
    plain("bytes", "bytes"),
    plain("refused", "refused"),
    plain("dropped", "dropped"),
    plain("expired", "expired"),
    plain("kept", "kept"),
];

const GROUP: &[Measure] = &[
    plain("delivered", "delivered"),
    plain("redelivered", "redelivered"),
    plain("done", "done"),
    plain("per-second", "rate"),
    plain("rejected", "rejected"),
    plain("exhausted", "exhausted"),
    plain("dead-letters", "dead_letters"),
    plain("missed", "missed"),
    plain("revoked", "revoked"),
    plain("rebalances", "rebalances"),
    plain("lag", "lag"),
    plain("lag-max", "lag_max"),
    plain("lag-end", "lag_end"),
    time("age-mean", "age_mean_ns"),
    time("age-p50", "age_p50_ns"),
    time("age-p95", "age_p95_ns"),
    time("age-p99", "age_p99_ns"),
    time("age-max", "age_max_ns"),
];

const JOB: &[Measure] =
    &[plain("runs", "count"), plain("skipped", "skipped"), plain("in-flight", "in_flight")];

const FAULT: &[Measure] = &[
    plain("matched", "matched"),
    plain("injected", "injected"),
    plain("windows", "windows"),
    plain("deaths", "deaths"),
];

const RUN: &[Measure] = &[
    plain("requests", "requests"),
    plain("unfinished", "unfinished"),
    plain("drained", "drained"),
    Measure { name: "spans", unit: Unit::Plain, from: From::In("telemetry", "spans") },
    time("simulated", "simulated_ns"),
    time("duration", "duration_ns"),
    time("drain", "drain_ns"),
    Measure {
        name: "all-workers",
        unit: Unit::Plain,
        from: From::Products("services", ["replicas", "workers"]),
    },
];

/// How a subject is written, its measures, and whether it has [`NUMBERS`] too.
const SUBJECTS: [(&str, &str, &[Measure], bool); 12] = [
    ("load", "NAME", LOAD, true),
    ("route", "SERVICE METHOD /path", ROUTE, true),
    ("service", "NAME", SERVICE, true),
    ("link", "A -> B", LINK, true),
    ("database", "NAME", DATABASE, false),
    ("pool", "SERVICE -> DATABASE", POOL, false),
    ("cache", "NAME", CACHE, false),
    ("topic", "NAME", TOPIC, false),
    ("group", "NAME", GROUP, false),
    ("job", "SERVICE NAME", JOB, true),
    ("fault", "NAME", FAULT, false),
    ("run", "", RUN, false),
];

/// The table of the reference.
pub fn reference() -> String {
    let mut text = "| metric | measures |\n|---|---|\n".to_owned();
    let names = |measures: &[Measure]| {
        measures.iter().map(|measure| format!("`{}`", measure.name)).collect::<Vec<_>>().join(", ")
    };
    for (word, form, own, counts) in SUBJECTS {
        let form = if form.is_empty() { String::new() } else { format!(" {form}") };
        let more = if counts { ", and those of requests" } else { "" };
        text.push_str(&format!("| `{word}{form} MEASURE` | {}{more} |\n", names(own)));
    }
    text + &format!("| of requests | {} |\n", names(&NUMBERS))
}

impl Metric {
    /// Reads `link a -> b calls` and its like.
    ///
    /// # Errors
    /// What is wrong with it, and what to write.
    pub fn parse(text: &str) -> Result<Self, (String, String)> {
        let words: Vec<_> = text.split_whitespace().collect();
        let (Some(&word), Some(&measure)) = (words.first(), words.last()) else {
            return Err((
                "the metric is empty".to_owned(),
                "write one such as \"load shoppers p99\"".to_owned(),
            ));
        };
        let known = SUBJECTS.iter().find(|(subject, ..)| *subject == word);
        let Some((_, form, own, counts)) = known else {
            let help = did_you_mean(word, "subjects of metrics", SUBJECTS.iter().map(|(word, ..)| *word));
            return Err((format!("a metric begins with its subject, not with {}", quote(word)), help));
        };
        let names = words[1..].iter().rev().skip(1).rev().map(|word| (*word).to_owned());
        let subject = match (word, names.collect::<Vec<_>>().as_slice()) {
            ("load", [name]) => Subject::Load(name.clone()),
            ("route", [service, method, path]) => {
                Subject::Route { service: service.clone(), route: format!("{method} {path}") }
            }
            ("service", [name]) => Subject::Service(name.clone()),
            ("link", [from, arrow, to]) if arrow == "->" => {
                Subject::Link { from: from.clone(), to: to.clone() }
            }
            ("database", [name]) => Subject::Database(name.clone()),
            ("pool", [service, arrow, database]) if arrow == "->" => {
                Subject::Pool { service: service.clone(), database: database.clone() }
            }
            ("cache", [name]) => Subject::Cache(name.clone()),
            ("topic", [name]) => Subject::Topic(name.clone()),
            ("group", [name]) => Subject::Group(name.clone()),
            ("job", [service, job]) => Subject::Job { service: service.clone(), job: job.clone() },
            ("fault", [name]) => Subject::Fault(name.clone()),
            ("run", []) => Subject::Run,
            _ => {
                let form = format!("{word} {form} MEASURE").replace("  ", " ");
                return Err((
                    format!("{} is no metric", quote(text)),
                    format!("write it as {}", quote(&form)),
                ));
            }
        };
        let numbers: &[Measure] = if *counts { &NUMBERS } else { &[] };
        let measures = || own.iter().chain(numbers);
        let found = measures().find(|known| known.name == measure).ok_or_else(|| {
            let what = format!("{} is not measured of a {word}", quote(measure));
            (what, did_you_mean(measure, "measures", measures().map(|known| known.name)))
        })?;
        Ok(Self { subject, measure: found, written: words.join(" ") })
    }

    pub const fn unit(&self) -> Unit {
        self.measure.unit
    }

    pub fn written(&self) -> &str {
        &self.written
    }

    /// What shows it at its worst.
    pub fn sign(&self) -> Sign {
        match (self.measure.unit, self.measure.name) {
            (Unit::Time, _) | (_, "rows-scanned" | "lock-waits") => Sign::Slow,
            (_, "error-share" | "errors") => Sign::Failed,
            (_, "redelivered" | "rejected" | "exhausted" | "dead-letters") => Sign::Failed,
            _ => Sign::Many,
        }
    }

    /// Its number in a report. None: there is no such row, or nothing that has a time.
    pub fn of(&self, report: &Value) -> Option<f64> {
        self.subject.row(report).and_then(|row| self.measure.of(row))
    }

    /// The number where nothing happened: counts and shares are 0, times are none.
    pub const fn of_nothing(&self) -> Option<f64> {
        match self.measure.unit {
            Unit::Time => None,
            Unit::Plain | Unit::Share => Some(0.0),
        }
    }
}

impl Measure {
    fn of(&self, row: &Map<String, Value>) -> Option<f64> {
        let number = |key: &str| row.get(key).and_then(Value::as_f64);
        match self.from {
            From::Key(key) => number(key),
            From::In(table, key) => Some(row.get(table).and_then(|table| table[key].as_f64()).unwrap_or(0.0)),
            From::Share(of, all) => match number(all)? {
                0.0 => Some(0.0),
                all => Some(number(of)? / all),
            },
            From::Product(one, other) => Some(number(one)? * number(other)?),
            From::Sum(rows, key) => {
                let rows = row.get(rows)?.as_array()?;
                Some(rows.iter().filter_map(|row| row[key].as_f64()).sum())
            }
            From::Products(rows, [one, other]) => {
                let rows = row.get(rows)?.as_array()?;
                Some(rows.iter().filter_map(|row| Some(row[one].as_f64()? * row[other].as_f64()?)).sum())
            }
        }
    }
}

impl Subject {
    /// Its row in the JSON of a report.
    fn row<'a>(&self, report: &'a Value) -> Option<&'a Map<String, Value>> {
        let rows = |list: &str| report[list].as_array().map(Vec::as_slice).unwrap_or_default();
        let row = match self {
            Self::Run => Some(report),
            Self::Load(name) => rows("loads").iter().find(|row| row["name"] == **name),
            Self::Route { service, route } => {
                rows("routes").iter().find(|row| row["service"] == **service && row["route"] == **route)
            }
            Self::Service(name) => rows("services").iter().find(|row| row["service"] == **name),
            Self::Link { from, to } => {
                rows("links").iter().find(|row| row["from"] == **from && row["to"] == **to)
            }
            Self::Database(name) => rows("databases").iter().find(|row| row["database"] == **name),
            Self::Pool { service, database } => {
                let of = rows("databases").iter().find(|row| row["database"] == **database);
                let pools = of.and_then(|row| row["pools"].as_array()).map(Vec::as_slice).unwrap_or_default();
                pools.iter().find(|row| row["service"] == **service)
            }
            Self::Cache(name) => rows("caches").iter().find(|row| row["cache"] == **name),
            Self::Topic(name) => rows("topics").iter().find(|row| row["topic"] == **name),
            Self::Group(name) => {
                let groups = rows("topics").iter().filter_map(|row| row["groups"].as_array()).flatten();
                groups.into_iter().find(|row| row["group"] == **name)
            }
            Self::Job { service, job } => {
                rows("jobs").iter().find(|row| row["service"] == **service && row["job"] == **job)
            }
            Self::Fault(name) => rows("faults").iter().find(|row| row["name"] == **name),
        };
        row.and_then(Value::as_object)
    }

    /// The names of its kind that a model has, where its own is not among them.
    pub fn unknown(&self, known: &Known) -> Option<String> {
        let missing = |what: &str, name: &str, names: &[String]| {
            let help = || list(names.iter().map(String::as_str));
            let is_there = names.iter().any(|known| known == name);
            (!is_there).then(|| format!("the topology has no {what} {}; it has {}", quote(name), help()))
        };
        match self {
            // A student may be asked to write the fault.
            Self::Run | Self::Fault(_) => None,
            Self::Load(name) => missing("load", name, &known.loads),
            Self::Route { service, .. } | Self::Job { service, .. } | Self::Service(service) => {
                missing("service", service, &known.services)
            }
            Self::Link { from, to } => {
                missing("service", from, &known.services).or_else(|| missing("service", to, &known.services))
            }
            Self::Database(name) => missing("database", name, &known.databases),
            Self::Pool { service, database } => missing("service", service, &known.services)
                .or_else(|| missing("database", database, &known.databases)),
            Self::Cache(name) => missing("cache", name, &known.caches),
            Self::Topic(name) => missing("topic", name, &known.topics),
            Self::Group(name) => missing("group", name, &known.groups),
        }
    }
}

/// Names of a topology that metrics may use.
#[derive(Debug, Default)]
pub struct Known {
    pub loads: Vec<String>,
    pub services: Vec<String>,
    pub databases: Vec<String>,
    pub caches: Vec<String>,
    pub topics: Vec<String>,
    pub groups: Vec<String>,
    pub faults: Vec<String>,
}

/// A report for [`Metric::of`].
pub fn json(report: &Report) -> Value {
    serde_json::to_value(report).expect("a report has only keys that are strings")
}

#[cfg(test)]
mod tests;
