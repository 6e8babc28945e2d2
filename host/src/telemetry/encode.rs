//! From records to OTLP (opentelemetry-proto 1.x).
//!
//! Records are grouped by resource, in the order of [`ResourceId`], then by
//! scope; within a group they keep the order in which they ended. One request
//! holds any number of resources, and as many records as its size allows.

pub mod json;
pub(super) mod wire;

use serde::ser::SerializeMap;

use super::record::{Resource, ResourceId, Scope};
use wire::{Base, Based, Part, Sink};

/// The largest request in bytes before compression: what gRPC servers accept
/// unless told otherwise (4 MiB), less some room for framing.
pub const REQUEST_BYTES: usize = (4 << 20) - (64 << 10);

/// A message inside of another costs its tag, 1 byte, and its length, at most 5.
const FRAME: usize = 6;

/// The version of all scopes: guests' spans are recorded by the host too.
const SCOPE_VERSION: &str = env!("CARGO_PKG_VERSION");

/// How records are packed into requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packing {
    /// Encoded size of a request, before compression.
    pub bytes: usize,
    /// Records in one request, as receivers count them.
    pub records: usize,
}

/// A record as OTLP has it, in both of its encodings.
pub trait Encode {
    /// In JSON, the keys of the lists of resources, of scopes, and of records.
    const LISTS: [&'static str; 3];

    /// Whose it is, and which code made it.
    fn origin(&self) -> (ResourceId, Scope);

    /// How many it is for receivers, which count spans, log records, and the data points
    /// of a metric.
    fn items(&self) -> usize;

    /// Puts its fields, in the order of their numbers.
    fn put(&self, base: Base, out: &mut impl Sink);

    /// Its fields as JSON ("JSON Protobuf Encoding"). Those that are empty or zero are left
    /// out.
    ///
    /// # Errors
    /// Those of `map`.
    fn fields<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error>;
}

/// Records of one resource and scope, each with its encoded size.
#[derive(Debug)]
struct Group<'a, R> {
    resource: ResourceId,
    scope: Scope,
    records: Vec<(&'a R, usize)>,
}

impl<R> Group<'_, R> {
    fn same_resource(&self, other: &Self) -> bool {
        self.resource == other.resource
    }
}

/// The records in the order in which they are encoded.
fn sorted<R: Encode>(records: &[R]) -> Vec<&R> {
    let mut order: Vec<&R> = records.iter().collect();
    // Stable: within a group the order of arrival stays.
    order.sort_by_key(|record| record.origin());
    order
}

/// Encodes records as requests (`ExportTraceServiceRequest`, `ExportLogsServiceRequest`, …)
/// and gives each to `sink`, with its number of [items](Encode::items). Returns how many were
/// left out because their record alone exceeds `packing.bytes`.
///
/// A request is closed before it exceeds its bounds. Sizes are summed up with the most that
/// the frame of each part can cost.
pub fn requests<R: Encode>(
    records: &[R],
    resources: &[Resource],
    packing: Packing,
    mut sink: impl FnMut(Vec<u8>, usize),
) -> usize {
    let mut groups: Vec<Group<'_, R>> = Vec::new();
    let (mut size, mut count, mut too_large) = (0, 0, 0);
    let mut measured = None;
    let mut headers = (0, 0);
    for record in sorted(records) {
        let (resource, scope) = record.origin();
        if measured.replace((resource, scope)) != Some((resource, scope)) {
            headers = (header_size(&resources[resource.0 as usize]), header_size(&scope));
        }
        let own = Based { record, base: Base::default() }.size();
        let alone = headers.0 + headers.1 + FRAME + own;
        if alone > packing.bytes {
            too_large += record.items();
            continue;
        }
        let mut added = match groups.last() {
            Some(last) if last.resource == resource && last.scope == scope => FRAME + own,
            Some(last) if last.resource == resource => headers.1 + FRAME + own,
            _ => alone,
        };
        if !groups.is_empty() && (size + added > packing.bytes || count >= packing.records) {
            sink(wire::request(&groups, resources), count);
            groups.clear();
            (size, count, added) = (0, 0, alone);
        }
        match groups.last_mut() {
            Some(last) if last.resource == resource && last.scope == scope => {
                last.records.push((record, own))
            }
            _ => groups.push(Group { resource, scope, records: vec![(record, own)] }),
        }
        size += added;
        count += record.items();
    }
    if !groups.is_empty() {
        sink(wire::request(&groups, resources), count);
    }
    too_large
}

/// What a group costs on top of its records: its own frame, `header` in a frame,
/// and the schema's URL in a frame.
fn header_size(header: &impl Part) -> usize {
    FRAME + FRAME + header.size() + FRAME + opentelemetry_semantic_conventions::SCHEMA_URL.len()
}
