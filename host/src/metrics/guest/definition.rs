//! What a guest says of an instrument, and whether there can be such a one.

use crate::telemetry::record::Instrument;

use super::bounds::{BOUNDS, DESCRIPTION, NAME, UNIT};
use super::misuse::Misuse;

/// What an instrument of a guest is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GuestKind {
    Counter,
    UpDownCounter,
    Gauge,
    Histogram,
}

/// An instrument, as a guest asks for it.
#[derive(Clone, Debug, PartialEq)]
pub struct Definition {
    pub instrument: Instrument,
    pub kind: GuestKind,
    /// Whether its values are whole numbers.
    pub is_whole: bool,
    /// The upper bounds of a histogram's buckets, in ascending order; empty for another.
    pub bounds: Vec<f64>,
}

impl Definition {
    /// Whether there can be such an instrument.
    ///
    /// # Errors
    /// What of it is against the rules.
    pub fn check(&self) -> Result<(), Misuse> {
        let Self { instrument: Instrument { name, unit, description }, bounds, .. } = self;
        let is_inner = |c: u8| c.is_ascii_alphanumeric() || b"_.-/".contains(&c);
        let starts_well = name.starts_with(|c: char| c.is_ascii_alphabetic());
        if !starts_well || name.len() > NAME || !name.bytes().all(is_inner) {
            return Err(Misuse::Name);
        }
        // Of ASCII, those that are shown: a unit of UCUM has no others.
        if unit.len() > UNIT || !unit.bytes().all(|c| c == b' ' || c.is_ascii_graphic()) {
            return Err(Misuse::Unit);
        }
        if description.chars().nth(DESCRIPTION).is_some() {
            return Err(Misuse::Description);
        }
        let is_ascending = bounds.is_sorted_by(|lower, upper| lower < upper);
        if bounds.len() > BOUNDS || !is_ascending || !bounds.iter().all(|bound| bound.is_finite()) {
            return Err(Misuse::Bounds);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::catalogue::DEFAULT_BOUNDS;

    fn check(name: &str, unit: &str, description: &str, bounds: &[f64]) -> Result<(), Misuse> {
        let text = |text: &str| text.to_owned().into();
        let instrument = Instrument { name: text(name), unit: text(unit), description: text(description) };
        let (kind, bounds) = (GuestKind::Histogram, bounds.to_vec());
        Definition { instrument, kind, is_whole: false, bounds }.check()
    }

    #[test]
    fn names_are_those_of_the_specification() {
        for name in ["a", "orders.placed", "http/2-streams_open", &"x".repeat(NAME)] {
            assert_eq!(check(name, "", "", &[]), Ok(()), "{name}");
        }
        for name in ["", "1st", ".hidden", "orders placed", "größe", "a\n", &"x".repeat(NAME + 1)] {
            assert_eq!(check(name, "", "", &[]), Err(Misuse::Name), "{name}");
        }
    }

    #[test]
    fn units_and_descriptions_have_their_lengths() {
        assert_eq!(check("a", &"u".repeat(UNIT), &"ü".repeat(DESCRIPTION), &[]), Ok(()));
        assert_eq!(check("a", &"u".repeat(UNIT + 1), "", &[]), Err(Misuse::Unit));
        assert_eq!(check("a", "{order item}/s", "", &[]), Ok(()));
        for unit in ["°C", "a\x1b[31m", "\n", "\x7f", "\0"] {
            assert_eq!(check("a", unit, "", &[]), Err(Misuse::Unit), "{unit:?}");
        }
        assert_eq!(check("a", "", &"ü".repeat(DESCRIPTION + 1), &[]), Err(Misuse::Description));
    }

    #[test]
    fn bounds_ascend_and_are_finite() {
        assert_eq!(check("a", "", "", DEFAULT_BOUNDS), Ok(()));
        let many: Vec<f64> = (0..=BOUNDS).map(|bound| bound as f64).collect();
        assert_eq!(check("a", "", "", &many[1..]), Ok(()));
        for bounds in
            [&many[..], &[1.0, 1.0], &[2.0, 1.0], &[f64::NAN], &[0.0, f64::INFINITY], &[0.0, f64::NAN, 1.0]]
        {
            assert_eq!(check("a", "", "", bounds), Err(Misuse::Bounds), "{bounds:?}");
        }
    }
}
