//! What a service does for one route, in one job or with messages, as its configuration says.

use std::collections::BTreeSet;

use simhost_notation::{Calls, did_you_mean, list, nearest, quote};
use simhost_sdk::extract::Params;
use simhost_sdk::prelude::*;
use simhost_sdk::{Distribution, SpanBuilder};

use crate::cache::Cache;
use crate::calls;
use crate::line::Line;
use crate::messages::Messages;
use crate::metric::Metric;
use crate::reader::{Reader, Settings};

const SETTINGS: [&str; 14] = [
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
];

/// The settings that are one value, and how to write it. The others may be tables.
const VALUES: [(&str, &str); 14] = [
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
];

/// What says what a table is done for.
const KINDS: [&str; 3] = ["route", "job", "topic"];

/// The parameter that is the key of a message.
const KEY: &str = "key";

/// The settings of answers, which jobs and messages have not.
const OF_ANSWERS: [&str; 3] = ["cache", "cache-in", "response-bytes"];

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
        self.attend(params)?;
        Ok(Response::new(200).body(vec![b'.'; self.response_bytes]))
    }

    /// Runs as a job: in a span of its own, which is the root of its trace.
    pub fn run(&self) -> Result<(), Error> {
        let none = Params(Vec::new());
        in_span(self.done_for.name(), |_| self.attend(&none))
    }

    /// Processes one message. What is wrong may pass: it is asked for once more.
    pub fn receive(&self, message: &Message) -> Outcome {
        let key = message.key.iter().map(|key| (KEY.to_owned(), String::from_utf8_lossy(key).into_owned()));
        match self.attend(&Params(key.collect())) {
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
            calls::make(&self.calls, params)?;
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
mod tests {
    use super::*;

    /// The operations, or each problem with its key.
    fn read(entries: &[(&str, &str)]) -> Result<Vec<Operation>, Vec<String>> {
        let owned = entries.iter().map(|(key, value)| (key.to_string(), value.to_string()));
        let (operations, problems) = super::read(&owned.collect::<Vec<_>>());
        let said = |Problem { key, message, .. }: &Problem| format!("{}: {message}", key.as_ref().unwrap());
        if problems.is_empty() { Ok(operations) } else { Err(problems.iter().map(said).collect()) }
    }

    #[test]
    fn without_tables_there_is_one_route() {
        let operations = read(&[("work.exponential.mean", "5ms"), ("calls", "stock")]).unwrap();
        assert_eq!(operations.len(), 1);
        assert_eq!(operations[0].route(), Some("GET /"));
        assert_eq!(operations[0].work, Distribution::Exponential { mean: Duration::from_millis(5) });
        assert_eq!(operations[0].calls, Calls::parse("stock").unwrap());
        assert_eq!(read(&[]).unwrap()[0].work, Distribution::Fixed(Duration::ZERO));
    }

    #[test]
    fn every_table_is_a_route_and_what_stands_beside_them_is_shared() {
        let operations = read(&[
            ("work.lognormal.median", "5ms"),
            ("work.lognormal.sigma", "0.5"),
            ("errors", "0.25"),
            ("show.route", "GET /items/{id}"),
            ("show.work", "1ms"),
            ("add.route", "POST /items"),
            ("add.errors", "0.1%"),
        ])
        .unwrap();
        let [add, show] = &operations[..] else { panic!("{operations:?}") };
        assert_eq!((show.route(), show.errors), (Some("GET /items/{id}"), 0.25));
        assert_eq!(show.work, Distribution::Fixed(Duration::from_millis(1)));
        assert_eq!((add.route(), add.errors), (Some("POST /items"), 0.001));
        assert!(matches!(add.work, Distribution::Lognormal { .. }));
    }

    #[test]
    fn a_table_with_a_job_is_one_and_takes_no_settings_of_answers() {
        let report = [("nightly.job", "report"), ("nightly.work", "2s")];
        let operations = read(&report).unwrap();
        let [nightly] = &operations[..] else { panic!("{operations:?}") };
        assert_eq!(
            (nightly.route(), nightly.job(), nightly.key.as_str()),
            (None, Some("report"), "nightly.job")
        );
        let shared = [("cache", "1s"), ("show.route", "GET /items")];
        assert_eq!(
            read(&[&report[..], &shared[..]].concat()).unwrap().len(),
            2,
            "what is shared is for routes"
        );
        let wrong = [
            ("nightly.cache", "1s"),
            ("nightly.route", "GET /items"),
            ("weekly.job", "sum"),
            ("weekly.cache-in", "x"),
        ];
        let problems = read(&[&report[..], &wrong[..]].concat()).expect_err("two tables are wrong");
        assert_eq!(
            problems,
            ["nightly.job: the table has a `route` and a `job`", "weekly.cache-in: a job has no answer"]
        );
    }

    #[test]
    fn a_database_is_of_the_span_of_every_route() {
        let entries = [("database", "redis"), ("show.route", "GET /items"), ("show.span", "GET items")];
        assert!(read(&entries).is_ok());
        let problems = read(&entries[..2]).expect_err("there is no span");
        assert_eq!(problems, ["database: a database has spans, and GET /items has no `span`"]);
    }

    #[test]
    fn a_database_is_a_name_or_a_table_and_both_take_nothing_unknown() {
        let span = ("span", "SELECT items");
        assert!(read(&[span, ("database.system", "mysql"), ("database.port", "3307")]).is_ok());
        let problems = read(&[
            span,
            ("database.namespace", "stock"),
            ("database.host", "db"),
            ("show.route", "GET /items"),
            ("show.database.system", "mysql"),
            ("show.database.port", "many"),
        ]);
        let expected = [
            "database.host: unknown key",
            "database: the table has no `system`",
            "show.database.port: \"many\" is not valid: write a whole number from 0 to 65535",
        ];
        assert_eq!(problems.expect_err("none of them"), expected);
    }

    #[test]
    fn metrics_are_a_table_of_instruments_each_with_its_problems() {
        let metric = ("metrics.orders.placed", "counter 1 {order} channel=web");
        assert_eq!(read(&[metric]).unwrap()[0].metrics.len(), 1);
        let problems = read(&[
            metric,
            ("metrics.carts", "summary"),
            ("show.route", "GET /items"),
            ("show.metrics.Orders.Placed", "counter 1 {item}"),
            ("add.route", "POST /items"),
            ("add.metrics", "counter"),
        ])
        .expect_err("three are wrong");
        let expected = [
            "metrics.carts: \"summary\" is no kind of instrument",
            "add.metrics: the setting is a table of instruments",
        ];
        for part in expected {
            assert!(problems.iter().any(|problem| problem.starts_with(part)), "{part}: {problems:#?}");
        }
        let problems = read(&[
            ("show.route", "GET /items"),
            ("show.metrics.Orders.Placed", "counter 1 {item}"),
            ("add.route", "POST /items"),
            metric,
        ]);
        let said = "show.metrics.Orders.Placed: \"Orders.Placed\" has another kind, unit or type of number at \
                    metrics.orders.placed";
        assert_eq!(problems.expect_err("they differ"), [said]);
    }

    #[test]
    fn attributes_of_a_metric_name_parameters_of_a_route() {
        let of = |key| (key, "counter 1 {order} kind={kind} rest={rest}");
        let routes = [("add.route", "POST /{kind}/{*rest}"), ("show.route", "GET /items")];
        assert!(read(&[&routes[..], &[of("add.metrics.orders")]].concat()).is_ok());
        assert!(read(&[&routes[..], &[of("metrics.orders")]].concat()).is_ok(), "one of them has the names");
        let problems = read(&[&routes[..], &[of("show.metrics.orders")]].concat()).expect_err("it has none");
        let said = ["kind", "rest"]
            .map(|name| format!("show.metrics.orders: no route has the parameter {{{name}}}"));
        assert_eq!(problems, said);
    }

    #[test]
    fn everything_that_is_wrong_is_said_at_once() {
        let problems = read(&[
            ("log", "120% looked up"),
            ("warn", "5%"),
            ("wrok", "5ms"),
            ("work.exponential.median", "5ms"),
            ("errors", "2"),
            ("response-bytes", "many"),
            ("cache", "soon"),
            ("calls", "50%"),
            ("show.work", "5ms"),
            ("add.route", "POST /"),
            ("add.wait", "5ms"),
            ("add.calls", "3 a, post b"),
            ("add.errors", "-1%"),
        ])
        .expect_err("nothing is right");
        let expected = [
            "log: \"120% looked up\" is not valid: `120%`: that is no share",
            "warn: \"5%\" is not valid: it has no text",
            "wrok: unknown key",
            "show: the table has no `route`, `job` or `topic`",
            "work.exponential.median: unknown key of a distribution",
            "errors: \"2\" is not valid: a share is at most 1; for 2 percent write 2%",
            "response-bytes: \"many\" is not valid: write a whole number of bytes, up to 1073741824",
            "cache: \"soon\" is not valid: a duration",
            "calls: the call `50%`",
            "add.wait: unknown key",
            "add.calls: the call `3 a`",
            "add.calls: the call `post b`",
            "add.errors: \"-1%\" is not valid",
        ];
        for part in expected {
            assert!(problems.iter().any(|problem| problem.starts_with(part)), "{part}: {problems:#?}");
        }
        assert_eq!(problems.len(), expected.len(), "each is said once: {problems:#?}");
    }

    #[test]
    fn every_setting_is_a_value_or_may_be_a_table() {
        let values = VALUES.iter().map(|(name, _)| *name).filter(|name| !KINDS.contains(name));
        let mut names: Vec<_> = values.chain(["work", "database", "metrics"]).collect();
        let mut settings = SETTINGS.to_vec();
        names.sort_unstable();
        settings.sort_unstable();
        assert_eq!(names, settings);
    }

    #[test]
    fn a_key_below_a_value_is_a_problem() {
        let problems = read(&[
            ("errors.rate", "0.5"),
            ("span.name", "look up"),
            ("log.text", "x"),
            ("cache.ttl", "1s"),
            ("calls.a", "b"),
            ("response-bytes.x", "1"),
            ("show.route", "GET /show"),
            ("show.errors.rate", "1"),
            ("show.route.path", "1"),
            ("show.work.exponential.mean", "1ms"),
        ]);
        let expected = [
            "errors.rate: \"errors\" is one value, and no table",
            "span.name: \"span\" is one value, and no table",
            "log.text: \"log\" is one value, and no table",
            "cache.ttl: \"cache\" is one value, and no table",
            "calls.a: \"calls\" is one value, and no table",
            "response-bytes.x: \"response-bytes\" is one value, and no table",
            "show.errors.rate: \"errors\" is one value, and no table",
            "show.route.path: \"route\" is one value, and no table",
        ];
        assert_eq!(problems.expect_err("eight of them"), expected);
    }

    #[test]
    fn a_slip_in_the_name_of_a_setting_is_no_table_without_a_route() {
        assert_eq!(read(&[("wrok.exponential.mean", "5ms")]).unwrap_err(), ["wrok: unknown key"]);
        assert_eq!(read(&[("wrok.route", "GET /work")]).unwrap()[0].route(), Some("GET /work"));
        assert_eq!(
            read(&[("show.work", "5ms")]).unwrap_err(),
            ["show: the table has no `route`, `job` or `topic`"]
        );
    }
}
