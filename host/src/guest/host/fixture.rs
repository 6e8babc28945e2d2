//! A worker's state without a guest, for tests of the interfaces.

use std::cell::{Cell, OnceCell, RefCell};
use std::net::Ipv4Addr;
use std::num::{NonZeroU64, NonZeroU128};
use std::rc::Rc;
use std::sync::Arc;

use futures_util::future::{FutureExt, LocalBoxFuture};

use super::state::{GuestState, Host};
use crate::cache::Caches;
use crate::clock::{Clock, VIRTUAL_START};
use crate::context::{Baggage, SpanContext, SpanId, TraceFlags, TraceId};
use crate::database::Databases;
use crate::guest::budget::UnderWay;
use crate::guest::endpoint::Endpoint;
use crate::guest::identity::Identity;
use crate::guest::scope::{Caller, Received, RequestScope, Trace, Visitor};
use crate::guest::{Asking, CallError, Outbound};
use crate::message::{Headers, Request, Response};
use crate::metrics::{Metrics, Settings};
use crate::model::{
    self, Cache, CacheSystem, Compute, Distribution, Limits, MessagingSystem, Nanos, Overflow, Retention,
    ServiceId,
};
use crate::process::Process;
use crate::rng::{Key, Purpose};
use crate::sched::Sched;
use crate::telemetry::env::SpanLimits;
use crate::telemetry::record::{Event, MetricRecord, ResourceId};
use crate::telemetry::recorder::Recorder;
use crate::telemetry::signal::Batch;
use crate::topic::{Delivered, Delivery, Fate, Lineage, Message, Topics};

/// A world without a bus, with room for one worker.
pub fn world(sched: &Sched, recorder: Recorder, metrics: Option<Metrics>) -> Rc<Host> {
    Rc::new(Host {
        sched: sched.clone(),
        recorder: Rc::new(recorder),
        metrics: metrics.map(Rc::new),
        span_limits: SpanLimits::default(),
        root: 1,
        permits: Cell::new(1),
        databases: Databases::default(),
        caches: caches(),
        topics: Topics::of(&[topic()], &[], 3, 0),
        outbound: OnceCell::new(),
    })
}

/// The cache `shared`, 200 us away, for whom 1 ms is too long to wait, and `slow`, for whom each answer is.
fn caches() -> Caches {
    let cache = |name: &str, there| Cache {
        name: name.to_owned(),
        system: CacheSystem::Redis,
        memory: 1 << 20,
        entries: 100,
        latency: Distribution::Fixed(there),
        timeout: Some(1_000_000),
        single_flight: None,
        place: 0..0,
    };
    Caches::of([cache("shared", 200_000), cache("slow", 600_000)], vec![vec![0, 1]])
}

/// The topic `letters`, which takes two messages of 100 bytes.
fn topic() -> model::Topic {
    model::Topic {
        name: "letters".to_owned(),
        system: MessagingSystem::Kafka,
        broker: "kafka".to_owned(),
        partitions: 1,
        publish: Distribution::Fixed(7_000),
        message_size: 100,
        retain: Retention { messages: 2, bytes: 1_000, age: None },
        overflow: Overflow::Refuse,
        place: 0..0,
    }
}

/// The one replica of the service `front`, with this configuration.
pub fn replica(sched: &Sched, config: &[(&str, &str)]) -> Rc<Identity> {
    let pairs = config.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    Rc::new(Identity {
        service: ServiceId(0),
        name: "front".to_owned(),
        replica: 0,
        process: Process::new(sched, false),
        resource: ResourceId(0),
        endpoint: Rc::new(Endpoint::new(Ipv4Addr::LOCALHOST, "simhost".into())),
        config: pairs.collect(),
        environment: Vec::new(),
        compute: Compute::NONE,
        limits: Limits::default(),
        preparing: 0,
        under_way: UnderWay::new(1 << 20, 1),
        memory: Arc::default(),
        pool: Rc::default(),
    })
}

/// A worker of the service `front`, and the world around it.
pub struct Fixture {
    pub state: GuestState,
    pub sched: Sched,
    host: Rc<Host>,
    records: Rc<RefCell<Batch>>,
}

impl Fixture {
    /// One that serves no request, with this configuration.
    pub fn idle(config: &[(&str, &str)]) -> Self {
        Self::new(config, None)
    }

    /// One that serves no request, in a world with metrics.
    pub fn measured() -> Self {
        Self::new(&[], Some(Metrics::new(Settings::default(), 1, ResourceId(0), VIRTUAL_START)))
    }

    fn new(config: &[(&str, &str)], metrics: Option<Metrics>) -> Self {
        let sched = Sched::new(Clock::virtual_from(VIRTUAL_START));
        let records: Rc<RefCell<Batch>> = Rc::default();
        let into = Rc::clone(&records);
        let recorder = Recorder::new(move |batch| {
            let mut records = into.borrow_mut();
            records.append(batch);
        });
        let host = world(&sched, recorder, metrics);
        let identity = replica(&sched, config);
        Self { state: GuestState::new(&host, &identity, 0), sched, host, records }
    }

    /// One that serves `POST /stock/book?verbose=1` with a header and a body.
    pub fn serving() -> Self {
        Self::idle(&[]).with_request()
    }

    /// The same with this request, whatever it is without it.
    pub fn with_request(self) -> Self {
        let mut fixture = self;
        let request = Request {
            method: "POST".to_owned(),
            target: "/stock/book?verbose=1".to_owned(),
            headers: Headers(vec![("x-tier".to_owned(), "gold".to_owned())]),
            body: b"two".to_vec(),
        };
        let visitor = Visitor {
            from: None,
            slot: None,
            attempt: 0,
            trace: Trace {
                trace_id: TraceId(NonZeroU128::MIN),
                flags: TraceFlags(TraceFlags::SAMPLED),
                trace_state: None,
                recording: true,
                key: Key::new(1, Purpose::Guest),
            },
            server: SpanId(NonZeroU64::MIN),
            baggage: Baggage::default(),
            depth: 0,
            lineage: Lineage::default(),
            context: None,
            agent: None,
            deadline: None,
        };
        let params = vec![("item".to_owned(), "book".to_owned())];
        let local = fixture.state.local.get_mut();
        let budget = Rc::clone(&local.budget);
        local.output.begin(10);
        local.scope = Some(Box::new(RequestScope::new(visitor, request, params, 10, budget)));
        local.note_current();
        fixture
    }

    /// One that has messages with these bodies, and a header.
    pub fn receiving(bodies: &[&str]) -> Self {
        let fixture = Self::serving();
        let local = fixture.state.local.get();
        let trace = &local.scope.as_ref().expect("it serves a request").trace;
        let message = |body: &&str| Message {
            key: None,
            headers: Headers(vec![("x-tier".to_owned(), "gold".to_owned())]),
            body: body.as_bytes().to_vec(),
            context: SpanContext {
                trace_id: trace.trace_id,
                span_id: SpanId(NonZeroU64::MIN),
                flags: trace.flags,
                trace_state: None,
            },
            baggage: Baggage::default(),
            trace: trace.key,
            draws: trace.key,
            depth: 1,
            lineage: Lineage::default(),
        };
        let delivered =
            |body| Delivered { message: Rc::new(message(body)), published: 0, copy: 0, fate: None };
        let records = bodies.iter().map(delivered).collect();
        let delivery = Rc::new(Delivery::again(records, (3, 7), 2));
        let (topic, group) = ("order-events".to_owned(), "mail".to_owned());
        let mut fixture = fixture;
        let scope = &mut fixture.state.local.get_mut().scope;
        *scope = scope.take().map(|scope| Box::new(scope.with(Received { topic, group, delivery })));
        fixture
    }

    /// Answers every call of the worker with `answer`.
    pub fn with_answer(self, answer: Result<u16, CallError>) -> Self {
        assert!(self.host.outbound.set(Rc::new(Echo(answer))).is_ok());
        self
    }

    /// What the guest owes for the host's work since this was last asked.
    pub fn owes(&self) -> u64 {
        self.state.env.bill.settle()
    }

    /// What has been recorded.
    pub fn recorded(&self) -> Batch {
        self.host.recorder.flush();
        self.records.take()
    }

    /// What has been measured.
    pub fn collected(&self) -> Vec<MetricRecord> {
        let mut records = Vec::new();
        if let Some(metrics) = &self.host.metrics {
            metrics.collect(ResourceId(0), None, self.sched.now(), &mut |record| records.push(record));
        }
        records
    }
}

/// A world in which each call has the same answer.
struct Echo(Result<u16, CallError>);

impl Outbound for Echo {
    fn call(
        &self,
        _: Caller,
        service: String,
        _: Request,
        _: Option<Nanos>,
        _: Nanos,
    ) -> LocalBoxFuture<'static, Result<Response, CallError>> {
        let answer = self.0.clone();
        let response = |status| Response { status, headers: Headers::default(), body: service.into_bytes() };
        std::future::ready(answer.map(response)).boxed_local()
    }

    fn waits(&self, _: ServiceId) {}

    fn begun(
        &self,
        _: &RequestScope,
        _: &Identity,
        _: &str,
        _: SpanId,
        _: Nanos,
    ) -> Option<LocalBoxFuture<'static, Vec<Event>>> {
        None
    }

    fn strikes(&self, _: usize, _: &Asking, _: Option<Nanos>) {}

    fn publishes(&self, _: (usize, u32), _: &Message, _: &Asking) -> Option<Fate> {
        None
    }
}
