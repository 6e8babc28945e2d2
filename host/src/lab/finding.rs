//! What one check has found in the runs of one seed.

use crate::context::TraceId;

use super::manifest::Bound;
use super::measure::Unit;

/// What one check has found.
#[derive(Clone, Debug)]
pub struct Finding {
    pub passed: bool,
    pub got: Option<String>,
    pub want: String,
    /// What a person reads if it has failed.
    pub message: String,
    /// The trace that shows it.
    pub trace: Option<TraceId>,
}

impl Finding {
    pub const fn passed(got: String, want: String) -> Self {
        Self { passed: true, got: Some(got), want, message: String::new(), trace: None }
    }

    pub const fn failed(got: Option<String>, want: String, message: String) -> Self {
        Self { passed: false, got, want, message, trace: None }
    }
}

/// A number beside its bound; `what` is its subject in a sentence.
pub fn judged(got: Option<f64>, unit: Unit, bound: &Bound, what: &str) -> Finding {
    let (unit, want) = (bound.unit(unit), bound.words(unit));
    let Some(got) = got else {
        let message = format!("{what} has no value, as nothing of it happened; {want} is wanted");
        return Finding::failed(None, want, message);
    };
    let (passed, shown) = (bound.holds(got), unit.show(got));
    match passed {
        true => Finding::passed(shown, want),
        false => {
            let message = format!("{what} is {shown}; {want} is wanted");
            Finding::failed(Some(shown), want, message)
        }
    }
}

/// A number for each of something that there is none of.
pub fn undivided(bound: &Bound, what: &str, per: &str) -> Finding {
    let want = bound.words(bound.unit(Unit::Plain));
    let message = format!("{what} has no value, as {per} is 0 in this run; {want} is wanted");
    Finding::failed(None, want, message)
}
