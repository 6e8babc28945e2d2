//! Which route each call leads to, which topics messages go to, and which of them are written.

use std::collections::BTreeMap;

use super::super::bounds::{MAX_SERVICE_ROUTES, MAX_TOPICS};
use super::super::names::{Names, RouteKey};
use super::super::notes::{LeftOut, Reason};
use super::super::path;
use super::super::system::{Calls, System};

/// The calls of a route: the place of each in the caller's calls, the callee's route, and how they are made.
type Drawn = Vec<(usize, u32, Calls)>;

#[derive(Debug)]
pub struct Callees {
    /// Of each name of a service, the service that it stands for.
    services: Vec<u32>,
    has_spans: Vec<bool>,
    /// By route; none of one that is not written.
    calls: Vec<Option<Drawn>>,
    /// By route, the topics that it sends to.
    publishes: Vec<Vec<(u32, Calls)>>,
    /// By route, the topic of its dead letters.
    dead_letters: Vec<Option<u32>>,
    /// By topic, the routes that process its messages and are written.
    consumers: Vec<Vec<u32>>,
    /// By topic, whether it is written.
    topics: Vec<bool>,
}

/// Where a walk has been.
#[derive(Clone, Copy, PartialEq)]
enum Seen {
    Never,
    OnTheWay,
    Done,
}

impl Callees {
    /// At most so many routes are written, those with the most requests.
    pub fn of(system: &System, names: &Names, most: usize, left_out: &mut LeftOut) -> Self {
        let mut has_spans = vec![false; names.services.len()];
        for (key, route) in names.routes.iter().zip(&system.routes) {
            has_spans[key.service as usize] |= route.served.count > 0;
        }
        let services = aliases(names, &has_spans);
        let routes = system.routes.len();
        let mut callees = Self {
            services,
            has_spans,
            calls: vec![None; routes],
            publishes: vec![Vec::new(); routes],
            dead_letters: vec![None; routes],
            consumers: vec![Vec::new(); names.topics.len()],
            topics: vec![false; names.topics.len()],
        };
        let targets = callees.targets(system, names);
        let mut written: Vec<u32> = (0..system.routes.len() as u32)
            .filter(|number| targets[*number as usize] == Some(*number))
            .collect();
        let requests = |number: u32| {
            let route = &system.routes[number as usize];
            route.served.count.max(route.guessed.count)
        };
        written.sort_by_key(|number| (std::cmp::Reverse(requests(*number)), *number));
        let found = written.len();
        let mut of_service = vec![0; names.services.len()];
        written.retain(|number| {
            let count: &mut usize =
                &mut of_service[callees.service(names.routes.get(*number).service) as usize];
            *count += 1;
            *count <= MAX_SERVICE_ROUTES
        });
        written.truncate(most);
        left_out.add_many(Reason::RouteUnwritten, (found - written.len()) as u64);
        for number in &written {
            callees.calls[*number as usize] = Some(Vec::new());
        }
        for number in written {
            let calls = callees.drawn(system, number, &targets, left_out);
            callees.calls[number as usize] = Some(calls);
            callees.add_topics(system, names, number);
        }
        callees.cut_cycles(left_out);
        callees.draw_topics(names, left_out);
        callees
    }

    /// The topics that a written route hears of and sends to.
    fn add_topics(&mut self, system: &System, names: &Names, number: u32) {
        let own = names.routes.get(number).topic;
        if let Some(own) = own {
            self.consumers[own as usize].push(number);
        }
        for (topic, calls) in &system.routes[number as usize].publishes {
            if calls.made > 0 {
                self.publishes[number as usize].push((*topic, *calls));
            } else if own.is_some_and(|own| own != *topic) {
                self.dead_letters[number as usize] = Some(*topic);
            }
        }
    }

    /// Decides which topics are written: those that a written route sends to.
    fn draw_topics(&mut self, names: &Names, left_out: &mut LeftOut) {
        let mut sent = vec![0_u64; self.topics.len()];
        for (topic, calls) in self.publishes.iter().flatten() {
            sent[*topic as usize] += calls.made;
        }
        let mut order: Vec<usize> = (0..sent.len()).filter(|topic| sent[*topic] > 0).collect();
        order.sort_by_key(|topic| (std::cmp::Reverse(sent[*topic]), *topic));
        left_out.add_many(Reason::Unwritten, order.len().saturating_sub(MAX_TOPICS) as u64);
        order.truncate(MAX_TOPICS);
        let mut written = order.len();
        order.into_iter().for_each(|topic| self.topics[topic] = true);
        for route in 0..self.dead_letters.len() {
            let is_heard = names.routes.get(route as u32).topic.is_some_and(|own| self.topics[own as usize]);
            let letters = self.dead_letters[route].filter(|_| is_heard && written < MAX_TOPICS);
            self.dead_letters[route] = letters;
            if let Some(topic) = letters {
                written += usize::from(!std::mem::replace(&mut self.topics[topic as usize], true));
            }
        }
        let topics = &self.topics;
        self.publishes.iter_mut().for_each(|sent| sent.retain(|(topic, _)| topics[*topic as usize]));
    }

    /// The topics that are written.
    pub fn topics(&self) -> impl Iterator<Item = u32> {
        (0..self.topics.len() as u32).filter(|topic| self.topics[*topic as usize])
    }

    /// The topic whose messages a route processes, where it is written.
    pub fn heard(&self, route: u32, names: &Names) -> Option<u32> {
        names.routes.get(route).topic.filter(|topic| self.topics[*topic as usize])
    }

    /// The routes that process the messages of a topic.
    pub fn consumers(&self, topic: u32) -> &[u32] {
        &self.consumers[topic as usize]
    }

    /// What a route sends to topics that are written.
    pub fn publishes(&self, route: u32) -> &[(u32, Calls)] {
        &self.publishes[route as usize]
    }

    pub fn dead_letters(&self, route: u32) -> Option<u32> {
        self.dead_letters[route as usize]
    }

    /// The service that a name stands for.
    pub fn service(&self, name: u32) -> u32 {
        self.services[name as usize]
    }

    pub fn has_spans(&self, service: u32) -> bool {
        self.has_spans[service as usize]
    }

    /// The routes that are written.
    pub fn written(&self) -> impl Iterator<Item = u32> {
        (0..self.calls.len() as u32).filter(|number| self.calls[*number as usize].is_some())
    }

    /// The calls of a route that are written.
    pub fn calls(&self, route: u32) -> &[(usize, u32, Calls)] {
        self.calls[route as usize].as_deref().unwrap_or_default()
    }

    /// All routes that are written, each before what it calls: those with the most requests from outside
    /// first.
    pub fn in_order(&self, system: &System, names: &Names) -> Vec<u32> {
        let mut roots: Vec<u32> = self.written().collect();
        let entries = |number: u32| match self.heard(number, names) {
            Some(_) => 0,
            None => system.routes[number as usize].entries,
        };
        roots.sort_by_key(|number| (std::cmp::Reverse(entries(*number)), *number));
        let (mut order, mut is_in) = (Vec::new(), vec![false; self.calls.len()]);
        for root in roots {
            let mut next = std::collections::VecDeque::from([root]);
            while let Some(number) = next.pop_front() {
                if std::mem::replace(&mut is_in[number as usize], true) {
                    continue;
                }
                order.push(number);
                next.extend(self.calls(number).iter().map(|(_, to, _)| *to));
                let topics = self.publishes(number).iter().map(|(topic, _)| *topic);
                let topics = topics.chain(self.dead_letters(number));
                next.extend(topics.flat_map(|topic| self.consumers(topic)));
            }
        }
        order
    }

    /// Of each route, the one that is written for it: itself, or what a caller's path meets.
    fn targets(&self, system: &System, names: &Names) -> Vec<Option<u32>> {
        let mut of_service: BTreeMap<(u32, &str), Vec<u32>> = BTreeMap::new();
        for (number, (key, route)) in names.routes.iter().zip(&system.routes).enumerate() {
            if route.served.count > 0 && key.topic.is_none() {
                of_service.entry((key.service, &key.method)).or_default().push(number as u32);
            }
        }
        let target = |(number, key): (usize, &RouteKey)| {
            let route = &system.routes[number];
            let service = self.service(key.service);
            if route.served.count > 0 || route.guessed.count > 0 && !self.has_spans(service) {
                return Some(number as u32);
            }
            let path = &names.paths[number];
            let of_callee = of_service.get(&(service, key.method.as_str()))?;
            of_callee.iter().copied().find(|own| path::meets(&names.paths[*own as usize], path))
        };
        names.routes.iter().enumerate().map(target).collect()
    }

    /// The calls of one route by the routes that are written, those of one callee's route together.
    fn drawn(&self, system: &System, number: u32, targets: &[Option<u32>], left_out: &mut LeftOut) -> Drawn {
        let mut drawn: Drawn = Vec::new();
        for (place, (to, calls)) in system.routes[number as usize].calls.iter().enumerate() {
            let Some(target) = targets[*to as usize] else {
                left_out.add_many(Reason::RouteUnknown, calls.made);
                continue;
            };
            if self.calls[target as usize].is_none() {
                left_out.add_many(Reason::RouteUnknown, calls.made);
                continue;
            }
            match drawn.iter_mut().find(|(_, known, _)| *known == target) {
                Some((_, _, sum)) => sum.add(calls),
                None => drawn.push((place, target, *calls)),
            }
        }
        drawn
    }

    /// Leaves out calls and messages that would go round in circles: the scripted guest would not come to an
    /// end. Routes are nodes of the walk, and topics behind them.
    fn cut_cycles(&mut self, left_out: &mut LeftOut) {
        let routes = self.calls.len();
        let mut seen = vec![Seen::Never; routes + self.topics.len()];
        for root in 0..routes {
            let mut way = vec![(root, 0)];
            while let Some((here, next)) = way.last_mut() {
                let (here, at) = (*here, *next);
                if at == 0 && seen[here] == Seen::Done {
                    way.pop();
                    continue;
                }
                seen[here] = Seen::OnTheWay;
                match self.edge(here, at) {
                    None => {
                        seen[here] = Seen::Done;
                        way.pop();
                    }
                    Some(to) if seen[to] != Seen::OnTheWay => {
                        *next += 1;
                        way.push((to, 0));
                    }
                    Some(_) if here < routes => self.cut(here, at, left_out),
                    // A topic that comes back to who sends to it: nothing is sent to it from there.
                    Some(_) => {
                        seen[here] = Seen::Never;
                        way.pop();
                        if let Some((sender, next)) = way.last_mut() {
                            *next -= 1;
                            self.cut(*sender, *next, left_out);
                        }
                    }
                }
            }
        }
    }

    /// The node that an edge of a node leads to.
    fn edge(&self, node: usize, at: usize) -> Option<usize> {
        let routes = self.calls.len();
        if node >= routes {
            return self.consumers[node - routes].get(at).map(|route| *route as usize);
        }
        let calls = self.calls[node].as_ref()?;
        match calls.get(at) {
            Some((_, to, _)) => Some(*to as usize),
            None => self.publishes[node].get(at - calls.len()).map(|(topic, _)| routes + *topic as usize),
        }
    }

    /// Leaves out a call of a route, or what it sends to a topic.
    fn cut(&mut self, route: usize, at: usize, left_out: &mut LeftOut) {
        let Some(calls) = &mut self.calls[route] else { return };
        let made = if at < calls.len() {
            calls.remove(at).2.made
        } else {
            self.publishes[route].remove(at - calls.len()).1.made
        };
        left_out.add_many(Reason::Cycle, made);
    }
}

/// Which service a name of a callee stands for: one with spans of that name, or of its first label, as
/// `stock.default.svc.cluster.local` has it.
fn aliases(names: &Names, has_spans: &[bool]) -> Vec<u32> {
    let mut known: BTreeMap<String, u32> = BTreeMap::new();
    for (number, name) in names.services.iter().enumerate().filter(|(number, _)| has_spans[*number]) {
        known.entry(path::slug(name)).or_insert(number as u32);
    }
    let alias = |(number, name): (usize, &String)| {
        if has_spans[number] {
            return number as u32;
        }
        let label = name.split('.').next().unwrap_or(name);
        let found = known.get(&path::slug(name)).or_else(|| known.get(&path::slug(label)));
        found.copied().unwrap_or(number as u32)
    };
    names.services.iter().enumerate().map(alias).collect()
}
