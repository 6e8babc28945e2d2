//! `simhost lab grade`: many submissions side by side, hostile ones among them.

use std::fs;

use super::{CHANGE, Home, TOPOLOGY};
use crate::support::refused;

fn hand_in(home: &Home, name: &str, topology: &str) {
    home.write(&format!("in/{name}/topology.toml"), topology);
}

#[test]
fn every_submission_has_a_row_whatever_the_others_are() {
    let home = Home::new();
    let solved = TOPOLOGY.replace(CHANGE.0, CHANGE.1);
    hand_in(&home, "ada", &solved);
    hand_in(&home, "bob", TOPOLOGY);
    hand_in(&home, "eve", "[topology");
    hand_in(&home, "=SUM(A1)", &solved.replace("workers = 1", "workers = 300"));
    hand_in(&home, "stranger", &solved);
    #[cfg(unix)]
    std::os::unix::fs::symlink(home.path("in/ada"), home.path("in/mallory")).expect("a link");
    home.write("in/notes.txt", "no submission");
    home.write("names.csv", "folder,salt\nada,s1\nbob,s2\neve,s3\n=SUM(A1),s4\nmallory,s5\ncarol,s6\n");
    let graded = home.lab(&[
        "grade",
        "in",
        "--lab",
        "./05-pages",
        "--salt-from",
        "names.csv",
        "--out",
        "grades.csv",
        "--seeds",
        "2",
        "--results",
        "results",
    ]);
    assert_eq!(graded.code, Some(0), "{}", graded.stderr);
    let table = home.read("grades.csv");
    let rows: Vec<_> = table.lines().collect();
    assert_eq!(rows[0], "folder,score,max,solved,reason");
    assert_eq!(rows[1], "\"'=SUM(A1)\",0,4,no,\"services.stock.workers may not be changed\"");
    assert_eq!(rows[2], "\"ada\",4,4,yes,\"\"");
    assert_eq!(rows[3], "\"bob\",0,4,no,\"pages come\"");
    assert_eq!(rows[4], "\"carol\",0,4,no,\"nothing was handed in\"");
    assert!(rows[5].starts_with("\"eve\",0,4,no,\"") && rows[5].contains("not valid TOML"), "{}", rows[5]);
    assert_eq!(rows[6], "\"mallory\",0,4,no,\"it is a symbolic link, not a folder\"");
    assert_eq!(rows[7], "\"stranger\",0,4,no,\"the table of salts has no row for it\"");
    let ada: serde_json::Value = serde_json::from_str(&home.read("results/ada.json")).expect("JSON");
    assert_eq!(ada["solved"], true);
    // A grader writes nothing into what was handed in.
    assert_eq!(super::names(&home.path("in/ada")), ["topology.toml"]);
}

#[test]
fn a_submission_in_one_folder_of_its_own_is_found_there() {
    let home = Home::new();
    let solved = TOPOLOGY.replace(CHANGE.0, CHANGE.1);
    hand_in(&home, "ada/05-pages", &solved);
    home.write("in/ada/__MACOSX/._topology.toml", "");
    home.write("in/ada/.DS_Store", "");
    // A file of the lab is beside the folder: what is in the folder is none of it.
    hand_in(&home, "bob", TOPOLOGY);
    hand_in(&home, "bob/before-reset-1", &solved);
    hand_in(&home, "carol/mine", "[topology");
    home.write("away/topology.toml", &solved);
    fs::create_dir_all(home.path("in/eve")).expect("a folder");
    #[cfg(unix)]
    std::os::unix::fs::symlink(home.path("away"), home.path("in/eve/mine")).expect("a link");
    let graded = home.lab(&["grade", "in", "--lab", "./05-pages", "--seeds", "1"]);
    let rows: Vec<_> = graded.success().lines().collect();
    assert_eq!(rows[1], "\"ada\",4,4,yes,\"\"");
    assert_eq!(rows[2], "\"bob\",0,4,no,\"pages come\"");
    assert!(rows[3].starts_with("\"carol\",0,4,no,\"topology.toml:1:"), "{}", rows[3]);
    assert!(rows[3].contains(": not valid TOML: "), "{}", rows[3]);
    assert!(rows[4].starts_with("\"eve\",0,4,no,"), "{}", rows[4]);
}

#[test]
fn where_grades_cannot_be_written_is_said_before_anything_is_checked() {
    let home = Home::new();
    hand_in(&home, "ada", TOPOLOGY);
    home.write("file", "no folder");
    let grade = ["grade", "in", "--lab", "./05-pages", "--seeds", "1"];
    for (flags, says) in [
        (["--out", "no/grades.csv"], "cannot write \"no/grades.csv\""),
        (["--out", "in"], "cannot write \"in\": is a directory"),
        (["--results", "file"], "cannot make \"file\""),
    ] {
        let done = home.lab(&[&grade[..], &flags].concat());
        assert_eq!(done.code, Some(2), "{}", done.stderr);
        assert!(done.told().contains(says) && !done.stderr.contains("ada"), "{}", done.stderr);
    }
}

#[test]
fn a_check_that_takes_too_long_is_stopped_and_the_others_go_on() {
    let home = Home::new();
    let lab = home.read("05-pages/lab.toml");
    let (head, rest) = lab.split_once("[frozen]").expect("frozen");
    let rest = rest.split_once("[[check]]").expect("checks").1;
    home.write(
        "05-pages/lab.toml",
        &format!("{head}[[check]]{rest}")
            .replace("caught-by = \"frozen\"", "caught-by = \"pages come\"")
            .replace("for = \"2s\"", "for = \"1m\""),
    );
    // Six million requests, where the lab has three hundred.
    hand_in(&home, "flood", &TOPOLOGY.replace("\"5/s\"", "\"100000/s\""));
    hand_in(&home, "good", &TOPOLOGY.replace(CHANGE.0, CHANGE.1));
    let graded = home.lab(&["grade", "in", "--lab", "./05-pages", "--seeds", "1", "--time", "15s"]);
    assert_eq!(graded.code, Some(0), "{}", graded.stderr);
    let rows: Vec<_> = graded.stdout.lines().collect();
    assert_eq!(rows[1], "\"flood\",0,4,no,\"it was stopped: the check took longer than 15s\"");
    assert_eq!(rows[2], "\"good\",4,4,yes,\"\"");
}

#[test]
fn a_state_that_lies_changes_no_grade() {
    let home = Home::new();
    hand_in(&home, "ada", TOPOLOGY);
    home.write(
        "in/ada/.simhost-lab.json",
        "{ \"lab\": \"other\", \"salt\": \"mine\", \"solved\": \"2026-01-01\" }",
    );
    let graded = home.lab(&["grade", "in", "--lab", "./05-pages", "--seeds", "1"]);
    assert!(graded.success().contains("\"ada\",0,4,no,\"pages come\""), "{}", graded.stdout);
    assert!(fs::read_to_string(home.path("in/ada/.simhost-lab.json")).expect("a file").contains("other"));
}

#[test]
fn a_table_of_salts_that_is_wrong_is_refused_whole() {
    let home = Home::new();
    hand_in(&home, "ada", TOPOLOGY);
    home.write("names.csv", "folder,salt\nada\n../x,1\nada,1\nada,2\n");
    let graded = home.lab(&["grade", "in", "--lab", "./05-pages", "--salt-from", "names.csv"]);
    refused(
        &graded,
        &["line 2 is no row of a folder and a salt", "line 3 is no row", "\"ada\" is there twice"],
    );
    refused(&home.lab(&["grade", "nowhere", "--lab", "./05-pages"]), &["cannot read", "nowhere"]);
}
