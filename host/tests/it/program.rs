//! What the program says of itself: its events, completions and manual pages.

use crate::support::{ORDER, Topology, finish, simhost};

/// A run of one order in virtual time, with `more` flags.
fn order(more: &[&str]) -> (String, String) {
    let run = Topology::orders().run(&[&["--virtual", "--request", ORDER], more].concat());
    (run.success().to_owned(), run.stderr)
}

#[test]
fn events_go_to_standard_error_and_change_nothing_of_the_run() {
    let (report, said) = order(&[]);
    assert_eq!(said, "");
    for flags in [&["-v"][..], &["-vvv"], &["--log", "debug"]] {
        let (with_events, said) = order(flags);
        assert_eq!(with_events, report, "{flags:?}");
        assert!(said.contains(" INFO simhost::"), "{flags:?}: {said}");
    }
}

#[test]
fn more_is_said_with_each_v() {
    let lines = |flag| order(&[flag]).1.lines().count();
    let (some, more) = (lines("-v"), lines("-vv"));
    assert!(some < more, "{some}, {more}");
}

#[test]
fn a_filter_chooses_modules() {
    let (_, said) = order(&["--log", "simhost::engine=debug"]);
    assert!(!said.is_empty() && said.lines().all(|line| line.contains(" simhost::engine")), "{said}");
}

#[test]
fn a_filter_that_is_none_is_refused() {
    let refused = finish(simhost().args(["check", "topology.toml", "--log", "simhost=loudly"]));
    assert_eq!(refused.code, Some(2));
    assert!(refused.stderr.contains("--log"), "{}", refused.stderr);
}

#[test]
fn every_shell_gets_a_script_with_every_command() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let printed = finish(simhost().args(["completions", shell]));
        let script = printed.success();
        for word in ["run", "check", "completions", "virtual"] {
            assert!(script.contains(word), "{shell} cannot complete {word}");
        }
    }
}

#[test]
fn bash_takes_its_script() {
    let script = finish(simhost().args(["completions", "bash"])).success().to_owned();
    let mut bash = std::process::Command::new("bash");
    bash.args(["-c", &format!("{script}\ncomplete -p simhost")]);
    assert!(finish(&mut bash).success().contains("simhost"));
}

#[test]
fn every_command_has_a_manual_page() {
    let folder = tempfile::tempdir().expect("a folder");
    finish(simhost().args(["man", "--out"]).arg(folder.path())).success();
    let page = |name: &str| std::fs::read_to_string(folder.path().join(name)).expect("a page");
    for (name, words) in [("simhost.1", "flight simulator"), ("simhost-run.1", "\\-\\-virtual")] {
        assert!(page(name).contains(words), "{name}: {}", page(name));
    }
    let entries = std::fs::read_dir(folder.path()).expect("the pages");
    let names = entries.map(|entry| entry.expect("a page").file_name().into_string().expect("a name"));
    let mut pages: Vec<_> = names.collect();
    pages.sort();
    let help = finish(simhost().arg("--help")).success().to_owned();
    let commands =
        help.split("Commands:\n").nth(1).and_then(|rest| rest.split("\n\n").next()).expect("commands");
    for line in commands.lines() {
        let command = line.split_whitespace().next().expect("a command");
        if command != "help" {
            assert!(pages.contains(&format!("simhost-{command}.1")), "{command}: {pages:?}");
        }
    }
    for name in &pages {
        let name = name.strip_suffix(".1").expect("a page");
        let words = name.split('-').skip(1).filter(|word| *word != "help");
        if !name.contains("help") {
            let printed = finish(simhost().arg("man").args(words));
            assert_eq!(printed.success(), page(&format!("{name}.1")), "{name}");
        }
    }
}

#[test]
fn a_page_of_no_command_is_refused_with_the_commands_that_are() {
    for (words, near) in [(vec!["rn"], "run"), (vec!["fault", "lst"], "list")] {
        let refused = finish(simhost().arg("man").args(&words));
        assert_eq!(refused.code, Some(2));
        let said = &refused.stderr;
        assert!(said.contains(&format!("did you mean \"{near}\"? Known commands: ")), "{said}");
    }
}

#[test]
fn a_filter_that_names_no_level_is_refused_with_the_levels() {
    for (filter, said) in [("debgu", "did you mean \"debug\"?"), ("foo bar=", "known levels: ")] {
        let refused = finish(simhost().args(["--log", filter, "man"]));
        assert_eq!(refused.code, Some(2), "{filter}");
        assert!(refused.stderr.contains(said), "{filter}: {}", refused.stderr);
    }
}
