//! What became of the spans, log records and data points.

use std::collections::BTreeSet;
use std::fmt::{self, Write as _};

use schemars::JsonSchema;
use serde::Serialize;

use crate::metrics::{Misuse, Misused, OTHERS};
use crate::prometheus::clash::Clash;
use crate::telemetry::exporter::{Lost, Totals};
use crate::telemetry::pipeline;
use crate::telemetry::record::Resource;
use crate::telemetry::recorder::Counts;
use crate::telemetry::signal::{Count, PerSignal, Signal, Signals};

use super::words::{count, counted};
use crate::error::INFALLIBLE;

/// What became of the records.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct TelemetryRow {
    pub spans: u64,
    pub logs: u64,
    pub data_points: u64,
    /// Not recorded, as their guests were over their limits.
    pub cut_spans: u64,
    pub cut_logs: u64,
    pub cut_data_points: u64,
    pub cut_log_attributes: u64,
    /// Not recorded, as their processes died before they ended.
    pub lost_spans: u64,
    pub lost_logs: u64,
    pub lost_data_points: u64,
    /// Dropped before they reached an exporter: spans, log records and data points.
    pub dropped: u64,
    /// What guests have done wrong with their instruments, by service.
    pub misuses: Vec<MisuseRow>,
    /// Metrics that a page for Prometheus could not have, or not with all their series.
    pub clashes: Vec<ClashRow>,
    pub exporters: Vec<ExporterRow>,
    /// Scrapes of Prometheus that were answered with metrics. Null where it cannot scrape the run.
    pub scrapes: Option<u64>,
    /// Whether the environment says that there are no records.
    #[serde(skip)]
    pub is_disabled: bool,
}

/// One thing that the guests of a service have done wrong with an instrument.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct MisuseRow {
    pub service: String,
    /// The instrument's name, as the guest has it; of a flood of instruments the first. Null for
    /// errors beyond those that are told apart.
    pub instrument: Option<String>,
    /// How many instruments it concerns: several only where they are too many, and then up to 1,001.
    pub instruments: u64,
    /// Its name in the reference of the contract: `negative`.
    pub problem: &'static str,
    /// Measurements that were not kept, or that count for the overflow set.
    pub measurements: u64,
    #[serde(skip)]
    misuse: Misuse,
    #[serde(skip)]
    others: BTreeSet<Box<str>>,
}

impl MisuseRow {
    /// Those of all replicas, a row for each service and instrument.
    fn all(misused: Vec<Misused>, resources: &[Resource]) -> Vec<Self> {
        let mut rows: Vec<Self> = Vec::new();
        for Misused { of, instrument, others, misuse, measurements } in misused {
            let service = resources.get(of.0 as usize).map_or("", |resource| &*resource.service);
            let is_same = |row: &&mut Self| {
                let name = row.instrument.as_deref().unwrap_or_default();
                row.service == service
                    && row.misuse == misuse
                    && (*name == *instrument || misuse == Misuse::TooMany)
            };
            if let Some(row) = rows.iter_mut().find(is_same) {
                row.measurements += measurements;
                let name = row.instrument.as_deref().unwrap_or_default();
                let names = others.into_iter().chain([instrument]).filter(|other| **other != *name);
                row.others.extend(names);
                row.instruments = 1 + row.others.len() as u64;
                continue;
            }
            rows.push(Self {
                service: service.to_owned(),
                instrument: Some(instrument.into()).filter(|name: &String| !name.is_empty()),
                instruments: 1 + others.len() as u64,
                problem: misuse.name(),
                measurements,
                misuse,
                others,
            });
        }
        rows
    }
}

impl fmt::Display for MisuseRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { service, instrument, instruments, measurements, misuse, others, .. } = self;
        let measurements = counted(*measurements, "measurement");
        let name = instrument.as_ref().map(|name| name.escape_debug().to_string());
        let instrument = match (name, others.first()) {
            (Some(name), Some(other)) => {
                let more = if others.len() > 1 { ", …" } else { "" };
                let most = if others.len() >= OTHERS { "at least " } else { "" };
                format!(
                    " of {most}{} instruments ({name}, {}{more})",
                    count(*instruments),
                    other.escape_debug()
                )
            }
            (Some(name), None) => format!(" of {name}"),
            (None, _) => String::new(),
        };
        let fate = if misuse.is_kept() { "without their attributes" } else { "not kept" };
        write!(f, "{service}: {measurements}{instrument} {fate}: {misuse}")
    }
}

/// A metric that a page for Prometheus could not have, or not with all its series.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct ClashRow {
    pub service: String,
    /// The instrument's name. Null for metrics beyond those that are told apart.
    pub metric: Option<String>,
    /// Data points that pages are without, added up over all pages.
    pub data_points: u64,
    pub reason: String,
}

impl From<(Clash, u64)> for ClashRow {
    fn from((Clash { service, metric, cause }, data_points): (Clash, u64)) -> Self {
        let metric = Some(metric.into()).filter(|metric: &String| !metric.is_empty());
        Self { service: service.to_string(), metric, data_points, reason: cause.to_string() }
    }
}

impl fmt::Display for ClashRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { service, metric, data_points, reason } = self;
        let points = counted(*data_points, "data point");
        let of = metric.as_ref().map(|metric| format!("{service}: {points} of {}", metric.escape_debug()));
        write!(f, "{} not on a page for Prometheus: {reason}", of.unwrap_or(points))
    }
}

/// What one exporter did.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct ExporterRow {
    pub name: String,
    pub exported_spans: u64,
    pub exported_logs: u64,
    pub exported_data_points: u64,
    pub retried_requests: u64,
    /// Records that the receiver took out of requests that it accepted,
    /// or that are too large for it.
    pub rejected: u64,
    /// Why, as the receiver put it last.
    pub rejected_reason: Option<String>,
    /// Records given up, with the reasons.
    pub dropped: u64,
    pub reasons: Vec<String>,
    /// Records that a receiver or a file should have and has not: rejected
    /// or dropped, other than by a fault of the topology. Where there are any, the exit
    /// code is 1, unless `--lossy` is given.
    pub lost: u64,
    /// What is to be known of records that are not lost: what the receiver said last of a
    /// request that it accepted whole, or lines that a reader of the file leaves out.
    pub warning: Option<String>,
    /// The last trouble, even if a retry mended it.
    pub trouble: Option<String>,
    /// What was lost, a reason each.
    #[serde(skip)]
    losses: Vec<String>,
    #[serde(skip)]
    must_be_whole: bool,
    #[serde(skip)]
    takes: Signals,
}

impl TelemetryRow {
    pub fn new(
        counts: Counts,
        misused: Vec<Misused>,
        resources: &[Resource],
        sent: pipeline::Settlement,
    ) -> Self {
        let PerSignal([spans, logs, data_points]) = counts.recorded;
        let PerSignal([cut_spans, cut_logs, cut_data_points]) = counts.cut;
        let PerSignal([lost_spans, lost_logs, lost_data_points]) = counts.lost;
        Self {
            spans,
            logs,
            data_points,
            cut_spans,
            cut_logs,
            cut_data_points,
            cut_log_attributes: counts.cut_log_attributes,
            lost_spans,
            lost_logs,
            lost_data_points,
            dropped: sent.dropped.records(),
            misuses: MisuseRow::all(misused, resources),
            clashes: Vec::new(),
            exporters: sent.exporters.into_iter().map(ExporterRow::from).collect(),
            scrapes: None,
            is_disabled: false,
        }
    }

    fn recorded(&self) -> Count {
        PerSignal([self.spans, self.logs, self.data_points])
    }

    fn cut(&self) -> Count {
        PerSignal([self.cut_spans, self.cut_logs, self.cut_data_points])
    }

    fn lost(&self) -> Count {
        PerSignal([self.lost_spans, self.lost_logs, self.lost_data_points])
    }

    /// What receivers and files should have and have not: a line each.
    pub fn losses(&self) -> Vec<String> {
        let mut losses: Vec<_> = self.exporters.iter().filter_map(ExporterRow::loss).collect();
        if self.dropped > 0 && self.exporters.iter().any(|row| row.must_be_whole) {
            let (dropped, all) = (counted(self.dropped, "record"), self.recorded().records());
            losses.push(format!(
                "{dropped} of {} came faster than the exporters take them, and were lost",
                count(all)
            ));
        }
        losses
    }

    /// What is to be known of records that are not lost: a line each.
    pub fn warnings(&self) -> Vec<String> {
        let said = |row: &ExporterRow| Some(format!("{}: {}", row.name, row.warning.as_ref()?));
        self.exporters.iter().filter_map(said).collect()
    }

    /// For a person.
    pub fn text(&self, text: &mut String) {
        self.records_text(text);
        if let Some(scrapes) = self.scrapes {
            writeln!(text, "Prometheus: {} answered", counted(scrapes, "scrape")).expect(INFALLIBLE);
        }
    }

    fn records_text(&self, text: &mut String) {
        if self.exporters.is_empty() && self.is_disabled {
            text.push_str("nothing recorded, as OTEL_SDK_DISABLED or OTEL_ENABLED says: ");
            text.push_str("unset it, or use --out or --otlp\n");
            return;
        }
        if self.exporters.is_empty() && self.spans == 0 {
            text.push_str("no spans recorded: use --show traces, --out or --otlp\n");
            return;
        }
        text.push_str(&and(&shown(self.recorded(), Signals::ALL).collect::<Vec<_>>()));
        text.push_str(" recorded");
        if self.exporters.is_empty() {
            text.push_str(", not exported: use --show traces, --out or --otlp");
        }
        let attributes =
            (self.cut_log_attributes > 0).then(|| counted(self.cut_log_attributes, "log attribute"));
        for cut in above_zero(self.cut()).chain(attributes) {
            write!(text, "; {cut} over a guest's limit not kept").expect(INFALLIBLE);
        }
        for lost in above_zero(self.lost()) {
            write!(text, "; {lost} died with a process").expect(INFALLIBLE);
        }
        if self.dropped > 0 {
            write!(text, "; {} dropped: the exporters could not keep up", self.dropped).expect(INFALLIBLE);
        }
        text.push('\n');
        for misuse in &self.misuses {
            writeln!(text, "{misuse}").expect(INFALLIBLE);
        }
        for clash in &self.clashes {
            writeln!(text, "{clash}").expect(INFALLIBLE);
        }
        for exporter in &self.exporters {
            exporter.text(text);
        }
    }
}

impl ExporterRow {
    fn exported(&self) -> Count {
        PerSignal([self.exported_spans, self.exported_logs, self.exported_data_points])
    }

    fn loss(&self) -> Option<String> {
        let all = self.exported().records() + self.rejected + self.dropped;
        let Self { name, lost, losses, .. } = self;
        let of_all = format!("{} of {} were lost", count(*lost), counted(all, "record"));
        (*lost > 0).then(|| format!("{name}: {of_all}: {}", losses.join("; ")))
    }

    fn text(&self, text: &mut String) {
        let exported = shown(self.exported(), self.takes).map(|records| format!("{records} exported"));
        let rejected = (self.rejected > 0).then(|| format!("{} rejected", counted(self.rejected, "record")));
        let fates: Vec<_> = exported.chain(rejected).collect();
        write!(text, "{}: {}", self.name, fates.join(", ")).expect(INFALLIBLE);
        let retries = self.retried_requests;
        if retries > 0 {
            let noun = if retries == 1 { "retry" } else { "retries" };
            write!(text, ", {retries} {noun}").expect(INFALLIBLE);
        }
        text.push('\n');
        if let Some(reason) = &self.rejected_reason {
            writeln!(text, "  rejected: {reason}").expect(INFALLIBLE);
        }
        for reason in &self.reasons {
            writeln!(text, "  lost: {reason}").expect(INFALLIBLE);
        }
        if let Some(warning) = &self.warning {
            writeln!(text, "  warning: {warning}").expect(INFALLIBLE);
        }
        if let Some(trouble) = self.trouble.as_ref().filter(|_| self.dropped == 0) {
            writeln!(text, "  trouble on the way: {trouble}").expect(INFALLIBLE);
        }
    }
}

/// The records of each signal that has any: `1,204 spans`.
fn above_zero(count: Count) -> impl Iterator<Item = String> {
    let records = Signal::ALL.into_iter().map(move |signal| (count[signal], signal.spec().noun));
    records.filter(|(number, _)| *number > 0).map(|(number, noun)| counted(number, noun))
}

/// Those of [`above_zero`], and in any case the first that is taken: spans mostly.
fn shown(count: Count, takes: Signals) -> impl Iterator<Item = String> {
    let first = Signal::ALL.into_iter().find(|signal| takes[*signal]);
    let none = first.filter(|signal| count[*signal] == 0).map(|signal| counted(0, signal.spec().noun));
    none.into_iter().chain(above_zero(count))
}

/// `17 spans, 4 log records and 6 data points`.
fn and(all: &[String]) -> String {
    match all {
        [but_last @ .., last] if !but_last.is_empty() => format!("{} and {last}", but_last.join(", ")),
        _ => all.concat(),
    }
}

impl From<Totals> for ExporterRow {
    fn from(totals: Totals) -> Self {
        let reason = |what: &dyn std::fmt::Display, Lost { count, message }: &Lost| {
            let records = and(&above_zero(*count).collect::<Vec<_>>());
            match message {
                Some(message) => format!("{records}, {what}: {message}"),
                None => format!("{records}, {what}"),
            }
        };
        let lost = totals.lost().records();
        let rejected = totals.rejected.count.records();
        let mut losses = Vec::new();
        if rejected > 0 {
            losses.push(reason(&"rejected", &totals.rejected));
        }
        let unmeant = totals.dropped.iter().filter(|(why, _)| !why.is_meant());
        losses.extend(unmeant.map(|(why, lost)| reason(why, lost)));
        let PerSignal([exported_spans, exported_logs, exported_data_points]) = totals.exported;
        Self {
            exported_spans,
            exported_logs,
            exported_data_points,
            retried_requests: totals.retried,
            rejected,
            dropped: totals.dropped().records(),
            reasons: totals.dropped.iter().map(|(why, lost)| reason(why, lost)).collect(),
            rejected_reason: totals.rejected.message,
            lost,
            losses,
            must_be_whole: totals.must_be_whole,
            takes: totals.takes,
            warning: totals.warning,
            trouble: totals.trouble.map(|trouble| trouble.message),
            name: totals.name,
        }
    }
}
