//! The topology before it is written: which services and routes there are, and what each does.

mod callees;
mod databases;
mod keeping;
mod links;
mod services;
mod statements;
mod stores;
mod topics;
mod undrawn;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use crate::model::Nanos;

use super::bounds::MAX_MIX;
use super::fit;
use super::names::{Names, Statement, Store};
use super::notes::{LeftOut, Reason};
use super::order::{self, Drawn};
use super::path;
use super::system::System;
use callees::Callees;
use keeping::Keeping;
pub use links::{Latency, Link};
use services::Sizes;
use stores::Stores;
use topics::Topics;
pub use topics::{Subscription, Topic};

/// Bytes of an answer that are drawn at most: they take memory.
const MOST_BYTES: u64 = 1 << 20;

/// Bytes of a message's body: with its key it is no larger than a topic's messages are by default.
const MOST_MESSAGE_BYTES: u64 = (1 << 20) - 1_024;

/// What is written.
#[derive(Debug, Default)]
pub struct Sketch {
    /// From the entries on, in the order of calls.
    pub services: Vec<Service>,
    /// Of the network; none where no call has both spans.
    pub latency: Option<String>,
    pub links: Vec<Link>,
    pub databases: Vec<Database>,
    pub caches: Vec<Cache>,
    pub topics: Vec<Topic>,
    pub subscriptions: Vec<Subscription>,
    pub loads: Vec<Load>,
    /// The time of the longest request.
    pub longest: Nanos,
    /// The service with the most requests from outside.
    pub entry: String,
}

#[derive(Debug)]
pub struct Service {
    pub name: String,
    /// The name in the traces, where it is another.
    pub recorded: Option<String>,
    /// No span is of it.
    pub is_guessed: bool,
    pub version: Option<String>,
    pub replicas: u64,
    pub workers: u64,
    /// The databases and caches that it uses.
    pub databases: BTreeSet<String>,
    pub caches: BTreeSet<String>,
    pub routes: Vec<RouteSketch>,
}

/// A database that is written.
#[derive(Debug)]
pub struct Database {
    pub name: String,
    /// What the traces have in place of PostgreSQL.
    pub system: Option<String>,
    /// As SQL.
    pub tables: String,
    /// As TOML; none where no span shows it.
    pub latency: Option<String>,
    pub cost: String,
    /// Of all services together.
    pub connections: u64,
}

/// A cache that is written.
#[derive(Debug)]
pub struct Cache {
    pub name: String,
    /// What the traces have in place of Redis.
    pub system: Option<String>,
    /// As TOML.
    pub latency: String,
}

#[derive(Debug, Default)]
pub struct RouteSketch {
    pub method: String,
    pub path: String,
    /// It processes the messages of this topic, and is no route.
    pub topic: Option<String>,
    /// As TOML.
    pub work: String,
    pub errors: f64,
    pub statement: Option<(Statement, Store)>,
    /// What the guest has no notation for: a comment each.
    pub undrawn: Vec<String>,
    /// The database that it asks, and its statements as the scripted guest has them.
    pub sql: Option<(String, Vec<String>)>,
    pub is_transaction: bool,
    /// The cache that keeps its answers, for how long, and the share that was found.
    pub keeping: Option<(String, Nanos, f64)>,
    pub calls: String,
    /// The services in `calls`.
    pub callees: BTreeSet<String>,
    pub publish: String,
    pub message_bytes: u64,
    pub response_bytes: Option<u64>,
    /// It stands for messages, jobs, or requests whose span is missing.
    pub is_guessed: bool,
}

#[derive(Debug)]
pub struct Load {
    pub to: String,
    /// None of its requests has a SERVER span.
    pub is_guessed: bool,
    /// Per second; none where all requests came at once.
    pub rate: Option<f64>,
    /// Number, method and path.
    pub requests: Vec<(u64, String, String)>,
    /// How many values each name in the paths has.
    pub values: BTreeMap<String, u64>,
}

/// Makes a sketch of at most so many routes.
pub fn sketch(
    system: &mut System,
    names: &Names,
    scale: f64,
    most_routes: usize,
    left_out: &mut LeftOut,
) -> Sketch {
    let callees = Callees::of(system, names, most_routes, left_out);
    let sizes = Sizes::of(system, names, &callees, scale);
    let mut taken: BTreeSet<String> = sizes.names().map(str::to_owned).collect();
    let stores = Stores::of(system, names, &callees, &mut taken, left_out);
    let drawing = Drawing {
        topics: Topics::of(system, names, &callees, &sizes, scale),
        keeping: Keeping::of(system, names, &callees, &stores, scale),
        names,
        callees,
        sizes,
        stores,
    };
    drawing.sketch(system, scale, &mut taken, left_out)
}

/// What is known of all routes before each is written.
struct Drawing<'a> {
    names: &'a Names,
    callees: Callees,
    sizes: Sizes,
    stores: Stores,
    topics: Topics,
    keeping: Keeping,
}

impl Drawing<'_> {
    fn sketch(
        mut self,
        system: &mut System,
        scale: f64,
        taken: &mut BTreeSet<String>,
        left_out: &mut LeftOut,
    ) -> Sketch {
        let mut services: Vec<Service> = Vec::new();
        let mut places: BTreeMap<u32, usize> = BTreeMap::new();
        for number in self.callees.in_order(system, self.names) {
            let service = self.callees.service(self.names.routes.get(number).service);
            let place = *places.entry(service).or_insert_with(|| {
                services.push(self.sizes.service(service, self.names, &self.callees));
                services.len() - 1
            });
            let route = self.route(system, number, left_out);
            services[place].add(route);
        }
        services.extend(self.topics.add_consumers(&self.callees, taken));
        let mut loads = self.loads(system, scale, left_out);
        loads.sort_by_cached_key(|load| (load.is_guessed, Reverse(load.requests_sum()), load.to.clone()));
        let entry = loads.first().map_or_else(String::new, |load| load.to.clone());
        let (latency, mut links) = links::links(system, self.names, &self.callees, &self.sizes);
        let calls = |link: &Link| {
            let mut from = services.iter().filter(|service| service.name == link.from);
            from.any(|service| service.routes.iter().any(|route| route.callees.contains(&link.to)))
        };
        // A call that comes too seldom to be written has no link.
        links.retain(calls);
        let databases = self.databases(&services);
        let caches = self.caches(&services);
        let Topics { topics, subscriptions, .. } = self.topics;
        let longest = system.longest;
        Sketch { services, latency, links, databases, caches, topics, subscriptions, loads, longest, entry }
    }

    fn databases(&self, services: &[Service]) -> Vec<Database> {
        let database = |one: &databases::Database| {
            let users = services.iter().filter(|service| service.databases.contains(&one.name));
            Some(Database {
                connections: users.map(|service| service.replicas * service.workers).reduce(|a, b| a + b)?,
                name: one.name.clone(),
                system: (one.system != "postgresql").then(|| one.system.clone()),
                tables: one.schema.text(),
                latency: one.latency.clone(),
                cost: one.cost.clone(),
            })
        };
        self.stores.databases.iter().filter_map(database).collect()
    }

    fn caches(&self, services: &[Service]) -> Vec<Cache> {
        let used = |one: &&stores::Cache| services.iter().any(|service| service.caches.contains(&one.name));
        let cache = |one: &stores::Cache| Cache {
            name: one.name.clone(),
            system: (one.system != "redis").then(|| one.system.clone()),
            latency: fit::halves(&mut one.times.clone()),
        };
        self.stores.caches.iter().filter(used).map(cache).collect()
    }

    fn route(&self, system: &System, number: u32, left_out: &mut LeftOut) -> RouteSketch {
        let Self { names, callees, sizes, stores, topics, keeping } = self;
        let key = names.routes.get(number);
        let own_path = &names.paths[number as usize];
        let route = &system.routes[number as usize];
        let plan = stores.plan(number).cloned().unwrap_or_default();
        let made = plan.keeping.map(|(_, kept)| kept.misses);
        let drawn = callees.calls(number).iter().map(|(place, to, calls)| {
            let callee = names.routes.get(*to);
            Drawn {
                place: *place,
                calls: *calls,
                method: callee.method.clone(),
                service: sizes.name(callees.service(callee.service)).to_owned(),
                path: names.paths[*to as usize].clone(),
            }
        });
        let drawn: Vec<_> = drawn.collect();
        let written = drawn.iter().filter(|call| order::is_written(route, call, own_path, made));
        let called = written.map(|call| call.service.clone()).collect();
        let sent = callees.publishes(number).iter().map(|(topic, calls)| {
            let seen = &names.seen[*topic as usize];
            let path = if seen.keyed * 2 > seen.sent { "/{key}" } else { "/" };
            let (method, path) = ("GET".to_owned(), path.to_owned());
            Drawn {
                place: *topic as usize,
                calls: *calls,
                method,
                service: topics.name(*topic).to_owned(),
                path,
            }
        });
        let bytes = callees.publishes(number).iter().map(|(topic, _)| {
            let (count, sum) = names.seen[*topic as usize].bytes;
            sum.checked_div(count).map_or(0, |mean| mean.min(MOST_MESSAGE_BYTES))
        });
        let (answers, sum) = route.answers;
        let response_bytes =
            (answers > 0).then(|| sum.div_ceil(answers).min(MOST_BYTES)).filter(|bytes| *bytes > 0);
        let heard = callees.heard(number, names);
        if key.topic.is_some() && heard.is_none() {
            left_out.add_many(Reason::Unsent, route.served.count);
        }
        let served = if route.served.count > 0 { &route.served } else { &route.guessed };
        let undrawn = self.undrawn(number, route, &plan, left_out);
        let (errors, count) = (served.failed as f64, served.count.max(1) as f64);
        RouteSketch {
            method: key.method.clone(),
            path: own_path.clone(),
            topic: heard.map(|topic| topics.name(topic).to_owned()),
            work: fit::distribution(
                &mut route.own_times(|parts| stores.drawn(names, callees, number, parts)),
            ),
            errors: errors / count,
            statement: undrawn.shown,
            undrawn: undrawn.words,
            sql: plan
                .asking
                .as_ref()
                .map(|asking| statements::written(asking, stores, own_path, heard.is_some())),
            is_transaction: plan.asking.is_some_and(|asking| asking.is_transaction),
            keeping: plan.keeping.map(|(cache, kept)| {
                let share = 1.0 - kept.misses as f64 / kept.requests.max(1) as f64;
                (stores.caches[cache].name.clone(), keeping.lasting(number), share)
            }),
            calls: order::text(route, drawn, own_path, made),
            callees: called,
            publish: order::messages(route, sent.collect(), own_path, made),
            message_bytes: bytes.max().unwrap_or(0),
            response_bytes,
            is_guessed: route.without_span > 0 && heard.is_none(),
        }
    }

    /// Requests from outside, by the service that they come to.
    fn loads(&self, system: &System, scale: f64, left_out: &mut LeftOut) -> Vec<Load> {
        let Self { names, callees, sizes, keeping, .. } = self;
        let window = system.last - system.first.unwrap_or(system.last);
        let mut by_service: BTreeMap<u32, Vec<(u64, u32)>> = BTreeMap::new();
        for number in callees.written().filter(|number| callees.heard(*number, names).is_none()) {
            let entries = system.routes[number as usize].entries;
            if entries > 0 {
                let service = callees.service(names.routes.get(number).service);
                by_service.entry(service).or_default().push((entries, number));
            }
        }
        let load = |(service, mut routes): (u32, Vec<(u64, u32)>)| {
            routes.sort_by_key(|(count, number)| (Reverse(*count), *number));
            left_out.add_many(Reason::RouteUnwritten, routes.len().saturating_sub(MAX_MIX) as u64);
            routes.truncate(MAX_MIX);
            let sum: u64 = routes.iter().map(|(count, _)| count).sum();
            let rate = (window > 0).then(|| sum as f64 * scale / seconds(window));
            let is_guessed = routes.iter().all(|(_, number)| {
                let route = &system.routes[*number as usize];
                route.without_span == route.served.count
            });
            let request = |(count, number): (u64, u32)| {
                (count, names.routes.get(number).method.clone(), names.paths[number as usize].clone())
            };
            let requests: Vec<_> = routes.into_iter().map(request).collect();
            let parameters = requests.iter().flat_map(|(.., path)| path::parameters(path));
            let values = parameters.map(|name| (name.to_owned(), keeping.values(name))).collect();
            Load { is_guessed, to: sizes.name(service).to_owned(), rate, requests, values }
        };
        by_service.into_iter().map(load).collect()
    }
}

impl Service {
    /// One that takes the messages of a topic that no span consumes.
    fn of_unheard(name: String, route: RouteSketch) -> Self {
        Self {
            name,
            recorded: None,
            is_guessed: true,
            version: None,
            replicas: 1,
            workers: services::FEWEST_WORKERS,
            databases: BTreeSet::new(),
            caches: BTreeSet::new(),
            routes: vec![route],
        }
    }

    fn add(&mut self, route: RouteSketch) {
        self.databases.extend(route.sql.iter().map(|(database, _)| database.clone()));
        self.caches.extend(route.keeping.iter().map(|(cache, ..)| cache.clone()));
        self.routes.push(route);
    }
}

impl RouteSketch {
    /// What takes the messages of a topic that no span consumes.
    fn of_topic(topic: String) -> Self {
        Self { topic: Some(topic), work: "\"0ms\"".to_owned(), ..Self::default() }
    }
}

impl Load {
    fn requests_sum(&self) -> u64 {
        self.requests.iter().map(|(count, ..)| count).sum()
    }
}

/// Nanoseconds as seconds.
pub fn seconds(nanos: Nanos) -> f64 {
    nanos as f64 / 1e9
}
