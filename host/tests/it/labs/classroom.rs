//! `simhost lab grade`: many submissions side by side, hostile ones among them.

use std::fs;
#[cfg(target_os = "linux")]
use std::process::{Command, Stdio};
#[cfg(target_os = "linux")]
use std::{thread, time::Duration};

use super::{CHANGE, Home, TOPOLOGY};
use crate::support::{Finished, finish, refused};
#[cfg(target_os = "linux")]
use crate::support::{in_shell, read_all};

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
    // One is left to be graded.
    assert_eq!(graded.code, Some(1), "{}", graded.stderr);
    let table = home.read("grades.csv");
    let rows: Vec<_> = table.lines().collect();
    assert_eq!(rows[0], "folder,score,max,solved,reason");
    assert_eq!(rows[1], "\"'=SUM(A1)\",0,4,no,\"services.stock.workers may not be changed\"");
    assert_eq!(rows[2], "\"ada\",4,4,yes,\"\"");
    assert_eq!(rows[3], "\"bob\",0,4,no,\"pages come\"");
    assert_eq!(rows[4], "\"carol\",0,4,no,\"nothing was handed in\"");
    assert!(rows[5].starts_with("\"eve\",0,4,no,\"") && rows[5].contains("not valid TOML"), "{}", rows[5]);
    assert_eq!(rows[6], "\"mallory\",0,4,no,\"it is a symbolic link, not a folder\"");
    assert_eq!(rows[7], "\"stranger\",,4,,\"not graded: the table of salts has no row for it\"");
    for note in [
        "note: 1 file is not graded, as it is no folder: notes.txt\n",
        "note: 1 submission has no row in names.csv: stranger\n",
        "note: 1 row of names.csv has no submission: carol\n",
    ] {
        assert!(graded.stderr.contains(note), "{note:?} is missing in:\n{}", graded.stderr);
    }
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
fn a_submission_as_a_learning_platform_packs_it_is_unpacked_or_found() {
    let home = Home::new();
    let solved = TOPOLOGY.replace(CHANGE.0, CHANGE.1);
    // Handed in as an archive, and unpacked beside it.
    home.write("in/ada/lab.zip", "PK");
    home.write("in/ada/notes.txt", "my notes");
    hand_in(&home, "ada/lab/05-pages", &solved);
    // And not unpacked.
    home.write("in/bob/lab.tar.gz", "");
    home.write("in/carol/mine/Lab.ZIP", "PK");
    // An archive beside the files is no matter.
    hand_in(&home, "dan", &solved);
    home.write("in/dan/lab.zip", "PK");
    // Nor beside a file that is meant.
    home.write("in/eve/screenshots.zip", "PK");
    home.write("in/eve/topology.toml.txt", &solved);
    // Among more entries than are looked at none is looked for.
    (0..=1_000).for_each(|number| home.write(&format!("in/fay/{number}.zip"), "PK"));
    let graded = home.lab(&["grade", "in", "--lab", "./05-pages", "--seeds", "1"]);
    assert_eq!(graded.code, Some(1), "{}", graded.stderr);
    let unpack = |name: &str, file: &str| {
        format!("\"{name}\",,4,,\"not graded: unpack the archive {file} in its folder first\"")
    };
    let rows: Vec<_> = graded.stdout.lines().skip(1).collect();
    assert_eq!(rows[0], "\"ada\",4,4,yes,\"\"");
    assert_eq!(rows[1..3], [unpack("bob", "lab.tar.gz"), unpack("carol", "Lab.ZIP")]);
    assert_eq!(rows[3], "\"dan\",4,4,yes,\"\"");
    assert!(rows[4].starts_with("\"eve\",0,4,no,\"cannot read "), "{}", rows[4]);
    assert!(rows[4].contains("\"\"topology.toml.txt\"\" is there"), "{}", rows[4]);
    assert!(rows[5].starts_with("\"fay\",0,4,no,\"cannot read "), "{}", rows[5]);
}

#[test]
fn a_file_with_another_name_is_named_where_it_is_missing() {
    let home = Home::new();
    let solved = TOPOLOGY.replace(CHANGE.0, CHANGE.1);
    for (student, file) in [
        ("ada", "topology.toml.txt"),
        ("ada", "topology-notes.md"),
        ("bob", "Topology (1).toml"),
        ("carol", "topology-notes.md"),
        ("dan", "TOPOLOGY.toml"),
        ("eve", "other.toml"),
    ] {
        home.write(&format!("in/{student}/{file}"), &solved);
    }
    let graded = home.lab(&["grade", "in", "--lab", "./05-pages", "--seeds", "1"]);
    let rows: Vec<_> = graded.success().lines().skip(1).collect();
    let meant = |file: &str| {
        format!(
            ": \"\"{file}\"\" is there: give it the name \"\"topology.toml\"\"; `simhost lab reset` writes the files"
        )
    };
    let reset = ": `simhost lab reset` writes the files of the lab again".to_owned();
    let helps = [
        meant("topology.toml.txt"),
        meant("Topology (1).toml"),
        reset.clone(),
        meant("TOPOLOGY.toml"),
        reset,
    ];
    assert_eq!(rows.len(), helps.len());
    for (row, help) in rows.iter().zip(&helps) {
        assert!(row.contains(",0,4,no,\"cannot read ") && row.contains(help), "{row}");
        assert!(row.contains("topology.toml\"\": there is no such file: "), "{row}");
    }
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

/// With a lab of a minute that freezes nothing, and a submission that makes six million requests, where the
/// lab has three hundred.
fn flooded() -> Home {
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
    hand_in(&home, "flood", &TOPOLOGY.replace("\"5/s\"", "\"100000/s\""));
    home
}

#[test]
fn a_check_that_takes_too_long_is_stopped_and_the_others_go_on() {
    let home = flooded();
    hand_in(&home, "good", &TOPOLOGY.replace(CHANGE.0, CHANGE.1));
    fs::create_dir(home.path("temporary")).expect("a folder");
    let mut grade = home.command(&["grade", "in", "--lab", "./05-pages", "--seeds", "1", "--time", "15s"]);
    let graded = finish(grade.env("TMPDIR", home.path("temporary")));
    let rows: Vec<_> = graded.stdout.lines().collect();
    // Nobody but the grader can remove what a check had there that was stopped.
    assert!(super::names(&home.path("temporary")).is_empty());
    // On a machine that is busy it is not late, but not graded.
    let stopped = "it was stopped: the check took longer than 15s";
    let late = format!("\"flood\",0,4,no,\"{stopped}\"");
    let starved = format!("\"flood\",,4,,\"not graded: {stopped}, and could compute for ");
    assert!(rows[1] == late || rows[1].starts_with(&starved), "{}", graded.stdout);
    assert_eq!(rows[2], "\"good\",4,4,yes,\"\"");
}

/// Whether a process has started another one.
#[cfg(target_os = "linux")]
fn has_child(process: u32) -> bool {
    let is_child = |entry: fs::DirEntry| {
        let stat = fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        // Behind the name of the program: the state, and the parent.
        let parent = stat.rsplit(')').next().and_then(|rest| rest.split_whitespace().nth(1)?.parse().ok());
        parent == Some(process)
    };
    fs::read_dir("/proc").expect("/proc").flatten().any(is_child)
}

#[cfg(target_os = "linux")]
#[test]
fn a_check_ends_with_its_grader_however_that_ends() {
    // Less than the time after which a check ends by itself.
    const SOON: Duration = Duration::from_secs(90);
    let home = flooded();
    for signal in ["TERM", "KILL"] {
        let grade = home.command(&["grade", "in", "--lab", "./05-pages", "--seeds", "1"]);
        // Grader and check have the pipe as a further file.
        let mut grade = in_shell("exec 3>&1", &grade);
        let mut grader = grade.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("a shell");
        let pipe = read_all(grader.stdout.take().expect("a pipe"));
        while !has_child(grader.id()) {
            assert!(grader.try_wait().expect("a child").is_none(), "the grader has ended");
            thread::yield_now();
        }
        let told = Command::new("kill").args([&format!("-{signal}"), &grader.id().to_string()]).status();
        assert!(told.expect("kill is there").success());
        grader.wait().expect("the grader ends");
        assert_eq!(pipe.recv_timeout(SOON).as_deref(), Ok(""), "the check goes on after {signal}");
    }
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

/// Grades the submissions in `in` with this table of salts.
fn with_salts(home: &Home, table: &str) -> Finished {
    home.write("names.csv", table);
    home.lab(&["grade", "in", "--lab", "./05-pages", "--salt-from", "names.csv", "--seeds", "1"])
}

#[test]
fn a_table_of_salts_that_is_wrong_is_refused_whole() {
    let home = Home::new();
    hand_in(&home, "ada", TOPOLOGY);
    for (table, words) in [
        (
            "folder,salt\nada\n../x,1\nada,1\nada,2\n",
            &[
                "line 2 is no row of a folder and a salt",
                "line 3 is no row",
                "\"ada\" is there twice",
                "names.csv:5:",
            ][..],
        ),
        ("folder,salt\nada,\"k7Qw\n", &["line 2: a quote is not closed", "names.csv:2:"]),
        ("salt,folder\nk7Qw,ada\n", &["the head is \"salt,folder\", and has to be \"folder,salt\""]),
        (
            "email,salt\nada@example.org,k7Qw\n",
            &["the head is \"email,salt\", and has to be \"folder,salt\""],
        ),
        ("k7Qw,ada\n", &["no row of \"names.csv\" names a folder in \"in\""]),
        ("", &["\"names.csv\" has no rows"]),
        ("folder,salt\n", &["\"names.csv\" has no rows"]),
    ] {
        refused(&with_salts(&home, table), words);
    }
    refused(&home.lab(&["grade", "nowhere", "--lab", "./05-pages"]), &["cannot read", "nowhere"]);
}

#[test]
fn an_archive_is_unpacked_first_and_never_booked_as_no_points() {
    let home = Home::new();
    hand_in(&home, "ada", &TOPOLOGY.replace(CHANGE.0, CHANGE.1));
    // One that was unpacked, and two that were not.
    for name in ["ada.zip", "bob.tar.gz", "eve.zip"] {
        home.write(&format!("in/{name}"), "PK");
    }
    let graded = with_salts(&home, "folder,salt\nada,s1\nbob,s2\n");
    assert_eq!(graded.code, Some(1), "{}", graded.stderr);
    let rows: Vec<_> = graded.stdout.lines().skip(1).collect();
    let unpack = |file: &str| format!("not graded: unpack the archive {file} into a folder of its own first");
    assert_eq!(rows[0], "\"ada\",4,4,yes,\"\"");
    assert_eq!(rows[1], format!("\"bob\",,4,,\"{}\"", unpack("bob.tar.gz")));
    assert_eq!(rows[2], format!("\"eve.zip\",,4,,\"{}\"", unpack("eve.zip")));
    assert!(graded.told().contains("error: 2 of 3 submissions not graded"), "{}", graded.stderr);
}

#[cfg(target_os = "linux")]
#[test]
fn every_name_of_a_folder_is_a_row_and_a_file_of_its_own() {
    use std::os::unix::ffi::OsStrExt as _;
    let home = Home::new();
    let names: [&[u8]; 4] = [b"bad\xff", b"bad\xfe", b"new\nline", b"new\\nline"];
    for name in names {
        let folder = home.path("in").join(std::ffi::OsStr::from_bytes(name));
        fs::create_dir_all(&folder).expect("a folder");
        fs::write(folder.join("topology.toml"), "[topology").expect("a file");
    }
    let graded = home.lab(&["grade", "in", "--lab", "./05-pages", "--seeds", "1", "--results", "results"]);
    let cell = |line: &str| line.split(',').next().map(str::to_owned);
    let rows: Vec<_> = graded.success().lines().skip(1).filter_map(cell).collect();
    assert_eq!(rows, ["\"bad\\xfe\"", "\"bad\\xff\"", "\"new\\\\nline\"", "\"new\\nline\""]);
    let files = super::names(&home.path("results"));
    assert_eq!(files, ["bad\\xfe.json", "bad\\xff.json", "new\\\\nline.json", "new\\nline.json"]);
    // No name makes a line of its own.
    let told: Vec<_> = graded.stderr.lines().collect();
    assert!(told.len() == 4 && told.iter().all(|line| line.ends_with(": 0 of 4")), "{}", graded.stderr);
}

#[cfg(target_os = "linux")]
#[test]
fn names_that_differ_by_case_alone_have_files_that_no_disk_takes_for_one() {
    let home = Home::new();
    ["Ada", "ada", "bob", "Élan", "élan"].iter().for_each(|name| hand_in(&home, name, "[topology"));
    let graded = home.lab(&["grade", "in", "--lab", "./05-pages", "--seeds", "1", "--results", "results"]);
    assert_eq!(graded.success().lines().count(), 6, "{}", graded.stdout);
    let files = super::names(&home.path("results"));
    let folded: std::collections::BTreeSet<_> = files.iter().map(|file| file.to_lowercase()).collect();
    assert!(folded.len() == 5 && folded.contains("bob.json"), "{files:?}");
    for name in ["Ada", "ada", "Élan", "élan"] {
        assert!(files.iter().any(|file| file.starts_with(&format!("{name}-"))), "{name}: {files:?}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_result_that_cannot_be_written_costs_no_row_of_the_table() {
    let home = Home::new();
    // A folder is where the file should be.
    home.write("results/eve.json/kept", "");
    hand_in(&home, "eve", "[topology");
    hand_in(&home, "ada", "[topology");
    let graded = home.lab(&["grade", "in", "--lab", "./05-pages", "--seeds", "1", "--results", "results"]);
    assert_eq!((graded.code, graded.stdout.lines().count()), (Some(2), 3), "{}", graded.stdout);
    assert!(graded.told().contains("cannot write \"results/eve.json\""), "{}", graded.stderr);
    assert!(graded.told().contains("not all results are written: 1 problem"), "{}", graded.stderr);
    assert_eq!(super::names(&home.path("results")), ["ada.json", "eve.json"]);
}

#[test]
fn a_name_that_is_too_long_for_a_file_is_shortened_with_a_digest() {
    let home = Home::new();
    let names = ["a", "b"].map(|end| "n".repeat(254) + end);
    names.iter().for_each(|name| hand_in(&home, name, "[topology"));
    let graded = home.lab(&["grade", "in", "--lab", "./05-pages", "--seeds", "1", "--results", "results"]);
    assert!(names.iter().all(|name| graded.success().contains(name)), "{}", graded.stdout);
    let files = super::names(&home.path("results"));
    let is_one = |file: &String| file.len() == 255 && file.starts_with("nnn") && file.ends_with(".json");
    assert!(files.len() == 2 && files.iter().all(is_one), "{files:?}");
}

#[cfg(target_os = "linux")]
#[test]
fn trouble_of_the_machine_is_no_grade_and_no_result() {
    let home = Home::new();
    hand_in(&home, "ada", &TOPOLOGY.replace(CHANGE.0, CHANGE.1));
    let grade = home.command(&["grade", "in", "--lab", "./05-pages", "--seeds", "1", "--results", "results"]);
    // Too little address space for the workers of the topology.
    let graded = finish(&mut crate::support::in_shell("ulimit -v 20000000", &grade));
    assert_eq!(graded.code, Some(1), "{}", graded.stderr);
    let row = graded.stdout.lines().nth(1).expect("a row");
    assert!(row.starts_with("\"ada\",,4,,\"not graded: the memory of "), "{row}");
    assert!(row.contains("raise the limit of address space (ulimit -v unlimited)"), "{row}");
    assert!(super::names(&home.path("results")).is_empty());
    let arguments =
        ["check", "--graded", "--lab", "./05-pages", "--format", "gradescope", "--out", "result", "in/ada"];
    let checked = finish(&mut crate::support::in_shell("ulimit -v 20000000", &home.command(&arguments)));
    assert_eq!(checked.code, Some(3), "{}", checked.stderr);
    assert!(checked.told().contains("cannot be reserved") && !home.path("result").exists());
}

#[test]
fn a_lab_that_is_wrong_costs_no_submission_its_points() {
    let home = Home::new();
    hand_in(&home, "ada", TOPOLOGY);
    home.edit("05-pages/lab.toml", ("load users error-share", "load visitors error-share"));
    let graded = home.lab(&["grade", "in", "--lab", "./05-pages", "--seeds", "1"]);
    assert_eq!(graded.code, Some(1), "{}", graded.stderr);
    assert!(graded.stdout.contains("\"ada\",,4,,\"not graded: the check "), "{}", graded.stdout);
}
