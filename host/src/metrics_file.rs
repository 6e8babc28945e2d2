//! `simhost metrics`: the metrics of a file of OTLP JSON lines, as tables.
//!
//! A file is read twice: once for the instants of its points, which are the columns of the lines over
//! time, and once for the points. So memory goes with the number of series, which is bounded, and not
//! with the size of the file.

mod buckets;
mod census;
mod document;
mod line;
mod row;
mod series;
mod table;
mod timeline;
mod window;

use std::path::PathBuf;

use crate::report::words::{count, counted};
use crate::telemetry::choice::Instant;
use crate::telemetry::console::Style;
use crate::traces::{ReadError, Source};

use census::Census;
pub use document::Document;
use series::{LeftOut, MAX_ROWS, MAX_SERIES, Table};
use window::{Origin, Window};

/// What is asked of a file.
#[derive(Debug, Default)]
pub struct Wanted {
    /// None is the standard input.
    pub file: Option<PathBuf>,
    /// A `service.name`, or a part of several.
    pub service: Option<String>,
    /// The name of a metric, or a part of several.
    pub metric: Option<String>,
    /// Attributes of points and of Resources. Each of their values has a row of its own.
    pub by: Vec<String>,
    /// Only the collections after the first instant, up to the second.
    pub between: Option<(Instant, Instant)>,
    /// Services that the text shows, at most.
    pub limit: usize,
    /// Whether the text has the exemplars.
    pub exemplars: bool,
}

/// Why nothing is found.
#[derive(Debug, thiserror::Error)]
pub enum FindError {
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error("{what}")]
    Unknown {
        what: String,
        /// Names that the file has.
        help: String,
    },
}

impl FindError {
    /// What to do about it.
    pub fn remedy(&self) -> &str {
        match self {
            Self::Read(error) => error.remedy(),
            Self::Unknown { help, .. } => help,
        }
    }
}

/// What was found.
#[derive(Debug)]
pub struct Found {
    table: Table,
    /// What else is to be said: a sentence each.
    notes: Vec<String>,
}

/// Reads the metrics of a file.
///
/// # Errors
/// The file cannot be read, or has no such service, metric or attribute.
pub fn find(wanted: &Wanted) -> Result<Found, FindError> {
    let source = Source::open(wanted.file.as_deref())?;
    let window = wanted.between.map(|between| window(&source, between)).transpose()?.unwrap_or_default();
    let mut census = Census::new(window);
    let mut unread = source.lines(|text| census.add(text, wanted))?;
    source.check(census.lines, census.strange, census.first, &mut unread)?;
    let mut by = wanted.by.clone();
    by.dedup();
    if let Some(help) = wanted.between.and_then(|_| census.beside()) {
        let what = "no collection of the file is in the interval of --between".to_owned();
        return Err(FindError::Unknown { what, help });
    }
    let mut table = Table::new(std::mem::take(&mut census.instants).into(), by, window);
    let (services, metrics) = census.filters(wanted);
    let (mut has_service, mut has_metric) = (false, false);
    let unread = source.lines(|text| {
        for resource in line::line(text).unwrap_or_default() {
            if !services.takes(&resource.service()) {
                continue;
            }
            has_service = true;
            for scope in &resource.scope_metrics {
                for metric in scope.metrics.iter().filter(|metric| metrics.takes(&metric.name)) {
                    has_metric = true;
                    table.add(&resource, scope.name(), metric);
                }
            }
        }
    })?;
    if let Some((what, help)) = census.unknown(wanted, has_service, has_metric) {
        return Err(FindError::Unknown { what, help });
    }
    let mut notes = census.notes();
    notes.extend(table.left_out.notes());
    notes.extend(unread.notes());
    Ok(Found { table, notes })
}

/// The part of a file that is between two instants. The file is read once more for its beginning.
fn window(source: &Source, between: (Instant, Instant)) -> Result<Window, ReadError> {
    let mut origin = Origin::default();
    source.lines(|text| origin.add(&line::line(text).unwrap_or_default()))?;
    Ok(Window::between(between, origin.found()))
}

impl Found {
    /// What a person reads.
    pub fn text(&self, wanted: &Wanted, style: Style) -> String {
        table::text(self, wanted, style)
    }

    /// What a program reads.
    pub fn document(&self) -> Document {
        Document::new(self)
    }
}

impl LeftOut {
    /// A sentence for each kind.
    fn notes(&self) -> impl Iterator<Item = String> {
        let points = |number: u64, why: &dyn Fn(String) -> String| {
            (number > 0).then(|| why(counted(number, "data point")))
        };
        let (rows, series) = (count(MAX_ROWS as u64), count(MAX_SERIES as u64));
        let beyond = points(self.beyond, &|points| {
            format!("{points} left out: at most {series} series and {rows} rows are looked at")
        });
        let not_finite =
            points(self.not_finite, &|points| format!("{points} left out: the value is not a finite number"));
        let summaries = points(self.summaries, &|points| {
            format!("{points} of summaries left out: quantiles of several series cannot be added up")
        });
        [beyond, not_finite, summaries].into_iter().flatten()
    }
}
