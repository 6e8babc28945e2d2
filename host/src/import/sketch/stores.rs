//! Databases and caches: which servers of data there are, what routes ask them, and how long that takes.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use crate::model::Nanos;

use super::super::bounds::{MAX_CACHES, MAX_DATABASES, MAX_STATEMENTS};
use super::super::names::{Asks, Names, Store};
use super::super::notes::{LeftOut, Reason};
use super::super::span::{CACHES, DATABASES};
use super::super::system::{Kept, Route, System};
use super::super::trace::Of;
use super::callees::Callees;
use super::databases::{self, Asking, Database};

/// What a server of data becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Server {
    Database(usize),
    Cache(usize),
}

/// Requests that ask a statement, of those that could, from which on it is drawn.
const OFTEN: f64 = 0.5;

/// What one in twenty requests does otherwise does not count.
const NEARLY_ALL: f64 = 0.95;
const NEARLY_NONE: f64 = 0.05;

#[derive(Debug)]
pub struct Cache {
    pub name: String,
    /// What the traces have in place of Redis.
    pub system: String,
    pub times: Vec<Nanos>,
}

/// What is drawn of a route beside its work and its calls.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    pub asking: Option<Asking>,
    /// The cache that keeps its answers, and what was seen of it.
    pub keeping: Option<(usize, Kept)>,
}

#[derive(Debug, Default)]
pub struct Stores {
    pub databases: Vec<Database>,
    pub caches: Vec<Cache>,
    /// By route.
    plans: BTreeMap<u32, Plan>,
    /// By number of a server of data.
    servers: Vec<Option<Server>>,
}

impl Stores {
    /// What the written routes ask. `taken` are names that nothing else may have.
    pub fn of(
        system: &System,
        names: &Names,
        callees: &Callees,
        taken: &mut BTreeSet<String>,
        left_out: &mut LeftOut,
    ) -> Self {
        let mut stores = Self { servers: vec![None; names.stores.len()], ..Self::default() };
        stores.name_servers(system, names, callees, taken, left_out);
        for number in callees.written() {
            let route = &system.routes[number as usize];
            let keeping = stores.keeping(route, callees.heard(number, names).is_some());
            let asking = stores.asking(route, names, keeping.map(|(_, kept)| kept.misses));
            stores.plans.insert(number, Plan { asking, keeping });
        }
        for database in 0..stores.databases.len() {
            let asked = stores.plans.iter().filter_map(|(route, plan)| Some((*route, plan.asking.as_ref()?)));
            let asked: Vec<_> = asked.filter(|(_, asking)| asking.database == database).collect();
            let controls = stores.controls(names, database);
            databases::draw(&mut stores.databases[database], system, names, &asked, &controls);
        }
        stores.refuse(system, left_out);
        stores.add_cache_times(system, names);
        stores
    }

    /// The words that begin and end transactions of a database.
    fn controls(&self, names: &Names, database: usize) -> BTreeSet<u32> {
        let is_control = |number: &u32| {
            let statement = names.statements.get(*number);
            self.servers[statement.store as usize] == Some(Server::Database(database))
                && matches!(statement.asks, Asks::Begin | Asks::Commit)
        };
        (0..names.statements.len() as u32).filter(is_control).collect()
    }

    /// Whether a statement or a command is drawn by itself for a route.
    pub fn draws(&self, names: &Names, route: u32, number: u32) -> bool {
        let statement = names.statements.get(number);
        let (server, plan) = (self.servers[statement.store as usize], self.plans.get(&route));
        match (plan, server) {
            (Some(Plan { keeping: Some((own, _)), .. }), Some(Server::Cache(cache))) => {
                *own == cache && matches!(statement.asks, Asks::Get | Asks::Set)
            }
            (Some(Plan { asking: Some(asking), .. }), Some(Server::Database(database))) => {
                let is_control = matches!(statement.asks, Asks::Begin | Asks::Commit | Asks::Rollback);
                asking.database == database
                    && (is_control && asking.is_transaction
                        || asking.statements.iter().any(|(own, _)| *own == number))
            }
            _ => false,
        }
    }

    /// The server of a statement or a command, where it is drawn at all.
    pub fn server(&self, names: &Names, number: u32) -> Option<Server> {
        self.servers[names.statements.get(number).store as usize]
    }

    pub fn plan(&self, route: u32) -> Option<&Plan> {
        self.plans.get(&route)
    }

    /// The time of a route's parts that is drawn by itself: it is no part of the route's work.
    pub fn drawn(
        &self,
        names: &Names,
        callees: &Callees,
        route: u32,
        parts: &[super::super::system::Taken],
    ) -> Nanos {
        let Some(plan) = self.plans.get(&route) else { return 0 };
        let asking = plan.asking.as_ref();
        let mut left: Vec<(u32, usize)> = asking.map(|asking| asking.statements.clone()).unwrap_or_default();
        let (mut sum, mut has_asked): (Nanos, bool) = (0, false);
        for part in parts {
            let number = match part.of {
                Of::Topic(topic) => {
                    let is_sent = callees.publishes(route).iter().any(|(own, _)| *own == topic);
                    sum += if is_sent { part.took } else { 0 };
                    continue;
                }
                Of::Statement(number) => number,
            };
            let statement = names.statements.get(number);
            let server = self.servers[statement.store as usize];
            match (&statement.asks, server) {
                (Asks::Get | Asks::Set, Some(Server::Cache(cache)))
                    if plan.keeping.is_some_and(|(own, _)| own == cache) =>
                {
                    sum += part.took;
                }
                (Asks::Begin | Asks::Commit | Asks::Rollback, Some(Server::Database(database)))
                    if asking.is_some_and(|asking| asking.is_transaction && asking.database == database) =>
                {
                    sum += part.took;
                }
                _ => {
                    let Some((_, times)) = left.iter_mut().find(|(own, times)| *own == number && *times > 0)
                    else {
                        continue;
                    };
                    *times -= 1;
                    has_asked = true;
                    let model = asking.and_then(|asking| self.databases[asking.database].model(number));
                    sum +=
                        model.map_or(
                            0,
                            |model| if model.is_exact { part.took } else { part.took.min(model.mean) },
                        );
                }
            }
        }
        // A request that asks less often than most: the sketch asks as often for all.
        if let (true, Some(asking)) = (has_asked, asking) {
            for (number, times) in left {
                let mean = self.databases[asking.database].model(number).map_or(0, |model| model.mean);
                sum = sum.saturating_add(mean.saturating_mul(times as u64));
            }
        }
        sum
    }

    fn name_servers(
        &mut self,
        system: &System,
        names: &Names,
        callees: &Callees,
        taken: &mut BTreeSet<String>,
        left_out: &mut LeftOut,
    ) {
        let mut spans = vec![0_u64; names.stores.len()];
        for number in callees.written() {
            for (statement, asked) in &system.routes[number as usize].statements {
                spans[names.statements.get(*statement).store as usize] += asked.spans;
            }
        }
        // By kind, name and address: their spans, and the stores.
        type Groups<'a> = BTreeMap<(bool, String, Option<&'a str>), (u64, Vec<usize>)>;
        let mut groups = Groups::new();
        for (number, store) in names.stores.iter().enumerate().filter(|(number, _)| spans[*number] > 0) {
            let is_cache = CACHES.contains(&store.system.as_str());
            if is_cache || DATABASES.contains(&store.system.as_str()) {
                let address = if is_cache { None } else { store.address.as_deref() };
                let group = groups.entry((is_cache, base_name(store, is_cache), address)).or_default();
                group.0 += spans[number];
                group.1.push(number);
            }
        }
        let mut groups: Vec<_> = groups.into_iter().collect();
        groups.sort_by_key(|(_, (spans, stores))| (Reverse(*spans), stores[0]));
        for ((is_cache, base, _), (_, stores)) in groups {
            let (count, most) = if is_cache {
                (self.caches.len(), MAX_CACHES)
            } else {
                (self.databases.len(), MAX_DATABASES)
            };
            if count >= most {
                left_out.add(Reason::Unwritten);
                continue;
            }
            let system = names.stores.get(stores[0] as u32).system.clone();
            let what = if is_cache { "cache" } else { "db" };
            let name = match taken.contains(&base) {
                true => super::services::unique(&format!("{base}-{what}"), what, taken),
                false => super::services::unique(&base, what, taken),
            };
            let server = if is_cache {
                self.caches.push(Cache { name, system, times: Vec::new() });
                Server::Cache(count)
            } else {
                self.databases.push(Database::new(name, system));
                Server::Database(count)
            };
            stores.into_iter().for_each(|store| self.servers[store] = Some(server));
        }
    }

    /// The cache that keeps the answers of a route: an entry is looked up for each request, and who finds it
    /// does nothing more.
    fn keeping(&self, route: &Route, is_of_messages: bool) -> Option<(usize, Kept)> {
        let reached = route.served.count.saturating_sub(route.served.failed) as f64;
        let mut kept: BTreeMap<usize, Kept> = BTreeMap::new();
        for (store, of) in &route.kept {
            if let Some(Server::Cache(cache)) = self.servers[*store as usize] {
                let sum = kept.entry(cache).or_default();
                sum.requests += of.requests;
                sum.misses += of.misses;
                sum.busy_hits += of.busy_hits;
                sum.gets += of.gets;
                sum.sets += of.sets;
                sum.making += of.making;
            }
        }
        let is_keeping = |kept: &Kept| {
            let (requests, hits) = (kept.requests as f64, (kept.requests - kept.misses) as f64);
            requests >= NEARLY_ALL * reached
                && kept.misses > 0
                && kept.gets as f64 <= requests * (1.0 + NEARLY_NONE)
                && kept.sets as f64 <= kept.misses as f64 * (1.0 + NEARLY_NONE)
                && kept.busy_hits as f64 <= NEARLY_NONE * hits
        };
        let found = kept.into_iter().find(|(_, kept)| is_keeping(kept));
        found.filter(|_| !is_of_messages)
    }

    /// The statements that most requests of a route execute. `made` is the number of requests that come to
    /// them, where it is known.
    fn asking(&self, route: &Route, names: &Names, made: Option<u64>) -> Option<Asking> {
        let reached = made.unwrap_or(route.served.count - route.served.failed).max(1) as f64;
        // The time of its statements, each with how often a request executes it, and the transactions begun.
        type OfDatabase = (u128, Vec<(u32, usize)>, u64);
        let mut by_database: BTreeMap<usize, OfDatabase> = BTreeMap::new();
        for (number, asked) in &route.statements {
            let statement = names.statements.get(*number);
            let Some(Server::Database(database)) = self.servers[statement.store as usize] else { continue };
            let sum = by_database.entry(database).or_default();
            match statement.asks {
                Asks::Sql(_) => {
                    let times = libm::round(asked.made as f64 / reached) as usize;
                    if times > 0 {
                        sum.0 += asked.time;
                        sum.1.push((*number, times));
                    }
                }
                Asks::Begin => sum.2 += asked.made,
                _ => {}
            }
        }
        by_database.retain(|_, (_, statements, _)| !statements.is_empty());
        let (database, (_, mut statements, begun)) =
            by_database.into_iter().max_by_key(|(database, (time, ..))| (*time, Reverse(*database)))?;
        let rank = |number: &u32| {
            let asked = route.statements[number];
            asked.ranks as f64 / asked.requests.max(1) as f64
        };
        statements.sort_by(|(one, _), (other, _)| rank(one).total_cmp(&rank(other)).then(one.cmp(other)));
        let mut room = MAX_STATEMENTS;
        for (_, times) in &mut statements {
            *times = (*times).min(room);
            room -= *times;
        }
        statements.retain(|(_, times)| *times > 0);
        Some(Asking { database, statements, is_transaction: begun as f64 >= OFTEN * reached })
    }

    /// Leaves out statements that the databases do not take, and what nobody asks then.
    fn refuse(&mut self, system: &System, left_out: &mut LeftOut) {
        for (route, plan) in &mut self.plans {
            let Some(asking) = &mut plan.asking else { continue };
            let database = &self.databases[asking.database];
            asking.statements.retain(|(number, _)| {
                let is_taken = database.model(*number).is_some();
                if !is_taken {
                    left_out
                        .add_many(Reason::Refused, system.routes[*route as usize].statements[number].spans);
                }
                is_taken
            });
            if asking.statements.is_empty() {
                plan.asking = None;
            }
        }
    }

    /// The times of the commands that are drawn.
    fn add_cache_times(&mut self, system: &System, names: &Names) {
        for (route, plan) in &self.plans {
            let Some((cache, _)) = plan.keeping else { continue };
            for part in system.routes[*route as usize].parts() {
                let Of::Statement(number) = part.of else { continue };
                let statement = names.statements.get(number);
                let is_its = self.servers[statement.store as usize] == Some(Server::Cache(cache));
                if is_its && matches!(statement.asks, Asks::Get | Asks::Set) {
                    self.caches[cache].times.push(part.took);
                }
            }
        }
    }
}

/// What a server of data is called: a database by its namespace, a cache by its peer's name; else by its
/// address, else by its system.
fn base_name(store: &Store, is_cache: bool) -> String {
    let Store { system, namespace, address, peer, .. } = store;
    let namespace = namespace.as_deref().map(|namespace| namespace.split('|').next().unwrap_or(namespace));
    let namespace = namespace.filter(|name| name.contains(|c: char| c.is_alphabetic()));
    let is_ip = |address: &str| !address.contains(|c: char| c.is_alphabetic()) || address.contains(':');
    let address = address.as_deref().filter(|address| !is_ip(address));
    let address = address.map(|address| address.split('.').next().unwrap_or(address));
    let found = if is_cache {
        peer.as_deref().or(address).or(namespace)
    } else {
        namespace.or(peer.as_deref()).or(address)
    };
    found.unwrap_or(system).to_owned()
}
