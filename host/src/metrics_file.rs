//! `simhost metrics`: the metrics of a file of OTLP JSON lines, as tables.
//!
//! A file is read twice: once for the instants of its points, which are the columns of the lines over
//! time, and once for the points. So memory goes with the number of series, which is bounded, and not
//! with the size of the file.

mod buckets;
mod document;
mod line;
mod series;
mod table;
mod timeline;

use std::collections::BTreeSet;
use std::path::PathBuf;

use crate::error::{did_you_mean, quote};
use crate::report::words::{count, counted};
use crate::telemetry::console::Style;
use crate::traces::{ReadError, Source, is_truth};

pub use document::Document;
use line::{Metric, OfResource};
use series::{MAX_SERIES, Table};
use timeline::{Instants, Timeline};

/// Names of services, and of metrics, that are kept of a file.
const KEPT: usize = 1_000;

/// What is asked of a file.
#[derive(Debug, Default)]
pub struct Wanted {
    /// None is the standard input.
    pub file: Option<PathBuf>,
    /// A `service.name`.
    pub service: Option<String>,
    /// The name of a metric, or a part of it.
    pub metric: Option<String>,
    /// Services that the text shows, at most.
    pub limit: usize,
}

impl Wanted {
    fn has_service(&self, service: &str) -> bool {
        self.service.as_ref().is_none_or(|wanted| wanted == service)
    }

    fn has_metric(&self, name: &str) -> bool {
        self.metric.as_ref().is_none_or(|wanted| name.contains(wanted.as_str()))
    }
}

/// What was found.
#[derive(Debug)]
pub struct Found {
    table: Table,
    timeline: Timeline,
    /// What else is to be said: a sentence each.
    notes: Vec<String>,
}

/// Reads the metrics of a file.
///
/// # Errors
/// The file cannot be read.
pub fn find(wanted: &Wanted) -> Result<Found, ReadError> {
    let source = Source::open(wanted.file.as_deref())?;
    let mut census = Census::default();
    source.lines(|text| census.add(text, wanted))?;
    if census.lines == 0 && census.strange > 0 {
        return Err(source.without_otlp(census.is_truth));
    }
    let timeline = Timeline::from(std::mem::take(&mut census.instants));
    let mut table = Table::new(timeline.clone());
    let unread = source.lines(|text| {
        for resource in line::line(text).unwrap_or_default() {
            each(&resource, wanted, |_, metric| table.add(&resource, metric));
        }
    })?;
    let mut notes = census.notes(wanted);
    if table.beyond > 0 {
        let points = counted(table.beyond, "data point");
        let room = count(MAX_SERIES as u64);
        notes.push(format!("{points} of further series were left out: {room} are looked at"));
    }
    notes.extend(unread.notes());
    Ok(Found { table, timeline, notes })
}

/// The metrics of a resource that are wanted.
fn each(resource: &OfResource, wanted: &Wanted, mut take: impl FnMut(&str, &Metric)) {
    let service = resource.service();
    if wanted.has_service(&service) {
        let metrics = resource.scope_metrics.iter().flat_map(|scope| &scope.metrics);
        metrics.filter(|metric| wanted.has_metric(&metric.name)).for_each(|metric| take(&service, metric));
    }
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

/// What a file has.
#[derive(Debug, Default)]
struct Census {
    instants: Instants,
    services: BTreeSet<String>,
    metrics: BTreeSet<String>,
    /// Lines of OTLP, and others.
    lines: u64,
    strange: u64,
    is_truth: bool,
    has_metrics: bool,
}

impl Census {
    fn add(&mut self, text: &str, wanted: &Wanted) {
        let Some(resources) = line::line(text) else {
            self.is_truth |= self.strange == 0 && self.lines == 0 && is_truth(text);
            self.strange += 1;
            return;
        };
        self.lines += 1;
        for resource in &resources {
            keep(&mut self.services, &resource.service());
            for metric in resource.scope_metrics.iter().flat_map(|scope| &scope.metrics) {
                self.has_metrics = true;
                if wanted.has_service(&resource.service()) {
                    keep(&mut self.metrics, &metric.name);
                }
            }
            each(resource, wanted, |_, metric| metric.times().for_each(|time| self.instants.add(time)));
        }
    }

    /// A sentence for each name that is asked for and is not there.
    fn notes(&self, wanted: &Wanted) -> Vec<String> {
        let mut notes = Vec::new();
        if !self.has_metrics {
            notes.push(
                "no line of the file has metrics: OTEL_METRICS_EXPORTER=none leaves them out of --out"
                    .to_owned(),
            );
            return notes;
        }
        if let Some(service) = wanted.service.as_ref().filter(|service| !self.services.contains(*service)) {
            let known = did_you_mean(service, "services", self.services.iter().map(String::as_str));
            notes.push(format!("no metric of the file is of service {}: {known}", quote(service)));
            return notes;
        }
        let is_met = self.metrics.iter().any(|name| wanted.has_metric(name));
        if let Some(metric) = wanted.metric.as_ref().filter(|_| !is_met) {
            let known = did_you_mean(metric, "metrics", self.metrics.iter().map(String::as_str));
            notes.push(format!("no metric has {} in its name: {known}", quote(metric)));
        }
        if self.strange > 0 {
            notes.push(format!("{} left out: no OTLP as JSON", counted(self.strange, "line")));
        }
        notes
    }
}

fn keep(names: &mut BTreeSet<String>, name: &str) {
    if names.len() < KEPT && !names.contains(name) {
        names.insert(name.to_owned());
    }
}
