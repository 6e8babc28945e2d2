//! The student's folder: started, checked, mended, and never written over.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::Stdio;

use super::{CHANGE, Home, named, names};
use crate::support::{finish, refused, simhost};

#[test]
fn a_student_starts_a_lab_fails_mends_it_and_is_done() {
    let home = Home::new();
    let started = home.lab(&["start", "./05-pages", "--into", "mine"]);
    assert!(started.success().contains("choose a timeout"), "{}", started.stdout);
    assert_eq!(names(&home.path("mine")), [".simhost-lab.json", "README.md", "topology.toml"]);
    let failed = home.lab(&["check", "mine", "--seeds", "2"]);
    assert_eq!(failed.code, Some(1), "{}", failed.stderr);
    let said = failed.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    for words in [
        "✗ pages come 0 of 3 points",
        "100% of the pages fail at seed 1, and 10% may.",
        "fails at 2 of 2 seeds",
        "→ GET stock",
        "cd mine draw all of it: simhost lab show",
        "simhost run topology.toml --virtual --for 2s --seed 1 --out t.jsonl",
        "✓ same calls 0 of 1 point",
        "A check that the untouched files pass too gives its points when one of the others passes.",
        "not yet: 0 of 4 points over 2 seeds",
    ] {
        assert!(said.contains(words), "{words:?} is missing in:\n{}", failed.stdout);
    }
    // In a pipe the line above a trace takes one line, however long.
    let ours = failed.stdout.lines().filter(|line| !line.starts_with("Trace "));
    let wide: Vec<_> = ours.filter(|line| line.chars().count() > 100).collect();
    assert!(wide.is_empty(), "{wide:?}");
    home.edit("mine/topology.toml", CHANGE);
    let solved = home.lab(&["check", "mine", "--seeds", "2"]);
    assert!(solved.success().contains("solved: 4 of 4 points over 2 seeds"), "{}", solved.stdout);
    let state = home.read("mine/.simhost-lab.json");
    assert!(state.contains("\"attempts\": 2") && state.contains("\"solved\": null"), "{state}");
    assert!(
        solved.stdout.contains("solved at 8 seeds it counts: simhost lab check mine"),
        "{}",
        solved.stdout
    );
    let solved = home.lab(&["check", "mine"]);
    assert!(solved.success().contains("why it works:  simhost lab reveal mine"), "{}", solved.stdout);
    assert!(!home.read("mine/.simhost-lab.json").contains("\"solved\": null"));
}

#[test]
fn the_trace_that_shows_the_failure_is_drawn_again() {
    let home = Home::new();
    home.start();
    refused(&home.lab(&["show", "mine"]), &["the last check has left no trace to show"]);
    assert_eq!(home.check().0, Some(1));
    let shown = home.lab(&["show", "mine"]);
    assert!(shown.success().contains("GET stock"), "{}", shown.stdout);
}

#[test]
fn a_trace_has_its_colours_on_a_terminal() {
    let home = Home::new();
    home.start();
    for arguments in [&["check", "mine", "--seeds", "1"][..], &["show", "mine"]] {
        let shown = crate::support::terminal::shown(home.command(arguments));
        assert!(shown.contains("GET stock") && shown.contains("\u{1b}[2m"), "{shown:?}");
        assert!(!shown.contains("u001b") && !shown.contains("x1b"), "{shown:?}");
    }
}

#[test]
fn the_command_that_records_a_run_fits_the_page() {
    let home = Home::new();
    home.start();
    let checked = finish(home.command(&["check", "mine", "--seeds", "1"]).env("COLUMNS", "70"));
    let wanted = "  record the run:\n    simhost run topology.toml --virtual --for 2s --seed 1 --out \\\n      t.jsonl\n";
    assert!(checked.stdout.contains(wanted), "{}", checked.stdout);
}

#[test]
fn plain_output_has_words_in_place_of_marks() {
    let home = Home::new();
    home.start();
    let checked = finish(home.command(&["check", "mine", "--seeds", "1"]).arg("--plain"));
    assert!(checked.stdout.contains("failed: pages come") && checked.stdout.contains("passed: same calls"));
    assert!(!checked.stdout.contains(['✓', '✗', '└']), "{}", checked.stdout);
}

#[test]
fn a_folder_that_is_there_is_not_written_into() {
    let home = Home::new();
    home.write("mine/topology.toml", "mine");
    refused(&home.lab(&["start", "./05-pages", "--into", "mine"]), &["is there already", "--into"]);
    assert_eq!((home.read("mine/topology.toml").as_str(), names(&home.path("mine")).len()), ("mine", 1));
}

#[test]
fn a_reset_moves_the_students_files_aside() {
    let home = Home::new();
    home.start();
    home.write("mine/topology.toml", "mine");
    home.write("mine/notes.txt", "mine too");
    let reset = home.lab(&["reset", "mine"]);
    assert!(reset.success().contains("before-reset-1"), "{}", reset.stdout);
    assert_eq!(home.read("mine/before-reset-1/topology.toml"), "mine");
    assert_eq!(home.read("mine/notes.txt"), "mine too");
    assert_eq!(home.read("mine/topology.toml"), super::TOPOLOGY);
}

#[test]
fn a_reset_without_room_leaves_every_file_as_it_was() {
    let home = Home::new();
    home.start();
    home.write("mine/topology.toml", "mine");
    // A file that may not grow is refused like one for which there is no room.
    let program = home.command(&["reset", "mine"]);
    let done = finish(&mut crate::support::in_shell("ulimit -f 0", &program));
    refused(&done, &["cannot write \"mine/topology.toml\"", "no file of yours was changed"]);
    assert_eq!(home.read("mine/topology.toml"), "mine");
    assert_eq!(names(&home.path("mine")), [".simhost-lab.json", "README.md", "topology.toml"]);
}

#[cfg(unix)]
#[test]
fn the_files_of_a_lab_are_its_own_and_no_link_leads_elsewhere() {
    let home = Home::new();
    let link = |to: &str, name: &str| {
        let from = home.path(&format!("05-pages/start/{name}"));
        fs::create_dir_all(from.parent().expect("a folder")).expect("it is made");
        std::os::unix::fs::symlink(to, from).expect("a link");
    };
    home.write("sdk/lib.rs", "shared");
    home.write("05-pages/hidden/notes.txt", "of the lab");
    link("../../sdk", "sdk");
    link("../hidden/notes.txt", "notes.txt");
    home.start();
    assert_eq!([home.read("mine/sdk/lib.rs"), home.read("mine/notes.txt")], ["shared", "of the lab"]);
    home.write("secret.txt", "a secret");
    link("/etc/passwd", "users");
    link("../../secret.txt", "secret");
    link("nowhere", "gone");
    link("..", "guest/around");
    refused(
        &home.lab(&["start", "./05-pages", "--into", "yours"]),
        &[
            "\"start/users\" of the lab is a symbolic link to \"/etc/passwd\", which is not in the folder of the lab",
            "\"start/secret\" of the lab is a symbolic link to \"../../secret.txt\"",
            "\"start/gone\" of the lab is a symbolic link to \"nowhere\", which is not there",
            "\"start/guest/around\" of the lab is a symbolic link to \"..\", which leads to the link itself again",
            "put the file itself into the folder of the lab",
        ],
    );
    assert!(!home.path("yours").exists());
}

#[test]
fn hints_come_one_after_the_other_and_again_after_the_last() {
    let home = Home::new();
    home.start();
    let hints: Vec<_> = (0..4).map(|_| home.lab(&["hint", "mine"]).success().to_owned()).collect();
    assert!(hints[0].starts_with("hint 1 of 3\nLook at the link."), "{}", hints[0]);
    assert!(hints[1].starts_with("hint 2 of 3") && hints[2].starts_with("hint 3 of 3"));
    assert!(hints[3].contains("hint 1 of 3") && hints[3].contains("hint 3 of 3"), "{}", hints[3]);
    assert!(home.read("mine/.simhost-lab.json").contains("\"hints\": 3"));
}

#[test]
fn a_terminal_that_tells_no_width_is_as_wide_as_columns_says_or_80_columns() {
    let home = Home::new();
    home.edit("05-pages/lab.toml", ("Look at the link.", &"look at the link ".repeat(20)));
    home.start();
    for (columns, most) in [(None, 80), (Some("70"), 70)] {
        // A terminal of a test has no columns. Behind the last hint, all come again.
        (0..3).for_each(|_| drop(home.lab(&["hint", "mine"])));
        let mut command = home.command(&["hint", "mine"]);
        command.env_remove("COLUMNS").envs(columns.map(|columns| ("COLUMNS", columns)));
        let shown = crate::support::terminal::shown(command);
        let longest = shown.lines().map(|line| line.trim_end().chars().count()).max().expect("lines");
        assert!(longest <= most && longest > most - 10, "{longest} of {most}: {shown}");
    }
}

#[test]
fn the_solution_is_shown_to_who_says_so_and_that_is_noted() {
    let home = Home::new();
    home.start();
    refused(&home.lab(&["reveal", "mine"]), &["only to who wants to see it", "--yes"]);
    let revealed = home.lab(&["reveal", "mine", "--yes"]);
    for words in ["A timeout is longer", "- timeout = \"20ms\"", "+ timeout = \"200ms\""] {
        assert!(revealed.success().contains(words), "{}", revealed.stdout);
    }
    assert!(!home.read("mine/.simhost-lab.json").contains("\"revealed\": null"));
}

#[test]
fn a_folder_that_lost_its_state_is_known_by_its_name() {
    let home = Home::empty();
    home.lab(&["start", "7"]).success();
    fs::remove_file(home.path("07-retry-storm/.simhost-lab.json")).expect("removed");
    let hint = home.lab(&["hint", "07-retry-storm"]);
    assert!(hint.success().starts_with("hint 1 of 3"), "{}", hint.stdout);
    fs::create_dir(home.path("other")).expect("a folder");
    refused(&home.lab(&["hint", "other"]), &["is no folder of a lab", "simhost lab start"]);
    // Beside the labs their folders are named, and nothing is written there.
    home.lab(&["start", "3"]).success();
    refused(&home.lab(&["hint"]), &[". is no folder of a lab", "name it: 03-one-after-another"]);
    let other = home.lab(&["hint", "--lab", "3"]);
    refused(&other, &[". has no file of the lab \"one-after-another\"", "name it: 03-one-after-another"]);
    assert!(!home.path(".simhost-lab.json").exists());
    refused(&home.lab(&["check", "03"]), &["there is no folder 03", "did you mean 03-one-after-another?"]);
    refused(
        &home.lab(&["reveal", "04"]),
        &["there is no folder 04", "`simhost lab start 04-forty-quick-calls`"],
    );
    let inside = home.path("03-one-after-another");
    for name in ["03", "one-after-another", "03-one-after-another"] {
        let checked = finish(home.command(&["check", name]).current_dir(&inside));
        refused(&checked, &["there is no folder", "this is the folder of that lab: leave its name out"]);
    }
}

#[test]
fn a_state_that_is_broken_is_named_with_its_place_and_the_remedy() {
    let home = Home::new();
    home.start();
    let good = home.read("mine/.simhost-lab.json");
    let ours = concat!("\"version\": \"", env!("CARGO_PKG_VERSION"), "\"");
    assert!(good.contains(ours), "{good}");
    for (text, words) in [
        (
            "{ broken".to_owned(),
            &["the state of the lab is broken: key must be a string", ".simhost-lab.json:1:3"][..],
        ),
        ("[]".to_owned(), &["is no JSON object", ".simhost-lab.json:1:1"]),
        (String::new(), &["\"mine/.simhost-lab.json\" is empty"]),
        ("{}".to_owned(), &["\"mine/.simhost-lab.json\" names no lab"]),
        (
            good.replace("\"attempts\": 0", "\"attempts\": \"two\""),
            &["invalid type: string \"two\", expected u32", ".simhost-lab.json:11:"],
        ),
        (
            good.replace(ours, "\"version\": \"99.1.0\""),
            &["was written by simhost 99.1.0, and this is simhost 0."],
        ),
        (good.replace(ours, "\"version\": \"new\""), &["has \"new\" as its version, which is none"]),
    ] {
        home.write("mine/.simhost-lab.json", &text);
        let done = home.lab(&["check", "mine"]);
        refused(&done, words);
        refused(&done, &["start the lab again into another folder", "or remove it if you have no salt"]);
        assert_eq!(home.read("mine/.simhost-lab.json"), text);
    }
    home.write("mine/.simhost-lab.json", "{ \"lab\": \"pgaes\" }");
    refused(
        &home.lab(&["check", "mine"]),
        &["\"mine/.simhost-lab.json\" names the lab \"pgaes\", which is not there", "--lab"],
    );
    // A grader reads none.
    home.write("mine/.simhost-lab.json", "{ broken");
    let graded = home.lab(&["check", "--graded", "--lab", "./05-pages", "--seeds", "1", "mine"]);
    assert!(graded.code == Some(1) && graded.stderr.is_empty(), "{}", graded.stderr);
}

#[test]
fn checks_at_the_same_time_are_all_counted() {
    let home = Home::new();
    home.start();
    let start = |_| {
        let mut command = home.command(&["check", "mine", "--seeds", "1"]);
        command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts")
    };
    let checks: Vec<_> = (0..4).map(start).collect();
    for mut check in checks {
        assert_eq!(check.wait().expect("it ends").code(), Some(1));
    }
    assert!(home.read("mine/.simhost-lab.json").contains("\"attempts\": 4"));
}

#[test]
fn a_check_on_a_terminal_says_how_far_it_has_come_and_wipes_the_line() {
    let home = Home::new();
    home.edit("05-pages/lab.toml", ("for = \"2s\"", "for = \"20m\""));
    home.edit(
        "05-pages/lab.toml",
        (
            "name = \"pages come\"",
            "name = \"pages come\\n, and as many of them as there were before the change, or nearly all\"",
        ),
    );
    home.edit("05-pages/lab.toml", ("caught-by = \"pages come\"", "caught-by = \"same calls\""));
    home.start();
    let (terminal, stderr) = crate::support::terminal::open();
    let mut command = home.command(&["check", "mine", "--seeds", "2"]);
    command.env("TERM", "xterm").stdout(Stdio::null()).stderr(std::os::fd::OwnedFd::from(stderr));
    let mut child = command.spawn().expect("it starts");
    drop(command);
    let written = crate::support::terminal::read(terminal);
    assert_eq!(child.wait().expect("it ends").code(), Some(1), "{written}");
    let (before, after) = written.rsplit_once("\u{1b}[2K").expect("the line is wiped");
    assert!(before.contains("seed 1 of 2: pages come , and as many of them"), "{written:?}");
    assert_eq!(after, "");
    // The name of the check is cut: a second line would have to be wiped too.
    assert!(!written.contains("\u{1b}[1A") && !written.contains("nearly all"), "{written:?}");
    // In a pipe there is no line.
    assert_eq!(home.lab(&["check", "mine", "--seeds", "1"]).stderr, "");
}

#[test]
fn what_is_frozen_is_named_with_what_was_there() {
    let home = Home::new();
    home.start();
    home.edit("mine/topology.toml", ("workers = 1", "workers = 300"));
    let (code, result) = home.check();
    assert_eq!((code, result["score"].as_f64()), (Some(1), Some(0.0)));
    assert_eq!(result["frozen"]["path"], "services.stock.workers");
    assert_eq!([&result["frozen"]["from"], &result["frozen"]["to"]], ["1", "300"]);
    let text = home.lab(&["check", "mine"]);
    assert!(text.stdout.contains("services.stock.workers is 300, and has to be 1"), "{}", text.stdout);
}

#[test]
fn broken_files_are_an_exit_code_of_their_own() {
    let home = Home::new();
    home.start();
    home.write("mine/topology.toml", "[topology");
    refused(&home.lab(&["check", "mine"]), &["not valid TOML", "topology.toml"]);
    fs::remove_file(home.path("mine/topology.toml")).expect("removed");
    refused(&home.lab(&["check", "mine"]), &["there is no such file", "simhost lab reset"]);
    refused(&home.lab(&["check", "nowhere"]), &["there is no folder nowhere", "simhost lab start"]);
}

#[cfg(unix)]
#[test]
fn no_path_leads_out_of_the_folder() {
    let home = Home::new();
    home.start();
    home.write("secret.toml", super::TOPOLOGY);
    fs::remove_file(home.path("mine/topology.toml")).expect("removed");
    std::os::unix::fs::symlink(home.path("secret.toml"), home.path("mine/topology.toml")).expect("a link");
    refused(&home.lab(&["check", "mine"]), &["is a symbolic link"]);
    fs::remove_file(home.path("mine/topology.toml")).expect("removed");
    let outside = super::TOPOLOGY.replacen("guest = \"service\"", "guest = \"../secret.wasm\"", 1);
    home.write("mine/topology.toml", &outside);
    refused(&home.lab(&["check", "mine"]), &["leads out of the folder", "the guest of the service \"shop\""]);
    let missing = super::TOPOLOGY.replacen("guest = \"service\"", "guest = \"./mine.wasm\"", 1);
    home.write("mine/topology.toml", &missing);
    let (_, result) = home.check();
    assert_eq!(result["frozen"]["path"], "services.shop.guest");
}

#[test]
fn a_guest_that_is_missing_or_broken_is_refused() {
    let check =
        "[[check]]\nname = \"come\"\nkind = \"report\"\nmetric = \"load users errors\"\nat-most = 0\n";
    let home = Home::with_checks(super::TOPOLOGY, check);
    home.start();
    home.write("mine/topology.toml", &super::TOPOLOGY.replacen("\"service\"", "\"./mine.wasm\"", 1));
    refused(&home.lab(&["check", "mine"]), &["mine.wasm", "topology.toml:5:"]);
    home.write("mine/mine.wasm", "no component");
    refused(&home.lab(&["check", "mine"]), &["mine.wasm", "topology.toml:5:"]);
}

#[test]
fn a_salt_moves_seeds_and_names() {
    let home = Home::new();
    let shuffled = "seeds = [1]\nshuffle = [[\"shop\", \"stock\"]]\n";
    home.edit("05-pages/lab.toml", ("seeds = [1]\n", shuffled));
    let seeds = |salt: &str| {
        let folder = format!("of-{salt}");
        home.lab(&["start", "./05-pages", "--into", &folder, "--salt", salt]).success();
        let checked = home.lab(&["check", &folder, "--seeds", "2", "--format", "json"]).json();
        // Whatever the names are, the lab is the same.
        assert_eq!(named(&checked, "pages come")["got"], "100%");
        checked["seeds"][1].as_u64()
    };
    assert_ne!(seeds("ada"), seeds("bob"));
    let salts = ["c", "d", "e", "f", "g", "h"];
    for salt in salts {
        home.lab(&["start", "./05-pages", "--into", &format!("of-{salt}"), "--salt", salt]).success();
    }
    let stock_first = salts.iter().filter(|salt| {
        let text = home.read(&format!("of-{salt}/topology.toml"));
        text.find("[services.stock]") < text.find("[services.shop]")
    });
    assert!((1..salts.len()).contains(&stock_first.count()), "names are permuted for some");
}

#[test]
fn watch_checks_again_when_a_file_is_saved() {
    let home = Home::new();
    home.start();
    let mut command = home.command(&["watch", "mine", "--seeds", "1"]);
    let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
    let mut child = child.expect("it starts");
    let mut stdout = BufReader::new(child.stdout.take().expect("a pipe"));
    let mut until = |words: &str| {
        let mut line = String::new();
        while !line.contains(words) {
            line.clear();
            assert_ne!(stdout.read_line(&mut line).expect("a line"), 0, "it ended before {words:?}");
        }
    };
    until("not yet: 0 of 4 points");
    home.edit("mine/topology.toml", CHANGE);
    until("solved: 4 of 4 points");
    let mut stdin = child.stdin.take().expect("a pipe");
    stdin.write_all(b"h\n").expect("a key");
    until("hint 1 of 3");
    stdin.write_all(b"q\n").expect("a key");
    assert!(child.wait().expect("it ends").success());
}

#[test]
fn the_list_has_every_lab_with_how_far_it_is() {
    let home = Home::empty();
    let rows = || home.lab(&["list", "--json"]).json();
    let of = |rows: serde_json::Value| {
        let rows = rows.as_array().expect("rows").clone();
        rows.into_iter().find(|row| row["id"] == "retry-storm").expect("a lab")
    };
    let row = of(rows());
    assert_eq!([&row["number"], &row["state"]], ["07", "not started"]);
    assert!(row["level"].as_u64() == Some(3) && row["minutes"].is_u64() && row["needs"].is_array());
    home.lab(&["start", "retry-storm"]).success();
    assert_eq!(of(rows())["state"], "started");
    assert!(home.lab(&["list"]).success().contains("◐ 07"));
    // A folder may have any name; of several the farthest counts.
    home.lab(&["start", "retry-storm", "--into", "again"]).success();
    let state = home
        .read("again/.simhost-lab.json")
        .replace("\"solved\": null", "\"solved\": \"2026-01-01T00:00:00Z\"");
    home.write("again/.simhost-lab.json", &state);
    assert_eq!(of(rows())["state"], "solved");
    refused(&home.lab(&["start", "retry-strom"]), &["there is no lab", "did you mean \"retry-storm\"?"]);
    refused(&home.lab(&["start", "99"]), &["there is no lab \"99\"", "`simhost lab list` has all labs"]);
}

#[test]
fn a_full_disk_is_a_sentence() {
    let home = Home::new();
    // A file that may not grow is refused like one for which there is no room.
    let program = home.command(&["start", "./05-pages", "--into", "mine"]);
    let done = finish(&mut crate::support::in_shell("ulimit -f 0", &program));
    assert_eq!(done.code, Some(2), "{}", done.stderr);
    assert!(done.told().contains("cannot write"), "{}", done.stderr);
    assert!(!home.path("mine").exists());
    assert!(finish(simhost().args(["lab", "list"])).success().contains("07"));
}

#[test]
fn what_is_saved_while_a_check_runs_is_checked_at_once() {
    let home = Home::new();
    home.edit("05-pages/lab.toml", ("for = \"2s\"", "for = \"2h\""));
    home.start();
    let mut command = home.command(&["watch", "mine", "--seeds", "64"]);
    let child = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn();
    let mut child = child.expect("it starts");
    let mut stderr = BufReader::new(child.stderr.take().expect("a pipe"));
    let mut until = |words: &str| {
        let mut line = String::new();
        while !line.contains(words) {
            line.clear();
            assert_ne!(stderr.read_line(&mut line).expect("a line"), 0, "it ended before {words:?}");
        }
    };
    until("checking");
    home.edit("mine/topology.toml", ("timeout = ", "timeuot = "));
    until("a file was saved: checking again");
    until("unknown key \"timeuot\"");
    child.stdin.take().expect("a pipe").write_all(b"q\n").expect("a key");
    assert!(child.wait().expect("it ends").success());
}

#[test]
fn a_lab_that_is_started_in_the_folder_of_another_one_lies_beside_it() {
    let home = Home::new();
    home.start();
    let mut command = simhost();
    let started = finish(command.args(["lab", "start", "7"]).current_dir(home.path("mine")));
    assert!(started.success().contains("  cd ../07-retry-storm\n"), "{}", started.stdout);
    assert!(home.path("07-retry-storm/topology.toml").is_file());
    assert!(!home.path("mine/07-retry-storm").exists());
}

#[test]
fn an_explanation_fills_the_lines_of_the_page() {
    let home = Home::new();
    let explanation = "# Why\n\nA timeout is longer than\nwhat it waits for.\n\n- **`more-workers`** is no cure,\n  \
                       as nothing waits for a worker.\n";
    home.write("05-pages/solution/EXPLANATION.md", explanation);
    home.start();
    let revealed = home.lab(&["reveal", "mine", "--yes"]);
    let filled = "# Why\n\nA timeout is longer than what it waits for.\n\n\
                  - `more-workers` is no cure, as nothing waits for a worker.\n";
    assert!(revealed.success().starts_with(filled), "{}", revealed.stdout);
}
