//! What built-in guests call and send, and the spans that they make: the guest `service` as its
//! configuration says, the others as their code does.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use indexmap::{IndexMap, IndexSet};
use simhost_notation::{Calls, parse_share};

use crate::model::Code;

/// The only route of a guest `service` whose configuration has no tables.
const ONLY: &str = "GET /";

/// What a job is called in place of a route.
pub fn of_job(job: &str) -> String {
    format!("job {job}")
}

/// What the messages of a topic are called in place of a route, with the parameter that is their key. `*` is
/// any topic.
pub fn of_topic(topic: &str) -> String {
    format!("topic {topic}/{{key}}")
}

/// A route, a job or a topic, and what it calls. What one route calls may be in several, in order.
#[derive(Clone, Debug, PartialEq)]
pub struct Operation {
    pub route: String,
    /// Routes for which the same text stands share it.
    pub calls: Rc<Calls>,
    /// The key of the configuration that says so, if it is there.
    pub key: Option<String>,
}

/// A route, a job or a topic, and the messages that it sends.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sending {
    pub route: String,
    /// Routes for which the same text stands share it.
    pub messages: Rc<Calls>,
    /// The key of the configuration that says so, if it is there.
    pub key: Option<String>,
    /// The share of those that fail before anything is called or sent.
    pub errors: f64,
    /// Its answers are kept: most requests call and send nothing.
    pub is_cached: bool,
}

type Config = IndexMap<String, String>;

/// What is known of a built-in guest with its configuration.
struct BuiltIn {
    name: &'static str,
    /// Its routes that call others.
    calls: fn(&Config) -> Vec<Operation>,
    /// The names of the spans that it makes; none where what it gets decides them.
    spans: fn(&Config) -> Option<Vec<&str>>,
    /// The messages that it sends.
    sends: fn(&Config) -> Vec<Sending>,
}

/// One that does none of it.
const PLAIN: BuiltIn =
    BuiltIn { name: "", calls: |_| Vec::new(), spans: |_| Some(Vec::new()), sends: |_| Vec::new() };

/// All of them, in the order of [`EMBEDDED`](crate::engine::EMBEDDED). A contract of components has no place
/// for what code calls, so it stands here.
static BUILT_IN: [BuiltIn; 15] = [
    BuiltIn {
        name: "orders",
        calls: of_orders,
        spans: |_| {
            Some(vec![
                "process_order",
                "validate_order",
                "check_inventory",
                "reserve_inventory",
                "charge_payment",
                "send_notification",
            ])
        },
        ..PLAIN
    },
    BuiltIn { name: "inventory", spans: |_| Some(vec!["reserve_stock", "slow_lookup"]), ..PLAIN },
    BuiltIn { name: "payment", ..PLAIN },
    BuiltIn { name: "notification", ..PLAIN },
    BuiltIn { name: "gateway", calls: of_gateway, ..PLAIN },
    BuiltIn { name: "checkout", calls: of_checkout, spans: |_| Some(vec!["validate-order"]), ..PLAIN },
    BuiltIn { name: "stock", spans: |_| Some(vec!["db.reserve-stock"]), ..PLAIN },
    BuiltIn {
        name: "items",
        spans: |_| Some(vec!["validate_input", "DB INSERT items", "log_event"]),
        ..PLAIN
    },
    BuiltIn {
        name: "storefront",
        calls: of_storefront,
        spans: |_| Some(vec!["process_order", "validate_inventory", "charge_payment"]),
        sends: |config| to_topic(config, "POST /orders", "order-events"),
    },
    // Its spans are named by topics.
    BuiltIn { name: "mailer", spans: |_| None, ..PLAIN },
    BuiltIn {
        name: "dispatch",
        calls: of_dispatch,
        sends: |config| to_topic(config, "POST /dispatch", ""),
        ..PLAIN
    },
    BuiltIn {
        name: "command",
        calls: of_command,
        spans: |_| Some(vec!["process-message", "sweep"]),
        ..PLAIN
    },
    BuiltIn { name: "service", calls: of_service, spans: spans_of_service, sends: sends_of_service },
    BuiltIn { name: "hop", calls: of_hop, ..PLAIN },
    BuiltIn { name: "noop", ..PLAIN },
];

/// What is known of the code of a service; none of a guest in a file.
fn known(code: &Code) -> Option<&'static BuiltIn> {
    let Code::Embedded(name) = code else { return None };
    BUILT_IN.iter().find(|guest| guest.name == name)
}

/// The routes of a guest that call others; none of a guest about which nothing is known.
pub fn operations(code: &Code, config: &Config) -> Option<Vec<Operation>> {
    known(code).map(|guest| (guest.calls)(config))
}

/// The names of the spans that a guest makes; none of a guest about which nothing is known.
pub fn spans<'a>(code: &Code, config: &'a Config) -> Option<Vec<&'a str>> {
    known(code).and_then(|guest| (guest.spans)(config))
}

/// The topics that a service sends to, each once; none of a guest about which nothing is known.
pub fn published(code: &Code, config: &Config) -> Option<Vec<String>> {
    match code {
        Code::External(_) => Some(Vec::new()),
        code => {
            let sendings = sendings(code, config)?;
            // What several share is looked at once.
            let mut seen = BTreeSet::new();
            let texts = sendings.iter().filter(|sending| seen.insert(Rc::as_ptr(&sending.messages)));
            let topics = texts.flat_map(|sending| sending.messages.0.iter().flatten());
            let topics: IndexSet<&str> = topics.map(|one| one.service.as_str()).collect();
            Some(topics.into_iter().map(str::to_owned).collect())
        }
    }
}

/// The messages of a guest, by what sends them; none of a guest about which nothing is known.
pub fn sendings(code: &Code, config: &Config) -> Option<Vec<Sending>> {
    known(code).map(|guest| (guest.sends)(config))
}

/// Each table of the configuration is a route, a job or a topic, and calls what its own `calls` says, or the
/// one beside the tables.
fn of_service(config: &Config) -> Vec<Operation> {
    let mut read = Texts::default();
    let operation = |(route, table): (String, Option<String>)| {
        let (key, text) = setting(config, table.as_deref(), "calls")?;
        let calls = read.calls(&key, text)?;
        Some(Operation { route, calls, key: Some(key) })
    };
    tables(config).into_iter().filter_map(operation).collect()
}

/// Calls and messages by the key of their text: what stands beside the tables is read once.
#[derive(Default)]
struct Texts(BTreeMap<String, Option<Rc<Calls>>>);

impl Texts {
    /// What cannot be read is said by the guest itself, when it is asked for its routes.
    fn calls(&mut self, key: &str, text: &str) -> Option<Rc<Calls>> {
        if let Some(known) = self.0.get(key) {
            return known.clone();
        }
        let calls = Calls::parse(text).ok().map(Rc::new);
        self.0.insert(key.to_owned(), calls.clone());
        calls
    }
}

/// What each table of a guest `service` is for, and the table; the only route without any.
fn tables(config: &Config) -> Vec<(String, Option<String>)> {
    let table = |(key, named): (&String, &String)| match key.rsplit_once('.')? {
        (table, "route") => Some((named.clone(), table.to_owned())),
        (table, "job") => Some((of_job(named), table.to_owned())),
        (table, "topic") => Some((of_topic(named), table.to_owned())),
        _ => None,
    };
    let tables = config.iter().filter_map(table).filter(|(_, table)| !table.contains('.'));
    let tables: Vec<_> = tables.map(|(route, table)| (route, Some(table))).collect();
    if tables.is_empty() { vec![(ONLY.to_owned(), None)] } else { tables }
}

/// The key and the text of a setting of a table, or of the one beside the tables; none of an empty one.
fn setting<'a>(config: &'a Config, table: Option<&str>, name: &str) -> Option<(String, &'a str)> {
    let own = table.map(|table| format!("{table}.{name}")).filter(|own| config.contains_key(own));
    let key = own.unwrap_or_else(|| name.to_owned());
    let text = config.get(&key).filter(|text| !text.is_empty())?;
    Some((key, text))
}

/// The databases that the guest `service` uses: system, and the name by which it is told from others.
pub fn databases(code: &Code, config: &Config, service: &str) -> Vec<(String, String)> {
    if !matches!(code, Code::Embedded(name) if name == "service") {
        return Vec::new();
    }
    let mut found: Vec<(String, String)> = Vec::new();
    for (key, system) in config {
        let table = key.strip_suffix(".system").unwrap_or(key);
        let is_one = table == "database" || table.split_once('.').is_some_and(|(_, name)| name == "database");
        if !is_one || system.is_empty() {
            continue;
        }
        let named = ["address", "namespace"].iter().find_map(|name| config.get(&format!("{table}.{name}")));
        let database = (system.clone(), named.map_or(service, String::as_str).to_owned());
        if !found.contains(&database) {
            found.push(database);
        }
    }
    found
}

/// A route that sends a message to the topic that the configuration names, or the usual one.
fn to_topic(config: &Config, route: &str, usual: &str) -> Vec<Sending> {
    let messages = Calls::parse(config.get("topic").map_or(usual, String::as_str)).unwrap_or_default();
    let key = Some("topic".to_owned());
    vec![Sending { route: route.to_owned(), messages: Rc::new(messages), key, ..Sending::default() }]
}

fn spans_of_service(config: &Config) -> Option<Vec<&str>> {
    let is_span = |key: &str| key == "span" || key.ends_with(".span");
    Some(config.iter().filter(|(key, _)| is_span(key)).map(|(_, name)| name.as_str()).collect())
}

fn sends_of_service(config: &Config) -> Vec<Sending> {
    let mut read = Texts::default();
    let sending = |(route, table): (String, Option<String>)| {
        let setting = |name: &str| setting(config, table.as_deref(), name);
        let publish = setting("publish");
        let messages = publish.as_ref().and_then(|(key, text)| read.calls(key, text));
        Sending {
            route,
            messages: messages.unwrap_or_default(),
            key: publish.map(|(key, _)| key),
            errors: setting("errors").and_then(|(_, errors)| parse_share(errors).ok()).unwrap_or(0.0),
            is_cached: setting("cache").is_some(),
        }
    };
    tables(config).into_iter().map(sending).collect()
}

fn of_hop(config: &Config) -> Vec<Operation> {
    config.get("next").and_then(|next| fixed(ONLY, "next", next)).into_iter().collect()
}

fn of_checkout(config: &Config) -> Vec<Operation> {
    let inventory = config.get("inventory").map_or("inventory-service", String::as_str);
    fixed("POST /orders", "inventory", &format!("POST {inventory}/reserve")).into_iter().collect()
}

fn of_storefront(config: &Config) -> Vec<Operation> {
    let name = |key: &str| config.get(key).cloned().unwrap_or_else(|| format!("{key}-service"));
    let inventory = format!("{}/items/{{order}}", name("inventory"));
    let payment = format!("POST {}/charges", name("payment"));
    let calls = [("inventory", inventory), ("payment", payment)];
    calls.iter().filter_map(|(key, calls)| fixed("POST /orders", key, calls)).collect()
}

fn of_dispatch(config: &Config) -> Vec<Operation> {
    let server = config.get("server").map_or("my-server", String::as_str);
    fixed("POST /dispatch", "server", &format!("POST {server}/command")).into_iter().collect()
}

fn of_command(config: &Config) -> Vec<Operation> {
    let downstream = config.get("downstream").filter(|name| !name.is_empty());
    let calls = |route| fixed(route, "downstream", &format!("POST {}/command", downstream?));
    [&*of_topic("*"), &*of_job("sweep")].into_iter().filter_map(calls).collect()
}

/// The calls of each service that the configuration may name, in the order in which they are made.
fn of_orders(config: &Config) -> Vec<Operation> {
    let name = |key: &str| config.get(key).cloned().unwrap_or_else(|| format!("{key}-service"));
    let inventory = name("inventory");
    let steps = [
        ("inventory", format!("{inventory}/stock/{{item}}, POST {inventory}/stock/{{item}}/reserve")),
        ("payment", format!("POST {}/charges", name("payment"))),
        ("notification", format!("POST {}/notify?", name("notification"))),
    ];
    steps.into_iter().flat_map(|(key, calls)| fixed("POST /orders", key, &calls)).collect()
}

/// Each table of the configuration is a route. Its requests go to one service, after another has let
/// them pass if there is an `auth`.
fn of_gateway(config: &Config) -> Vec<Operation> {
    let tables = config.iter().filter_map(|(key, route)| Some((key.strip_suffix(".route")?, route)));
    let mut operations = Vec::new();
    for (table, route) in tables.filter(|(table, _)| !table.contains('.')) {
        let named = |name: &str| config.get(&format!("{table}.{name}")).filter(|text| !text.is_empty());
        let key =
            |name: &str| if named(name).is_some() { format!("{table}.{name}") } else { name.to_owned() };
        let auth = named("auth").or_else(|| config.get("auth"));
        let (method, path) = route.split_once(' ').unwrap_or(("GET", route));
        let path = named("path").map_or(path, String::as_str);
        let to = named("to").map(|to| format!("{method} {to}{path}"));
        let calls = [(key("auth"), auth.cloned()), (key("to"), to)];
        let calls =
            calls.into_iter().filter_map(|(key, call)| Some((key, Rc::new(Calls::parse(&call?).ok()?))));
        operations.extend(calls.map(|(key, calls)| Operation {
            route: route.clone(),
            calls,
            key: Some(key),
        }));
    }
    operations
}

/// One route that calls what is written in code; `key` of the configuration names the callee.
fn fixed(route: &str, key: &str, calls: &str) -> Option<Operation> {
    let calls = Rc::new(Calls::parse(calls).ok()?);
    Some(Operation { route: route.to_owned(), calls, key: Some(key.to_owned()) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::EMBEDDED;

    #[test]
    fn every_guest_that_ships_is_known_once() {
        assert_eq!(BUILT_IN.each_ref().map(|guest| guest.name), EMBEDDED.map(|(name, _)| name));
    }
}
