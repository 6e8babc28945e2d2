//! What a run's report counts, while it runs.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::BTreeMap;

use crate::model::{Nanos, ServiceId};
use crate::tally::Tally;

/// Requests by the service that served them and by its route.
#[derive(Debug, Default)]
pub struct Stats(RefCell<BTreeMap<(ServiceId, Option<u32>), Tally>>);

impl Stats {
    /// Notes an answered request: the time from its arrival at the service to its
    /// answer, the queue included. One answered 5xx has failed.
    pub fn served(&self, service: ServiceId, route: Option<u32>, status: u16, took: Nanos) {
        let error = (status >= 500).then(|| Cow::Owned(status.to_string()));
        self.0.borrow_mut().entry((service, route)).or_default().note(took, error);
    }

    /// Everything so far, in the order of services and routes.
    pub fn snapshot(&self) -> Vec<((ServiceId, Option<u32>), Tally)> {
        self.0.borrow().iter().map(|(key, tally)| (*key, tally.clone())).collect()
    }
}
