//! `bulkhead`: bounds the attempts that are under way.

use schemars::JsonSchema;
use serde::Serialize;

use super::super::key::{Key, Optional, Required, Usual};
use super::super::reader::Table;
use super::super::section::{Section, Sub};
use super::super::shapes::Count;
use super::COUNT_AT_MOST;
use crate::model::Bulkhead;

pub(super) static BULKHEAD: Key<Sub, Optional> = Key {
    name: "bulkhead",
    of: Sub(&Section {
        name: "bulkhead",
        says: "bounds the attempts that are under way",
        keys: &[&MAX_CONCURRENT, &BULKHEAD_QUEUE],
        rules: &[],
    }),
    absent: Optional("none"),
    says: "bounds the attempts that are under way: see [`bulkhead`](policies.md#bulkhead)",
};

static MAX_CONCURRENT: Key<Count, Required> = Key {
    name: "max-concurrent",
    of: Count(1, COUNT_AT_MOST),
    absent: Required("say how many may be under way at a time: max-concurrent = 10"),
    says: "attempts that may be under way",
};

static BULKHEAD_QUEUE: Key<Count, Usual> = Key {
    name: "queue",
    of: Count(0, COUNT_AT_MOST),
    absent: Usual("0"),
    says: "attempts that may wait for their turn",
};

pub(super) fn bulkhead(table: &Table<'_>) -> Option<Bulkhead> {
    let (max_concurrent, queue) = (MAX_CONCURRENT.read(table), BULKHEAD_QUEUE.read(table));
    Some(Bulkhead { max_concurrent: max_concurrent?, queue: queue? })
}

/// A bulkhead, as `simhost check` puts it.
pub(super) fn line(bulkhead: &Bulkhead) -> String {
    let Bulkhead { max_concurrent, queue } = bulkhead;
    let waiting = if *queue == 0 { String::new() } else { format!(", {queue} more wait") };
    format!("bulkhead: {max_concurrent} at a time{waiting}")
}

/// How many attempts may be under way at a time.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct BulkheadRow {
    pub max_concurrent: u32,
    pub queue: u32,
}

impl From<&Bulkhead> for BulkheadRow {
    fn from(bulkhead: &Bulkhead) -> Self {
        let Bulkhead { max_concurrent, queue } = *bulkhead;
        Self { max_concurrent, queue }
    }
}
