//! Labs whose system the student sees only by its telemetry, and answers about it.

use super::{FAULTY, Home, named};
use crate::support::{finish, refused, simhost};

const CHECKS: &str = r#"
[record]
for = "4s"

[[check]]
name = "who"
kind = "answer"
key = "service"
from = "fault service"
guesses = 1
weight = 10

[[check]]
name = "what"
kind = "answer"
key = "kind"
from = "fault kind"
choices = ["latency", "crash", "none"]

[[check]]
name = "when"
kind = "answer"
key = "at"
from = "fault at"
tolerance = "500ms"

[[check]]
name = "calls"
kind = "answer"
key = "edges"
from = "edges"
"#;

const ANSWERS: &str = "service = \"\"\nkind = \"\"\nat = \"\"\nedges = []\n";

pub(super) fn home() -> Home {
    let home = Home::with_checks("", CHECKS);
    std::fs::remove_dir_all(home.path("05-pages/start")).expect("removed");
    home.edit("05-pages/lab.toml", ("topology = \"topology.toml\"", "hidden = \"topology.toml\""));
    home.write("05-pages/hidden/topology.toml", FAULTY);
    home.write("05-pages/start/answers.toml", ANSWERS);
    home
}

#[test]
fn the_recording_has_telemetry_and_a_report_and_nothing_that_tells_of_the_fault() {
    let home = home();
    home.start();
    let recorded = home.lab(&["record", "mine"]);
    assert!(recorded.success().contains("wrote telemetry.jsonl"), "{}", recorded.stdout);
    let (telemetry, report) = (home.read("mine/telemetry.jsonl"), home.read("mine/report.txt"));
    assert!(report.contains("stock") && telemetry.contains("resourceMetrics"), "{report}");
    for told in ["molasses", "latency of"] {
        assert!(!telemetry.contains(told) && !report.contains(told), "{told}");
    }
    assert!(report.contains("\nfile telemetry.jsonl: ") && !report.contains("page is narrow"), "{report}");
    assert!(!home.path("mine/topology.toml").exists());
    assert!(report.contains("file telemetry.jsonl: ") && !report.contains(".part"), "{report}");
    refused(&home.lab(&["record", "mine"]), &["telemetry.jsonl is there already"]);
    let traces =
        finish(simhost().arg("traces").arg(home.path("mine/telemetry.jsonl")).args(["--slowest", "1"]));
    assert!(traces.success().contains("GET /items"), "{}", traces.stdout);
}

#[test]
fn right_answers_get_their_points_and_guessing_has_a_price() {
    let home = home();
    home.start();
    let (code, empty) = home.check();
    assert_eq!((code, empty["score"].as_f64()), (Some(1), Some(0.0)));
    assert_eq!(
        named(&empty, "who")["message"],
        "there is no answer to \"service\" yet: write one into answers.toml"
    );
    let answer = |service: &str, kind: &str| {
        let text = format!(
            "service = \"{service}\"\nkind = \"{kind}\"\nat = \"1s\"\nedges = [[\"shop\", \"stock\"]]\n"
        );
        home.write("mine/answers.toml", &text);
        home.check()
    };
    let (code, part) = answer("shop", "disk");
    assert_eq!((code, part["score"].as_f64()), (Some(1), Some(2.0)), "{part:#}");
    let message = named(&part, "who")["message"].as_str().expect("words");
    let price = "Wrong answers until now: 1. Each beyond 1 takes 10 % of these points, half of them at most.";
    assert_eq!(message, format!("\"shop\" is not the answer to \"service\". {price}"));
    let message = named(&part, "what")["message"].as_str().expect("words");
    assert!(message.contains("write one of \"latency\", \"crash\", \"none\""), "{message}");
    // The same answer again is no further guess.
    answer("shop", "latency");
    // Nor is a word that is no service of the system.
    answer("cart", "latency");
    answer("none", "latency");
    let (code, right) = answer("stock", "latency");
    // Two wrong answers, of which one costs nothing.
    assert_eq!((code, right["score"].as_f64()), (Some(0), Some(12.0)), "{right:#}");
    assert_eq!(right["solved"], true);
    let text = home.lab(&["check", "mine"]);
    assert!(text.success().contains("9 of 10 points (10% lost by earlier failures)"), "{}", text.stdout);
}

#[test]
fn a_reset_lets_the_recording_be_made_again() {
    let home = home();
    home.start();
    home.lab(&["record", "mine"]).success();
    let recorded = home.read("mine/telemetry.jsonl");
    assert!(home.lab(&["reset", "mine"]).success().contains("before-reset-1"));
    assert!(home.read("mine/before-reset-1/telemetry.jsonl") == recorded);
    home.lab(&["record", "mine"]).success();
    assert!(home.read("mine/telemetry.jsonl") == recorded);
}

#[test]
fn the_solution_has_the_answers_that_are_right_for_this_student() {
    let home = home();
    home.write("05-pages/solution/EXPLANATION.md", "# Why\n\nIt was slow.\n");
    home.start();
    let revealed = home.lab(&["reveal", "mine", "--yes"]);
    let (_, right) = revealed.success().split_once("The answers that are right for you:\n").expect("answers");
    assert!(right.starts_with("  service = \"stock\"\n  kind = \"latency\"\n  at = \"1"), "{right}");
    // As they are told, they are right.
    home.write("mine/answers.toml", right);
    assert_eq!(home.check().0, Some(0), "{right}");
}

#[test]
fn a_service_that_there_is_not_is_told_and_not_judged() {
    let home = home();
    home.start();
    home.write("mine/answers.toml", "service = \"shop -> stokc\"\nkind = \"lateness\"\nat = \"9s\"\n");
    let (_, result) = home.check();
    assert!(named(&result, "who")["got"].is_null(), "{result:#}");
    home.write("mine/answers.toml", "service = \"stokc\"\nkind = \"lateness\"\nat = \"9s\"\n");
    let told = home.lab(&["check", "mine"]).stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    let near = "\"stokc\" in the answer to \"service\" is no service of the system: did you mean \"stock\"?";
    // The second unknown word is explained although the first answer has failed already.
    for words in [near, "\"lateness\" is no answer to \"kind\": write one of \"latency\""] {
        assert!(told.contains(words), "{told}");
    }
    assert!(!home.read("mine/.simhost-lab.json").contains("\"who\""));
}

#[test]
fn a_check_of_answers_names_no_seeds_and_a_recording_may_have_no_report() {
    let home = home();
    home.edit("05-pages/lab.toml", ("[record]\n", "[record]\nreport = false\n"));
    home.start();
    let recorded = home.lab(&["record", "mine"]);
    assert!(recorded.success().starts_with("wrote telemetry.jsonl (traces, metrics, logs)\n"));
    assert!(home.path("mine/telemetry.jsonl").exists() && !home.path("mine/report.txt").exists());
    let checked = home.lab(&["check", "mine"]);
    assert!(checked.stdout.ends_with("\nnot yet: 0 of 13 points\n"), "{}", checked.stdout);
    assert_eq!(home.check().1["seeds"], serde_json::json!([]));
}

#[test]
fn a_healthy_system_has_nothing_wrong() {
    let home = home();
    let (healthy, _) = FAULTY.split_once("[[faults]]").expect("faults");
    home.write("05-pages/hidden/topology.toml", healthy);
    home.start();
    home.write(
        "mine/answers.toml",
        "service = \"none\"\nkind = \"none\"\nat = \"none\"\nedges = [\"shop -> stock\"]\n",
    );
    let (code, result) = home.check();
    assert_eq!(code, Some(0), "{result:#}");
}

#[test]
fn an_answer_of_the_wrong_type_is_refused_with_its_place() {
    let home = home();
    home.start();
    home.write("mine/answers.toml", "service = 3\nat = \"soon\"\nedges = \"all\"\nwho = \"me\"\n");
    refused(
        &home.lab(&["check", "mine"]),
        &[
            "the answer to \"service\" is of the wrong type",
            "write text in quotes",
            "write a time from the start of the recording, such as \"75s\"",
            "write [[\"caller\", \"callee\"], …]",
            "\"who\" is no question of this lab",
            "answers.toml:1:11",
        ],
    );
}

#[test]
fn an_answer_out_of_range_is_refused_with_the_range() {
    let home = home();
    let more = "\n[[check]]\nname = \"which\"\nkind = \"answer\"\nkey = \"replica\"\nfrom = \"fault replica\"\n\
                \n[[check]]\nname = \"long\"\nkind = \"answer\"\nkey = \"spans\"\nfrom = \"slowest trace spans\"\n\
                \n[[check]]\nname = \"below\"\nkind = \"answer\"\nkey = \"below\"\nis = -1.5\n\
                \n[[check]]\nname = \"share\"\nkind = \"answer\"\nkey = \"share\"\n\
                from = \"report load users error-share\"\n";
    let lab = home.read("05-pages/lab.toml") + more;
    home.write("05-pages/lab.toml", &lab);
    home.start();
    let whole = "write a whole number from 0 to 4294967295";
    for (answer, what, help) in [
        ("at = \"9000h\"", "\"9000h\" is out of range", "write a time up to 8760h"),
        ("at = \"-5s\"", "cannot be negative: \"-5s\"", "write a number and one of ns, us, ms"),
        ("at = \"1m 5s\"", "\"1m 5s\" is not a length of time", "write \"1m5s\""),
        ("replica = -1", "is out of range: -1", whole),
        ("replica = 99999999999999999999", "is out of range: 99999999999999999999", whole),
        ("spans = 1.5", "is no whole number: 1.5", whole),
        ("spans = inf", "is out of range: inf", whole),
        ("spans = nan", "is of the wrong type", "write a whole number, such as 12"),
        (
            "below = 1e400",
            "is out of range: 1e400",
            "write a number from -1000000000000000 to 1000000000000000",
        ),
        ("share = \"-3%\"", "is out of range: -3%", "write a number from 0 to 1000000000000000"),
    ] {
        home.write("mine/answers.toml", &format!("{answer}\n"));
        let key = answer.split(' ').next().expect("a key");
        let checked = home.lab(&["check", "mine"]);
        refused(&checked, &[&format!("the answer to \"{key}\""), what, help, "answers.toml:1:"]);
        assert!(checked.told().contains("nothing was judged: 1 problem"), "{}", checked.stderr);
    }
    // It is no guess.
    assert!(!home.read("mine/.simhost-lab.json").contains("\"which\""));
    home.write(
        "mine/answers.toml",
        "replica = 0x0\nspans = 0xff\nbelow = -1.5\nedges = [[\" shop\", \"stock \"]]\n",
    );
    let (_, result) = home.check();
    for (name, passed) in [("which", true), ("long", false), ("below", true), ("calls", true)] {
        assert_eq!(named(&result, name)["passed"], passed, "{result:#}");
    }
    // A number of another base is read as what it is.
    assert_eq!(named(&result, "long")["got"], "255", "{result:#}");
}

#[test]
fn a_time_without_a_unit_is_refused_with_the_two_that_may_be_meant() {
    let home = home();
    home.start();
    home.write("mine/answers.toml", "at = 12\n");
    let said = [
        "the answer to \"at\" is a number without a unit",
        "answers.toml:1:6",
        "write at = \"12ms\" if you mean milliseconds, at = \"12s\" if you mean seconds",
    ];
    refused(&home.lab(&["check", "mine"]), &said);
}

#[test]
fn an_answer_is_judged_in_the_words_of_who_writes_it() {
    let home = home();
    let more = "\n[[check]]\nname = \"which\"\nkind = \"answer\"\nkey = \"replica\"\nfrom = \"fault replica\"\n\
                \n[[check]]\nname = \"one\"\nkind = \"answer\"\nkey = \"trace\"\nfrom = \"fault trace\"\n\
                \n[[check]]\nname = \"idle\"\nkind = \"answer\"\nkey = \"idle\"\nis = \"shop\"\n\
                \n[[check]]\nname = \"line\"\nkind = \"answer\"\nkey = \"line\"\nis = \"page read\"\n\
                \n[[check]]\nname = \"busy\"\nkind = \"answer\"\nkey = \"busy\"\nis = 1.5\ntolerance = \"10%\"\n";
    let lab = home.read("05-pages/lab.toml") + more;
    home.write("05-pages/lab.toml", &lab);
    home.start();
    home.lab(&["record", "mine"]).success();
    let list = ["--list", "--query", "{ resource.service.name = \"stock\" && duration > 200ms }"];
    let list = finish(simhost().arg("traces").arg(home.path("mine/telemetry.jsonl")).args(list));
    let struck = list.success().split_whitespace().find(|word| word.len() == 32).expect("an id").to_owned();
    let answered = |trace: &str, edges: &str, rest: [&str; 4]| {
        let [replica, idle, line, busy] = rest;
        home.write(
            "mine/answers.toml",
            &format!(
                "trace = \"{trace}\"\nedges = {edges}\nreplica = \"{replica}\"\nidle = \"{idle}\"\n\
                 line = \"{line}\"\nbusy = {busy}\n"
            ),
        );
        home.check().1
    };
    let said = |result: &serde_json::Value, name: &str| {
        let check = named(result, name);
        assert_eq!(check["passed"], false, "{check:#}");
        (check["message"].as_str().expect("words").to_owned(), check["got"].is_null())
    };
    let right =
        answered(&struck[..12], "[\"shop -> stock\"]", ["stock-0", "shop", "• page read volume=a …", "1.4"]);
    for name in ["one", "calls", "which", "idle", "line", "busy"] {
        assert_eq!(named(&right, name)["passed"], true, "{right:#}");
    }
    // What cannot be an answer is not judged.
    let strange = answered("8ed", "[\"shop -> redis\"]", ["1", "shops", "page", "2"]);
    let (message, unjudged) = said(&strange, "one");
    assert!(unjudged && message.contains("is no id of a trace: write its 32 digits"), "{message}");
    let (message, unjudged) = said(&strange, "calls");
    assert!(
        unjudged && message.starts_with("\"redis\" in the answer to \"edges\" is no service"),
        "{message}"
    );
    let (message, unjudged) = said(&strange, "idle");
    assert!(unjudged && message.contains("did you mean \"shop\"?"), "{message}");
    for name in ["which", "line", "busy"] {
        assert!(!said(&strange, name).1, "{strange:#}");
    }
    let wrong =
        answered("00000000", "[\"shop -> stock\", \"stock -> shop\"]", ["0", "shop", "page read", "1.5"]);
    assert_eq!(said(&wrong, "calls").0, "2 edges, 1 of them right; none is missing");
    let (message, unjudged) = said(&wrong, "one");
    let wanted = "\"00000000\" is no id of this recording: `simhost traces telemetry.jsonl --list` has them";
    assert!(unjudged && message == wanted, "{message}");
    // One that was not struck is there, and is a wrong answer.
    let list = ["--list", "--query", "{ resource.service.name = \"stock\" && duration < 200ms }"];
    let list = finish(simhost().arg("traces").arg(home.path("mine/telemetry.jsonl")).args(list));
    let spared = list.success().split_whitespace().find(|word| word.len() == 32).expect("an id").to_owned();
    let wrong = answered(&spared[..8], "[]", ["0", "shop", "page read", "1.5"]);
    assert_eq!(said(&wrong, "one"), (format!("\"{}\" is not the answer to \"trace\"", &spared[..8]), false));
}

#[test]
fn every_answer_that_is_wrong_is_explained_and_no_trace_is_looked_for() {
    let home = home();
    home.start();
    home.write("mine/answers.toml", "service = \"shop\"\nkind = \"crash\"\nedges = [\"stock -> shop\"]\n");
    let checked = home.lab(&["check", "mine", "--seeds", "1"]);
    let said = [
        "\"shop\" is not the answer to \"service\". Wrong answers",
        "\"crash\" is not the answer to \"kind\"\n",
        "1 edge, 0 of them right; 1 is missing\n",
    ];
    for words in said {
        assert!(checked.stdout.contains(words), "{words:?} is missing in:\n{}", checked.stdout);
    }
    refused(&home.lab(&["show", "mine"]), &["in a lab with a recording no trace is named"]);
}
