//! What a service does for one route, as its configuration says.

use std::collections::BTreeSet;

use simhost_notation::{Calls, did_you_mean, nearest, parse_share, quote};
use simhost_sdk::extract::Params;
use simhost_sdk::prelude::*;
use simhost_sdk::{Database, Distribution, Problem, SpanBuilder, parse_duration};

use crate::cache::Cache;
use crate::calls;

const SETTINGS: [&str; 10] =
    ["work", "calls", "cache", "errors", "response-bytes", "span", "database", "slow-query", "log", "warn"];

/// The largest body, beyond which no topology lets one pass.
const BYTES_AT_MOST: usize = 1 << 30;

/// What `database` may be a table of.
const OF_DATABASE: [&str; 4] = ["system", "namespace", "address", "port"];

/// A route and what is done for it.
#[derive(Clone, Debug)]
pub struct Operation {
    pub route: String,
    /// The key at which the route stands.
    pub key: String,
    work: Distribution,
    calls: Calls,
    cache: Cache,
    errors: f64,
    response_bytes: usize,
    span: Option<SpanBuilder>,
    slow_query: Duration,
    log: Option<Line>,
    warn: Option<Line>,
}

/// A log record that a share of the requests leaves: `5% cache miss`.
#[derive(Clone, Debug, PartialEq)]
struct Line {
    chance: f64,
    text: String,
}

impl Operation {
    /// Serves one request.
    pub fn serve(&self, params: &Params) -> Result<Response, Error> {
        self.log.iter().for_each(|line| line.say(log::Level::Info));
        self.work();
        self.warn.iter().for_each(|line| line.say(log::Level::Warn));
        if random::chance(self.errors) {
            return Err(Error::unexpected("ServiceError", format!("{} failed", self.route)));
        }
        let made = self.cache.or_make(params, clock::now, || calls::make(&self.calls, params));
        if let (Err(error), true) = (&made, self.log.is_some() || self.warn.is_some()) {
            log::error(format!("{} failed: {error}", self.route));
        }
        made?;
        Ok(Response::new(200).body(vec![b'.'; self.response_bytes]))
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

impl Line {
    /// Reads `looked up`, or `5% cache miss` and `0.05 cache miss` for a share of the requests.
    ///
    /// A number without `%` is a share if it has a decimal point and is at most 1. Any other number belongs to
    /// the text: `3 items left`, `2.5 seconds late`.
    fn parse(text: &str) -> Result<Self, String> {
        let rest = text.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
        let number = &text[..text.len() - rest.len()];
        let is_number = number.starts_with(|c: char| c.is_ascii_digit()) && !number.ends_with('.');
        let (share, rest) = match rest.trim_start().strip_prefix('%').filter(|_| is_number) {
            Some(rest) => {
                let percent = format!("{number}%");
                (parse_share(&percent).map_err(|problem| format!("`{percent}`: {problem}"))?, rest)
            }
            None => {
                let is_word = rest.is_empty() || rest.starts_with(char::is_whitespace);
                let is_fraction = is_number && is_word && number.contains('.');
                match parse_share(number).ok().filter(|_| is_fraction) {
                    Some(share) => (share, rest),
                    None => return Ok(Self { chance: 1.0, text: text.to_owned() }),
                }
            }
        };
        match rest.trim() {
            "" => Err("it has no text behind the share; write `5% cache miss`".to_owned()),
            rest => Ok(Self { chance: share, text: rest.to_owned() }),
        }
    }

    fn say(&self, level: log::Level) {
        if random::chance(self.chance) {
            log::write(level, &self.text, []);
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
            true => {}
            false if rest.is_empty() => problems.push(unknown(key)),
            false => _ = names.insert(first),
        }
    }
    let has_route = |name: &str| config.iter().any(|(key, _)| *key == format!("{name}.route"));
    // A table that is no route is more likely a setting with a slip in its name.
    let (tables, slips): (Vec<_>, Vec<_>) =
        names.into_iter().partition(|name| has_route(name) || nearest(name, SETTINGS).is_none());
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
    // What is shared was read for every operation.
    let mut said = BTreeSet::new();
    problems.retain(|problem| said.insert((problem.key.clone(), problem.message.clone())));
    (operations, problems)
}

/// A key that means nothing: beside the tables, or in one of them.
fn unknown(key: &str) -> Problem {
    let (table, name) = key.rsplit_once('.').unwrap_or(("", key));
    let known = did_you_mean(name, "keys", SETTINGS);
    let tables = if table.is_empty() { ", and tables with a `route`" } else { ", and `route`" };
    Problem::of(key, "unknown key").remedy(format!("{known}{tables}"))
}

/// One table of the configuration.
struct Settings<'a> {
    config: &'a [(String, String)],
    /// The table's name; empty for what stands beside the tables.
    prefix: &'a str,
}

impl Settings<'_> {
    fn key(&self, name: &str) -> String {
        if self.prefix.is_empty() { name.to_owned() } else { format!("{}.{name}", self.prefix) }
    }

    fn get(&self, name: &str) -> Option<&str> {
        let key = self.key(name);
        self.config.iter().find(|(other, _)| *other == key).map(|(_, value)| value.as_str())
    }

    /// What stands at a name and below it.
    fn below(&self, name: &str) -> Vec<(String, String)> {
        config::below(self.config, &self.key(name))
    }
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
    let route = match own.get("route") {
        _ if is_only => "GET /".to_owned(),
        Some(route) => route.to_owned(),
        None => {
            let name = own.prefix;
            let problem = Problem::of(name, "the table has no `route`");
            problems.push(problem.remedy(format!("write {name} = {{ route = \"GET /{name}\" }}")));
            String::new()
        }
    };
    if !is_only {
        problems.extend(config::below(own.config, own.prefix).into_iter().filter_map(|(key, _)| {
            let (first, rest) = key.split_once('.').unwrap_or((&key, ""));
            let is_known = first == "route" && rest.is_empty() || SETTINGS.contains(&first);
            (!is_known).then(|| unknown(&own.key(first)))
        }));
    }
    let mut reader = Reader { own, shared, is_served, problems };
    let operation = Operation {
        route,
        key: own.key("route"),
        work: reader.distribution("work"),
        calls: reader.calls(),
        cache: Cache::new(reader.duration("cache")),
        errors: reader.share("errors"),
        response_bytes: reader.bytes("response-bytes"),
        span: None,
        slow_query: reader.duration("slow-query"),
        log: reader.line("log"),
        warn: reader.line("warn"),
    };
    let span = reader.span(&operation.route);
    let operation = Operation { span, ..operation };
    (problems.len() == before).then_some(operation)
}

struct Reader<'a> {
    own: &'a Settings<'a>,
    shared: &'a Settings<'a>,
    is_served: bool,
    problems: &'a mut Vec<Problem>,
}

impl Reader<'_> {
    /// The table that a setting comes from.
    fn from(&self, name: &str) -> &Settings<'_> {
        if self.own.below(name).is_empty() { self.shared } else { self.own }
    }

    fn text(&self, name: &str) -> Option<String> {
        self.from(name).get(name).map(str::to_owned).filter(|text| !text.is_empty())
    }

    fn distribution(&mut self, name: &str) -> Distribution {
        let from = self.from(name);
        let (key, fields) = (from.key(name), from.below(name));
        if fields.is_empty() {
            return Distribution::Fixed(Duration::ZERO);
        }
        Distribution::from_fields(&fields).unwrap_or_else(|problem| {
            self.problems.push(Problem::of(key, problem));
            Distribution::Fixed(Duration::ZERO)
        })
    }

    fn line(&mut self, name: &str) -> Option<Line> {
        let line = Line::parse(&self.text(name)?);
        line.map_err(|problem| {
            let key = self.from(name).key(name);
            self.problems.push(Problem::of(key, problem));
        })
        .ok()
    }

    fn duration(&mut self, name: &str) -> Duration {
        self.value(name, parse_duration)
    }

    /// The span around the work, a database's where there is one.
    fn span(&mut self, route: &str) -> Option<SpanBuilder> {
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
                let message = format!("{} is not a port", quote(port));
                let problem = Problem::of(format!("{key}.port"), message);
                self.problems.push(problem.remedy("write a number from 0 to 65535"));
            }
        }
        Some(database)
    }

    fn calls(&mut self) -> Calls {
        let Some(text) = self.text("calls") else { return Calls::default() };
        Calls::parse(&text).unwrap_or_else(|problems| {
            let key = self.from("calls").key("calls");
            self.problems.extend(problems.into_iter().map(|problem| Problem::of(&key, problem)));
            Calls::default()
        })
    }

    /// `20%` or `0.2`.
    fn share(&mut self, name: &str) -> f64 {
        self.value(name, parse_share)
    }

    fn bytes(&mut self, name: &str) -> usize {
        self.value(name, |text| match text.parse() {
            Ok(bytes) if bytes <= BYTES_AT_MOST => Ok(bytes),
            Ok(_) => Err("that is too large".to_owned()),
            Err(error) => Err(format!("{error}")),
        })
    }

    /// A setting that `parse` makes sense of; without it, the least.
    fn value<T: Default>(&mut self, name: &str, parse: impl Fn(&str) -> Result<T, String>) -> T {
        let Some(text) = self.text(name) else { return T::default() };
        parse(&text).unwrap_or_else(|problem| {
            let message = format!("{} is not valid: {problem}", quote(&text));
            self.problems.push(Problem::of(self.from(name).key(name), message));
            T::default()
        })
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
        assert_eq!(operations[0].route, "GET /");
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
        assert_eq!((show.route.as_str(), show.errors), ("GET /items/{id}", 0.25));
        assert_eq!(show.work, Distribution::Fixed(Duration::from_millis(1)));
        assert_eq!((add.route.as_str(), add.errors), ("POST /items", 0.001));
        assert!(matches!(add.work, Distribution::Lognormal { .. }));
    }

    #[test]
    fn a_database_is_of_the_span_of_every_route() {
        let entries = [("database", "redis"), ("show.route", "GET /items"), ("show.span", "GET items")];
        assert!(read(&entries).is_ok());
        let problems = read(&entries[..2]).expect_err("there is no span");
        assert_eq!(problems, ["database: a database has spans, and GET /items has no `span`"]);
    }

    #[test]
    fn a_log_record_is_of_every_request_or_of_a_share() {
        let line = |chance: f64, text: &str| Ok(Line { chance, text: text.to_owned() });
        assert_eq!(Line::parse("looked up"), line(1.0, "looked up"));
        for text in ["2.5% cache miss", "2.5 % cache miss", "0.025 cache miss"] {
            assert_eq!(Line::parse(text), line(0.025, "cache miss"), "{text}");
        }
        assert_eq!(Line::parse("7% late"), Line::parse("0.07 late"), "to the last bit");
    }

    #[test]
    fn a_number_that_is_no_share_is_part_of_the_text_of_a_log_record() {
        for text in
            ["disk is 80% full", "3 items left", "2.5 seconds late", "1. step", "... again", "-5% drift"]
        {
            assert_eq!(Line::parse(text), Ok(Line { chance: 1.0, text: text.to_owned() }));
        }
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
            "show.database.port: \"many\" is not a port",
        ];
        assert_eq!(problems.expect_err("none of them"), expected);
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
            "log: `120%`: that is no share",
            "warn: it has no text",
            "wrok: unknown key",
            "show: the table has no `route`",
            "work: `exponential.mean` is missing",
            "errors: \"2\" is not valid: a share is at most 1; for 2 percent write 2%",
            "response-bytes: \"many\" is not valid: invalid digit",
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
    fn a_slip_in_the_name_of_a_setting_is_no_table_without_a_route() {
        assert_eq!(read(&[("wrok.exponential.mean", "5ms")]).unwrap_err(), ["wrok: unknown key"]);
        assert_eq!(read(&[("wrok.route", "GET /work")]).unwrap()[0].route, "GET /work");
        assert_eq!(read(&[("show.work", "5ms")]).unwrap_err(), ["show: the table has no `route`"]);
    }
}
