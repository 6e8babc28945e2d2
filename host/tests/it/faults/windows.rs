//! Windows open and close at their instants, by schedule, by chance and by cascade.

use super::{MS, counts, requests, slow, steady, struck};

/// The requests of a steady load that come in these stretches: milliseconds.
fn among(stretches: &[(u64, u64)], requests: &[(u64, u64)]) -> Vec<u64> {
    let within = |at: &u64| stretches.iter().any(|(opens, closes)| (opens..closes).contains(&at));
    requests.iter().map(|(at, _)| *at).filter(within).collect()
}

#[test]
fn a_fault_strikes_from_when_its_window_opens_up_to_when_it_closes() {
    let fault = slow("slow", "when = { at = \"1s\", for = \"2s\" }");
    let run = steady(&fault).flags(&["--for", "5s", "--json"]).virtually(&[]);
    let all = requests(&run);
    assert!(all.iter().any(|(at, _)| *at == 1_000) && all.iter().any(|(at, _)| *at == 3_000), "{all:?}");
    // The request of the very instant at which it opens is struck, that at which it closes is not.
    assert_eq!(struck(&run), among(&[(1_000, 3_000)], &all));
    assert_eq!(counts(&run, "slow"), (20, 20));
}

#[test]
fn a_window_opens_again_and_again() {
    let fault = slow("slow", "when = { at = \"500ms\", for = \"300ms\", every = \"2s\" }");
    let run = steady(&fault).flags(&["--for", "5s"]).virtually(&[]);
    let windows = [(500, 800), (2_500, 2_800), (4_500, 4_800)];
    assert_eq!(struck(&run), among(&windows, &requests(&run)));
    assert_eq!(struck(&run).len(), 9);
}

#[test]
fn without_an_end_a_window_stays_open() {
    let fault = slow("slow", "when = { at = \"1s\" }");
    let run = steady(&fault).flags(&["--for", "3s"]).virtually(&[]);
    assert_eq!(struck(&run), among(&[(1_000, 9_000)], &requests(&run)));
}

#[test]
fn a_ramp_lets_a_delay_grow_and_shrink_within_its_window() {
    let fault = slow("slow", "when = { at = \"1s\", for = \"4s\", ramp = \"1s\" }");
    let run = steady(&fault).flags(&["--for", "6s"]).virtually(&[]);
    let all = requests(&run);
    let took = |at: u64| all.iter().find(|(came, _)| *came == at).expect("a request").1;
    assert_eq!([1_000, 1_200, 1_500, 1_800, 2_000, 3_000].map(took), [0, 8, 20, 32, 40, 40]);
    assert_eq!([4_000, 4_200, 4_500, 4_900, 5_000].map(took), [40, 32, 20, 4, 0]);
}

#[test]
fn a_ramp_lets_an_error_become_more_frequent() {
    let fault = "[[faults]]\nname = \"fails\"\nkind = \"error\"\nstatus = 503\n\
                 target = { service = \"front\" }\nwhen = { ramp = \"100s\" }";
    let run = steady(fault).flags(&["--for", "100s"]).virtually(&[]);
    let errors: Vec<_> = run.spans().iter().filter(|span| span.error_type() == "503").collect();
    let by_half = |late: bool| {
        let start = run.spans()[0].start;
        errors.iter().filter(|span| (span.start - start > 50_000 * MS) == late).count()
    };
    // A quarter of 500 in the first half, and three quarters of 500 in the second.
    assert!((95..155).contains(&by_half(false)), "{}", by_half(false));
    assert!((345..405).contains(&by_half(true)), "{}", by_half(true));
}

#[test]
fn incidents_come_and_go_by_themselves_as_the_seed_has_it() {
    let fault =
        slow("slow", "when = { between = { exponential = { mean = \"2s\" } }, hold = \"500ms +/- 100ms\" }");
    let run =
        |faults: &str, seed: &str| steady(faults).flags(&["--for", "60s", "--seed", seed]).virtually(&[]);
    let first = run(&fault, "1");
    let times = struck(&first);
    assert!((40..250).contains(&times.len()), "{times:?}");
    assert_eq!(struck(&run(&fault, "1")), times);
    assert_ne!(struck(&run(&fault, "2")), times);
    // Another fault beside it moves none of its windows.
    let other = "[[faults]]\nname = \"other\"\nkind = \"error\"\nstatus = 500\n\
                 target = { service = \"front\" }\nwhen = { between = \"1s\", hold = \"1s\" }\n";
    assert_eq!(struck(&run(&(other.to_owned() + &fault), "1")), times);
}

#[test]
fn a_cascade_follows_its_cause() {
    let trigger = "[[faults]]\nname = \"trigger\"\nkind = \"error\"\nstatus = 503\n\
                   target = { service = \"front\" }\nwhen = { at = \"1s\", for = \"200ms\", every = \"5s\" }\n";
    let follower = slow("follower", "when = { after = \"trigger\", delay = \"1s\", for = \"300ms\" }");
    let last = "[[faults]]\nname = \"last\"\nkind = \"error\"\nstatus = 500\n\
                target = { service = \"front\" }\nwhen = { after = \"follower\", for = \"100ms\" }\n";
    // The order of the file does not matter.
    let faults = last.to_owned() + &follower + trigger;
    let run = steady(&faults).flags(&["--for", "9s", "--json"]).virtually(&[]);
    assert_eq!(struck(&run), among(&[(2_000, 2_300), (7_000, 7_300)], &requests(&run)));
    assert_eq!([counts(&run, "trigger"), counts(&run, "last")], [(4, 4), (2, 2)]);
    // Without a cause nothing follows.
    let run = steady(&faults).flags(&["--for", "9s", "--fault", "trigger=off"]).virtually(&[]);
    assert_eq!(struck(&run), [0; 0]);
}

#[test]
fn what_follows_several_windows_closes_after_the_last() {
    let trigger = "[[faults]]\nname = \"trigger\"\nkind = \"error\"\nstatus = 503\n\
                   target = { service = \"front\" }\nprobability = 1e-12\n\
                   when = { at = \"0s\", for = \"100ms\", every = \"1s\" }\n";
    let follower = slow("follower", "when = { after = \"trigger\", delay = \"2s\", for = \"1500ms\" }");
    let run = steady(&(trigger.to_owned() + &follower)).flags(&["--for", "6s", "--json"]).virtually(&[]);
    assert_eq!(struck(&run), among(&[(2_000, 9_000)], &requests(&run)));
}

#[test]
fn a_window_that_never_opens_changes_no_byte() {
    let whens = [
        "when = { at = \"1h\", for = \"1m\", every = \"2h\" }",
        "when = { between = \"1h\", hold = \"1m\" }",
        "when = { at = \"100ms\", for = \"1s\" }\nprobability = 0.0",
        "when = { at = \"100ms\", for = \"1s\", every = \"2s\" }\nenabled = false",
    ];
    let without = steady("").flags(&["--for", "10s"]).virtually(&[]);
    for when in whens {
        let with = steady(&slow("slow", when)).flags(&["--for", "10s"]).virtually(&[]);
        assert!(with.bytes == without.bytes, "{when}");
    }
}

#[test]
fn outside_of_its_windows_a_fault_changes_no_request() {
    let without = requests(&steady("").flags(&["--for", "10s"]).virtually(&[]));
    let fault = slow("slow", "when = { at = \"5s\", for = \"1s\" }");
    let with = requests(&steady(&fault).flags(&["--for", "10s"]).virtually(&[]));
    let calm = |(at, _): &&(u64, u64)| !(5_000..6_000).contains(at);
    assert_eq!(with.len(), without.len());
    assert!(with.iter().filter(calm).eq(without.iter().filter(calm)));
}

#[test]
fn windows_to_come_keep_no_run_alive() {
    let load = "[[load]]\nname = \"few\"\nto = \"front\"\narrivals = { constant = \"10/s\" }\n\
                request = { path = \"/now\" }\nmax-requests = 5";
    let fault = slow("slow", "when = { at = \"50ms\", for = \"1s\", every = \"2s\" }");
    let world = super::World::of("probe", "").with("[network]\nlatency = \"0s\"").with(load).with(&fault);
    let run = world.flags(&["--json"]).virtually(&[]);
    let report = run.json();
    assert!(report["simulated_ns"].as_u64().expect("a time") < 1_000 * MS, "{}", report["simulated_ns"]);
    assert_eq!(counts(&run, "slow"), (4, 4));
}
