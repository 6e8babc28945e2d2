//! Caches in the report: who found what, and what was removed.

use schemars::JsonSchema;
use serde::Serialize;

use crate::cache::{CacheAccount, ClientCounts, StoreCounts};
use crate::model::Nanos;

use super::table::{Column, Page};
use super::words::{count, number, percent};

/// What was asked of a cache.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct CacheRow {
    pub cache: String,
    /// Commands that were sent to it.
    pub commands: u64,
    /// Those that were sent while requests were made, for each second of that time: the run's `duration_ns`.
    pub rate: f64,
    /// Of those, the ones without an answer: refused, or not answered within the cache's `timeout`.
    pub unanswered: u64,
    /// Keys that were looked up and found, and those that were not.
    pub hits: u64,
    pub misses: u64,
    /// The share of lookups that were hits; null without any.
    pub hit_ratio: Option<f64>,
    /// Lookups that have waited for an entry that another request was making: `single-flight`.
    pub waited: u64,
    /// Entries that were removed: to make room, and as their time was over.
    pub evicted: u64,
    pub expired: u64,
    /// Entries at the end, and the bytes that they take.
    pub keys: u64,
    pub bytes: u64,
}

/// The rows of caches that were asked for anything. `over` is the time of rates.
pub fn rows(accounts: Vec<CacheAccount>, over: Nanos) -> Vec<CacheRow> {
    let seconds = over as f64 / 1e9;
    let row = |CacheAccount { name, store, clients, keys, bytes }: CacheAccount| {
        let StoreCounts { hits, misses, evicted, expired } = store;
        let ClientCounts { commands, late, unanswered, waited } = clients;
        let lookups = hits + misses;
        CacheRow {
            cache: name,
            commands,
            rate: if over == 0 { 0.0 } else { (commands - late) as f64 / seconds },
            unanswered,
            hits,
            misses,
            hit_ratio: (lookups > 0).then(|| hits as f64 / lookups as f64),
            waited,
            evicted,
            expired,
            keys,
            bytes,
        }
    };
    accounts.into_iter().filter(|account| account.clients.commands > 0).map(row).collect()
}

/// A head, what it counts, and whether any row has counted it.
type Counted = (&'static str, fn(&CacheRow) -> u64);

/// Writes the table.
pub fn write(page: &mut Page<'_>, caches: &[CacheRow]) {
    if caches.is_empty() {
        return;
    }
    let mut columns: Vec<Column<'_, CacheRow>> = vec![
        ("cache", Box::new(|row| row.cache.clone())),
        ("commands", Box::new(|row| count(row.commands))),
        ("rate/s", Box::new(|row| number(row.rate))),
        ("hits", Box::new(|row| row.hit_ratio.map_or_else(|| "-".to_owned(), percent))),
        ("misses", Box::new(|row| count(row.misses))),
    ];
    let happened: [Counted; 4] = [
        ("unanswered", |row| row.unanswered),
        ("waited", |row| row.waited),
        ("evicted", |row| row.evicted),
        ("expired", |row| row.expired),
    ];
    for (head, of) in happened.into_iter().filter(|(_, of)| caches.iter().any(|row| of(row) > 0)) {
        columns.push((head, Box::new(move |row| count(of(row)))));
    }
    columns.push(("keys", Box::new(|row| count(row.keys))));
    columns.push(("bytes", Box::new(|row| count(row.bytes))));
    page.text.push('\n');
    page.table("cache", caches, |row| (row.unanswered, row.commands), 1, &columns);
}
