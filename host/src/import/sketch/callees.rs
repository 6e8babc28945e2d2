//! Which route each call leads to, and which routes are written.

use std::collections::BTreeMap;

use super::super::bounds::MAX_SERVICE_ROUTES;
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
}

impl Callees {
    /// At most so many routes are written, those with the most requests.
    pub fn of(system: &System, names: &Names, most: usize, left_out: &mut LeftOut) -> Self {
        let mut has_spans = vec![false; names.services.len()];
        for (key, route) in names.routes.iter().zip(&system.routes) {
            has_spans[key.service as usize] |= route.served.count > 0;
        }
        let services = aliases(names, &has_spans);
        let mut callees = Self { services, has_spans, calls: vec![None; system.routes.len()] };
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
        }
        callees.cut_cycles(left_out);
        callees
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
    pub fn in_order(&self, system: &System) -> Vec<u32> {
        let mut roots: Vec<u32> = self.written().collect();
        roots.sort_by_key(|number| (std::cmp::Reverse(system.routes[*number as usize].entries), *number));
        let (mut order, mut is_in) = (Vec::new(), vec![false; self.calls.len()]);
        for root in roots {
            let mut next = std::collections::VecDeque::from([root]);
            while let Some(number) = next.pop_front() {
                if std::mem::replace(&mut is_in[number as usize], true) {
                    continue;
                }
                order.push(number);
                next.extend(self.calls(number).iter().map(|(_, to, _)| *to));
            }
        }
        order
    }

    /// Of each route, the one that is written for it: itself, or what a caller's path meets.
    fn targets(&self, system: &System, names: &Names) -> Vec<Option<u32>> {
        let mut of_service: BTreeMap<(u32, &str), Vec<u32>> = BTreeMap::new();
        for (number, (key, route)) in names.routes.iter().zip(&system.routes).enumerate() {
            if route.served.count > 0 {
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

    /// Leaves out calls that would go round in circles: the scripted guest would not come to an end.
    fn cut_cycles(&mut self, left_out: &mut LeftOut) {
        #[derive(Clone, Copy, PartialEq)]
        enum Seen {
            Never,
            OnTheWay,
            Done,
        }
        let mut seen = vec![Seen::Never; self.calls.len()];
        for root in 0..self.calls.len() {
            let mut way = vec![(root, 0)];
            while let Some((here, next)) = way.last_mut() {
                let (here, at) = (*here, *next);
                if at == 0 && seen[here] == Seen::Done {
                    way.pop();
                    continue;
                }
                seen[here] = Seen::OnTheWay;
                let Some(calls) = &mut self.calls[here] else {
                    way.pop();
                    continue;
                };
                match calls.get(at).copied() {
                    None => {
                        seen[here] = Seen::Done;
                        way.pop();
                    }
                    Some((_, to, of)) if seen[to as usize] == Seen::OnTheWay => {
                        left_out.add_many(Reason::Cycle, of.made);
                        calls.remove(at);
                    }
                    Some((_, to, _)) => {
                        *next += 1;
                        way.push((to as usize, 0));
                    }
                }
            }
        }
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
