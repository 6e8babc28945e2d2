//! Databases behind services: their tables, and the statements that services have for them.

use std::fmt::Write as _;

use super::backing::between;
use super::dice::Dice;
use super::names::{GROUPS, NOUNS, VALUES};
use super::shape::{Database, Pool, Route, Service, Statements, System, Tables, Work};
use crate::error::INFALLIBLE;

/// Rows of tables: more than the numbers that requests have in place of ids.
const ROWS: [u32; 4] = [1_200, 1_500, 2_500, 4_000];

/// Rows of a history for each row of its table.
const HISTORY: u32 = 2;

/// Connections of a replica, where its requests need no more.
const CONNECTIONS: [u32; 5] = [5, 8, 10, 15, 20];

/// How long a request waits for a connection: seconds.
const WAITS: [u32; 3] = [1, 2, 5];

/// Medians of a commit: microseconds.
const COMMITS: [u32; 4] = [800, 1_000, 2_000, 4_000];

/// How many databases a second service reads from.
const SHARED: f64 = 0.25;

/// A statement with its two ways: microseconds.
const STATEMENT: u32 = 550;

/// What a statement takes of a core: microseconds, with a few rows; and for each further row.
const COMPUTING: u32 = 110;
const ROW: u32 = 2;

/// Gives services databases: `wanted`, or fewer where fewer can use one. Services that stand for a PostgreSQL
/// come first, then those between the edge and the data. What else a system has does not depend on them.
pub fn add_databases(system: &mut System, seed: u64, wanted: usize) {
    let mut dice = Dice::new(seed, "databases");
    let mut owners = candidates(system, &mut dice);
    let others = owners.split_off(wanted.min(owners.len()));
    let mut readers =
        others.into_iter().filter(|service| between(system).contains(service)).collect::<Vec<_>>();
    owners.sort_unstable();
    for owner in owners {
        let name = name(system, owner);
        let database = draw(seed, name, &system.services[owner]);
        let number = system.databases.len();
        ask(&mut system.services[owner], seed, number, &database);
        if let Some(reader) = readers.pop().filter(|_| dice.chance(SHARED)) {
            read(&mut system.services[reader], seed, number, &database);
        }
        system.databases.push(database);
    }
}

/// The services that can use a database, the likeliest first.
fn candidates(system: &System, dice: &mut Dice) -> Vec<usize> {
    let is_postgresql = |service: &usize| system.services[*service].database == Some("postgresql");
    let mut data: Vec<usize> = (0..system.services.len()).filter(is_postgresql).collect();
    let mut inner: Vec<usize> = between(system).collect();
    dice.shuffle(&mut data);
    dice.shuffle(&mut inner);
    data.extend(inner);
    data
}

/// `orders`, or `order-db-data` after its service where a database or a service has that name: graphs tell
/// services and databases apart by their names.
fn name(system: &System, owner: usize) -> String {
    let Service { name, things, .. } = &system.services[owner];
    let is_taken = system.databases.iter().any(|database| database.name == *things)
        || system.services.iter().any(|service| service.name == *things);
    if is_taken { format!("{name}-data") } else { (*things).to_owned() }
}

fn draw(seed: u64, name: String, owner: &Service) -> Database {
    let mut dice = Dice::new(seed, &format!("database {name}"));
    let things = owner.things;
    let noun = NOUNS.iter().find(|(_, several)| *several == things).map_or(things, |(one, _)| *one);
    let groups: Vec<&str> = GROUPS.into_iter().filter(|group| *group != noun).collect();
    let rows = dice.one_of(&ROWS);
    let tables = Tables {
        noun,
        things,
        rows,
        group: dice.one_of(&groups),
        groups: rows / dice.one_of(&[10, 20, 40]),
        value: dice.one_of(&VALUES),
        has_history: dice.chance(0.5),
    };
    let commit = Work { median: dice.one_of(&COMMITS), sigma: dice.one_of(&[30, 40, 50]) };
    Database { name, tables, commit, cores: dice.one_of(&[2, 4, 8]), connections: 0 }
}

/// Lets every route of a service have statements for its own database.
fn ask(service: &mut Service, seed: u64, number: usize, database: &Database) {
    let mut dice = connected(service, seed, number);
    // Its spans were those of a database that it stood for.
    service.database = None;
    for route in &mut service.routes {
        route.statements = Some(statements(route, "{id}", database, &mut dice));
    }
}

/// Lets those routes of a service that only read have statements for the database of another one: any of
/// its rows.
fn read(service: &mut Service, seed: u64, number: usize, database: &Database) {
    let mut dice = connected(service, seed, number);
    let any = format!("{{1..{}}}", database.tables.rows);
    let reads = |route: &&mut Route| route.verb.only_reads && route.consumes.is_none();
    for route in service.routes.iter_mut().filter(reads) {
        route.statements = Some(statements(route, &any, database, &mut dice));
    }
}

/// Gives a service connections. Gives the chance of its statements.
fn connected(service: &mut Service, seed: u64, database: usize) -> Dice {
    let mut dice = Dice::new(seed, &format!("statements of {}", service.name));
    service.pool = Some(Pool { database, max: dice.one_of(&CONNECTIONS), wait: dice.one_of(&WAITS) });
    dice
}

/// What a route asks, by what it is for. `id` stands for the id of a row.
fn statements(route: &Route, id: &str, database: &Database, dice: &mut Dice) -> Statements {
    let Tables { noun, things, rows, group, groups, value, has_history } = &database.tables;
    let history = |id: &str| format!("INSERT INTO {noun}_history ({noun}_id, step) VALUES ({id}, {{1..5}})");
    let some = dice.one_of(&[10, 20, 50]);
    let of_group = rows / groups;
    let (texts, read): (Vec<String>, u32) = match (route.consumes, route.verb.key) {
        (Some(_), _) if *has_history => (vec![history("{key}")], 0),
        (Some(_), _) => (vec![format!("UPDATE {things} SET {value} = {value} + 1 WHERE id = {{key}}")], 0),
        (_, "show") => {
            let one = format!("SELECT {group}, {value} FROM {things} WHERE id = {id}");
            let steps =
                format!("SELECT step, made_at FROM {noun}_history WHERE {noun}_id = {id} ORDER BY id");
            let joined = format!(
                "SELECT one.{value}, max(past.step) FROM {things} one JOIN {noun}_history past ON past.{noun}_id = \
                 one.id WHERE one.id = {id} GROUP BY one.{value}"
            );
            match dice.below(if *has_history { 3 } else { 1 }) {
                0 => (vec![one], 0),
                1 => (vec![one, steps], HISTORY),
                _ => (vec![joined], HISTORY),
            }
        }
        (_, "list") => match dice.below(3) {
            0 => {
                let from = rows - some;
                let page = format!(
                    "SELECT id, {value} FROM {things} WHERE id > {{0..{from}}} ORDER BY id LIMIT {some}"
                );
                (vec![page], some)
            }
            1 => {
                let of_one = format!(
                    "SELECT id, {value} FROM {things} WHERE {group} = {{1..{groups}}} ORDER BY id DESC LIMIT {some}"
                );
                (vec![of_one], of_group)
            }
            _ => {
                let sums =
                    format!("SELECT count(*), sum({value}) FROM {things} WHERE {group} = {{1..{groups}}}");
                (vec![sums], of_group)
            }
        },
        (_, "add") => {
            let one = format!("INSERT INTO {things} ({group}, {value}) VALUES ({{1..{groups}}}, {{5..250}})");
            let counted = format!("SELECT count(*) FROM {things} WHERE {group} = {{1..{groups}}}");
            if dice.chance(0.5) { (vec![counted, one], of_group) } else { (vec![one], 0) }
        }
        (_, "change") => {
            let locked = format!("SELECT {value} FROM {things} WHERE id = {id} FOR UPDATE");
            let one = format!("UPDATE {things} SET {value} = {{5..250}} WHERE id = {id}");
            if *has_history { (vec![locked, one, history(id)], 0) } else { (vec![one], 0) }
        }
        _ => (vec![format!("DELETE FROM {things} WHERE id = {id}")], 0),
    };
    let is_transaction = texts.len() > 1 && !route.verb.only_reads;
    // Beginning and ending a transaction are statements, too.
    let count = texts.len() as u32 + 2 * u32::from(is_transaction);
    let is_write = !route.verb.only_reads || route.consumes.is_some();
    let commit = if is_write { database.commit.median } else { 0 };
    Statements {
        is_transaction,
        count,
        micros: count * STATEMENT + read * ROW + commit,
        computing: count * COMPUTING + read * ROW,
        texts,
    }
}

/// The SQL that makes the tables and their rows.
pub fn sql(tables: &Tables) -> String {
    let Tables { noun, things, rows, group, groups, value, has_history } = tables;
    let mut text = format!(
        "CREATE TABLE {things} (\n  id SERIAL PRIMARY KEY,\n  {group} INTEGER NOT NULL,\n  {value} INTEGER NOT NULL,\n  \
         changed_at TIMESTAMPTZ NOT NULL DEFAULT now()\n);\n\
         CREATE INDEX {things}_{group}_idx ON {things} ({group});\n\
         INSERT INTO {things} ({group}, {value})\n\
         SELECT 1 + floor(random() * {groups})::int, 5 + floor(random() * 246)::int FROM generate_series(1, {rows});\n"
    );
    if *has_history {
        let all = rows * HISTORY;
        write!(
            text,
            "CREATE TABLE {noun}_history (\n  id BIGSERIAL PRIMARY KEY,\n  {noun}_id INTEGER NOT NULL,\n  \
             step INTEGER NOT NULL,\n  made_at TIMESTAMPTZ NOT NULL DEFAULT now()\n);\n\
             CREATE INDEX {noun}_history_{noun}_idx ON {noun}_history ({noun}_id);\n\
             INSERT INTO {noun}_history ({noun}_id, step)\n\
             SELECT 1 + floor(random() * {rows})::int, 1 + floor(random() * 5)::int FROM generate_series(1, {all});\n"
        )
        .expect(INFALLIBLE);
    }
    text
}
