//! Traces as text, for people: each as a tree with its times, when it ends.
//!
//! [`assemble`] decides what is ready, [`tree`] draws it. The text is a
//! function of the records, the resources and the [`Style`]: the same run
//! prints the same bytes.

mod assemble;
mod bar;
mod chosen;
mod detail;
mod forest;
mod header;
mod label;
mod layout;
mod pair;
mod parts;
mod points;
pub mod quantity;
mod rows;
mod style;
pub mod text;
mod tree;

use std::borrow::Cow;
use std::fmt;
use std::io::Write;
use std::sync::Arc;

use rustc_hash::FxHashMap;

pub use self::assemble::{
    MAX_LOGS, MAX_RECORDS, MAX_SPANS, MAX_TRACES, Part, SETTLE, STALE, Trace, keep_longest,
};
pub use self::chosen::Wanted;
pub use self::pair::Pair;
pub use self::points::PointLines;
pub use self::rows::{MAX_ALIKE, MAX_ROWS};
pub use self::style::{DEFAULT_WIDTH, MAX_WIDTH, MIN_WIDTH, Style};

use self::assemble::{Assembler, Missed, Piece};
use self::chosen::Chooser;
use self::parts::parts;
use self::text::{count, grouped, safe};
use self::tree::Artist;
use crate::error::wrap;
use crate::telemetry::choice::{Choice, Holder, Query};
use crate::telemetry::exporter::{Account, Exporter};
use crate::telemetry::record::Resource;
use crate::telemetry::signal::{Batch, Signal, Signals};

/// Writes traces to `out` as they end.
pub struct Console<W> {
    /// None once a write has failed: nobody reads any more, and the run goes on without.
    out: Option<W>,
    resources: Arc<[Resource]>,
    services: FxHashMap<Arc<str>, usize>,
    style: Style,
    assembler: Assembler,
    /// None draws all traces.
    chooser: Option<Chooser>,
    /// Attributes that are shown of every span that has them.
    asked: Vec<(Holder, String)>,
    begun: bool,
    account: Arc<Account>,
}

impl<W: Write + Send> Exporter for Console<W> {
    fn name(&self) -> &str {
        "console"
    }

    fn takes(&self) -> Signals {
        Signals::of(&[Signal::Traces, Signal::Logs])
    }

    fn export(&mut self, batch: &Batch, _: &[Resource]) {
        Self::export(self, batch);
        self.account.exported(batch.count().only(self.takes()));
    }

    /// Who sends a request wants to see its trace now.
    fn wants_at_once(&self) -> bool {
        true
    }

    fn quiet(&mut self) {
        Self::export(self, &Batch::default());
    }

    fn flush(&mut self, _: tokio::time::Instant) {
        Self::flush(self);
    }

    fn account(&self) -> Arc<Account> {
        Arc::clone(&self.account)
    }
}

/// The same pieces. What ended after one trace, one part behind the other, is one part.
fn joined(pieces: &[Piece]) -> Vec<Cow<'_, Piece>> {
    let later = |piece: &Piece| match piece {
        Piece::Trace(Trace { id, part: Part::Later { .. }, .. }) => Some(*id),
        _ => None,
    };
    let mut joined: Vec<Cow<'_, Piece>> = Vec::with_capacity(pieces.len());
    for piece in pieces {
        let is_more = later(piece).is_some() && joined.last().and_then(|last| later(last)) == later(piece);
        match (joined.last_mut().filter(|_| is_more).map(Cow::to_mut), piece) {
            (Some(Piece::Trace(trace)), Piece::Trace(more)) => trace.join(more),
            _ => joined.push(Cow::Borrowed(piece)),
        }
    }
    joined
}

impl<W: Write + Send> Console<W> {
    /// `resources` is the run's table, in the order of the topology.
    pub fn new(out: W, resources: Arc<[Resource]>, style: Style) -> Self {
        let mut services = FxHashMap::default();
        for resource in &*resources {
            let index = services.len();
            services.entry(resource.service.clone()).or_insert(index);
        }
        let account = Account::new("console");
        Self {
            out: Some(out),
            resources,
            services,
            style,
            assembler: Assembler::default(),
            chooser: None,
            asked: Vec::new(),
            begun: false,
            account,
        }
    }

    /// Draws those traces only that are wanted, with the attributes that are asked for.
    pub fn choosing(self, wanted: Wanted) -> Self {
        let console = self.asking(&wanted.choice);
        Self { chooser: Some(Chooser::new(wanted)), ..console }
    }

    /// Shows the attributes of spans and of Resources that this choice asks for, whatever they say.
    pub fn asking(self, choice: &Choice) -> Self {
        let asked = choice.query.iter().flat_map(Query::attributes);
        Self { asked: asked.map(|(holder, key)| (holder, key.to_owned())).collect(), ..self }
    }

    /// Draws a trace of which all records are there.
    pub fn show(&mut self, trace: Trace) {
        let (pieces, missed) = parts(trace);
        self.write(&pieces, missed);
    }

    /// Takes what has ended, and writes the traces that this makes ready. An
    /// empty batch says that nothing has happened for a while: traces whose
    /// root came from a client of another process are then shown.
    pub fn export(&mut self, batch: &Batch) {
        let mut pieces = self.assembler.add(batch);
        if let Some(chooser) = &mut self.chooser {
            pieces = chooser.choose(pieces, &self.resources);
        }
        self.write(&pieces, Missed::default());
    }

    /// Writes what is left, finished or not, and how much was never shown.
    /// For the end of a run: what ends after it counts as late.
    pub fn flush(&mut self) {
        let (mut pieces, mut missed) = self.assembler.finish();
        if let Some(chooser) = &mut self.chooser {
            pieces = chooser.choose(pieces, &self.resources);
            pieces.extend(chooser.finish());
            missed.add(chooser.missed());
        }
        let text = self.draw(&pieces, missed) + &self.sum();
        self.put(&text);
    }

    /// How many of the traces were wanted, at the end of a run.
    fn sum(&self) -> String {
        let Some(chooser) = &self.chooser else { return String::new() };
        let (seen, matched, left_out) = chooser.sums();
        let number = |of| usize::try_from(of).unwrap_or(usize::MAX);
        let plural = if seen == 1 { "" } else { "s" };
        let mut text = format!("\n{} of {} trace{plural}\n", grouped(matched), grouped(seen));
        if left_out > 0 {
            let traces = count(number(left_out), "trace");
            text.push_str(&format!(
                "{traces} that are among the slowest left out: {} MiB are held\n",
                chosen::MAX_BYTES >> 20
            ));
        }
        for note in chooser.notes() {
            let note = wrap(&safe(&note, self.style.unicode), usize::from(self.style.width));
            text.push_str(note.trim_end());
            text.push('\n');
        }
        text
    }

    fn write(&mut self, pieces: &[Piece], missed: Missed) {
        let text = self.draw(pieces, missed);
        self.put(&text);
    }

    fn draw(&mut self, pieces: &[Piece], missed: Missed) -> String {
        let Self { style, resources, services, asked, begun, .. } = self;
        let artist = Artist { style: *style, resources, services, asked };
        let mut text = String::new();
        if !*begun && !pieces.is_empty() {
            text.push_str(&artist.legend());
            *begun = true;
        }
        for piece in joined(pieces) {
            match &*piece {
                Piece::Log(log) => text.push_str(&artist.draw_log(log)),
                Piece::Trace(trace) => {
                    text.push('\n');
                    text.push_str(&artist.draw(trace));
                }
            }
        }
        if missed != Missed::default() {
            let Missed { spans, logs } = missed;
            text.push_str(&format!(
                "\nNot shown: {} and {}, for which there was no room or no trace.\n",
                count(usize::try_from(spans).unwrap_or(usize::MAX), "span"),
                count(usize::try_from(logs).unwrap_or(usize::MAX), "log line"),
            ));
        }
        text
    }

    fn put(&mut self, text: &str) {
        let Some(out) = &mut self.out else { return };
        if let Err(error) = out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
            self.out = None;
            if error.kind() == std::io::ErrorKind::BrokenPipe {
                self.account.read_no_more();
            }
        }
    }
}

impl<W> fmt::Debug for Console<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { style, assembler, begun, .. } = self;
        f.debug_struct("Console")
            .field("style", style)
            .field("assembler", assembler)
            .field("begun", begun)
            .finish_non_exhaustive()
    }
}
