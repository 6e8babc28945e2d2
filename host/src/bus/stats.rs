//! What a run's report counts, while it runs.

use std::cell::RefCell;
use std::collections::BTreeMap;

use hdrhistogram::Histogram;

use crate::model::{Nanos, ServiceId};

/// Requests by the service that served them and by its route.
#[derive(Debug, Default)]
pub struct Stats(RefCell<BTreeMap<(ServiceId, Option<u32>), Served>>);

/// The requests of one route.
#[derive(Clone, Debug)]
pub struct Served {
    /// Requests that were answered, with whatever status.
    pub count: u64,
    /// Of those, the ones answered 5xx.
    pub errors: u64,
    /// Time from the request's arrival at the service to its answer, the queue
    /// included: nanoseconds.
    pub latency: Histogram<u64>,
    /// The longest of them, exactly.
    pub longest: Nanos,
}

impl Served {
    /// The time that a share `quantile` (`0.0..=1.0`) of the requests did not exceed.
    pub fn quantile(&self, quantile: f64) -> Nanos {
        self.latency.value_at_quantile(quantile).min(self.longest)
    }
}

impl Stats {
    /// Notes an answered request.
    pub fn served(&self, service: ServiceId, route: Option<u32>, status: u16, took: Nanos) {
        let mut routes = self.0.borrow_mut();
        let served = routes.entry((service, route)).or_insert_with(|| Served {
            count: 0,
            errors: 0,
            // Three digits: the quantiles are within 0.1 %.
            latency: Histogram::new(3).expect("three significant digits are valid"),
            longest: 0,
        });
        served.count += 1;
        served.longest = served.longest.max(took);
        served.errors += u64::from(status >= 500);
        // It grows as it must; no time of a run is too long for it.
        served.latency.record(took).ok();
    }

    /// Everything so far, in the order of services and routes.
    pub fn snapshot(&self) -> Vec<((ServiceId, Option<u32>), Served)> {
        self.0.borrow().iter().map(|(key, served)| (*key, served.clone())).collect()
    }
}
