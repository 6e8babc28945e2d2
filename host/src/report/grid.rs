//! Tables for people: columns that fit the width of the page.
//!
//! A table that is too wide first moves its last column of text below its rows, then leaves
//! columns out, the least important first ([`LEFT_OUT`]), then shortens names in the middle.
//! Numbers are never broken.

use crate::telemetry::console::Style;
use crate::telemetry::console::text::{shorten, width};

/// Columns that a table does without where there is no room, the first of these first.
const LEFT_OUT: [&str; 33] = [
    "spans",
    "start",
    "p90",
    "busy",
    "wait max",
    "in flight",
    "queue mean",
    "withheld",
    "opened",
    "max",
    "age max",
    "age p50",
    "took p50",
    "took p99",
    "partitions",
    "mean",
    "wait mean",
    "p50",
    "probability",
    "kind",
    "most",
    "queue max",
    "rate/s",
    "version",
    "over",
    "p99",
    "revoked",
    "redelivered",
    "failed",
    "age p99",
    "lag",
    "missed",
    "dead letters",
];

/// Whether a narrow page may be without the column of this head.
pub fn is_optional(head: &str) -> bool {
    LEFT_OUT.contains(&head)
}

/// Columns that a name keeps.
const NAME: usize = 12;

/// Columns between two others, and before the first.
const GAP: usize = 2;
const INDENT: usize = 1;

/// A table: text to the left, numbers to the right. A cell may have several lines.
#[derive(Clone, Debug)]
pub struct Grid {
    columns: Vec<Column>,
    rows: usize,
}

#[derive(Clone, Debug)]
struct Column {
    head: String,
    kind: Kind,
    cells: Vec<String>,
}

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Who a row is about: it may lose its middle.
    Name,
    /// Words that may stand below the row.
    Text,
    Number,
}

impl Grid {
    /// A table without rows, of columns with these heads.
    pub fn new<'a>(columns: impl IntoIterator<Item = (&'a str, Kind)>) -> Self {
        let column = |(head, kind): (&str, _)| Column { head: head.to_owned(), kind, cells: Vec::new() };
        Self { columns: columns.into_iter().map(column).collect(), rows: 0 }
    }

    /// Adds a row of as many cells as there are columns.
    pub fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        for (column, cell) in self.columns.iter_mut().zip(cells) {
            column.cells.push(cell);
        }
        self.rows += 1;
    }

    /// Adds a row that has only its first cell.
    pub fn title(&mut self, cell: String) {
        let rest = std::iter::repeat_n(String::new(), self.columns.len().saturating_sub(1));
        self.row(std::iter::once(cell).chain(rest));
    }

    pub const fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// Appends the table to `text`, a line for its heads and at least one for each row, and says
    /// which columns had no room.
    pub fn write(mut self, text: &mut String, style: Style) -> Vec<String> {
        let room = usize::from(style.width);
        let mut left_out = Vec::new();
        let is_wide = self.natural() > room;
        let below = self.columns.pop_if(|last| last.kind == Kind::Text && is_wide);
        for head in LEFT_OUT {
            if self.natural() <= room {
                break;
            }
            if let Some(index) = self.columns.iter().position(|column| column.head == head) {
                left_out.push(self.columns.remove(index).head);
            }
        }
        self.shorten_names(room, if style.unicode { "…" } else { "~" });
        self.draw(text, below.as_ref());
        left_out
    }

    /// Whether the page has room for it as it is.
    pub fn fits(&self, style: Style) -> bool {
        self.natural() <= usize::from(style.width)
    }

    /// The columns of a line if nothing is done about it.
    fn natural(&self) -> usize {
        let widths = self.columns.iter().map(|column| column.width() + GAP);
        (INDENT + widths.sum::<usize>()).saturating_sub(GAP)
    }

    /// Takes from the widest name what the line is too long.
    fn shorten_names(&mut self, room: usize, ellipsis: &str) {
        loop {
            let over = self.natural().saturating_sub(room);
            let names = self.columns.iter_mut().filter(|column| column.kind == Kind::Name);
            let Some(widest) = names.max_by_key(|column| column.width()) else { return };
            let width = widest.width();
            if over == 0 || width <= NAME {
                return;
            }
            let to = width.saturating_sub(over).max(NAME);
            for cell in &mut widest.cells {
                *cell = shorten(cell, to, ellipsis);
            }
        }
    }

    fn draw(&self, text: &mut String, below: Option<&Column>) {
        let widths: Vec<_> = self.columns.iter().map(Column::width).collect();
        let line = |text: &mut String, cells: &[&str]| {
            let mut line = " ".repeat(INDENT);
            for ((cell, column), wide) in cells.iter().zip(&self.columns).zip(&widths) {
                let blank = " ".repeat(wide.saturating_sub(width(cell)));
                let (before, after) = if column.kind == Kind::Number { (&*blank, "") } else { ("", &*blank) };
                line.extend([before, cell, after, &" ".repeat(GAP)]);
            }
            text.push_str(line.trim_end());
            text.push('\n');
        };
        line(text, &self.columns.iter().map(|column| column.head.as_str()).collect::<Vec<_>>());
        for row in 0..self.rows {
            let cells: Vec<Vec<&str>> =
                self.columns.iter().map(|column| column.cells[row].lines().collect()).collect();
            let lines = cells.iter().map(Vec::len).max().unwrap_or(0).max(1);
            for number in 0..lines {
                line(
                    text,
                    &cells.iter().map(|cell| cell.get(number).copied().unwrap_or("")).collect::<Vec<_>>(),
                );
            }
            let Some(below) = below.filter(|below| !below.cells[row].is_empty()) else { continue };
            for part in below.cells[row].lines() {
                text.push_str(&format!("   {} {part}\n", below.head));
            }
        }
    }
}

impl Column {
    fn width(&self) -> usize {
        let lines = self.cells.iter().flat_map(|cell| cell.lines());
        lines.map(width).chain([width(&self.head)]).max().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(columns: u16) -> (Vec<String>, Vec<String>) {
        let mut grid = Grid::new([
            ("service", Kind::Name),
            ("route", Kind::Name),
            ("requests", Kind::Number),
            ("p50", Kind::Number),
            ("p90", Kind::Number),
            ("p95", Kind::Number),
            ("of type", Kind::Text),
        ]);
        let row = |service: &str, kinds: &str| {
            let cells = [service, "POST /stock/{item}/reserve", "1,044", "36.4ms", "49.9ms", "284ms", kinds];
            cells.map(str::to_owned)
        };
        grid.row(row("inventory-service", "timeout ×3"));
        grid.row(row("stock", ""));
        let mut text = String::new();
        let left_out = grid.write(&mut text, Style { width: columns, ..Style::default() });
        (text.lines().map(str::to_owned).collect(), left_out)
    }

    #[test]
    fn a_table_with_room_is_as_it_is() {
        let (lines, left_out) = drawn(110);
        assert_eq!(
            lines,
            [
                " service            route                       requests     p50     p90    p95  of type",
                " inventory-service  POST /stock/{item}/reserve     1,044  36.4ms  49.9ms  284ms  timeout ×3",
                " stock              POST /stock/{item}/reserve     1,044  36.4ms  49.9ms  284ms",
            ]
        );
        assert!(left_out.is_empty());
    }

    #[test]
    fn the_last_words_of_a_row_go_below_it_before_anything_is_left_out() {
        let (lines, left_out) = drawn(82);
        assert_eq!(
            lines,
            [
                " service            route                       requests     p50     p90    p95",
                " inventory-service  POST /stock/{item}/reserve     1,044  36.4ms  49.9ms  284ms",
                "   of type timeout ×3",
                " stock              POST /stock/{item}/reserve     1,044  36.4ms  49.9ms  284ms",
            ]
        );
        assert!(left_out.is_empty());
    }

    #[test]
    fn a_narrow_table_leaves_out_the_least_important_and_shortens_names() {
        let (lines, left_out) = drawn(60);
        assert_eq!(
            lines,
            [
                " service            route                    requests    p95",
                " inventory-service  POST /stock…em}/reserve     1,044  284ms",
                "   of type timeout ×3",
                " stock              POST /stock…em}/reserve     1,044  284ms",
            ]
        );
        assert_eq!(left_out, ["p90", "p50"]);
        for columns in 60..110 {
            let (lines, _) = drawn(columns);
            assert!(lines.iter().all(|line| width(line) <= usize::from(columns)), "{columns}: {lines:#?}");
            // Numbers are whole.
            assert!(lines[1].contains("1,044") && lines[1].ends_with("284ms") || columns > 82, "{lines:#?}");
        }
    }
}
