//! `--out FILE`: OTLP as JSON lines.
//!
//! The format is the [OTLP File Exporter]'s: every line is one JSON object,
//! `TracesData` or `LogsData` (which have the same shape as the requests that
//! carry them). The collector's `otlpjsonfile` receiver reads it.
//!
//! [OTLP File Exporter]: https://opentelemetry.io/docs/specs/otel/protocol/file-exporter/

use std::fmt;
use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

use serde::Serialize;
use tokio::time::Instant;

use super::encode::message;
use super::exporter::{Account, Count, Exporter, Reason, Signal, Signals, Trouble};
use super::record::{Batch, Resource};

/// Writes records to a file, or to whatever else takes bytes.
pub struct JsonLines {
    out: Box<dyn Write + Send>,
    name: String,
    /// For a file on a disk: what is taken off again when a line goes in by half.
    file: Option<File>,
    /// Bytes of whole lines that were written.
    whole: u64,
    /// The line that is being put together; kept for its memory.
    line: Vec<u8>,
    /// A write has failed. Half a line may be out, of a pipe for good, and what would
    /// come behind it could not be read: nothing is written any more.
    broken: Option<Reason>,
    account: Arc<Account>,
}

impl fmt::Debug for JsonLines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JsonLines").field("name", &self.name).field("broken", &self.broken).finish()
    }
}

impl JsonLines {
    /// Creates the file, or empties it; `-` is the standard output.
    ///
    /// # Errors
    /// The file cannot be created.
    pub fn create(path: &Path) -> io::Result<Self> {
        if path == Path::new("-") {
            return Ok(Self::new(name(path), Box::new(io::stdout())));
        }
        let file = File::create(path)?;
        let on_disk = if file.metadata()?.is_file() { Some(file.try_clone()?) } else { None };
        Ok(Self { file: on_disk, ..Self::new(name(path), Box::new(file)) })
    }

    /// Writes to `out`, under the name `name` in the report.
    pub fn new(name: impl Into<String>, out: Box<dyn Write + Send>) -> Self {
        let name = name.into();
        let account = Account::new(name.clone());
        Self { out, account, name, file: None, whole: 0, line: Vec::new(), broken: None }
    }

    /// Writes one line and counts its records. Each goes out at once and whole,
    /// so that `tail -f` shows it and a run that is killed leaves whole lines.
    fn write(&mut self, message: &impl Serialize, count: Count) {
        if let Some(reason) = self.broken {
            return self.account.dropped(reason, count, None);
        }
        self.line.clear();
        let written =
            serde_json::to_writer(&mut self.line, message).map_err(io::Error::from).and_then(|()| {
                self.line.push(b'\n');
                self.out.write_all(&self.line)?;
                self.out.flush()
            });
        match written {
            Ok(()) => {
                self.whole += self.line.len() as u64;
                self.account.exported(count);
            }
            Err(error) => {
                let is_unread = error.kind() == io::ErrorKind::BrokenPipe;
                let reason = *self.broken.insert(if is_unread { Reason::Unread } else { Reason::Failed });
                // A full disk takes half a line; if it does not give it back either, so be it.
                let _whole = self.file.as_ref().map(|file| file.set_len(self.whole));
                let message = format!("cannot write to {}: {error}", self.name);
                self.account.trouble(Trouble::permanent(message.clone()));
                self.account.dropped(reason, count, Some(message));
            }
        }
    }
}

/// Under what name the records to `path` are in the report.
pub fn name(path: &Path) -> String {
    if path == Path::new("-") { "standard output".to_owned() } else { format!("file {}", path.display()) }
}

impl Exporter for JsonLines {
    fn name(&self) -> &str {
        &self.name
    }

    fn takes(&self) -> Signals {
        Signals::ALL
    }

    fn is_receiver(&self) -> bool {
        true
    }

    /// One line for each signal, however many records: a file has no largest request.
    fn export(&mut self, batch: &Batch, resources: &[Resource]) {
        let (spans, logs) = (batch.spans.len(), batch.logs.len());
        if spans > 0 {
            self.write(&message::traces(&batch.spans, resources), Count::of(Signal::Traces, spans));
        }
        if logs > 0 {
            self.write(&message::logs(&batch.logs, resources), Count::of(Signal::Logs, logs));
        }
    }

    /// Nothing is held back: there is nothing to flush.
    fn flush(&mut self, _deadline: Instant) {}

    fn account(&self) -> Arc<Account> {
        Arc::clone(&self.account)
    }
}
