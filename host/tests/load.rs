//! Loads: requests that a topology makes itself.

mod common_run;

use common_run::trace;
use common_run::{Topology, guest};

/// A service that answers at once, and the loads of `loads`.
fn noop(loads: &str) -> Topology {
    let guest = guest("tests/noop");
    Topology::new(
        "loads",
        format!("[topology]\nname = \"loads\"\nseed = 7\n[services.a]\nguest = {guest:?}\n{loads}"),
    )
}

fn load(name: &str, rest: &str) -> String {
    format!("[[load]]\nname = \"{name}\"\nto = \"a\"\nrequest = {{ path = \"/\" }}\n{rest}\n")
}

#[test]
fn a_constant_load_makes_as_many_requests_as_its_rate_says() {
    let topology = noop(&load("even", "arrivals = { constant = \"100/m\" }"));
    let (finished, records) = topology.records(&["--for", "2m"]);
    assert!(finished.success().contains("200 requests in 2m of simulated time"), "{}", finished.stdout);
    let starts: Vec<_> = trace::read(&records).iter().map(|span| span.start).collect();
    assert!(starts.windows(2).all(|pair| pair[1] - pair[0] == 600_000_000), "{starts:?}");
}

#[test]
fn the_same_seed_gives_the_same_load_and_another_seed_another() {
    let topology = noop(&load("poisson", "arrivals = { poisson = \"50/s\" }"));
    let of = |seed| topology.records(&["--for", "10s", "--seed", seed]).1;
    assert_eq!(of("1"), of("1"));
    assert_ne!(of("1"), of("2"));
}

#[test]
fn another_load_changes_nothing_of_the_first() {
    let first = load("first", "arrivals = { poisson = \"50/s\" }");
    let second =
        load("second", "arrivals = { poisson = \"30/s\" }").replace("path = \"/\"", "path = \"/?2\"");
    let alone = trace::read(&noop(&first).records(&["--for", "10s"]).1);
    let both = trace::read(&noop(&format!("{second}{first}")).records(&["--for", "10s"]).1);
    let of_first: Vec<_> = both.iter().filter(|span| span.text("url.query").is_none()).cloned().collect();
    assert_eq!(alone, of_first);
    assert!(both.len() > alone.len() + 200, "the second load has run");
}

#[test]
fn a_load_without_end_is_refused_where_time_does_not_pass() {
    let topology = noop(&load("endless", "arrivals = { poisson = \"50/s\" }"));
    let refused = topology.run(&["--virtual"]);
    assert_eq!(refused.code, Some(2));
    assert!(refused.stderr.contains("the load \"endless\" never ends"), "{}", refused.stderr);
    assert!(refused.stderr.contains("--for 10m"), "{}", refused.stderr);
}
