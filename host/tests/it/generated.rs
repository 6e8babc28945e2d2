//! `simhost generate`, and the topologies that it wrote into `topologies/generated/`.

use std::fs;
use std::path::{Path, PathBuf};

#[cfg(target_os = "linux")]
use crate::support::server::Server;
use crate::support::{Finished, finish, golden, simhost};

/// Those that ship, by their number of services, and with the flags that they are written with.
const SHIPPED: [(u32, &[&str]); 3] = [(10, &[]), (100, &[]), (1_000, &["--databases", "0"])];

fn shipped(services: u32) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../topologies/generated");
    folder.join(format!("services-{services}.toml"))
}

fn generate(arguments: &[&str]) -> Finished {
    finish(simhost().arg("generate").args(arguments))
}

/// Runs a topology in virtual time with these requests; with the bytes of `--out`.
fn run(topology: &Path, requests: &[String]) -> (Finished, String) {
    let folder = tempfile::tempdir().expect("a folder");
    let records = folder.path().join("records.jsonl");
    let mut command = simhost();
    command.arg("run").arg(topology).args(["--virtual", "--show", "summary", "--out"]).arg(&records);
    for request in requests {
        command.args(["--request", request]);
    }
    let finished = finish(&mut command);
    (finished, fs::read_to_string(records).expect("the records"))
}

/// A request for every route of the edge, as its configuration has them.
fn routes_of_the_edge(topology: &str) -> Vec<String> {
    let edge = topology.split("\n[services.").nth(1).expect("a service");
    let routes = edge.lines().filter_map(|line| Some(line.split_once("route = \"")?.1.split_once('"')?.0));
    routes.map(|route| route.replace("{id}", "7")).collect()
}

#[test]
fn the_topologies_that_ship_are_what_the_command_writes() {
    for (services, flags) in SHIPPED {
        let written = generate(&[&["--services", &services.to_string(), "--seed", "1"], flags].concat());
        golden(&shipped(services), written.success());
    }
}

#[test]
fn every_topology_that_ships_is_good_to_run() {
    for (services, _) in SHIPPED {
        let checked = finish(simhost().arg("check").arg(shipped(services)));
        assert!(checked.success().starts_with(&format!("services-{services}: good to run\n")), "{checked:?}");
    }
}

#[test]
fn every_route_of_the_edge_leads_through_the_system_and_back() {
    let text = fs::read_to_string(shipped(100)).expect("the topology is there");
    let requests = routes_of_the_edge(&text);
    assert!(requests.len() >= 10, "{requests:?}");
    let (finished, records) = run(&shipped(100), &requests);
    let answers: Vec<_> = finished.success().lines().filter(|line| line.contains(" answered ")).collect();
    assert_eq!(answers.len(), requests.len());
    // Some services fail now and then, with an error of their own that those above them pass on.
    let good = answers.iter().filter(|answer| answer.contains(" answered 200 ")).count();
    assert!(good * 10 >= answers.len() * 9, "{answers:#?}");
    let spans = records.matches("\"spanId\"").count();
    assert!((4..150).contains(&(spans / requests.len())), "{spans} spans of {} requests", requests.len());
}

#[test]
fn one_database_for_ten_services_is_drawn_unless_the_flag_says_otherwise() {
    let databases = |arguments: &[&str]| generate(arguments).success().matches("\n[databases.").count();
    assert_eq!(["9", "10", "30"].map(|services| databases(&["--services", services])), [0, 1, 3]);
    assert_eq!(databases(&["--services", "1200"]), 100, "as many as there may be");
    assert_eq!(databases(&["--services", "30", "--databases", "0"]), 0);
    assert_eq!(generate(&["--services", "30"]).stderr, "");
}

#[test]
fn databases_are_drawn_with_tables_and_statements_that_they_take() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("shop.toml");
    for (seed, services, databases) in [("1", "10", "3"), ("2", "40", "8"), ("3", "100", "20")] {
        let arguments = ["--services", services, "--seed", seed, "--databases", databases, "--name", "shop"];
        let written = generate(&arguments).success().to_owned();
        assert_eq!(generate(&arguments).success(), written);
        assert_eq!(written.matches("\n[databases.").count().to_string(), databases);
        fs::write(&path, &written).expect("a topology");
        let checked = finish(simhost().arg("check").arg(&path).arg("--strict"));
        assert!(checked.success().starts_with("shop: good to run\n"), "{checked:?}");
        let (finished, records) = run(&path, &routes_of_the_edge(&written));
        let answers: Vec<_> = finished.success().lines().filter(|line| line.contains(" answered ")).collect();
        assert!(answers.iter().all(|answer| !answer.contains(" answered 409 ")), "{answers:#?}");
        let good = answers.iter().filter(|answer| answer.contains(" answered 200 ")).count();
        assert!(good * 10 >= answers.len() * 9, "{answers:#?}");
        assert!(records.contains("\"db.query.text\""), "no statement in {} requests", answers.len());
        assert!(!records.contains("\"db.response.status_code\""), "some statements failed");
    }
}

#[test]
fn a_thousand_services_start_and_answer() {
    let (finished, _) = run(&shipped(1_000), &["GET /products/7".to_owned()]);
    assert!(finished.success().starts_with("GET /products/7 answered 200 in "), "{finished:?}");
}

/// Kilobytes of memory that a process holds.
#[cfg(target_os = "linux")]
fn resident(process: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).expect("the process is there");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("its memory");
    line.trim_end_matches("kB").trim().parse().expect("a number")
}

#[test]
#[cfg(target_os = "linux")]
fn a_thousand_idle_services_take_little_memory() {
    let idle = |services| {
        let mut command = simhost();
        command.arg("run").arg(shipped(services)).args(["--listen", "127.0.0.1:0", "--show", "none"]);
        let server = Server::spawn(&mut command);
        let taken = resident(server.id());
        server.stop().success();
        taken
    };
    let (few, many) = (idle(10), idle(1_000));
    assert!(many < 300_000, "{many} kB");
    // A service that idles has its record and no worker: those have at least 64 kB each.
    let each = many.saturating_sub(few) / 990;
    assert!(each < 64, "{each} kB for each service");
}

#[test]
fn the_first_line_of_a_file_is_the_command_that_writes_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let command = |line: &str| {
        let (_, command) = line.split_once(": simhost ").expect("a command");
        let words: Vec<_> = command.split_whitespace().map(str::to_owned).collect();
        finish(simhost().current_dir(folder.path()).args(words)).success().to_owned()
    };
    for arguments in [
        &["--services", "12"][..],
        &["--services", "7", "--layers", "3", "--seed", "9", "--name", "a", "--databases", "2"],
    ] {
        let written = generate(arguments).success().to_owned();
        let line = written.lines().next().expect("a line");
        assert!(["--seed", "--layers", "--rate", "--name"].iter().all(|flag| line.contains(flag)), "{line}");
        assert_eq!(command(line), "");
        let (_, file) = line.rsplit_once(' ').expect("a file");
        assert_eq!(fs::read_to_string(folder.path().join(file)).expect("the file"), written);
    }
}

#[test]
fn a_file_is_named_in_its_first_line() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("shop.toml");
    let file = path.to_str().expect("a path of text");
    let written = generate(&["--services", "5", "--name", "my-shop", "--rate", "200", "--out", file]);
    assert_eq!(written.success(), "");
    let text = fs::read_to_string(&path).expect("the file");
    assert!(text.starts_with("# shop.toml: simhost generate --services 5 "), "{text}");
    assert!(text.contains("\nname = \"my-shop\"\n") && text.contains("200 requests per second"), "{text}");
}

#[test]
fn who_asks_for_more_than_a_system_can_use_is_told_so() {
    let made = generate(&[
        "--services",
        "20",
        "--seed",
        "2",
        "--databases",
        "60",
        "--caches",
        "90",
        "--topics",
        "80",
    ]);
    assert_eq!(made.code, Some(0), "{}", made.stderr);
    for (flag, table) in
        [("--databases 60", "[databases."), ("--caches 90", "[caches."), ("--topics 80", "[topics.")]
    {
        let drawn = made.stdout.matches(&format!("\n{table}")).count();
        let told = made.told();
        assert!(told.contains(&format!("note: {flag} gives {drawn}: ")), "{flag}: {told}");
    }
    let made = generate(&["--services", "20", "--seed", "2", "--databases", "1"]);
    assert_eq!((made.code, made.stderr.as_str()), (Some(0), ""));
}

#[test]
fn what_cannot_be_generated_is_refused() {
    let refusals: [(&[&str], &str); 8] = [
        (&[], "--services"),
        (&["--services", "1"], "2..=2000"),
        (&["--services", "5000"], "2..=2000"),
        (&["--services", "20", "--databases", "101"], "0..=100"),
        (&["--services", "3", "--layers", "5"], "3 services cannot lie in 5 layers"),
        (&["--services", "2000", "--rate", "100000"], "lower --rate"),
        (&["--services", "3", "--name", "a b"], "a b"),
        (&["--services", "3", "--out", "nowhere/x.toml"], "cannot write \"nowhere/x.toml\""),
    ];
    for (arguments, part) in refusals {
        let refused = generate(arguments);
        assert_eq!((refused.code, refused.stdout.as_str()), (Some(2), ""), "{arguments:?}");
        assert!(refused.stderr.contains(part), "{arguments:?}: {}", refused.stderr);
    }
}
