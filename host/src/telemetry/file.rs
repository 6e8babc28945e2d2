//! `--out FILE`: OTLP as JSON lines.
//!
//! The format is the [OTLP File Exporter]'s: every line is one JSON object,
//! `TracesData`, `LogsData`, … (which have the same shape as the requests that carry
//! them). The collector's `otlpjsonfile` receiver reads it.
//!
//! [OTLP File Exporter]: https://opentelemetry.io/docs/specs/otel/protocol/file-exporter/

use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

use tokio::time::Instant;

use super::encode::json::{self, LINE_BYTES};
use super::exporter::{Account, Exporter};
use super::lines::Lines;
use super::record::Resource;
use super::signal::{Batch, Count, Record, Signals, each_signal};

/// Writes records to a file, or to whatever else takes bytes.
#[derive(Debug)]
pub struct JsonLines {
    lines: Lines,
    /// Records whose lines are longer than [`LINE_BYTES`].
    long: u64,
}

impl JsonLines {
    /// Creates the file, or empties it; `-` is the standard output.
    ///
    /// # Errors
    /// The file cannot be created.
    pub fn create(path: &Path) -> io::Result<Self> {
        Ok(Self { lines: Lines::create(path)?, long: 0 })
    }

    /// Writes to `out`, uncompressed, under the name `name` in the report.
    pub fn new(name: impl Into<String>, out: Box<dyn Write + Send>) -> Self {
        Self { lines: Lines::new(name, out), long: 0 }
    }

    /// Takes one line.
    fn line(&mut self, line: &[u8], count: Count) {
        if line.len() > LINE_BYTES {
            self.long += count.records();
            let long = self.long;
            self.lines.account().warned(format!(
                "lines of over {LINE_BYTES} bytes, of one record each: {long}; the Collector's otlpjsonfile \
                 receiver leaves them out"
            ));
        }
        self.lines.put(line, count);
    }
}

impl Exporter for JsonLines {
    fn name(&self) -> &str {
        self.lines.name()
    }

    fn takes(&self) -> Signals {
        Signals::ALL
    }

    fn is_receiver(&self) -> bool {
        true
    }

    /// As few lines for each signal as their bound allows.
    fn export(&mut self, batch: &Batch, resources: &[Resource]) {
        each_signal!(R => json::lines(R::list(batch), resources, LINE_BYTES, |line, items| {
            self.line(line, Count::of(R::SIGNAL, items));
        }));
        self.lines.end_frame();
    }

    /// Nothing is held back: there is nothing to flush.
    fn flush(&mut self, _deadline: Instant) {}

    fn account(&self) -> Arc<Account> {
        Arc::clone(self.lines.account())
    }
}
