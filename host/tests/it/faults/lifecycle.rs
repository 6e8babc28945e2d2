//! What befalls the lives of replicas: they are down, crash, come back, and run
//! another guest than they should.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use simhost::clock::VIRTUAL_START;

use super::{MS, calling, counts, fault};
use crate::support::{Run, Span, SpanKind, World};

/// `front` calls `back` ten times in each second; a way between them takes a millisecond.
fn world(back: &str, fault: &str) -> World {
    calling("", back, "1ms").with(fault)
}

fn run(world: &World) -> Run {
    world.clone().flags(&["--for", "4s", "--json"]).virtually(&[])
}

/// When a span began: milliseconds since the run did.
fn start(span: &Span) -> u64 {
    (span.start - VIRTUAL_START) / MS
}

/// When the calls of `front` began that failed like this.
fn failed(run: &Run, error: &str) -> Vec<u64> {
    let calls = run.of("front", SpanKind::Client);
    calls.iter().filter(|span| span.error_type() == error).map(|span| start(span)).collect()
}

const WINDOW: [u64; 10] = [1_000, 1_100, 1_200, 1_300, 1_400, 1_500, 1_600, 1_700, 1_800, 1_900];

#[test]
fn a_service_that_is_down_refuses_connections() {
    let run = run(&world("config.work = '20ms'", &fault("\"down\"", "service = \"back\"")));
    assert_eq!(failed(&run, "connection_refused"), WINDOW);
    assert_eq!(failed(&run, "connection_reset"), [0; 0]);
    let refused = run.of("front", SpanKind::Client).into_iter().find(|span| start(span) == 1_000);
    let refused = refused.expect("a call");
    // There and back; and nobody at the other end says anything of it.
    assert_eq!((refused.duration(), run.children(refused).len()), (2 * MS, 0));
    assert_eq!(refused.exception()["exception.message"], "connection refused: nobody listens at back");
    assert_eq!(counts(&run, "it"), (10, 10));
}

#[test]
fn who_is_at_work_in_a_replica_when_it_goes_down_perishes_with_its_span() {
    let run = run(&world("workers = 1\nconfig.work = '250ms'", &fault("\"down\"", "service = \"back\"")));
    // One is at work since 753 ms, and those of 800 and 900 ms wait.
    let reset: Vec<_> = run.of("front", SpanKind::Client);
    let reset: Vec<_> = reset.into_iter().filter(|span| span.error_type() == "connection_reset").collect();
    let ends: BTreeSet<_> = reset.iter().map(|span| (span.end - VIRTUAL_START) / MS).collect();
    assert_eq!(ends, BTreeSet::from([1_001]));
    assert!(reset.len() >= 2 && reset.iter().all(|span| run.children(span).is_empty()), "{reset:?}");
    let died = &run.json()["telemetry"]["lost_spans"];
    assert_eq!(died, 1, "the one that had a worker");
    assert_eq!(counts(&run, "it"), (reset.len() as u64 + 10, reset.len() as u64 + 10));
    // Afterwards the queue is empty, and a worker is free at once.
    let servers = run.of("back", SpanKind::Server);
    assert_eq!(servers.iter().map(|span| start(span)).find(|at| *at > 1_000), Some(2_001));
}

#[test]
fn calls_of_a_process_that_dies_are_never_answered_and_their_callees_work_on() {
    let fault = fault("\"down\"", "service = \"front\"");
    let run = run(&world("config.work = '250ms'", &fault));
    let servers = run.of("back", SpanKind::Server);
    let orphans: Vec<_> =
        servers.iter().filter(|span| run.spans().iter().all(|other| other.id != span.parent)).collect();
    // Those of 800 and 900 ms were under way.
    assert_eq!(orphans.iter().map(|span| start(span)).collect::<Vec<_>>(), [801, 901]);
    assert!(orphans.iter().all(|span| span.duration() == 250 * MS));
    let report = run.json();
    // SERVER and CLIENT of both.
    assert_eq!(report["telemetry"]["lost_spans"], 4);
    let types = &report["loads"][0]["errors_by_type"];
    assert_eq!((&types["connection_refused"], &types["connection_reset"]), (&10.into(), &2.into()));
}

#[test]
fn calls_that_a_dead_process_made_beside_one_another_die_with_it() {
    let crash = "[[faults]]\nname = \"it\"\nkind = \"crash\"\nrestart = \"5s\"\n\
                 target = { service = \"front\" }\nwhen = { at = \"20ms\" }";
    let load = "[[load]]\nname = \"one\"\nto = \"front\"\narrivals = { constant = \"1/s\" }\n\
                max-requests = 1\nrequest = { path = \"/parallel?ms=50\" }";
    let world = World::of("probe", "config = { next = \"back\" }").and("back", "probe", "");
    let run = world.with(load).with(crash).flags(&["--for", "3s", "--json"]).virtually(&[]);
    let slept = run.of("back", SpanKind::Server);
    assert_eq!((slept.len(), run.spans().len()), (3, 3), "{:?}", run.spans());
    assert_eq!(run.json()["telemetry"]["lost_spans"], 4);
}

#[test]
fn what_a_process_had_in_memory_is_gone_when_it_is_up_again() {
    let back = "config.show = { route = 'GET /', calls = 'last', cache = '1h' }";
    let world = |fault: &str| {
        let load = "[[load]]\nname = \"steady\"\nto = \"back\"\narrivals = { constant = \"10/s\" }\n\
                    request = { path = \"/\" }";
        World::of_services(&[("back", back), ("last", "")]).with(load).with(fault)
    };
    let asked = |fault: &str| run(&world(fault)).of("last", SpanKind::Server).len();
    assert_eq!(asked(""), 1);
    assert_eq!(asked(&fault("\"crash\"\nrestart = \"200ms\"", "service = \"back\"")), 2);
    assert_eq!(asked(&fault("\"down\"", "service = \"back\"")), 2);
}

#[test]
fn one_replica_of_several_is_down_and_chosen_as_before() {
    let fault = fault("\"down\"", "service = \"back\", replica = 0");
    let with = run(&world("replicas = 2", &fault));
    let without = run(&world("replicas = 2", ""));
    let refused = failed(&with, "connection_refused");
    assert!((2..=8).contains(&refused.len()), "{refused:?}");
    let chosen = |run: &Run| -> Vec<_> {
        run.of("back", SpanKind::Server).iter().map(|span| (start(span), span.instance.clone())).collect()
    };
    let down = |at: &u64| refused.contains(&(at - 1));
    let others: Vec<_> = chosen(&without).into_iter().filter(|(at, _)| !down(at)).collect();
    assert_eq!(chosen(&with), others);
    let gone: BTreeSet<_> =
        chosen(&without).into_iter().filter(|(at, _)| down(at)).map(|(_, id)| id).collect();
    assert_eq!(gone.len(), 1);
}

/// Processes of replicas that the only fault has ended.
fn deaths(run: &Run) -> u64 {
    run.json()["faults"][0]["deaths"].as_u64().expect("a number")
}

#[test]
fn a_crash_is_over_when_the_replica_has_started_again() {
    let crash = fault("\"crash\"\nrestart = \"1500ms\"", "service = \"back\"");
    let run = run(&world("", &crash));
    let refused = failed(&run, "connection_refused");
    // Longer than the window: from 1 s to 2.5 s.
    assert_eq!((refused.len(), refused[0], refused[14]), (15, 1_000, 2_400));
    assert_eq!((counts(&run, "it"), deaths(&run)), ((15, 15), 1), "who found it gone, and the replica apart");
}

#[test]
fn a_request_can_crash_the_replica_that_gets_it() {
    let crash = "[[faults]]\nname = \"poison\"\nkind = \"crash\"\nrestart = \"200ms\"\n\
                 target = { service = \"front\", route = \"GET /random\" }";
    let load = |name: &str, path: &str, more: &str| {
        format!("[[load]]\nname = \"{name}\"\nto = \"front\"\nrequest = {{ path = \"{path}\" }}\n{more}\n")
    };
    let loads = load("steady", "/sleep/150", "arrivals = { constant = \"10/s\" }")
        + &load(
            "poison",
            "/random",
            "arrivals = { constant = \"1/s\" }\nmax-requests = 1\nstart = \"1050ms\"",
        );
    let run = run(&World::of("probe", "").with(&loads).with(crash));
    let report = run.json();
    let errors = |load: usize| report["loads"][load]["errors_by_type"].clone();
    // It takes along what was at work since 1,000 ms; those of 1,100 and 1,200 ms find nobody.
    assert_eq!(errors(1), serde_json::json!({ "connection_reset": 1 }), "{report}");
    let steady = serde_json::json!({ "connection_refused": 2, "connection_reset": 1 });
    assert_eq!(errors(0), steady, "{report}");
    assert_eq!(report["faults"][0]["injected"], 4);
    assert_eq!(run.of("front", SpanKind::Server).iter().filter(|span| span.name == "GET /random").count(), 0);
}

#[test]
fn a_replica_falls_over_and_over_while_the_window_is_open() {
    let fault = "[[faults]]\nname = \"it\"\nkind = \"restart-loop\"\nup = \"700ms\"\ndown = \"300ms\"\n\
                 target = { service = \"back\" }\nwhen = { at = \"500ms\", for = \"2500ms\" }";
    let run = run(&world("", fault));
    let refused = failed(&run, "connection_refused");
    // Down from 1,200 and 2,200 ms, for 300 ms each.
    assert_eq!(refused, [1_200, 1_300, 1_400, 2_200, 2_300, 2_400]);
    assert_eq!((counts(&run, "it"), deaths(&run)), ((6, 6), 2));
}

#[test]
fn a_fault_that_ends_processes_strikes_no_more_requests_than_there_are() {
    let fault = "[[faults]]\nname = \"it\"\nkind = \"restart-loop\"\nup = \"30ms\"\ndown = \"20ms\"\n\
                 target = { service = \"back\" }";
    for replicas in [1, 3] {
        let run = run(&world(&format!("replicas = {replicas}"), fault));
        let (matched, injected) = counts(&run, "it");
        let calls = run.of("front", SpanKind::Client).len() as u64;
        assert!(matched == injected && injected <= calls, "{injected} of {calls}");
        assert!(deaths(&run) > 20 * replicas, "{}", deaths(&run));
        assert!(!run.told.contains("matched nothing"), "{}", run.told);
    }
}

#[test]
fn a_replica_that_dies_while_nothing_is_there_is_no_fault_that_did_nothing() {
    let fault = "[[faults]]\nname = \"it\"\nkind = \"crash\"\nrestart = \"10ms\"\n\
                 target = { service = \"back\" }\nwhen = { at = \"1050ms\" }";
    let run = world("", fault).flags(&["--for", "3s", "--strict"]).virtually(&[]);
    assert!(run.report.contains("fault it: matched 0, injected 0, 1 death"), "{}", run.report);
}

#[test]
fn replicas_fall_each_in_its_own_time() {
    let fault = "[[faults]]\nname = \"it\"\nkind = \"restart-loop\"\nup.exponential.mean = \"300ms\"\n\
                 down.exponential.mean = \"300ms\"\ntarget = { service = \"back\" }";
    let world = world("replicas = 2", fault);
    let run = world.flags(&["--for", "60s", "--json"]).virtually(&[]);
    let refused = failed(&run, "connection_refused").len();
    assert!((200..400).contains(&refused), "about half of 600: {refused}");
}

/// The spans of `back` by what their Resource says of the version.
fn versions(run: &Run) -> Vec<(String, u64)> {
    let mut versions = Vec::new();
    for line in run.bytes.lines() {
        let document: Value = serde_json::from_str(line).expect("JSON");
        for group in document["resourceSpans"].as_array().into_iter().flatten() {
            let attributes = group["resource"]["attributes"].as_array().expect("attributes");
            let get = |key: &str| {
                let found = attributes.iter().find(|attribute| attribute["key"] == key);
                found.map(|found| found["value"]["stringValue"].as_str().expect("a text").to_owned())
            };
            if get("service.name").as_deref() != Some("back") {
                continue;
            }
            for span in group["scopeSpans"].as_array().into_iter().flatten() {
                for span in span["spans"].as_array().into_iter().flatten() {
                    let began: u64 =
                        span["startTimeUnixNano"].as_str().expect("time").parse().expect("nanos");
                    let version = get("service.version").unwrap_or_default();
                    versions.push((version, (began - VIRTUAL_START) / MS));
                }
            }
        }
    }
    versions.sort_by_key(|(_, began)| *began);
    versions
}

#[test]
fn a_deployment_takes_what_is_new_and_the_old_replicas_finish_what_they_have() {
    let deploy = "\"bad-deploy\"\nguest = \"service\"\nversion = \"2.0\"\nconfig = { work = \"300ms\" }";
    let back = "version = \"1.0\"\nworkers = 1\nconfig.work = '150ms'";
    let run = run(&world(back, &fault(deploy, "service = \"back\"")));
    let versions = versions(&run);
    let of = |version: &str| -> Vec<_> {
        versions.iter().filter(|(of, _)| of == version).map(|(_, began)| *began).collect()
    };
    // Ten of new ones, one after the other: each waits for the one before.
    assert_eq!(of("2.0"), (0..10).map(|number| 1_001 + 300 * number).collect::<Vec<_>>());
    // The old ones' queue is emptied meanwhile, by themselves; and what comes from 2 s on is theirs.
    let old = of("1.0");
    assert!(old.iter().any(|began| (1_002..1_700).contains(began)), "{old:?}");
    assert!(old.contains(&2_001), "{old:?}");
    assert_eq!(counts(&run, "it"), (10, 10));
}

#[test]
fn a_share_of_the_replicas_gets_a_deployment() {
    let deploy = "\"bad-deploy\"\nguest = \"service\"\nreplicas = 0.5\nconfig = { errors = 1 }";
    let run = run(&world("version = \"1.0\"\nreplicas = 3", &fault(deploy, "service = \"back\"")));
    let spans = run.of("back", SpanKind::Server);
    let instances = |errors: bool| -> BTreeSet<_> {
        let within = spans.iter().filter(|span| (1_000..2_000).contains(&start(span)));
        within.filter(|span| (span.error_type() == "500") == errors).map(|span| &span.instance).collect()
    };
    // Rounded up: two of three.
    assert_eq!([instances(true).len(), instances(false).len()], [2, 1]);
    let version = &versions(&run).into_iter().find(|(version, _)| version != "1.0").expect("another").0;
    assert!(version.starts_with("1.0+") && version.len() == 16, "{version}");
}

/// As a float, 0.28 * 25 is more than 7.
#[test]
fn a_share_that_comes_out_even_is_not_rounded_up() {
    let deploy = "\"bad-deploy\"\nguest = \"service\"\nreplicas = 0.28\nconfig = { errors = 1 }";
    let fault = format!("[[faults]]\nname = \"it\"\nkind = {deploy}\ntarget = {{ service = \"back\" }}");
    let run = world("replicas = 25", &fault).flags(&["--for", "60s"]).virtually(&[]);
    let spans = run.of("back", SpanKind::Server);
    let instances = |errors: bool| -> BTreeSet<_> {
        let those = spans.iter().filter(|span| (span.error_type() == "500") == errors);
        those.map(|span| &span.instance).collect()
    };
    assert_eq!([instances(true).len(), instances(false).len()], [7, 18]);
}

#[test]
fn a_canary_gets_the_same_traces_at_every_call() {
    let deploy = "\"bad-deploy\"\nguest = \"service\"\nrequests = 0.3\nconfig = { errors = 1 }";
    let fault = format!("[[faults]]\nname = \"it\"\nkind = {deploy}\ntarget = {{ service = \"back\" }}");
    let load = "[[load]]\nname = \"steady\"\nto = \"front\"\narrivals = { constant = \"10/s\" }\n\
                request = { path = \"/\" }";
    let world = World::of_services(&[("front", "config.calls = '3x back?'"), ("back", "")]);
    let run = world.with(load).with(&fault).flags(&["--for", "40s", "--json"]).virtually(&[]);
    let (mut canary, mut rest) = (0, 0);
    for root in run.of("front", SpanKind::Server) {
        let calls: Vec<_> = run.of("back", SpanKind::Server);
        let errors = calls.iter().filter(|span| span.trace == root.trace);
        let errors: Vec<_> = errors.map(|span| span.error_type() == "500").collect();
        assert!(errors.len() == 3 && errors.iter().all(|one| *one == errors[0]), "{errors:?}");
        if errors[0] { canary += 1 } else { rest += 1 }
    }
    assert!((90..150).contains(&canary), "{canary} of {}", canary + rest);
    // Of the rest it is said that the dice have spared them.
    assert_eq!(counts(&run, "it"), ((canary + rest) * 3, canary * 3));
    assert_eq!(run.json()["faults"][0]["suppressed"], json!({ "probability": rest * 3 }));
}

#[test]
fn a_deployment_with_other_routes_answers_by_these() {
    let deploy = "\"bad-deploy\"\nguest = \"service\"\n\
                  config = { \"show.route\" = \"GET /new\", \"errors\" = \"0\" }";
    let fault = format!("[[faults]]\nname = \"it\"\nkind = {deploy}\ntarget = {{ service = \"front\" }}");
    let world = World::of("probe", "").with(&fault);
    let run = world.virtually(&["GET /now", "GET /new"]);
    assert_eq!(run.statuses(), [404, 200]);
    assert!(run.report.contains("GET /new"), "{}", run.report);
}

#[test]
fn a_broken_deployment_does_not_come_up_and_the_run_goes_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let broken = folder.path().join("broken.wasm");
    std::fs::write(&broken, "no component at all").expect("it is written");
    let sulky = crate::support::guests().join("sulky.wasm");
    for guest in [broken, sulky] {
        let deploy = format!("\"bad-deploy\"\nguest = '{}'", guest.display());
        let run = run(&world("replicas = 2", &fault(&deploy, "service = \"back\"")));
        assert_eq!(failed(&run, "connection_refused"), WINDOW);
        assert_eq!(counts(&run, "it"), (10, 10));
    }
}

#[test]
fn a_deployment_of_a_file_that_is_not_there_is_refused() {
    let deploy = fault("\"bad-deploy\"\nguest = \"./nowhere.wasm\"", "service = \"back\"");
    let refusal = world("", &deploy).refusal();
    assert!(refusal.contains("nowhere.wasm cannot be read"), "{refusal}");
    assert!(refusal.contains("relative paths begin at the topology's folder"), "{refusal}");
}
