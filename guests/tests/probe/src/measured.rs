//! Instruments.

use simhost_sdk::metrics::{Counter, meter};
use simhost_sdk::prelude::*;
use simhost_sdk::{Attribute, AttributeValue};
use std::sync::LazyLock;

static STATIC: LazyLock<Counter<u64>> = LazyLock::new(|| meter().u64_counter("probe.static").build());

pub fn measure() -> &'static str {
    STATIC.add(1, []);
    let counter = meter().u64_counter("probe.counter").with_unit("{thing}").with_description("Things");
    let counter = counter.build();
    counter.add(2, attributes!["probe.kind" => "a", "probe.number" => 1]);
    let span = Span::start("measuring");
    counter.add(3, attributes!["probe.number" => 1, "probe.kind" => "a"]);
    counter.add(4, attributes!["probe.kind" => "b"]);
    let sizes = meter().u64_histogram("probe.size").with_unit("By").with_boundaries([1.0, 10.0]).build();
    for size in [1, 2, 10, 11, 4] {
        sizes.record(size, []);
    }
    drop(span);
    meter().f64_counter("probe.fractions").build().add(0.5, []);
    let open = meter().i64_up_down_counter("probe.open").build();
    open.add(5, []);
    open.add(-7, []);
    meter().f64_up_down_counter("probe.drift").build().add(-0.25, []);
    let gauge = meter().f64_gauge("probe.temperature").with_unit("Cel").build();
    gauge.record(20.5, []);
    gauge.record(-1.5, []);
    meter().i64_gauge("probe.level").build().record(-3, []);
    meter().f64_histogram("probe.duration").with_unit("ms").build().record(60.0, []);
    "measured"
}

pub fn misuse() -> &'static str {
    let counter = meter().u64_counter("probe.counter").with_unit("{thing}").build();
    counter.add(1, []);
    meter().u64_counter("probe.counter").with_unit("s").build().add(1, []);
    meter().u64_gauge("probe.counter").with_unit("{thing}").build().record(1, []);
    meter().f64_counter("probe.counter").with_unit("{thing}").build().add(1.0, []);
    meter().u64_counter("1st").build().add(1, []);
    meter().u64_counter("probe.unit").with_unit(&"u".repeat(64)).build().add(1, []);
    meter().u64_counter("probe.description").with_description(&"d".repeat(1024)).build().add(1, []);
    meter().f64_histogram("probe.bounds").with_boundaries([2.0, 1.0]).build().record(1.0, []);
    let fractions = meter().f64_counter("probe.fractions").build();
    for value in [f64::NAN, f64::INFINITY, -0.5, 2.5] {
        fractions.add(value, []);
    }
    meter().f64_gauge("probe.temperature").build().record(f64::NEG_INFINITY, []);
    let many: Vec<Attribute> =
        (0..129).map(|number| (format!("probe.{number}"), AttributeValue::Int(number))).collect();
    counter.add(1, many);
    counter.add(1, attributes!["" => 1]);
    "misused"
}
