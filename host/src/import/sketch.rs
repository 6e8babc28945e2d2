//! The topology before it is written: which services and routes there are, and what each does.

mod callees;
mod links;
mod services;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use crate::model::Nanos;

use super::bounds::MAX_MIX;
use super::fit;
use super::names::{Names, Statement};
use super::notes::{LeftOut, Reason};
use super::order::{self, Drawn};
use super::path;
use super::system::{Route, Served, System};
use callees::Callees;
pub use links::{Latency, Link};
use services::Sizes;

/// Bytes of an answer that are drawn at most: they take memory.
const MOST_BYTES: u64 = 1 << 20;

/// What is written.
#[derive(Debug, Default)]
pub struct Sketch {
    /// From the entries on, in the order of calls.
    pub services: Vec<Service>,
    /// Of the network; none where no call has both spans.
    pub latency: Option<String>,
    pub links: Vec<Link>,
    pub loads: Vec<Load>,
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
    pub routes: Vec<RouteSketch>,
}

#[derive(Debug)]
pub struct RouteSketch {
    pub method: String,
    pub path: String,
    /// As TOML.
    pub work: String,
    pub errors: f64,
    pub statement: Option<Statement>,
    pub calls: String,
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
    let order = callees.in_order(system);
    let mut services: Vec<Service> = Vec::new();
    let mut places: BTreeMap<u32, usize> = BTreeMap::new();
    for number in order {
        let service = callees.service(names.routes.get(number).service);
        let place = *places.entry(service).or_insert_with(|| {
            services.push(sizes.service(service, names, &callees));
            services.len() - 1
        });
        services[place].routes.push(route(system, names, &callees, &sizes, number, left_out));
    }
    let mut loads = loads(system, names, &callees, &sizes, scale, left_out);
    loads.sort_by_cached_key(|load| (load.is_guessed, Reverse(load.requests_sum()), load.to.clone()));
    let entry = loads.first().map_or_else(String::new, |load| load.to.clone());
    let (latency, links) = links::links(system, names, &callees, &sizes);
    Sketch { services, latency, links, loads, entry }
}

impl Load {
    fn requests_sum(&self) -> u64 {
        self.requests.iter().map(|(count, ..)| count).sum()
    }
}

fn route(
    system: &mut System,
    names: &Names,
    callees: &Callees,
    sizes: &Sizes,
    number: u32,
    left_out: &mut LeftOut,
) -> RouteSketch {
    let key = names.routes.get(number);
    let own_path = &names.paths[number as usize];
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
    let route = &system.routes[number as usize];
    let calls = order::text(route, drawn.collect(), own_path);
    let statement = statement(route, names, left_out);
    let (answers, bytes) = route.answers;
    let response_bytes =
        (answers > 0).then(|| bytes.div_ceil(answers).min(MOST_BYTES)).filter(|bytes| *bytes > 0);
    let is_guessed = route.without_span > 0;
    let route = &mut system.routes[number as usize];
    let served: &mut Served = if route.served.count > 0 { &mut route.served } else { &mut route.guessed };
    RouteSketch {
        method: key.method.clone(),
        path: own_path.clone(),
        work: fit::distribution(&mut served.own),
        errors: served.failed as f64 / served.count.max(1) as f64,
        statement,
        calls,
        response_bytes,
        is_guessed,
    }
}

/// The statement that took the most time; the others are counted.
fn statement(route: &Route, names: &Names, left_out: &mut LeftOut) -> Option<Statement> {
    let most = route.statements.iter().max_by_key(|(number, (_, time))| (*time, Reverse(**number)))?;
    let others = route.statements.iter().filter(|(number, _)| *number != most.0);
    left_out.add_many(Reason::FurtherStatements, others.map(|(_, (count, _))| count).sum());
    Some(names.statements.get(*most.0).clone())
}

/// Requests from outside, by the service that they come to.
fn loads(
    system: &System,
    names: &Names,
    callees: &Callees,
    sizes: &Sizes,
    scale: f64,
    left_out: &mut LeftOut,
) -> Vec<Load> {
    let window = system.last - system.first.unwrap_or(system.last);
    let mut by_service: BTreeMap<u32, Vec<(u64, u32)>> = BTreeMap::new();
    for number in callees.written() {
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
        let requests = routes.into_iter().map(request).collect();
        Load { is_guessed, to: sizes.name(service).to_owned(), rate, requests }
    };
    by_service.into_iter().map(load).collect()
}

/// Nanoseconds as seconds.
pub fn seconds(nanos: Nanos) -> f64 {
    nanos as f64 / 1e9
}

/// The names of all values in the paths of loads.
pub fn values(loads: &[Load]) -> BTreeSet<&str> {
    let paths = loads.iter().flat_map(|load| load.requests.iter().map(|(.., path)| path));
    paths.flat_map(|path| path::parameters(path)).collect()
}
