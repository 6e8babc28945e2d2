//! What is measured of requests at replicas, and of these.

use std::sync::Arc;

use opentelemetry_semantic_conventions::attribute;

use crate::bus::measure::describe;
use crate::bus::replica_faults::ReplicaFaults;
use crate::bus::spans;
use crate::bus::visit::Hop;
use crate::message::Response;
use crate::metrics::{Ended, HttpVersion, Origin, RequestKey, Sizes};
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
    route: u32,
    method: u8,
    version: HttpVersion,
    /// Of its body: bytes.
    size: u32,
}

impl CalleeSide {
    /// What metrics have to know of a request before a worker has it.
    pub(in crate::bus) fn measured(&self, arrival: &Arrival<'_>) -> Option<Served> {
        self.host.metrics.as_ref()?;
        let route = match &arrival.met {
            Match::Found(route, _) => *route,
            Match::WrongMethod(_, route) => Some(*route),
            Match::NotFound => None,
        };
        let request = &arrival.visit.request;
        Some(Served {
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
    pub(in crate::bus) fn measure_begin(&self, arrival: &Arrival<'_>, served: Option<Served>) {
        let (Some(metrics), Some(Served { method, .. })) = (&self.host.metrics, served) else { return };
        let attributes =
            || [spans::numbered_method(method), KeyValue::new(attribute::URL_SCHEME, "http")].into();
        metrics.began(arrival.replica.identity.resource, method, attributes);
    }

    /// The worker has it no longer, and has computed this long for it.
    pub(in crate::bus) fn measure_end(&self, arrival: &Arrival<'_>, served: Option<Served>, computed: Nanos) {
        let (Some(metrics), Some(Served { method, .. })) = (&self.host.metrics, served) else { return };
        metrics.ended(arrival.replica.identity.resource, method, computed);
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
        let Served { route, method, version, size } = served;
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
        metrics.served(arrival.replica.identity.resource, key, attributes, ended);
    }

    /// The process of a replica has died, with what it has counted.
    pub(in crate::bus) fn measure_death(&self, faults: &ReplicaFaults) {
        let Some(metrics) = &self.host.metrics else { return };
        let now = self.now();
        self.at(faults).for_each(|at| metrics.died(at.identity.resource, faults.comes_up().max(now), now));
    }

    /// A fault has left a replica: perhaps somebody is there again.
    pub(in crate::bus) fn measure_return(&self, faults: &ReplicaFaults) {
        let Some(metrics) = &self.host.metrics else { return };
        let now = self.now();
        self.at(faults)
            .for_each(|at| metrics.comes_up(at.identity.resource, faults.comes_up().max(now), now));
    }

    /// A replica's process is to be there from now on, or is not. Where it ends at once, it leaves its
    /// metrics a last time.
    pub(in crate::bus) fn measure_deployment(&self, replica: &Replica, is_there: bool) {
        let Some(metrics) = &self.host.metrics else { return };
        let (of, now) = (replica.identity.resource, self.now());
        if !is_there {
            return metrics.retire(of);
        }
        if metrics.is_retiring(of) {
            metrics
                .collect(of, Some(replica.observed()), now, &mut |record| self.host.recorder.metric(record));
        }
        metrics.deploy(of, now);
    }
}
