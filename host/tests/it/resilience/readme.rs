//! The example of README.md does what it says there.

use crate::support::Topology;

const README: &str = include_str!("../../../../README.md");

/// What stands in a fence of this language in the section on resilience.
fn fenced(language: &str) -> &'static str {
    let section = README.split("\n## ").find(|section| section.starts_with("Resilience\n"));
    let (_, rest) =
        section.and_then(|section| section.split_once(&format!("```{language}\n"))).expect("a fence");
    rest.split_once("```").expect("its end").0
}

#[test]
fn the_example_of_the_readme_does_what_it_says() {
    let mut lines = fenced("console").lines();
    let command = lines.next().expect("a command");
    assert_eq!(command, "$ simhost run flaky.toml --virtual --request 'GET /'");
    let run = Topology::new("flaky", fenced("toml")).run(&["--virtual", "--request", "GET /"]);
    let mut printed = run.success().lines();
    for line in lines.filter(|line| *line != "…") {
        assert!(printed.any(|other| other == line), "{line}\nis not, in its place, in\n{}", run.stdout);
    }
}

#[test]
fn the_example_of_the_readme_uses_most_policies_under_load() {
    let run = Topology::new("flaky", fenced("toml")).run(&["--virtual", "--for", "2m"]);
    for word in ["resent", "fallbacks", "timeout", "bulkhead_full"] {
        assert!(run.success().contains(word), "no {word} in\n{}", run.stdout);
    }
}
