//! Who is there, and who calls whom.

use std::ops::Range;

use super::dice::Dice;
use super::names::{LOGS, NOUNS, ROLES, STORES, VERB_WEIGHTS, VERBS, Verb, WARNINGS};

/// The edge.
pub const GATEWAY: &str = "gateway";

/// Calls of one route at most.
const FAN_OUT: usize = 10;

/// A system of services in layers: service 0 is the edge, the last layer keeps data.
#[derive(Debug)]
pub struct System {
    /// The services of each layer.
    pub layers: Vec<Range<usize>>,
    /// Ordered by layer.
    pub services: Vec<Service>,
    pub caches: Vec<Cache>,
    pub topics: Vec<Topic>,
    pub databases: Vec<Database>,
}

#[derive(Debug)]
pub struct Service {
    pub name: String,
    /// What it deals with: several of it.
    pub things: &'static str,
    /// `db.system.name`, if it stands for a database.
    pub database: Option<&'static str>,
    pub routes: Vec<Route>,
    pub work: Work,
    /// `service.version`.
    pub version: String,
    /// Requests in ten thousand that it answers with an error of its own: every service has some.
    pub errors: u32,
    /// What it logs for a share of the requests, and what it warns of.
    pub log: Option<String>,
    pub warn: Option<String>,
    /// How likely it is to be called by others.
    popularity: f64,
    pub replicas: u32,
    /// Of each replica.
    pub workers: u32,
    /// The cache that it has, if it has one.
    pub cache: Option<usize>,
    /// Its connections to a database, if it asks one.
    pub pool: Option<Pool>,
}

/// A lognormal length of time.
#[derive(Clone, Copy, Debug)]
pub struct Work {
    /// Microseconds.
    pub median: u32,
    /// Hundredths.
    pub sigma: u32,
}

/// A cache, which belongs to one service.
#[derive(Debug)]
pub struct Cache {
    pub name: String,
    pub entries: u32,
}

/// A database, which belongs to one service and may be read by another.
#[derive(Debug)]
pub struct Database {
    pub name: String,
    pub tables: Tables,
    pub commit: Work,
    pub cores: u32,
    /// Of all its clients together.
    pub connections: u32,
}

/// A table of things, and what has happened to each of them in another one.
#[derive(Debug)]
pub struct Tables {
    pub noun: &'static str,
    pub things: &'static str,
    pub rows: u32,
    /// A column with an index, and how many values it has.
    pub group: &'static str,
    pub groups: u32,
    /// A column that changes.
    pub value: &'static str,
    pub has_history: bool,
}

/// What a replica has of a database.
#[derive(Debug)]
pub struct Pool {
    pub database: usize,
    pub max: u32,
    /// How long a request waits for a connection: seconds.
    pub wait: u32,
}

/// What a route asks the database of its service.
#[derive(Debug)]
pub struct Statements {
    pub texts: Vec<String>,
    pub is_transaction: bool,
    /// How many they are, those that begin and end a transaction included.
    pub count: u32,
    /// How long they take, and how long they have a core: microseconds.
    pub micros: u32,
    pub computing: u32,
}

/// A topic that one service sends to and another one consumes.
#[derive(Debug)]
pub struct Topic {
    pub name: String,
    pub partitions: u32,
    /// Who consumes it.
    pub consumer: usize,
}

#[derive(Debug)]
pub struct Route {
    pub verb: &'static Verb,
    /// What it deals with: at the edge, each route has its own.
    pub things: &'static str,
    /// Steps, the calls of each at the same time.
    pub calls: Vec<Vec<Call>>,
    /// How long answers are kept in the service's cache: seconds.
    pub kept_for: Option<u32>,
    /// The topic that it sends a message to.
    pub sends_to: Option<usize>,
    /// The topic whose messages it is for, in place of requests.
    pub consumes: Option<usize>,
    pub statements: Option<Statements>,
}

impl Route {
    /// One of requests, without a cache and without messages.
    pub const fn new(verb: &'static Verb, things: &'static str, calls: Vec<Vec<Call>>) -> Self {
        Self { verb, things, calls, kept_for: None, sends_to: None, consumes: None, statements: None }
    }
}

#[derive(Clone, Copy, Debug)]
pub struct Call {
    pub service: usize,
    /// The index of the route there.
    pub route: usize,
    /// Of a hundred requests, how many make it.
    pub percent: u32,
    pub times: u32,
    /// Whether it may fail.
    pub is_optional: bool,
}

/// Draws a system. There are at least as many services as layers, and two layers.
pub fn draw(seed: u64, services: usize, layers: usize) -> System {
    let layers = layer_sizes(services, layers);
    let services = draw_services(seed, &layers);
    let mut system =
        System { services, layers, caches: Vec::new(), topics: Vec::new(), databases: Vec::new() };
    let mut dice = Dice::new(seed, "calls");
    for layer in 1..system.layers.len() {
        be_called(&mut system, layer, &mut dice);
    }
    for layer in 1..system.layers.len() - 1 {
        call_more(&mut system, layer, &mut dice);
    }
    system
}

/// One service at the edge, some behind it, a third for the data, the rest between.
fn layer_sizes(services: usize, layers: usize) -> Vec<Range<usize>> {
    let inner = layers - 2;
    // Every layer has a service at least, before shares are given out.
    let spare = services - layers;
    let data = if inner == 0 { spare } else { spare / 3 };
    // With the number of services, the system behind the edge grows deeper more than it grows wider.
    let front = ((services as f64).sqrt() * 1.2) as usize;
    let front = if inner == 1 { spare - data } else { front.min(NOUNS.len() - 1).min((spare - data) / 2) };
    let mut sizes = vec![1; layers];
    sizes[layers - 1] += data;
    if inner > 0 {
        sizes[1] += front;
    }
    let middle = spare.saturating_sub(data + front);
    for at in 0..inner.saturating_sub(1) {
        sizes[2 + at] += middle / (inner - 1) + usize::from(at < middle % (inner - 1));
    }
    let mut start = 0;
    let range = |size| {
        start += size;
        start - size..start
    };
    sizes.into_iter().map(range).collect()
}

fn draw_services(seed: u64, layers: &[Range<usize>]) -> Vec<Service> {
    let mut services = vec![service(seed, GATEWAY.to_owned(), "", None, (300.0, 900.0))];
    services[0].routes.clear();
    let last = layers.len() - 1;
    let mut inner = Pairs::new(seed, "roles", ROLES.len());
    let mut stores = Pairs::new(seed, "stores", STORES.len());
    for (layer, range) in layers.iter().enumerate().skip(1) {
        for number in 0..range.len() {
            services.push(if layer == last {
                let Pair { noun: (thing, things), other, suffix } = stores.next();
                let (kind, system) = STORES[other];
                let name = format!("{thing}-{kind}{suffix}");
                service(seed, name, things, Some(system), (400.0, 5_000.0))
            } else if let (1, Some((thing, things))) = (layer, NOUNS.get(number)) {
                service(seed, format!("{thing}-api"), things, None, (500.0, 4_000.0))
            } else {
                let Pair { noun: (thing, things), other, suffix } = inner.next();
                let name = format!("{thing}-{}{suffix}", ROLES[other]);
                service(seed, name, things, None, (500.0, 8_000.0))
            });
        }
    }
    services
}

/// Pairs of a noun and one of some other words, without end: the best known nouns come first, with each of
/// them the other words in an order of its own. When all are through they come again, with a number behind.
struct Pairs {
    orders: Vec<Vec<usize>>,
    given: usize,
}

struct Pair {
    noun: (&'static str, &'static str),
    /// The index of the other word.
    other: usize,
    suffix: String,
}

impl Pairs {
    fn new(seed: u64, what: &str, others: usize) -> Self {
        let mut dice = Dice::new(seed, what);
        let mut order = || {
            let mut order: Vec<_> = (0..others).collect();
            dice.shuffle(&mut order);
            order
        };
        Self { orders: NOUNS.iter().map(|_| order()).collect(), given: 0 }
    }

    fn next(&mut self) -> Pair {
        let (noun, round) = (self.given % NOUNS.len(), self.given / NOUNS.len());
        self.given += 1;
        let order = &self.orders[noun];
        let suffix = match round / order.len() {
            0 => String::new(),
            again => format!("-{}", again + 1),
        };
        Pair { noun: NOUNS[noun], other: order[round % order.len()], suffix }
    }
}

/// A service with routes that call nobody yet; `work` is between how many microseconds its median lies.
fn service(
    seed: u64,
    name: String,
    things: &'static str,
    database: Option<&'static str>,
    (fast, slow): (f64, f64),
) -> Service {
    let mut dice = Dice::new(seed, &name);
    let mut verbs: Vec<&Verb> = Vec::new();
    // All can be read from; most can do nothing else.
    for weights in
        std::iter::once(&VERB_WEIGHTS[..2]).chain((1..dice.heavy_tailed(1.5, 4)).map(|_| &VERB_WEIGHTS[..]))
    {
        let verb = &VERBS[dice.weighted(weights)];
        if !verbs.contains(&verb) {
            verbs.push(verb);
        }
    }
    verbs.sort_by_key(|verb| VERBS.iter().position(|other| other == *verb));
    let routes = verbs.into_iter().map(|verb| Route::new(verb, things, Vec::new())).collect();
    let work =
        Work { median: in_two_digits(dice.spread(fast, slow)), sigma: 10 * (3 + dice.below(6)) as u32 };
    let errors = if dice.chance(0.08) { dice.one_of(&[15, 25, 40]) } else { dice.one_of(&[5, 6, 8]) };
    // Pareto's law, without the most extreme.
    let popularity = libm::pow(1.0 - dice.unit(), -1.0).min(100.0);
    let mut about = Dice::new(seed, &format!("about {name}"));
    let version = format!("{}.{}.{}", about.heavy_tailed(1.2, 12), about.below(20), about.below(10));
    let mut line = |probability, shares: &[&str], texts: &[&str]| {
        let (share, text) = (about.one_of(shares), about.one_of(texts));
        about.chance(probability).then(|| format!("{share}% {text}"))
    };
    let (log, warn) = (line(0.6, &["0.5", "1", "2"], &LOGS), line(0.3, &["0.1", "0.2", "0.5"], &WARNINGS));
    Service {
        name,
        things,
        database,
        routes,
        work,
        version,
        errors,
        log,
        warn,
        popularity,
        replicas: 1,
        workers: 1,
        cache: None,
        pool: None,
    }
}

/// 3,271 as 3,300: what a person would write.
fn in_two_digits(number: f64) -> u32 {
    let number = number as u32;
    let mut scale = 1;
    while number / scale >= 100 {
        scale *= 10;
    }
    (number + scale / 2) / scale * scale
}

/// Gives each route of a layer a caller in the layer above, so that nothing lies idle. At the edge that is a
/// route made for it.
fn be_called(system: &mut System, layer: usize, dice: &mut Dice) {
    let above = system.layers[layer - 1].clone();
    for service in system.layers[layer].clone() {
        for route in 0..system.services[service].routes.len() {
            let call = Call { service, route, percent: 100, times: 1, is_optional: false };
            if layer == 1 {
                let Route { verb, things, .. } = system.services[service].routes[route];
                system.services[0].routes.push(Route::new(verb, things, vec![vec![call]]));
                continue;
            }
            let only_reads = system.services[service].routes[route].verb.only_reads;
            let (caller, from) = a_caller(system, above.clone(), only_reads, dice);
            let routes = &mut system.services[caller].routes;
            // A route that calls many calls most of them now and then: requests stay small, and differ.
            let is_rare = !routes[from].calls.is_empty() && dice.chance(0.7);
            let percent = if is_rare { dice.one_of(&[1, 2, 5, 10, 25]) } else { 100 };
            add(&mut routes[from], Call { percent, is_optional: is_rare && dice.chance(0.5), ..call }, dice);
        }
    }
}

/// A service of the layer above and a route of it. What writes is called by what writes, where a few tries
/// find such a route.
fn a_caller(system: &System, above: Range<usize>, only_reads: bool, dice: &mut Dice) -> (usize, usize) {
    const TRIES: usize = 8;
    let mut drawn = (above.start, 0);
    for _ in 0..TRIES {
        let caller = above.start + dice.below(above.len());
        drawn = (caller, dice.below(system.services[caller].routes.len()));
        if only_reads || !system.services[caller].routes[drawn.1].verb.only_reads {
            break;
        }
    }
    drawn
}

/// Gives each route of a layer as many calls as it should have: few have many, and the popular are called the
/// most.
fn call_more(system: &mut System, layer: usize, dice: &mut Dice) {
    let slope = if layer == 1 { 1.6 } else { 2.2 };
    let deeper = layer + 1..system.layers.len();
    let weights: Vec<Vec<f64>> = system
        .layers
        .iter()
        .map(|layer| system.services[layer.clone()].iter().map(|service| service.popularity).collect())
        .collect();
    for caller in system.layers[layer].clone() {
        for from in 0..system.services[caller].routes.len() {
            let wanted = dice.heavy_tailed(slope, FAN_OUT);
            let has = system.services[caller].routes[from].calls.iter().flatten().count();
            for _ in has..wanted {
                let next =
                    if dice.chance(0.6) { deeper.start } else { deeper.start + dice.below(deeper.len()) };
                let service = system.layers[next].start + dice.weighted(&weights[next]);
                let reads = system.services[caller].routes[from].verb.only_reads;
                let fitting = fitting(&system.services[service], reads);
                let route = dice.one_of(&fitting);
                let is_optional = dice.chance(0.2);
                let call = Call {
                    service,
                    route,
                    percent: if dice.chance(0.3) { dice.one_of(&[5, 10, 25, 50]) } else { 100 },
                    times: if dice.chance(0.03) { 2 + dice.below(4) as u32 } else { 1 },
                    is_optional,
                };
                let route = &mut system.services[caller].routes[from];
                if route.calls.iter().flatten().all(|call| call.service != service) {
                    add(route, call, dice);
                }
            }
        }
    }
}

/// The routes that a caller may call: one that only reads calls the like, and there is one in every service.
fn fitting(service: &Service, only_reads: bool) -> Vec<usize> {
    let routes = service.routes.iter().enumerate();
    routes.filter(|(_, route)| !only_reads || route.verb.only_reads).map(|(at, _)| at).collect()
}

/// Adds a call, after those that are there or at the same time as the last.
fn add(route: &mut Route, call: Call, dice: &mut Dice) {
    match route.calls.last_mut() {
        Some(step) if dice.chance(0.4) => step.push(call),
        _ => route.calls.push(vec![call]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn calls(system: &System) -> impl Iterator<Item = (usize, Call)> {
        let of = |(at, service): (usize, &Service)| {
            let calls = service.routes.iter().flat_map(|route| route.calls.iter().flatten());
            calls.map(|call| (at, *call)).collect::<Vec<_>>()
        };
        system.services.iter().enumerate().flat_map(of)
    }

    fn layer_of(system: &System, service: usize) -> usize {
        system.layers.iter().position(|layer| layer.contains(&service)).expect("every service has a layer")
    }

    #[test]
    fn calls_go_deeper_only_and_reach_every_route() {
        for services in [2, 10, 100, 1_000] {
            let system = draw(7, services, 2 + services.ilog2() as usize / 2);
            assert_eq!(system.services.len(), services);
            let mut reached = BTreeSet::new();
            for (caller, call) in calls(&system) {
                assert!(layer_of(&system, caller) < layer_of(&system, call.service));
                reached.insert((call.service, call.route));
            }
            let routes: usize = system.services.iter().skip(1).map(|service| service.routes.len()).sum();
            assert_eq!(reached.len(), routes, "of {services} services some have routes that nobody calls");
        }
    }

    #[test]
    fn names_are_unique() {
        for layers in [2, 3, 7] {
            let system = draw(7, 2_000, layers);
            let names: BTreeSet<_> = system.services.iter().map(|service| &service.name).collect();
            assert_eq!(names.len(), 2_000);
        }
    }

    #[test]
    fn most_routes_call_few_and_most_calls_go_to_few() {
        let system = draw(7, 1_000, 6);
        let routes = system.services.iter().skip(1).flat_map(|service| &service.routes);
        let mut fan_out: Vec<_> = routes.map(|route| route.calls.iter().flatten().count()).collect();
        fan_out.sort_unstable();
        assert!((1..=3).contains(&fan_out[fan_out.len() * 3 / 4]), "{fan_out:?}");
        assert!(*fan_out.last().expect("routes") >= 8);
        let mut callers = vec![0; 1_000];
        calls(&system).for_each(|(_, call)| callers[call.service] += 1);
        callers.sort_unstable();
        let busiest: usize = callers[950..].iter().sum();
        let all: usize = callers.iter().sum();
        assert!(busiest * 5 > all, "the busiest 5 % have {busiest} of {all} calls");
    }

    #[test]
    fn numbers_are_rounded_as_people_write_them() {
        assert_eq!([7.0, 99.9, 104.0, 3_271.0, 12_500.0].map(in_two_digits), [7, 99, 100, 3_300, 13_000]);
    }
}
