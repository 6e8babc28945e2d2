//! The metrics that the core makes, compared with the spans and the report of the same run.

mod databases;
mod lives;
mod processes;
mod prometheus;
mod scrapes;
mod spans;

use std::collections::BTreeMap;

use simhost::clock::VIRTUAL_START;

use crate::support::metrics::{Exemplar, Point};
use crate::support::telemetry::Attributes;
use crate::support::{Run, World};

const SERVER: &str = "http.server.request.duration";
const CLIENT: &str = "http.client.request.duration";

const SECOND: u64 = 1_000_000_000;

/// `front`, which asks `back` 40 times in each second for 25 seconds; `back` has two replicas, and fails
/// some of the requests. Metrics are collected each 10 seconds.
fn callers(more: &str) -> World {
    let load = "[[load]]\nname = \"steady\"\nto = \"front\"\narrivals = { constant = \"40/s\" }\n\
                request = { path = \"/call?service=back&path=/spans\" }";
    let fault = "[[faults]]\nname = \"fails\"\nkind = \"error\"\nstatus = 503\nprobability = 0.2\n\
                 target = { service = \"back\" }\n\
                 [[faults]]\nname = \"slow\"\nkind = \"latency\"\ndelay = { exponential = { mean = \"60ms\" } }\n\
                 target = { service = \"back\" }";
    let world = World::of("probe", "").and("back", "probe", "replicas = 2");
    let world = world.with("[network]\nlatency = \"1ms\"").with(load).with(fault).with(more);
    world.measured(10_000).flags(&["--for", "25s", "--json"])
}

/// What tells the series of a run apart: service, instance and attributes.
type Of = (String, String, String);

fn of(service: &str, instance: &str, attributes: &Attributes) -> Of {
    (service.to_owned(), instance.to_owned(), serde_json::to_string(attributes).expect("attributes"))
}

/// The points of a metric, in their order.
fn of_metric(run: &Run, metric: &str) -> Vec<Point> {
    run.points().into_iter().filter(|point| point.metric == metric).collect()
}

/// The last point of each series of a metric.
fn last(run: &Run, metric: &str) -> BTreeMap<Of, Point> {
    let points = of_metric(run, metric).into_iter();
    points.map(|point| (of(&point.service, &point.instance, &point.attributes), point)).collect()
}

/// The points of a metric of a service, as instants since the beginning and values.
fn numbers(run: &Run, service: &str, metric: &str) -> Vec<(u64, f64)> {
    let points = of_metric(run, metric).into_iter().filter(|point| point.service == service);
    points.map(|point| (point.time - VIRTUAL_START, point.number())).collect()
}

fn exemplars(points: &[Point]) -> impl Iterator<Item = (&Point, &Exemplar)> {
    points.iter().flat_map(|point| point.exemplars.iter().map(move |exemplar| (point, exemplar)))
}
