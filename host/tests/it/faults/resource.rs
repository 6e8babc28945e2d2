//! What befalls the resources of replicas: they are slow, stand still, lose their
//! memory or lack workers.

use super::{MS, calling, counts, fault};
use crate::support::{Run, Span, SpanKind, World};

use simhost::clock::VIRTUAL_START;

/// `front` calls `back` ten times in each second, in no time but that of their work.
fn world(front: &str, back: &str, fault: &str) -> World {
    calling(front, back, "0s").with(fault)
}

/// When spans began and how long they took: milliseconds since the run began.
fn times(spans: &[&Span]) -> Vec<(u64, u64)> {
    spans.iter().map(|span| ((span.start - VIRTUAL_START) / MS, span.duration() / MS)).collect()
}

fn servers(run: &Run, service: &str) -> Vec<(u64, u64)> {
    times(&run.of(service, SpanKind::Server))
}

/// How long the span took that began at `start`: milliseconds.
#[track_caller]
fn took(spans: &[(u64, u64)], start: u64) -> u64 {
    let found = spans.iter().find(|(began, _)| *began == start);
    found.unwrap_or_else(|| panic!("none began at {start}: {spans:?}")).1
}

#[test]
fn on_a_slow_processor_work_takes_longer_that_begins_while_it_is_slow() {
    let slow = fault("\"cpu\"\ntimes = 3.0", "service = \"back\"");
    let run = world("", "config.work = '20ms'", &slow).flags(&["--for", "4s", "--json"]).virtually(&[]);
    let spans = servers(&run, "back");
    assert_eq!([900, 1_000, 1_900, 2_000].map(|start| took(&spans, start)), [20, 60, 60, 20]);
    assert_eq!(counts(&run, "it"), (10, 10));
    // Of what others do, it waits as long as they take.
    let slow = fault("\"cpu\"\ntimes = 3.0", "service = \"front\"");
    let run = world("", "config.work = '20ms'", &slow).flags(&["--for", "4s"]).virtually(&[]);
    assert!(servers(&run, "front").iter().all(|(_, took)| *took == 20));
}

#[test]
fn a_processor_becomes_slow_by_and_by_within_a_ramp() {
    let slow = "[[faults]]\nname = \"it\"\nkind = \"cpu\"\ntimes = 3.0\ntarget = { service = \"back\" }\n\
                when = { at = \"1s\", for = \"4s\", ramp = \"1s\" }";
    let run = world("", "config.work = '20ms'", slow).flags(&["--for", "6s"]).virtually(&[]);
    let spans = servers(&run, "back");
    assert_eq!([1_000, 1_500, 2_000, 3_900, 4_500].map(|start| took(&spans, start)), [20, 40, 60, 60, 40]);
}

#[test]
fn every_way_to_sleep_is_work() {
    let slow = "[[faults]]\nname = \"it\"\nkind = \"cpu\"\ntimes = 2.5\ntarget = { service = \"front\" }";
    let world = World::of("probe", "").with(slow);
    let run = world.virtually(&["GET /sleep/20", "GET /sleep/20?via=sdk"]);
    assert_eq!(servers(&run, "front"), [(0, 50), (50, 50)]);
}

#[test]
fn one_replica_of_several_is_slow() {
    let slow = fault("\"cpu\"\ntimes = 3.0", "service = \"back\", replica = 1");
    let back = "replicas = 2\nconfig.work = '20ms'";
    let run = world("", back, &slow).flags(&["--for", "3s", "--json"]).virtually(&[]);
    let mut spans = run.of("back", SpanKind::Server);
    spans.retain(|span| (1_000..2_000).contains(&((span.start - VIRTUAL_START) / MS)));
    let (slow, quick): (Vec<&Span>, Vec<&Span>) =
        spans.into_iter().partition(|span| span.duration() == 60 * MS);
    assert!(!slow.is_empty() && quick.iter().all(|span| span.duration() == 20 * MS), "{slow:?} {quick:?}");
    assert!(slow.iter().all(|span| span.instance == slow[0].instance));
    assert!(quick.iter().all(|span| span.instance != slow[0].instance));
    assert_eq!(counts(&run, "it"), (slow.len() as u64, slow.len() as u64));
}

#[test]
fn nothing_in_a_paused_replica_goes_on_until_it_does() {
    let back = "config.work = '150ms'";
    let pause = fault("\"pause\"", "service = \"back\"");
    let run = world("", back, &pause).flags(&["--for", "3s", "--json"]).virtually(&[]);
    let spans = servers(&run, "back");
    // What was at work is done late, and what comes meanwhile is taken up late.
    assert_eq!([800, 900].map(|start| took(&spans, start)), [150, 1_100]);
    assert_eq!(spans.iter().filter(|(start, _)| (1_000..2_000).contains(start)).count(), 0);
    assert_eq!(spans.iter().filter(|span| **span == (2_000, 150)).count(), 11, "{spans:?}");
    let calls = times(&run.of("front", SpanKind::Client));
    assert_eq!([1_000, 1_900, 2_100].map(|start| took(&calls, start)), [1_150, 250, 150]);
    assert_eq!(counts(&run, "it"), (11, 11));
}

#[test]
fn a_paused_caller_notices_the_answer_when_it_goes_on() {
    let pause = fault("\"pause\"", "service = \"front\"");
    let run = world("", "config.work = '150ms'", &pause).flags(&["--for", "3s"]).virtually(&[]);
    // The callee was done at 1,050 ms.
    assert_eq!(took(&servers(&run, "back"), 900), 150);
    assert_eq!(took(&times(&run.of("front", SpanKind::Client)), 900), 1_100);
    assert_eq!(took(&servers(&run, "front"), 900), 1_100);
}

/// One request to `front`, which stands still from 0.5 s to 3.5 s, with this fault.
fn into_a_pause(fault: &str) -> Run {
    let pause = "[[faults]]\nname = \"pause\"\nkind = \"pause\"\ntarget = { service = \"front\" }\n\
                 when = { at = \"500ms\", for = \"3s\" }";
    let front = "config = { calls = 'back', work = '5ms', span = 'lookup' }";
    let world = World::of_services(&[("front", front), ("back", "")]);
    world.with("[network]\nlatency = \"0s\"").with(fault).with(pause).virtually(&["GET /"])
}

#[test]
fn what_is_delayed_into_a_pause_begins_when_the_replica_goes_on() {
    let late = "[[faults]]\nname = \"late\"\nkind = \"latency\"\ndelay = \"1s\"\n\
                target = { service = \"front\" }";
    let run = into_a_pause(late);
    assert_eq!(times(&run.named("lookup")), [(3_500, 5)]);
    assert_eq!(times(&run.of("front", SpanKind::Client)), [(3_505, 0)]);
    assert_eq!(servers(&run, "back"), [(3_505, 0)]);
    assert_eq!(servers(&run, "front"), [(0, 3_505)]);
    // Nor does it die of a request that it has not begun.
    let crash = "[[faults]]\nname = \"crash\"\nkind = \"crash\"\nrestart = \"1s\"\nfail-first = 1\n\
                 target = { service = \"front\" }";
    let run = into_a_pause(&format!("{late}\n{crash}"));
    assert_eq!(run.answers[0].took, "3.5s");
    assert_eq!(run.of("back", SpanKind::Server).len(), 0);
}

#[test]
fn a_span_that_waits_into_a_pause_goes_on_behind_it() {
    let run = into_a_pause(
        "[[faults]]\nname = \"late\"\nkind = \"latency\"\ndelay = \"1s\"\n\
         target = { service = \"front\", span = \"lookup\" }",
    );
    // Its work is still to be done then.
    assert_eq!(times(&run.named("lookup")), [(0, 3_505)]);
    assert_eq!(times(&run.of("front", SpanKind::Client)), [(3_505, 0)]);
}

#[test]
fn who_waits_for_a_replica_that_never_goes_on_is_cut_off_when_a_request_may_last_no_longer() {
    let pause = "[[faults]]\nname = \"it\"\nkind = \"pause\"\ntarget = { service = \"back\" }";
    let world = World::of("probe", "").and("back", "probe", "limits.request-time = \"2s\"");
    let world = world.with("[network]\nlatency = \"0s\"").with(pause);
    let run = world.virtually(&["GET /call?service=back&path=/now"]);
    assert_eq!((&run.answers[0].json()["error"], run.answers[0].took.as_str()), (&"reset".into(), "2s"));
    let client = run.of("front", SpanKind::Client)[0];
    assert_eq!((client.error_type().as_str(), run.children(client).len()), (Some("connection_reset"), 0));
    // The report knows what it was about.
    assert!(run.report.contains("GET /now") && !run.report.contains("(no route)"), "{}", run.report);
}

/// The statuses of requests that are sent one after the other to a worker that leaks.
fn leaking(per_request: &str) -> (Vec<u16>, Run) {
    let leak = format!(
        "[limits]\nmemory = \"16MiB\"\n[[faults]]\nname = \"it\"\nkind = \"memory-leak\"\n\
         per-request = \"{per_request}\"\ntarget = {{ service = \"front\", route = \"GET /now\" }}\n"
    );
    let run = World::of("probe", "workers = 1").with(&leak).virtually(&["GET /now"; 20]);
    (run.statuses(), run)
}

#[test]
fn a_worker_that_leaks_dies_at_its_limit_and_the_next_begins_anew() {
    let (statuses, run) = leaking("4MiB");
    let first = statuses.iter().position(|status| *status == 500).expect("a worker dies");
    // 16 MiB hold the guest's own, of one or two, and three times four.
    assert_eq!(first, 3);
    let expected: Vec<_> = (0..20).map(|number| if number % 4 == 3 { 500 } else { 200 }).collect();
    assert_eq!(statuses, expected);
    let died = run.spans()[first].clone();
    assert_eq!(died.error_type(), "memory_exceeded");
    let said = &died.exception()["exception.message"];
    assert_eq!(said, "the guest needed more than limits.memory = 16384 KiB");
    // Half of the leak lasts twice as long, and a little more.
    let slower = leaking("2MiB").0.iter().position(|status| *status == 500);
    assert!((6..=7).contains(&slower.expect("it dies as well")), "{slower:?}");
}

#[test]
fn only_requests_that_are_struck_leak() {
    let leak = "[limits]\nmemory = \"16MiB\"\n[[faults]]\nname = \"it\"\nkind = \"memory-leak\"\n\
                per-request = \"15MiB\"\ntarget = { service = \"front\", route = \"GET /random\" }";
    let requests = ["GET /now", "GET /now", "GET /random", "GET /now"];
    let run = World::of("probe", "workers = 1").with(leak).virtually(&requests);
    assert_eq!(run.statuses(), [200, 200, 500, 200]);
}

#[test]
fn requests_wait_for_workers_that_are_taken() {
    let back = "workers = 3\nconfig.work = '150ms'";
    let taken = fault("\"pool-exhaustion\"\nworkers = 2", "service = \"back\"");
    let run = world("", back, &taken).flags(&["--for", "4s", "--json"]).virtually(&[]);
    let spans = servers(&run, "back");
    let busy = |at: u64| spans.iter().filter(|(start, took)| (*start..start + took).contains(&at)).count();
    // Without the fault one or two are busy; with it the one that is left always is.
    assert_eq!([920, 970].map(busy), [2, 1]);
    for at in (1_060..2_000).step_by(10) {
        assert_eq!(busy(at), 1, "at {at} ms");
    }
    assert_eq!(busy(2_000), 3);
    let report = run.json();
    assert!(report["services"][1]["waiting_max"].as_u64().expect("a queue") >= 3, "{report}");
    assert_eq!(counts(&run, "it"), (10, 10));
}

#[test]
fn a_replica_without_any_worker_fills_its_queue_and_then_turns_away() {
    let back = "workers = 3\nqueue = 4\nconfig.work = '20ms'";
    let taken = fault("\"pool-exhaustion\"\nworkers = \"all\"", "service = \"back\"");
    let run = world("", back, &taken).flags(&["--for", "4s", "--json"]).virtually(&[]);
    let spans = run.of("back", SpanKind::Server);
    let full: Vec<_> = spans.iter().filter(|span| span.error_type() == "queue_full").copied().collect();
    assert_eq!(times(&full), [1_400, 1_500, 1_600, 1_700, 1_800, 1_900].map(|at| (at, 0)));
    let served = servers(&run, "back").into_iter().filter(|(_, took)| *took == 20);
    let late = served.filter(|(start, _)| (1_000..2_100).contains(start)).map(|(start, _)| start);
    // Three at once; the fourth, and the one that comes then, when these are done.
    assert_eq!(late.collect::<Vec<_>>(), [2_000, 2_000, 2_000, 2_020, 2_020]);
}

#[test]
fn workers_come_back_one_by_one_as_a_fault_fades() {
    let back = "workers = 4\nconfig.work = '50ms'";
    let taken = "[[faults]]\nname = \"it\"\nkind = \"pool-exhaustion\"\nworkers = \"all\"\n\
                 target = { service = \"back\" }\nwhen = { at = \"1s\", for = \"4s\", ramp = \"2s\" }";
    let run = world("", back, taken).flags(&["--for", "6s"]).virtually(&[]);
    // Of four, half of one is left at 1/8 of the ramp before the end, and so on.
    let first = servers(&run, "back").into_iter().map(|(start, _)| start).find(|start| *start > 2_700);
    assert_eq!(first, Some(3_250));
}

#[test]
fn who_waits_for_a_worker_that_never_comes_is_turned_away_in_the_end() {
    let taken = "[limits]\nrequest-time = \"2s\"\n[[faults]]\nname = \"it\"\nkind = \"pool-exhaustion\"\n\
                 workers = \"all\"\ntarget = { service = \"front\" }";
    let run = World::of("probe", "").with(taken).virtually(&["GET /now"]);
    assert_eq!((run.statuses(), run.answers[0].took.as_str()), (vec![503], "2s"));
    assert_eq!(run.spans()[0].error_type(), "no_worker_in_time");
}

#[test]
fn a_replica_that_nothing_befalls_is_as_one_that_nothing_can_befall() {
    let kinds = [
        "\"cpu\"\ntimes = 3",
        "\"pause\"",
        "\"pool-exhaustion\"\nworkers = \"all\"",
        "\"memory-leak\"\nper-request = \"1MiB\"",
        "\"crash\"",
        "\"restart-loop\"\nup = \"1s\"\ndown = \"1s\"",
        "\"down\"",
        "\"bad-deploy\"\nguest = \"noop\"",
    ];
    let back = "replicas = 2\nworkers = 2\nconfig.work.exponential.mean = '150ms'";
    let without = world("", back, "").flags(&["--for", "10s"]).virtually(&[]);
    for kind in kinds {
        let never = format!(
            "[[faults]]\nname = \"it\"\nkind = {kind}\ntarget = {{ service = \"back\" }}\n\
             when = {{ at = \"1h\" }}"
        );
        let with = world("", back, &never).flags(&["--for", "10s"]).virtually(&[]);
        assert!(with.bytes == without.bytes, "{kind}");
        let now = never.replace("1h", "1s");
        let [one, other] = [(); 2].map(|()| world("", back, &now).flags(&["--for", "10s"]).virtually(&[]));
        assert!(one.bytes == other.bytes, "{kind} twice");
        assert!(one.bytes != without.bytes || kind.contains("leak"), "{kind} does something");
    }
}

/// With more to do than it can, a replica makes requests wait for longer than one may last.
#[test]
fn however_long_a_queue_is_no_fault_that_does_not_hold_workers_turns_anybody_away() {
    let stock = "workers = 1\nqueue = 1000\nconfig.work = '1s'\nlimits.request-time = '2s'";
    let load = "[[load]]\nname = \"much\"\nto = \"stock\"\narrivals = { constant = \"3/s\" }\n\
                request = { path = \"/\" }";
    let run = |fault: &str| {
        let world = World::of_services(&[("stock", stock)]).with(load).with(fault);
        world.flags(&["--for", "10s"]).virtually(&[])
    };
    let without = run("");
    let served = |run: &Run| run.spans().iter().filter(|span| span.error_type().is_null()).count();
    assert_eq!((served(&without), without.spans().len()), (30, 30));
    let kinds = [
        "\"cpu\"\ntimes = 3",
        "\"pause\"",
        "\"pool-exhaustion\"\nworkers = \"all\"",
        "\"crash\"",
        "\"restart-loop\"\nup = \"1s\"\ndown = \"1s\"",
        "\"down\"",
    ];
    for kind in kinds {
        for why in ["enabled = false", "when = { at = \"1h\" }", "probability = 1e-12"] {
            let fault = format!(
                "[[faults]]\nname = \"it\"\nkind = {kind}\n{why}\ntarget = {{ service = \"stock\" }}"
            );
            assert!(run(&fault).bytes == without.bytes, "{kind} with {why}");
        }
    }
    // What holds no worker any more has nobody turned away either.
    let taken = "[[faults]]\nname = \"it\"\nkind = \"pool-exhaustion\"\nworkers = \"all\"\n\
                 target = { service = \"stock\" }\nwhen = { at = \"1500ms\", for = \"1s\" }";
    assert_eq!(served(&run(taken)), 30);
}
