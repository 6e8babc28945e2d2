//! How long a cache keeps the answers of a route, so that as many are found as were recorded.
//!
//! An entry is missed, made and kept for a time; then it is asked for again. While it is made, others miss it
//! too. The time for which it is kept follows from the rate at which one entry is asked for, and from the
//! share that is found.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::Nanos;

use super::super::names::Names;
use super::super::path;
use super::super::system::{Kept, System};
use super::callees::Callees;
use super::seconds;
use super::stores::Stores;

/// Values of a name in a path, unless a cache tells of fewer.
pub const VALUES: u64 = 1_000;

/// The part of the recorded time for which an entry is kept at most, where values can be fewer.
const OF_WINDOW: f64 = 0.05;

/// An entry is kept no shorter and no longer.
const SHORTEST: f64 = 1e-3;
const LONGEST: f64 = 86_400.0;

#[derive(Debug, Default)]
pub struct Keeping {
    /// How many values a name has in the paths of loads; [`VALUES`] where it is not here.
    values: BTreeMap<String, u64>,
    /// By route: nanoseconds.
    lasting: BTreeMap<u32, Nanos>,
}

impl Keeping {
    pub fn of(system: &System, names: &Names, callees: &Callees, stores: &Stores, scale: f64) -> Self {
        let mut keeping = Self::default();
        let window = seconds(system.last - system.first.unwrap_or(system.last)).max(1e-3);
        let kept: Vec<(u32, Kept)> =
            callees.written().filter_map(|route| Some((route, stores.plan(route)?.keeping?.1))).collect();
        let entries = callees.written().filter(|route| {
            system.routes[*route as usize].entries > 0 && callees.heard(*route, names).is_none()
        });
        let of_loads: BTreeSet<&str> =
            entries.flat_map(|route| path::parameters(&names.paths[route as usize])).collect();
        let rate = |kept: &Kept| kept.requests as f64 * scale / window;
        for (route, kept) in &kept {
            let parameters = || path::parameters(&names.paths[*route as usize]);
            let count = parameters().count() as f64;
            let entries = (OF_WINDOW * window * rate(kept) / odds(kept)).max(1.0);
            let each = libm::pow(entries, 1.0 / count.max(1.0)).clamp(1.0, VALUES as f64) as u64;
            for name in parameters().filter(|name| of_loads.contains(name)) {
                let known = keeping.values.entry(name.to_owned()).or_insert(VALUES);
                *known = each.min(*known);
            }
        }
        for (route, kept) in &kept {
            let entries: f64 = path::parameters(&names.paths[*route as usize])
                .map(|name| keeping.values(name) as f64)
                .product();
            keeping.lasting.insert(*route, (lasting(kept, entries / rate(kept)) * 1e3) as Nanos * 1_000_000);
        }
        keeping
    }

    /// How many values a name has.
    pub fn values(&self, name: &str) -> u64 {
        self.values.get(name).copied().unwrap_or(VALUES)
    }

    /// How long answers of a route are kept.
    pub fn lasting(&self, route: u32) -> Nanos {
        self.lasting.get(&route).copied().unwrap_or(0)
    }
}

/// How long an entry is kept that is asked for once in `interval`: seconds. From one miss to the next pass
/// the time to make it, the time for which it is kept, and an interval.
fn lasting(kept: &Kept, interval: f64) -> f64 {
    let misses = kept.misses.max(1) as f64;
    let making = kept.making as f64 / 1e9 / misses;
    let cycle = (interval + making) * kept.requests as f64 / misses;
    (cycle - making - interval).clamp(SHORTEST, LONGEST)
}

/// How many lookups find an entry for each that does not.
fn odds(kept: &Kept) -> f64 {
    (kept.requests - kept.misses) as f64 / kept.misses.max(1) as f64
}
