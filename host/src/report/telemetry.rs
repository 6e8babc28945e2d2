//! What became of the spans and log records.

use std::fmt::Write as _;

use schemars::JsonSchema;
use serde::Serialize;

use crate::telemetry::exporter::Totals;
use crate::telemetry::pipeline;
use crate::telemetry::recorder::Counts;

use super::words::counted;
use crate::error::INFALLIBLE;

/// What became of the records.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct TelemetryRow {
    pub spans: u64,
    pub logs: u64,
    /// Not recorded, as their guests were over their limits.
    pub cut_spans: u64,
    pub cut_logs: u64,
    pub cut_log_attributes: u64,
    /// Not recorded, as their processes died before they ended.
    pub lost_spans: u64,
    pub lost_logs: u64,
    /// Dropped before they reached an exporter: spans and log records.
    pub dropped: u64,
    pub exporters: Vec<ExporterRow>,
}

/// What one exporter did.
#[derive(Clone, Debug, Serialize, JsonSchema)]
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

impl TelemetryRow {
    pub fn new(counts: Counts, sent: pipeline::Report) -> Self {
        Self {
            spans: counts.spans,
            logs: counts.logs,
            cut_spans: counts.cut_spans,
            cut_logs: counts.cut_logs,
            cut_log_attributes: counts.cut_log_attributes,
            lost_spans: counts.lost_spans,
            lost_logs: counts.lost_logs,
            dropped: sent.dropped.spans + sent.dropped.logs,
            exporters: sent.exporters.into_iter().map(ExporterRow::from).collect(),
        }
    }

    /// For a person.
    pub fn text(&self, text: &mut String) {
        if self.exporters.is_empty() && self.spans == 0 {
            text.push_str("no spans recorded: --show traces, --out or --otlp would take them\n");
            return;
        }
        text.push_str(&counted(self.spans, "span"));
        if self.logs > 0 {
            write!(text, " and {}", counted(self.logs, "log record")).expect(INFALLIBLE);
        }
        text.push_str(" recorded");
        if self.exporters.is_empty() {
            text.push_str(", for the digest only: --show traces, --out or --otlp would take them");
        }
        let cut = [
            (self.cut_spans, "span"),
            (self.cut_logs, "log record"),
            (self.cut_log_attributes, "log attribute"),
        ];
        for (count, what) in cut {
            if count > 0 {
                write!(text, "; {} over a guest's limit not kept", counted(count, what)).expect(INFALLIBLE);
            }
        }
        for (count, what) in [(self.lost_spans, "span"), (self.lost_logs, "log record")] {
            if count > 0 {
                write!(text, "; {} died with a process", counted(count, what)).expect(INFALLIBLE);
            }
        }
        if self.dropped > 0 {
            write!(text, "; {} dropped: the exporters could not keep up", self.dropped).expect(INFALLIBLE);
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

impl From<Totals> for ExporterRow {
    fn from(totals: Totals) -> Self {
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
