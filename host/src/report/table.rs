//! Tables of the report: plain columns, numbers to the right.

use std::cmp::Reverse;
use std::fmt::Write as _;

use super::grid::{Grid, Kind};
use super::rows::Numbers;
use super::words::{count, counted, percent, time};
use crate::error::{INFALLIBLE, wrap};
use crate::model::Nanos;
use crate::telemetry::console::Style;

/// Rows that a table shows to a person; the JSON has all.
pub const ROWS: usize = 20;

/// Kinds of error that a row names; of the others it says how many there are.
const KINDS: usize = 3;

/// A column: its head, and its cell for a row.
pub type Column<'a, T> = (&'static str, Box<dyn Fn(&T) -> String + 'a>);

/// The page that tables are written on.
#[derive(Debug)]
pub struct Page<'a> {
    pub text: &'a mut String,
    pub style: Style,
    /// Columns that had no room in a table.
    pub left_out: Vec<String>,
}

impl Page<'_> {
    /// Writes a table of the rows that matter most, in their order, and how many it
    /// leaves out. The first `names` columns are names, the others numbers.
    pub fn table<T>(
        &mut self,
        what: &str,
        rows: &[T],
        weight: impl Fn(&T) -> (u64, u64),
        names: usize,
        columns: &[Column<'_, T>],
    ) {
        if rows.is_empty() {
            return;
        }
        let kinds = columns.iter().enumerate().map(|(index, (head, _))| match index {
            _ if *head == OF_WHICH => (*head, Kind::Text),
            index if index < names => (*head, Kind::Name),
            _ => (*head, Kind::Number),
        });
        let mut grid = Grid::new(kinds);
        for row in heaviest(rows, weight) {
            grid.row(columns.iter().map(|(_, cell)| cell(row)));
        }
        let left_out = grid.write(self.text, self.style);
        let new = left_out.into_iter().filter(|head| !self.left_out.contains(head)).collect::<Vec<_>>();
        self.left_out.extend(new);
        if rows.len() > ROWS {
            let more = counted((rows.len() - ROWS) as u64, what);
            writeln!(self.text, " … and {more} more; --json has all").expect(INFALLIBLE);
        }
    }

    /// Says which columns had no room, if any had none.
    pub fn close(&mut self) {
        if !self.left_out.is_empty() {
            let columns = self.left_out.join(", ");
            let said = format!("left out of some tables, as the page is narrow: {columns}; --json has all");
            for line in wrap(&said, usize::from(self.style.width) - 1).lines() {
                writeln!(self.text, " {line}").expect(INFALLIBLE);
            }
        }
    }
}

/// The rows that are shown, in the order of all: those with the most trouble,
/// the first part of the weight, get up to half of the places; the busiest of
/// the others, by the second part, get the rest.
pub fn heaviest<T>(rows: &[T], weight: impl Fn(&T) -> (u64, u64)) -> Vec<&T> {
    let mut indices: Vec<usize> = (0..rows.len()).collect();
    // Stable: of equal rows the first ones are shown.
    indices.sort_by_key(|index| Reverse(weight(&rows[*index])));
    let troubled = indices.iter().take(ROWS / 2).filter(|index| weight(&rows[**index]).0 > 0).count();
    indices[troubled..].sort_by_key(|index| (Reverse(weight(&rows[*index]).1), *index));
    indices.truncate(ROWS);
    indices.sort_unstable();
    indices.into_iter().map(|index| &rows[index]).collect()
}

/// The head of the column that names kinds of error.
const OF_WHICH: &str = "of type";

/// The columns that say how much failed and why; none where nothing did.
pub fn errors<'a, T>(rows: &[T], numbers: impl Fn(&T) -> &Numbers + Copy + 'a) -> Vec<Column<'a, T>> {
    if rows.iter().all(|row| numbers(row).errors == 0) {
        return Vec::new();
    }
    let share = move |row: &T| {
        let Numbers { errors, count: all, .. } = numbers(row);
        match errors {
            0 => "-".to_owned(),
            _ => format!("{} ({})", count(*errors), percent(*errors as f64 / *all as f64)),
        }
    };
    vec![("errors", Box::new(share)), (OF_WHICH, Box::new(move |row| kinds(numbers(row))))]
}

/// `503 ×12, timeout ×3`, the most frequent first.
fn kinds(numbers: &Numbers) -> String {
    let mut kinds: Vec<_> = numbers.errors_by_type.iter().collect();
    kinds.sort_by_key(|(_, times)| Reverse(**times));
    let shown = kinds.iter().take(KINDS).map(|(kind, times)| format!("{kind} ×{}", count(**times)));
    let mut shown: Vec<_> = shown.collect();
    if kinds.len() > KINDS {
        shown.push(format!("{} more", kinds.len() - KINDS));
    }
    shown.join(", ")
}

/// Columns of times; `show` spells quantiles as exactly as they are known, from
/// the quantile and the maximum.
pub fn times<'a, T>(
    numbers: impl Fn(&T) -> &Numbers + Copy + 'a,
    show: fn(Nanos, Nanos) -> String,
) -> Vec<Column<'a, T>> {
    let exact = |head, of: fn(&Numbers) -> Nanos| -> Column<'a, T> {
        (head, Box::new(move |row| time(of(numbers(row)))))
    };
    let quantile = |head, of: fn(&Numbers) -> Nanos| -> Column<'a, T> {
        (head, Box::new(move |row| show(of(numbers(row)), numbers(row).max_ns)))
    };
    vec![
        exact("mean", |numbers| numbers.mean_ns),
        quantile("p50", |numbers| numbers.p50_ns),
        quantile("p90", |numbers| numbers.p90_ns),
        quantile("p95", |numbers| numbers.p95_ns),
        quantile("p99", |numbers| numbers.p99_ns),
        exact("max", |numbers| numbers.max_ns),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tally::Tally;

    #[test]
    fn of_many_rows_the_heaviest_are_shown_in_their_order() {
        // One that fails, and one that is busy.
        let rows: Vec<u64> = (0..50).map(|row| if row == 7 { 1_000 } else { row }).collect();
        let weight = |row: &u64| (u64::from(*row == 3), *row);
        let mut text = String::new();
        let columns: Vec<Column<'_, u64>> = vec![("row", Box::new(ToString::to_string))];
        let style = Style::default();
        Page { text: &mut text, style, left_out: Vec::new() }.table("row", &rows, weight, 1, &columns);
        let lines: Vec<_> = text.lines().map(str::trim).collect();
        assert_eq!(lines[..4], ["row", "3", "1000", "32"]);
        assert_eq!(lines[20..], ["49", "… and 30 rows more; --json has all"]);
        // Where many fail, the busiest are shown all the same.
        let shown: Vec<_> = heaviest(&rows, |row| (50 - row.min(&49), *row));
        assert_eq!(shown[..9], [&0, &1, &2, &3, &4, &5, &6, &1_000, &8]);
        assert_eq!(shown[10..], [&10, &41, &42, &43, &44, &45, &46, &47, &48, &49]);
    }

    #[test]
    fn errors_are_named_by_how_many_there_are() {
        let mut tally = Tally::default();
        for (kind, times) in [("500", 1), ("timeout", 7), ("503", 20), ("cancelled", 2), ("504", 2)] {
            (0..times).for_each(|_| tally.note(1, Some(kind.into())));
        }
        let numbers = Numbers::new(&tally, 1_000_000_000);
        assert_eq!(kinds(&numbers), "503 ×20, timeout ×7, 504 ×2, 2 more");
    }
}
