//! Requests that a fault has changed, struck or not: each beside itself without the fault.

use crate::fault::impact::OutsideRequest as Request;
use crate::model::Nanos;

use super::Names;
use super::measures::{is_other, is_slower};
use super::symptom::{Symptom, Visible};

/// A request in both runs.
#[derive(Clone, Copy, Debug)]
pub struct Pair {
    pub shard: u32,
    pub with: Request,
    pub without: Request,
}

impl Pair {
    /// By how much it took longer with the fault, if it was sent and ended in both: nanoseconds.
    pub fn extra(&self) -> Option<i64> {
        let is_sent = self.with.is_sent && self.without.is_sent;
        let (with, without) = self.with.end.zip(self.without.end).filter(|_| is_sent)?;
        Some(with.took.cast_signed().saturating_sub(without.took.cast_signed()))
    }

    /// Whether it ends otherwise with the fault, or at another time.
    pub fn is_changed(&self) -> bool {
        match (self.with.end, self.without.end) {
            (Some(with), Some(without)) => with.answer != without.answer || is_other(with.took, without.took),
            (with, without) => with != without,
        }
    }

    /// As what a client notices it, if one does.
    pub fn visible_as(&self) -> Option<Visible> {
        if self.with.error().is_some() {
            return self.without.error().is_none().then_some(Visible::Error);
        }
        let more = self.extra()?;
        is_slower(more, self.without.end?.took).then_some(Visible::Slower)
    }

    /// The request as it was with the fault.
    pub fn symptom(&self, names: &Names, start: Nanos) -> Symptom {
        Symptom {
            visible_as: self.visible_as(),
            slower_by_ms: self.extra().map(|extra| extra as f64 / 1e6),
            ..Symptom::new(&self.with, names, start)
        }
    }
}
