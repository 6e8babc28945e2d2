//! What guests do wrong with their instruments. It harms nobody, and the report says it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::metrics::series::ATTRIBUTE_SETS;
use crate::telemetry::console::text::grouped;
use crate::telemetry::record::ResourceId;

use super::bounds::{ATTRIBUTES, BOUNDS, DESCRIPTION, INSTRUMENTS, MISUSES, NAME, SERIES_BYTES, UNIT};

/// Bytes of a name that are kept, where it is too long to be one.
const CUT: usize = 60;

/// Instruments that are told apart, of those for which a replica has no room.
pub const OTHERS: usize = 1_000;

/// Why an instrument or a measurement counts for nothing, or not for what it should.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Misuse {
    Name,
    Unit,
    Description,
    Bounds,
    TooMany,
    Conflict,
    NotFinite,
    Negative,
    Attributes,
    /// The value counts for the series of all that are too many.
    Sets,
    /// As [`Sets`](Self::Sets).
    Bytes,
    /// Misuses of a replica beyond those that are told apart.
    Further,
}

impl Misuse {
    /// What the JSON of the report calls it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Name => "invalid_name",
            Self::Unit => "invalid_unit",
            Self::Description => "description_too_long",
            Self::Bounds => "invalid_bounds",
            Self::TooMany => "too_many_instruments",
            Self::Conflict => "conflicting_instrument",
            Self::NotFinite => "not_finite",
            Self::Negative => "negative",
            Self::Attributes => "invalid_attributes",
            Self::Sets => "too_many_attribute_sets",
            Self::Bytes => "series_too_large",
            Self::Further => "further",
        }
    }

    /// Whether the value is kept, although in another series.
    pub const fn is_kept(self) -> bool {
        matches!(self, Self::Sets | Self::Bytes)
    }
}

impl fmt::Display for Misuse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name => write!(
                f,
                "the name is not a letter and then letters, digits, `_`, `.`, `-` and `/`, up to {NAME} characters"
            ),
            Self::Unit => write!(f, "the unit is not up to {UNIT} printable characters of ASCII"),
            Self::Description => {
                write!(f, "the description is longer than {} characters", grouped(DESCRIPTION as u64))
            }
            Self::Bounds => {
                write!(
                    f,
                    "the bounds are not up to {BOUNDS} finite numbers, each greater than the one before"
                )
            }
            Self::TooMany => write!(f, "a replica has at most {INSTRUMENTS} instruments"),
            Self::Conflict => f.write_str(
                "an instrument of this name has another kind, unit, type of numbers or other bounds",
            ),
            Self::NotFinite => f.write_str("the value is not a finite number"),
            Self::Negative => f.write_str("the value of a counter is below 0"),
            Self::Attributes => {
                write!(f, "there are more than {ATTRIBUTES} attributes, or one without a key")
            }
            Self::Sets => write!(
                f,
                "a replica has at most {} attribute sets of an instrument",
                grouped(ATTRIBUTE_SETS as u64)
            ),
            Self::Bytes => {
                write!(f, "the series of a replica take at most {} MiB", SERIES_BYTES >> 20)
            }
            Self::Further => f.write_str("there are more such errors"),
        }
    }
}

/// A misuse of an instrument by the guest of a replica.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misused {
    pub of: ResourceId,
    /// Its name, cut where it is too long to be one.
    pub instrument: Box<str>,
    /// Other instruments that it concerns: those that are too many are one misuse. [`OTHERS`] at most.
    pub others: BTreeSet<Box<str>>,
    pub misuse: Misuse,
    /// Measurements that it concerns.
    pub measurements: u64,
}

/// The misuses of all replicas of a world.
#[derive(Debug, Default)]
pub struct Misuses(BTreeMap<ResourceId, Vec<Misused>>);

impl Misuses {
    /// The place of a misuse, of an instrument of this name, among those of its replica.
    #[cold]
    pub fn place(&mut self, of: ResourceId, name: &str, misuse: Misuse) -> usize {
        let all = self.0.entry(of).or_default();
        let name = if name.len() > NAME { &name[..name.floor_char_boundary(CUT)] } else { name };
        let is_known = |known: &Misused| {
            // A flood of instruments is one misuse.
            known.misuse == misuse && (misuse == Misuse::TooMany || *known.instrument == *name)
        };
        if let Some(place) = all.iter().position(is_known) {
            let Misused { instrument, others, .. } = &mut all[place];
            if **instrument != *name && others.len() < OTHERS && !others.contains(name) {
                others.insert(name.into());
            }
            return place;
        }
        let new = |name: &str, misuse| Misused {
            of,
            instrument: name.into(),
            others: BTreeSet::new(),
            misuse,
            measurements: 0,
        };
        if all.len() < MISUSES {
            all.push(new(name, misuse));
        } else if all.len() == MISUSES {
            all.push(new("", Misuse::Further));
        }
        all.len() - 1
    }

    /// The misuse at this place concerns a measurement.
    pub fn measured(&mut self, of: ResourceId, place: usize) {
        if let Some(misused) = self.0.get_mut(&of).and_then(|all| all.get_mut(place)) {
            misused.measurements += 1;
        }
    }

    /// By replica, in the order in which they came.
    pub fn all(&self) -> Vec<Misused> {
        self.0.values().flatten().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_misuses_is_counted_and_keeps_its_bounds() {
        let mut misuses = Misuses::default();
        let of = ResourceId(7);
        for number in 0..1_000 {
            let place = misuses.place(of, &format!("{number} {}", "x".repeat(10_000)), Misuse::Name);
            misuses.measured(of, place);
            let place = misuses.place(of, &format!("orders.{number}"), Misuse::TooMany);
            misuses.measured(of, place);
        }
        let all = misuses.all();
        assert_eq!(all.len(), MISUSES + 1);
        assert_eq!(all.iter().map(|misused| misused.measurements).sum::<u64>(), 2_000);
        assert!(all.iter().all(|misused| misused.instrument.len() <= CUT));
        let too_many = all.iter().find(|misused| misused.misuse == Misuse::TooMany).expect("it is there");
        assert_eq!((&*too_many.instrument, too_many.measurements), ("orders.0", 1_000));
        assert_eq!(too_many.others.len(), 999);
        assert_eq!(all.last().map(|misused| misused.misuse), Some(Misuse::Further));
    }
}
