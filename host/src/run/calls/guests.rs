//! What built-in guests call, and the spans that they make: the guest `service` as its
//! configuration says, the others as their code does.

use indexmap::IndexMap;
use simhost_notation::Calls;

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
    pub calls: Calls,
    /// The key of the configuration that says so, if it is there.
    pub key: Option<String>,
}

type Config = IndexMap<String, String>;

/// What is known of a built-in guest with its configuration.
struct BuiltIn {
    name: &'static str,
    /// Its routes that call others.
    calls: fn(&Config) -> Vec<Operation>,
    /// The names of the spans that it makes; none where what it gets decides them.
    spans: fn(&Config) -> Option<Vec<&str>>,
    /// The topics that it sends to.
    sends: fn(&Config) -> Vec<String>,
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
        sends: |config| topic(config, "order-events"),
    },
    // Its spans are named by topics.
    BuiltIn { name: "mailer", spans: |_| None, ..PLAIN },
    BuiltIn { name: "dispatch", calls: of_dispatch, sends: |config| topic(config, ""), ..PLAIN },
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

/// The topics that a service sends to; none of a guest about which nothing is known.
pub fn published(code: &Code, config: &Config) -> Option<Vec<String>> {
    match code {
        Code::External(_) => Some(Vec::new()),
        code => known(code).map(|guest| (guest.sends)(config)),
    }
}

/// Each table of the configuration is a route, a job or a topic, and calls what its own `calls` says, or the
/// one beside the tables.
fn of_service(config: &Config) -> Vec<Operation> {
    let table = |(key, named): (&String, &String)| match key.rsplit_once('.')? {
        (table, "route") => Some((table.to_owned(), named.clone())),
        (table, "job") => Some((table.to_owned(), of_job(named))),
        (table, "topic") => Some((table.to_owned(), of_topic(named))),
        _ => None,
    };
    let tables = config.iter().filter_map(table).filter(|(table, _)| !table.contains('.'));
    let mut routes: Vec<_> = tables.map(|(table, route)| (route, format!("{table}.calls"))).collect();
    if routes.is_empty() {
        routes.push((ONLY.to_owned(), "calls".to_owned()));
    }
    let operation = |(route, own): (String, String)| {
        let key = if config.contains_key(&own) { own } else { "calls".to_owned() };
        let text = config.get(&key).filter(|text| !text.is_empty())?;
        // What cannot be read is said by the guest itself, when it is asked for its routes.
        let calls = Calls::parse(text).ok()?;
        Some(Operation { route, calls, key: Some(key) })
    };
    routes.into_iter().filter_map(operation).collect()
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

/// The topic that the configuration names, or the usual one.
fn topic(config: &Config, usual: &str) -> Vec<String> {
    let topic = config.get("topic").map_or(usual, String::as_str);
    Vec::from_iter((!topic.is_empty()).then(|| topic.to_owned()))
}

fn spans_of_service(config: &Config) -> Option<Vec<&str>> {
    let is_span = |key: &str| key == "span" || key.ends_with(".span");
    Some(config.iter().filter(|(key, _)| is_span(key)).map(|(_, name)| name.as_str()).collect())
}

fn sends_of_service(config: &Config) -> Vec<String> {
    let is_setting = |key: &str| match key.rsplit_once('.') {
        Some((table, name)) => name == "publish" && !table.contains('.') && table != "metrics",
        None => key == "publish",
    };
    let texts = config.iter().filter(|(key, _)| is_setting(key));
    let messages = texts.filter_map(|(_, text)| Calls::parse(text).ok());
    messages.flat_map(|messages| messages.0.into_iter().flatten()).map(|one| one.service).collect()
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
        let calls = calls.into_iter().filter_map(|(key, call)| Some((key, Calls::parse(&call?).ok()?)));
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
    let calls = Calls::parse(calls).ok()?;
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
