//! The meta-test: each topology that ships, run twice as a process of its own.

use crate::determinism::difference;
use crate::determinism::left::{Left, assert_same};
use crate::support::shipped::Shipped;
use crate::support::{at_once, otherwise};

/// Leaves out the runs without each fault, which take several times as long as the run itself.
const ALONE: &str = "--no-counterfactual";

/// Of an incident, which lasts for minutes, its first part: the golden files have all of it.
const IN_PART: &str = "100s";

#[test]
fn every_topology_that_ships_runs_twice_the_same() {
    at_once(&Shipped::all(), |shipped| {
        // The runs without each fault are the golden files' to compare.
        let shipped = if shipped.has_truth { shipped.for_time(IN_PART) } else { shipped.clone() };
        let run = || Left::by(shipped.run().arg(ALONE));
        let (one, other) = (run(), run());
        assert_same(&shipped.name, &one, &other);
        let truth = difference::first(&one.truth, &other.truth);
        assert!(truth.is_none(), "{}: the truths differ first in {truth:?}", shipped.name);
        assert!(one.json()["requests"].as_u64() > Some(0), "{} did nothing", shipped.name);
    });
}

/// [`crate::topologies`] holds another build to the golden file of each topology; here is all that a run
/// leaves behind, of systems that use most of what there is.
#[test]
#[ignore = "needs another build of the program: .ci/run release"]
fn another_build_leaves_the_same_bytes_behind() {
    let is_system = |shipped: &&Shipped| shipped.name.matches('/').count() == 1;
    let mut runs: Vec<_> = Shipped::all()
        .iter()
        .filter(is_system)
        .map(|shipped| {
            let mut command = shipped.run();
            command.arg(ALONE);
            (shipped.name.clone(), command)
        })
        .collect();
    let (shop, runaway) = (crate::determinism::shop::shop(false), crate::determinism::runaway::runaway());
    runs.push(("the shop".to_owned(), crate::determinism::shop::command(&shop)));
    runs.push(("runaway guests".to_owned(), crate::determinism::runaway::command(&runaway)));
    for (name, mut command) in runs {
        let mut other = otherwise(&command);
        assert_same(&format!("{name} in two builds"), &Left::by(&mut command), &Left::by(&mut other));
    }
}
