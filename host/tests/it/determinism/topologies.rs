//! The meta-test: each topology that ships, run twice as a process of its own.

use std::path::PathBuf;

use crate::determinism::difference;
use crate::determinism::left::{Left, assert_same};
use crate::support::at_once;
use crate::support::shipped::Shipped;

/// Leaves out the runs without each fault, which take several times as long as the run itself.
const ALONE: &str = "--no-counterfactual";

#[test]
fn every_topology_that_ships_runs_twice_the_same() {
    at_once(&Shipped::all(), |shipped| {
        // The runs without each fault are the golden files' to compare.
        let run = || Left::by(shipped.run().arg(ALONE));
        let (one, other) = (run(), run());
        assert_same(&shipped.name, &one, &other);
        let truth = difference::first(&one.truth, &other.truth);
        assert!(truth.is_none(), "{}: the truths differ first in {truth:?}", shipped.name);
        assert!(one.json()["requests"].as_u64() > Some(0), "{} did nothing", shipped.name);
    });
}

/// The variable that names another build of the program: `.ci/run release` sets it.
const OTHER: &str = "SIMHOST_OTHER_BINARY";

/// The program as another build has it: other optimisation, another compiler.
fn other_build() -> PathBuf {
    let other = std::env::var_os(OTHER).unwrap_or_else(|| panic!("{OTHER} names no other build"));
    // Runs have a folder of their own, so the name must hold everywhere.
    std::fs::canonicalize(&other).unwrap_or_else(|error| panic!("{OTHER} {}: {error}", other.display()))
}

/// A command in the other build's words.
fn otherwise(command: &std::process::Command) -> std::process::Command {
    let mut other = std::process::Command::new(other_build());
    other.env_clear().args(command.get_args());
    for (key, value) in command.get_envs() {
        if let Some(value) = value {
            other.env(key, value);
        }
    }
    other.stdin(std::process::Stdio::null());
    other
}

#[test]
#[ignore = "needs another build of the program: .ci/run release"]
fn another_build_runs_every_topology_the_same() {
    let mut runs: Vec<_> = Shipped::all()
        .iter()
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
