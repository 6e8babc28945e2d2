//! What a fault does to each service: its numbers in the run with it and in the one without.

use std::collections::BTreeSet;

use crate::bus::stats::{Accounts, ServiceAccount};
use crate::fault::impact::{FaultImpact, ServiceRoute};
use crate::model::ServiceId;
use crate::truth::{Names, Role, ServiceChange, ServiceNumbers};

use super::super::world::Simulated;

/// The services whose numbers are others without a fault, which is `index` in the model.
pub fn changes(index: usize, with: &Simulated, without: &Simulated, names: &Names) -> Vec<ServiceChange> {
    let at = |of: fn(&FaultImpact) -> &BTreeSet<ServiceRoute>| -> BTreeSet<ServiceId> {
        let touched = with.seen.iter().filter_map(|seen| seen.touched.get(index));
        touched.flat_map(of).map(|(service, _)| *service).collect()
    };
    let (struck, upstream) = (at(|touched| &touched.struck), at(|touched| &touched.upstream));
    let below = below(&struck, [&with.accounts, &without.accounts]);
    let role = |id: &ServiceId| {
        if struck.contains(id) {
            Role::Struck
        } else if upstream.contains(id) {
            Role::Upstream
        } else if below.contains(id) {
            Role::Downstream
        } else {
            Role::Beside
        }
    };
    let pairs = with.accounts.services.iter().zip(&without.accounts.services);
    let pairs = pairs
        .enumerate()
        .map(|(index, (one, other))| (ServiceId(index as u32), numbers(one), numbers(other)));
    let changed = pairs.filter(|(_, one, other)| one != other);
    let change = |(id, with, without): (ServiceId, _, _)| ServiceChange {
        service: names.service(id).to_owned(),
        role: role(&id),
        with,
        without,
    };
    changed.map(change).collect()
}

/// What these services call in either run, directly or not.
fn below(services: &BTreeSet<ServiceId>, runs: [&Accounts; 2]) -> BTreeSet<ServiceId> {
    let links = runs.into_iter().flat_map(Accounts::links);
    let links: Vec<_> = links.filter_map(|(from, link)| from.zip(link.to)).collect();
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

fn numbers(account: &ServiceAccount) -> ServiceNumbers {
    let all = account.all();
    ServiceNumbers {
        requests: all.count,
        errors: all.failed(),
        mean_ms: all.mean() / 1e6,
        p95_ms: all.quantile(0.95) as f64 / 1e6,
        waited: account.waits.as_ref().map_or(0, |waits| waits.count),
        queue_max: account.longest_queue,
    }
}
