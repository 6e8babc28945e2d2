//! Groups that lag: their rows of the timeline and their symptoms, through the real program.

use std::path::Path;

use serde_json::Value;

use crate::support::Topology;

const SECOND: u64 = 1_000_000_000;

/// The shipped topology of a kind of fault, which is active from 20 s to 40 s.
fn shipped(kind: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../topologies/faults/{kind}.toml"));
    std::fs::read_to_string(path).expect("a topology")
}

/// The report of a minute.
fn report(text: String) -> Value {
    let topology = Topology::new("lag", text);
    topology.run(&["--virtual", "--for", "1m", "--seed", "5", "--json", "--show", "summary"]).json()
}

/// The symptoms of groups: which, of what, and when they begin and end in seconds.
fn symptoms(report: &Value) -> Vec<(String, u64, u64)> {
    let all = report["symptoms"].as_array().expect("symptoms").iter();
    let of_groups = all.filter(|one| one["of"] == "group");
    let of = |one: &Value| {
        assert_eq!(one["topic"], "order-events", "{one}");
        let [name, what] = ["name", "what"].map(|key| one[key].as_str().expect("a text"));
        let at = |key: &str| one[key].as_u64().expect("a time") / SECOND;
        (format!("{name} {what}"), at("start_ns"), at("end_ns"))
    };
    of_groups.map(of).collect()
}

/// The greatest lag of a group in each interval.
fn lags(report: &Value, group: &str) -> Vec<u64> {
    let rows = report["timeline"]["rows"].as_array().expect("rows");
    let row = rows.iter().find(|row| row["of"] == "group" && row["name"] == group).expect("a row");
    let lags = row["lag_max"].as_array().expect("lags");
    assert_eq!(lags.len(), row["requests"].as_array().expect("counts").len());
    lags.iter().filter_map(Value::as_u64).collect()
}

fn most(lags: &[u64]) -> u64 {
    lags.iter().copied().max().expect("a lag")
}

#[test]
fn a_group_that_stands_still_has_its_lag_in_each_interval_and_symptoms_and_the_other_has_none() {
    let report = report(shipped("consumer-pause"));
    let (mails, invoices) = (lags(&report, "mails"), lags(&report, "invoices"));
    assert_eq!((mails.len(), report["timeline"]["interval_ns"].as_u64()), (60, Some(SECOND)));
    let group = &report["topics"][0]["groups"][0];
    assert_eq!((&group["group"], group["lag_max"].as_u64()), (&"mails".into(), Some(most(&mails))));
    assert!(most(&mails[..20]) < 20 && mails[20..40].is_sorted() && most(&mails[45..]) < 20, "{mails:?}");
    assert!(most(&mails) > 300 && most(&invoices) < 20, "{mails:?} {invoices:?}");
    let symptoms = symptoms(&report);
    let [(p95, slow, _), (lag, start, end)] = &symptoms[..] else { panic!("{symptoms:?}") };
    assert_eq!((p95.as_str(), lag.as_str()), ("mails p95", "mails lag"));
    assert!((17..21).contains(slow) && (20..23).contains(start) && (40..45).contains(end), "{symptoms:?}");
}

#[test]
fn the_text_draws_the_groups_that_lag_and_no_others() {
    let topology = Topology::new("lag", shipped("consumer-pause"));
    let run = |flags: &[&str]| {
        let all = [&["--virtual", "--for", "1m", "--seed", "5", "--show", "summary"], flags].concat();
        topology.run(&all).success().to_owned()
    };
    let text = run(&[]);
    let line = |start: &str| text.lines().filter(|line| line.starts_with(start)).collect::<Vec<_>>();
    assert_eq!(
        (line(" mails               lag  ").len(), line("                     age  ").len()),
        (1, 1),
        "{text}"
    );
    assert_eq!(line(" invoices            lag"), [""; 0]);
    assert_eq!(line(" symptom: group mails of order-events: lag up to ").len(), 1, "{text}");
    assert_eq!(line(" symptom: group mails of order-events: age p95 up to ").len(), 1, "{text}");
    let calm = run(&["--fault", "mails-stopped=off"]);
    assert!(
        calm.contains(" timeline: ") && !calm.contains(" lag up to ") && !calm.contains("  lag  ▁"),
        "{calm}"
    );
}

#[test]
fn the_lag_of_the_report_is_that_of_the_truth_and_lies_within_what_the_fault_has_caused() {
    let topology = Topology::new("lag", shipped("consumer-pause"));
    let flags = ["--virtual", "--for", "1m", "--seed", "5", "--json", "--show", "summary"];
    let report = topology.run(&[&flags[..], &["--truth", "truth.jsonl"]].concat()).json();
    let truth = std::fs::read_to_string(topology.beside("truth.jsonl")).expect("a truth");
    let last: Value = serde_json::from_str(truth.lines().last().expect("a line")).expect("JSON");
    let causes = &last["faults"][0]["causes"];
    let all = report["symptoms"].as_array().expect("symptoms");
    let symptom = all.iter().find(|one| one["what"] == "lag").expect("a lag");
    assert_eq!((&symptom["name"], &causes["groups"][0]["group"]), (&"mails".into(), &"mails".into()));
    assert_eq!(symptom["worst"].as_f64(), causes["groups"][0]["lag_max"]["with"].as_f64());
    let seconds = |key: &str| symptom[key].as_u64().expect("a time") as f64 / 1e9;
    let impact = |key: &str| causes["visible_impact"][key].as_f64().expect("a time");
    assert!(seconds("start_ns") >= impact("start_at").floor(), "{symptom} {causes:#}");
    assert!(seconds("end_ns") <= impact("end_at").ceil(), "{symptom} {causes:#}");
    // The first message that is late is one of those that the group has not done.
    let first = last["faults"][0]["first_symptom"]["at"].as_f64().expect("a time");
    assert!((0.0..3.0).contains(&(seconds("start_ns") - first)), "{symptom} {first}");
}

#[test]
fn all_groups_of_a_service_that_is_down_lag() {
    let paused = shipped("consumer-pause");
    let of_group = r#"target = { topic = "order-events", group = "mails" }"#;
    assert!(paused.contains(of_group));
    let down = paused
        .replace("kind = \"consumer-pause\"", "kind = \"down\"")
        .replace(of_group, "target = { service = \"mailer\" }");
    let report = report(down);
    let lagging: Vec<_> = symptoms(&report).into_iter().filter(|(of, ..)| of.ends_with(" lag")).collect();
    let names: Vec<_> = lagging.iter().map(|(of, ..)| of.as_str()).collect();
    assert_eq!(names, ["mails lag", "invoices lag"]);
    assert!(
        lagging.iter().all(|(_, start, end)| (20..23).contains(start) && (40..60).contains(end)),
        "{lagging:?}"
    );
}

#[test]
fn messages_that_are_lost_are_errors_of_their_group() {
    let report = report(shipped("lose-messages"));
    let found = symptoms(&report);
    let [(errors, start, end)] = &found[..] else { panic!("{found:?}") };
    assert_eq!(errors, "mailer errors");
    assert!((15..22).contains(start) && (38..46).contains(end), "{found:?}");
    let rows = report["timeline"]["rows"].as_array().expect("rows");
    let row = rows.iter().find(|row| row["of"] == "group").expect("a row");
    let sum = |key: &str| row[key].as_array().expect("counts").iter().filter_map(Value::as_u64).sum::<u64>();
    let group = &report["topics"][0]["groups"][0];
    assert_eq!(Some(sum("errors")), group["missed"].as_u64(), "{row}");
    assert_eq!(Some(sum("requests")), report["topics"][0]["published"].as_u64());
}

#[test]
fn a_group_whose_partitions_are_assigned_anew_again_and_again_lags() {
    let report = report(shipped("rebalance-storm"));
    let found = symptoms(&report);
    assert!(found.iter().any(|(of, start, _)| of == "mailer lag" && (20..40).contains(start)), "{found:?}");
    assert!(report["topics"][0]["groups"][0]["rebalances"].as_u64() > Some(2));
}

#[test]
fn without_topics_no_row_of_the_timeline_has_a_lag() {
    let report = Topology::orders().run(&["--virtual", "--for", "4s", "--json", "--show", "summary"]).json();
    let rows = report["timeline"]["rows"].as_array().expect("rows").iter();
    let rows = rows.chain(report["symptoms"].as_array().expect("symptoms"));
    assert!(rows.clone().count() > 4);
    assert!(rows.clone().all(|row| row.get("lag_max").is_none() && row.get("topic").is_none()));
}
