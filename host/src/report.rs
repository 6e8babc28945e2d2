//! What a run did: the table at its end, and the same as JSON.

use std::fmt::Write as _;
use std::time::Duration;

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};
use serde::Serialize;

use crate::bus::{Bus, NodeCode};
use crate::clock;
use crate::fault::Account;
use crate::model::{Model, Nanos};
use crate::telemetry::pipeline;
use crate::telemetry::recorder::Counts;

/// The numbers of one run.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    pub topology: String,
    pub seed: u64,
    /// Simulated time from the start to the end.
    pub simulated_ns: Nanos,
    /// What it took in reality; none in virtual time, whose report is to be the
    /// same every time.
    pub elapsed_ns: Option<Nanos>,
    /// Requests that came from outside.
    pub requests: u64,
    /// Calls and requests that were still under way when the run gave up on
    /// them: their SERVER spans are lost.
    pub unfinished: usize,
    pub routes: Vec<RouteRow>,
    pub faults: Vec<FaultRow>,
    pub telemetry: TelemetryRow,
    /// SHA-256 over all records of a run in virtual time, as
    /// [`digest`](crate::telemetry::digest) says; none in real time, and without telemetry.
    pub digest: Option<String>,
}

/// The requests of one route of one service.
#[derive(Clone, Debug, Serialize)]
pub struct RouteRow {
    pub service: String,
    /// `(no route)` for what the host answered with 404 or 405.
    pub route: String,
    pub count: u64,
    /// Per simulated second.
    pub rate: f64,
    /// Answered 5xx.
    pub errors: u64,
    pub p50_ns: Nanos,
    pub p95_ns: Nanos,
    pub p99_ns: Nanos,
    pub max_ns: Nanos,
}

/// What a fault did.
#[derive(Clone, Debug, Serialize)]
pub struct FaultRow {
    pub name: String,
    pub matched: u64,
    pub injected: u64,
}

/// What became of the records.
#[derive(Clone, Debug, Serialize)]
pub struct TelemetryRow {
    pub spans: u64,
    pub logs: u64,
    /// Not recorded, as their guests were over their limits.
    pub cut_spans: u64,
    pub cut_logs: u64,
    /// Dropped before they reached an exporter: spans and log records.
    pub dropped: u64,
    pub exporters: Vec<ExporterRow>,
}

/// What one exporter did.
#[derive(Clone, Debug, Serialize)]
pub struct ExporterRow {
    pub name: String,
    pub exported_spans: u64,
    pub exported_logs: u64,
    pub retried_requests: u64,
    /// Spans and log records that the receiver refused.
    pub rejected: u64,
    /// Spans and log records given up, with the reasons.
    pub dropped: u64,
    pub reasons: Vec<String>,
    /// The last trouble, even if a retry mended it.
    pub trouble: Option<String>,
}

impl Report {
    pub fn new(
        model: &Model,
        bus: &Bus,
        counts: Counts,
        sent: pipeline::Report,
        simulated: Nanos,
        elapsed: Option<Duration>,
    ) -> Self {
        Self {
            topology: model.name.clone(),
            seed: model.seed,
            simulated_ns: simulated,
            elapsed_ns: elapsed.map(clock::nanos),
            requests: bus.entered(),
            unfinished: 0,
            routes: routes(bus, simulated),
            faults: bus.faults.accounts().into_iter().map(FaultRow::from).collect(),
            telemetry: TelemetryRow {
                spans: counts.spans,
                logs: counts.logs,
                cut_spans: counts.cut_spans,
                cut_logs: counts.cut_logs,
                dropped: sent.dropped.spans + sent.dropped.logs,
                exporters: sent.exporters.into_iter().map(ExporterRow::from).collect(),
            },
            digest: sent.digest,
        }
    }

    /// Notes what was still under way when the run ended.
    pub fn with_unfinished(self, unfinished: usize) -> Self {
        Self { unfinished, ..self }
    }

    /// The report as a person reads it.
    pub fn text(&self) -> String {
        let mut text = String::new();
        self.headline(&mut text);
        if !self.routes.is_empty() {
            writeln!(text, "{}", self.table().trim_fmt()).expect(INFALLIBLE);
        }
        for fault in &self.faults {
            let FaultRow { name, matched, injected } = fault;
            writeln!(text, "fault {name}: matched {matched}, injected {injected}").expect(INFALLIBLE);
        }
        if self.unfinished > 0 {
            let left = counted(self.unfinished as u64, "request");
            writeln!(text, "{left} still under way were given up; their spans are lost").expect(INFALLIBLE);
        }
        self.telemetry.text(&mut text);
        if let Some(digest) = &self.digest {
            writeln!(text, "digest: {digest}").expect(INFALLIBLE);
        }
        text
    }

    fn headline(&self, text: &mut String) {
        let Self { topology, seed, requests, .. } = self;
        let simulated = clock::show(self.simulated_ns);
        let time = if self.elapsed_ns.is_some() { "in" } else { "simulated" };
        let requests = counted(*requests, "request");
        writeln!(text, "{topology}: {requests} {time} {simulated}, seed {seed}").expect(INFALLIBLE);
    }

    fn table(&self) -> Table {
        let mut table = Table::new();
        table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
        table.force_no_tty();
        table.set_header(["service", "route", "count", "rate/s", "errors", "p50", "p95", "p99", "max"]);
        for row in &self.routes {
            let times = [row.p50_ns, row.p95_ns, row.p99_ns, row.max_ns].map(milliseconds);
            let [p50, p95, p99, max] = times;
            let (count, errors) = (row.count.to_string(), row.errors.to_string());
            let rate = format!("{:.1}", row.rate);
            table.add_row([row.service.clone(), row.route.clone(), count, rate, errors, p50, p95, p99, max]);
        }
        for column in table.column_iter_mut().skip(2) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        table
    }
}

/// `1 span`, `2 spans`.
fn counted(count: u64, what: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {what}{plural}")
}

const INFALLIBLE: &str = "a String takes every write";

/// Milliseconds with the precision that the histogram has.
fn milliseconds(nanos: Nanos) -> String {
    format!("{:.2}ms", nanos as f64 / 1e6)
}

fn routes(bus: &Bus, simulated: Nanos) -> Vec<RouteRow> {
    let seconds = simulated as f64 / 1e9;
    let rows = bus.stats.snapshot().into_iter().map(|((service, route), served)| {
        let node = &bus.nodes()[service.index()];
        let route = match (&node.code, route) {
            (NodeCode::Guest(guest), Some(route)) => guest.routes.get(route).name.to_string(),
            _ => "(no route)".to_owned(),
        };
        RouteRow {
            service: node.name.to_string(),
            route,
            count: served.count,
            rate: if seconds > 0.0 { served.count as f64 / seconds } else { 0.0 },
            errors: served.failed(),
            p50_ns: served.quantile(0.5),
            p95_ns: served.quantile(0.95),
            p99_ns: served.quantile(0.99),
            max_ns: served.longest,
        }
    });
    rows.collect()
}

impl TelemetryRow {
    fn text(&self, text: &mut String) {
        if self.exporters.is_empty() && self.spans + self.logs == 0 {
            text.push_str("no spans recorded: --show traces, --out or --otlp would take them\n");
            return;
        }
        text.push_str(&counted(self.spans, "span"));
        if self.logs > 0 {
            write!(text, " and {}", counted(self.logs, "log record")).expect(INFALLIBLE);
        }
        text.push_str(" recorded");
        for (count, what) in [(self.cut_spans, "span"), (self.cut_logs, "log record")] {
            if count > 0 {
                write!(text, "; {} over a guest's limit not kept", counted(count, what)).expect(INFALLIBLE);
            }
        }
        if self.dropped > 0 {
            write!(text, "; {} dropped: the exporters could not keep up", self.dropped).expect(INFALLIBLE);
        }
        if self.exporters.is_empty() {
            text.push_str(", for the digest only: --show traces, --out or --otlp would take them");
        }
        text.push('\n');
        for exporter in &self.exporters {
            exporter.text(text);
        }
    }
}

impl ExporterRow {
    fn text(&self, text: &mut String) {
        write!(text, "{}: {} exported", self.name, counted(self.exported_spans, "span")).expect(INFALLIBLE);
        let retries = self.retried_requests;
        let counts = [(self.exported_logs, "log record", "exported"), (self.rejected, "record", "rejected")];
        for (count, what, fate) in counts.into_iter().filter(|(count, ..)| *count > 0) {
            write!(text, ", {} {fate}", counted(count, what)).expect(INFALLIBLE);
        }
        if retries > 0 {
            let noun = if retries == 1 { "retry" } else { "retries" };
            write!(text, ", {retries} {noun}").expect(INFALLIBLE);
        }
        text.push('\n');
        for reason in &self.reasons {
            writeln!(text, "  lost: {reason}").expect(INFALLIBLE);
        }
        if let Some(trouble) = self.trouble.as_ref().filter(|_| self.dropped == 0) {
            writeln!(text, "  trouble on the way: {trouble}").expect(INFALLIBLE);
        }
    }
}

impl From<Account> for FaultRow {
    fn from(Account { name, matched, injected }: Account) -> Self {
        Self { name, matched, injected }
    }
}

impl From<crate::telemetry::exporter::Totals> for ExporterRow {
    fn from(totals: crate::telemetry::exporter::Totals) -> Self {
        let lost = totals.lost();
        let reasons = totals.dropped.iter().map(|(reason, lost)| {
            let records = counted(lost.count.spans + lost.count.logs, "record");
            match &lost.message {
                Some(message) => format!("{records}, {reason}: {message}"),
                None => format!("{records}, {reason}"),
            }
        });
        Self {
            exported_spans: totals.exported.spans,
            exported_logs: totals.exported.logs,
            retried_requests: totals.retried,
            rejected: totals.rejected.count.spans + totals.rejected.count.logs,
            dropped: lost.spans + lost.logs,
            reasons: reasons.collect(),
            trouble: totals.trouble.clone(),
            name: totals.name,
        }
    }
}
