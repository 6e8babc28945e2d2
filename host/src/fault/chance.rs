//! Which of the requests that a rule matches are struck.
//!
//! Most of it is drawn, by keys of the requests: draws do not depend on what else
//! happens. What counts requests does, and is the exception: which request is the
//! third of `every-nth`, the first of a window or one too many
//! depends on the order in which they come, and so on anything that changes it.

use std::cell::Cell;
use std::rc::Rc;

use crate::model::{Chance, FailFirst};
use crate::rng::Key;

use super::account::Suppression;
use super::candidate::Candidate;

/// The header by which callers ask for faults: their names, with commas between.
pub const HEADER: &str = "x-simhost-fault";

/// The key of baggage by which callers ask for faults: their names, with commas between.
pub const BAGGAGE: &str = "simhost-fault";

/// What a rule has counted so far.
#[derive(Debug, Default)]
pub struct Count {
    pub matched: Cell<u64>,
    pub injected: Cell<u64>,
    /// Processes of replicas that it has ended.
    pub deaths: Cell<u64>,
    suppressed: [Cell<u64>; Suppression::ALL.len()],
    /// For `fail-first`, in this window.
    first: Cell<u64>,
    /// For `every-nth`.
    nth: Cell<u64>,
    /// Struck requests that are under way.
    active: Cell<u32>,
    /// The logarithm of the chance that the draws spare all that they have spared.
    luck: Cell<f64>,
}

impl Count {
    pub fn suppress(&self, why: Suppression) -> Spared {
        add(&self.suppressed[why as usize]);
        Spared
    }

    pub fn suppressed(&self) -> [u64; Suppression::ALL.len()] {
        self.suppressed.each_ref().map(Cell::get)
    }

    /// Draws with a probability from 0 to 1. Whether a fault strikes what it has
    /// matched is decided here and nowhere else; how a message fares that `loss` has struck is that
    /// kind's own.
    ///
    /// # Errors
    /// The draw spares what it is for.
    pub fn draw(&self, key: Key, probability: f64) -> Result<(), Spared> {
        if key.unit() < probability {
            return Ok(());
        }
        self.luck.set(self.luck.get() + libm::log1p(-probability));
        Err(self.suppress(Suppression::Probability))
    }

    /// The logarithm of the chance that the draws spare all that they have spared.
    pub const fn luck(&self) -> f64 {
        self.luck.get()
    }

    /// A window opens.
    pub fn begin(&self) {
        self.first.set(0);
    }
}

fn add(count: &Cell<u64>) -> u64 {
    count.set(count.get() + 1);
    count.get()
}

/// One of the requests that `max-active` allows, until this is dropped:
/// keep it as long as the struck request is under way.
#[derive(Debug)]
pub struct Held(Rc<Count>);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.active.set(self.0.active.get() - 1);
    }
}

/// A rule spares what it matches; why has been counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spared;

/// Decides about a request that the rule called `name` matches, with the key of both
/// and this probability.
///
/// # Errors
/// It is spared.
pub fn decide(
    (name, chance, count): (&str, &Chance, &Rc<Count>),
    candidate: &Candidate<'_>,
    key: Key,
    probability: f64,
) -> Result<Option<Held>, Spared> {
    if chance.by_caller && !is_asked_for(name, candidate) {
        return Err(count.suppress(Suppression::NotAsked));
    }
    match chance.fail_first {
        Some(FailFirst::Of(most)) if add(&count.first) > most => {
            return Err(count.suppress(Suppression::FailFirst));
        }
        Some(FailFirst::Attempts(most)) if candidate.attempt >= most => {
            return Err(count.suppress(Suppression::FailFirst));
        }
        _ => {}
    }
    if chance.every_nth.is_some_and(|nth| !add(&count.nth).is_multiple_of(nth)) {
        return Err(count.suppress(Suppression::EveryNth));
    }
    count.draw(key, probability)?;
    if chance.max_total.is_some_and(|most| count.injected.get() >= most) {
        return Err(count.suppress(Suppression::MaxTotal));
    }
    let Some(most) = chance.max_active else { return Ok(None) };
    if count.active.get() >= most {
        return Err(count.suppress(Suppression::MaxActive));
    }
    count.active.set(count.active.get() + 1);
    Ok(Some(Held(Rc::clone(count))))
}

/// Whether a request names the rule, in a header or in its baggage.
fn is_asked_for(name: &str, candidate: &Candidate<'_>) -> bool {
    let names = |text: &str| text.split(',').any(|asked| asked.trim() == name);
    candidate.request.headers.get_all(HEADER).any(names)
        || candidate.baggage.get(BAGGAGE).is_some_and(|text| names(&text))
}
