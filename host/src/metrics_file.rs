//! `simhost metrics`: the metrics of a file of OTLP JSON lines, as tables.
//!
//! A file is read twice: once for the instants of its points, which are the columns of the lines over
//! time, and once for the points. So memory goes with the number of series, which is bounded, and not
//! with the size of the file.

mod bounds;
mod buckets;
mod census;
mod document;
mod ends;
mod left_out;
mod line;
mod row;
mod series;
mod table;
mod timeline;
mod window;

use std::collections::BTreeSet;
use std::path::PathBuf;

use crate::report::between::turned;
use crate::report::words::{count, counted};
use crate::telemetry::choice::Instant;
use crate::telemetry::console::Style;
use crate::traces::{ReadError, Source};

use census::Census;
pub use document::Document;
use row::{Name, Row};
use series::Table;
use window::{Origin, Window};

/// Histograms without a value that are named, at most.
const NAMED: usize = 3;

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
    let window = match wanted.between {
        Some(between) => window(&source, between)?,
        None => Window::default(),
    };
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
                    table.add(&resource, scope, metric);
                }
            }
        }
    })?;
    if let Some((what, help)) = census.unknown(wanted, has_service, has_metric) {
        return Err(FindError::Unknown { what, help });
    }
    let mut notes = census.notes();
    notes.extend(without_values(&mut table, wanted.between.is_some()));
    notes.extend(table.left_out.notes());
    notes.extend(unread.notes());
    Ok(Found { table, notes })
}

/// The part of a file that is between two instants. The file is read once more for its beginning.
fn window(source: &Source, between: (Instant, Instant)) -> Result<Window, FindError> {
    let mut origin = Origin::default();
    source.lines(|text| origin.add(&line::line(text).unwrap_or_default()))?;
    let origin = origin.found();
    match turned(between, origin, "its first series") {
        Some((what, help)) => Err(FindError::Unknown { what, help }),
        None => Ok(Window::between(between, origin)),
    }
}

/// Takes the histograms out that no value has come in, as delta points tell nothing of them, and names some.
fn without_values(table: &mut Table, is_interval: bool) -> Option<String> {
    let is_empty = |(name, row): &(&Name, &Row)| row.is_empty(name.kind);
    let named = |(name, _): (&Name, &Row)| format!("{} of {}", name.metric, name.service);
    let empty: BTreeSet<_> = table.rows.iter().filter(is_empty).map(named).collect();
    table.rows.retain(|name, row| !row.is_empty(name.kind));
    let named: Vec<_> = empty.iter().take(NAMED).map(String::as_str).collect();
    let more = empty.len().saturating_sub(named.len());
    let more = if more > 0 { format!(", and {} more", count(more as u64)) } else { String::new() };
    let part = if is_interval { " in the interval" } else { "" };
    let histograms = counted(empty.len() as u64, "histogram");
    (!empty.is_empty()).then(|| format!("{histograms} without a value{part}: {}{more}", named.join(", ")))
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
