//! Traces that a report names for the p99 of its routes.

use schemars::JsonSchema;
use serde::Serialize;

use super::RouteRow;
use super::grid::{Grid, Kind};
use super::table::{Page, heaviest};
use super::text::weight;
use super::words::time;
use crate::model::Nanos;
use crate::tally::Exemplar;

/// Digits of a trace id where whole ones have no room: as many as tell the traces of a run apart.
const SHORT_ID: usize = 12;

/// A trace that has a request of a row.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct ExemplarRow {
    pub trace_id: String,
    /// What that request took.
    pub took_ns: Nanos,
}

impl From<Exemplar> for ExemplarRow {
    fn from(exemplar: Exemplar) -> Self {
        Self { trace_id: exemplar.trace_id.to_string(), took_ns: exemplar.took }
    }
}

/// Writes a table of the routes that have an exemplar.
pub fn write(page: &mut Page<'_>, routes: &[RouteRow]) {
    let of = |row: &RouteRow| Some((row.clone(), row.exemplar.clone()?));
    let rows: Vec<_> = routes.iter().filter_map(of).collect();
    if rows.is_empty() {
        return;
    }
    let rows = heaviest(&rows, |(row, _)| weight(&row.numbers));
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
