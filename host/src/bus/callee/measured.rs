//! What is measured of requests at replicas, and of these.

use std::sync::Arc;

use opentelemetry_semantic_conventions::attribute;

use crate::bus::measure::describe;
use crate::bus::replica_faults::ReplicaFaults;
use crate::bus::spans;
use crate::bus::visit::Hop;
use crate::message::Response;
use crate::metrics::{Change, Ended, HttpVersion, Incarnation, Origin, RequestKey, Sizes};
use crate::model::Nanos;
use crate::telemetry::record::KeyValue;

use super::replica::Replica;
use super::routes::Match;
use super::{Arrival, CalleeSide};

/// Stands for no route in a [`RequestKey`].
const NO_ROUTE: u32 = u32::MAX;

/// A request at a replica, as far as metrics tell it from others.
#[derive(Clone, Copy, Debug)]
pub(in crate::bus) struct Served {
    /// Whose it is.
    pub of: Incarnation,
    route: u32,
    method: u8,
    version: HttpVersion,
    /// Of its body: bytes.
    size: u32,
}

impl CalleeSide {
    /// What metrics have to know of a request before a worker has it.
    pub(in crate::bus) fn measured(&self, arrival: &Arrival<'_>) -> Option<Served> {
        let metrics = self.host.metrics.as_ref()?;
        let route = match &arrival.met {
            Match::Found(route, _) => *route,
            Match::WrongMethod(_, route) => Some(*route),
            Match::NotFound => None,
        };
        let request = &arrival.visit.request;
        Some(Served {
            of: metrics.incarnation(arrival.replica.identity.resource),
            route: route.unwrap_or(NO_ROUTE),
            method: spans::method_number(&request.method),
            version: match &arrival.visit.hop {
                Hop::FromOutside(client) => client.version,
                Hop::BetweenServices(..) | Hop::ToRealServer(_) => HttpVersion::Http11,
            },
            size: request.body.len() as u32,
        })
    }

    /// A worker has the request.
    pub(in crate::bus) fn measure_begin(&self, served: Option<Served>) {
        let (Some(metrics), Some(Served { of, method, .. })) = (&self.host.metrics, served) else { return };
        let attributes =
            || [spans::numbered_method(method), KeyValue::new(attribute::URL_SCHEME, "http")].into();
        metrics.began(of, method, attributes);
    }

    /// The worker no longer has the request, and has computed this long for it.
    pub(in crate::bus) fn measure_end(&self, served: Option<Served>, computed: Nanos) {
        let (Some(metrics), Some(Served { of, method, .. })) = (&self.host.metrics, served) else { return };
        metrics.ended(of, method, computed);
    }

    /// The request is answered, and its SERVER span began at `since`.
    pub(in crate::bus) fn measure(
        &self,
        arrival: &Arrival<'_>,
        served: Option<Served>,
        since: Nanos,
        response: &Response,
        error: Option<&'static str>,
    ) {
        let (Some(metrics), Some(served)) = (&self.host.metrics, served) else { return };
        let Served { of, route, method, version, size } = served;
        let status = response.status;
        let key = RequestKey { place: route, method, version, status, error };
        let attributes = || {
            let mut attributes =
                vec![spans::numbered_method(method), KeyValue::new(attribute::URL_SCHEME, "http")];
            if route != NO_ROUTE {
                let path = Arc::clone(&arrival.set.routes.get(route).path);
                attributes.push(KeyValue::new(attribute::HTTP_ROUTE, path));
            }
            describe(&mut attributes, &key, 500);
            attributes.into()
        };
        let sizes = Sizes { request: size.into(), response: Some(response.body.len() as u64) };
        let now = self.now();
        let trace = &arrival.visit.trace;
        let origin = Origin {
            trace_id: trace.trace_id,
            span_id: arrival.visit.span,
            is_sampled: trace.recording,
            time: now,
        };
        let sizes = metrics.settings().body_sizes.then_some(sizes);
        let ended = Ended { took: now - since, sizes, origin };
        metrics.served(of, key, attributes, ended);
    }

    /// The process of a replica has died, with what it has counted.
    pub(in crate::bus) fn measure_death(&self, faults: &ReplicaFaults) {
        self.measure_life(faults, Change::Died(self.comes_up(Some(faults))));
    }

    /// A fault no longer has a replica, so a process may come up there.
    pub(in crate::bus) fn measure_return(&self, faults: &ReplicaFaults) {
        self.measure_life(faults, Change::Returns(self.comes_up(Some(faults))));
    }

    /// Something happens to the processes of all releases at a replica.
    fn measure_life(&self, faults: &ReplicaFaults, change: Change) {
        let Some(metrics) = &self.host.metrics else { return };
        self.at(faults).for_each(|at| metrics.change(at.identity.resource, change, self.now()));
    }

    /// A deployment has put a replica's process here, or another in its place. One that comes back is
    /// another process, unless the earlier one is not done yet: if it is, it leaves its points a last time.
    pub(in crate::bus) fn measure_deployment(&self, replica: &Replica, is_deployed: bool) {
        let Some(metrics) = &self.host.metrics else { return };
        let (of, now) = (replica.identity.resource, self.now());
        if !is_deployed {
            return metrics.change(of, Change::Replaced, now);
        }
        if metrics.is_retiring(of, now) {
            metrics
                .collect(of, Some(replica.observed()), now, &mut |record| self.host.recorder.metric(record));
        }
        metrics.change(of, Change::Deployed(self.comes_up(replica.faults().map(|faults| &**faults))), now);
    }

    /// When a process comes up at a replica that has these faults: now, unless one keeps its address empty.
    pub(super) fn comes_up(&self, faults: Option<&ReplicaFaults>) -> Nanos {
        faults.map_or(0, ReplicaFaults::comes_up).max(self.now())
    }
}
