//! Jobs, and the schedules that begin them.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use crate::support::metrics::{Measured, Point};
use crate::support::{Run, SpanKind, World, finish, refused};

/// A service `front` that serves requests, and the guest with the jobs.
fn with_chores(settings: &str) -> World {
    World::of("noop", "").and("chores", "chores", settings)
}

/// The line of a schedule of the job, and what stands below it.
fn schedule(job: &str, settings: &str) -> String {
    format!("[[schedules]]\nservice = \"chores\"\njob = \"{job}\"\n{settings}\n")
}

/// What runs of these jobs do in ten seconds, in a service with these settings.
fn run(settings: &str, schedules: &[(&str, &str)]) -> Run {
    let schedules: String = schedules.iter().map(|(job, settings)| schedule(job, settings)).collect();
    with_chores(settings).with(&schedules).flags(&["--for", "10s", "--json"]).virtually(&[])
}

/// The row of a job in the report: runs, skipped and failed.
fn counts(run: &Run, job: &str) -> (u64, u64, u64) {
    let report = run.json();
    let rows = report["jobs"].as_array().expect("jobs");
    let row = rows.iter().find(|row| row["job"] == job).expect("the job has a row");
    let number = |key: &str| row[key].as_u64().expect("a number");
    (number("count"), number("skipped"), number("errors"))
}

#[test]
fn a_job_runs_again_and_again_and_its_span_is_the_root_of_its_trace() {
    let run = run("config.next = \"front\"\nconfig.lasts = \"20ms\"", &[("sweep", "every = \"1s\"")]);
    assert_eq!(counts(&run, "sweep"), (10, 0, 0));
    let sweeps = run.named("sweep");
    let traces: BTreeSet<_> = sweeps.iter().map(|span| &span.trace).collect();
    assert_eq!((sweeps.len(), traces.len()), (10, 10));
    for sweep in sweeps {
        assert_eq!((sweep.parent.as_str(), sweep.service.as_str()), ("", "chores"));
        let [call] = run.children(sweep)[..] else { panic!("one call in {sweep:?}") };
        assert_eq!(call.kind, SpanKind::Client);
        assert_eq!(run.children(call)[0].service, "front");
    }
    let swept: Vec<_> = run.logs().iter().filter(|log| log.body == "swept").collect();
    assert_eq!(swept.len(), 10);
    assert!(swept.iter().all(|log| traces.contains(&log.trace)));
}

/// As an OpenTelemetry SDK does where no span is current (specification, "Determining the Parent Span from a
/// Context").
#[test]
fn each_span_and_each_call_outside_of_a_span_begins_a_trace() {
    let run =
        run("config.next = \"front\"", &[("errands", "every = \"10s\""), ("two-rooms", "every = \"10s\"")]);
    let calls = run.of("chores", SpanKind::Client);
    assert_eq!(calls.len(), 2);
    assert!(calls.iter().all(|call| call.parent.is_empty()));
    assert_ne!(calls[0].trace, calls[1].trace);
    let (kitchen, floor, hall) = (run.span("kitchen"), run.span("floor"), run.span("hall"));
    assert_eq!((&floor.parent, &floor.trace), (&kitchen.id, &kitchen.trace));
    assert_eq!((kitchen.parent.as_str(), hall.parent.as_str()), ("", ""));
    assert_ne!(kitchen.trace, hall.trace);
}

#[test]
fn a_job_that_fails_traps_or_never_ends_harms_no_other_run() {
    let jobs = ["complain", "stumble", "spin", "listen", "look"];
    let all = jobs.map(|job| (job, "every = \"2s\""));
    let run = run("workers = 1", &all);
    assert_eq!(jobs.map(|job| counts(&run, job)), [(5, 0, 5), (5, 0, 5), (5, 0, 5), (5, 0, 5), (5, 0, 0)]);
    let report = run.json();
    let kinds = ["job_error", "guest_trap", "cpu_time_exceeded", "guest_error"];
    for (row, kind) in report["jobs"].as_array().expect("jobs").iter().zip(kinds) {
        assert_eq!(row["errors_by_type"][kind], 5, "{row}");
    }
    let logged = |text: &str| run.logs().iter().filter(|log| log.body.starts_with(text)).count();
    assert_eq!(logged("job complain failed: the broom is broken"), 5);
    assert_eq!(logged("job stumble failed: wasm trap"), 5);
    assert_eq!(logged("job spin failed: the guest computed longer than limits.cpu-time = 1s"), 5);
    assert_eq!(logged("job listen failed: the guest asked for the request while it served none"), 5);
    let failed = run.logs().iter().find(|log| log.body.starts_with("job complain")).expect("it is logged");
    assert_eq!(failed.attributes["simhost.job.name"], "complain");
    assert_eq!(failed.attributes["error.type"], "job_error");
}

#[test]
fn runs_that_overlap_are_skipped_queued_or_side_by_side_as_the_schedule_has_it() {
    let of = |overlap: &str| {
        let settings = format!("every = \"1s\"\noverlap = \"{overlap}\"");
        let run = run("config.lasts = \"2500ms\"", &[("rest", &settings)]);
        let report = run.json();
        (counts(&run, "rest"), report["jobs"][0]["max_ns"].as_u64(), report["simulated_ns"].as_u64())
    };
    let (rested, second) = (Some(2_500_000_000), 1_000_000_000);
    // Due at 0, 1, 2, …; it ends at 2.5, 5.5 and 8.5 s, and the last run begins at 9 s.
    assert_eq!(of("skip"), ((4, 6, 0), rested, Some(11 * second + second / 2)));
    // Runs begin at 0, 2.5, 5 and 7.5 s; when time is up, six wait, which are left out.
    assert_eq!(of("queue"), ((4, 6, 0), rested, Some(10 * second)));
    assert_eq!(of("allow"), ((10, 0, 0), rested, Some(11 * second + second / 2)));
}

#[test]
fn a_run_that_takes_too_long_fails_and_its_spans_are_kept() {
    let run = run("config.lasts = \"3s\"", &[("sweep", "every = \"5s\"\ntimeout = \"1s\"")]);
    assert_eq!(counts(&run, "sweep"), (2, 0, 2));
    assert_eq!(run.json()["jobs"][0]["errors_by_type"]["timeout"], 2);
    assert_eq!(run.json()["jobs"][0]["max_ns"], 1_000_000_000);
    assert!(run.named("sweep").iter().all(|span| span.duration() == 1_000_000_000));
    assert!(run.logs().iter().any(|log| log.body == "job sweep failed: it took longer than timeout = 1s"));
}

#[test]
fn a_job_runs_at_one_replica_or_at_all_with_a_jitter_that_the_seed_draws() {
    let schedules = [
        ("sweep", "every = \"1s\"\njitter = \"500ms\"\nreplicas = \"all\""),
        ("two-rooms", "every = \"500ms\""),
    ];
    let run = run("replicas = 3", &schedules);
    assert_eq!((counts(&run, "sweep").0, counts(&run, "two-rooms").0), (30, 20));
    let by = |name: &str| {
        let mut by: BTreeMap<&str, usize> = BTreeMap::new();
        run.named(name).iter().for_each(|span| *by.entry(&span.instance).or_default() += 1);
        by.into_values().collect::<Vec<_>>()
    };
    assert_eq!(by("sweep"), [10, 10, 10]);
    let drawn = by("kitchen");
    assert!(drawn.len() == 3 && drawn.iter().sum::<usize>() == 20, "{drawn:?}");
    let late: BTreeSet<_> = run.named("sweep").iter().map(|span| span.start % 1_000_000_000).collect();
    assert!(late.len() > 25 && late.iter().all(|late| *late < 501_000_000), "{late:?}");
}

#[test]
fn jobs_wait_for_workers_behind_requests_and_fail_where_the_queue_is_full() {
    let load = "[[load]]\nname = \"users\"\nto = \"front\"\nrequest.path = \"/\"\nfor = \"10s\"\n\
                arrivals.constant = \"10/s\"\n";
    let front = |queue: u32| {
        let settings = format!(
            "workers = 1\nqueue = {queue}\nconfig.get = {{ route = \"GET /\", work = \"1s\" }}\n\
             config.clean = {{ job = \"clean\", work = \"10ms\" }}"
        );
        let world = World::default().with_guest("front", "service", &settings);
        let schedule =
            "[[schedules]]\nservice = \"front\"\njob = \"clean\"\nevery = \"1s\"\nstart = \"1500ms\"\n";
        world.with(load).with(schedule).flags(&["--json"]).virtually(&[])
    };
    let run = front(1);
    assert_eq!(run.json()["jobs"][0]["errors_by_type"]["queue_full"], counts(&run, "clean").2);
    assert!(counts(&run, "clean").2 > 3, "{:?}", counts(&run, "clean"));
    let run = front(1_000);
    assert_eq!(counts(&run, "clean").2, 0);
    let longest = run.json()["jobs"][0]["max_ns"].as_u64().expect("a time");
    assert!(longest > 1_000_000_000, "{longest}");
}

#[test]
fn a_replica_that_is_down_or_dies_fails_its_runs() {
    let faults = "[[faults]]\nname = \"gone\"\nkind = \"down\"\ntarget.service = \"chores\"\n\
                  when = { at = \"2s\", for = \"3s\" }\n";
    let schedules = schedule("sweep", "every = \"1s\"\nstart = \"500ms\"");
    let world = with_chores("config.lasts = \"700ms\"").with(&schedules).with(faults);
    let run = world.flags(&["--for", "10s", "--json"]).virtually(&[]);
    let row = run.json()["jobs"][0].clone();
    // The run of 1.5 s dies at 2 s; those of 2.5, 3.5 and 4.5 s find nobody.
    assert_eq!((counts(&run, "sweep"), &row["errors_by_type"]["replica_died"]), ((10, 0, 4), &json!(1)));
    assert_eq!(row["errors_by_type"]["replica_down"], 3);
    assert_eq!(run.named("sweep").len(), 6, "the span of a process that dies is lost");
    let failed = run.logs().iter().filter(|log| log.body.contains("failed"));
    assert_eq!(failed.count(), 0, "a process that is dead writes nothing");
}

#[test]
fn metrics_have_the_runs_of_each_job() {
    let jobs = [("complain", "every = \"2s\""), ("rest", "every = \"1s\"")];
    let schedules: String = jobs.iter().map(|(job, settings)| schedule(job, settings)).collect();
    let world = with_chores("config.lasts = \"1500ms\"").with(&schedules).measured(60_000);
    let run = world.flags(&["--for", "10s"]).virtually(&[]);
    let points = run.points();
    let of = |metric: &str, job: &str| {
        let is_it = |point: &&Point| {
            point.metric == metric && point.attributes.get("simhost.job.name") == Some(&json!(job))
        };
        points.iter().filter(is_it).collect::<Vec<_>>()
    };
    let runs = |point: &Point| match &point.value {
        Measured::Histogram(histogram) => histogram.count,
        other => panic!("{other:?}"),
    };
    let [failed] = of("simhost.job.duration", "complain")[..] else { panic!("one series") };
    assert_eq!((runs(failed), failed.attributes.get("error.type")), (5, Some(&json!("job_error"))));
    let [rested] = of("simhost.job.duration", "rest")[..] else { panic!("one series") };
    assert_eq!((runs(rested), rested.attributes.get("error.type")), (5, None));
    let [skipped] = of("simhost.job.skipped", "rest")[..] else { panic!("one series") };
    assert_eq!(skipped.value, Measured::Sum { value: 5.0, is_monotonic: true });
}

#[test]
fn a_schedule_of_a_job_that_there_is_not_is_refused_with_the_nearest() {
    let wrong = [("sweeep", "every = \"1s\""), ("rest", "every = \"1s\"")];
    let schedules: String = wrong.iter().map(|(job, settings)| schedule(job, settings)).collect();
    let none = "[[schedules]]\nservice = \"front\"\njob = \"sweep\"\nevery = \"1s\"\n";
    let report = with_chores("").with(&schedules).with(none).refusal();
    assert!(report.contains("\"chores\" has no job \"sweeep\""), "{report}");
    assert!(report.contains("did you mean \"sweep\"?"), "{report}");
    assert!(report.contains("\"front\" has no jobs"), "{report}");
    assert!(report.contains("let its guest export `job`, or name another service"), "{report}");
}

#[test]
fn a_run_in_virtual_time_with_schedules_alone_has_to_end() {
    let world = with_chores("").with(&schedule("rest", "every = \"1s\""));
    let (_folder, mut command) = world.virtual_command(&[]);
    let finished = finish(&mut command);
    refused(&finished, &[]);
    let told = finished.told();
    assert!(told.contains("the job \"rest\" runs for ever, and so would the run"), "{told}");
    assert!(told.contains("say how long: --for 10m"), "{told}");
}

#[test]
fn jobs_run_as_long_as_the_loads_do_and_not_where_requests_are_named() {
    let load = "[[load]]\nname = \"users\"\nto = \"front\"\nrequest.path = \"/\"\nfor = \"2900ms\"\n\
                arrivals.constant = \"10/s\"\n";
    let world = with_chores("").with(&schedule("rest", "every = \"1s\"")).with(load);
    assert_eq!(counts(&world.clone().flags(&["--json"]).virtually(&[]), "rest").0, 3);
    let asked = world.virtually(&["GET /"]);
    assert!(!asked.report.contains("rest"), "{}", asked.report);
}

#[test]
fn in_real_time_jobs_run_by_the_clock_and_their_spans_are_roots_too() {
    let world = with_chores("config.next = \"front\"").with(&schedule("sweep", "every = \"200ms\""));
    let run = world.flags(&["--for", "1100ms", "--json"]).serve().ended();
    // A machine that is busy runs one later, and the clock of the run is its own.
    let (runs, skipped, failed) = counts(&run, "sweep");
    assert!((3..=6).contains(&runs) && (skipped, failed) == (0, 0), "{runs} {skipped} {failed}");
    let sweeps = run.named("sweep");
    let traces: BTreeSet<_> = sweeps.iter().map(|span| &span.trace).collect();
    assert_eq!((sweeps.len() as u64, traces.len() as u64), (runs, runs));
    assert!(sweeps.iter().all(|span| span.parent.is_empty() && run.children(span).len() == 1), "{sweeps:#?}");
    let lasted = sweeps[sweeps.len() - 1].start - sweeps[0].start;
    assert!(lasted >= (runs - 1) * 150_000_000, "{lasted}");
}

#[test]
fn jobs_draw_the_same_whatever_the_others_do() {
    let of = |jobs: &[(&str, &str)]| {
        let run = run("config.next = \"front\"\nreplicas = 3", jobs);
        run.named("sweep")
            .iter()
            .map(|span| (span.trace.clone(), span.start, span.instance.clone()))
            .collect::<Vec<_>>()
    };
    let sweep = ("sweep", "every = \"1s\"\njitter = \"1s\"");
    let alone = of(&[sweep]);
    assert_eq!(alone.len(), 10);
    assert_eq!(of(&[("two-rooms", "every = \"300ms\""), sweep]), alone);
}
