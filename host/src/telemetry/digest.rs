//! One number for all that a run has recorded: equal digests, equal runs.
//!
//! The digest is SHA-256 over the OTLP of every record, whatever the exporters,
//! the batches and the instant at which the run began:
//!
//! - The records of each signal are a text, in the order in which they were made. The
//!   digest is that of [`VERSION`], the digests of the texts of traces and of logs, and, for each
//!   further signal that has records, its [path](super::signal::Spec::path) and its text's digest.
//! - A text is a sequence of entries. An entry is a protobuf message: the
//!   record's `Resource` (1) without the attributes of [`BUILD`], where the text
//!   has not had it yet; the number of that resource (2), counted from zero as
//!   they come; the name of the scope
//!   (3); the record (4), an OTLP `Span`, `LogRecord`, …. Each is preceded by its
//!   length, as protobuf's delimited messages are.
//! - Times count from the run's start, and trace ids are those of a run that
//!   begins at [`VIRTUAL_START`](crate::clock::VIRTUAL_START).
//!
//! The digest is of what was recorded, not of what recorded it: a guest that is
//! built anew, or another release of simhost, moves it only where a record differs.
//! A resource without records counts for nothing. What a guest itself writes down of
//! the time or of trace ids, in attributes or log records, is hashed as it stands.

use opentelemetry_semantic_conventions::attribute;
use sha2::{Digest as _, Sha256};

use super::encode::Encode;
use super::encode::wire::{Base, Based, Part, Sink};
use super::record::{KeyValue, Resource};
use super::signal::{Batch, PerSignal, Record, Signal, each_signal};

/// What the digest is a digest of: a change to the form above is another version.
pub const VERSION: &str = "simhost digest 2\n";

/// SHA-256 of the component that ran, in hexadecimal: an attribute of its Resource.
pub const GUEST_DIGEST: &str = "simhost.guest.digest";

/// Attributes of a Resource that say which build made its records. They have no part in the
/// digest, so that equal runs of two builds have equal digests. A guest of `--guest`, or of a
/// `bad-deploy` without `version`, also has its build in `service.version`, which is hashed.
pub const BUILD: [&str; 2] = [GUEST_DIGEST, attribute::TELEMETRY_SDK_VERSION];

/// Bytes that are gathered before they are hashed: small pieces cost more, and
/// this still fits the processor's second cache.
const PIECE: usize = 64 << 10;

/// The digest of a run, while it is made.
#[derive(Debug)]
pub struct Digest(PerSignal<SignalDigest>);

impl Digest {
    /// The digest of a run that begins at `start`, in nanoseconds since the Unix
    /// epoch, and masks the upper halves of its trace ids with `mask`.
    pub fn new(start: u64, mask: u64) -> Self {
        let base = Base { time: start, trace: mask };
        Self(PerSignal::from_fn(|_| SignalDigest::new(base)))
    }

    /// Takes records in, in the order in which they were made. How they are
    /// batched makes no difference.
    pub fn take(&mut self, batch: &Batch, resources: &[Resource]) {
        each_signal!(R => self.0[R::SIGNAL].take(R::list(batch), resources));
    }

    /// The digest of all that was taken in, in hexadecimal.
    pub fn finish(self) -> String {
        let mut whole = Sha256::new();
        whole.update(VERSION);
        for (signal, of_signal) in Signal::ALL.into_iter().zip(self.0.0) {
            let is_of_first = matches!(signal, Signal::Traces | Signal::Logs);
            if !is_of_first && of_signal.come == 0 {
                continue;
            }
            if !is_of_first {
                whole.update(signal.spec().path);
            }
            whole.update(of_signal.finish());
        }
        hex(&whole.finalize())
    }
}

/// The records of one signal.
struct SignalDigest {
    base: Base,
    hash: Sha256,
    /// What is not hashed yet.
    piece: Vec<u8>,
    /// An entry on its way into the piece; kept for its memory.
    entry: Vec<u8>,
    /// The numbers of the resources that have come, by their ids.
    numbers: Vec<Option<u64>>,
    come: u64,
}

impl SignalDigest {
    fn new(base: Base) -> Self {
        let hash = Sha256::new();
        Self { base, hash, piece: Vec::new(), entry: Vec::new(), numbers: Vec::new(), come: 0 }
    }

    fn take<R: Encode>(&mut self, records: &[R], resources: &[Resource]) {
        self.numbers.resize(resources.len(), None);
        for record in records {
            let (id, scope) = record.origin();
            let id = id.0 as usize;
            self.entry.clear();
            let number = self.numbers[id].unwrap_or_else(|| {
                self.entry.part(1, &Unbuilt(&resources[id]));
                self.come += 1;
                *self.numbers[id].insert(self.come - 1)
            });
            self.entry.varint_always(2, number);
            self.entry.text(3, scope.name());
            self.entry.part(4, &Based { record, base: self.base });
            prost::encoding::encode_varint(self.entry.len() as u64, &mut self.piece);
            self.piece.extend_from_slice(&self.entry);
            if self.piece.len() >= PIECE {
                self.hash.update(&self.piece);
                self.piece.clear();
            }
        }
    }

    fn finish(mut self) -> [u8; 32] {
        self.hash.update(&self.piece);
        self.hash.finalize().into()
    }
}

/// A `Resource` without the attributes of [`BUILD`].
struct Unbuilt<'a>(&'a Resource);

impl Part for Unbuilt<'_> {
    fn put(&self, out: &mut impl Sink) {
        let is_of_build = |attribute: &&KeyValue| BUILD.contains(&&*attribute.key);
        let rest = self.0.attributes.iter().filter(|attribute| !is_of_build(attribute));
        rest.for_each(|attribute| out.part(1, attribute));
    }
}

impl std::fmt::Debug for SignalDigest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SignalDigest")
            .field("base", &self.base)
            .field("come", &self.come)
            .finish_non_exhaustive()
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
