//! Names, workers and replicas of services.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::Nanos;
use crate::topology::WORKERS_AT_MOST;

use super::super::bounds::{MAX_REPLICAS, MAX_WORKERS};
use super::super::names::Names;
use super::super::system::System;
use super::Service;
use super::callees::Callees;

/// Workers for each request that was under way at the busiest moment, and the fewest: recorded times have
/// their waiting in them, so that a second queue would count it twice.
const HEADROOM: f64 = 2.0;
pub const FEWEST_WORKERS: u64 = 4;

/// Characters of a service's name: see `topology/address.rs`.
const NAME_AT_MOST: usize = 63;

#[derive(Debug)]
pub struct Sizes {
    /// By service.
    names: Vec<String>,
    /// Replicas, and workers of each.
    sizes: BTreeMap<u32, (u64, u64)>,
}

impl Sizes {
    pub fn of(system: &mut System, names: &Names, callees: &Callees, scale: f64) -> Self {
        let mut moments: BTreeMap<u32, Vec<(Nanos, i8)>> = BTreeMap::new();
        for (name, of) in &system.moments {
            moments.entry(callees.service(*name)).or_default().extend(of);
        }
        let mut lives: BTreeMap<u32, Vec<(Nanos, i8)>> = BTreeMap::new();
        for (instance, (first, last)) in &system.instances {
            let (service, _) = names.instances.get(*instance);
            // One nanosecond more: an instance that was seen once lived.
            lives.entry(*service).or_default().extend([(*first, 1), (last + 1, -1)]);
        }
        let size = |(service, mut of): (u32, Vec<(Nanos, i8)>)| {
            let replicas = lives.get_mut(&service).map_or(1, |lives| most(lives)).clamp(1, MAX_REPLICAS);
            let busy = most(&mut of) as f64 * scale * HEADROOM;
            let workers = libm::ceil(busy / replicas as f64) as u64;
            (service, (replicas, workers.clamp(FEWEST_WORKERS, MAX_WORKERS)))
        };
        let mut sizes: BTreeMap<u32, (u64, u64)> = moments.into_iter().map(size).collect();
        fit_into_a_run(&mut sizes);
        Self { names: topology_names(names, callees), sizes }
    }

    /// The names of all services in the topology.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(String::as_str)
    }

    /// The name of a service in the topology.
    pub fn name(&self, service: u32) -> &str {
        &self.names[service as usize]
    }

    /// A service, still without routes.
    pub fn service(&self, service: u32, names: &Names, callees: &Callees) -> Service {
        let (replicas, workers) = self.sizes.get(&service).copied().unwrap_or((1, FEWEST_WORKERS));
        let (name, recorded) = (self.name(service).to_owned(), names.services.get(service));
        Service {
            recorded: (*recorded != name).then(|| recorded.clone()),
            name,
            is_guessed: !callees.has_spans(service),
            version: names.versions[service as usize].clone(),
            replicas,
            workers,
            databases: BTreeSet::new(),
            caches: BTreeSet::new(),
            routes: Vec::new(),
        }
    }
}

/// No run has more than [`WORKERS_AT_MOST`] workers: all services get fewer by the same share, and then
/// fewer replicas.
fn fit_into_a_run(sizes: &mut BTreeMap<u32, (u64, u64)>) {
    let most = u64::from(WORKERS_AT_MOST);
    let sum = |sizes: &BTreeMap<u32, (u64, u64)>| -> u64 {
        sizes.values().map(|(replicas, workers)| replicas * workers).sum()
    };
    while sum(sizes) > most && sizes.values().any(|(replicas, workers)| replicas * workers > 1) {
        for (replicas, workers) in sizes.values_mut() {
            let larger = if *workers > 1 { workers } else { replicas };
            *larger = larger.div_ceil(2);
        }
    }
}

/// How many there were at the same time, at most.
pub fn most(moments: &mut [(Nanos, i8)]) -> u64 {
    moments.sort_unstable();
    let (mut now, mut most) = (0_i64, 0);
    for (_, change) in moments {
        now += i64::from(*change);
        most = most.max(now);
    }
    most as u64
}

/// Names that a topology takes, each once; nothing for what stands for another service.
fn topology_names(names: &Names, callees: &Callees) -> Vec<String> {
    let mut taken = BTreeSet::new();
    let mut name = |(number, recorded): (usize, &String)| {
        if callees.service(number as u32) != number as u32 {
            return String::new();
        }
        unique(recorded, "service", &mut taken)
    };
    names.services.iter().enumerate().map(&mut name).collect()
}

/// A name that a topology takes and that is not taken yet, as near as can be to what was recorded; `what`
/// stands where nothing is left of it.
pub fn unique(recorded: &str, what: &str, taken: &mut BTreeSet<String>) -> String {
    let kept = |c: char| match c.to_ascii_lowercase() {
        c if c.is_ascii_alphanumeric() || c == '-' || c == '_' => c,
        _ => '-',
    };
    let name: String = recorded.chars().map(kept).take(NAME_AT_MOST).collect();
    let name = name.trim_matches(['-', '_']);
    let name = if name.is_empty() { what } else { name };
    let (mut unique, mut number) = (name.to_owned(), 2);
    while !taken.insert(unique.clone()) {
        let end = format!("-{number}");
        let kept = &name[..name.len().min(NAME_AT_MOST - end.len())];
        unique = format!("{}{end}", kept.trim_end_matches(['-', '_']));
        number += 1;
    }
    unique
}
