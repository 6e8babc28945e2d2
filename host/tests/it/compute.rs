//! Computing takes simulated time: instructions what the topology says, the host's work its prices.

use std::collections::BTreeMap;

use crate::support::telemetry;
use crate::support::{ORDER, Run, Span, SpanKind, Topology, World, finish, simhost};

const US: u64 = 1_000;
const MS: u64 = 1_000_000;

/// A topology in which an instruction takes this long, and messages no time.
fn run(compute: &str) -> String {
    format!("[run]\ncompute = '{compute}'\n[network]\nlatency = '0s'")
}

/// A service that reads the clock a number of times and answers.
fn reads(clock_reads: u32, settings: &str) -> World {
    World::of("hop", &format!("workers = 1\nconfig.clock-reads = {clock_reads}\n{settings}"))
}

/// How long the second request of such a world takes: the first has a cold start of guest and memory.
#[track_caller]
fn takes(world: &World) -> u64 {
    let run = world.virtually(&["GET /", "GET /"]);
    assert_eq!(run.statuses(), [200, 200], "{}", run.stdout);
    run.named("GET /")[1].duration()
}

#[track_caller]
fn server<'a>(run: &'a Run, service: &str) -> &'a Span {
    let spans = run.of(service, SpanKind::Server);
    let [span] = spans[..] else { panic!("{spans:?}") };
    span
}

#[test]
fn what_a_guest_does_one_after_the_other_has_instants_one_after_the_other() {
    let orders = Topology::orders_as_it_ships();
    let (_, records) = orders.records(&["--for", "3s"]);
    let spans = telemetry::read(&records);
    assert!(spans.len() > 1_000);
    let by_id: BTreeMap<_, _> = spans.iter().map(|span| ((&span.trace, &span.id), span)).collect();
    let mut siblings: BTreeMap<_, Vec<&Span>> = BTreeMap::new();
    for span in &spans {
        assert!(span.end > span.start, "{span:?} has no length");
        let Some(parent) = by_id.get(&(&span.trace, &span.parent)) else { continue };
        assert!(parent.start < span.start && span.end < parent.end, "{span:?} is not within {parent:?}");
        siblings.entry((&span.trace, &span.parent)).or_default().push(span);
    }
    for spans in siblings.values_mut().filter(|spans| spans.len() > 1) {
        spans.sort_by_key(|span| (span.start, span.end));
        assert!(spans.is_sorted_by(|one, other| one.end < other.start), "{spans:#?}");
    }
}

#[test]
fn calls_at_the_same_time_start_one_after_the_other() {
    let back = "config.work = '5ms'";
    let services = [("front", "config.calls = 'a & b & c'"), ("a", back), ("b", back), ("c", back)];
    let run = World::of_services(&services).with("[run]\ncompute = '0.04ns'").virtually(&["GET /"]);
    let calls = run.of("front", SpanKind::Client);
    assert_eq!(calls.len(), 3);
    assert!(calls.is_sorted_by(|one, other| one.start < other.start), "{calls:#?}");
    let begins: Vec<_> = calls.iter().map(|call| call.start - server(&run, "front").start).collect();
    assert!(begins.iter().all(|begin| (10 * US..MS).contains(begin)), "{begins:?}");
}

#[test]
fn an_instruction_takes_what_the_topology_says_and_the_hosts_work_its_price() {
    let of = |compute, clock_reads| takes(&reads(clock_reads, "").with(&run(compute)));
    let (one, two, four) = (of("1ns", 100), of("2ns", 100), of("4ns", 100));
    let instructions = two - one;
    assert!((four - two).abs_diff(2 * instructions) <= 2, "{one} {two} {four}");
    assert!(instructions > US, "{one} {two}");
    // A reading of the clock is a crossing of 50 ns and a function of 150 ns, whatever an instruction takes.
    let prices = |compute, instructions: u64| {
        let of = |clock_reads| takes(&reads(clock_reads, "").with(&run(compute)));
        let (few, many, rest) = (of(100), of(1_100), instructions);
        many - few - rest
    };
    let each = (of("2ns", 1_100) - of("1ns", 1_100)) - instructions;
    assert_eq!(prices("1ns", each), 1_000 * 200);
    assert_eq!(prices("2ns", 2 * each), 1_000 * 200);
}

#[test]
fn a_factor_of_the_service_multiplies_all_of_it() {
    let one = takes(&reads(100, "").with(&run("0.5ns")));
    let three = takes(&reads(100, "compute-factor = 3").with(&run("0.5ns")));
    assert!(three.abs_diff(3 * one) <= 3, "{one} {three}");
}

#[test]
fn work_is_behind_what_was_computed_before_it() {
    let of = |compute| {
        let world = World::of_services(&[("front", "config.work = '7ms'")]).with(&run(compute));
        world.virtually(&["GET /", "GET /"]).named("GET /")[1].duration()
    };
    assert_eq!(of("0"), 7 * MS);
    let (one, two) = (of("1ns"), of("2ns"));
    assert!(one > 7 * MS + US && two > one, "{one} {two}");
}

#[test]
fn a_worker_is_busy_while_it_computes() {
    let front = ("front", "config.calls = '2|| back'");
    let hop = "workers = 1\nconfig.clock-reads = 100000";
    let world = World::of_services(&[front]).and("back", "hop", hop).with(&run("0.04ns"));
    let run = world.virtually(&["GET /"]);
    let served = run.of("back", SpanKind::Server);
    let [one, other] = served[..] else { panic!("{served:?}") };
    assert!(one.duration() > 20 * MS, "a hundred thousand calls of the host: {one:?}");
    assert!(other.start >= one.end, "{one:?} {other:?}");
}

#[test]
fn a_guest_that_runs_out_of_processor_time_has_taken_it() {
    let world = World::of("trouble", "workers = 1\nlimits = { cpu-time = '2ms' }").with(&run("1ns"));
    let run = world.virtually(&["GET /loop"]);
    let span = run.span("GET /loop");
    assert_eq!(*span.error_type(), "cpu_time_exceeded");
    assert!(span.duration().abs_diff(2 * MS) < 10 * US, "{}", span.duration());
}

#[test]
fn a_request_that_computes_too_long_is_given_up_and_leaves_nothing_behind_its_end() {
    let limits = "limits = { cpu-time = '1s', request-time = '2ms', spans = 100000 }";
    let world = World::of("trouble", limits).with(&run("1ns"));
    let run = world.virtually(&["GET /spans/5000"]);
    let span = run.span("GET /spans/{n}");
    // A span is a nanosecond longer than its last event.
    assert_eq!((span.error_type().as_str(), span.duration()), (Some("request_time_exceeded"), 2 * MS + 1));
    let children = run.children(span);
    assert!(children.len() > 100, "{}", children.len());
    assert!(children.iter().all(|child| child.start >= span.start && child.end <= span.end));
}

#[test]
fn a_timeout_strikes_while_the_callee_computes_on() {
    let back = "limits = { cpu-time = '10ms' }";
    let world = World::of("probe", "").and("back", "trouble", back).with(&run("1ns"));
    let run = world.virtually(&["GET /call?service=back&path=/loop&timeout-ms=3"]);
    let calls = run.of("front", SpanKind::Client);
    let [call] = calls[..] else { panic!("{calls:?}") };
    assert_eq!((call.duration(), call.error_type().as_str()), (3 * MS, Some("timeout")), "{call:?}");
    let served = server(&run, "back");
    assert!(served.end > call.end && served.duration().abs_diff(10 * MS) < 50 * US, "{served:?}");
}

#[test]
fn the_cpu_fault_multiplies_what_is_computed() {
    let fault = "\n[[faults]]\nname = 'slow'\nkind = 'cpu'\ntimes = 4\ntarget = { service = 'front' }";
    let healthy = takes(&reads(1_000, "").with(&run("0.5ns")));
    let slow = takes(&reads(1_000, "").with(&(run("0.5ns") + fault)));
    // Between two readings of its clock a fraction of a nanosecond is not multiplied.
    assert!(slow.abs_diff(4 * healthy) < 4 * 1_010, "{healthy} {slow}");
}

#[test]
fn a_process_that_is_paused_answers_when_it_goes_on() {
    let fault = "\n[[faults]]\nname = 'gc'\nkind = 'pause'\ntarget = { service = 'front' }\n\
                 when = { at = '5ms', for = '40ms' }";
    let run = reads(100_000, "").with(&(run("0.04ns") + fault)).virtually(&["GET /"]);
    let span = run.span("GET /");
    assert_eq!((run.statuses(), span.end), (vec![200], telemetry_start() + 45 * MS));
}

#[test]
fn a_request_perishes_with_a_process_that_dies_while_it_computes() {
    let fault = "\n[[faults]]\nname = 'gone'\nkind = 'down'\ntarget = { service = 'back' }\n\
                 when = { at = '5ms', for = '40ms' }";
    let hop = "config.clock-reads = 100000";
    let world = World::of("probe", "").and("back", "hop", hop).with(&(run("0.04ns") + fault));
    let run = world.virtually(&["GET /call?service=back&path=/"]);
    let calls = run.of("front", SpanKind::Client);
    let [call] = calls[..] else { panic!("{calls:?}") };
    assert_eq!(call.error_type().as_str(), Some("connection_reset"));
    assert_eq!(call.end, telemetry_start() + 5 * MS);
    assert!(run.of("back", SpanKind::Server).is_empty(), "its span is lost with it");
}

/// 2026-01-01T00:00:00Z, where virtual time begins.
fn telemetry_start() -> u64 {
    simhost::clock::VIRTUAL_START
}

#[test]
fn a_wrong_clock_goes_on_with_what_is_computed() {
    let fault =
        "\n[[faults]]\nname = 'no-ntp'\nkind = 'clock-skew'\nby = '-250ms'\ntarget = { service = 'front' }";
    let now = |sections: &str| {
        let run = World::of("probe", "").with(sections).virtually(&["GET /now"]);
        let answer = run.answers[0].json();
        ["system_time_ns", "clock_ns", "instant_elapsed_ns"]
            .map(|key| answer[key].as_u64().expect("nanoseconds"))
    };
    let right = now(&run("1ns"));
    let wrong = now(&(run("1ns") + fault));
    assert_eq!(wrong, [right[0] - 250 * MS, right[1] - 250 * MS, right[2]]);
    assert!(right[1] > telemetry_start() && right[2] > 0, "{right:?}");
}

#[test]
fn a_cold_start_takes_the_time_that_the_guest_computes_in_it() {
    let world = World::of("hop", "config.next = 'back'").and("back", "hop", "").with(&run("100ns"));
    let run = world.virtually(&["GET /", "GET /"]);
    let (calls, served) = (run.of("front", SpanKind::Client), run.of("back", SpanKind::Server));
    let gaps: Vec<_> = calls.iter().zip(&served).map(|(call, served)| served.start - call.start).collect();
    let [cold, warm] = gaps[..] else { panic!("{gaps:?}") };
    assert!(cold > warm, "{gaps:?}");
}

#[test]
fn the_command_line_overrides_the_topology_and_the_truth_says_so() {
    let fault =
        "\n[[faults]]\nname = 'slow'\nkind = 'latency'\ndelay = '1ms'\ntarget = { service = 'front' }";
    let world = reads(100, "").with(&(run("5ns") + fault));
    let off = world.clone().flags(&["--compute", "0", "--truth", "truth.jsonl"]);
    assert_eq!(takes(&off), MS, "the fault alone");
    assert!(takes(&world) > MS + 20 * US);
    let (folder, mut command) = off.virtual_command(&["GET /"]);
    crate::support::finish(&mut command).success();
    let truth = std::fs::read_to_string(folder.path().join("truth.jsonl")).expect("the truth");
    let head: serde_json::Value = serde_json::from_str(truth.lines().next().expect("a line")).expect("JSON");
    assert!(head["flags"].to_string().contains("--compute 0"), "{head}");
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    let records = || {
        let (finished, records) =
            Topology::orders_as_it_ships().records(&["--for", "2s", "--compute", "3ns"]);
        (finished.stdout, records)
    };
    assert!(records() == records());
    let orders = Topology::orders_as_it_ships();
    let of = |compute| orders.run(&["--virtual", "--compute", compute, "--request", ORDER]).stdout;
    assert_ne!(of("3ns"), of("4ns"));
}

#[test]
fn a_run_that_begins_now_computes_what_one_does_that_begins_at_another_time() {
    let digest = |start| {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../topologies/incidents/retry-storm.toml");
        let flags = ["--virtual", "--for", "10s", "--start", start];
        let finished = finish(simhost().args(["run", path]).args(flags));
        let digest = finished.success().lines().find(|line| line.starts_with("digest: "));
        digest.expect("a digest").to_owned()
    };
    assert_eq!(digest("now"), digest("2026-01-01T00:00:00Z"));
}
