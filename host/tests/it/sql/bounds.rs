//! Statements and schemas that would take more than a machine has: each is refused at once, with a name.

use super::{Files, INLINE, SCHEMA, TOPOLOGY};
use crate::support::{finish, simhost};

/// WITH queries, each of which reads the one before as `query` says.
fn chain(count: usize, first: &str, query: impl Fn(usize) -> String) -> String {
    let queries =
        (0..count).map(|n| format!("c{n} AS ({})", if n == 0 { first.to_owned() } else { query(n) }));
    let queries: Vec<String> = queries.collect();
    format!("WITH {} SELECT count(*) FROM c{}", queries.join(", "), count - 1)
}

fn doubled() -> String {
    chain(40, "SELECT 1 AS x", |n| format!("SELECT * FROM c{} a, c{} b", n - 1, n - 1))
}

#[test]
fn a_short_statement_that_becomes_large_is_refused_at_once() {
    let files = Files::new(&TOPOLOGY.replace("95000", "10"), SCHEMA);
    let pairs = chain(40, "SELECT 1 AS x", |n| format!("SELECT a.x FROM c{} a, c{} b", n - 1, n - 1));
    let sums = chain(40, "SELECT id AS x FROM stock", |n| format!("SELECT x + x AS x FROM c{}", n - 1));
    let stars = format!("SELECT {} FROM stock", vec!["*"; 1_000].join(", "));
    let crowd = format!("SELECT 1 FROM stock{}", ", stock".repeat(64));
    for (statement, code) in [
        (doubled(), "54011"),
        (pairs, "54001"),
        (sums, "54001"),
        (stars.clone(), "54011"),
        (format!("UPDATE stock SET available = 1 RETURNING {}", vec!["*"; 1_000].join(", ")), "54011"),
        (crowd, "54001"),
    ] {
        let finished = files.sql(&["inventory", &statement]);
        assert_eq!(finished.code, Some(2), "{statement:.80}");
        assert!(finished.stderr.contains(&format!("SQLSTATE {code}")), "{}", finished.stderr);
    }
    // A schema, and the statements of a guest.
    let view = format!("{SCHEMA}CREATE VIEW v AS {};", doubled());
    let schema = Files::new(&TOPOLOGY.replace("95000", "10"), &view);
    let statement = INLINE.replace("SELECT available FROM stock WHERE sku = {sku}", &doubled());
    let guest = Files::new(&statement.replace("95000", "10"), "");
    for files in [schema, guest] {
        let checked = finish(simhost().arg("check").arg(files.topology()));
        assert_eq!(checked.code, Some(2));
        for expected in ["target lists can have at most 1664 entries", "SQLSTATE 54011"] {
            assert!(checked.stderr.contains(expected), "{}", checked.stderr);
        }
    }
}

#[test]
fn counting_rows_takes_steps_for_each_of_them() {
    let files = Files::new(TOPOLOGY, SCHEMA);
    let steps = |statement: &str| -> u64 {
        let finished = files.sql(&["inventory", statement]);
        assert_eq!(finished.code, Some(0), "{}", finished.stderr);
        let (_, behind) = finished.stderr.split_once("steps: ").expect("the steps");
        let digits: String = behind.chars().take_while(char::is_ascii_digit).collect();
        digits.parse().expect("a number")
    };
    let counted = steps("SELECT count(*) FROM stock");
    assert!(counted > 2 * 95_000, "{counted}");
    for statement in [
        "SELECT count(*) AS rows FROM stock AS s",
        "SELECT count(*) FROM (SELECT id FROM stock) AS s",
        "WITH s AS (SELECT * FROM stock) SELECT count(*) FROM s",
        "SELECT count(*) FROM (SELECT id FROM stock UNION ALL SELECT id FROM stock) AS s",
        "SELECT (SELECT count(*) FROM stock)",
        "SELECT count(id) FROM stock",
    ] {
        assert!(steps(statement) >= counted, "{statement}: {}", steps(statement));
    }
}

#[test]
fn whole_numbers_and_limits_out_of_their_range_are_refused() {
    let files = Files::new(&TOPOLOGY.replace("95000", "10"), SCHEMA);
    for (statement, code) in [
        ("SELECT 9223372036854775807 + 1", "22003"),
        ("SELECT id + 9223372036854775807 FROM stock", "22003"),
        ("SELECT -id - 9223372036854775807 FROM stock WHERE id > 1", "22003"),
        ("SELECT sum(id) * 9223372036854775807 FROM stock", "22003"),
        ("SELECT id * id * id * 9000000000000000000 FROM stock", "22003"),
        ("SELECT x * x FROM (SELECT id * 4000000000 AS x FROM stock) AS s", "22003"),
        ("SELECT -(-9223372036854775807 - 1)", "22003"),
        ("SELECT id FROM stock LIMIT -1", "2201W"),
        ("SELECT id FROM stock LIMIT 1 OFFSET -5", "2201X"),
        ("SELECT id FROM stock LIMIT (SELECT -min(id) FROM stock)", "2201W"),
    ] {
        let finished = files.sql(&["inventory", statement, "--json"]);
        assert_eq!((finished.code, finished.stdout.as_str()), (Some(2), ""), "{statement}");
        assert!(finished.stderr.contains(&format!("SQLSTATE {code}")), "{statement}: {}", finished.stderr);
    }
    let within = "SELECT 9223372036854775806 + id AS most, -9223372036854775808 AS least, \
                  -id * 9223372036854775807 AS product FROM stock ORDER BY id LIMIT 1 OFFSET NULL";
    let finished = files.sql(&["inventory", within, "--json"]);
    let expected = "{\"most\":9223372036854775807,\"least\":-9223372036854775808,\
                    \"product\":-9223372036854775807}\n";
    assert_eq!(finished.stdout, expected, "{}", finished.stderr);
}

#[test]
fn all_statements_of_a_schema_have_one_bound() {
    let many = "SELECT count(*) FROM generate_series(1, 2500000);\n".repeat(100);
    let files = Files::new(&TOPOLOGY.replace("95000", "10"), &format!("{SCHEMA}{many}"));
    let checked = finish(simhost().arg("check").arg(files.topology()));
    assert_eq!(checked.code, Some(2));
    let expected = "the schema takes more than 100000000 steps (SQLSTATE 54000)";
    assert!(checked.stderr.contains(expected), "{}", checked.stderr);
    assert_eq!(checked.stderr.matches("SQLSTATE").count(), 1, "{}", checked.stderr);
}

#[test]
fn a_byte_order_mark_before_statements_is_left_out() {
    let files = Files::new(&TOPOLOGY.replace("95000", "10"), &format!("\u{feff}{SCHEMA}"));
    let listed = files.sql(&["inventory"]);
    assert!(listed.success().starts_with("stock: 10 rows"), "{listed:?}");
    let piped = files.piped("\u{feff}SELECT count(*) FROM stock", &["inventory", "-", "--json"]);
    assert_eq!(piped.stdout, "{\"count\":10}\n", "{}", piped.stderr);
}

#[test]
fn a_view_that_selects_from_itself_is_refused() {
    for (views, place) in [
        ("CREATE VIEW w AS SELECT * FROM w;\n", "inventory.sql:5:32"),
        ("CREATE VIEW w AS SELECT * FROM v;\nCREATE VIEW v AS SELECT * FROM w;\n", "inventory.sql:5:32"),
    ] {
        let files = Files::new(&TOPOLOGY.replace("95000", "10"), &format!("{SCHEMA}{views}"));
        let checked = finish(simhost().arg("check").arg(files.topology()));
        assert_eq!(checked.code, Some(2));
        for expected in ["does not exist (SQLSTATE 42P01)", place] {
            assert!(checked.stderr.contains(expected), "{expected} is missing in:\n{}", checked.stderr);
        }
        assert_eq!(checked.stderr.matches("SQLSTATE").count(), 1, "{}", checked.stderr);
    }
}
