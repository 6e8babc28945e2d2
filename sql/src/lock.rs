//! Locks of rows, keys and tables, and who waits for whom.
//!
//! Modes and conflicts are those of PostgreSQL 17, section 13.3 "Explicit Locking".

use std::collections::BTreeMap;

use rustc_hash::FxHashMap;

/// An open transaction. Numbers are never used twice in a database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Transaction(pub(crate) u64);

/// How strongly a row is locked: FOR KEY SHARE, FOR SHARE, FOR NO KEY UPDATE, FOR UPDATE.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Strength {
    KeyShare,
    Share,
    NoKeyUpdate,
    Update,
}

impl Strength {
    pub(crate) fn conflicts(self, other: Self) -> bool {
        use Strength::*;
        match self {
            KeyShare => other == Update,
            Share => matches!(other, NoKeyUpdate | Update),
            NoKeyUpdate => other != KeyShare,
            Update => true,
        }
    }

    pub(crate) fn of(number: i64) -> Self {
        [Self::KeyShare, Self::Share, Self::NoKeyUpdate][..]
            .get(number as usize)
            .copied()
            .unwrap_or(Self::Update)
    }
}

/// How a table is locked; each statement takes one of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TableMode {
    AccessShare,
    RowShare,
    RowExclusive,
    ShareUpdateExclusive,
    Share,
    ShareRowExclusive,
    Exclusive,
    AccessExclusive,
}

impl TableMode {
    /// Table 13.2: the modes that cannot be held together.
    pub(crate) fn conflicts(self, other: Self) -> bool {
        use TableMode::*;
        match self {
            AccessShare => other == AccessExclusive,
            RowShare => other >= Exclusive,
            RowExclusive => other >= Share,
            ShareUpdateExclusive => other >= ShareUpdateExclusive,
            Share => other >= RowExclusive && other != Share,
            ShareRowExclusive => other >= RowExclusive,
            Exclusive => other >= RowShare,
            AccessExclusive => true,
        }
    }
}

/// A row: the number of its table, and its rowid.
pub(crate) type Row = (u32, i64);

/// An entry of a unique index: the index and the values, as bytes.
pub(crate) type Key = Vec<u8>;

/// What a transaction held at a savepoint.
#[derive(Clone, Debug)]
pub(crate) struct Mark {
    rows: usize,
    keys: usize,
    freed: usize,
    tables: Vec<(u32, TableMode)>,
}

/// Whatever the open transactions of a database hold and wait for.
#[derive(Debug, Default)]
pub(crate) struct Locks {
    rows: FxHashMap<Row, Vec<(Transaction, Strength)>>,
    keys: FxHashMap<Key, Transaction>,
    tables: Vec<(u32, Transaction, TableMode)>,
    /// Who waits for a table, in the order of arrival: those behind must not overtake them.
    queue: Vec<(u32, Transaction, TableMode)>,
    held: BTreeMap<Transaction, Held>,
    waits: BTreeMap<Transaction, Vec<Transaction>>,
    /// Locks of rows and keys, over all transactions.
    count: usize,
}

#[derive(Debug, Default)]
struct Held {
    rows: Vec<Row>,
    keys: Vec<Key>,
    /// Tables in which it has freed entries of unique indexes.
    freed: Vec<u32>,
}

impl Locks {
    /// Locks of rows and keys.
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// Whether a transaction other than `mine` holds a lock of a row or a key.
    pub(crate) fn held_by_others(&self, mine: Option<Transaction>) -> bool {
        let mine =
            mine.and_then(|mine| self.held.get(&mine)).map_or(0, |held| held.rows.len() + held.keys.len());
        self.count > mine
    }

    /// Those that keep `mine` from locking `row`.
    pub(crate) fn row_holders(
        &self,
        mine: Option<Transaction>,
        row: Row,
        strength: Strength,
    ) -> impl Iterator<Item = Transaction> {
        let holders = self.rows.get(&row).map(Vec::as_slice).unwrap_or_default();
        let in_the_way = move |(holder, held): &&(Transaction, Strength)| {
            Some(*holder) != mine && strength.conflicts(*held)
        };
        holders.iter().filter(in_the_way).map(|(holder, _)| *holder)
    }

    pub(crate) fn key_holder(&self, mine: Option<Transaction>, key: &Key) -> Option<Transaction> {
        self.keys.get(key).copied().filter(|holder| Some(*holder) != mine)
    }

    pub(crate) fn lock_row(&mut self, mine: Transaction, row: Row, strength: Strength) {
        let holders = self.rows.entry(row).or_default();
        match holders.iter_mut().find(|(holder, _)| *holder == mine) {
            Some((_, held)) => *held = (*held).max(strength),
            None => {
                holders.push((mine, strength));
                self.held.entry(mine).or_default().rows.push(row);
                self.count += 1;
            }
        }
    }

    pub(crate) fn lock_key(&mut self, mine: Transaction, key: Key) {
        if self.keys.insert(key.clone(), mine).is_none() {
            self.held.entry(mine).or_default().keys.push(key);
            self.count += 1;
        }
    }

    /// Notes that `mine` has removed or changed entries of unique indexes of a table.
    pub(crate) fn free_keys(&mut self, mine: Transaction, table: u32) {
        let freed = &mut self.held.entry(mine).or_default().freed;
        if !freed.contains(&table) {
            freed.push(table);
        }
    }

    /// The others that have freed keys of a table, which are taken until they end.
    pub(crate) fn freed_by_others(&self, mine: Option<Transaction>, table: u32) -> Vec<Transaction> {
        let others =
            self.held.iter().filter(|(holder, held)| Some(**holder) != mine && held.freed.contains(&table));
        others.map(|(holder, _)| *holder).collect()
    }

    /// Those that keep `mine` from locking a table: who holds it, and who came before and waits.
    pub(crate) fn table_holders(
        &self,
        mine: Option<Transaction>,
        table: u32,
        mode: TableMode,
    ) -> Vec<Transaction> {
        if self.tables.is_empty() && self.queue.is_empty() {
            return Vec::new();
        }
        if let Some(mine) = mine
            && self.tables.iter().any(|(at, holder, held)| *at == table && *holder == mine && *held >= mode)
        {
            return Vec::new();
        }
        // Who waits for `mine` itself comes behind it, as otherwise each would wait for the other.
        let waits_for_mine = |wanted: TableMode| {
            let mut own = self.tables.iter().filter(|(at, holder, _)| *at == table && Some(*holder) == mine);
            own.any(|(_, _, held)| held.conflicts(wanted))
        };
        let before = self.queue.iter().take_while(|(_, waiter, _)| Some(*waiter) != mine);
        let before = before.filter(|(_, _, wanted)| !waits_for_mine(*wanted));
        let mut holders: Vec<Transaction> = self
            .tables
            .iter()
            .chain(before)
            .filter(|(at, holder, held)| *at == table && Some(*holder) != mine && mode.conflicts(*held))
            .map(|(_, holder, _)| *holder)
            .collect();
        holders.sort_unstable();
        holders.dedup();
        holders
    }

    pub(crate) fn lock_table(&mut self, mine: Transaction, table: u32, mode: TableMode) {
        self.queue.retain(|(at, waiter, _)| !(*at == table && *waiter == mine));
        let known = self.tables.iter_mut().find(|(at, holder, held)| {
            // Modes of one transaction do not conflict; two that none covers are kept both.
            *at == table && *holder == mine && (*held >= mode || covers(mode, *held))
        });
        match known {
            Some((_, _, held)) => *held = (*held).max(mode),
            None => self.tables.push((table, mine, mode)),
        }
    }

    /// `mine` waits for a table, behind those that wait already.
    pub(crate) fn queue_for(&mut self, mine: Transaction, table: u32, mode: TableMode) {
        if !self.queue.iter().any(|(at, waiter, _)| *at == table && *waiter == mine) {
            self.queue.push((table, mine, mode));
        }
    }

    pub(crate) fn wait(&mut self, mine: Transaction, by: Vec<Transaction>) {
        self.waits.insert(mine, by);
    }

    pub(crate) fn wait_no_more(&mut self, mine: Transaction) {
        self.waits.remove(&mine);
    }

    /// `mine` waits for nothing any more, and has no place in a queue.
    fn give_up(&mut self, mine: Transaction) {
        self.waits.remove(&mine);
        self.queue.retain(|(_, waiter, _)| *waiter != mine);
    }

    /// The transactions of a circle of waiting in which `mine` is, beginning with it.
    pub(crate) fn circle(&self, mine: Transaction) -> Option<Vec<Transaction>> {
        let mut path = vec![mine];
        let mut seen = Vec::new();
        self.leads_back(mine, mine, &mut path, &mut seen).then_some(path)
    }

    fn leads_back(
        &self,
        from: Transaction,
        mine: Transaction,
        path: &mut Vec<Transaction>,
        seen: &mut Vec<Transaction>,
    ) -> bool {
        for next in self.waits.get(&from).into_iter().flatten() {
            if *next == mine {
                return true;
            }
            if seen.contains(next) {
                continue;
            }
            seen.push(*next);
            path.push(*next);
            if self.leads_back(*next, mine, path, seen) {
                return true;
            }
            path.pop();
        }
        false
    }

    /// What a transaction holds now.
    pub(crate) fn mark(&self, mine: Transaction) -> Mark {
        let (rows, keys, freed) = match self.held.get(&mine) {
            Some(held) => (held.rows.len(), held.keys.len(), held.freed.len()),
            None => (0, 0, 0),
        };
        let own = self.tables.iter().filter(|(_, holder, _)| *holder == mine);
        Mark { rows, keys, freed, tables: own.map(|(table, _, mode)| (*table, *mode)).collect() }
    }

    /// Releases what a transaction holds beyond `mark`, and all that it waits for. A lock of a row that was
    /// made stronger since stays so.
    pub(crate) fn release_since(&mut self, mine: Transaction, mark: &Mark) {
        self.give_up(mine);
        self.tables.retain(|(_, holder, _)| *holder != mine);
        self.tables.extend(mark.tables.iter().map(|(table, mode)| (*table, mine, *mode)));
        let Some(held) = self.held.get_mut(&mine) else { return };
        held.freed.truncate(mark.freed);
        let rows = held.rows.split_off(mark.rows.min(held.rows.len()));
        let keys = held.keys.split_off(mark.keys.min(held.keys.len()));
        self.unlock(mine, rows, keys);
    }

    /// Releases all that a transaction holds and waits for.
    pub(crate) fn release(&mut self, mine: Transaction) {
        self.give_up(mine);
        self.tables.retain(|(_, holder, _)| *holder != mine);
        let Some(held) = self.held.remove(&mine) else { return };
        self.unlock(mine, held.rows, held.keys);
    }

    fn unlock(&mut self, mine: Transaction, rows: Vec<Row>, keys: Vec<Key>) {
        self.count -= rows.len() + keys.len();
        for row in rows {
            if let Some(holders) = self.rows.get_mut(&row) {
                holders.retain(|(holder, _)| *holder != mine);
                if holders.is_empty() {
                    self.rows.remove(&row);
                }
            }
        }
        for key in keys {
            self.keys.remove(&key);
        }
    }
}

/// Whether whatever conflicts with `held` conflicts with `mode` too.
fn covers(mode: TableMode, held: TableMode) -> bool {
    use TableMode::*;
    let all = [
        AccessShare,
        RowShare,
        RowExclusive,
        ShareUpdateExclusive,
        Share,
        ShareRowExclusive,
        Exclusive,
        AccessExclusive,
    ];
    all.into_iter().all(|other| !held.conflicts(other) || mode.conflicts(other))
}
