//! `simhost lab dev check`: what the author of a lab has to know.

use std::process::Command;

use super::{CHANGE, Home, TOPOLOGY};
use crate::support::{finish, refused};

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
fn a_lab_without_its_topology_is_told_where_it_has_to_be() {
    let home = Home::new();
    std::fs::remove_file(home.path("05-pages/start/topology.toml")).expect("removed");
    let done = home.lab(&["dev", "check", "05-pages", "--seeds", "1"]);
    assert_eq!(done.code, Some(1), "{}", done.stdout);
    let told = done.told();
    assert!(told.contains("the lab \"pages\" has no start/topology.toml"), "{}", done.stderr);
    assert!(told.contains("put the topology there") && !told.contains("simhost-lab-"), "{}", done.stderr);
}

#[test]
fn a_copy_for_students_needs_no_solution_and_a_lab_is_no_folder_of_a_student() {
    let home = Home::new();
    refused(&home.lab(&["start", "./05-pages", "--into", "05-pages"]), &["is the lab itself", "--into"]);
    refused(&home.lab(&["start", "./05-pages"]), &["05-pages is the lab itself", "--into"]);
    for folder in ["solution", "wrong"] {
        std::fs::remove_dir_all(home.path("05-pages").join(folder)).expect("removed");
    }
    home.start();
    assert_eq!(home.check().0, Some(1));
    let revealed = home.lab(&["reveal", "mine", "--yes"]);
    assert_eq!(revealed.success(), "this copy of the lab has no solution\n");
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
fn a_wrong_answer_has_to_fail_by_each_check_that_it_names() {
    let home = Home::new();
    let names = |names: &str| format!("name = \"shorter\"\ncaught-by = {names}");
    home.edit("05-pages/lab.toml", (&names("\"pages come\""), &names("[\"pages come\", \"same calls\"]")));
    let check = || home.lab(&["dev", "check", "05-pages", "--seeds", "1"]);
    let done = check();
    let words = "wrong/shorter is not caught by \"same calls\"; it fails by \"pages come\"";
    assert!(done.code == Some(1) && done.stdout.contains(words), "{}", done.stdout);
    home.edit("05-pages/lab.toml", ("[\"pages come\", \"same calls\"]", "[]"));
    assert!(check().told().contains("a wrong answer names the check that has to catch it"));
}

#[test]
fn an_answer_that_no_salt_moves_is_found() {
    let home = super::observation::home();
    let ideas = "\n[[check]]\nname = \"why\"\nkind = \"answer\"\nkey = \"why\"\nis = \"queue\"\n\
                 choices = [\"queue\", \"code\"]\n";
    home.write("05-pages/lab.toml", &(home.read("05-pages/lab.toml") + ideas));
    let done = home.lab(&["dev", "check", "05-pages"]);
    for words in ["\"service\" is \"stock\"", "\"edges\" is [[\"shop\", \"stock\"]]"] {
        let words = format!("the answer to {words} for every salt: let the salt move it");
        assert!(done.stdout.contains(&words), "{words} is missing in:\n{}", done.stdout);
    }
    // The salt moves when the fault is, and an idea is the same for all.
    for moved in ["\"at\"", "\"why\""] {
        assert!(!done.stdout.contains(&format!("the answer to {moved} is")), "{}", done.stdout);
    }
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
    // Wherever among the folders it is.
    home.write("more/07-empty/lab.toml", "[lab]");
    for folders in [["more", "."], [".", "more"], ["06-broken", "05-pages"]] {
        let [first, second] = folders;
        let one = home.lab(&["dev", "check", first, second, "--lab", "05-pages", "--seeds", "1"]);
        assert_eq!((one.code, one.stdout.lines().count()), (Some(0), 1), "{folders:?} {}", one.stderr);
    }
    refused(
        &home.lab(&["dev", "check", "more", "--lab", "05-page"]),
        &["the folders have no lab \"05-page\"", "as in --lab 07-empty"],
    );
    // As a shell writes a pattern of names.
    let both = home.lab(&["dev", "check", "05-pages", "06-broken", "--seeds", "1"]);
    assert_eq!((both.code, both.stdout.lines().count()), (Some(1), 2), "{}{}", both.stdout, both.stderr);
    refused(
        &home.lab(&["dev", "check", "05-pages", "07-none", "08-none"]),
        &["07-none has no lab", "08-none has"],
    );
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
