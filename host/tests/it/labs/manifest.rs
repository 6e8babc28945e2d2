//! `lab.toml`: everything that is wrong with it, at once; its schema and its reference.

use super::{HEAD, Home, REST};
use crate::support::{refused, said};

#[test]
fn everything_that_is_wrong_is_said_at_once_with_its_place() {
    let home = Home::new();
    let wrong = format!("{HEAD}{REST}")
        .replace("level = 2", "level = 9\nlevle = 2")
        .replace("at-most = \"10%\"", "at-most = \"80ms\"")
        .replace("as = \"start\"", "as = \"end\"\nmetric = \"load users p50\"")
        .replace("caught-by = \"pages come\"", "caught-by = \"pages com\"");
    home.write("05-pages/lab.toml", &wrong);
    refused(
        &home.lab(&["start", "./05-pages", "--into", "mine"]),
        &[
            "unknown key \"levle\" in [lab]",
            "did you mean \"level\"?",
            "\"level\" is out of range: 9",
            "\"at-most\" has another unit than what is measured",
            "write a share, such as \"15%\" or 0.15",
            "a check of kind \"edges\" has no key \"metric\"",
            "unknown side \"end\"",
            "lab.toml:6:",
        ],
    );
}

#[test]
fn a_metric_that_does_not_exist_is_refused_with_the_nearest_one() {
    let home = Home::new();
    home.edit("05-pages/lab.toml", ("users error-share", "users eror-share"));
    let words = ["\"eror-share\" is not measured of a load", "did you mean \"error-share\"?"];
    refused(&home.lab(&["start", "./05-pages"]), &words);
    // Names of the topology show when it is read.
    home.edit("05-pages/lab.toml", ("users eror-share", "user error-share"));
    home.lab(&["start", "./05-pages", "--into", "mine"]).success();
    let words =
        ["the check \"pages come\" of the lab: the topology has no load \"user\"", "it has \"users\""];
    // It is the lab that is wrong, and no file of the student.
    let checked = home.lab(&["check", "mine"]);
    assert_eq!(checked.code, Some(3), "{}", checked.stderr);
    said(&checked, &words);
}

#[test]
fn a_lab_of_a_newer_format_asks_for_a_newer_simhost() {
    let home = Home::new();
    home.edit("05-pages/lab.toml", ("format = 1", "format = 2\nnews = true"));
    let done = home.lab(&["start", "./05-pages"]);
    refused(&done, &["the lab is of format 2, made by a newer simhost", "install a newer simhost"]);
    assert!(!done.stderr.contains("unknown key"), "{}", done.stderr);
}

#[test]
fn a_question_about_a_recording_needs_one() {
    let check =
        "[[check]]\nname = \"which\"\nkind = \"answer\"\nkey = \"service\"\nfrom = \"fault service\"\n";
    let home = Home::with_checks(super::TOPOLOGY, check);
    let words = ["the check \"which\" asks for a recording", "[record] for = \"4m\""];
    refused(&home.lab(&["start", "./05-pages"]), &words);
}

#[test]
fn a_folder_without_a_manifest_is_no_lab() {
    let home = Home::empty();
    home.write("thing/README.md", "x");
    refused(&home.lab(&["start", "./thing"]), &["is no lab: it has no lab.toml"]);
}

#[test]
fn a_seed_that_is_there_twice_is_refused() {
    let home = Home::new();
    home.edit("05-pages/lab.toml", ("seeds = [1]", "seeds = [1, 2, 1, 2]"));
    let words = ["the seed 1 is there twice", "the seed 2 is there twice", "name each seed once"];
    refused(&home.lab(&["start", "./05-pages"]), &words);
}
