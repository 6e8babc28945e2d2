//! Entries by key: bounded in number and bytes, each with its time to live.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use crate::model::Nanos;

use super::lost::Lost;

/// Bytes of a key. The WIT has the number.
pub const KEY_AT_MOST: usize = 1 << 10;

/// Bytes of a value. The WIT has the number.
pub const VALUE_AT_MOST: usize = 1 << 20;

/// Bytes of an entry besides its key and its value. The reference has the number.
pub const ENTRY: u64 = 96;

/// Why something was not done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The entry alone takes more than the cache has: bytes that it takes.
    TooLarge(u64),
    /// The value is no whole number of 64 bits, or would not be one.
    NotANumber,
}

/// What a cache keeps. Keys are ordered, not hashed: guests choose them, and none is slow to find.
#[derive(Debug)]
pub struct Store {
    memory: u64,
    most: u64,
    entries: BTreeMap<Rc<str>, Entry>,
    /// The least recently used first.
    by_use: BTreeMap<u64, Rc<str>>,
    by_expiry: BTreeSet<(Nanos, Rc<str>)>,
    /// How often an entry was used so far.
    uses: u64,
    /// Bytes that all entries take.
    bytes: u64,
    counts: StoreCounts,
    /// What a fault leaves of the bounds.
    bounds: Option<Bounds>,
    lost: Lost,
}

/// What a fault leaves of a cache's bounds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bounds {
    /// This share of them.
    pub share: f64,
    /// The fault, by its place in the model.
    pub fault: usize,
}

/// What became of entries and of lookups of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StoreCounts {
    /// Lookups that have found an entry, and those that have not.
    pub hits: u64,
    pub misses: u64,
    /// Entries that were removed to make room, and as their time was over.
    pub evicted: u64,
    pub expired: u64,
}

#[derive(Debug)]
struct Entry {
    value: Rc<[u8]>,
    expires: Option<Nanos>,
    /// When it was used last, in the order of uses.
    used: u64,
}

impl Store {
    /// Without entries, of which there may be so much `memory` in bytes, and `most`.
    pub fn new(memory: u64, most: u64) -> Self {
        Self {
            memory,
            most,
            entries: BTreeMap::new(),
            by_use: BTreeMap::new(),
            by_expiry: BTreeSet::new(),
            uses: 0,
            bytes: 0,
            counts: StoreCounts::default(),
            bounds: None,
            lost: Lost::default(),
        }
    }

    /// How many entries there are, and the bytes that they take.
    pub fn size(&self) -> (u64, u64) {
        (self.entries.len() as u64, self.bytes)
    }

    /// What was counted so far.
    pub const fn counts(&self) -> StoreCounts {
        self.counts
    }

    /// The value of a key at the instant `now`. It is counted as a hit or a miss.
    pub fn get(&mut self, key: &str, now: Nanos) -> Option<Rc<[u8]>> {
        let value = self.find(key, now);
        match value {
            Some(_) => self.counts.hits += 1,
            None => self.counts.misses += 1,
        }
        value
    }

    fn find(&mut self, key: &str, now: Nanos) -> Option<Rc<[u8]>> {
        self.expire(now);
        let entry = self.entries.get_mut(key)?;
        self.uses += 1;
        let used = std::mem::replace(&mut entry.used, self.uses);
        let key = self.by_use.remove(&used).expect("each entry has its place among the uses");
        self.by_use.insert(self.uses, key);
        Some(Rc::clone(&entry.value))
    }

    /// Sets the value of a key, until the instant `expires`. Others are evicted if it needs their place.
    ///
    /// # Errors
    /// It takes more than the cache has.
    pub fn set(
        &mut self,
        key: &str,
        value: Rc<[u8]>,
        expires: Option<Nanos>,
        now: Nanos,
    ) -> Result<(), Refused> {
        let bytes = weight(key, &value);
        if bytes > self.memory {
            return Err(Refused::TooLarge(bytes));
        }
        self.delete(key, now);
        self.make_room(bytes, 1);
        let key: Rc<str> = key.into();
        self.uses += 1;
        self.bytes += bytes;
        self.by_use.insert(self.uses, Rc::clone(&key));
        self.by_expiry.extend(expires.map(|expires| (expires, Rc::clone(&key))));
        self.entries.insert(key, Entry { value, expires, used: self.uses });
        Ok(())
    }

    /// Evicts entries until one more of so many bytes has room.
    fn make_room(&mut self, bytes: u64, more: u64) {
        let share = |of: u64| match self.bounds {
            Some(Bounds { share, .. }) => (of as f64 * share) as u64,
            None => of,
        };
        let (most, memory) = (share(self.most).max(1), share(self.memory));
        while self.entries.len() as u64 + more > most || self.bytes + bytes > memory {
            let Some((_, oldest)) = self.by_use.pop_first() else { break };
            let expires = self.entries.get(&oldest).and_then(|entry| entry.expires);
            self.remove(&oldest);
            self.counts.evicted += 1;
            if let Some(Bounds { fault, .. }) = self.bounds {
                self.lost.note(fault, oldest, expires);
            }
        }
        if self.bounds.is_some() {
            self.lost.keep(self.most.saturating_sub(self.entries.len() as u64 + more));
        }
    }

    /// From the instant `now` on a fault leaves this of the bounds, or all of them.
    pub fn bound(&mut self, bounds: Option<Bounds>, now: Nanos) {
        if self.bounds != bounds {
            self.expire(now);
            self.bounds = bounds;
            self.make_room(0, 0);
        }
    }

    /// A fault, by its place in the model, takes all entries. That is no eviction.
    pub fn flush(&mut self, fault: usize, now: Nanos) {
        self.expire(now);
        let keys: Vec<_> = std::mem::take(&mut self.by_use).into_values().collect();
        for key in keys {
            let expires = self.entries.get(&key).and_then(|entry| entry.expires);
            self.remove(&key);
            self.lost.note(fault, key, expires);
        }
    }

    /// The fault without which there would be an entry of this key.
    pub fn lost_by(&mut self, key: &str, now: Nanos) -> Option<usize> {
        self.lost.by(key, now)
    }

    /// A fault is over.
    pub fn forget_fault(&mut self, fault: usize) {
        self.lost.forget_fault(fault);
    }

    /// Removes an entry; whether there was one at the instant `now`.
    pub fn delete(&mut self, key: &str, now: Nanos) -> bool {
        self.expire(now);
        self.lost.forget(key);
        self.remove(key)
    }

    /// Adds `by` to the number under a key, which is 0 if there is none. When it expires stays the same.
    ///
    /// # Errors
    /// There is no number, or the sum would be none of 64 bits; or the entry takes more than the cache has.
    pub fn increment(&mut self, key: &str, by: i64, now: Nanos) -> Result<i64, Refused> {
        let before = self.find(key, now);
        let number = before.map_or(Some(0), |value| number(&value));
        let sum = number.and_then(|number| number.checked_add(by)).ok_or(Refused::NotANumber)?;
        let expires = self.entries.get(key).and_then(|entry| entry.expires);
        self.set(key, sum.to_string().into_bytes().into(), expires, now)?;
        Ok(sum)
    }

    /// Removes what has expired by the instant `now`.
    pub fn expire(&mut self, now: Nanos) {
        while let Some((expires, _)) = self.by_expiry.first()
            && *expires <= now
        {
            let Some((_, key)) = self.by_expiry.pop_first() else { break };
            self.remove(&key);
            self.counts.expired += 1;
        }
    }

    fn remove(&mut self, key: &str) -> bool {
        let Some((key, entry)) = self.entries.remove_entry(key) else { return false };
        self.bytes -= weight(&key, &entry.value);
        self.by_use.remove(&entry.used);
        if let Some(expires) = entry.expires {
            self.by_expiry.remove(&(expires, key));
        }
        true
    }
}

fn weight(key: &str, value: &[u8]) -> u64 {
    (key.len() + value.len()) as u64 + ENTRY
}

/// The number that a value is, written as Redis writes numbers: no sign but `-`, no zero in front.
fn number(value: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(value).ok()?;
    let number: i64 = text.parse().ok()?;
    (number.to_string() == text).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOMY: u64 = 1 << 20;

    fn set(store: &mut Store, key: &str, value: &str, expires: Option<Nanos>, now: Nanos) {
        store.set(key, value.as_bytes().into(), expires, now).unwrap();
    }

    fn get(store: &mut Store, key: &str, now: Nanos) -> Option<String> {
        store.get(key, now).map(|value| String::from_utf8(value.to_vec()).unwrap())
    }

    /// All keys, in their order; what is counted agrees with what there is.
    fn keys(store: &Store) -> Vec<&str> {
        let bytes = store.entries.iter().map(|(key, entry)| weight(key, &entry.value)).sum::<u64>();
        let expiring = store.entries.values().filter(|entry| entry.expires.is_some()).count();
        assert_eq!((store.bytes, store.by_use.len()), (bytes, store.entries.len()));
        assert_eq!(store.by_expiry.len(), expiring);
        store.entries.keys().map(|key| &**key).collect()
    }

    #[test]
    fn what_was_used_least_recently_makes_room() {
        let mut store = Store::new(ROOMY, 3);
        for key in ["a", "b", "c"] {
            set(&mut store, key, "1", None, 0);
        }
        assert_eq!(get(&mut store, "a", 0).as_deref(), Some("1"));
        set(&mut store, "b", "2", None, 0);
        set(&mut store, "d", "1", None, 0);
        assert_eq!(keys(&store), ["a", "b", "d"]);
        set(&mut store, "e", "1", None, 0);
        assert_eq!(keys(&store), ["b", "d", "e"]);
        assert_eq!(get(&mut store, "a", 0), None);
    }

    #[test]
    fn bytes_are_bounded_as_entries_are() {
        // Two entries of a key of one byte and a value of three.
        let mut store = Store::new(2 * (ENTRY + 4), 100);
        for key in ["a", "b", "c"] {
            set(&mut store, key, "123", None, 0);
        }
        assert_eq!(keys(&store), ["b", "c"]);
        // A larger one needs the place of both; that it replaces one of them makes no difference.
        set(&mut store, "b", &"x".repeat(100), None, 0);
        assert_eq!(keys(&store), ["b"]);
        let refused = store.set("b", vec![0; 200].into(), None, 0);
        assert_eq!(refused, Err(Refused::TooLarge(ENTRY + 201)));
        assert_eq!(keys(&store), ["b"], "what is refused changes nothing");
    }

    #[test]
    fn an_entry_expires_at_its_instant_and_not_before() {
        let mut store = Store::new(ROOMY, 3);
        set(&mut store, "a", "1", Some(100), 0);
        set(&mut store, "b", "1", Some(50), 0);
        assert_eq!(get(&mut store, "b", 49).as_deref(), Some("1"));
        assert_eq!((get(&mut store, "b", 50), store.delete("b", 50)), (None, false));
        // To set it anew says anew when it expires.
        set(&mut store, "a", "2", None, 99);
        assert_eq!(get(&mut store, "a", 1_000).as_deref(), Some("2"));
        set(&mut store, "a", "3", Some(2_000), 1_000);
        assert!(store.delete("a", 1_999) && keys(&store).is_empty());
        // What has expired takes no other's place.
        set(&mut store, "old", "1", Some(3_000), 2_000);
        for key in ["x", "y", "z"] {
            set(&mut store, key, "1", None, 3_000);
        }
        assert_eq!(keys(&store), ["x", "y", "z"]);
    }

    #[test]
    fn a_number_is_counted_up_and_keeps_its_time() {
        let mut store = Store::new(ROOMY, 3);
        assert_eq!(store.increment("n", 5, 0), Ok(5));
        assert_eq!(store.increment("n", -7, 0), Ok(-2));
        assert_eq!(get(&mut store, "n", 0).as_deref(), Some("-2"));
        set(&mut store, "m", "41", Some(100), 0);
        assert_eq!((store.increment("m", 1, 99), store.increment("m", 1, 100)), (Ok(42), Ok(1)));
        for text in ["", "x", "1.5", "+1", "01", " 1", "-0", "9223372036854775808"] {
            set(&mut store, "t", text, None, 0);
            assert_eq!(store.increment("t", 1, 0), Err(Refused::NotANumber), "{text:?}");
            assert_eq!(get(&mut store, "t", 0).as_deref(), Some(text));
        }
        set(&mut store, "t", "9223372036854775807", None, 0);
        assert_eq!(store.increment("t", 1, 0), Err(Refused::NotANumber));
    }
}
