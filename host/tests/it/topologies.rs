//! What each topology that ships does, as its report at a fixed seed: `NAME.expected` beside `NAME.toml`.
//! Of incidents there is the truth besides, `NAME.truth.jsonl`: all of it but the firings and the changed
//! requests, of which each fault has its first three.
//!
//! `BLESS=1 cargo test --test it topologies::` writes those of topologies without a truth anew, with the
//! flags of their first line, and `BLESS=1 .ci/run release` all of them; read the difference before
//! committing it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;

use crate::support::shipped::{Shipped, TRUTH};
use crate::support::{at_once, finish, otherwise};

/// Firings of each fault that a golden file has, and requests that it changed.
const FIRINGS: usize = 3;

/// What a difference means, by what differs.
const ONLY_THE_DIGEST: &str = "only the digest differs: every request took as long as before, and a record says \
    something else. That is right where an attribute, a name or a log record was meant to change; a guest that was \
    built anew is no reason, as its SHA-256 has no part in the digest.";
const NUMBERS: &str = "numbers differ: requests took another way or another time. That is right where the topology, \
    a guest's code, a draw of chance or the simulation was meant to change, and a defect if only the machine, the \
    build or something that the topology does not use is another.";
const OF_TRUTH: &str = "faults struck others, or at other times, or their effects are others.";

/// Of incidents, which last for minutes and are compared with runs without their faults, the release build
/// does the whole; `determinism` runs the first part of each here.
#[test]
fn every_topology_without_a_truth_does_what_its_golden_file_says() {
    let shipped = Shipped::all().into_iter().filter(|shipped| !shipped.has_truth);
    all_are_golden(&shipped.collect::<Vec<_>>(), Shipped::run);
}

/// Other optimisation or another compiler gives the same reports, digests and truths.
#[test]
#[ignore = "needs another build of the program: .ci/run release"]
fn another_build_does_what_the_golden_files_say() {
    all_are_golden(&Shipped::all(), |shipped| otherwise(&shipped.run()));
}

fn all_are_golden(shipped: &[Shipped], run: impl Fn(&Shipped) -> Command + Sync) {
    let wrong: Vec<_> =
        at_once(shipped, |shipped| differences(shipped, run(shipped))).into_iter().flatten().collect();
    assert!(wrong.is_empty(), "{}\nBLESS=1 writes the golden files anew", wrong.join("\n\n"));
}

/// Runs a topology, and says where it does something else than its golden files have.
fn differences(shipped: &Shipped, mut run: Command) -> Vec<String> {
    let folder = tempfile::tempdir().expect("a folder");
    let truth = if shipped.has_truth { &TRUTH[..] } else { &[] };
    let finished = finish(run.current_dir(folder.path()).args(truth));
    let said = format!("{}\n{}", shipped.command(), finished.success());
    assert!(said.contains("\ndigest: "), "{} tells no digest:\n{said}", shipped.name);
    let golden = shipped.golden();
    let meaning = if is_digest_alone(&golden, &said) { ONLY_THE_DIGEST } else { NUMBERS };
    let mut wrong = Vec::from_iter(difference(shipped.expected(), &golden, &said, meaning));
    if shipped.has_truth {
        let said = std::fs::read_to_string(folder.path().join(TRUTH[1])).expect("the truth");
        let golden = std::fs::read_to_string(shipped.truth()).unwrap_or_default();
        wrong.extend(difference(shipped.truth(), &golden, &in_short(&said), OF_TRUTH));
    }
    wrong
}

/// How a file differs from what it should be, unless it is to become that.
fn difference(path: PathBuf, golden: &str, said: &str, meaning: &str) -> Option<String> {
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(path, said).expect("a golden file");
        return None;
    }
    (golden != said).then(|| format!("{} differs; it is now:\n{said}\n{meaning}", path.display()))
}

/// The truth without most of its firings and changed requests.
fn in_short(truth: &str) -> String {
    let mut firings: BTreeMap<String, usize> = BTreeMap::new();
    let mut is_kept = |line: &&str| {
        let record: serde_json::Value = serde_json::from_str(line).expect("a line of JSON");
        if record["record"] != "firing" && record["record"] != "changed" {
            return true;
        }
        let count = firings.entry(format!("{} {}", record["record"], record["fault"])).or_default();
        *count += 1;
        *count <= FIRINGS
    };
    truth.lines().filter(|line| is_kept(line)).map(|line| format!("{line}\n")).collect()
}

#[test]
fn the_truth_in_short_has_the_first_firings_and_all_else() {
    let line = |record: &str, fault: &str| format!("{{\"record\":\"{record}\",\"fault\":\"{fault}\"}}\n");
    let (a, b, closed) = (line("firing", "a"), line("firing", "b"), line("window", "a"));
    let truth = [&a, &a, &b, &a, &a, &closed, &b, &a].map(String::as_str).concat();
    assert_eq!(in_short(&truth), [&a, &a, &b, &a, &closed, &b].map(String::as_str).concat());
}

/// Whether two reports differ in the line of the digest, and there only.
fn is_digest_alone(golden: &str, said: &str) -> bool {
    let others = |text: &str| -> Vec<String> {
        text.lines().filter(|line| !line.starts_with("digest: ")).map(str::to_owned).collect()
    };
    golden != said && others(golden) == others(said)
}

#[test]
fn the_digest_alone_is_told_from_numbers() {
    assert!(is_digest_alone("a\ndigest: 1\n", "a\ndigest: 2\n"));
    assert!(!is_digest_alone("a\ndigest: 1\n", "b\ndigest: 2\n"));
    assert!(!is_digest_alone("", "a\ndigest: 1\n"));
}

/// The name takes part in every draw: topologies that share one share their ids.
#[test]
fn every_topology_that_ships_has_a_name_of_its_own() {
    let mut names = BTreeMap::new();
    for Shipped { name: file, path, .. } in Shipped::all() {
        let text = std::fs::read_to_string(&path).expect("a topology");
        let root: toml::Table = text.parse().expect("TOML");
        let name = root["topology"]["name"].as_str().expect("a name").to_owned();
        if let Some(other) = names.insert(name, file.clone()) {
            panic!("{file} has the name of {other}");
        }
    }
}

#[test]
fn every_golden_file_has_its_topology() {
    let shipped = Shipped::all();
    for folder in shipped.iter().filter_map(|shipped| shipped.path.parent()) {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("a file").path();
            let name = path.file_name().expect("a name").to_string_lossy().into_owned();
            let golden = name.strip_suffix(".expected").or_else(|| name.strip_suffix(".truth.jsonl"));
            let is_left_over =
                golden.is_some_and(|name| !path.with_file_name(format!("{name}.toml")).exists());
            assert!(!is_left_over, "{} is left over", path.display());
        }
    }
}
