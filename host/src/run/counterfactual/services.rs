//! What a fault does to each service: its numbers in the run with it and in the one without.

use std::collections::BTreeSet;

use crate::fault::impact::{FaultImpact, ServiceRoute};
use crate::model::{Model, ServiceId};
use crate::topic::GroupCounts;
use crate::truth::{Both, MessageNumbers, Names, Role, RunNumbers, ServiceChange, ServiceNumbers};

use super::super::world::Simulated;

/// The services whose numbers are others without a fault, which is `index` in the model. The runs are the
/// one with it and the one without.
pub fn changes(
    index: usize,
    model: &Model,
    [with, without]: [&Simulated; 2],
    names: &Names,
) -> Vec<ServiceChange> {
    let at = |of: fn(&FaultImpact) -> &BTreeSet<ServiceRoute>| -> BTreeSet<ServiceId> {
        let touched = with.seen.iter().filter_map(|seen| seen.touched.get(index));
        touched.flat_map(of).map(|(service, _)| *service).collect()
    };
    let (struck, upstream) = (at(|touched| &touched.struck), at(|touched| &touched.upstream));
    let runs = [with, without];
    let calls = calls(runs);
    let leads_to_struck = |id: ServiceId| !struck.is_disjoint(&below(&[id].into(), &calls));
    let downstream = below(&struck, &[&calls[..], &consumed(model, runs)].concat());
    let role = |id: &ServiceId, is_by_jobs: bool| {
        if struck.contains(id) {
            Role::Struck
        } else if upstream.contains(id) || is_by_jobs && leads_to_struck(*id) {
            Role::Upstream
        } else if downstream.contains(id) {
            Role::Downstream
        } else {
            Role::Beside
        }
    };
    let all = (0..with.accounts.services.len() as u32).map(ServiceId);
    let pairs = all.map(|id| (id, numbers(id, model, with), numbers(id, model, without)));
    let changed = pairs.filter(|(_, one, other)| one != other);
    // No request is above the calls of a job, by which a strike below it would count for its service.
    let change = |(id, with, without): (ServiceId, ServiceNumbers, ServiceNumbers)| ServiceChange {
        service: names.service(id).to_owned(),
        role: role(&id, with.runs != without.runs),
        with,
        without,
    };
    changed.map(change).collect()
}

/// The largest lag of each group in both runs, in the order of the subscriptions.
pub fn lags(model: &Model, [with, without]: [&Simulated; 2]) -> Vec<Both> {
    let most = |run: &Simulated, place| counts(model, run, place).map_or(0, |counts| counts.largest_lag);
    let both = |place| Both { with: most(with, place), without: most(without, place) };
    (0..model.subscriptions.len()).map(both).collect()
}

/// What was counted of a group.
fn counts<'a>(model: &Model, run: &'a Simulated, place: usize) -> Option<&'a GroupCounts> {
    let of = &model.subscriptions[place];
    let group = run.topics.get(of.topic)?.groups.iter().find(|group| group.group == of.group)?;
    Some(&group.counts)
}

/// Which service calls which, in either run.
fn calls(runs: [&Simulated; 2]) -> Vec<(ServiceId, ServiceId)> {
    let links = runs.into_iter().flat_map(|run| run.accounts.links());
    links.filter_map(|(from, link)| from.zip(link.to)).collect()
}

/// Which service sends messages that another consumes, in either run.
fn consumed(model: &Model, runs: [&Simulated; 2]) -> Vec<(ServiceId, ServiceId)> {
    let senders = runs.into_iter().flat_map(|run| &run.seen).flat_map(|seen| &seen.senders);
    let consumers = senders.flat_map(|(topic, sender)| {
        let groups = model.subscriptions.iter().filter(move |of| of.topic == *topic);
        groups.map(move |of| (*sender, of.service))
    });
    consumers.collect()
}

/// These services, and all that the links lead to from them, directly or not.
fn below(services: &BTreeSet<ServiceId>, links: &[(ServiceId, ServiceId)]) -> BTreeSet<ServiceId> {
    let mut known = services.clone();
    loop {
        let more: Vec<_> =
            links.iter().filter(|(from, to)| known.contains(from) && !known.contains(to)).collect();
        if more.is_empty() {
            return known;
        }
        known.extend(more.into_iter().map(|(_, to)| *to));
    }
}

fn numbers(id: ServiceId, model: &Model, run: &Simulated) -> ServiceNumbers {
    let account = &run.accounts.services[id.index()];
    let all = account.all();
    ServiceNumbers {
        requests: all.count,
        errors: all.failed(),
        mean_ms: all.mean() / 1e6,
        p95_ms: all.quantile(0.95) as f64 / 1e6,
        waited: account.waits.as_ref().map_or(0, |waits| waits.count),
        queue_max: account.longest_queue,
        messages: messages(id, model, run),
        runs: runs(id, model, run),
    }
}

/// None of a service that consumes nothing.
fn messages(id: ServiceId, model: &Model, run: &Simulated) -> Option<MessageNumbers> {
    let groups = model.subscriptions.iter().enumerate().filter(|(_, of)| of.service == id);
    let groups: Vec<_> = groups.filter_map(|(place, _)| counts(model, run, place)).collect();
    let of_each = groups.iter().filter_map(|counts| counts.ages.as_deref().cloned());
    let ages = of_each.reduce(|mut all, of| {
        all.merge(&of);
        all
    });
    (!groups.is_empty()).then(|| MessageNumbers {
        delivered: groups.iter().map(|counts| counts.delivered).sum(),
        done: groups.iter().map(|counts| counts.done).sum(),
        given_up: groups.iter().map(|counts| counts.rejected + counts.exhausted).sum(),
        age_mean_ms: ages.as_ref().map_or(0.0, |ages| ages.mean() / 1e6),
        age_p95_ms: ages.as_ref().map_or(0.0, |ages| ages.quantile(0.95) as f64 / 1e6),
    })
}

/// None of a service without schedules.
fn runs(id: ServiceId, model: &Model, run: &Simulated) -> Option<RunNumbers> {
    let name = &model.service(id).name;
    let jobs: Vec<_> = run.jobs.iter().filter(|job| *job.service == **name).collect();
    let first = jobs.first()?;
    let mut all = first.tally.clone();
    jobs[1..].iter().for_each(|job| all.merge(&job.tally));
    Some(RunNumbers {
        ended: all.count,
        failed: all.failed(),
        skipped: jobs.iter().map(|job| job.skipped).sum(),
        mean_ms: all.mean() / 1e6,
        p95_ms: all.quantile(0.95) as f64 / 1e6,
    })
}
