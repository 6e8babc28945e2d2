//! The example of the guide to client policies uses them. That it prints what the guide shows is
//! tested with the whole book, in `docs.rs`.

use crate::support::Topology;

const GUIDE: &str = include_str!("../../../../docs/guides/policies.md");

/// The first TOML example of the guide.
fn example() -> &'static str {
    let (_, rest) = GUIDE.split_once("```toml\n").expect("an example");
    rest.split_once("```").expect("its end").0
}

#[test]
fn the_example_of_the_guide_uses_most_policies_under_load() {
    let run = Topology::new("flaky", example()).run(&["--virtual", "--for", "2m"]);
    for word in ["resent", "fallbacks", "timeout", "bulkhead_full"] {
        assert!(run.success().contains(word), "no {word} in\n{}", run.stdout);
    }
}
