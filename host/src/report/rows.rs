//! Rows of the report, from what the bus counted.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use crate::bus::stats::{Accounts, LinkAccount, PolicyAccount, ServiceAccount};
use crate::fault::{self, Suppression};
use crate::jobs::JobStats;
use crate::load::LoadStats;
use crate::model::{Nanos, ServiceId};
use crate::tally::{Exemplar, Tally};

/// How many requests there were, how many failed, how long they took.
#[derive(Clone, Debug, Default, PartialEq, Serialize, JsonSchema)]
pub struct Numbers {
    /// Requests that came to an end.
    pub count: u64,
    /// Those that began while requests were made, for each second of that time: of a load
    /// its own time, else the run's `duration_ns`.
    pub rate: f64,
    /// Answered 5xx, or not answered at all.
    pub errors: u64,
    /// Those by their `error.type`: the status, or what kept the answer away.
    pub errors_by_type: BTreeMap<String, u64>,
    pub mean_ns: Nanos,
    pub p50_ns: Nanos,
    pub p90_ns: Nanos,
    pub p95_ns: Nanos,
    pub p99_ns: Nanos,
    pub max_ns: Nanos,
}

/// The requests of one route of one service, from their arrival to their answer.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct RouteRow {
    pub service: String,
    /// `POST /orders`; null for what met no route.
    pub route: Option<String>,
    #[serde(flatten)]
    pub numbers: Numbers,
    /// A trace with a request whose time is within 1 % of the p99, or the nearest to it. Not there without
    /// traces.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exemplar: Option<ExemplarRow>,
}

/// The runs of one job, from their beginning to their end.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct JobRow {
    pub service: String,
    pub job: String,
    /// Runs that were due and left out, as the one before went on.
    pub skipped: u64,
    /// Runs that had not ended when the run of simhost did.
    pub in_flight: u32,
    /// Of the runs that ended: those that failed are its errors.
    #[serde(flatten)]
    pub numbers: Numbers,
}

/// A trace that has a request of a row.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct ExemplarRow {
    pub trace_id: String,
    /// What that request took.
    pub took_ns: Nanos,
}

impl From<Exemplar> for ExemplarRow {
    fn from(exemplar: Exemplar) -> Self {
        Self { trace_id: exemplar.trace_id.to_string(), took_ns: exemplar.took }
    }
}

/// The requests of one service, and what its workers did.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct ServiceRow {
    pub service: String,
    pub replicas: u32,
    /// Of each replica.
    pub workers: u32,
    /// Requests that may wait at each replica.
    pub queue: u32,
    #[serde(flatten)]
    pub numbers: Numbers,
    /// The share of the workers' time, of all replicas, in which they had a request. This
    /// mean and the others over time are over the run's `duration_ns`.
    pub utilisation: f64,
    /// Requests that the workers had, on average over time.
    pub busy_mean: f64,
    /// For how long a worker had a request, on average.
    pub busy_ns: Nanos,
    /// Requests that waited for a worker, on average over time.
    pub waiting_mean: f64,
    /// The most that waited at one replica.
    pub waiting_max: u32,
    /// Requests that had to wait at all.
    pub waited: u64,
    /// The wait of the requests that a worker took, on average: nothing counts too.
    pub wait_mean_ns: Nanos,
    pub wait_p99_ns: Nanos,
    pub wait_max_ns: Nanos,
}

/// The calls from one service to another, as the caller sees them.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct LinkRow {
    /// Null for what came from outside of the topology.
    pub from: Option<String>,
    /// Null for what is no service of it: a foreign host, an unknown name.
    pub to: Option<String>,
    #[serde(flatten)]
    pub numbers: Numbers,
    /// Calls under way, on average over time.
    pub in_flight_mean: f64,
    /// The most calls that were under way at a time.
    pub in_flight_max: u64,
    /// Of the calls, the ones that the caller's own side refused before they were sent: the
    /// breaker was open, the bulkhead full, the deadline over, the callee unknown, the request
    /// invalid. They are among the errors, and have no time.
    pub unsent: u64,
    /// What the caller's policies did; not there where the link has none. Each
    /// attempt counts as a call of the link.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policies: Option<PolicyRow>,
}

/// What the policies of a link did, of all calling replicas together.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
pub struct PolicyRow {
    /// Attempts that followed another of the same call: retries and hedges.
    pub resends: u64,
    /// Retries that the budget forbade.
    pub withheld: u64,
    /// How often a breaker opened.
    pub opened: u64,
    /// Calls that got the fallback.
    pub fallbacks: u64,
}

/// The requests of one load, from the instant at which they were due.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct LoadRow {
    pub name: String,
    /// Requests that came due.
    pub requests: u64,
    /// Of those, the ones that had no answer at the end.
    pub in_flight: u32,
    /// Of those, the ones that were not sent, as too many were under way; they
    /// are among the errors, as `overload`.
    pub dropped: u64,
    /// From the run's start until the load began: nanoseconds.
    pub start_ns: Nanos,
    /// For how long it made requests: nanoseconds. It ends where its `for` or the run's
    /// does; with `max-requests`, when one more would have been due.
    pub duration_ns: Nanos,
    /// Of the requests, the ones that ended later than that.
    pub drained: u64,
    #[serde(flatten)]
    pub numbers: Numbers,
}

/// What a fault did.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct FaultRow {
    pub name: String,
    /// What it may match: `request or message`.
    #[serde(skip)]
    pub of: &'static str,
    /// Requests, messages and runs of jobs that met its target and its conditions while it was
    /// active; of a fault that strikes none of these: what it strikes, such as records.
    pub matched: u64,
    /// Of those, the ones that it struck.
    pub injected: u64,
    /// And the ones that it spared, by reason: `not-asked`, `fail-first`, `every-nth`, `probability`,
    /// `max-total`, `max-active`, `overridden`, `not-json`, `no-body`, `within-limit`, `no-room`.
    pub suppressed: BTreeMap<String, u64>,
    /// How often it has become active.
    pub windows: u64,
    /// Processes of replicas that it has ended.
    pub deaths: u64,
    /// The natural logarithm of the chance that its draws spare all that they have spared.
    #[serde(skip)]
    pub luck: f64,
}

/// A fault that struck nothing is no accident if its draws spare all that they have spared in
/// fewer runs than this share of them.
const UNLIKELY: f64 = 1e-3;

impl FaultRow {
    /// What a person should know: the run was no test of what the fault does. `name` is what
    /// the fault is called.
    pub fn warning(&self, name: &str) -> Option<String> {
        match self {
            Self { deaths: 1.., .. } => None,
            Self { matched: 0, windows: 0, .. } => {
                Some(format!("{name} was never active: its window did not open during the run"))
            }
            Self { matched: 0, of, .. } => Some(format!(
                "{name} matched nothing: no {of} met its target and conditions while it was active"
            )),
            Self { injected: 0, .. } => self.in_vain(name),
            _ => None,
        }
    }

    /// What has kept a fault from striking any of those that it matched, unless what it says of
    /// its chance explains that.
    fn in_vain(&self, name: &str) -> Option<String> {
        let reasons = Suppression::ALL.into_iter().filter_map(|why| {
            let count = *self.suppressed.get(why.name())?;
            Some(format!("{} {}", count, obstacle(why)?))
        });
        let mut reasons: Vec<_> = reasons.collect();
        if self.luck < libm::log(UNLIKELY) && self.suppressed.contains_key(Suppression::Probability.name()) {
            let share = UNLIKELY.recip();
            reasons.push(format!("its probability spares all of them in fewer than 1 of {share} runs"));
        }
        let matched = self.matched;
        (!reasons.is_empty())
            .then(|| format!("{name} matched {matched} and struck none: {}", reasons.join(", ")))
    }
}

/// What stands between a fault and those that it matches; none for what the fault itself says.
const fn obstacle(why: Suppression) -> Option<&'static str> {
    match why {
        Suppression::Overridden => Some("were struck by another fault before, or had no answer to strike"),
        Suppression::NotJson => Some("had no such value in a JSON body"),
        Suppression::NoBody => Some("had no body"),
        Suppression::WithinLimit => Some("were within the limit"),
        Suppression::NoRoom => Some("found no room, as too many spans were held back"),
        Suppression::NotAsked
        | Suppression::FailFirst
        | Suppression::EveryNth
        | Suppression::Probability
        | Suppression::MaxTotal
        | Suppression::MaxActive => None,
    }
}

impl Numbers {
    pub fn new(tally: &Tally, time: Nanos) -> Self {
        let errors = tally.errors.iter().map(|(kind, count)| (kind.to_string(), *count));
        Self {
            count: tally.count,
            rate: tally.rate(time),
            errors: tally.failed(),
            errors_by_type: errors.collect(),
            mean_ns: whole(tally.mean()),
            p50_ns: tally.quantile(0.5),
            p90_ns: tally.quantile(0.9),
            p95_ns: tally.quantile(0.95),
            p99_ns: tally.quantile(0.99),
            max_ns: tally.longest,
        }
    }

    /// What fails, and what is asked for most.
    pub const fn weight(&self) -> (u64, u64) {
        (self.errors, self.count)
    }
}

/// A mean time in whole nanoseconds.
fn whole(nanos: f64) -> Nanos {
    nanos.round() as Nanos
}

pub fn routes(accounts: &Accounts, time: Nanos) -> Vec<RouteRow> {
    let services = accounts.services.iter();
    let rows = services.flat_map(|service| service.routes().map(move |row| (service, row)));
    let rows = rows.map(|(service, (route, tally))| RouteRow {
        service: service.name.to_string(),
        route: route.map(ToString::to_string),
        numbers: Numbers::new(tally, time),
        exemplar: tally.exemplar(0.99).map(ExemplarRow::from),
    });
    rows.collect()
}

pub fn services(accounts: &Accounts, time: Nanos) -> Vec<ServiceRow> {
    let is_active = |service: &&ServiceAccount| service.inside.entered() + service.busy.entered() > 0;
    let active = accounts.services.iter().filter(is_active);
    active.map(|account| service(account, time)).collect()
}

fn service(account: &ServiceAccount, time: Nanos) -> ServiceRow {
    let capacity = account.capacity.unwrap_or_default();
    let held = account.busy.entered();
    let waits = account.waits.as_deref();
    let per_one = |time: u128| if held == 0 { 0 } else { whole(time as f64 / held as f64) };
    ServiceRow {
        service: account.name.to_string(),
        replicas: capacity.replicas,
        workers: capacity.workers,
        queue: capacity.queue,
        numbers: Numbers::new(&account.all(), time),
        utilisation: account.utilisation(time),
        busy_mean: account.busy.mean(time),
        busy_ns: per_one(account.busy.integral()),
        waiting_mean: account.waiting.mean(time),
        waiting_max: account.longest_queue,
        waited: waits.map_or(0, |waits| waits.count),
        wait_mean_ns: per_one(waits.map_or(0, |waits| waits.total)),
        wait_p99_ns: waits.map_or(0, |waits| wait_quantile(waits, held, 0.99)),
        wait_max_ns: waits.map_or(0, |waits| waits.longest),
    }
}

/// The quantile of the waits of all requests and jobs, `held` of them, of which those in `waits` were not
/// zero.
fn wait_quantile(waits: &Tally, held: u64, quantile: f64) -> Nanos {
    let at_once = held.saturating_sub(waits.count) as f64;
    let rank = quantile * held as f64;
    if rank <= at_once { 0 } else { waits.quantile((rank - at_once) / waits.count as f64) }
}

pub fn links(accounts: &Accounts, time: Nanos) -> Vec<LinkRow> {
    accounts.links().map(|(from, account)| link(accounts, from, account, time)).collect()
}

fn link(accounts: &Accounts, from: Option<ServiceId>, link: &LinkAccount, time: Nanos) -> LinkRow {
    let name = |id: ServiceId| accounts.services[id.index()].name.to_string();
    LinkRow {
        from: from.map(name),
        to: link.to.map(name),
        numbers: Numbers::new(&link.calls, time),
        in_flight_mean: link.under_way.mean(time),
        in_flight_max: link.under_way.most(),
        unsent: link.unsent,
        policies: link.policies.map(|PolicyAccount { resends, withheld, opened, fallbacks }| PolicyRow {
            resends,
            withheld,
            opened,
            fallbacks,
        }),
    }
}

pub fn loads(loads: Vec<(String, LoadStats)>) -> Vec<LoadRow> {
    let row = |(name, stats): (String, LoadStats)| LoadRow {
        name,
        requests: stats.started,
        in_flight: stats.in_flight,
        dropped: stats.dropped,
        start_ns: stats.start,
        duration_ns: stats.duration,
        drained: stats.drained,
        numbers: Numbers::new(&stats.tally, stats.duration),
    };
    loads.into_iter().map(row).collect()
}

pub fn jobs(jobs: Vec<JobStats>) -> Vec<JobRow> {
    let row = |stats: JobStats| JobRow {
        service: stats.service.to_string(),
        job: stats.job.to_string(),
        skipped: stats.skipped,
        in_flight: stats.in_flight,
        numbers: Numbers::new(&stats.tally, stats.duration),
    };
    jobs.into_iter().map(row).collect()
}

impl From<fault::Account> for FaultRow {
    fn from(account: fault::Account) -> Self {
        let reasons = Suppression::ALL.into_iter().zip(account.suppressed).filter(|(_, count)| *count > 0);
        Self {
            name: account.name,
            of: account.of,
            matched: account.matched,
            injected: account.injected,
            suppressed: reasons.map(|(reason, count)| (reason.name().to_owned(), count)).collect(),
            windows: account.windows,
            deaths: account.deaths,
            luck: account.luck,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_that_were_nothing_count_in_the_quantiles() {
        let mut waits = Tally::coarse();
        [10_000_000, 20_000_000].into_iter().for_each(|wait| waits.note(wait, None));
        let quantile = |held, quantile| wait_quantile(&waits, held, quantile) / 1_000_000;
        assert_eq!([quantile(100, 0.5), quantile(100, 0.98), quantile(100, 0.99)], [0, 0, 10]);
        assert_eq!([quantile(100, 1.0), quantile(2, 0.5), quantile(2, 0.51)], [20, 10, 20]);
    }
}
