//! A small system with chance, queues, errors, timeouts and logs in it, under load.

use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

use crate::determinism::left::Left;
use crate::support::{EXACT_RUN, Topology, simhost};

/// What the runs here have in common: a few hundred requests from a fixed instant on.
pub const FLAGS: [&str; 5] = ["--virtual", "--for", "5s", "--start", "2026-01-01T00:00:00Z"];

/// The line below which a test puts services.
pub const SERVICES: &str = "# Services.";
/// The line below which a test puts everything else; it is the last one.
pub const END: &str = "# The end.";

/// The shop. Its stock has so few workers that requests wait, and some are turned
/// away; with `ample` workers no request ever waits for another, nor finds a cold worker that another
/// would have found: computing takes no time.
pub fn shop(ample: bool) -> Topology {
    let (workers, queue, run) = if ample { (500, 1024, EXACT_RUN) } else { (2, 4, "") };
    let text = format!(
        r#"
[topology]
name = "shop"
seed = 7
{run}
[ingress]
to = "shop"

[network]
latency = "300us +/- 100us"

{SERVICES}

[services.shop]
guest = "service"
workers = 500
config.work = "1ms +/- 300us"
config.show = {{ route = "GET /products/{{id}}", calls = "stock/items/{{id}} & prices, 20% similar?", log = "shown" }}
config.list = {{ route = "GET /products", calls = "3x stock/items/{{id}} & prices" }}

[services.stock]
guest = "service"
replicas = 2
workers = {workers}
queue = {queue}
config.read = {{ route = "GET /items/{{id}}", work.exponential.mean = "20ms", span = "SELECT items", database = "postgresql" }}

[services.prices]
guest = "service"
workers = 500
config = {{ work.lognormal = {{ median = "3ms", sigma = 0.8 }}, errors = 0.03 }}

[services.similar]
guest = "service"
workers = 500
config.work.pareto = {{ min = "4ms", shape = 1.5 }}

[[links]]
from = "shop"
to = "similar"
latency.lognormal = {{ median = "1ms", sigma = 0.5 }}
timeout = "12ms"

[[faults]]
name = "slow-prices"
kind = "latency"
delay = "20ms +/- 5ms"
target = {{ service = "prices" }}
probability = 0.05

[[load]]
name = "readers"
to = "shop"
request = {{ path = "/products/7" }}
arrivals = {{ poisson = "60/s" }}

[[load]]
name = "listers"
to = "shop"
request = {{ path = "/products" }}
arrivals = {{ constant = "20/s" }}

{END}
"#
    );
    Topology::as_written("shop", text)
}

/// The command that runs a topology with [`FLAGS`]. Its batches and queues are
/// so small that every run fills many.
pub fn command(topology: &Topology) -> Command {
    command_at(topology.path())
}

fn command_at(path: PathBuf) -> Command {
    let mut command = simhost();
    command.env("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "100").env("OTEL_BSP_MAX_QUEUE_SIZE", "400");
    command.arg("run").arg(path).args(FLAGS);
    command
}

/// Runs it.
#[track_caller]
pub fn run(topology: &Topology) -> Left {
    Left::by(&mut command(topology))
}

/// What the shop with its few workers leaves behind when nothing is unusual.
pub fn usual() -> &'static Left {
    static USUAL: OnceLock<Left> = OnceLock::new();
    USUAL.get_or_init(|| run(&shop(false)))
}

/// Else the tests that compare with it would compare little.
#[test]
fn the_shop_has_queues_errors_timeouts_faults_and_logs() {
    let report = usual().json();
    let row = |rows: &str, key: &str, name: &str| {
        let rows = report[rows].as_array().expect("rows");
        rows.iter().find(|row| row[key] == name).unwrap_or_else(|| panic!("no {name} in {rows:?}")).clone()
    };
    let stock = row("services", "service", "stock");
    assert!(stock["waited"].as_u64() > Some(100), "{stock}");
    assert!(stock["errors_by_type"]["queue_full"].as_u64() > Some(5), "{stock}");
    let prices = row("services", "service", "prices");
    assert!(prices["errors_by_type"]["500"].as_u64() > Some(0), "{prices}");
    let link = row("links", "to", "similar");
    assert!(link["errors_by_type"]["timeout"].as_u64() > Some(0), "{link}");
    assert!(report["faults"][0]["injected"].as_u64() > Some(5), "{}", report["faults"]);
    assert!(report["telemetry"]["logs"].as_u64() > Some(100), "{}", report["telemetry"]);
    assert!(usual().records.lines().count() > 10, "it fills many batches");
    assert_eq!(usual().traces().len() as u64, report["requests"].as_u64().expect("a count"));
}
