//! What faults do to a cache while their windows are open, and whom they strike by it.

use std::fmt;

use smallvec::SmallVec;

use crate::model::{CacheFault, Distribution, Nanos};
use crate::rng::Key;

use super::{Bounds, Cache};

/// A fault whose window is open.
pub trait ActiveFault {
    /// Whether it strikes a command whose draws have this key, by its probability at an instant; then the
    /// key of what it draws for it.
    fn strikes(&self, command: Key, now: Nanos) -> Option<Key>;

    /// How far it has grown in at an instant, from 0 to 1.
    fn strength(&self, now: Nanos) -> f64;
}

/// A fault that has the cache, by its place in the model.
pub struct Trouble {
    fault: usize,
    active: Box<dyn ActiveFault>,
    what: What,
}

impl fmt::Debug for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trouble")
            .field("fault", &self.fault)
            .field("what", &self.what)
            .finish_non_exhaustive()
    }
}

/// What it does.
#[derive(Debug)]
enum What {
    /// It has taken all entries.
    Flushed,
    /// It leaves this share of the bounds.
    Shrunk(f64),
    Late(Distribution),
    Refusing,
    Swallowing,
}

/// Faults that have struck a command, by their places in the model: how much longer it takes by them.
pub type Struck = SmallVec<[(usize, Option<Nanos>); 1]>;

/// How a command fares on its way.
#[derive(Debug, Default)]
pub struct Fate {
    pub way: Way,
    pub struck: Struck,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Way {
    /// It arrives this much later.
    Later(Nanos),
    /// It arrives in its time.
    #[default]
    InTime,
    /// Nobody listens.
    Refused,
    /// It vanishes.
    Swallowed,
}

impl Cache {
    /// A fault, by its place in the model, begins at the instant `now`.
    pub fn begin_fault(&self, fault: usize, effect: &CacheFault, active: Box<dyn ActiveFault>, now: Nanos) {
        let what = match effect {
            CacheFault::Flush => {
                self.store.borrow_mut().flush(fault, now);
                What::Flushed
            }
            CacheFault::Shrink { left } => What::Shrunk(*left),
            CacheFault::Latency { delay } => What::Late(delay.clone()),
            CacheFault::Refuse => What::Refusing,
            CacheFault::Blackhole => What::Swallowing,
        };
        self.troubles.borrow_mut().push(Trouble { fault, active, what });
        self.settle(now);
    }

    /// It is over: what it has taken is not its doing any more.
    pub fn end_fault(&self, fault: usize, now: Nanos) {
        self.troubles.borrow_mut().retain(|trouble| trouble.fault != fault);
        self.store.borrow_mut().forget_fault(fault);
        self.settle(now);
    }

    /// Takes the bounds that hold at the instant `now`: evicts what is beyond them.
    pub fn settle(&self, now: Nanos) {
        let mut bounds: Option<Bounds> = None;
        for trouble in self.troubles.borrow().iter() {
            let What::Shrunk(left) = trouble.what else { continue };
            let share = 1.0 - (1.0 - left) * trouble.active.strength(now);
            let before = bounds.map_or(1.0, |bounds| bounds.share);
            bounds = Some(Bounds { share: before * share, fault: trouble.fault });
        }
        self.store.borrow_mut().bound(bounds, now);
    }

    /// How a command fares that is about to arrive, whose draws have this key.
    pub fn befall(&self, command: Key, now: Nanos) -> Fate {
        let mut fate = Fate::default();
        for Trouble { fault, active, what } in self.troubles.borrow().iter() {
            if matches!(what, What::Flushed | What::Shrunk(_)) {
                continue;
            }
            let Some(key) = active.strikes(command, now) else { continue };
            match what {
                What::Late(delay) => {
                    let longer = (delay.sample(&mut key.stream()) as f64 * active.strength(now)) as Nanos;
                    let before = if let Way::Later(before) = fate.way { before } else { 0 };
                    fate.way = Way::Later(before.saturating_add(longer));
                    fate.struck.push((*fault, Some(longer)));
                    continue;
                }
                What::Refusing => fate.way = Way::Refused,
                _ => fate.way = Way::Swallowed,
            }
            fate.struck.push((*fault, None));
            break;
        }
        fate
    }

    /// Faults without which there would be an entry of one of these keys that there is not.
    pub fn taken(&self, keys: &[String], now: Nanos) -> Struck {
        let mut store = self.store.borrow_mut();
        let mut struck = Struck::new();
        for fault in keys.iter().filter_map(|key| store.lost_by(key, now)) {
            if !struck.iter().any(|(known, _)| *known == fault) {
                struck.push((fault, None));
            }
        }
        struck
    }

    /// Whether any fault has it now.
    pub fn is_in_trouble(&self) -> bool {
        !self.troubles.borrow().is_empty()
    }
}
