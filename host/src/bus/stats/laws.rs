//! What must be true of the counts when nothing is under way any more.

use crate::model::ServiceId;
use crate::tally::{Gauge, Tally};

use super::{Accounts, ServiceAccount};

/// A law that the counts break: a defect of simhost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// The service or link: `order-service`, `order-service -> payment-service`.
    pub place: String,
    /// What does not agree, with both numbers.
    pub what: String,
}

impl std::fmt::Display for Broken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.place, self.what)
    }
}

impl Accounts {
    /// The laws that the counts break, once every request has ended:
    ///
    /// - conservation: who arrived has left, who began to wait has stopped, every
    ///   call has ended, and every call that was sent has arrived, or is known to be lost;
    /// - Little's law, as an identity of whole nanoseconds: the number of requests
    ///   at a service, in its queue, in its workers and on a link, integrated over
    ///   time, is the sum of the times that the requests spent there.
    pub fn broken(&self) -> Vec<Broken> {
        let mut found = Found(Vec::new());
        for (index, service) in self.services.iter().enumerate() {
            self.of_service(ServiceId(index as u32), service, &mut found);
        }
        for (from, link) in self.links() {
            let place = format!("{} -> {}", self.caller(from), self.callee(link.to));
            let sent = link.calls.count - link.unsent;
            found.of_gauge(&place, "calls", &link.under_way, sent, link.calls.total);
        }
        found.0
    }

    fn of_service(&self, id: ServiceId, service: &ServiceAccount, found: &mut Found) {
        let name = &*service.name;
        found.of_tally(name, "requests", &service.inside, &service.all());
        let (waited, wait) = service.waits.as_ref().map_or((0, 0), |waits| (waits.count, waits.total));
        found.of_gauge(name, "waits in the queue", &service.waiting, waited, wait);
        found.of_gauge(name, "work of workers", &service.busy, service.worked, service.busy_time);
        let sent = self.links().filter(|(from, link)| from.is_some() && link.to == Some(id));
        let sent: u64 = sent.map(|(_, link)| link.sent).sum();
        let (came, arrived) = (sent + service.doubled, service.inner + service.lost);
        found.same(
            name,
            "calls sent to it, and calls that arrived or were lost",
            came.into(),
            arrived.into(),
        );
    }

    /// Who calls, for people.
    pub fn caller(&self, from: Option<ServiceId>) -> &str {
        from.map_or("(outside)", |id| &self.services[id.index()].name)
    }

    /// Who is called, for people.
    pub fn callee(&self, to: Option<ServiceId>) -> &str {
        to.map_or("(elsewhere)", |id| &self.services[id.index()].name)
    }
}

struct Found(Vec<Broken>);

impl Found {
    fn of_tally(&mut self, place: &str, what: &str, gauge: &Gauge, tally: &Tally) {
        self.of_gauge(place, what, gauge, tally.count, tally.total);
    }

    fn of_gauge(&mut self, place: &str, what: &str, gauge: &Gauge, ended: u64, time: u128) {
        let begun = gauge.entered();
        self.same(place, &format!("{what} begun, and ended"), begun.into(), ended.into());
        self.same(place, &format!("{what} still under way, and none"), gauge.level().into(), 0);
        let of_times = format!("{what}, their number over time, and their times together (ns)");
        self.same(place, &of_times, gauge.integral(), time);
    }

    fn same(&mut self, place: &str, what: &str, one: u128, other: u128) {
        if one != other {
            let what = format!("{what}: {one} is not {other}");
            self.0.push(Broken { place: place.to_owned(), what });
        }
    }
}
