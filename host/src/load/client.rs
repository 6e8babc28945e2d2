//! A load's side of a request: its CLIENT span, and the way to the service.

use std::cell::OnceCell;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;

use futures_util::future::{Either, FutureExt, LocalBoxFuture, select};
use opentelemetry_semantic_conventions::attribute;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::bus::spans::{ClientAttributes, Connection, OpenSpan, SYNTHETIC_AGENT, simulated_client};
use crate::bus::{Bus, Destination, Entry, External, OfClient, Received, RequestIdentity, Sent, address_of};
use crate::context::{Baggage, SpanContext, SpanId};
use crate::fault::{Entered, UnderWay};
use crate::guest::CallError;
use crate::guest::endpoint::Endpoint;
use crate::guest::scope::Caller;
use crate::message::Request;
use crate::metrics::HttpVersion;
use crate::model::{Load, Nanos, ServiceId};
use crate::rng::Key;
use crate::sched::Sleep;
use crate::telemetry::record::{KeyValue, ResourceId};
use crate::topic::Lineage;

/// Connections that a run's loads have to the ingress at a time, as each carries one request.
const CONNECTIONS: usize = 256;

/// How requests get to their service.
#[derive(Clone)]
pub enum Transport {
    /// As if the client were on the bus: no network, no latency.
    Bus,
    /// Over HTTP, through the ingress at `base` (`http://127.0.0.1:8001`).
    Ingress { client: Rc<dyn External>, base: String, connections: Arc<Semaphore> },
}

impl Transport {
    /// Through the ingress at `base`, which takes `most` connections.
    pub fn ingress(client: Rc<dyn External>, base: String, most: u32) -> Self {
        let connections = CONNECTIONS.min(most as usize);
        Self::Ingress { client, base, connections: Arc::new(Semaphore::new(connections)) }
    }
}

impl std::fmt::Debug for Transport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Bus => f.write_str("Bus"),
            Self::Ingress { base, .. } => f.debug_tuple("Ingress").field(base).finish(),
        }
    }
}

/// The client of one load.
pub struct Client {
    bus: Rc<Bus>,
    to: ServiceId,
    transport: Transport,
    user_agent: String,
    /// Where its requests come from, as if it were on the bus.
    endpoint: Rc<Endpoint>,
    /// What SERVER spans say of it.
    shown: OfClient,
    traced: Option<Traced>,
}

/// A request that was sent.
pub struct SentRequest {
    /// Its CLIENT span, if it has one.
    pub span: Option<Span>,
    /// Where its end is noted, if anybody keeps account.
    pub entered: Option<Entered>,
    /// Its response, or why there is none.
    pub answer: LocalBoxFuture<'static, Result<Received, CallError>>,
}

/// What the CLIENT spans of a load have in common.
struct Traced {
    resource: ResourceId,
    /// What comes before the path in `url.full`.
    base: String,
    attributes: ClientAttributes,
}

impl Client {
    /// `resource` is the load's own, if it has CLIENT spans.
    pub fn new(load: &Load, bus: &Rc<Bus>, transport: &Transport, resource: Option<ResourceId>) -> Self {
        let node = &bus.nodes()[load.to.index()];
        let traced = resource.map(|resource| {
            let base = match transport {
                Transport::Bus => node.base.clone(),
                Transport::Ingress { base, .. } => base.clone(),
            };
            let (address, port) = address_of(&base);
            let attributes = ClientAttributes::new(&address, port, Some(&node.name));
            Traced { resource, base, attributes }
        });
        let user_agent = format!("{SYNTHETIC_AGENT} ({})", load.name);
        let endpoint = Endpoint::new(bus.client_address(&load.name), user_agent.as_str().into());
        let is_test = vec![KeyValue::new(attribute::USER_AGENT_SYNTHETIC_TYPE, "test")];
        let shared = Some(simulated_client(&node.name, &endpoint, is_test));
        Self {
            bus: Rc::clone(bus),
            to: load.to,
            transport: transport.clone(),
            user_agent,
            endpoint: Rc::new(endpoint),
            shown: OfClient { shared, own: Vec::new(), version: HttpVersion::Http11 },
            traced,
        }
    }

    /// Sends a request that is due at `due`; `key` is who it is. After `patience`, in
    /// nanoseconds, nobody is interested: what is not sent until then never is.
    pub fn ask(&self, key: Key, mut request: Request, due: Nanos, patience: Option<Nanos>) -> SentRequest {
        if request.headers.get("user-agent").is_none() {
            request.headers.push("user-agent", self.user_agent.as_str());
        }
        let mut span = self.traced.as_ref().map(|traced| self.begin(traced, key, &mut request));
        let mut entered = None;
        let answer: LocalBoxFuture<'static, _> = match &self.transport {
            Transport::Bus => {
                let shown = self.shown.clone();
                let client = span.as_ref().map(|span| span.id);
                let entry =
                    Entry { to: self.to, request, shown, identity: RequestIdentity::Own(key), client };
                match self.bus.admit(entry) {
                    Ok(admitted) => {
                        if let Some(span) = &mut span {
                            span.sent.iter_mut().for_each(|sent| sent.version = HttpVersion::Http11);
                            span.span.iter_mut().for_each(|span| admitted.tell(span));
                        }
                        entered = admitted.client(due);
                        admitted
                            .serve()
                            .map(|outcome| outcome.map(|response| Received::from(&response)))
                            .boxed_local()
                    }
                    Err(refusal) => std::future::ready(Ok(Received::from(&refusal))).boxed_local(),
                }
            }
            Transport::Ingress { client, base, connections } => {
                let (client, base) = (Rc::clone(client), base.clone());
                let connections = Arc::clone(connections);
                let patience = patience.map(|nanos| self.bus.host().sched.sleep(nanos));
                let told = span.as_ref().map(|span| Rc::clone(&span.connection));
                Box::pin(async move {
                    let _one = connection(connections, patience).await?;
                    let exchange = client.send(&base, request).await?;
                    if let Some(told) = told {
                        told.set(exchange.connection).ok();
                    }
                    Ok(Received::from(&exchange.response))
                })
            }
        };
        SentRequest { span, entered, answer }
    }

    /// Notes a request that is not sent: `key` is who it would have been.
    pub fn unsent(&self, key: Key, request: impl FnOnce() -> Request, due: Nanos, why: &'static str) {
        self.bus.unsent(key, self.traced.is_some(), due, || (self.to, request()), why);
    }

    /// Begins a CLIENT span and says so to the callee.
    fn begin(&self, traced: &Traced, key: Key, request: &mut Request) -> Span {
        let trace = self.bus.begin(key, request);
        let id = trace.child_id(None, 0);
        let context = SpanContext {
            trace_id: trace.trace_id,
            span_id: id,
            flags: trace.flags,
            trace_state: trace.trace_state.clone(),
        };
        let caller = Caller {
            service: None,
            replica: 0,
            resource: traced.resource,
            endpoint: Rc::clone(&self.endpoint),
            trace,
            parent: None,
            within: None,
            span: id,
            baggage: Baggage::default(),
            depth: 0,
            lineage: Lineage::default(),
            deadline: None,
            hold: None,
            waiter: None,
        };
        let span = self.bus.open_client(&caller, request, &traced.base, &traced.attributes);
        let destination = match &self.transport {
            Transport::Bus => Destination::Service(self.to.0),
            Transport::Ingress { base, .. } => Destination::Base(base),
        };
        let sent = self.bus.sends(&caller, request, destination);
        request.headers.push("traceparent", context.traceparent());
        let under_way = self.bus.faults().ledger.calls(id, None);
        let bus = Rc::clone(&self.bus);
        Span { id, span: Some(span), sent, connection: Rc::default(), _under_way: under_way, bus }
    }
}

/// One of the connections, as soon as there is one.
///
/// # Errors
/// The client has lost its patience: it must not stand in line for ever, nor ask
/// for what nobody waits for.
async fn connection(
    connections: Arc<Semaphore>,
    patience: Option<Sleep>,
) -> Result<OwnedSemaphorePermit, CallError> {
    let acquiring = pin!(connections.acquire_owned());
    let acquired = match patience {
        None => acquiring.await,
        Some(patience) => match select(acquiring, patience).await {
            Either::Left((acquired, _)) => acquired,
            Either::Right(_) => return Err(CallError::Timeout),
        },
    };
    // It is never closed.
    acquired.map_err(|error| CallError::Reset(error.to_string()))
}

/// A CLIENT span that ends in every case: also when the run gives up on its request.
pub struct Span {
    id: SpanId,
    span: Option<OpenSpan>,
    /// What metrics have to know; none without metrics.
    sent: Option<Sent>,
    /// What becomes known of the connection to the ingress.
    connection: Rc<OnceCell<Connection>>,
    _under_way: Option<UnderWay>,
    bus: Rc<Bus>,
}

impl Span {
    /// Ends the span as its request has ended.
    pub fn conclude(mut self, outcome: &Result<Received, CallError>) {
        let Some(mut span) = self.span.take() else { return };
        if let Some(connection) = self.connection.get() {
            span.connected(*connection);
            self.sent.iter_mut().for_each(|sent| sent.version = HttpVersion::of(connection.version));
        }
        self.bus.measure_sent(self.sent, outcome.as_ref().copied().map_err(CallError::kind));
        match outcome {
            Ok(received) => span.respond(received.status),
            Err(error) => span.call_failed(error, self.bus.now(), self.bus.recorder()),
        }
        self.bus.record(span);
    }
}

impl Drop for Span {
    fn drop(&mut self) {
        if let Some(mut span) = self.span.take() {
            span.fail("cancelled");
            self.bus.measure_sent(self.sent, Err("cancelled"));
            self.bus.record(span);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use crate::sched::Sched;

    #[test]
    fn who_has_lost_patience_no_longer_waits_for_a_connection() {
        let sched = Sched::new(Clock::virtual_from(0));
        let connections = Arc::new(Semaphore::new(1));
        let world = sched.clone();
        let several = async move {
            let one = connection(Arc::clone(&connections), Some(world.sleep(5))).await;
            assert!(one.is_ok());
            let other = connection(Arc::clone(&connections), Some(world.sleep(5))).await;
            assert!(matches!(other, Err(CallError::Timeout)), "{other:?}");
            // The place in the line is given up as well: the next is served at once.
            drop(one);
            assert!(connection(connections, None).await.is_ok());
            world.now()
        };
        assert_eq!(sched.block_on(several, || {}), Ok(5));
    }
}
