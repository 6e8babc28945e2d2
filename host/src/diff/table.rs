//! Tables of what changed, and how a change is written.

use std::cmp::Ordering;
use std::fmt::Write as _;

use crate::model::Nanos;
use crate::report::grid::{Grid, Kind};
use crate::report::words::{counted, time};

use crate::error::{INFALLIBLE, wrap};
use crate::telemetry::console::Style;

/// Rows that a person sees; the JSON has all.
const ROWS: usize = 12;

/// Columns before further lines of what a table leaves out.
const INDENT: usize = 3;

/// A table whose rows come in the order of how much they changed.
pub struct Table {
    grid: Grid,
    rows: usize,
}

impl Table {
    pub fn new<'a>(header: impl IntoIterator<Item = &'a str>) -> Self {
        let kinds = header.into_iter().enumerate().map(|(index, head)| match (index, head) {
            (0, _) => (head, Kind::Name),
            (_, "of type") => (head, Kind::Text),
            _ => (head, Kind::Number),
        });
        Self { grid: Grid::new(kinds), rows: 0 }
    }

    /// Adds a row, or counts it, once there are enough.
    pub fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows += 1;
        if self.rows <= ROWS {
            self.grid.row(cells);
        }
    }

    /// Writes the table, if it has rows, and below it what it leaves out.
    pub fn write(self, text: &mut String, what: &str, unchanged: usize, style: Style) {
        if self.rows == 0 {
            return;
        }
        text.push('\n');
        let left_out = self.grid.write(text, style);
        let mut rest = Vec::new();
        if !left_out.is_empty() {
            rest.push(format!("left out, as the page is narrow: {}", left_out.join(", ")));
        }
        if self.rows > ROWS {
            let more = several(self.rows - ROWS, what);
            rest.push(format!("{more} changed less; --json has all"));
        }
        if unchanged > 0 {
            rest.push(format!("{} unchanged", several(unchanged, what)));
        }
        if !rest.is_empty() {
            let said = wrap(&format!("… {}", rest.join("; ")), style.columns().saturating_sub(INDENT));
            for (number, line) in said.lines().enumerate() {
                writeln!(text, "{:1$}{line}", "", if number == 0 { 1 } else { INDENT }).expect(INFALLIBLE);
            }
        }
    }
}

/// `14 routes`, `3 kinds of span`.
fn several(number: usize, what: &str) -> String {
    match what.strip_prefix("kind of ") {
        Some(what) => format!("{} of {what}", counted(number as u64, "kind")),
        None => counted(number as u64, what),
    }
}

/// Both, or one where they read the same.
pub fn arrow(before: String, after: String) -> String {
    if before == after { after } else { format!("{before} → {after}") }
}

/// Before and after, and in a second line by how much.
pub fn two_lines(before: Nanos, after: Nanos) -> String {
    let both = arrow(time(before), time(after));
    match (before == after, by(before, after)) {
        (true, _) => both,
        (false, Some(by)) => format!("{both}\n{} {by}", signed(before, after)),
        (false, None) => format!("{both}\n{}", signed(before, after)),
    }
}

/// `+351ms`, `−1.2ms`, `0`.
pub fn signed(before: Nanos, after: Nanos) -> String {
    match before.cmp(&after) {
        Ordering::Less => format!("+{}", time(after - before)),
        Ordering::Equal => "0".to_owned(),
        Ordering::Greater => format!("−{}", time(before - after)),
    }
}

/// `−85%`; none of what was nothing, is hardly changed, or is many times as much.
pub fn by(before: Nanos, after: Nanos) -> Option<String> {
    const LEAST: f64 = 0.5;
    const MOST: f64 = 1_000.0;
    let by = (after as f64 - before as f64) / before as f64 * 100.0;
    let sign = if by < 0.0 { '−' } else { '+' };
    (before > 0 && (LEAST..MOST).contains(&by.abs())).then(|| format!("{sign}{:.0}%", by.abs()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_said_in_time_and_in_percent_where_that_says_something() {
        let ms = 1_000_000;
        assert_eq!(two_lines(412 * ms, 61 * ms), "412ms → 61ms\n−351ms −85%");
        assert_eq!(two_lines(61 * ms, 61 * ms), "61ms");
        // Nothing to compare with; many times as much; hardly anything.
        assert_eq!(two_lines(0, 5 * ms), "0s → 5ms\n+5ms");
        assert_eq!(two_lines(1_000, 350 * ms), "1us → 350ms\n+350ms");
        assert_eq!(two_lines(287 * ms, 287 * ms - 1_000), "287ms\n−1us");
    }

    #[test]
    fn a_long_table_says_what_it_leaves_out() {
        let mut table = Table::new(["service", "spans"]);
        for row in 0..ROWS + 2 {
            table.row([format!("service-{row}"), "1".to_owned()]);
        }
        let mut text = String::new();
        table.write(&mut text, "kind of span", 1, Style::default());
        assert_eq!(text.lines().count(), 1 + 1 + ROWS + 1);
        assert!(
            text.ends_with("\n … 2 kinds of span changed less; --json has all; 1 kind of span unchanged\n")
        );
    }
}
