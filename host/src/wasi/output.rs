//! A guest's standard output and error: log records, one a line.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::Bytes;
use fragile::Fragile;
use tokio::io::AsyncWrite;
use wasmtime_wasi::async_trait;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamResult};

use crate::context::{SpanId, TraceFlags, TraceId};
use crate::model::Nanos;
use crate::telemetry::record::{LogRecord, ResourceId, Scope, Severity, Text};
use crate::telemetry::recorder::Recorder;
use crate::telemetry::signal::Signal;

use super::Lookahead;
use super::bill::{self, Bill};

/// A line of output is cut here: a guest that never ends one costs no more.
const LINE_BYTES: usize = 16 << 10;

/// What a line costs a guest, besides its bytes: most lines of a flood are only counted.
const LINE: u64 = 50;

/// Lines of standard error that explain a trap, and characters of each.
const COMPLAINTS: usize = 3;
const COMPLAINT_LENGTH: usize = 300;

/// The span that a guest's output belongs to.
pub type Current = Option<(TraceId, SpanId, TraceFlags)>;

/// Where one worker's standard output and error go: log records, one a line.
pub struct Output {
    ahead: Rc<Lookahead>,
    pub recorder: Rc<Recorder>,
    pub resource: ResourceId,
    bill: Bill,
    /// Finds room for bytes of a record.
    keep: Box<dyn Fn(usize) -> bool>,
    /// The span that is current in the worker.
    pub current: Cell<Current>,
    /// Records that this request may still leave.
    pub left: Cell<u32>,
    lines: RefCell<[Vec<u8>; 2]>,
    /// The last lines of standard error in this request: what a guest says before it traps.
    complaints: RefCell<VecDeque<String>>,
}

impl Output {
    /// `keep` finds room for bytes of a record, or says that there is none.
    pub fn new(
        ahead: &Rc<Lookahead>,
        recorder: Rc<Recorder>,
        resource: ResourceId,
        bill: Bill,
        keep: impl Fn(usize) -> bool + 'static,
    ) -> Self {
        let (current, left, lines) = (Cell::new(None), Cell::new(0), RefCell::default());
        let (keep, complaints) = (Box::new(keep), RefCell::default());
        let ahead = Rc::clone(ahead);
        Self { ahead, recorder, resource, bill, keep, current, left, lines, complaints }
    }

    /// Takes what the guest wrote and records the lines that it completes.
    fn write(&self, severity: Severity, mut bytes: &[u8]) {
        self.bill.charge(bill::FUNCTION + bill::bytes(bytes.len()));
        while !bytes.is_empty() {
            let end = bytes.iter().position(|byte| *byte == b'\n');
            let (part, rest) = match end {
                Some(end) => (&bytes[..end], &bytes[end + 1..]),
                None => (bytes, &[][..]),
            };
            let mut lines = self.lines.borrow_mut();
            let line = &mut lines[Self::stream(severity)];
            let room = LINE_BYTES.saturating_sub(line.len());
            line.extend_from_slice(&part[..part.len().min(room)]);
            if end.is_some() {
                let line = std::mem::take(line);
                drop(lines);
                self.record(severity, &line, self.ahead.now());
            }
            bytes = rest;
        }
    }

    /// Forgets what earlier requests complained of.
    #[inline]
    pub fn begin(&self, records: u32) {
        self.left.set(records);
        self.complaints.borrow_mut().clear();
    }

    /// What the guest last wrote to standard error, its lines on one; empty for nothing.
    pub fn complaint(&self) -> String {
        self.finish();
        let complaints = self.complaints.borrow();
        complaints.iter().map(String::as_str).collect::<Vec<_>>().join(" ")
    }

    fn complain(&self, line: &str) {
        // What Rust's standard library says below each panic helps nobody here.
        if line.is_empty() || line.starts_with("note: run with `RUST_BACKTRACE") {
            return;
        }
        let mut complaints = self.complaints.borrow_mut();
        if complaints.len() == COMPLAINTS {
            complaints.pop_front();
        }
        complaints.push_back(line.chars().take(COMPLAINT_LENGTH).collect());
    }

    /// Records lines that were never ended: the request is over.
    pub fn finish(&self) {
        for severity in [Severity::Info, Severity::Error] {
            let line = std::mem::take(&mut self.lines.borrow_mut()[Self::stream(severity)]);
            if !line.is_empty() {
                self.record(severity, &line, self.ahead.last());
            }
        }
    }

    fn record(&self, severity: Severity, line: &[u8], time: Nanos) {
        self.bill.charge(LINE);
        if severity == Severity::Error {
            self.complain(&String::from_utf8_lossy(line));
        }
        let has_room = |_: &u32| (self.keep)(size_of::<LogRecord>() + line.len());
        let Some(left) = self.left.get().checked_sub(1).filter(has_room) else {
            return self.recorder.cut(Signal::Logs);
        };
        self.left.set(left);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        self.recorder.log(LogRecord {
            time,
            severity,
            event_name: None,
            body: Text::Owned(String::from_utf8_lossy(line).into_owned()),
            attributes: Vec::new(),
            resource: self.resource,
            scope: Scope::Guest,
            span: self.current.get(),
        });
    }

    const fn stream(severity: Severity) -> usize {
        match severity {
            Severity::Error => 1,
            _ => 0,
        }
    }
}

/// Standard output or standard error of one worker.
#[derive(Clone)]
pub(super) struct Stdio {
    output: Fragile<Rc<Output>>,
    severity: Severity,
}

impl Stdio {
    pub fn new(output: &Rc<Output>, severity: Severity) -> Self {
        Self { output: Fragile::new(Rc::clone(output)), severity }
    }
}

impl IsTerminal for Stdio {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Stdio {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

#[async_trait]
impl Pollable for Stdio {
    async fn ready(&mut self) {}
}

impl OutputStream for Stdio {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.output.get().write(self.severity, &bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(64 << 10)
    }
}

impl AsyncWrite for Stdio {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<std::io::Result<usize>> {
        self.output.get().write(self.severity, bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
