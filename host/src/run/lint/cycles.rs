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

/// The cycles of calls, and the services that have too few workers to serve a request of their own.
pub fn problems(run: &Run<'_>) -> Vec<Problem> {
    let graph = Graph::of(run);
    let mut problems: Vec<_> = graph.cycles().iter().map(|cycle| graph.problem(cycle)).collect();
    if problems.is_empty() {
        problems.extend(graph.waits_for_itself());
    }
    problems
}

impl<'a> Graph<'a> {
    fn of(run: &'a Run<'a>) -> Self {
        let mut graph = Self { run, names: Vec::new(), edges: Vec::new() };
        let mut known: BTreeMap<(ServiceId, &str), usize> = BTreeMap::new();
        for call in &run.calls.all {
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

    /// Each cycle as its calls in order, the one that closes it last. A walk in depth finds a cycle in
    /// each part of the graph that has any.
    fn cycles(&self) -> Vec<Vec<&'a Call>> {
        let mut seen = vec![Seen::Never; self.names.len()];
        let mut cycles = Vec::new();
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
                    way.pop();
                    continue;
                };
                *next += 1;
                match seen[to] {
                    Seen::Never => {
                        seen[to] = Seen::OnTheWay;
                        way.push((to, 0));
                    }
                    Seen::OnTheWay if cycles.len() < CYCLES_AT_MOST => {
                        let begin = way.iter().position(|(node, _)| *node == to).unwrap_or(0);
                        let calls = way[begin..].iter().map(|(node, next)| self.edges[*node][next - 1].1);
                        cycles.push(calls.collect());
                    }
                    Seen::OnTheWay | Seen::Done => {}
                }
            }
        }
        cycles
    }

    fn problem(&self, cycle: &[&Call]) -> Problem {
        let Self { run, .. } = self;
        let node = |call: &&Call| format!("{} {}", run.model.service(call.from).name, call.route);
        let mut steps: Vec<_> = cycle.iter().map(node).collect();
        steps.extend(steps.first().cloned());
        if steps.len() > STEPS_AT_MOST {
            let more = steps.len() - STEPS_AT_MOST;
            steps.splice(STEPS_AT_MOST / 2..STEPS_AT_MOST / 2 + more, [format!("({more} more)")]);
        }
        let depth = run.model.bounds.call_depth;
        let every_time = cycle.iter().all(|call| call.what.share >= 1.0);
        let (what, help) = match (every_time, self.overrun(cycle)) {
            (true, Some((name, workers, needed))) => (
                "a cycle of calls that waits for itself",
                format!(
                    "each request occupies {needed} workers of {name} at once, which has {workers}: it fails after {}. \
                     Let one of the calls go elsewhere",
                    clock::show(
                        cycle
                            .iter()
                            .map(|call| run.model.service(call.from).limits.request_time)
                            .min()
                            .unwrap_or(0)
                    ),
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
        let problem = Problem::warning(format!("{what}: {}", steps.join(" -> "))).help(help);
        let closing = cycle.last().or(cycle.first());
        match closing.and_then(|call| call.place.clone().map(|place| (place, call))) {
            Some((place, call)) => {
                problem.at(run.within(&place, &call.what.service), "the call that closes it")
            }
            None => problem,
        }
    }

    /// A service of a cycle that has fewer workers than a request occupies before the depth of calls ends it:
    /// its name, what it has and what would be needed.
    fn overrun(&self, cycle: &[&Call]) -> Option<(String, u64, u64)> {
        let rounds = u64::from(self.run.model.bounds.call_depth) / cycle.len().max(1) as u64;
        cycle.iter().find_map(|call| {
            let visits = cycle.iter().filter(|other| other.from == call.from).count() as u64;
            let (has, needed) = (self.workers(call.from), visits * rounds);
            (has < needed).then(|| (self.run.name(call.from), has, needed))
        })
    }

    fn workers(&self, service: ServiceId) -> u64 {
        let service = self.run.model.service(service);
        u64::from(service.replicas) * u64::from(service.workers)
    }

    /// Services of one worker whose requests come back to them on another route.
    fn waits_for_itself(&self) -> Vec<Problem> {
        let single = |service: &ServiceId| self.workers(*service) == 1;
        let mut services: Vec<_> = self.names.iter().map(|(service, _)| *service).filter(single).collect();
        services.sort();
        services.dedup();
        services.into_iter().filter_map(|service| self.returning(service)).collect()
    }

    /// The problem of one worker that a request would need twice.
    fn returning(&self, service: ServiceId) -> Option<Problem> {
        let of_it = |node: &usize| self.names[*node].0 == service;
        let mut open: Vec<_> = (0..self.names.len()).filter(of_it).collect();
        let mut reached = vec![false; self.names.len()];
        while let Some(node) = open.pop() {
            for (to, call) in &self.edges[node] {
                if of_it(to) {
                    let name = self.run.name(service);
                    let message =
                        format!("a request to {name} needs two of its workers at once, and it has one");
                    let help = format!(
                        "{} calls it while it waits: give {name} more workers or replicas, or let the call go elsewhere",
                        self.run.name(call.from)
                    );
                    let place = self.run.model.service(service).place.clone();
                    return Some(Problem::warning(message).at(place, "it waits for itself").help(help));
                }
                if !std::mem::replace(&mut reached[*to], true) {
                    open.push(*to);
                }
            }
        }
        None
    }
}
