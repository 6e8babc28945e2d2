//! Traces that a report names for the p99 of its routes.

use super::grid::{Grid, Kind};
use super::rows::RouteRow;
use super::table::{Page, heaviest};
use super::words::time;
use crate::telemetry::console::text::SHORT_ID;

/// Writes a table of the routes that have an exemplar.
pub fn write(page: &mut Page<'_>, routes: &[RouteRow]) {
    let of = |row: &RouteRow| Some((row.clone(), row.exemplar.clone()?));
    let rows: Vec<_> = routes.iter().filter_map(of).collect();
    if rows.is_empty() {
        return;
    }
    let rows = heaviest(&rows, |(row, _)| row.numbers.weight());
    let filled = |digits: usize| {
        let mut grid = Grid::new([
            ("service", Kind::Name),
            ("route", Kind::Name),
            ("near p99", Kind::Number),
            ("in trace", Kind::Number),
        ]);
        for (row, exemplar) in &rows {
            let route = row.route.clone().unwrap_or_else(|| "(no route)".to_owned());
            let id = exemplar.trace_id.chars().take(digits).collect();
            grid.row([row.service.clone(), route, time(exemplar.took_ns), id]);
        }
        grid
    };
    let whole = filled(usize::MAX);
    let grid = if whole.fits(page.style) { whole } else { filled(SHORT_ID) };
    page.text.push('\n');
    grid.write(page.text, page.style);
}
