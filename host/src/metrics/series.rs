//! The attribute sets of an instrument, and what is kept for each.

use std::hash::Hash;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::telemetry::record::KeyValue;

/// Attribute sets of an instrument, of one replica: the cardinality limit (OpenTelemetry specification,
/// "Metrics SDK", "Cardinality limits"). Values of further sets go into one of their own.
pub const ATTRIBUTE_SETS: usize = 2_000;

/// The attribute of that one.
pub const OVERFLOW: &str = "otel.metric.overflow";

/// What is kept for each attribute set of an instrument. A key stands for a set, and is quick to find.
#[derive(Debug)]
pub struct Series<K, S> {
    places: FxHashMap<K, u32>,
    /// The key that was asked for last, and its place: most often the next one is the same.
    last: Option<(K, u32)>,
    /// In the order in which they came.
    all: Vec<One<S>>,
    /// The place of the set that has all further values.
    overflow: Option<u32>,
}

/// A series: an attribute set, and what is kept for it.
#[derive(Debug)]
pub struct One<S> {
    pub attributes: Arc<[KeyValue]>,
    pub state: S,
}

impl<K, S> Default for Series<K, S> {
    fn default() -> Self {
        Self { places: FxHashMap::default(), last: None, all: Vec::new(), overflow: None }
    }
}

impl<K: Copy + Eq + Hash, S> Series<K, S> {
    /// What is kept for a key. `attributes` gives its set, where there is none yet, and `new` what is
    /// kept for it.
    pub fn at(
        &mut self,
        key: K,
        attributes: impl FnOnce() -> Arc<[KeyValue]>,
        new: impl FnOnce() -> S,
    ) -> &mut S {
        let place = match &self.last {
            Some((last, place)) if *last == key => *place,
            _ => {
                let known = self.places.get(&key).copied();
                let place = known.unwrap_or_else(|| self.insert(key, attributes, new));
                self.last = Some((key, place));
                place
            }
        };
        &mut self.all[place as usize].state
    }

    #[cold]
    fn insert(
        &mut self,
        key: K,
        attributes: impl FnOnce() -> Arc<[KeyValue]>,
        new: impl FnOnce() -> S,
    ) -> u32 {
        if self.places.len() >= ATTRIBUTE_SETS {
            return *self.overflow.get_or_insert_with(|| {
                self.all.push(One { attributes: [KeyValue::new(OVERFLOW, true)].into(), state: new() });
                self.all.len() as u32 - 1
            });
        }
        let attributes = attributes();
        // Two keys may stand for one set: two names of a service lead to one address.
        let known = self.all.iter().position(|one| one.attributes == attributes);
        let place = known.unwrap_or_else(|| {
            self.all.push(One { attributes, state: new() });
            self.all.len() - 1
        });
        self.places.insert(key, place as u32);
        place as u32
    }

    pub fn iter(&self) -> impl Iterator<Item = &One<S>> {
        self.all.iter()
    }

    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut One<S>> {
        self.all.iter_mut()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(number: i64) -> Arc<[KeyValue]> {
        [KeyValue::new("number", number)].into()
    }

    #[test]
    fn beyond_the_limit_all_values_share_one_set() {
        let mut series: Series<i64, u64> = Series::default();
        for number in 0..3_000 {
            *series.at(number, || set(number), || 0) += 1;
        }
        *series.at(7, || set(7), || 0) += 1;
        let all: Vec<_> = series.iter_mut().collect();
        assert_eq!(all.len(), ATTRIBUTE_SETS + 1);
        assert_eq!((all[7].state, &all[7].attributes), (2, &set(7)));
        let last = all.last().expect("the overflow set");
        assert_eq!(last.state, 1_000);
        assert_eq!(*last.attributes, [KeyValue::new(OVERFLOW, true)]);
    }

    #[test]
    fn keys_of_equal_attributes_share_a_series() {
        let mut series: Series<i64, u64> = Series::default();
        for key in [1, 2, 1] {
            *series.at(key, || set(0), || 0) += 1;
        }
        assert_eq!(series.iter_mut().map(|one| one.state).collect::<Vec<_>>(), [3]);
    }
}
