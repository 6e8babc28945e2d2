//! Databases under load: who has their connections when processes come and go, and what a statement has time
//! for.

use serde_json::Value;

use crate::support::{Topology, simhost};

/// A service of two replicas over a database that does a hundred statements at a time.
fn shop(database: &str, rest: &str) -> Topology {
    shop_with(100, database, rest)
}

fn shop_with(cores: u32, database: &str, rest: &str) -> Topology {
    Topology::new(
        "shop",
        format!(
            "[topology]\nname = \"shop\"\nseed = 1\n\
             [services.app]\nguest = \"service\"\nreplicas = 2\nworkers = 64\n\
             databases.stock = {{ pool = {{ max = 14, wait = \"2s\" }} }}\nconfig.sql-in = \"stock\"\n\
             config.show = {{ route = \"GET /\", sql = \"SELECT available FROM stock WHERE id = {{1..3}}\" }}\n\
             [databases.stock]\ntables = \"\"\"\nCREATE TABLE stock (id INT PRIMARY KEY, available INT);\n\
             INSERT INTO stock VALUES (1, 1), (2, 2), (3, 3);\n\"\"\"\ncores = {cores}\n{database}\n{rest}\n"
        ),
    )
}

fn report(topology: &Topology) -> Value {
    let mut command = simhost();
    command.arg("run").arg(topology.path()).args(["--virtual", "--json", "--for", "40s", "--compute", "0"]);
    let output = command.output().expect("the program starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("a report")
}

fn load(name: &str, rate: &str, more: &str) -> String {
    format!(
        "[[load]]\nname = \"{name}\"\nto = \"app\"\nrequest = {{ path = \"/\" }}\n\
         arrivals = {{ poisson = \"{rate}\" }}\n{more}\n"
    )
}

/// Connections that the database has refused, of all pools.
fn refused(report: &Value) -> u64 {
    let pools = report["databases"][0]["pools"].as_array().expect("pools");
    assert!(!pools.is_empty());
    pools.iter().map(|pool| pool["refused"].as_u64().expect("a number")).sum()
}

#[test]
fn connections_of_a_replica_that_dies_are_free_for_the_others() {
    let fault = "[[faults]]\nname = \"gone\"\nkind = \"down\"\ntarget = { service = \"app\", replica = 0 }\n\
                 when = { at = \"10s\", for = \"30s\" }\n";
    let loads = load("early", "40/s", "for = \"10s\"") + &load("late", "50/s", "start = \"15s\"");
    let few = "connections = 16\ncost = { statement = \"200ms\" }";
    let report = report(&shop(few, &(fault.to_owned() + &loads)));
    let [early, late] = [0, 1].map(|load| &report["loads"][load]);
    assert!(late["requests"].as_u64() > Some(1_000), "{late}");
    // The two share sixteen connections at first; the one that is left has more than enough of them.
    let refused = refused(&report);
    assert!(Some(refused) <= early["errors"].as_u64(), "{refused} were refused: {early}");
}

#[test]
fn connections_of_a_version_that_is_replaced_are_free_for_the_new_one() {
    let fault = "[[faults]]\nname = \"new\"\nkind = \"bad-deploy\"\nguest = \"service\"\nversion = \"2\"\n\
                 config.work = \"1ms\"\ntarget = { service = \"app\" }\nwhen = { at = \"10s\", for = \"20s\" }\n";
    let enough = "connections = 28\ncost = { statement = \"200ms\" }";
    let report = report(&shop(enough, &(fault.to_owned() + &load("all", "80/s", ""))));
    let (asked, refused) = (report["loads"][0]["requests"].as_u64().expect("a number"), refused(&report));
    // While the old processes are done with what they have, both have some.
    assert!(asked > 2_000 && refused * 100 < asked, "{refused} of {asked}");
}

#[test]
fn a_statement_that_waits_for_a_core_for_too_long_fails_in_its_time() {
    let slow = "cost = { statement = \"20ms\" }\nstatement-timeout = \"100ms\"";
    let report = report(&shop_with(1, slow, &load("all", "90/s", "")));
    let statement = &report["databases"][0]["statements"][0];
    let (errors, count) = (statement["errors"].as_u64(), statement["count"].as_u64());
    assert!(errors > Some(500) && errors < count, "{statement}");
    assert!(statement["max_ns"].as_u64() < Some(110_000_000), "{statement}");
}

#[test]
fn the_bytes_of_long_texts_count_among_the_steps_of_a_request() {
    // Some thousand steps, and forty million for the bytes: of four statements the last one is refused.
    let long =
        "SELECT count(*) FROM generate_series(1, 75) AS n WHERE length(repeat('ab', 450000) || n || n) < 9";
    let route = format!("config.long = {{ route = \"GET /long\", sql = \"{}\" }}", [long; 4].join("; "));
    let text = format!(
        "[topology]\nname = \"shop\"\n[ingress]\nlisten = \"127.0.0.1:0\"\nto = \"app\"\n\
         [services.app]\nguest = \"service\"\ndatabases.stock = {{}}\nconfig.sql-in = \"stock\"\n\
         {route}\n[databases.stock]\ntables = \"CREATE TABLE t (a INT)\"\n"
    );
    let topology = Topology::new("shop", text);
    let mut command = simhost();
    command.arg("run").arg(topology.path()).args(["--virtual", "--json", "--compute", "0"]);
    let output = command.args(["--request", "GET /long"]).output().expect("the program starts");
    let report: Value = serde_json::from_slice(&output.stdout).expect("a report");
    let statements = report["databases"][0]["statements"].as_array().expect("statements");
    let sum = |key: &str| statements.iter().filter_map(|statement| statement[key].as_u64()).sum::<u64>();
    assert_eq!((sum("count"), sum("errors")), (4, 1), "{}", report["databases"]);
}

#[test]
fn workers_of_a_queue_move_each_job_once_in_one_statement() {
    let text = "[topology]\nname = \"queue\"\nseed = 3\n\
         [services.app]\nguest = \"service\"\nreplicas = 2\nworkers = 64\n\
         databases.jobs = { pool = { max = 40 } }\nconfig.sql-in = \"jobs\"\n\
         config.take = { route = \"GET /\", sql = \"\"\"WITH next AS (SELECT id FROM jobs WHERE state = 'new' ORDER BY id \
         LIMIT 1 FOR UPDATE SKIP LOCKED), gone AS (DELETE FROM jobs USING next WHERE jobs.id = next.id RETURNING jobs.id) \
         INSERT INTO done (id) SELECT id FROM gone\"\"\" }\n\
         [databases.jobs]\ntables = \"\"\"\nCREATE TABLE jobs (id SERIAL PRIMARY KEY, state TEXT NOT NULL);\n\
         INSERT INTO jobs (state) SELECT 'new' FROM generate_series(1, 900);\n\
         CREATE TABLE done (nr SERIAL PRIMARY KEY, id INT UNIQUE);\n\"\"\"\ncost = { statement = \"20ms\" }\n\
         [[load]]\nname = \"workers\"\nto = \"app\"\nrequest = { path = \"/\" }\n\
         arrivals = { poisson = \"100/s\" }\nfor = \"5s\"\n";
    let topology = Topology::new("queue", text.to_owned());
    let report = report(&topology);
    let load = &report["loads"][0];
    let requests = load["requests"].as_u64().expect("a number");
    assert!(requests > 400 && load["errors"].as_u64() == Some(0), "{load}");
    let statement = &report["databases"][0]["statements"][0];
    assert_eq!(statement["count"].as_u64(), Some(requests), "{statement}");
    let mut command = simhost();
    command.arg("sql").arg(topology.path()).args(["jobs", "--json", "--for", "40s", "--compute", "0"]);
    let left =
        "SELECT count(*), count(DISTINCT done.id) AS once, (SELECT count(*) FROM jobs) AS left FROM done";
    let output = command.arg(left).output().expect("the program starts");
    let moved = format!("{{\"count\":{requests},\"once\":{requests},\"left\":{}}}\n", 900 - requests);
    assert_eq!(String::from_utf8_lossy(&output.stdout), moved, "{}", String::from_utf8_lossy(&output.stderr));
}
