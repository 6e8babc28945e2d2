//! The second reading of a file: the spans and log lines of the traces that are drawn.

use std::collections::BTreeMap;
use std::sync::Arc;

use rustc_hash::{FxHashMap, FxHashSet};

use super::ReadError;
use super::census::Summary;
use super::read::Source;
use super::records::{self, Line};
use crate::context::TraceId;
use crate::telemetry::choice::Choice;
use crate::telemetry::console::{Console, MAX_LOGS, MAX_SPANS, Part, Style, Trace, keep_longest};
use crate::telemetry::record::{KeyValue, LogRecord, Resource, ResourceId, SpanRecord};
use crate::telemetry::signal::{Batch, Record};

/// What the traces take that are held to be drawn: bytes.
pub const MAX_BYTES: usize = 256 << 20;

/// What was drawn.
#[derive(Debug, Default)]
pub struct Drawn {
    pub traces: usize,
    /// Spans of them that are in the file once more.
    pub twice: u64,
}

/// Appends a tree for each of these traces, in their order, and returns how many it has drawn.
/// Those that come last are not where there is no room.
pub fn draw(
    text: &mut String,
    source: &Source,
    traces: &[Summary],
    choice: &Choice,
    style: Style,
) -> Result<Drawn, ReadError> {
    let mut picked = Picked::new(traces.iter().map(|trace| trace.id), MAX_BYTES);
    if !traces.is_empty() {
        source.lines(|text| {
            if let Some(line) = records::line(text) {
                picked.add(line);
            }
        })?;
    }
    let (mut page, mut drawn) = (Vec::new(), Drawn::default());
    let mut console = Console::new(&mut page, Arc::from(picked.resources), style).asking(choice);
    for (place, Kept { batch, lost_spans, lost_logs, .. }) in picked.kept {
        let Batch { mut spans, logs, .. } = batch;
        if spans.is_empty() {
            continue;
        }
        drawn.traces += 1;
        drawn.twice += once(&mut spans);
        let id = traces[place].id;
        console.show(Trace { id, part: Part::Whole, spans, logs, lost_spans, lost_logs });
    }
    drop(console);
    text.push_str(&String::from_utf8_lossy(&page));
    Ok(drawn)
}

/// Leaves the first of equal spans, and returns how many it has taken away. The two sides of a call may have
/// one id.
fn once(spans: &mut Vec<SpanRecord>) -> u64 {
    let (before, mut known) = (spans.len(), FxHashSet::default());
    spans.retain(|span| known.insert((span.span_id, span.kind, span.start, span.end, span.name.to_string())));
    (before - spans.len()) as u64
}

/// The records of the traces that are to be drawn.
struct Picked {
    /// The place of each trace in the order in which they are drawn.
    places: FxHashMap<TraceId, usize>,
    /// By their places.
    kept: BTreeMap<usize, Kept>,
    /// From this place on there was no room.
    end: usize,
    /// The resources of the records that were ever kept.
    resources: Vec<Resource>,
    /// What is kept takes, resources too.
    bytes: usize,
    max_bytes: usize,
}

/// What is kept of a trace.
#[derive(Default)]
struct Kept {
    batch: Batch,
    bytes: usize,
    lost_spans: u64,
    lost_logs: u64,
}

impl Picked {
    fn new(ids: impl Iterator<Item = TraceId>, max_bytes: usize) -> Self {
        let places: FxHashMap<_, _> = ids.enumerate().map(|(place, id)| (id, place)).collect();
        let end = places.len();
        Self { places, kept: BTreeMap::new(), end, resources: Vec::new(), bytes: 0, max_bytes }
    }

    /// Keeps what is wanted of a line.
    fn add(&mut self, line: Line) {
        let Line { resources, spans, logs, .. } = line;
        let mut known = vec![None; resources.len()];
        for mut span in spans {
            let Some(place) = self.place(span.trace_id) else { continue };
            if !self.has_room(place) {
                self.lose(place, |kept| kept.lost_spans += 1);
                continue;
            }
            span.resource = self.resource(&resources, &mut known, span.resource);
            let kept = self.kept.entry(place).or_default();
            let before = kept.bytes;
            kept.push(span);
            self.bytes = self.bytes + kept.bytes - before;
        }
        for mut log in logs {
            let Some(place) = log.span.and_then(|(id, ..)| self.place(id)) else { continue };
            let is_full = self.kept.get(&place).is_some_and(|kept| kept.batch.logs.len() >= MAX_LOGS);
            if is_full || !self.has_room(place) {
                self.lose(place, |kept| kept.lost_logs += 1);
                continue;
            }
            log.resource = self.resource(&resources, &mut known, log.resource);
            let kept = self.kept.entry(place).or_default();
            let weight = LogRecord::weight(&log);
            kept.bytes += weight;
            self.bytes += weight;
            kept.batch.logs.push(log);
        }
    }

    /// The place of a trace that is drawn.
    fn place(&self, id: TraceId) -> Option<usize> {
        self.places.get(&id).copied().filter(|place| *place < self.end)
    }

    /// Whether there is room for a record of the trace at this place. Traces that are drawn
    /// later make room for it.
    fn has_room(&mut self, place: usize) -> bool {
        while self.bytes > self.max_bytes {
            let last = self.kept.last_key_value().map_or(place, |(last, _)| *last);
            let is_alone = self.kept.keys().all(|other| *other == place);
            if is_alone {
                return false;
            }
            self.end = self.end.min(last.max(place));
            if last < place {
                return false;
            }
            self.bytes -= self.kept.remove(&last).map_or(0, |kept| kept.bytes);
            if last == place {
                return false;
            }
        }
        true
    }

    /// Notes a record that is not kept of a trace that is drawn.
    fn lose(&mut self, place: usize, note: impl FnOnce(&mut Kept)) {
        if place < self.end {
            note(self.kept.entry(place).or_default());
        }
    }

    /// The number of a line's resource in the table; `known` are those of that line so far.
    fn resource(
        &mut self,
        resources: &[Resource],
        known: &mut [Option<ResourceId>],
        of: ResourceId,
    ) -> ResourceId {
        let resource = &resources[of.0 as usize];
        *known[of.0 as usize].get_or_insert_with(|| {
            // Few instances make many lines, each of them a few: the last is often the same again.
            let index = self.resources.iter().rposition(|known| known == resource).unwrap_or_else(|| {
                self.bytes += resource.attributes.iter().map(KeyValue::weight).sum::<usize>();
                self.bytes += size_of::<Resource>() + resource.service.len();
                self.resources.push(resource.clone());
                self.resources.len() - 1
            });
            ResourceId(index as u32)
        })
    }
}

impl Kept {
    fn push(&mut self, span: SpanRecord) {
        self.bytes += span.weight();
        self.batch.spans.push(span);
        // Twice as many, so that cutting costs little for each span.
        if self.batch.spans.len() >= 2 * MAX_SPANS {
            let lost = keep_longest(&mut self.batch.spans, MAX_SPANS);
            self.lost_spans += lost.count;
            self.bytes -= lost.bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A line with one span of the trace with this number, whose name has a thousand letters.
    fn line(trace: u32, span: u32) -> Line {
        let name = "x".repeat(1_000);
        let text = format!(
            r#"{{"resourceSpans":[{{"resource":{{}},"scopeSpans":[{{"spans":[{{"traceId":"{trace:032x}",
            "spanId":"{span:016x}","name":"{name}","startTimeUnixNano":"1","endTimeUnixNano":"2"}}]}}]}}]}}"#
        );
        records::line(&text).expect("a line")
    }

    /// Traces 1 to 4, in this order.
    fn picked(max_bytes: usize) -> Picked {
        let ids = (1..=4).map(|trace| line(trace, 1).spans[0].trace_id);
        Picked::new(ids, max_bytes)
    }

    #[test]
    fn traces_that_are_drawn_last_make_room_for_the_first() {
        let mut picked = picked(10_000);
        for span in 1..=6 {
            for trace in [4, 3, 2, 1] {
                picked.add(line(trace, span));
                assert!(picked.bytes < 12_000, "{}", picked.bytes);
            }
        }
        let kept: Vec<_> = picked
            .kept
            .iter()
            .map(|(place, kept)| (*place, kept.batch.spans.len(), kept.lost_spans))
            .collect();
        // What is there is whole.
        assert_eq!(kept, [(0, 6, 0)]);
        assert_eq!((picked.end, picked.resources.len()), (1, 1));
    }

    #[test]
    fn a_trace_that_alone_is_too_large_has_a_part() {
        let mut picked = picked(10_000);
        (1..=100).for_each(|span| picked.add(line(1, span)));
        let kept = &picked.kept[&0];
        assert_eq!(kept.batch.spans.len() as u64 + kept.lost_spans, 100);
        assert!((5..20).contains(&kept.batch.spans.len()), "{}", kept.batch.spans.len());
    }

    #[test]
    fn resources_of_other_traces_are_not_kept() {
        let mut picked = picked(10_000);
        picked.add(line(5, 1));
        assert_eq!((picked.resources.len(), picked.bytes), (0, 0));
    }
}
