//! Which recorded span shows what a fault has done.
//!
//! A fault strikes before anybody can tell which spans will be recorded: a process may
//! die with its spans, a trace may not be kept, another fault may lose them. So a firing
//! is told when the span that shows it best has ended, and with none if none was recorded.

use std::collections::BTreeMap;

use rustc_hash::FxHashMap;
use smallvec::SmallVec;

use crate::context::SpanId;
use crate::telemetry::record::SpanRef;

use super::event::Firing;

/// Firings that wait for their spans to end, at most: with one more, the oldest is told
/// without the spans that are still open.
const WAITING: usize = 65_536;

/// Firings whose spans have yet to end.
#[derive(Debug, Default)]
pub struct Waiting {
    firings: BTreeMap<u64, Wait>,
    /// How many have waited so far.
    count: u64,
    /// Who waits for a span.
    by_span: FxHashMap<SpanId, SmallVec<[u64; 2]>>,
}

#[derive(Debug)]
struct Wait {
    firing: Firing,
    fates: SmallVec<[Fate; 2]>,
}

/// What is known of a span that may show a firing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Open,
    Recorded(SpanRef),
    Lost,
}

impl Wait {
    /// Whether it is known which span shows the firing, if any does; the firing has it then.
    fn settle(&mut self) -> bool {
        let best = self.fates.iter().find(|fate| **fate != Fate::Lost);
        match best {
            Some(Fate::Open) => return false,
            Some(Fate::Recorded(span)) => self.firing.shown = Some(*span),
            Some(Fate::Lost) | None => {}
        }
        true
    }
}

impl Waiting {
    /// A fault has struck: gives what is to be told now.
    pub fn add(&mut self, firing: Firing) -> Option<Firing> {
        if firing.signs.is_empty() {
            return Some(firing);
        }
        let oldest = if self.firings.len() >= WAITING { self.firings.keys().next().copied() } else { None };
        let oldest = oldest.and_then(|number| self.give_up(number));
        let number = self.count;
        self.count += 1;
        for span in &firing.signs {
            self.by_span.entry(*span).or_default().push(number);
        }
        let fates = firing.signs.iter().map(|_| Fate::Open).collect();
        self.firings.insert(number, Wait { firing, fates });
        oldest
    }

    /// A span has ended, and was recorded or lost, or it never began: gives what is to be
    /// told now, in the order in which the faults struck.
    pub fn ended(&mut self, span: SpanId, recorded: Option<SpanRef>) -> SmallVec<[Firing; 2]> {
        let mut told = SmallVec::new();
        for number in self.by_span.remove(&span).unwrap_or_default() {
            let Some(wait) = self.firings.get_mut(&number) else { continue };
            let fate = recorded.map_or(Fate::Lost, Fate::Recorded);
            let places = wait.firing.signs.iter().zip(&mut wait.fates).filter(|(sign, _)| **sign == span);
            places.for_each(|(_, place)| *place = fate);
            if wait.settle() {
                told.extend(self.take(number));
            }
        }
        told
    }

    /// Nothing more will be recorded: gives all that is left.
    pub fn finish(&mut self) -> Vec<Firing> {
        let numbers: Vec<_> = self.firings.keys().copied().collect();
        numbers.into_iter().filter_map(|number| self.give_up(number)).collect()
    }

    /// Tells a firing by what is known.
    fn give_up(&mut self, number: u64) -> Option<Firing> {
        let wait = self.firings.get_mut(&number)?;
        wait.fates.iter_mut().filter(|fate| **fate == Fate::Open).for_each(|fate| *fate = Fate::Lost);
        wait.settle();
        self.take(number)
    }

    fn take(&mut self, number: u64) -> Option<Firing> {
        let Wait { firing, .. } = self.firings.remove(&number)?;
        for span in &firing.signs {
            if let Some(waiting) = self.by_span.get_mut(span) {
                waiting.retain(|other| *other != number);
                if waiting.is_empty() {
                    self.by_span.remove(span);
                }
            }
        }
        Some(firing)
    }
}
