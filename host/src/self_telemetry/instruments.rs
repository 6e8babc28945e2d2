//! Its metrics: those of an SDK by the names of the conventions ("SDK metrics"), of the exporter that carries
//! the simulated services' records; and a few of the simulator's own.
//!
//! All but the durations are observable: they are read when they are exported, from counts that are kept in
//! any case.

use std::sync::{Arc, Mutex, PoisonError};

use opentelemetry::KeyValue;
use opentelemetry::metrics::Meter;
use opentelemetry_semantic_conventions::{attribute, metric};

use super::cores::{Core, Rates};
use crate::metrics::DURATIONS;
use crate::model::Protocol;
use crate::telemetry::exporter::{Account, REJECTED, Reason, Totals};
use crate::telemetry::otlp::{Endpoint, Endpoints};
use crate::telemetry::pipeline::Backlog;
use crate::telemetry::signal::{PerSignal, Signal};

/// What its metrics are read from.
#[derive(Debug)]
pub struct Sources {
    /// The account of the run's OTLP exporter, and where that sends records to.
    pub account: Arc<Account>,
    pub endpoints: Endpoints,
    /// Items that fit into the queue of each signal.
    pub queue: PerSignal<usize>,
    /// What waits before any exporter.
    pub backlog: Backlog,
    /// The threads of the worlds.
    pub cores: Vec<Arc<Core>>,
}

/// What the conventions call the metrics of one signal.
struct Names {
    /// In the types of components.
    component: &'static str,
    unit: &'static str,
    exported: &'static str,
    in_flight: &'static str,
    /// None of a signal that has no processor.
    queue: Option<QueueNames>,
}

/// What the conventions call the metrics of a processor with a queue.
struct QueueNames {
    size: &'static str,
    capacity: &'static str,
    processed: &'static str,
}

const fn names(signal: Signal) -> Names {
    match signal {
        Signal::Traces => Names {
            component: "span",
            unit: "{span}",
            exported: metric::OTEL_SDK_EXPORTER_SPAN_EXPORTED,
            in_flight: metric::OTEL_SDK_EXPORTER_SPAN_INFLIGHT,
            queue: Some(QueueNames {
                size: metric::OTEL_SDK_PROCESSOR_SPAN_QUEUE_SIZE,
                capacity: metric::OTEL_SDK_PROCESSOR_SPAN_QUEUE_CAPACITY,
                processed: metric::OTEL_SDK_PROCESSOR_SPAN_PROCESSED,
            }),
        },
        Signal::Logs => Names {
            component: "log",
            unit: "{log_record}",
            exported: metric::OTEL_SDK_EXPORTER_LOG_EXPORTED,
            in_flight: metric::OTEL_SDK_EXPORTER_LOG_INFLIGHT,
            queue: Some(QueueNames {
                size: metric::OTEL_SDK_PROCESSOR_LOG_QUEUE_SIZE,
                capacity: metric::OTEL_SDK_PROCESSOR_LOG_QUEUE_CAPACITY,
                processed: metric::OTEL_SDK_PROCESSOR_LOG_PROCESSED,
            }),
        },
        Signal::Metrics => Names {
            component: "metric",
            unit: "{data_point}",
            exported: metric::OTEL_SDK_EXPORTER_METRIC_DATA_POINT_EXPORTED,
            in_flight: metric::OTEL_SDK_EXPORTER_METRIC_DATA_POINT_INFLIGHT,
            queue: None,
        },
    }
}

/// Registers all instruments.
pub fn register(meter: &Meter, sources: Sources) {
    let Sources { account, endpoints, queue, backlog, cores } = sources;
    durations(meter, &account, &endpoints);
    for (signal, endpoint) in endpoints.iter() {
        if let Some(endpoint) = endpoint {
            exporter(meter, signal, endpoint, &account);
            processor(meter, signal, queue[signal], &account, &backlog);
        }
    }
    pipeline(meter, backlog);
    self::cores(meter, cores);
}

/// `otel.sdk.exporter.operation.duration`, of every request that ends.
fn durations(meter: &Meter, account: &Account, endpoints: &Endpoints) {
    let histogram = meter
        .f64_histogram(metric::OTEL_SDK_EXPORTER_OPERATION_DURATION)
        .with_unit("s")
        .with_description("The duration of exporting a batch of telemetry records.")
        .with_boundaries(DURATIONS.to_vec())
        .build();
    let components = PerSignal::from_fn(|signal| {
        endpoints[signal].as_ref().map(|endpoint| component(signal, endpoint)).unwrap_or_default()
    });
    account.traffic.watch(move |operation| {
        let mut attributes = components[operation.signal].clone();
        attributes.extend(operation.error.map(failed));
        histogram.record(operation.took.as_secs_f64(), &attributes);
    });
}

/// What has become of the items that the exporter was given.
fn exporter(meter: &Meter, signal: Signal, endpoint: &Endpoint, account: &Arc<Account>) {
    let Names { unit, exported, in_flight, .. } = names(signal);
    let attributes = component(signal, endpoint);
    let (own, of) = (Arc::clone(account), attributes.clone());
    meter
        .u64_observable_counter(exported)
        .with_unit(unit)
        .with_description("Items whose export has finished, either successfully or not.")
        .with_callback(move |to| {
            let totals = own.totals();
            to.observe(totals.exported[signal], &of);
            for (items, error) in failures(&totals, signal) {
                to.observe(items, &with(&of, failed(error)));
            }
        })
        .build();
    let own = Arc::clone(account);
    meter
        .i64_observable_up_down_counter(in_flight)
        .with_unit(unit)
        .with_description("Items that were passed to the exporter and whose export has not finished yet.")
        .with_callback(move |to| to.observe(number(own.traffic.in_flight()[signal]), &attributes))
        .build();
}

/// What waits for the exporter, and what found no room.
fn processor(meter: &Meter, signal: Signal, queue: usize, account: &Arc<Account>, backlog: &Backlog) {
    let Names { component, unit, queue: Some(QueueNames { size, capacity, processed }), .. } = names(signal)
    else {
        return;
    };
    let attributes = named(format!("batching_{component}_processor"));
    let (own, of) = (Arc::clone(account), attributes.clone());
    meter
        .i64_observable_up_down_counter(size)
        .with_unit(unit)
        .with_description("Items in the queue of the processor.")
        .with_callback(move |to| to.observe(number(own.traffic.waiting()[signal]), &of))
        .build();
    let of = attributes.clone();
    meter
        .i64_observable_up_down_counter(capacity)
        .with_unit(unit)
        .with_description("Items that the queue of the processor can hold.")
        .with_callback(move |to| to.observe(number(queue as u64), &of))
        .build();
    let (own, backlog) = (Arc::clone(account), backlog.clone());
    let full = Reason::QueueFull;
    meter
        .u64_observable_counter(processed)
        .with_unit(unit)
        .with_description("Items that were passed to the exporter, or dropped before.")
        .with_callback(move |to| {
            let unsent = own.totals().dropped.get(&full).map_or(0, |lost| lost.count[signal]);
            to.observe(own.traffic.set_out()[signal], &attributes);
            let dropped = unsent + backlog.dropped()[signal];
            if dropped > 0 {
                to.observe(dropped, &with(&attributes, failed(full.error_type())));
            }
        })
        .build();
}

/// What waits before any exporter.
fn pipeline(meter: &Meter, backlog: Backlog) {
    let of = backlog.clone();
    meter
        .i64_observable_up_down_counter("simhost.pipeline.queue.size")
        .with_unit("{record}")
        .with_description("Records that wait between the simulated world and the exporters.")
        .with_callback(move |to| to.observe(number(of.waiting() as u64), &[]))
        .build();
    meter
        .i64_observable_up_down_counter("simhost.pipeline.queue.capacity")
        .with_unit("{record}")
        .with_description("Records that can wait between the simulated world and the exporters.")
        .with_callback(move |to| to.observe(number(backlog.capacity() as u64), &[]))
        .build();
}

/// How busy the core threads are, and how fast simulated time passes.
fn cores(meter: &Meter, cores: Vec<Arc<Core>>) {
    let of = |number: usize| [KeyValue::new("simhost.shard", number as i64)];
    // One instrument asks the threads, before the other: their rates are those since they were asked last.
    let rates = Arc::new(Mutex::new(Vec::<Option<Rates>>::new()));
    let latest = Arc::clone(&rates);
    meter
        .f64_observable_gauge("simhost.core.utilisation")
        .with_unit("1")
        .with_description("Share of real time in which the thread of a world has computed.")
        .with_callback(move |to| {
            let now: Vec<_> = cores.iter().map(|core| core.rates()).collect();
            for (number, rates) in now.iter().enumerate() {
                if let Some(share) = rates.and_then(|rates| rates.utilisation) {
                    to.observe(share, &of(number));
                }
            }
            *latest.lock().unwrap_or_else(PoisonError::into_inner) = now;
        })
        .build();
    meter
        .f64_observable_gauge("simhost.time.ratio")
        .with_unit("1")
        .with_description("Simulated seconds in each real second.")
        .with_callback(move |to| {
            let rates = rates.lock().unwrap_or_else(PoisonError::into_inner);
            for (number, rates) in rates.iter().enumerate() {
                if let Some(rates) = rates {
                    to.observe(rates.time_ratio, &of(number));
                }
            }
        })
        .build();
}

/// The items that an exporter has taken and not got rid of well, each with its `error.type`.
fn failures(totals: &Totals, signal: Signal) -> Vec<(u64, &'static str)> {
    let dropped = totals.dropped.iter().filter(|(reason, _)| **reason != Reason::QueueFull);
    let dropped = dropped.map(|(reason, lost)| (lost.count[signal], reason.error_type()));
    let rejected = (totals.rejected.count[signal], REJECTED);
    std::iter::once(rejected).chain(dropped).filter(|(items, _)| *items > 0).collect()
}

/// The attributes of an exporter.
fn component(signal: Signal, endpoint: &Endpoint) -> Vec<KeyValue> {
    let protocol = match endpoint.protocol {
        Protocol::Grpc => "grpc",
        Protocol::HttpProtobuf => "http",
    };
    let mut attributes = named(format!("otlp_{protocol}_{}_exporter", names(signal).component));
    let host = endpoint.url.host_str().map(str::to_owned);
    attributes.extend(host.map(|host| KeyValue::new(attribute::SERVER_ADDRESS, host)));
    let port = endpoint.url.port_or_known_default();
    attributes.extend(port.map(|port| KeyValue::new(attribute::SERVER_PORT, i64::from(port))));
    attributes
}

/// The attributes of the first component of a type.
fn named(kind: String) -> Vec<KeyValue> {
    let name = format!("{kind}/0");
    vec![
        KeyValue::new(attribute::OTEL_COMPONENT_NAME, name),
        KeyValue::new(attribute::OTEL_COMPONENT_TYPE, kind),
    ]
}

fn failed(error: &'static str) -> KeyValue {
    KeyValue::new(attribute::ERROR_TYPE, error)
}

fn with(attributes: &[KeyValue], one: KeyValue) -> Vec<KeyValue> {
    attributes.iter().cloned().chain(std::iter::once(one)).collect()
}

fn number(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
