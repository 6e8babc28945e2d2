//! The metrics of a process that sends and processes messages.

use std::sync::Arc;

use crate::model::Nanos;
use crate::telemetry::record::KeyValue;

use super::catalogue::Own;
use super::collecting::{Collecting, Counter};
use super::exemplars::{ExemplarRule, Origin};
use super::histogram::{Histogram, Shape};
use super::series::{One, Series};
use super::value::Measured;

/// Stands for the attributes of messages that were sent or processed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MessageKey {
    /// The topic, or of messages that are processed the group: by a number of the caller's.
    pub place: u32,
    /// `error.type`, if it failed.
    pub error: Option<&'static str>,
}

/// Messages that were sent or processed together.
#[derive(Clone, Copy, Debug)]
pub struct Exchanged {
    pub messages: u64,
    pub took: Nanos,
    pub origin: Origin,
}

/// What a process has sent, or what it has processed.
#[derive(Debug, Default)]
pub struct Messages(Series<MessageKey, Of>);

/// Those with the same attributes.
#[derive(Debug)]
struct Of {
    duration: Histogram,
    count: Counter,
}

/// The instruments of a side: how long it took, and how many messages there were.
pub type Exchange = [Own; 2];

pub const SENT: Exchange = [Own::MessagingDuration, Own::MessagesSent];
pub const PROCESSED: Exchange = [Own::ProcessDuration, Own::MessagesConsumed];

impl Messages {
    /// Counts messages.
    pub fn note(
        &mut self,
        (shape, rule): (Shape, &ExemplarRule),
        [durations, _]: Exchange,
        key: MessageKey,
        attributes: impl FnOnce() -> Arc<[KeyValue]>,
        Exchanged { messages, took, origin }: Exchanged,
    ) {
        let (took, bounds, count) =
            (Measured::Time(took), durations.bounds(), Measured::Whole(messages as i64));
        let new = || Of { duration: Histogram::new(shape, bounds, took), count: Counter::new(count) };
        let of = self.0.at(key, attributes, new);
        of.duration.record(took, bounds, rule.candidate(took, origin));
        of.count.add(count);
    }

    /// Leaves what there is.
    pub fn leave(&self, [durations, counts]: Exchange, collecting: &mut Collecting<'_>) {
        let all = self.0.iter().map(|one| (&one.attributes, &one.state.duration));
        collecting.histograms(durations, all);
        collecting.counters(counts, self.0.iter().map(|one| (&one.attributes, &one.state.count)));
    }

    /// It has left: another interval begins at this instant.
    pub fn collected(&mut self, now: Nanos) {
        for One { state: Of { duration, count }, .. } in self.0.iter_mut() {
            duration.collected(now);
            count.collected(now);
        }
    }
}
