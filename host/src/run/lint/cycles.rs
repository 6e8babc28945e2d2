//! Calls that go round in circles.

use std::collections::BTreeMap;

use crate::clock;
use crate::error::Problem;
use crate::model::ServiceId;

use super::super::calls::{Call, Meets};
use super::Run;

/// Cycles that are reported: one is enough to know what is wrong.
const CYCLES_AT_MOST: usize = 20;

/// Steps of a cycle that a message shows.
const STEPS_AT_MOST: usize = 12;

/// Routes as nodes, calls as edges.
struct Graph<'a> {
    run: &'a Run<'a>,
    names: Vec<(ServiceId, &'a str)>,
    /// From each node: the callee's node, and the call.
    edges: Vec<Vec<(usize, &'a Call)>>,
}

/// Where a walk has been.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Seen {
    Never,
    /// It lies on the way to where the walk is.
    OnTheWay,
    Done,
}

/// What a walk in depth over all nodes has found.
#[derive(Default)]
struct Walk<'a> {
    /// Each cycle as its calls in order, the one that closes it last: at least one of each part of the
    /// graph that has any.
    cycles: Vec<Vec<&'a Call>>,
    /// The nodes in the order in which all behind them was done: without the calls that close cycles,
    /// each stands behind all that it calls.
    done: Vec<usize>,
}

/// The cycles of calls, and the services that have too few workers to serve a request of their own.
pub fn problems(run: &Run<'_>) -> Vec<Problem> {
    let graph = Graph::of(run);
    let walk = graph.walk();
    let mut problems: Vec<_> = walk.cycles.iter().map(|cycle| graph.problem(cycle)).collect();
    problems.extend(graph.waiting_for_themselves(&walk.done));
    problems
}

impl<'a> Graph<'a> {
    fn of(run: &'a Run<'a>) -> Self {
        let mut graph = Self { run, names: Vec::new(), edges: Vec::new() };
        let mut known: BTreeMap<(ServiceId, &str), usize> = BTreeMap::new();
        for call in run.calls.all.iter().filter(|call| call.is_on && call.what.share > 0.0) {
            let (Some(to), Meets::Route(Some(route))) = (call.to, &call.meets) else { continue };
            let [from, to] = [(call.from, call.route.as_str()), (to, route.as_str())].map(|node| {
                *known.entry(node).or_insert_with(|| {
                    graph.names.push(node);
                    graph.edges.push(Vec::new());
                    graph.names.len() - 1
                })
            });
            graph.edges[from].push((to, call));
        }
        graph
    }

    fn walk(&self) -> Walk<'a> {
        let mut seen = vec![Seen::Never; self.names.len()];
        let mut walk = Walk::default();
        for start in 0..self.names.len() {
            // The nodes on the way, and the next edge of each. No recursion: chains may be long.
            let mut way: Vec<(usize, usize)> = Vec::new();
            if seen[start] == Seen::Never {
                seen[start] = Seen::OnTheWay;
                way.push((start, 0));
            }
            while let Some((node, next)) = way.last_mut() {
                let Some((to, _)) = self.edges[*node].get(*next).copied() else {
                    seen[*node] = Seen::Done;
                    walk.done.push(*node);
                    way.pop();
                    continue;
                };
                *next += 1;
                match seen[to] {
                    Seen::Never => {
                        seen[to] = Seen::OnTheWay;
                        way.push((to, 0));
                    }
                    Seen::OnTheWay if walk.cycles.len() < CYCLES_AT_MOST => {
                        let begin = way.iter().position(|(node, _)| *node == to).unwrap_or(0);
                        let calls = way[begin..].iter().map(|(node, next)| self.edges[*node][next - 1].1);
                        walk.cycles.push(calls.collect());
                    }
                    Seen::OnTheWay | Seen::Done => {}
                }
            }
        }
        walk
    }

    fn problem(&self, cycle: &[&Call]) -> Problem {
        let Self { run, .. } = self;
        let nodes = cycle.iter().chain(cycle.first()).map(|call| (call.from, call.route.as_str()));
        let depth = run.model.bounds.call_depth;
        let every_time = cycle.iter().all(|call| call.what.share >= 1.0 && !call.what.is_optional);
        let (what, help) = match (every_time, self.overrun(cycle)) {
            (true, Some((name, workers, needed))) => (
                "a cycle of calls that waits for itself",
                format!(
                    "each request occupies {needed} workers of {name} at once, which has {workers}. {}. \
                     Let one of the calls go elsewhere",
                    self.end(cycle),
                ),
            ),
            (true, None) => (
                "a cycle of calls that never ends",
                format!(
                    "each request fails at limits.call-depth, {depth} calls deep: let one of the calls go elsewhere"
                ),
            ),
            (false, _) => (
                "a cycle of calls",
                format!(
                    "each round occupies a worker more, until limits.call-depth of {depth} ends it; \
                     if it is meant, keep the shares of its calls small"
                ),
            ),
        };
        let problem = Problem::warning(format!("{what}: {}", self.steps(nodes))).help(help);
        let is_of_fault = cycle.iter().any(|call| call.deployed_by.is_some());
        let problem = if is_of_fault { problem.of_fault() } else { problem };
        let closing = cycle.last().or(cycle.first());
        match closing.and_then(|call| call.place.clone().map(|place| (place, call))) {
            Some((place, call)) => {
                problem.at(run.within(&place, &call.what.service), "the call that closes it")
            }
            None => problem,
        }
    }

    /// What becomes of a request for which no worker is left.
    fn end(&self, cycle: &[&Call]) -> String {
        let model = self.run.model;
        let links = cycle.iter().filter_map(|call| {
            model.links.iter().find(|link| link.from == call.from && Some(link.to) == call.to)
        });
        let links: Vec<_> = links.collect();
        let policies = || links.iter().filter_map(|link| link.policies.as_ref());
        let timeout = links.iter().filter_map(|link| link.timeout).min();
        match timeout {
            Some(timeout) => format!("A call of the cycle times out after {}", clock::show(timeout)),
            // With these the simulator cannot tell that no worker will ever be free (bus/deadlock.rs).
            None if policies().next().is_some() => {
                let times = cycle.iter().map(|call| model.service(call.from).limits.request_time);
                let time = clock::show(times.min().unwrap_or(0));
                format!("A request for which none is left fails after {time}, its limits.request-time")
            }
            None => "The request that completes the cycle is answered 503 (deadlock)".to_owned(),
        }
    }

    /// Nodes in the order of the calls between them: `shop GET / -> cart GET /`.
    fn steps<'n>(&self, nodes: impl Iterator<Item = (ServiceId, &'n str)>) -> String {
        let node = |(service, route)| format!("{} {route}", self.run.model.service(service).name);
        let mut steps: Vec<_> = nodes.map(node).collect();
        if steps.len() > STEPS_AT_MOST {
            let more = steps.len() - STEPS_AT_MOST;
            steps.splice(STEPS_AT_MOST / 2..STEPS_AT_MOST / 2 + more, [format!("({more} more)")]);
        }
        steps.join(" -> ")
    }

    /// A service of a cycle that has fewer workers than a request occupies before the depth of calls ends it:
    /// its name, what it has and what would be needed.
    fn overrun(&self, cycle: &[&Call]) -> Option<(String, u64, u64)> {
        // The request from outside has depth 0, and its calls may be as deep as the bound.
        let nested = u64::from(self.run.model.bounds.call_depth) + 1;
        let rounds = nested.div_ceil(cycle.len().max(1) as u64);
        cycle.iter().find_map(|call| {
            let visits = cycle.iter().filter(|other| other.from == call.from).count() as u64;
            let (has, needed) = (self.workers(call.from), (visits * rounds).min(nested));
            (has < needed).then(|| (self.run.name(call.from), has, needed))
        })
    }

    fn workers(&self, service: ServiceId) -> u64 {
        let service = self.run.model.service(service);
        u64::from(service.replicas) * u64::from(service.workers)
    }

    /// Services that one request needs more workers of, at once, than they have. Each request is followed
    /// along the calls that close no cycle; `done` is the order in which a [`Walk`] has left the nodes.
    fn waiting_for_themselves(&self, done: &[usize]) -> Vec<Problem> {
        let mut order = vec![0; self.names.len()];
        done.iter().enumerate().for_each(|(at, node)| order[*node] = at);
        let mut nodes: BTreeMap<ServiceId, u64> = BTreeMap::new();
        self.names.iter().for_each(|(service, _)| *nodes.entry(*service).or_default() += 1);
        let may_lack = nodes.into_iter().filter(|(service, nodes)| self.workers(*service) < *nodes);
        may_lack.filter_map(|(service, _)| self.waiting_for_itself(service, done, &order)).collect()
    }

    /// The problem of a service that has fewer workers than a request needs of them at once.
    fn waiting_for_itself(&self, service: ServiceId, done: &[usize], order: &[usize]) -> Option<Problem> {
        // From each node on: how many workers of the service a request needs, and where it goes for that.
        let mut needs: Vec<(u64, Option<usize>)> = vec![(0, None); self.names.len()];
        for &node in done {
            let open = self.edges[node].iter().filter(|(to, _)| order[*to] < order[node]);
            let best = open.map(|(to, _)| (needs[*to].0, Some(*to))).max_by_key(|(needed, _)| *needed);
            let (below, next) = best.unwrap_or_default();
            needs[node] = (below + u64::from(self.names[node].0 == service), next);
        }
        let of_it = |node: &usize| self.names[*node].0 == service;
        let start = (0..self.names.len()).filter(of_it).max_by_key(|node| needs[*node].0)?;
        let (needed, has) = (needs[start].0, self.workers(service));
        if needed <= has {
            return None;
        }
        let way = std::iter::successors(Some(start), |node| needs[*node].1.filter(|next| needs[*next].0 > 0));
        let way: Vec<_> = way.collect();
        let is_of_fault = way.windows(2).any(|pair| {
            let mut calls = self.edges[pair[0]].iter().filter(|(to, _)| *to == pair[1]);
            calls.all(|(_, call)| call.deployed_by.is_some())
        });
        let steps = self.steps(way.iter().map(|node| self.names[*node]));
        let name = self.run.name(service);
        let problem = Problem::warning(format!(
            "a request to {name} may need {needed} of its workers at once, and it has {has}"
        ));
        let help = format!("{steps}: give {name} more workers or replicas, or let a call go elsewhere");
        let place = self.run.model.service(service).place.clone();
        let problem = problem.at(place, "it waits for itself").help(help);
        Some(if is_of_fault { problem.of_fault() } else { problem })
    }
}
