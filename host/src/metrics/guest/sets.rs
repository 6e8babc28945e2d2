//! The attribute sets of a guest's instrument, and what is kept for each.
//!
//! They are found by comparing, not by a hash: a guest could choose sets whose hashes are equal, and each
//! measurement would take as long as there are sets.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::Arc;

use crate::metrics::series::{OVERFLOW, One};
use crate::telemetry::record::{KeyValue, Value};

#[derive(Debug)]
pub struct Sets<S> {
    places: BTreeMap<AttributeSet, usize>,
    /// In the order in which they came.
    all: Vec<One<S>>,
    /// The place of the set that has all further values.
    overflow: Option<usize>,
}

impl<S> Default for Sets<S> {
    fn default() -> Self {
        Self { places: BTreeMap::new(), all: Vec::new(), overflow: None }
    }
}

impl<S> Sets<S> {
    /// How many there are, without that of further values.
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// What is kept for a set; none if it is not there.
    pub fn find(&mut self, set: &AttributeSet) -> Option<&mut S> {
        let place = *self.places.get(set)?;
        Some(&mut self.all[place].state)
    }

    /// Adds a set that is not there, with what is kept for it.
    pub fn insert(&mut self, set: AttributeSet, state: S) -> &mut S {
        let place = self.all.len();
        self.all.push(One { attributes: Arc::clone(&set.0), state });
        self.places.insert(set, place);
        &mut self.all[place].state
    }

    /// What is kept for the set that has all further values.
    pub fn overflow(&mut self, new: impl FnOnce() -> S) -> &mut S {
        let place = *self.overflow.get_or_insert_with(|| {
            self.all.push(One { attributes: [KeyValue::new(OVERFLOW, true)].into(), state: new() });
            self.all.len() - 1
        });
        &mut self.all[place].state
    }

    pub fn iter(&self) -> impl Iterator<Item = &One<S>> {
        self.all.iter()
    }

    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut One<S>> {
        self.all.iter_mut()
    }
}

/// Attributes in the order of their names, each name once.
#[derive(Clone, Debug)]
pub struct AttributeSet(Arc<[KeyValue]>);

impl AttributeSet {
    /// Of several attributes of one name, the last counts.
    pub fn new(mut attributes: Vec<KeyValue>) -> Self {
        attributes.sort_by(|left, right| left.key.cmp(&right.key));
        attributes.dedup_by(|later, kept| {
            let is_same = later.key == kept.key;
            if is_same {
                std::mem::swap(later, kept);
            }
            is_same
        });
        Self(attributes.into())
    }

    /// Bytes that it takes, with its place.
    pub fn bytes(&self) -> usize {
        const PLACE: usize = 2 * size_of::<(AttributeSet, usize)>();
        PLACE + self.0.iter().map(KeyValue::weight).sum::<usize>()
    }
}

impl Ord for AttributeSet {
    fn cmp(&self, other: &Self) -> Ordering {
        let attributes = self.0.iter().zip(&*other.0);
        let differ = attributes
            .map(|(left, right)| left.key.cmp(&right.key).then_with(|| compare(&left.value, &right.value)));
        differ.into_iter().find(|order| order.is_ne()).unwrap_or_else(|| self.0.len().cmp(&other.0.len()))
    }
}

impl PartialOrd for AttributeSet {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for AttributeSet {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for AttributeSet {}

fn compare(left: &Value, right: &Value) -> Ordering {
    match (left, right) {
        (Value::Text(left), Value::Text(right)) => left.cmp(right),
        (Value::Bool(left), Value::Bool(right)) => left.cmp(right),
        (Value::Int(left), Value::Int(right)) => left.cmp(right),
        // Zero has two signs, which are equal.
        (Value::Float(left), Value::Float(right)) => (left + 0.0).total_cmp(&(right + 0.0)),
        (Value::Texts(left), Value::Texts(right)) => left.cmp(right),
        (Value::Ints(left), Value::Ints(right)) => left.cmp(right),
        _ => rank(left).cmp(&rank(right)),
    }
}

/// The order of values of different types.
const fn rank(value: &Value) -> u8 {
    match value {
        Value::Text(_) => 0,
        Value::Bool(_) => 1,
        Value::Int(_) => 2,
        Value::Float(_) => 3,
        Value::Texts(_) => 4,
        Value::Ints(_) => 5,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set<V: Into<Value> + Copy>(pairs: &[(&'static str, V)]) -> AttributeSet {
        AttributeSet::new(pairs.iter().map(|(key, value)| KeyValue::new(*key, *value)).collect())
    }

    #[test]
    fn the_order_in_which_attributes_are_given_does_not_matter_and_the_last_of_a_name_counts() {
        assert_eq!(set(&[("a", 1), ("b", 2)]), set(&[("b", 2), ("a", 9), ("a", 1)]));
        assert_ne!(set(&[("a", 1)]), set(&[("a", 2)]));
        assert_ne!(set(&[("a", 1)]), set(&[("a", 1), ("b", 2)]));
    }

    #[test]
    fn values_are_equal_if_their_types_are() {
        assert_ne!(set(&[("a", 1)]), set(&[("a", 1.0)]));
        assert_eq!(set(&[("a", 0.0)]), set(&[("a", -0.0)]));
        assert_eq!(set(&[("a", f64::NAN)]), set(&[("a", f64::NAN)]));
    }

    #[test]
    fn series_keep_their_order_and_what_has_no_room_shares_one() {
        let mut sets: Sets<u64> = Sets::default();
        *sets.insert(set(&[("b", 1)]), 0) += 1;
        *sets.overflow(|| 0) += 5;
        *sets.insert(set(&[("a", 1)]), 0) += 2;
        *sets.overflow(|| 0) += 5;
        assert_eq!(sets.find(&set(&[("b", 1)])).map(|state| *state), Some(1));
        assert_eq!(sets.find(&set(&[("c", 1)])), None);
        assert_eq!(sets.len(), 2);
        assert_eq!(sets.iter_mut().map(|one| one.state).collect::<Vec<_>>(), [1, 10, 2]);
    }
}
