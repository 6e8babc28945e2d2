//! What a service does for one route, in one job or with messages, as its configuration says.

use std::collections::BTreeSet;

use simhost_notation::{Calls, did_you_mean, list, nearest, quote};
use simhost_sdk::extract::Params;
use simhost_sdk::prelude::*;
use simhost_sdk::{Attribute, AttributeValue, Distribution, SpanBuilder, annotate};

use crate::cache::Cache;
use crate::calls;
use crate::line::Line;
use crate::messages::Messages;
use crate::metric::Metric;
use crate::reader::{Reader, Settings};
use crate::statements::Statements;
use crate::template::{self, Template};

const SETTINGS: [&str; 20] = [
    "work",
    "calls",
    "publish",
    "message-bytes",
    "cache",
    "cache-in",
    "errors",
    "response-bytes",
    "span",
    "database",
    "slow-query",
    "log",
    "warn",
    "metrics",
    "sql",
    "sql-in",
    "transaction",
    "status",
    "attributes",
    "parallel",
];

/// The settings that are one value, and how to write it. The others may be tables.
const VALUES: [(&str, &str); 19] = [
    ("route", "\"GET /items/{id}\""),
    ("job", "\"nightly-report\""),
    ("topic", "\"order-events\""),
    ("publish", "\"order-events/{id}\""),
    ("message-bytes", "200"),
    ("calls", "\"stock & pricing\""),
    ("cache", "\"10s\""),
    ("cache-in", "\"pages\""),
    ("errors", "0.05"),
    ("response-bytes", "1024"),
    ("span", "\"SELECT items\""),
    ("slow-query", "\"100ms\""),
    ("log", "\"looked up\""),
    ("warn", "\"5% cache miss\""),
    ("sql", "\"SELECT name FROM items WHERE id = {id}\""),
    ("sql-in", "\"shop\""),
    ("transaction", "true"),
    ("status", "\"200=98,503=2\""),
    ("parallel", "4"),
];

/// What says what a table is done for.
const KINDS: [&str; 3] = ["route", "job", "topic"];

/// The parameter that is the key of a message.
const KEY: &str = "key";

/// The settings of answers, which jobs and messages have not.
const OF_ANSWERS: [&str; 4] = ["cache", "cache-in", "response-bytes", "status"];

/// What an operation is done for.
#[derive(Clone, Debug, PartialEq)]
enum For {
    Route(String),
    Job(String),
    Topic(String),
}

impl For {
    /// What people call it.
    fn name(&self) -> &str {
        match self {
            Self::Route(name) | Self::Job(name) | Self::Topic(name) => name,
        }
    }

    /// The setting that says so.
    fn setting(&self) -> &'static str {
        match self {
            Self::Route(_) => "route",
            Self::Job(_) => "job",
            Self::Topic(_) => "topic",
        }
    }
}

/// A route, a job or a topic, and what is done for it.
#[derive(Clone, Debug)]
pub struct Operation {
    done_for: For,
    /// The key at which the route, the job or the topic stands.
    pub key: String,
    work: Distribution,
    calls: Calls,
    messages: Messages,
    /// Calls of a step that are under way at a time.
    parallel: usize,
    statements: Option<Statements>,
    /// By their weights, which are summed up; none: 200.
    statuses: Vec<(f64, u16)>,
    attributes: Vec<(String, Template)>,
    cache: Cache,
    errors: f64,
    response_bytes: usize,
    span: Option<SpanBuilder>,
    slow_query: Duration,
    log: Option<Line>,
    warn: Option<Line>,
    metrics: Vec<Metric>,
}

impl Operation {
    /// The route that it serves, if it does.
    pub fn route(&self) -> Option<&str> {
        match &self.done_for {
            For::Route(route) => Some(route),
            _ => None,
        }
    }

    /// The name of the job, if it is one.
    pub fn job(&self) -> Option<&str> {
        match &self.done_for {
            For::Job(job) => Some(job),
            _ => None,
        }
    }

    /// The topic whose messages it processes, if it does.
    pub fn topic(&self) -> Option<&str> {
        match &self.done_for {
            For::Topic(topic) => Some(topic),
            _ => None,
        }
    }

    /// The names for which a request, or a message, has values.
    fn parameters(&self) -> Vec<&str> {
        match &self.done_for {
            For::Route(route) => parameters(route).collect(),
            For::Job(_) => Vec::new(),
            For::Topic(_) => vec![KEY],
        }
    }

    /// Serves one request.
    pub fn serve(&self, params: &Params) -> Result<Response, Error> {
        self.annotate(params);
        self.attend(params)?;
        let status = if self.statuses.is_empty() { 200 } else { *template::pick(&self.statuses) };
        if status >= 400 {
            return Err(Error::new(status, format!("{} failed", self.done_for.name())));
        }
        Ok(Response::new(status).body(vec![b'.'; self.response_bytes]))
    }

    /// Runs as a job: in a span of its own, which is the root of its trace.
    pub fn run(&self) -> Result<(), Error> {
        let none = Params(Vec::new());
        in_span(self.done_for.name(), |span| {
            if !self.attributes.is_empty() {
                span.set_all(self.filled(&none));
            }
            self.attend(&none)
        })
    }

    /// Sets the attributes on the SERVER or CONSUMER span.
    fn annotate(&self, params: &Params) {
        if !self.attributes.is_empty() {
            annotate(self.filled(params));
        }
    }

    /// The attributes of a request, a run or a message.
    fn filled(&self, params: &Params) -> Vec<Attribute> {
        let one = |(key, template): &(String, Template)| {
            let text = template.fill(params);
            let number = if template.is_number() { text.parse::<i64>().ok() } else { None };
            (key.clone(), number.map_or_else(|| text.into(), AttributeValue::from))
        };
        self.attributes.iter().map(one).collect()
    }

    /// Processes one message. What is wrong may pass: it is asked for once more.
    pub fn receive(&self, message: &Message) -> Outcome {
        let key = message.key.iter().map(|key| (KEY.to_owned(), String::from_utf8_lossy(key).into_owned()));
        let params = Params(key.collect());
        self.annotate(&params);
        match self.attend(&params) {
            Ok(()) => Outcome::Done,
            Err(_) => Outcome::Retry,
        }
    }

    /// Does all that there is to do for a request, a run or a message.
    #[inline(never)]
    fn attend(&self, params: &Params) -> Result<(), Error> {
        self.log.iter().for_each(|line| line.say(log::Level::Info));
        self.work();
        self.warn.iter().for_each(|line| line.say(log::Level::Warn));
        let name = self.done_for.name();
        if random::chance(self.errors) {
            return Err(Error::unexpected("ServiceError", format!("{name} failed")));
        }
        let make = || {
            self.statements.iter().try_for_each(|statements| statements.execute(params))?;
            calls::make(&self.calls, params, self.parallel)?;
            self.messages.send(params)
        };
        // Of a job or a message, nothing is kept.
        let made = self.cache.serve(name, params, self.response_bytes, make);
        if let (Err(error), true) = (&made, self.log.is_some() || self.warn.is_some()) {
            log::error(format!("{name} failed: {error}"));
        }
        made?;
        self.metrics.iter().for_each(|metric| metric.measure(params));
        Ok(())
    }

    /// Takes its time, which keeps this worker busy.
    fn work(&self) {
        // As a driver measures it: what the span waits for when it begins is part of the query.
        let began = (!self.slow_query.is_zero()).then(clock::now);
        let span = self.span.as_ref().map(SpanBuilder::start);
        clock::sleep(self.work.sample());
        if let (Some(began), Some(span)) = (began, span) {
            let took = clock::now() - began;
            if took >= self.slow_query {
                span.event("slow query", attributes!["db.client.operation.duration" => took.as_secs_f64()]);
            }
        }
    }
}

/// Reads all operations of a configuration, and says of everything in it what is wrong.
pub fn read(config: &[(String, String)]) -> (Vec<Operation>, Vec<Problem>) {
    let mut problems = Vec::new();
    let mut names = BTreeSet::new();
    for (key, _) in config {
        let (first, rest) = key.split_once('.').unwrap_or((key, ""));
        match SETTINGS.contains(&first) {
            true => problems.extend(below_a_value(key, first, rest)),
            false if rest.is_empty() => problems.push(unknown(key)),
            false => _ = names.insert(first),
        }
    }
    let has = |name: &str, what: &str| config.iter().any(|(key, _)| *key == format!("{name}.{what}"));
    let is_table = |name: &str| KINDS.iter().any(|kind| has(name, kind));
    // A table that is none of these is more likely a setting with a slip in its name.
    let (tables, slips): (Vec<_>, Vec<_>) =
        names.into_iter().partition(|name| is_table(name) || nearest(name, SETTINGS).is_none());
    problems.extend(slips.into_iter().map(unknown));
    let shared = Settings { config, prefix: "" };
    // Read in any case, as what is wrong in it is wrong even where every table says otherwise.
    let only = operation(&shared, &shared, tables.is_empty(), &mut problems);
    let of_tables = tables
        .iter()
        .filter_map(|name| operation(&Settings { config, prefix: name }, &shared, true, &mut problems));
    let mut operations: Vec<_> = of_tables.collect();
    if tables.is_empty() {
        operations.extend(only);
    }
    problems.extend(conflicts(&operations));
    problems.extend(unknown_names(&operations));
    // What is shared was read for every operation.
    let mut said = BTreeSet::new();
    problems.retain(|problem| said.insert((problem.key.clone(), problem.message.clone())));
    (operations, problems)
}

/// Instruments of one name that are not the same.
fn conflicts(operations: &[Operation]) -> Vec<Problem> {
    let all: Vec<_> = operations.iter().flat_map(|operation| &operation.metrics).collect();
    let before = |at: usize, metric: &Metric| all[..at].iter().find_map(|other| metric.conflict(other));
    all.iter().enumerate().filter_map(|(at, metric)| before(at, metric)).collect()
}

/// Attributes of instruments that name a parameter which no route of theirs has.
fn unknown_names(operations: &[Operation]) -> Vec<Problem> {
    let has_key = |operation: &Operation, key: &str| operation.metrics.iter().any(|metric| metric.key == key);
    let mut problems = Vec::new();
    for metric in operations.iter().flat_map(|operation| &operation.metrics) {
        let routes = operations.iter().filter(|operation| has_key(operation, &metric.key));
        let known: Vec<&str> = routes.flat_map(Operation::parameters).collect();
        for name in metric.names().filter(|name| !known.contains(name)) {
            let problem = Problem::of(&metric.key, format!("no route has the parameter {{{name}}}"));
            problems.push(match known.is_empty() {
                true => problem.remedy("write a value without braces, or a route with that parameter"),
                false => problem.remedy(format!("write one of those of the route: {}", list(known.clone()))),
            });
        }
    }
    problems
}

/// The names of a route's parameters.
fn parameters(route: &str) -> impl Iterator<Item = &str> {
    route
        .split('{')
        .skip(1)
        .filter_map(|rest| rest.split_once('}'))
        .map(|(name, _)| name.trim_start_matches('*'))
}

/// A key that means nothing: beside the tables, or in one of them.
fn unknown(key: &str) -> Problem {
    let (table, name) = key.rsplit_once('.').unwrap_or(("", key));
    let known = did_you_mean(name, "keys", SETTINGS);
    let tables = match table {
        "" => ", and tables with a `route`, a `job` or a `topic`",
        _ => ", and `route`, `job` or `topic`",
    };
    Problem::of(key, "unknown key").remedy(format!("{known}{tables}"))
}

/// The problem of a key below a setting that is one value: `errors.rate`.
fn below_a_value(key: &str, name: &str, rest: &str) -> Option<Problem> {
    let (_, example) = VALUES.iter().find(|(value, _)| *value == name).filter(|_| !rest.is_empty())?;
    let problem = Problem::of(key, format!("{} is one value, and no table", quote(name)));
    Some(problem.remedy(format!("write {name} = {example}")))
}

/// Reads one operation; what its table does not say is what `shared` says. What stands beside tables is not
/// served by itself.
fn operation(
    own: &Settings<'_>,
    shared: &Settings<'_>,
    is_served: bool,
    problems: &mut Vec<Problem>,
) -> Option<Operation> {
    let before = problems.len();
    let is_only = own.prefix.is_empty();
    let done_for = if is_only { For::Route("GET /".to_owned()) } else { done_for(own, problems) };
    let answers = matches!(done_for, For::Route(_));
    if !is_only {
        problems.extend(config::below(own.config, own.prefix).into_iter().filter_map(|(key, _)| {
            let (first, rest) = key.split_once('.').unwrap_or((&key, ""));
            match first {
                _ if !answers && OF_ANSWERS.contains(&first) => {
                    let problem =
                        Problem::of(own.key(first), format!("a {} has no answer", done_for.setting()));
                    Some(problem.remedy("leave it out"))
                }
                _ if KINDS.contains(&first) || SETTINGS.contains(&first) => {
                    below_a_value(&own.key(&key), first, rest)
                }
                _ => Some(unknown(&own.key(first))),
            }
        }));
    }
    let mut reader = Reader { own, shared, is_served, problems };
    let operation = Operation {
        key: own.key(done_for.setting()),
        done_for,
        work: reader.distribution("work"),
        calls: reader.calls(),
        messages: reader.messages(),
        parallel: reader.parallel(),
        statements: reader.statements(),
        statuses: if answers { reader.statuses() } else { Vec::new() },
        attributes: reader.attributes(),
        cache: if answers { reader.cache() } else { Cache::default() },
        errors: reader.share("errors"),
        response_bytes: reader.bytes("response-bytes"),
        span: None,
        slow_query: reader.duration("slow-query"),
        log: reader.line("log"),
        warn: reader.line("warn"),
        metrics: reader.metrics(),
    };
    let span = reader.span(operation.done_for.name());
    let operation = Operation { span, ..operation };
    (problems.len() == before).then_some(operation)
}

/// What a table is done for.
fn done_for(own: &Settings<'_>, problems: &mut Vec<Problem>) -> For {
    let said: Vec<_> = KINDS.iter().filter_map(|kind| Some((*kind, own.get(kind)?.to_owned()))).collect();
    match &said[..] {
        [("job", job)] => For::Job(job.clone()),
        [("topic", topic)] => For::Topic(topic.clone()),
        [(_, route)] => For::Route(route.clone()),
        [(first, _), (second, _), ..] => {
            let problem = Problem::of(own.key(second), format!("the table has a `{first}` and a `{second}`"));
            problems.push(problem.remedy(format!("give the {second} a table of its own")));
            For::Route(String::new())
        }
        [] => {
            let name = own.prefix;
            let problem = Problem::of(name, "the table has no `route`, `job` or `topic`");
            problems.push(problem.remedy(format!("write {name} = {{ route = \"GET /{name}\" }}")));
            For::Route(String::new())
        }
    }
}

#[cfg(test)]
mod tests;
