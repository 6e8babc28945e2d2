//! A span on its trace's axis of time, in eighths of a column.

/// Eighths of a column that a character fills, from and to. Unicode has all
/// that begin at the left edge and only two that end at the right one.
const BLOCKS: [(char, u64, u64); 10] = [
    ('█', 0, 8),
    ('▉', 0, 7),
    ('▊', 0, 6),
    ('▋', 0, 5),
    ('▌', 0, 4),
    ('▍', 0, 3),
    ('▎', 0, 2),
    ('▏', 0, 1),
    ('▐', 4, 8),
    ('▕', 7, 8),
];

/// The time that a picture spans, and the columns it has for it.
#[derive(Clone, Copy, Debug)]
pub struct Axis {
    /// Nanoseconds since the Unix epoch.
    pub start: u64,
    /// Nanoseconds.
    pub length: u64,
    pub columns: usize,
    pub unicode: bool,
}

/// What a column of a bar shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cell {
    Empty,
    /// Mostly the span's own time.
    Own(char),
    /// Mostly time spent in its children.
    Child(char),
}

impl Axis {
    /// The bar of a span, whose `own` time is in these intervals. As long as
    /// the span, and never so short that it cannot be seen.
    pub fn bar(&self, start: u64, end: u64, own: &[(u64, u64)]) -> Vec<Cell> {
        let (from, to) = self.eighths(start, end);
        // A line is too fine for a fraction of a column.
        let short = to - from < 8;
        (0..self.columns as u64)
            .map(|column| {
                let (left, right) = (from.max(column * 8), to.min(column * 8 + 8));
                if left >= right {
                    Cell::Empty
                } else if short || self.is_own(column, start, end, own) {
                    self.block(left % 8, right - column * 8, to - from)
                } else {
                    self.line(left % 8, right - column * 8)
                }
            })
            .collect()
    }

    /// Where a span begins and ends, in eighths of a column, at least one apart.
    fn eighths(&self, start: u64, end: u64) -> (u64, u64) {
        let all = self.columns as u64 * 8;
        let place = |time: u64| {
            let (time, length) =
                (u128::from(time.saturating_sub(self.start)), u128::from(self.length.max(1)));
            let place = (time * u128::from(all) + length / 2) / length;
            u64::try_from(place).unwrap_or(all).min(all)
        };
        let from = place(start).min(all - 1);
        (from, place(end).max(from + 1))
    }

    /// Whether at least half of what the span spends in this column is its own.
    fn is_own(&self, column: u64, start: u64, end: u64, own: &[(u64, u64)]) -> bool {
        let edge = |column: u64| {
            let nanos = u128::from(self.length) * u128::from(column) / self.columns as u128;
            self.start.saturating_add(u64::try_from(nanos).unwrap_or(u64::MAX))
        };
        let (left, right) = (edge(column), edge(column + 1));
        let within = |from: u64, to: u64| to.min(right).saturating_sub(from.max(left));
        let spent: u64 = own.iter().map(|&(from, to)| within(from, to)).sum();
        spent >= within(start, end).div_ceil(2)
    }

    fn block(&self, from: u64, to: u64, length: u64) -> Cell {
        if !self.unicode {
            return match to - from {
                4.. => Cell::Own('#'),
                _ if length < 8 => Cell::Own('|'),
                _ => Cell::Empty,
            };
        }
        let miss = |&&(_, left, right): &&(char, u64, u64)| left.abs_diff(from) + right.abs_diff(to);
        BLOCKS.iter().min_by_key(miss).map_or(Cell::Empty, |&(block, ..)| Cell::Own(block))
    }

    fn line(&self, from: u64, to: u64) -> Cell {
        match (to - from, self.unicode) {
            (0..2, _) => Cell::Empty,
            (2.., false) => Cell::Child('-'),
            (6.., true) => Cell::Child('─'),
            (_, true) if from == 0 => Cell::Child('╴'),
            (_, true) => Cell::Child('╶'),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draw(unicode: bool, start: u64, end: u64, own: &[(u64, u64)]) -> String {
        let axis = Axis { start: 1_000, length: 80, columns: 10, unicode };
        let own: Vec<_> = own.iter().map(|(from, to)| (1_000 + from, 1_000 + to)).collect();
        let cells = axis.bar(1_000 + start, 1_000 + end, &own);
        assert_eq!(cells.len(), 10);
        cells
            .into_iter()
            .map(|cell| match cell {
                Cell::Empty => ' ',
                Cell::Own(char) | Cell::Child(char) => char,
            })
            .collect()
    }

    #[test]
    fn a_bar_begins_and_ends_to_scale() {
        assert_eq!(draw(true, 0, 80, &[(0, 80)]), "██████████");
        assert_eq!(draw(true, 12, 35, &[(12, 35)]), " ▐██▍     ");
        assert_eq!(draw(true, 79, 80, &[(79, 80)]), "         ▕");
        assert_eq!(draw(true, 16, 18, &[(16, 18)]), "  ▎       ");
    }

    #[test]
    fn nothing_is_too_short_to_be_seen() {
        assert_eq!(draw(true, 0, 0, &[]), "▏         ");
        assert_eq!(draw(true, 80, 80, &[]), "         ▕");
        assert_eq!(draw(false, 40, 40, &[]), "     |    ");
    }

    #[test]
    fn time_in_children_is_a_line() {
        assert_eq!(draw(true, 0, 80, &[(0, 16), (72, 80)]), "██───────█");
        assert_eq!(draw(false, 0, 80, &[(0, 16), (72, 80)]), "##-------#");
        assert_eq!(draw(true, 4, 76, &[]), "╶────────╴");
    }

    #[test]
    fn a_span_outside_of_the_axis_stays_within_its_columns() {
        let axis = Axis { start: 1_000, length: 80, columns: 10, unicode: true };
        for (start, end) in [(0, 10), (0, u64::MAX), (2_000, 3_000), (u64::MAX, u64::MAX)] {
            let cells = axis.bar(start, end, &[(start, end)]);
            assert_eq!(cells.len(), 10);
            assert!(cells.iter().any(|cell| *cell != Cell::Empty));
        }
    }
}
