//! Settings of the guest `service` that do nothing, and those that cannot be done: messages that their topic
//! refuses, answers that their cache does not keep, work that is longer than a request may last. And names in
//! statements and keys that are misspelt.

use std::collections::{BTreeMap, BTreeSet};

use simhost_notation::Calls;

use crate::cache::{ENTRY, VALUE_AT_MOST};
use crate::clock;
use crate::error::{Problem, nearest, quote};
use crate::model::{Cache, Code, Place, Service, ServiceId, Topic};
use crate::topology::{duration, parameters, show_size};

use super::Run;

/// What says what a table is done for.
const KINDS: [&str; 3] = ["route", "job", "topic"];

/// Settings that do nothing without one of others: what is missing, and what to write.
const NEEDS: [(&str, &[&str], &str, &str); 6] = [
    ("message-bytes", &["publish"], "no message is sent", "write publish = \"TOPIC\""),
    ("slow-query", &["span"], "there is no span for the event", "write span = \"SELECT items\""),
    ("sql-in", &["sql"], "there is no statement", "write sql = \"SELECT …\""),
    ("transaction", &["sql"], "there is no statement", "write sql = \"SELECT …\""),
    ("parallel", &["calls"], "there are no calls", "write calls = \"SERVICE\""),
    (
        "cache",
        &["calls", "sql", "publish", "cache-in"],
        "an answer that is kept saves calls, statements and messages, and there are none",
        "write calls = \"SERVICE\"",
    ),
];

pub fn problems(run: &Run<'_>) -> Vec<Problem> {
    let ids = (0..run.model.services.len()).map(|index| ServiceId(index as u32));
    let scripted = ids.filter(|id| {
        matches!(&run.model.service(*id).code, Code::Embedded(name) if name == "service")
            && !run.is_swapped(*id)
    });
    let of_service = |id| {
        let operations = operations(run.model.service(id));
        let mut problems = idle(&operations);
        for operation in &operations {
            problems.extend(too_large_messages(run, operation));
            problems.extend(too_long_work(operation));
            problems.extend(["sql", "publish"].into_iter().flat_map(|name| misspelt(operation, name)));
            if operation.is_answered() {
                problems.extend(not_kept(run, operation));
                problems.extend(too_large_answer(operation));
            }
        }
        // What stands beside the tables is said once.
        let mut known = BTreeSet::new();
        problems.retain(|problem| known.insert(problem.message.clone()));
        problems
    };
    scripted.flat_map(of_service).collect()
}

/// What is done for a route, a job or a topic: by its table and what stands beside the tables.
#[derive(Clone, Copy)]
struct Operation<'a> {
    service: &'a Service,
    /// The name of its table; empty for the only one.
    table: &'a str,
}

/// A setting, by its key in the configuration.
#[derive(Clone, Copy)]
struct Setting<'a> {
    of: &'a Service,
    key: &'a str,
    text: &'a str,
    place: Option<&'a Place>,
}

fn operations(service: &Service) -> Vec<Operation<'_>> {
    let (mut tables, mut known): (Vec<&str>, BTreeSet<&str>) = Default::default();
    for key in service.config.keys() {
        // Instruments may have any name.
        if let Some((table, kind)) = key.split_once('.').filter(|(table, _)| *table != "metrics")
            && KINDS.contains(&kind)
            && known.insert(table)
        {
            tables.push(table);
        }
    }
    if tables.is_empty() {
        tables.push("");
    }
    tables.into_iter().map(|table| Operation { service, table }).collect()
}

impl<'a> Operation<'a> {
    /// Its own setting, else the one beside the tables; none of one that is empty.
    fn get(&self, name: &str) -> Option<Setting<'a>> {
        let of = self.service;
        let find =
            |key: &str| of.config.get_full(key).map(|(at, key, text)| (at, key.as_str(), text.as_str()));
        let own = (!self.table.is_empty()).then(|| find(&format!("{}.{name}", self.table))).flatten();
        let (at, key, text) = own.or_else(|| find(name))?;
        (!text.is_empty()).then(|| Setting { of, key, text, place: of.config_places.get(at) })
    }

    /// It is no job and processes no messages.
    fn is_answered(&self) -> bool {
        self.table.is_empty() || self.service.config.contains_key(&format!("{}.route", self.table))
    }

    fn bytes(&self, name: &str) -> Option<(Setting<'a>, u64)> {
        let setting = self.get(name)?;
        setting.text.parse().ok().map(|bytes| (setting, bytes))
    }
}

impl Setting<'_> {
    /// A warning that begins with the setting.
    fn warning(&self, what: &str, label: &str, help: String) -> Problem {
        let place = self.place.unwrap_or(&self.of.place).clone();
        let message = format!("config.{} of {}{what}", self.key, quote(&self.of.name));
        Problem::warning(message).at(place, label).help(help)
    }

    /// The topology says that there is none of it.
    fn is_nothing(&self) -> bool {
        self.text == "false" || self.text == "0" || duration(self.text) == Ok(0)
    }
}

/// Settings that do nothing for any of the operations that have them.
fn idle(operations: &[Operation<'_>]) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (name, needs, why, write) in NEEDS {
        let (mut found, mut places): (Vec<(Setting<'_>, bool)>, BTreeMap<&str, usize>) = Default::default();
        for operation in operations {
            let Some(setting) = operation.get(name).filter(|setting| !setting.is_nothing()) else { continue };
            let is_used = needs.iter().any(|need| operation.get(need).is_some());
            let at = *places.entry(setting.key).or_insert(found.len());
            match found.get_mut(at) {
                Some((_, known)) => *known |= is_used,
                None => found.push((setting, is_used)),
            }
        }
        let idle = found.into_iter().filter(|(_, is_used)| !is_used);
        let problem = |(setting, _): (Setting<'_>, bool)| {
            setting.warning(
                &format!(" does nothing: {why}"),
                "not used",
                format!("{write}, or leave {name} out"),
            )
        };
        problems.extend(idle.map(problem));
    }
    let nothing = |operation: &Operation<'_>| {
        let cache = operation.get("cache").filter(|cache| duration(cache.text) == Ok(0))?;
        // It switches off what stands beside the tables.
        let switches_off = cache.key != "cache" && cache.of.config.contains_key("cache");
        let help = "write cache = \"10s\", or leave it out".to_owned();
        (!switches_off)
            .then(|| cache.warning(&format!(" = {:?} keeps no answer", cache.text), "not used", help))
    };
    problems.extend(operations.iter().filter_map(nothing));
    problems
}

/// Names in braces that the route or the message does not have, and that are near one which it has. A number
/// stands in their place.
fn misspelt<'a>(operation: &Operation<'a>, name: &str) -> Vec<Problem> {
    let Some(setting) = operation.get(name) else { return Vec::new() };
    let of_route = operation.get("route").filter(|_| operation.is_answered());
    let is_topic = !operation.is_answered() && operation.get("topic").is_some();
    let own: Vec<&str> = match of_route {
        Some(route) => parameters(route.text).collect(),
        None if is_topic => vec!["key"],
        None => Vec::new(),
    };
    let written: Vec<&str> = parameters(setting.text).collect();
    let problem = |name: &str| {
        let near = nearest(name, own.iter().copied().filter(|own| !written.contains(own)))?;
        let of = of_route
            .map_or_else(|| "a message".to_owned(), |route| format!("its route {}", quote(route.text)));
        let what = format!(" has a number for {{{name}}}, which {of} does not have");
        let help = format!("did you mean {{{near}}}? If a number is meant, choose a less similar name");
        Some(setting.warning(&what, "a number from 1 to 1000", help))
    };
    written.iter().filter(|name| !own.contains(name)).filter_map(|name| problem(name)).collect()
}

/// Messages with more bytes than their topic takes.
fn too_large_messages(run: &Run<'_>, operation: &Operation<'_>) -> Vec<Problem> {
    let (Some((setting, bytes)), Some(sent)) = (operation.bytes("message-bytes"), operation.get("publish"))
    else {
        return Vec::new();
    };
    let sent: Vec<_> =
        Calls::parse(sent.text).map(|calls| calls.0).unwrap_or_default().into_iter().flatten().collect();
    let problem = |topic: &Topic| {
        let of_topic = sent.iter().filter(|one| one.service == topic.name);
        // A key has a byte at least.
        let has_key = of_topic.clone().any(|one| one.path.len() > 1);
        of_topic.clone().next()?;
        if bytes.saturating_add(u64::from(has_key)) <= topic.message_size {
            return None;
        }
        let (name, most) = (quote(&topic.name), show_size(topic.message_size));
        let key = if has_key { " and a key" } else { "" };
        let what =
            format!(": {bytes} bytes{key} are more than a message of the topic {name} may have: {most}");
        let help = format!(
            "lower message-bytes, or raise message-size of [topics.{name}]: each such message is refused with too-large"
        );
        Some(setting.warning(&what, "refused each time", help))
    };
    run.model.topics.iter().filter_map(problem).collect()
}

/// An answer that its cache has no room for.
fn not_kept(run: &Run<'_>, operation: &Operation<'_>) -> Option<Problem> {
    let (setting, bytes) = operation.bytes("response-bytes")?;
    let named = operation.get("cache-in")?;
    let cache: &Cache = run.model.caches.iter().find(|cache| cache.name == named.text)?;
    let name = quote(&cache.name);
    let (most, help) = if bytes > VALUE_AT_MOST as u64 {
        let most = show_size(VALUE_AT_MOST as u64);
        (format!("an entry has {most} at most"), "lower response-bytes, or leave cache-in out".to_owned())
    } else if bytes.saturating_add(ENTRY) > cache.memory {
        let memory = show_size(cache.memory);
        let help = format!("lower response-bytes, or raise memory of [caches.{}]", cache.name);
        (format!("it has {memory} for its keys, their values and {ENTRY} bytes for each"), help)
    } else {
        return None;
    };
    let what = format!(": {bytes} bytes are more than the cache {name} keeps: {most}");
    Some(setting.warning(&what, "never kept", help))
}

/// An answer that is larger than a body may be.
fn too_large_answer(operation: &Operation<'_>) -> Option<Problem> {
    let (setting, bytes) = operation.bytes("response-bytes")?;
    let most = operation.service.limits.body;
    if bytes <= most {
        return None;
    }
    let what = format!(": {bytes} bytes are more than a body may have, limits.body = {}", show_size(most));
    let help = "lower response-bytes, or raise limits.body: each such request is answered 500".to_owned();
    Some(setting.warning(&what, "refused each time", help))
}

/// Work that takes longer than a request may.
fn too_long_work(operation: &Operation<'_>) -> Option<Problem> {
    let setting = operation.get("work")?;
    let most = operation.service.limits.request_time;
    let work = duration(setting.text).ok().filter(|work| *work >= most)?;
    let what = format!(
        ": {} are no less than a request may take, limits.request-time = {}",
        clock::show(work),
        clock::show(most)
    );
    let outcome = if operation.is_answered() { "each request is answered 500" } else { "each one fails" };
    let help = format!("lower work, or raise limits.request-time: {outcome}");
    Some(setting.warning(&what, "stopped each time", help))
}
