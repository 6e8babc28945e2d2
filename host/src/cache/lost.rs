//! Entries that a fault has taken from a cache, which tell whom it strikes: those who look for one of them.

use std::collections::BTreeMap;
use std::rc::Rc;

use crate::model::Nanos;

/// The keys of such entries, until they are set again. In order, as those of the store are.
#[derive(Debug, Default)]
pub struct Lost {
    by_key: BTreeMap<Rc<str>, Entry>,
    /// The first that was lost first.
    by_order: BTreeMap<u64, Rc<str>>,
    next: u64,
}

#[derive(Debug)]
struct Entry {
    fault: usize,
    expires: Option<Nanos>,
    order: u64,
}

impl Lost {
    /// A fault, by its place in the model, takes the entry of this key.
    pub fn note(&mut self, fault: usize, key: Rc<str>, expires: Option<Nanos>) {
        self.forget(&key);
        let order = self.next;
        self.next += 1;
        self.by_order.insert(order, Rc::clone(&key));
        self.by_key.insert(key, Entry { fault, expires, order });
    }

    /// The fault without which there would be an entry of this key at the instant `now`.
    pub fn by(&mut self, key: &str, now: Nanos) -> Option<usize> {
        let entry = self.by_key.get(key)?;
        let fault = entry.fault;
        if entry.expires.is_some_and(|expires| expires <= now) {
            self.forget(key);
            return None;
        }
        Some(fault)
    }

    /// The entry of this key is there again, or would not be there.
    pub fn forget(&mut self, key: &str) {
        if let Some(entry) = self.by_key.remove(key) {
            self.by_order.remove(&entry.order);
        }
    }

    /// A fault is over.
    pub fn forget_fault(&mut self, fault: usize) {
        self.by_key.retain(|_, entry| entry.fault != fault);
        let by_key = &self.by_key;
        self.by_order.retain(|_, key| by_key.contains_key(key));
    }

    /// Without the fault there would be no more than `most`: the first have made room for others.
    pub fn keep(&mut self, most: u64) {
        while self.by_key.len() as u64 > most {
            let Some((_, key)) = self.by_order.pop_first() else { return };
            self.by_key.remove(&key);
        }
    }
}
