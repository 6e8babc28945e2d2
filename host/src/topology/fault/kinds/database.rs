//! What strikes databases: indexes, locks, the disk, connections, the server.

use super::super::super::key::{Key, Required, Usual};
use super::super::super::shapes::{By, Choice, Count};
use super::super::super::types::TEXT;
use super::LooksAt::Databases;
use super::{Declaration, Keys, Read, Stores, TIMES_AS_LONG};
use crate::model::{DatabaseFault, Effect, TableLock};

pub(super) static KINDS: [Declaration; 6] = [
    Declaration::new(Databases, "drop-index", "a migration that loses an index", &[&INDEX], drop_index),
    Declaration::new(
        Databases,
        "lock-table",
        "an ALTER TABLE, a job that keeps its transaction open",
        &[&TABLE, &MODE],
        lock_table,
    ),
    Declaration::new(Databases, "slow-disk", "a throttled volume, a backup", &[&TIMES], slow_disk)
        .by_magnitude(),
    Declaration::new(
        Databases,
        "too-many-connections",
        "clients that leak connections, a deployment beside the old one",
        &[&LEFT],
        too_many_connections,
    ),
    Declaration::new(
        Databases,
        "hold-connections",
        "code that never gives its connections back, a report that keeps them",
        &[&CONNECTIONS],
        hold_connections,
    )
    .by_magnitude(),
    Declaration::new(Databases, "failover", "a primary that is lost, and its standby", &[], |keys| {
        read(keys, DatabaseFault::Failover, String::new())
    }),
];

fn read(keys: &Keys<'_, '_>, fault: DatabaseFault, detail: String) -> Option<Read> {
    let Stores::Databases(Some(databases)) = keys.stores else { return None };
    let one_of = if databases.len() > 1 { databases.clone() } else { Vec::new() };
    Read::detailed(Effect::Database { database: *databases.first()?, one_of, fault }, detail)
}

static INDEX: Key<By<String>, Required> = Key {
    name: "index",
    of: TEXT,
    absent: Required("name the index: index = \"stock_sku_idx\""),
    says: "an index of the database's schema that is not UNIQUE",
};

fn drop_index(keys: &Keys<'_, '_>) -> Option<Read> {
    let index = keys.read(&INDEX)?;
    let (detail, place) = (format!(" {index}"), keys.get(&INDEX)?.place());
    read(keys, DatabaseFault::DropIndex { index: (index, place) }, detail)
}

static TABLE: Key<By<String>, Required> = Key {
    name: "table",
    of: TEXT,
    absent: Required("name the table: table = \"stock\""),
    says: "a table of the database's schema",
};

static MODE: Key<Choice<TableLock>, Usual> = Key {
    name: "mode",
    of: Choice {
        what: "mode",
        words: &[("access-exclusive", TableLock::AccessExclusive), ("share", TableLock::Share)],
    },
    absent: Usual("\"access-exclusive\""),
    says: "`\"access-exclusive\"`: nobody reads or writes, as during ALTER TABLE; `\"share\"`: nobody writes, as \
           during CREATE INDEX",
};

fn lock_table(keys: &Keys<'_, '_>) -> Option<Read> {
    let (table, mode) = (keys.read(&TABLE), keys.read(&MODE));
    let (table, mode) = (table?, mode?);
    let how = match mode {
        TableLock::AccessExclusive => "access-exclusive",
        TableLock::Share => "share",
    };
    let (detail, place) = (format!(" {table} ({how})"), keys.get(&TABLE)?.place());
    read(keys, DatabaseFault::LockTable { table: (table, place), mode }, detail)
}

static TIMES: Key<By<f64>, Required> = Key {
    name: "times",
    of: TIMES_AS_LONG,
    absent: Required("say how many times as long steps and commits take: times = 20"),
    says: "how many times as long the steps of statements and commits take",
};

fn slow_disk(keys: &Keys<'_, '_>) -> Option<Read> {
    let times = keys.read(&TIMES)?;
    read(keys, DatabaseFault::SlowDisk { times }, format!(" times {times}"))
}

static LEFT: Key<Count, Required> = Key {
    name: "left",
    of: Count(0, 100_000),
    absent: Required("say how many connections are left for the services: left = 2"),
    says: "connections that are left for all services together. Idle ones beyond it are closed first, busy ones when \
           their requests give them back",
};

fn too_many_connections(keys: &Keys<'_, '_>) -> Option<Read> {
    let left = keys.read(&LEFT)?;
    read(keys, DatabaseFault::TooManyConnections { left }, format!(", {left} left"))
}

static CONNECTIONS: Key<Count, Required> = Key {
    name: "connections",
    of: Count(1, 10_000),
    absent: Required("say how many connections of each pool are held: connections = 9"),
    says: "connections of each pool that requests cannot have, of as many as it has",
};

fn hold_connections(keys: &Keys<'_, '_>) -> Option<Read> {
    let connections = keys.read(&CONNECTIONS)?;
    read(keys, DatabaseFault::HoldConnections { connections }, format!(", {connections} of each pool"))
}
