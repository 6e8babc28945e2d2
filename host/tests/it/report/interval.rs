//! Which time the numbers of a report are over.

use serde_json::Value;

use crate::report::assert_near;
use crate::support::{Finished, Topology};

/// One service, of which one request is to take 50 s longer than its 5 ms.
const HANGS: &str = r#"
[topology]
name = "straggler"

[services.web]
guest = "service"
config = { work = "5ms" }

[[faults]]
name = "one-hangs"
kind = "latency"
delay = "50s"
target = { service = "web" }
max-total = 1
when = { at = "1s" }

"#;

/// The report and the text of the hanging service under these loads.
fn run(loads: &str, flags: &[&str]) -> (Value, Finished) {
    let topology = Topology::new("straggler", format!("{HANGS}{loads}"));
    let flags = [&["--virtual"], flags].concat();
    (topology.run(&[&flags[..], &["--json"]].concat()).json(), topology.run(&flags))
}

const SECOND: u64 = 1_000_000_000;

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("{value} is a number"))
}

#[test]
fn a_request_that_hangs_changes_no_rate_and_fails_no_objective_on_it() {
    let load = "[[load]]\nname = \"client\"\nto = \"web\"\nrequest = { path = \"/\" }\n\
                arrivals = { constant = \"100/s\" }\n[objectives]\nclient = { rate = \">= 100/s\" }\n\
                web = { rate = \">= 100/s\" }\n";
    let (report, text) = run(load, &["--for", "10s"]);
    assert_eq!(text.code, Some(0), "{text:?}");
    assert_eq!(number(&report["duration_ns"]), 10 * SECOND);
    // It came after 1 s, and took 50.005 s.
    assert_eq!(number(&report["drain_ns"]), 41_005_000_000);
    assert_eq!((&report["drained"], &report["requests"]), (&1.into(), &1_000.into()));
    assert_eq!(number(&report["simulated_ns"]), 51_005_000_000);
    for row in [&report["loads"][0], &report["routes"][0], &report["services"][0], &report["links"][0]] {
        assert_eq!((&row["count"], &row["rate"]), (&1_000.into(), &100.0.into()), "{row}");
    }
    assert_eq!(
        (&report["loads"][0]["duration_ns"], &report["loads"][0]["drained"]),
        (&(10 * SECOND).into(), &1.into())
    );
    // 999 requests of 5 ms, and one that is there for 9 s of the 10.
    let busy = (999.0 * 0.005 + 9.0) / 10.0;
    assert_near(&report["services"][0]["busy_mean"], busy);
    assert_near(&report["links"][0]["in_flight_mean"], busy);
    let told = "rates and utilisation are over the 10s in which requests came in\n\
                1 request ended in the 41s after that\n";
    assert!(text.stdout.contains(told), "{}", text.stdout);
}

#[test]
fn each_load_has_its_own_time() {
    let load = |name: &str, more: &str| {
        format!("[[load]]\nname = \"{name}\"\nto = \"web\"\nrequest = {{ path = \"/\" }}\n{more}\n")
    };
    let loads = [
        load("short", "arrivals = { constant = \"10/s\" }\nfor = \"2s\""),
        // One more would be due after 4 s.
        load("counted", "start = \"4s\"\narrivals = { constant = \"5/s\" }\nmax-requests = 20"),
        // Both users wait for 50 s, or ask again in vain.
        load("users", "users = 2\nthink = \"95ms\"\nfor = \"2s\""),
    ];
    let (report, text) = run(&loads.concat(), &[]);
    let row = |at: usize| {
        let row = &report["loads"][at];
        [&row["count"], &row["start_ns"], &row["duration_ns"]].map(number)
    };
    assert_eq!((row(0), row(1)), ([20, 0, 2 * SECOND], [20, 4 * SECOND, 4 * SECOND]));
    assert_eq!(row(2)[1..], [0, 2 * SECOND]);
    assert_eq!((&report["loads"][0]["rate"], &report["loads"][1]["rate"]), (&10.0.into(), &5.0.into()));
    assert_eq!(report["loads"][2]["rate"].as_f64(), Some(row(2)[0] as f64 / 2.0));
    // From the first request to the last that could have come: a load's rate is over its own part.
    assert_eq!(number(&report["duration_ns"]), 8 * SECOND);
    assert_eq!(
        report["routes"][0]["rate"].as_f64(),
        Some(report["requests"].as_f64().expect("a count") / 8.0)
    );
    let headings = text.stdout.lines().find(|line| line.contains("rate/s")).expect("a table");
    assert!(headings.contains(" over "), "{headings}");
}

/// Everybody waits for an answer when their time is over.
#[test]
fn users_who_wait_at_the_end_do_not_prolong_their_load() {
    let load = "[[load]]\nname = \"users\"\nto = \"web\"\nrequest = { path = \"/\" }\nusers = 1\n\
                think = \"95ms\"\n";
    for bound in ["for = \"4s\"\n", "for = \"4s\"\nmax-requests = 1000\n"] {
        let (report, _) = run(&format!("{load}{bound}"), &[]);
        let row = &report["loads"][0];
        assert_eq!((number(&row["duration_ns"]), number(&report["duration_ns"])), (4 * SECOND, 4 * SECOND));
        // Ten requests in the first second; the eleventh hangs.
        assert_eq!((&row["count"], &row["rate"], &row["drained"]), (&11.into(), &2.75.into(), &1.into()));
    }
    // Of two users, one hangs and the other makes the last request.
    let (report, _) = run(&format!("{}max-requests = 51\n", load.replace("users = 1", "users = 2")), &[]);
    let row = &report["loads"][0];
    assert_eq!(&row["count"], &Value::from(51));
    assert!(number(&row["duration_ns"]) < 5 * SECOND, "{row}");
    assert_eq!(number(&report["duration_ns"]), number(&row["duration_ns"]));
}
