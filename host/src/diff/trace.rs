//! One trace of a comparison: own times, and what makes two traces the same.

use std::hash::{DefaultHasher, Hash, Hasher};

use rustc_hash::FxHashMap;

use crate::context::SpanId;
use crate::model::Nanos;

/// A span, as little of it as its trace needs to be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    pub id: SpanId,
    pub parent: Option<SpanId>,
    /// Nanoseconds since the Unix epoch.
    pub start: Nanos,
    /// Nanoseconds since the Unix epoch, not before `start`.
    pub end: Nanos,
    /// An index into the run's series.
    pub series: u32,
    pub failed: bool,
    /// A number for everything else that the span says.
    pub content: u64,
}

impl Piece {
    /// Its part in the number that says whether two traces are the same. The parts
    /// are added up, in whichever order the spans have come.
    pub fn print(&self, zero: Nanos) -> u64 {
        let mut hash = DefaultHasher::new();
        self.content.hash(&mut hash);
        self.start.wrapping_sub(zero).hash(&mut hash);
        self.end.wrapping_sub(zero).hash(&mut hash);
        hash.finish()
    }
}

/// The own time of each span: its time without that in which a child was under
/// way, be it one or several at once. What a child does after its parent has
/// ended takes nothing from the parent.
pub fn measure(pieces: &[Piece]) -> Vec<Nanos> {
    let mut places = FxHashMap::default();
    for (at, piece) in pieces.iter().enumerate() {
        places.entry(piece.id).or_insert(at);
    }
    let parent = |piece: &Piece| piece.parent.and_then(|id| places.get(&id).copied());
    let mut children: Vec<_> =
        pieces.iter().filter_map(|piece| Some((parent(piece)?, piece.start, piece.end))).collect();
    children.sort_unstable();
    let mut own: Vec<_> = pieces.iter().map(|piece| piece.end - piece.start).collect();
    for siblings in children.chunk_by(|left, right| left.0 == right.0) {
        let at = siblings[0].0;
        let parent = &pieces[at];
        let mut covered = parent.start;
        for &(_, start, end) in siblings {
            let (start, end) = (start.max(covered), end.min(parent.end));
            own[at] -= end.saturating_sub(start);
            covered = covered.max(end);
        }
    }
    own
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU64;

    use super::*;

    fn id(number: u64) -> SpanId {
        SpanId(NonZeroU64::new(number).expect("not zero"))
    }

    fn piece(number: u64, parent: u64, start: Nanos, end: Nanos) -> Piece {
        let parent = NonZeroU64::new(parent).map(SpanId);
        Piece { id: id(number), parent, start, end, series: 0, failed: false, content: number }
    }

    #[test]
    fn own_time_is_what_no_child_covers() {
        let pieces = [
            piece(1, 0, 100, 200),
            // Two at once, one within another, one apart.
            piece(2, 1, 110, 130),
            piece(3, 1, 120, 150),
            piece(4, 1, 125, 128),
            piece(5, 1, 160, 170),
            piece(6, 5, 160, 165),
        ];
        assert_eq!(measure(&pieces), [50, 20, 30, 3, 5, 5]);
        let mut backwards = pieces;
        backwards.reverse();
        assert_eq!(measure(&backwards), [5, 5, 3, 30, 20, 50]);
    }

    #[test]
    fn what_a_callee_does_after_its_caller_gave_up_is_its_own() {
        let pieces = [piece(1, 0, 100, 200), piece(2, 1, 150, 500), piece(3, 1, 600, 700)];
        assert_eq!(measure(&pieces), [50, 350, 100]);
    }

    #[test]
    fn a_span_without_its_parent_takes_nothing_from_others() {
        assert_eq!(measure(&[piece(1, 0, 0, 10), piece(2, 9, 0, 10), piece(3, 3, 0, 10)]), [10, 10, 0]);
    }

    #[test]
    fn a_print_does_not_depend_on_when_a_trace_was_but_on_all_within_it() {
        let print = |pieces: &[Piece], zero| {
            pieces.iter().fold(0_u64, |sum, piece| sum.wrapping_add(piece.print(zero)))
        };
        let one = [piece(1, 0, 0, 100), piece(2, 1, 10, 20), piece(3, 1, 30, 40)];
        let moved = one.map(|piece| Piece { start: piece.start + 7, end: piece.end + 7, ..piece });
        assert_eq!(print(&one, 0), print(&moved, 7));
        // What one span gains and another loses does not cancel out.
        let shifted = [one[0], piece(2, 1, 10, 21), piece(3, 1, 30, 39)];
        assert_ne!(print(&one, 0), print(&shifted, 0));
        let swapped = [one[0], piece(2, 1, 30, 40), piece(3, 1, 10, 20)];
        assert_ne!(print(&one, 0), print(&swapped, 0));
    }
}
