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

/// The routes of a guest that call others; none of a guest about which nothing is known.
pub fn operations(code: &Code, config: &IndexMap<String, String>) -> Option<Vec<Operation>> {
    let Code::Embedded(name) = code else { return None };
    match name.as_str() {
        "service" => Some(of_service(config)),
        "hop" => {
            let next = config.get("next").and_then(|next| fixed(ONLY, "next", next));
            Some(next.into_iter().collect())
        }
        "orders" => Some(of_orders(config)),
        "gateway" => Some(of_gateway(config)),
        "checkout" => {
            let inventory = config.get("inventory").map_or("inventory-service", String::as_str);
            Some(
                fixed("POST /orders", "inventory", &format!("POST {inventory}/reserve"))
                    .into_iter()
                    .collect(),
            )
        }
        "storefront" => {
            let name = |key: &str| config.get(key).cloned().unwrap_or_else(|| format!("{key}-service"));
            let inventory = format!("{}/items/{{order}}", name("inventory"));
            let payment = format!("POST {}/charges", name("payment"));
            let calls = [("inventory", inventory), ("payment", payment)];
            Some(calls.iter().filter_map(|(key, calls)| fixed("POST /orders", key, calls)).collect())
        }
        "dispatch" => {
            let server = config.get("server").map_or("my-server", String::as_str);
            Some(fixed("POST /dispatch", "server", &format!("POST {server}/command")).into_iter().collect())
        }
        "command" => {
            let downstream = config.get("downstream").filter(|name| !name.is_empty());
            let calls = |route| fixed(route, "downstream", &format!("POST {}/command", downstream?));
            Some([&*of_topic("*"), &*of_job("sweep")].into_iter().filter_map(calls).collect())
        }
        "stock" | "items" | "mailer" | "inventory" | "payment" | "notification" | "noop" => Some(Vec::new()),
        _ => None,
    }
}

/// The names of the spans that a guest makes; none of a guest about which nothing is known.
pub fn spans<'a>(code: &Code, config: &'a IndexMap<String, String>) -> Option<Vec<&'a str>> {
    let Code::Embedded(name) = code else { return None };
    match name.as_str() {
        "service" => {
            let is_span = |key: &str| key == "span" || key.ends_with(".span");
            Some(config.iter().filter(|(key, _)| is_span(key)).map(|(_, name)| name.as_str()).collect())
        }
        "orders" => Some(vec![
            "process_order",
            "validate_order",
            "check_inventory",
            "reserve_inventory",
            "charge_payment",
            "send_notification",
        ]),
        "inventory" => Some(vec!["reserve_stock", "slow_lookup"]),
        "checkout" => Some(vec!["validate-order"]),
        "stock" => Some(vec!["db.reserve-stock"]),
        "items" => Some(vec!["validate_input", "DB INSERT items", "log_event"]),
        "storefront" => Some(vec!["process_order", "validate_inventory", "charge_payment"]),
        "command" => Some(vec!["process-message", "sweep"]),
        "gateway" | "dispatch" | "payment" | "notification" | "hop" | "noop" => Some(Vec::new()),
        _ => None,
    }
}

/// Each table of the configuration is a route, a job or a topic, and calls what its own `calls` says, or the
/// one beside the tables.
fn of_service(config: &IndexMap<String, String>) -> Vec<Operation> {
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
pub fn databases(code: &Code, config: &IndexMap<String, String>, service: &str) -> Vec<(String, String)> {
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

/// The topics that a guest sends to, as far as that is known.
pub fn published(code: &Code, config: &IndexMap<String, String>) -> Vec<String> {
    let Code::Embedded(name) = code else { return Vec::new() };
    let named = |usual: &str| {
        let topic = config.get("topic").map_or(usual, String::as_str);
        Vec::from_iter((!topic.is_empty()).then(|| topic.to_owned()))
    };
    match name.as_str() {
        "storefront" => named("order-events"),
        "dispatch" => named(""),
        "service" => {
            let is_setting = |key: &str| match key.rsplit_once('.') {
                Some((table, name)) => name == "publish" && !table.contains('.') && table != "metrics",
                None => key == "publish",
            };
            let texts = config.iter().filter(|(key, _)| is_setting(key));
            let messages = texts.filter_map(|(_, text)| Calls::parse(text).ok());
            messages.flat_map(|messages| messages.0.into_iter().flatten()).map(|one| one.service).collect()
        }
        _ => Vec::new(),
    }
}

/// The calls of each service that the configuration may name, in the order in which they are made.
fn of_orders(config: &IndexMap<String, String>) -> Vec<Operation> {
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
fn of_gateway(config: &IndexMap<String, String>) -> Vec<Operation> {
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
