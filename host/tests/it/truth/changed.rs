//! Requests that a fault has changed, though it struck none of them; and whom else it reaches.

use std::collections::BTreeSet;

use crate::support::Topology;
use serde_json::{Value, json};

use super::{lines, records, summary, written};

/// `shop` asks `stock`, which has one worker and asks `shelf`; `page` asks `shop` too. A fault
/// makes two requests to `stock` slower by `delay`, and others wait behind them. `link` are further
/// lines of the link from `shop` to `stock`.
fn topology(delay: &str, link: &str) -> Topology {
    let text = format!(
        "[topology]\nname = \"queue\"\nseed = 5\n[services.shop]\nguest = \"service\"\n\
         workers = 50\nconfig = {{ work = \"1ms\", calls = \"stock & mail\" }}\n\
         [services.stock]\nguest = \"service\"\nworkers = 1\nconfig = {{ work = \"5ms\", calls = \"shelf\" }}\n\
         [services.shelf]\nguest = \"service\"\nconfig.work = \"1ms\"\n\
         [services.mail]\nguest = \"service\"\nconfig.work = \"1ms\"\n\
         [services.lonely]\nguest = \"service\"\nconfig.work = \"1ms\"\n\
         [[links]]\nfrom = \"shop\"\nto = \"stock\"\n{link}\n\
         [[load]]\nname = \"clients\"\nto = \"shop\"\nrequest = {{ path = \"/\" }}\narrivals = {{ poisson = \"50/s\" }}\n\
         [[load]]\nname = \"others\"\nto = \"lonely\"\nrequest = {{ path = \"/\" }}\narrivals = {{ poisson = \"5/s\" }}\n\
         [[faults]]\nname = \"slow\"\nkind = \"latency\"\ndelay = {delay:?}\ntarget = {{ service = \"stock\" }}\n\
         max-total = 2\nwhen = {{ at = \"2s\", for = \"1s\" }}\n"
    );
    Topology::new("queue", text)
}

fn told(topology: &Topology, flags: &[&str]) -> Vec<Value> {
    let common = ["--virtual", "--for", "10s", "--truth", "truth.jsonl", "--show", "none"];
    topology.run(&[&common[..], flags].concat()).success();
    lines(&written(topology))
}

#[test]
fn requests_that_only_waited_behind_struck_ones_are_listed() {
    let topology = topology("300ms", "");
    let lines = told(&topology, &["--changed", "all"]);
    let row = summary(&lines, "slow");
    let causes = &row["causes"];
    assert_eq!(row["injected"], 2);
    let changed = records(&lines, "changed");
    assert_eq!(
        (&causes["changed"], &causes["changed_listed"]),
        (&json!(changed.len()), &json!(changed.len()))
    );
    assert!(changed.len() > 20, "{}", changed.len());
    let struck: BTreeSet<_> =
        records(&lines, "firing").iter().map(|line| line["trace_id"].as_str()).collect();
    let waited = changed.iter().filter(|line| !struck.contains(&line["trace_id"].as_str()));
    assert_eq!(waited.count(), changed.len() - 2);
    for line in &changed {
        assert_eq!((&line["fault"], &line["service"]), (&json!("slow"), &json!("shop")));
        let ms = |value: &Value| value["took_ms"].as_f64().expect("milliseconds");
        let slower = line["slower_by_ms"].as_f64().expect("milliseconds");
        assert!((ms(line) - ms(&line["without"]) - slower).abs() < 1e-6, "{line}");
        let is_visible = slower >= 10.0 && slower >= ms(&line["without"]) / 5.0;
        assert_eq!(line["visible_as"], if is_visible { json!("slower") } else { Value::Null }, "{line}");
    }
    let visible = changed.iter().filter(|line| !line["visible_as"].is_null());
    assert_eq!(causes["visible"], visible.clone().count());
    // The times are those of the requests, and not of the window.
    let due = |line: &Value| line["at"].as_f64().expect("seconds");
    let end = |line: &Value| due(line) + line["took_ms"].as_f64().expect("milliseconds") / 1e3;
    let first = changed.iter().map(|line| due(line)).fold(f64::MAX, f64::min);
    let last = changed.iter().map(|line| end(line)).fold(0.0, f64::max);
    let impact = |which: &str, key: &str| causes[which][key].as_f64().expect("seconds");
    assert!(
        (impact("impact", "start_at") - first).abs() < 1e-6
            && (impact("impact", "end_at") - last).abs() < 1e-6
    );
    assert!(
        impact("visible_impact", "start_at") >= first && impact("visible_impact", "end_at") <= last + 1e-6
    );
    let symptom = &row["first_symptom"];
    let earliest = visible.min_by(|one, other| due(one).total_cmp(&due(other))).expect("a visible one");
    assert_eq!(symptom["trace_id"], earliest["trace_id"]);
    assert_eq!(symptom["visible_as"], "slower");
}

#[test]
fn as_many_changed_requests_are_listed_as_are_wanted_and_always_the_same() {
    let topology = topology("300ms", "");
    let ids = |lines: &[Value]| -> Vec<String> {
        records(lines, "changed").iter().map(|line| line["trace_id"].to_string()).collect()
    };
    let all = ids(&told(&topology, &["--changed", "all"]));
    let some = told(&topology, &["--changed", "7"]);
    assert_eq!(summary(&some, "slow")["causes"]["changed_listed"], 7);
    assert_eq!(summary(&some, "slow")["causes"]["changed"], all.len());
    let some = ids(&some);
    assert_eq!(some.len(), 7);
    // In the order of the whole list.
    let places: Vec<_> = some.iter().map(|id| all.iter().position(|other| other == id)).collect();
    assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{places:?}");
    assert_eq!(ids(&told(&topology, &["--changed", "7"])), some);
    assert!(ids(&told(&topology, &["--changed", "0"])).is_empty());
    let none = topology.run(&["--virtual", "--for", "1s", "--truth", "t.jsonl", "--changed", "some"]);
    assert_eq!(none.code, Some(2));
    assert!(none.stderr.contains("write a number, or all"), "{}", none.stderr);
}

#[test]
fn a_service_is_listed_if_its_numbers_are_others_with_where_it_stands() {
    let topology = topology("300ms", "timeout = \"100ms\"\nretry = { attempts = 3, on = [\"timeout\"] }");
    let lines = told(&topology, &[]);
    let services = summary(&lines, "slow")["causes"]["services"].as_array().expect("services").clone();
    let of = |name: &str| services.iter().find(|row| row["service"] == name);
    let role = |name: &str| of(name).map(|row| row["role"].as_str().expect("a role"));
    assert_eq!(["shop", "stock", "shelf"].map(role), [Some("upstream"), Some("struck"), Some("downstream")]);
    // It has a load of its own, and nothing to do with it.
    assert_eq!(role("lonely"), None);
    let stock = of("stock").expect("it was struck");
    let number = |which: &str, key: &str| stock[which][key].as_f64().expect("a number");
    // Attempts after timeouts, a queue, longer times.
    for key in ["requests", "waited", "queue_max", "mean_ms", "p95_ms"] {
        assert!(number("with", key) > number("without", key), "{key}: {stock}");
    }
    let shelf = of("shelf").expect("it is called more often");
    assert!(shelf["with"]["requests"].as_u64() > shelf["without"]["requests"].as_u64(), "{shelf}");
}

/// One that is struck and hardly slower is no symptom.
#[test]
fn what_no_client_notices_is_no_symptom() {
    let lines = told(&topology("500us", ""), &[]);
    let row = summary(&lines, "slow");
    assert!(row["first_struck"].is_object() && row["causes"]["changed"].as_u64() >= Some(2), "{row}");
    assert_eq!((&row["first_symptom"], &row["causes"]["visible"]), (&Value::Null, &json!(0)));
    assert_eq!(row["causes"]["visible_impact"], Value::Null);
}
