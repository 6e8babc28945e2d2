//! What processes say of themselves is wrong, late or lost; the world goes on as it would.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use simhost::clock::VIRTUAL_START;

use super::{MS, counts, steady};
use crate::support::telemetry::Records;
use crate::support::{Run, Span, SpanKind, World};

/// `front`, which asks `back` for the time ten times in each second.
fn callers(faults: &str) -> World {
    let load = "[[load]]\nname = \"steady\"\nto = \"front\"\narrivals = { constant = \"10/s\" }\n\
                request = { path = \"/call?service=back&path=/spans\" }";
    let world = World::of("probe", "").and("back", "probe", "replicas = 2");
    world.with("[network]\nlatency = \"1ms\"").with(load).with(faults)
}

/// The callers for four seconds, with the report as JSON.
fn asking(faults: &str) -> World {
    callers(faults).flags(&["--for", "4s", "--json"])
}

fn fault(kind: &str, lines: &str) -> String {
    format!("[[faults]]\nname = \"it\"\nkind = \"{kind}\"\n{lines}\n")
}

fn at_back(kind: &str, lines: &str) -> String {
    fault(kind, &format!("target = {{ service = \"back\" }}\n{lines}"))
}

/// What the report says of all that is no record.
fn world_of(run: &Run) -> Value {
    let report = run.json();
    json!([report["routes"], report["services"], report["links"], report["loads"], report["simulated_ns"]])
}

/// In which line of a file each span is.
fn lines_of(bytes: &str) -> BTreeMap<String, usize> {
    let spans = bytes.lines().enumerate().flat_map(|(number, line)| {
        let spans = Records::parse(line).spans.into_iter();
        spans.map(move |span| (span.id, number))
    });
    spans.collect()
}

fn ids(spans: &[Span]) -> BTreeSet<&str> {
    spans.iter().map(|span| span.id.as_str()).collect()
}

/// The SERVER spans of `back`, and of each the CLIENT span that has called it.
fn calls(run: &Run) -> Vec<(&Span, &Span)> {
    let servers = run.of("back", SpanKind::Server);
    let client = |server: &Span| run.spans().iter().find(|span| span.id == server.parent).expect("a call");
    servers.into_iter().map(|server| (server, client(server))).collect()
}

#[test]
fn a_clock_that_is_behind_moves_all_that_its_replica_records() {
    let target = "target = { service = \"back\", replica = 1 }\nby = \"-250ms\"";
    let right = asking("").virtually(&[]);
    let run = asking(&fault("clock-skew", target)).virtually(&[]);
    assert_eq!(world_of(&run), world_of(&right));
    assert_eq!(counts(&run, "it"), (1, 1));
    let instances: BTreeSet<_> = run.of("back", SpanKind::Server).iter().map(|span| &span.instance).collect();
    assert_eq!(instances.len(), 2);
    let mut moved = BTreeSet::new();
    for span in run.spans() {
        let same = right.spans().iter().find(|other| other.id == span.id).expect("the same span");
        let by = i128::from(span.start) - i128::from(same.start);
        assert_eq!(span.duration(), same.duration());
        let events = span.events.iter().zip(&same.events);
        assert!(events.clone().all(|(one, other)| i128::from(one.time) - i128::from(other.time) == by));
        assert!(by == 0 || by == -250 * i128::from(MS) && span.service == "back", "{by}: {span:?}");
        if by != 0 {
            moved.insert(&span.instance);
        }
    }
    assert_eq!(moved.len(), 1, "one replica");
    // Its SERVER spans begin before those that have called them.
    let impossible = calls(&run).iter().filter(|(server, client)| server.start < client.start).count();
    assert!((10..30).contains(&impossible), "{impossible} of 40");
}

#[test]
fn a_guest_and_its_log_see_the_wrong_time_while_the_window_is_open() {
    let fault = fault(
        "clock-skew",
        "target = { service = \"front\" }\nby = \"5s\"\nwhen = { at = \"1s\", for = \"1s\" }",
    );
    let world = World::of("probe", "").and("back", "probe", "");
    let world = world.with("[network]\nlatency = \"0s\"").with(&fault);
    let waits = |ms: u64| format!("GET /call?service=back&path=/sleep/{ms}");
    let (first, second) = (waits(1_200), waits(1_500));
    let run = world.virtually(&["GET /now", &first, "GET /now", "GET /print", &second, "GET /now"]);
    let shown: Vec<_> = [0, 2, 5].map(|at| run.answers[at].json()).to_vec();
    let since = |at: usize, key: &str| shown[at][key].as_u64().expect("nanoseconds") - VIRTUAL_START;
    for key in ["system_time_ns", "clock_ns"] {
        assert_eq!([0, 1, 2].map(|at| since(at, key) / MS), [0, 6_200, 2_700], "{key}");
    }
    // How long something takes, it knows.
    assert_eq!(shown[1]["instant_elapsed_ns"], 0);
    assert!(!run.logs().is_empty());
    assert!(run.logs().iter().all(|log| (log.time - VIRTUAL_START) / MS == 6_200), "{:?}", run.logs());
    // A span is where its process began it: that which began before the window has the right time.
    let spans = run.of("front", SpanKind::Server);
    let named = |name: &str| {
        spans
            .iter()
            .filter(|span| span.name == name)
            .map(|span| (span.start - VIRTUAL_START) / MS)
            .collect::<Vec<_>>()
    };
    assert_eq!(named("GET /call"), [0, 6_200]);
    assert_eq!(named("GET /now"), [0, 2_700, 6_200]);
}

#[test]
fn a_clock_drifts_as_its_fault_grows() {
    let when =
        "target = { service = \"front\" }\nby = \"1s\"\nwhen = { at = \"1s\", for = \"4s\", ramp = \"1s\" }";
    let run = steady(&fault("clock-skew", when)).flags(&["--for", "6s"]).virtually(&[]);
    let right = steady("").flags(&["--for", "6s"]).virtually(&[]);
    let by = |at: u64| {
        let same = right.spans().iter().find(|span| span.start == VIRTUAL_START + at * MS).expect("a span");
        let span = run.spans().iter().find(|span| span.id == same.id).expect("the same span");
        (span.start - same.start) / MS
    };
    assert_eq!([900, 1_000, 1_500, 2_000, 3_000, 4_500, 5_000].map(by), [0, 0, 500, 1_000, 1_000, 500, 0]);
}

#[test]
fn lost_spans_leave_holes_and_nothing_else() {
    let whole = asking("").virtually(&[]);
    let run = asking(&at_back("lose-spans", "probability = 0.5")).virtually(&[]);
    assert_eq!(world_of(&run), world_of(&whole));
    let (matched, injected) = counts(&run, "it");
    let of_back = whole.spans().iter().filter(|span| span.service == "back").count() as u64;
    assert_eq!(matched, of_back);
    assert!(injected > of_back / 3 && injected < of_back * 2 / 3, "{injected} of {of_back}");
    let lost: Vec<_> =
        whole.spans().iter().filter(|span| !ids(run.spans()).contains(span.id.as_str())).collect();
    assert_eq!(lost.len() as u64, injected);
    assert!(lost.iter().all(|span| span.service == "back"));
    let report = run.json();
    assert_eq!(report["telemetry"]["spans"], run.spans().len());
}

#[test]
fn a_route_or_a_span_narrows_what_is_lost() {
    let whole = asking("").virtually(&[]);
    let lost = |target: &str| {
        let run = asking(&fault("lose-spans", &format!("target = {{ service = \"back\", {target} }}")))
            .virtually(&[]);
        let left = ids(run.spans()).into_iter().map(ToOwned::to_owned).collect::<BTreeSet<_>>();
        let lost: BTreeSet<_> = whole
            .spans()
            .iter()
            .filter(|span| !left.contains(&span.id))
            .map(|span| (span.kind as i32, span.name.clone()))
            .collect();
        lost.into_iter().collect::<Vec<_>>()
    };
    assert_eq!(lost("route = \"GET /spans\""), [(SpanKind::Server as i32, "GET /spans".to_owned())]);
    let names: BTreeSet<_> = whole
        .spans()
        .iter()
        .filter(|span| span.scope == "simhost.guest")
        .map(|span| span.name.clone())
        .collect();
    let name = names.first().expect("a guest's span");
    let named: Vec<_> = lost(&format!("span = \"{name}\"")).into_iter().map(|(_, name)| name).collect();
    assert_eq!(named, std::slice::from_ref(name));
}

#[test]
fn late_spans_come_when_they_are_due_and_all_of_them_in_the_end() {
    let late = at_back("late-spans", "by = \"20s\"\nprobability = 0.1");
    let run = |faults: &str| {
        let world = callers(faults).flags(&["--for", "60s", "--json"]);
        world.env("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "1").virtually(&[])
    };
    let (whole, run) = (run(""), run(&late));
    assert_eq!(world_of(&run), world_of(&whole));
    assert_eq!(ids(run.spans()), ids(whole.spans()));
    let (_, injected) = counts(&run, "it");
    let (before, after) = (lines_of(&whole.bytes), lines_of(&run.bytes));
    let lines = before.values().max().expect("a line");
    assert!(*lines >= 8, "{lines} lines");
    // A third of the run later is a third of the lines later, and what is due behind the
    // end comes at the end.
    let moved = before.iter().filter(|(id, line)| after[*id] >= **line + lines / 3);
    let (behind, early) =
        (moved.count() as u64, before.iter().filter(|(id, line)| after[*id] < **line).count());
    assert!(behind >= injected * 6 / 10 && behind <= injected, "{behind} of {injected}");
    assert!(early as u64 > 0, "what follows moves up");
}

#[test]
fn spans_for_which_there_is_no_room_are_not_late_and_counted_as_spared() {
    let load = "[[load]]\nname = \"steady\"\nto = \"front\"\narrivals = { constant = \"10000/s\" }\n\
                request = { path = \"/spans\" }";
    let late = fault("late-spans", "target = { service = \"front\" }\nby = \"1h\"");
    let run = World::of("probe", "").with(load).with(&late).flags(&["--for", "1s", "--json"]).virtually(&[]);
    let report = run.json();
    let (matched, injected) = counts(&run, "it");
    assert_eq!((matched, injected), (run.spans().len() as u64, 65_536));
    assert_eq!(report["faults"][0]["suppressed"], json!({ "no-room": matched - injected }));
}

#[test]
fn a_wrong_name_is_another_resource_with_all_else_as_it_was() {
    let whole = asking("").virtually(&[]);
    let lines = "target = { service = \"back\", replica = 0 }\nwhen = { at = \"2s\" }";
    let run = asking(&fault("wrong-service-name", lines)).virtually(&[]);
    assert_eq!(world_of(&run), world_of(&whole));
    assert_eq!(counts(&run, "it"), (1, 1));
    let renamed: Vec<_> = run.spans().iter().filter(|span| span.service == "unknown_service").collect();
    assert!(renamed.len() > 5, "{}", renamed.len());
    let instances: BTreeSet<_> = renamed.iter().map(|span| &span.instance).collect();
    assert_eq!(instances.len(), 1);
    for span in &renamed {
        assert!(span.end >= VIRTUAL_START + 2_000 * MS);
        let same = whole.spans().iter().find(|other| other.id == span.id).expect("the same span");
        assert_eq!(
            (&same.service, &same.instance, &same.attributes),
            (&"back".to_owned(), &span.instance, &span.attributes)
        );
    }
    let early = |span: &&Span| {
        span.instance == **instances.first().expect("one") && span.end < VIRTUAL_START + 2_000 * MS
    };
    assert!(run.spans().iter().filter(early).all(|span| span.service == "back"));
}

#[test]
fn an_attribute_has_ever_new_values_or_as_many_as_it_may() {
    let values = |lines: &str, key: &str| -> Vec<Value> {
        let run = asking(&at_back("cardinality", lines)).virtually(&[]);
        let servers = run.of("back", SpanKind::Server);
        let others =
            run.spans().iter().filter(|span| span.service != "back" || span.kind != SpanKind::Server);
        assert!(others.clone().count() > 0 && others.clone().all(|span| span.get("session.id").is_null()));
        assert_eq!(counts(&run, "it"), (servers.len() as u64, servers.len() as u64));
        servers.iter().map(|span| span.get(key).clone()).collect()
    };
    let different = |values: &[Value]| values.iter().map(ToString::to_string).collect::<BTreeSet<_>>().len();
    let unbounded = values("attribute = \"session.id\"", "session.id");
    assert_eq!((unbounded.len(), different(&unbounded)), (40, 40));
    let bounded = values("attribute = \"session.id\"\nvalues = 3", "session.id");
    assert_eq!((bounded.len(), different(&bounded)), (40, 3));
    // One that is there already is spoilt, not there twice: its parent the route has.
    let routes = values("attribute = \"http.route\"", "http.route");
    assert_eq!(different(&routes), 40);
    assert!(routes.iter().all(|route| route.as_str().expect("a text").starts_with("/spans/")), "{routes:?}");
}

#[test]
fn what_receivers_miss_comes_when_they_are_back() {
    let down = fault("collector-down", "when = { at = \"1s\", for = \"2s\" }");
    let whole = asking("").virtually(&[]);
    let run = asking(&down).virtually(&[]);
    assert_eq!(ids(run.spans()), ids(whole.spans()));
    assert_eq!(counts(&run, "it"), (1, 1));
    let digest = |run: &Run| run.json()["digest"].clone();
    assert_eq!(digest(&run), digest(&whole));
    // What was held comes at once.
    let lines = |faults: &str| {
        let world = callers(faults).flags(&["--for", "60s", "--json"]);
        let run = world.env("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "1").virtually(&[]);
        lines_of(&run.bytes).into_values().collect::<BTreeSet<_>>().len()
    };
    let (quietly, always) = (lines(&down.replace("\"2s\"", "\"40s\"")), lines(""));
    assert!(quietly + 4 <= always, "{quietly} lines in place of {always}");
    let shown = |faults: &str| {
        let run = callers(faults).flags(&["--for", "4s", "--show", "traces"]).virtually(&[]);
        run.stdout.split("\ntests: ").next().expect("traces").to_owned()
    };
    assert!(shown("").lines().count() > 100);
    assert_eq!(shown(&down), shown(""));
}

#[test]
fn receivers_that_do_not_come_back_cost_what_does_not_fit() {
    let run = |room: &str, when: &str| {
        let down = fault("collector-down", when);
        asking(&down).env("OTEL_BSP_MAX_QUEUE_SIZE", room).virtually(&[])
    };
    let exporter = |run: &Run| {
        let report = run.json();
        let exporter = &report["telemetry"]["exporters"][0];
        (
            exporter["exported_spans"].as_u64().expect("a count"),
            exporter["dropped"].as_u64().expect("a count"),
            exporter["reasons"].clone(),
        )
    };
    let all = asking("").virtually(&[]).spans().len() as u64;
    let (exported, dropped, reasons) = exporter(&run("20", "when = { at = \"1s\", for = \"2s\" }"));
    assert!(dropped > 50 && exported + dropped >= all, "{exported} {dropped} {all}");
    let said = reasons[0].as_str().expect("a reason");
    assert!(said.ends_with(", the receivers were down"), "{said}");
    // What waits at the end waits for nobody.
    let (exported, dropped, _) = exporter(&run("60000", "when = { at = \"2s\" }"));
    assert!(exported > all / 3 && exported < all * 2 / 3, "{exported} of {all}");
    assert!(dropped >= all - exported);
}

#[test]
fn faults_of_records_repeat_and_are_absent_while_they_are_inactive() {
    let faults = [
        at_back("clock-skew", "by = \"-250ms\""),
        at_back("lose-spans", "probability = 0.3"),
        at_back("late-spans", "by = \"1s +/- 300ms\"\nprobability = 0.3"),
        at_back("wrong-service-name", "service-name = \"legacy\""),
        at_back("cardinality", "attribute = \"session.id\""),
        fault("collector-down", "when = { at = \"1s\", for = \"1s\" }"),
    ];
    let absent = asking("").virtually(&[]);
    for fault in &faults {
        let run = || asking(fault).virtually(&[]);
        let one = run();
        assert_eq!(one.bytes, run().bytes, "{fault}");
        let later = fault.replace("when = { at = \"1s\", for = \"1s\" }", "");
        let inactive = asking(&format!("{later}when = {{ at = \"1h\" }}")).virtually(&[]);
        assert!(inactive.bytes == absent.bytes, "{fault}");
        assert!(fault.contains("collector-down") || one.bytes != absent.bytes, "{fault}");
    }
}
