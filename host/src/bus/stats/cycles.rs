//! Services whose calls lead back to them, as far as they have called so far.

use crate::model::ServiceId;

use super::{Accounts, Stats};

impl Stats {
    /// Whether calls of this service have led, over others or not, back to itself.
    pub fn is_in_cycle(&self, service: ServiceId) -> bool {
        let accounts = self.accounts.borrow();
        accounts.as_ref().is_some_and(|accounts| accounts.services[service.index()].in_cycle)
    }

    /// All services of which that is true, in their order.
    pub fn cycles(&self) -> Vec<ServiceId> {
        self.accounts.borrow().as_ref().map(|accounts| accounts.cycles.clone()).unwrap_or_default()
    }
}

impl Accounts {
    /// A service has called another for the first time: notes the cycles that this closes.
    pub(super) fn close_cycles(&mut self, from: ServiceId, to: ServiceId) {
        let below = self.reached(to, |id| self.callees(id));
        if !below[from.index()] {
            return;
        }
        let mut callers = vec![Vec::new(); self.services.len()];
        for id in (0..self.services.len() as u32).map(ServiceId) {
            self.callees(id).for_each(|callee| callers[callee.index()].push(id));
        }
        let above = self.reached(from, |id| callers[id.index()].iter().copied());
        for (service, is_in) in self.services.iter_mut().zip(below.into_iter().zip(above)) {
            service.in_cycle |= is_in.0 && is_in.1;
        }
        let ids = (0..).map(ServiceId).zip(&self.services);
        self.cycles = ids.filter(|(_, service)| service.in_cycle).map(|(id, _)| id).collect();
    }

    fn callees(&self, id: ServiceId) -> impl Iterator<Item = ServiceId> {
        self.callers[id.index()].iter().filter_map(|link| link.to)
    }

    /// The services to which steps lead from `start`, itself included.
    fn reached<I: Iterator<Item = ServiceId>>(
        &self,
        start: ServiceId,
        step: impl Fn(ServiceId) -> I,
    ) -> Vec<bool> {
        let mut reached = vec![false; self.services.len()];
        let mut next = vec![start];
        while let Some(id) = next.pop() {
            if !std::mem::replace(&mut reached[id.index()], true) {
                next.extend(step(id));
            }
        }
        reached
    }
}
