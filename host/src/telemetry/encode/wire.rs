//! Records as protobuf, straight from where they lie.
//!
//! To build the messages of `opentelemetry-proto` and have prost encode them
//! costs some twenty allocations for each span and over twice as long (see
//! `benches/export.rs`). Tests hold this to the same bytes.
//!
//! Each message is described once, as a [`Part`] that puts its fields into a
//! [`Sink`]: one sink counts, so that a length can stand before its message,
//! and one writes.

use opentelemetry_semantic_conventions::SCHEMA_URL;
use prost::encoding::{WireType, encoded_len_varint};

use super::{Encode, Group, SCOPE_VERSION};
use crate::context::TraceId;
use crate::telemetry::record::{KeyValue, Resource, Scope, Value};

/// The request for these groups. Signals differ in their records only: what stands
/// around them has the same numbers.
pub(super) fn request<R: Encode>(groups: &[Group<'_, R>], resources: &[Resource]) -> Vec<u8> {
    let request = Request { groups, resources };
    let mut out = Vec::with_capacity(request.size());
    request.put(&mut out);
    out
}

/// A message, without its tag and length.
pub trait Part {
    /// Bytes that its length will probably take, as a varint: where it takes another number, the
    /// message is moved once it is written.
    const LENGTH_WIDTH: usize = 1;

    /// Puts its fields, in the order of their numbers.
    fn put(&self, out: &mut impl Sink);

    /// Its length in bytes.
    fn size(&self) -> usize {
        let mut size = Size(0);
        self.put(&mut size);
        size.0
    }

    /// Its length, where that is quicker to tell than to write the message and look.
    fn known_size(&self) -> Option<usize> {
        None
    }
}

/// What takes fields in. The methods without `_always` leave out what has its
/// default value, as proto3 does.
pub trait Sink {
    /// A number alone, as a varint: part of a field.
    fn number(&mut self, value: u64);

    /// Bytes alone: part of a field.
    fn raw(&mut self, bytes: &[u8]);

    fn part<P: Part>(&mut self, tag: u32, part: &P);

    #[inline]
    fn key(&mut self, tag: u32, kind: WireType) {
        self.number(u64::from(tag << 3 | kind as u32));
    }

    #[inline]
    fn varint_always(&mut self, tag: u32, value: u64) {
        self.key(tag, WireType::Varint);
        self.number(value);
    }

    #[inline]
    fn fixed32_always(&mut self, tag: u32, value: u32) {
        self.key(tag, WireType::ThirtyTwoBit);
        self.raw(&value.to_le_bytes());
    }

    #[inline]
    fn fixed64_always(&mut self, tag: u32, value: u64) {
        self.key(tag, WireType::SixtyFourBit);
        self.raw(&value.to_le_bytes());
    }

    #[inline]
    fn bytes_always(&mut self, tag: u32, bytes: &[u8]) {
        self.key(tag, WireType::LengthDelimited);
        self.number(bytes.len() as u64);
        self.raw(bytes);
    }

    #[inline]
    fn varint(&mut self, tag: u32, value: u64) {
        if value != 0 {
            self.varint_always(tag, value);
        }
    }

    #[inline]
    fn fixed64(&mut self, tag: u32, value: u64) {
        if value != 0 {
            self.fixed64_always(tag, value);
        }
    }

    #[inline]
    fn text(&mut self, tag: u32, text: &str) {
        if !text.is_empty() {
            self.bytes_always(tag, text.as_bytes());
        }
    }
}

/// Counts bytes.
struct Size(usize);

impl Sink for Size {
    fn number(&mut self, value: u64) {
        self.0 += encoded_len_varint(value);
    }

    fn raw(&mut self, bytes: &[u8]) {
        self.0 += bytes.len();
    }

    fn part<P: Part>(&mut self, tag: u32, part: &P) {
        let size = part.known_size().unwrap_or_else(|| part.size());
        self.key(tag, WireType::LengthDelimited);
        self.number(size as u64);
        self.0 += size;
    }
}

impl Sink for Vec<u8> {
    /// Seven bits in each byte, the lowest first; the eighth says that more follow.
    #[inline]
    fn number(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.push(value as u8);
    }

    #[inline]
    fn raw(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }

    fn part<P: Part>(&mut self, tag: u32, part: &P) {
        self.key(tag, WireType::LengthDelimited);
        if let Some(size) = part.known_size() {
            self.number(size as u64);
            return part.put(self);
        }
        // To count first would go through the message twice, and through each part of it once more.
        let at = self.len();
        self.resize(at + P::LENGTH_WIDTH, 0);
        part.put(self);
        let size = self.len() - at - P::LENGTH_WIDTH;
        if P::LENGTH_WIDTH == 1 && size < 0x80 {
            self[at] = size as u8;
        } else {
            fill_in_length(self, at, P::LENGTH_WIDTH);
        }
    }
}

/// Writes the length of the message that ends `out` before it, where `width` bytes from `at` on are for it.
fn fill_in_length(out: &mut Vec<u8>, at: usize, width: usize) {
    let message = at + width;
    let mut size = out.len() - message;
    let needed = encoded_len_varint(size as u64);
    if needed != width {
        let end = out.len();
        out.resize(end + needed.saturating_sub(width), 0);
        out.copy_within(message..end, at + needed);
        out.truncate(at + needed + size);
    }
    let (last, others) = out[at..at + needed].split_last_mut().expect("a varint has a byte");
    for byte in others {
        *byte = size as u8 | 0x80;
        size >>= 7;
    }
    *last = size as u8;
}

/// `ExportTraceServiceRequest`, `ExportLogsServiceRequest`, ….
struct Request<'a, R> {
    groups: &'a [Group<'a, R>],
    resources: &'a [Resource],
}

impl<R: Encode> Part for Request<'_, R> {
    fn put(&self, out: &mut impl Sink) {
        for groups in self.groups.chunk_by(Group::same_resource) {
            let resource = &self.resources[groups[0].resource.0 as usize];
            out.part(1, &OfResource { groups, resource });
        }
    }
}

/// `ResourceSpans`, `ResourceLogs`, ….
struct OfResource<'a, R> {
    groups: &'a [Group<'a, R>],
    resource: &'a Resource,
}

impl<R: Encode> Part for OfResource<'_, R> {
    fn put(&self, out: &mut impl Sink) {
        out.part(1, self.resource);
        for group in self.groups {
            out.part(2, group);
        }
        out.text(3, SCHEMA_URL);
    }

    /// It holds much, and most of that has a known size.
    fn known_size(&self) -> Option<usize> {
        Some(self.size())
    }
}

/// `ScopeSpans`, `ScopeLogs`, ….
impl<R: Encode> Part for Group<'_, R> {
    fn put(&self, out: &mut impl Sink) {
        out.part(1, &self.scope);
        for (record, size) in &self.records {
            out.part(2, &Measured { record: *record, size: *size });
        }
        out.text(3, SCHEMA_URL);
    }

    fn known_size(&self) -> Option<usize> {
        Some(self.size())
    }
}

/// A record whose size is known: it is asked for three times.
struct Measured<'a, R> {
    record: &'a R,
    size: usize,
}

impl<R: Encode> Part for Measured<'_, R> {
    fn put(&self, out: &mut impl Sink) {
        self.record.put(Base::default(), out);
    }

    fn size(&self) -> usize {
        self.size
    }

    fn known_size(&self) -> Option<usize> {
        Some(self.size)
    }
}

/// `Resource`.
impl Part for Resource {
    fn put(&self, out: &mut impl Sink) {
        self.attributes.iter().for_each(|attribute| out.part(1, attribute));
    }
}

/// `InstrumentationScope`.
impl Part for Scope {
    fn put(&self, out: &mut impl Sink) {
        out.text(1, self.name());
        out.text(2, SCOPE_VERSION);
    }
}

/// What a record's times and trace id are told from: nothing, for those who
/// receive it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Base {
    /// Nanoseconds since the Unix epoch that count as zero.
    pub time: u64,
    /// What is taken off the trace id's upper 64 bits, by exclusive or.
    pub trace: u64,
}

impl Base {
    pub const fn time(self, time: u64) -> u64 {
        time.wrapping_sub(self.time)
    }

    pub const fn trace_id(self, id: TraceId) -> [u8; 16] {
        (id.0.get() ^ (self.trace as u128) << 64).to_be_bytes()
    }
}

/// A record as seen from a base.
pub struct Based<'a, R> {
    pub record: &'a R,
    pub base: Base,
}

impl<R: Encode> Part for Based<'_, R> {
    /// Few records take less than 128 bytes, and few more than 16 KiB.
    const LENGTH_WIDTH: usize = 2;

    fn put(&self, out: &mut impl Sink) {
        self.record.put(self.base, out);
    }
}

/// `KeyValue`.
impl Part for KeyValue {
    #[inline]
    fn put(&self, out: &mut impl Sink) {
        out.text(1, &self.key);
        out.part(2, &self.value);
    }
}

/// `AnyValue`, one of whose fields is always there, whatever its value.
impl Part for Value {
    #[inline]
    fn put(&self, out: &mut impl Sink) {
        match self {
            Self::Text(text) => TextValue(text).put(out),
            Self::Bool(value) => out.varint_always(2, (*value).into()),
            Self::Int(value) => IntValue(*value).put(out),
            Self::Float(value) => out.fixed64_always(4, value.to_bits()),
            Self::Texts(texts) => out.part(5, &Array(texts, |text| TextValue(text))),
            Self::Ints(ints) => out.part(5, &Array(ints, |int| IntValue(*int))),
        }
    }
}

/// `AnyValue` of a text.
pub struct TextValue<'a>(pub &'a str);

impl Part for TextValue<'_> {
    #[inline]
    fn put(&self, out: &mut impl Sink) {
        out.bytes_always(1, self.0.as_bytes());
    }
}

/// `AnyValue` of a whole number.
struct IntValue(i64);

impl Part for IntValue {
    #[inline]
    fn put(&self, out: &mut impl Sink) {
        // int64 on the wire: two's complement, no zigzag.
        out.varint_always(3, self.0.cast_unsigned());
    }
}

/// `ArrayValue`, and how its items are values.
struct Array<'a, T, P>(&'a [T], fn(&'a T) -> P);

impl<T, P: Part> Part for Array<'_, T, P> {
    fn put(&self, out: &mut impl Sink) {
        self.0.iter().for_each(|item| out.part(1, &(self.1)(item)));
    }
}
