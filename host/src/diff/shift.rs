//! By how much the numbers of two runs differ: of loads, routes, services, links, spans; `behind` has those
//! of what stands behind services.

mod behind;

use std::cmp::Reverse;
use std::collections::BTreeMap;

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::Serialize;

use crate::model::Nanos;
use crate::report::{Numbers, Report, ServiceRow};

use super::gather::{Gathered, Series};

pub use behind::{caches, groups, jobs, pools, statements, topics};

/// What was counted of something in both runs; null where a run did not have it.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Shift<T> {
    /// The service; of a load, a topic, a group and a cache its name, of a link the caller, of a statement
    /// the database.
    pub of: String,
    /// A route, the name of spans (of calls with the callee), or the callee; of a group its topic, of a job
    /// its name, of a pool the database, of a statement its summary. Null of a load, a service, a topic and a
    /// cache.
    pub name: Option<String>,
    pub before: Option<T>,
    pub after: Option<T>,
}

/// The spans of one service that have one name and, of calls, one callee.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Spans {
    /// Those whose own time is known.
    pub count: u64,
    /// Further ones, which ended so late that their own time is not counted.
    pub late: u64,
    /// Of these, the ones whose status is an error.
    pub errors: u64,
    /// Their own time, that without their children, added up.
    pub own_ns: u64,
    pub own_mean_ns: Nanos,
    /// Their own time, shared among all traces of the run.
    pub own_per_trace_ns: Nanos,
}

/// What a report counts of something.
pub trait Counted {
    /// Whether both runs say the same.
    fn same(&self, other: &Self) -> bool;

    /// By what rows are in order, by how much it differs: failures first, then what adds up.
    fn rank(&self) -> Rank;
}

/// See [`Counted::rank`].
pub type Rank = [u128; 3];

impl Counted for Numbers {
    fn same(&self, other: &Self) -> bool {
        // The rate also depends on when the last request of the run ended, whosever it was.
        Self { rate: 0.0, ..self.clone() } == Self { rate: 0.0, ..other.clone() }
    }

    fn rank(&self) -> Rank {
        [self.errors.into(), total(self.mean_ns, self.count), 0]
    }
}

/// What this many take together, each of them this on average.
fn total(mean: Nanos, count: u64) -> u128 {
    u128::from(mean) * u128::from(count)
}

impl Counted for ServiceRow {
    fn same(&self, other: &Self) -> bool {
        let workers = |row: &Self| (row.replicas, row.workers, row.busy_ns, row.waited, row.wait_mean_ns);
        self.numbers.same(&other.numbers) && workers(self) == workers(other)
    }

    fn rank(&self) -> Rank {
        self.numbers.rank()
    }
}

impl<T: Counted> Shift<T> {
    pub fn is_changed(&self) -> bool {
        match (&self.before, &self.after) {
            (Some(before), Some(after)) => !before.same(after),
            _ => true,
        }
    }

    /// What changed most comes first: failures before time, time as it adds up.
    fn impact(&self) -> (bool, Rank) {
        let rank = |side: &Option<T>| side.as_ref().map(T::rank).unwrap_or_default();
        let (before, after) = (rank(&self.before), rank(&self.after));
        (self.is_changed(), std::array::from_fn(|part| before[part].abs_diff(after[part])))
    }
}

impl Shift<Numbers> {
    /// The numbers before and after; none are all zeros.
    pub fn numbers(&self) -> [Numbers; 2] {
        [&self.before, &self.after].map(|side| side.clone().unwrap_or_default())
    }
}

impl Shift<Spans> {
    /// Whether there are as many, with as much time of their own.
    pub fn is_changed(&self) -> bool {
        let own = |spans: &Option<Spans>| spans.as_ref().map(|spans| (spans.count, spans.late, spans.own_ns));
        own(&self.before) != own(&self.after)
    }

    /// Whether there are some in a run whose own time is not known of any.
    pub fn is_untold(&self) -> bool {
        [&self.before, &self.after].into_iter().flatten().any(|spans| spans.count == 0 && spans.late > 0)
    }

    /// By how much their own time grew, for each trace of a run.
    pub fn per_trace(&self) -> i128 {
        let own =
            |spans: &Option<Spans>| spans.as_ref().map_or(0, |spans| i128::from(spans.own_per_trace_ns));
        own(&self.after) - own(&self.before)
    }
}

/// Who a number belongs to: [`Shift::of`] and [`Shift::name`].
type Who = (String, Option<String>);

/// The requests of each load, as it sees them, those that changed most first.
pub fn loads(before: &Report, after: &Report) -> Vec<Shift<Numbers>> {
    by_impact([before, after], |report| {
        report.loads.iter().map(|load| ((load.name.clone(), None), load.numbers.clone())).collect()
    })
}

/// The requests of each route, those that changed most first.
pub fn routes(before: &Report, after: &Report) -> Vec<Shift<Numbers>> {
    by_impact([before, after], |report| {
        let who = |route: Option<&String>| Some(route.map_or("(no route)", String::as_str).to_owned());
        let rows = report.routes.iter();
        rows.map(|row| ((row.service.clone(), who(row.route.as_ref())), row.numbers.clone())).collect()
    })
}

/// The requests of each service, and its workers; those that changed most first.
pub fn services(before: &Report, after: &Report) -> Vec<Shift<ServiceRow>> {
    by_impact([before, after], |report| {
        report.services.iter().map(|row| ((row.service.clone(), None), row.clone())).collect()
    })
}

/// The calls of each link, as the caller sees them, those that changed most first.
pub fn links(before: &Report, after: &Report) -> Vec<Shift<Numbers>> {
    by_impact([before, after], |report| {
        let who = |name: Option<&String>, none: &str| name.map_or(none, String::as_str).to_owned();
        let rows = report.links.iter().map(|row| {
            let (from, to) = (who(row.from.as_ref(), "(outside)"), who(row.to.as_ref(), "(no service)"));
            ((from, Some(to)), row.numbers.clone())
        });
        rows.collect()
    })
}

fn by_impact<T: Counted>(reports: [&Report; 2], of: impl Fn(&Report) -> Vec<(Who, T)>) -> Vec<Shift<T>> {
    let mut shifts = side_by_side(reports.map(of));
    // Stable: what changed alike stays in the order of the topology.
    shifts.sort_by_key(|shift| Reverse(shift.impact()));
    shifts
}

/// The own time of spans by service and name, that which changed most first.
pub fn spans(before: &Gathered, after: &Gathered) -> Vec<Shift<Spans>> {
    let of = |run: &Gathered| {
        let traces = run.traces.len() as u128 + u128::from(run.unmatched);
        let row = |series: &Series| {
            let spans = Spans {
                count: series.count,
                late: series.late,
                errors: series.failed,
                own_ns: shared(series.own, 1),
                own_mean_ns: shared(series.own, u128::from(series.count)),
                own_per_trace_ns: shared(series.own, traces),
            };
            ((series.service.to_string(), Some(series.name.to_string())), spans)
        };
        // In an order that does not depend on which span of a run came first.
        run.series.iter().map(row).collect::<BTreeMap<_, _>>().into_iter().collect()
    };
    let mut shifts = side_by_side([before, after].map(of));
    shifts.sort_by_key(|shift| Reverse((shift.is_changed(), shift.per_trace().unsigned_abs())));
    shifts
}

fn shared(total: u128, among: u128) -> Nanos {
    total.checked_div(among).map_or(0, |each| u64::try_from(each).unwrap_or(u64::MAX))
}

/// What belongs to the same in both runs, side by side: first all that was
/// before the change, in its order, then what only comes after it.
fn side_by_side<T>([before, after]: [Vec<(Who, T)>; 2]) -> Vec<Shift<T>> {
    let mut shifts: IndexMap<Who, (Option<T>, Option<T>)> = IndexMap::new();
    for (who, one) in before {
        shifts.insert(who, (Some(one), None));
    }
    for (who, one) in after {
        shifts.entry(who).or_insert((None, None)).1 = Some(one);
    }
    let shift = |((of, name), (before, after))| Shift { of, name, before, after };
    shifts.into_iter().map(shift).collect()
}
