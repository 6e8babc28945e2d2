//! `simhost lab dev check`: what the author of a lab has to know.

use std::process::Command;

use super::{CHANGE, Home, TOPOLOGY};
use crate::support::finish;

#[test]
fn a_good_lab_is_proved() {
    let home = Home::new();
    let done = home.lab(&["dev", "check", "05-pages", "--seeds", "2"]);
    assert_eq!(done.code, Some(0), "{}{}", done.stdout, done.stderr);
    assert!(done.stdout.starts_with("05-pages: good, the longest of 8 checks took "), "{}", done.stdout);
}

#[test]
fn everything_that_is_wrong_with_a_lab_is_said() {
    let home = Home::new();
    home.write(
        "05-pages/start/topology.toml",
        &format!("# a timeout is too short\n{}", TOPOLOGY.replace(CHANGE.0, CHANGE.1)),
    );
    home.write("05-pages/solution/topology.toml", TOPOLOGY);
    home.write("05-pages/solution/EXPLANATION.md", "");
    home.write("05-pages/wrong/shorter/topology.toml", &TOPOLOGY.replace(CHANGE.0, "timeout = \"150ms\""));
    home.write("05-pages/README.md", "[more](more.md)");
    home.edit("05-pages/lab.toml", ("[[hint]]\ntext = \"Look at the link.\"\n", ""));
    let done = home.lab(&["dev", "check", "05-pages", "--seeds", "1"]);
    assert_eq!(done.code, Some(1), "{}{}", done.stdout, done.stderr);
    for words in [
        "it has 2 hints: write 3",
        "it has no solution/EXPLANATION.md",
        "README.md links to more.md, which `start` does not write",
        "start/topology.toml opens with a comment",
        "the starter passes every check",
        "the solution fails by \"pages come\"",
        "wrong/shorter is not caught by \"pages come\"; it fails by nothing",
    ] {
        assert!(done.stdout.contains(words), "{words:?} is missing in:\n{}", done.stdout);
    }
}

#[test]
fn points_that_nobody_has_earned_are_found() {
    let home = Home::new();
    home.edit("05-pages/lab.toml", ("guard = true\n", ""));
    let check = |home: &Home| home.lab(&["dev", "check", "05-pages", "--seeds", "1", "--salt", "ada"]);
    let done = check(&home);
    let words = "the starter gets 1 of 4 points, as it passes \"same calls\": write guard = true";
    assert!(done.stdout.contains(words), "{}", done.stdout);
    home.edit("05-pages/lab.toml", ("weight = 3\n", "weight = 3\nguard = true\n"));
    let done = check(&home);
    let words = "the starter fails \"pages come\", which is a guard: take guard = true away";
    assert!(done.stdout.contains(words), "{}", done.stdout);
    home.edit("05-pages/lab.toml", ("kind = \"edges\"\n", "kind = \"edges\"\nguard = true\n"));
    assert!(check(&home).told().contains("every check of the lab is a guard"));
}

#[test]
fn the_names_of_hidden_faults_are_told_nowhere() {
    let home = Home::new();
    home.write("05-pages/hidden/topology.toml", "[[faults]]\nname = \"molasses\"\n");
    home.write("05-pages/README.md", "Look for the molasses.");
    let done = home.lab(&["dev", "check", "05-pages", "--seeds", "1"]);
    assert!(done.stdout.contains("README.md names the hidden fault \"molasses\""), "{}", done.stdout);
}

#[test]
fn a_folder_of_labs_is_examined_lab_by_lab() {
    let home = Home::new();
    home.write("06-broken/lab.toml", "[lab]");
    let done = home.lab(&["dev", "check", ".", "--seeds", "1"]);
    assert_eq!(done.code, Some(1));
    assert!(done.stdout.contains("05-pages: good") && done.stdout.contains("06-broken: it cannot be judged"));
    let one = home.lab(&["dev", "check", ".", "--lab", "05-pages", "--seeds", "1"]);
    assert_eq!(one.code, Some(0), "{}{}", one.stdout, one.stderr);
}

#[test]
fn the_package_of_the_program_has_no_wrong_answers() {
    let list = ["package", "--list", "--allow-dirty", "--offline", "--package", "simhost"];
    let mut cargo = Command::new(env!("CARGO"));
    let listed = finish(cargo.args(list).current_dir(env!("CARGO_MANIFEST_DIR")));
    let files: Vec<_> = listed.success().lines().filter(|path| path.starts_with("assets/labs/")).collect();
    assert!(files.contains(&"assets/labs/07-retry-storm/lab.toml"), "{files:?}");
    let is_of_authors =
        |path: &&&str| path.contains("/wrong/") || path.contains("/solution/") && path.ends_with(".wasm");
    assert_eq!(files.iter().find(is_of_authors), None);
}
