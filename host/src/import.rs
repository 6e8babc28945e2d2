//! `simhost import`: a topology from recorded traces, of any origin.
//!
//! The file is read once. [`span`] keeps of each span what matters, within the bounds of [`bounds`];
//! [`trace`] finds the requests of a trace and their calls, [`system`] sums them up by route, [`sketch`]
//! decides what is written, and [`write`](mod@write) writes it. The same file gives the same bytes.

mod bounds;
mod fit;
mod keep;
mod names;
mod notes;
mod order;
mod path;
mod schema;
mod sketch;
mod span;
mod sql;
mod system;
mod trace;
mod write;

use std::path::PathBuf;

use crate::error::quote;
use crate::model::Nanos;
use crate::report::words::{count, counted};
use crate::topology::FILE_AT_MOST;
use crate::traces::{self, Foreign, ReadError, Source};

use bounds::MAX_SPANS;
use keep::Keep;
use names::Names;
use notes::{LeftOut, Reason};
use system::System;

/// What is wanted.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// None is the standard input.
    pub path: Option<PathBuf>,
    /// What the first line of the topology calls the file.
    pub file: String,
    /// The name of the topology.
    pub name: String,
    pub seed: u64,
    /// The name of the file that is written, for its first line; the topology's when none.
    pub out: Option<String>,
}

/// A topology, and what it leaves out.
#[derive(Debug)]
pub struct Imported {
    pub text: String,
    /// A sentence each.
    pub notes: Vec<String>,
}

/// Why there is no topology.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error("{} has no spans", quote(.file))]
    NoSpans { file: String },
    #[error("the {} of {} belong to no request", counted(*.spans, "span"), quote(.file))]
    NoRequests { file: String, spans: u64 },
    #[error("each trace of {} has more spans than the {} that are held", quote(.file), count(MAX_SPANS as u64))]
    LongTraces { file: String },
    #[error("one route of {} alone makes a topology of more than {} KiB", quote(.file), FILE_AT_MOST >> 10)]
    TooLong { file: String },
}

impl ImportError {
    /// What to do about it.
    pub fn remedy(&self) -> &str {
        match self {
            Self::Read(error) => error.remedy(),
            Self::NoSpans { .. } => {
                "name a file of traces: OTLP as JSON lines with resourceSpans, as --out or the Collector's file \
                 exporter writes them"
            }
            Self::NoRequests { .. } => {
                "record SERVER, CLIENT or CONSUMER spans: requests and calls are found by them"
            }
            Self::LongTraces { .. } => "import a file with traces of fewer spans",
            Self::TooLong { .. } => "import fewer traces",
        }
    }
}

/// What was read of a file.
#[derive(Clone, Copy, Debug)]
struct Read {
    requests: u64,
    /// From the first request's start to the last's.
    window: Nanos,
}

/// Reads the traces and sketches their system.
///
/// # Errors
/// The file cannot be read, is no OTLP, or has no request.
pub fn import(wanted: &Wanted) -> Result<Imported, ImportError> {
    let source = Source::open(wanted.path.as_deref())?;
    let (mut keep, mut names, mut left_out) = (Keep::default(), Names::default(), LeftOut::default());
    let (mut lines, mut strange, mut spans, mut first) = (0, 0, 0, None);
    let mut unread = source.lines(|text| {
        let Some(line) = traces::line(text) else {
            first.get_or_insert_with(|| Foreign::of(text));
            strange += 1;
            return;
        };
        lines += 1;
        spans += line.spans.len() as u64 + line.without_start;
        left_out.add_many(Reason::WithoutIds, line.without_ids);
        left_out.add_many(Reason::WithoutStart, line.without_start);
        left_out.add_many(Reason::WithoutEnd, line.without_end);
        for record in &line.spans {
            let taken = span::take(record, line.resource(record), &mut names, &mut left_out);
            taken.into_iter().for_each(|span| keep.add(span, &mut left_out));
        }
    })?;
    source.check(lines, strange, first, &mut unread)?;
    let file = || wanted.file.clone();
    if spans == 0 {
        return Err(ImportError::NoSpans { file: file() });
    }
    let scale = keep.scale();
    let mut system = System::default();
    let kept = keep.sorted(&mut left_out);
    for trace in kept.chunk_by(|one, other| one.trace == other.trace) {
        let requests = trace::requests(trace, &mut names, &mut left_out);
        system.add(&requests, &names, &mut left_out);
    }
    drop(kept);
    if system.requests == 0 && scale > 1.0 {
        return Err(ImportError::LongTraces { file: file() });
    }
    if system.requests == 0 {
        return Err(ImportError::NoRequests { file: file(), spans });
    }
    names.settle();
    let (text, left_out) = fitting(wanted, &mut system, &names, scale, &left_out)
        .ok_or_else(|| ImportError::TooLong { file: file() })?;
    let broken = (strange > 0).then(|| format!("{} left out: no OTLP as JSON", counted(strange, "line")));
    let notes = broken.into_iter().chain(unread.notes()).chain(left_out.notes()).collect();
    Ok(Imported { text, notes })
}

/// The topology with as many routes as its file has room for.
fn fitting(
    wanted: &Wanted,
    system: &mut System,
    names: &Names,
    scale: f64,
    left_out: &LeftOut,
) -> Option<(String, LeftOut)> {
    let window = system.last - system.first.unwrap_or(system.last);
    let read = Read { requests: system.requests, window };
    let mut most = bounds::MAX_ROUTES;
    while most > 0 {
        let mut left_out = left_out.clone();
        let sketch = sketch::sketch(system, names, scale, most, &mut left_out);
        let text = write::write(wanted, &read, &sketch);
        if text.len() as u64 <= FILE_AT_MOST {
            return Some((text, left_out));
        }
        most /= 2;
    }
    None
}
