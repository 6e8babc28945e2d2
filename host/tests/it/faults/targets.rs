//! A fault whose target is drawn: one of several, by the seed and the fault's name.

use std::collections::BTreeSet;

use crate::support::{SpanKind, World};

/// Services of which one answers 503.
const VICTIMS: [&str; 3] = ["a", "b", "c"];

/// `front` asks all of them; `name` is the fault's.
fn world(name: &str) -> World {
    let front = "config = { calls = \"a? & b? & c?\" }";
    let world = World::of_services(&[("front", front), ("a", ""), ("b", ""), ("c", "")]);
    world.with(&format!(
        "[[faults]]\nname = \"{name}\"\nkind = \"error\"\nstatus = 503\n\
         target = {{ one-of = [{{ service = \"a\" }}, {{ service = \"b\" }}, {{ service = \"c\" }}] }}"
    ))
}

/// Those that answer 503, by the spans.
fn struck(name: &str, seed: u32) -> Vec<&'static str> {
    let run = world(name).flags(&["--seed", &seed.to_string()]).virtually(&["GET /"; 2]);
    let failed = |service: &&str| {
        let spans = run.of(service, SpanKind::Server);
        let failed = spans.iter().filter(|span| span.error_type().as_str() == Some("503")).count();
        assert!(spans.len() == 2 && [0, 2].contains(&failed), "{service}: {failed} of {}", spans.len());
        failed > 0
    };
    VICTIMS.into_iter().filter(failed).collect()
}

#[test]
fn one_of_several_targets_is_struck_and_the_seed_says_which() {
    let by_seed: Vec<_> = (1..=12).map(|seed| struck("outage", seed)).collect();
    assert!(by_seed.iter().all(|struck| struck.len() == 1), "{by_seed:?}");
    let all: BTreeSet<_> = by_seed.iter().flatten().copied().collect();
    assert_eq!(all, BTreeSet::from(VICTIMS), "in twelve seeds each is drawn");
    assert_eq!(struck("outage", 5), by_seed[4]);
}

#[test]
fn faults_of_other_names_draw_for_themselves() {
    let differ = (1..=12).any(|seed| struck("outage", seed) != struck("overload", seed));
    assert!(differ, "two names never draw differently");
}

/// A deployment brings a guest and a configuration: to the drawn service, and to no other.
#[test]
fn a_deployment_goes_to_the_service_that_is_drawn() {
    let front = "config = { calls = \"a & b\" }";
    let behind = "version = \"1.0.0\"";
    let world = World::of_services(&[("front", front), ("a", behind), ("b", behind)]).with(
        "[[faults]]\nname = \"release\"\nkind = \"bad-deploy\"\nguest = \"service\"\nversion = \"1.1.0\"\n\
         target = { one-of = [{ service = \"a\" }, { service = \"b\" }] }",
    );
    let instances = |seed: &str, fault: &str| {
        let run = world.clone().flags(&["--seed", seed, "--fault", fault]).virtually(&["GET /"]);
        ["a", "b"].map(|service| run.of(service, SpanKind::Server)[0].instance.clone())
    };
    let deployed = |seed: u32| {
        let seed = seed.to_string();
        let (before, after) = (instances(&seed, "release=off"), instances(&seed, "release=on"));
        [before[0] != after[0], before[1] != after[1]]
    };
    let drawn: BTreeSet<_> = (1..=8).map(deployed).collect();
    assert_eq!(drawn, BTreeSet::from([[true, false], [false, true]]));
}

#[test]
fn one_of_several_databases_is_struck_and_the_truth_says_which() {
    let folder = tempfile::tempdir().expect("a folder");
    let schema = folder.path().join("schema.sql");
    std::fs::write(&schema, "CREATE TABLE items (id INT PRIMARY KEY);").expect("a schema");
    let (schema, truth) = (schema.display(), folder.path().join("truth.jsonl"));
    let asks =
        |name| format!("databases.{name} = {{}}\nconfig = {{ sql-in = \"{name}\", sql = \"SELECT 1\" }}");
    let services = VICTIMS.map(|name| (name, asks(name)));
    let services = services.iter().map(|(name, asks)| (*name, asks.as_str()));
    let front = ("front", "config = { calls = \"a? & b? & c?\" }");
    let databases = VICTIMS.map(|name| format!("[databases.{name}]\nschema = '{schema}'\n"));
    let world = World::of_services(&[front].into_iter().chain(services).collect::<Vec<_>>()).with(&format!(
        "{}[[faults]]\nname = \"outage\"\nkind = \"too-many-connections\"\nleft = 0\n\
         target = {{ one-of = [{{ database = \"a\" }}, {{ database = \"b\" }}, {{ database = \"c\" }}] }}",
        databases.concat()
    ));
    let mut drawn = BTreeSet::new();
    for seed in 1..=12 {
        let (seed, truth_file) = (seed.to_string(), truth.display().to_string());
        let flags = ["--seed", &seed, "--truth", &truth_file];
        let run = world.clone().flags(&flags).virtually(&["GET /"]);
        let failed = |service: &&str| run.of(service, SpanKind::Server)[0].error_type().is_string();
        let failed: Vec<_> = VICTIMS.into_iter().filter(failed).collect();
        let told = std::fs::read_to_string(&truth).expect("a truth file");
        let told: serde_json::Value =
            serde_json::from_str(told.lines().next().expect("a run")).expect("JSON");
        assert_eq!(failed, [told["faults"][0]["target"]["database"].as_str().expect("a database")], "{told}");
        drawn.extend(failed);
    }
    assert_eq!(drawn, BTreeSet::from(VICTIMS), "in twelve seeds each is drawn");
}
