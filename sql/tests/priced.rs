//! Functions count by their class and by the bytes that they go through, from the first long value on.

mod support;

use simhost_sql::{Bounds, Call, Database, Options, Outcome, Work};
use support::{database, done, execute};

/// Texts of 960 bytes in ASCII and beyond, JSON of 900 bytes; and the same, short.
const SCHEMA: &str = "CREATE TABLE long (id INT PRIMARY KEY, v TEXT, u TEXT, j TEXT);
    INSERT INTO long SELECT n, lpad(n::text, 960, 'ab c,'), lpad(n::text, 480, 'éÖ'),
        '[' || repeat('1,', 450) || n || ']' FROM generate_series(1, 100) AS n;
    CREATE TABLE short (id INT PRIMARY KEY, v TEXT, u TEXT, j TEXT);
    INSERT INTO short SELECT n, lpad(n::text, 20, 'ab c,'), lpad(n::text, 20, 'éÖ'),
        '[1,' || n || ']' FROM generate_series(1, 100) AS n;";

/// An expression for each class of functions, and for each function with a price of its own.
const PRICED: [&str; 30] = [
    "lower(v)",
    "upper(u)",
    "initcap(u)",
    "reverse(v)",
    "length(v)::text",
    "left(v, -1)",
    "right(v, -1)",
    "substring(v FROM 2)",
    "lpad(v, length(v) + 2)",
    "left(v, 400) || left(v, 400)",
    "repeat(v, 1)",
    "greatest(v, 'a')",
    "v::varchar(900)",
    "v::bytea::text",
    "replace(v, 'a', '')",
    "split_part(v, ',', 7)",
    "strpos(v, 'abd')::text",
    "btrim(v, 'abc, 0123456789')",
    "starts_with(v, 'x')::text",
    "(v LIKE '%a%b%c%x')::text",
    "(u ILIKE '%é%ö%x')::text",
    "(v LIKE 'ab%_%x%')::text",
    "(v ~ 'a.*b.*x$')::text",
    "(u ~* 'É+x')::text",
    "(v SIMILAR TO '%(a|b)_x%')::text",
    "regexp_replace(v, '[ac]', 'x', 'g')",
    "regexp_match(v, '(\\d+)$')",
    "regexp_split_to_array(v, ', *')",
    "j::jsonb::text",
    "json_array_length(j::jsonb)::text",
];

fn run(database: &mut Database, sql: &str) -> (Option<&'static str>, Work) {
    let statement = database.prepare(sql).unwrap_or_else(|failure| panic!("{sql}: {failure}"));
    match database.execute(None, &statement, &[], Call::at(0)) {
        Outcome::Done(done) => (None, done.work),
        Outcome::Failed(failed) => (Some(failed.failure.sqlstate), failed.work),
        Outcome::Blocked(_) => panic!("nothing is in its way"),
    }
}

#[test]
fn each_function_ends_a_statement_by_the_bytes_that_it_goes_through() {
    let most = 200_000;
    let bounds = Bounds { steps: most, ..Bounds::default() };
    let mut database = Database::open(SCHEMA, Options { bounds, ..Options::default() }).expect("a schema");
    for expression in PRICED {
        let of = |table: &str| {
            format!("SELECT count(*) FROM generate_series(1, 20) AS g, {table} WHERE {expression} = g::text")
        };
        let (ended, long) = run(&mut database, &of("long"));
        // By its steps alone it would run to its end.
        assert_eq!(ended, Some("57014"), "{expression}: {long:?}");
        assert!(long.effort > most * 9 / 10 && long.steps < 60_000, "{expression}: {long:?}");
        let (ended, short) = run(&mut database, &of("short"));
        assert_eq!(ended, None, "{expression}: {short:?}");
    }
}

#[test]
fn calls_with_short_values_count_by_their_class_alone() {
    let mut database = database("");
    for (expression, steps) in [
        ("n + n * n", 0),
        ("sqrt(n)", 1),
        ("round(n / 7.0)", 3),
        ("length(n::text)", 6),
        ("length(replace(n::text, '1', ''))", 10),
        ("length(date_trunc('hour', to_timestamp(n))::text)", 66),
    ] {
        let sql = format!("SELECT count(*) FROM generate_series(1, 1000) AS n WHERE {expression} = 0.5");
        let work = done(execute(&mut database, None, &sql)).work;
        assert_eq!(work.effort - work.steps, 1_000 * steps, "{expression}: {work:?}");
    }
}

/// A value that is the same in each row is kept as often as there are rows.
#[test]
fn aggregates_that_keep_their_values_count_them_for_each_row() {
    let bounds = Bounds { steps: 1_000_000, ..Bounds::default() };
    let mut database = Database::open(SCHEMA, Options { bounds, ..Options::default() }).expect("a schema");
    for value in [
        "json_agg(repeat('x', #))",
        "array_agg(repeat('x', #))",
        "jsonb_agg(('[' || repeat('1,', # / 2) || '1]')::jsonb)",
        "json_agg(json_build_object('a', repeat('x', #)))",
        "json_object_agg(n, repeat('x', #))",
        "json_object_agg(repeat('x', #), n)",
        "count(l.x) FROM (SELECT 1) AS t, LATERAL (SELECT repeat('x', #) AS x",
    ] {
        let of = |bytes: &str, rows: u32| {
            let behind = if value.contains("LATERAL") { ") AS l" } else { "" };
            format!("SELECT {} FROM generate_series(1, {rows}) AS n{behind}", value.replace('#', bytes))
        };
        let (ended, work) = run(&mut database, &of("900", 4_000));
        assert_eq!(ended, Some("57014"), "{value}: {work:?}");
        assert!(work.steps < 200_000, "{value}: {work:?}");
        assert_eq!(run(&mut database, &of("9", 40)).0, None, "{value}");
    }
}
