//! What the SERVER span of a request says.

use std::sync::Arc;

use opentelemetry_semantic_conventions::attribute;

use crate::bus::spans::{self, OpenSpan};
use crate::bus::visit::{Hop, Visit};
use crate::telemetry::record::{Attributes, KeyValue, Text};

use super::routes::Route;
use super::{Arrival, CalleeSide};

impl CalleeSide {
    /// Begins the SERVER span of a request at a replica. `known` is the route whose path it meets.
    pub(super) fn server_span(&self, arrival: &Arrival<'_>, known: Option<&Route>) -> OpenSpan {
        self.host.recorder.opened();
        let visit = &*arrival.visit;
        let describe = || self.describe(visit, known);
        let (resource, now) = (arrival.replica.identity.resource, self.now());
        OpenSpan::server(&visit.trace, visit.span, visit.parent, resource, describe, now)
    }

    /// Name and attributes of a SERVER span.
    fn describe(&self, visit: &Visit, known: Option<&Route>) -> (Text, Attributes) {
        let request = &visit.request;
        let exact = known.filter(|route| route.method == request.method);
        // Of a call between services: the path, where it has parameters, and the status.
        let mut own = Vec::with_capacity(if exact.is_some() && !visit.is_outer() { 2 } else { 8 });
        let (name, shared) = match (exact, known) {
            (Some(route), _) => {
                let shared = if visit.is_outer() { &route.outer } else { &route.inner };
                (Text::Shared(Arc::clone(&route.name)), Some(Arc::clone(shared)))
            }
            (None, known) => {
                own.push(spans::method_attribute(&request.method));
                own.extend(spans::original_method(&request.method));
                own.push(KeyValue::new(attribute::URL_SCHEME, "http"));
                if !visit.is_outer() {
                    own.extend(spans::simulated_server(&self.node(visit.to).name));
                }
                let path = known.map(|route| &route.path);
                own.extend(path.map(|path| KeyValue::new(attribute::HTTP_ROUTE, Arc::clone(path))));
                (spans::name(&request.method, path.map(|path| &**path)), None)
            }
        };
        if exact.is_none_or(|route| !route.fixed) {
            own.push(KeyValue::new(attribute::URL_PATH, request.path().to_owned()));
        }
        own.extend(spans::query(request));
        let agent = spans::user_agent(request);
        let peer = match &visit.hop {
            Hop::FromOutside(client) => {
                own.extend(client.own.iter().cloned());
                client.shared.clone()
            }
            Hop::BetweenServices(client, _) if agent.is_some() => Some(Arc::clone(&client.as_client)),
            Hop::BetweenServices(client, _) => Some(Arc::clone(&client.as_client_with_agent)),
            Hop::ToRealServer(_) => None,
        };
        own.extend(agent);
        (name, Attributes { shared, peer, own })
    }
}
