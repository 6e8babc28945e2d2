//! The records of several worlds, in one order.
//!
//! Each world has an inlet, and hands over its batches with the simulated instant
//! at which it does. They leave in the order of (instant, inlet), which no
//! thread's pace has a part in: within an inlet instants never go back, so the
//! first batches of all inlets say which is the next, and nothing leaves while a
//! inlet that is open has none.
//!
//! A world that is ahead of the others waits when its inlet is full. All cannot
//! wait at once: what is in a full inlet stays there only for the sake of one that
//! is empty, and whose inlet is empty does not wait.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use crate::model::Nanos;

use super::pipeline::Handoff;
use super::signal::Batch;

/// Records that wait in all inlets together.
const ROOM: usize = 65_536;

/// What waits in all inlets together takes about this at most: bytes.
const ROOM_BYTES: usize = 64 << 20;

/// An inlet has room for this many records in any case: a few batches.
const ROOM_AT_LEAST: usize = 2_048;

/// Where one world's records go in. When it is dropped, nothing more comes.
#[derive(Debug)]
pub struct Inlet(Entrance);

/// A way into an inlet. What comes after the inlet's end is still taken, in no order
/// that repeats: let nothing come.
#[derive(Clone, Debug)]
pub struct Entrance {
    merge: Arc<Merge>,
    index: usize,
}

#[derive(Debug)]
struct Merge {
    inlets: Mutex<Vec<Waiting>>,
    /// There is more room in an inlet.
    room_made: Condvar,
    /// Records for which each inlet has room.
    room: usize,
    handoff: Handoff,
}

/// What waits in an inlet.
#[derive(Debug, Default)]
struct Waiting {
    batches: VecDeque<(Nanos, Batch)>,
    records: usize,
    /// What its batches take: bytes.
    bytes: usize,
    is_closed: bool,
}

/// The inlets of `worlds` worlds, which lead to `handoff`. A single one holds
/// nothing back.
pub fn inlets(handoff: Handoff, worlds: usize) -> Vec<Inlet> {
    inlets_with(handoff, worlds, (ROOM / worlds.max(1)).max(ROOM_AT_LEAST))
}

fn inlets_with(handoff: Handoff, worlds: usize, room: usize) -> Vec<Inlet> {
    let inlets = (0..worlds).map(|_| Waiting::default()).collect();
    let merge = Arc::new(Merge { inlets: Mutex::new(inlets), room_made: Condvar::new(), room, handoff });
    (0..worlds).map(|index| Inlet(Entrance { merge: Arc::clone(&merge), index })).collect()
}

impl Inlet {
    /// For the thread of the world.
    pub fn entrance(&self) -> Entrance {
        self.0.clone()
    }
}

impl Drop for Inlet {
    fn drop(&mut self) {
        let Entrance { merge, index } = &self.0;
        let mut inlets = merge.lock();
        inlets[*index].is_closed = true;
        merge.let_out(&mut inlets);
    }
}

impl Entrance {
    /// Hands over what a world has recorded up to `now`. It waits for worlds that
    /// are behind, and as [`Handoff::send`] does.
    pub fn send(&self, now: Nanos, batch: Batch) {
        let merge = &*self.merge;
        // Before the lock: it takes a while.
        merge.handoff.make_room(&batch);
        let mut inlets = merge.lock();
        let (records, bytes) = (batch.len(), batch.weight());
        let room_bytes = ROOM_BYTES / inlets.len();
        while inlets[self.index].is_full((records, bytes), (merge.room, room_bytes)) {
            inlets = merge.room_made.wait(inlets).unwrap_or_else(PoisonError::into_inner);
        }
        let inlet = &mut inlets[self.index];
        debug_assert!(inlet.batches.back().is_none_or(|(last, _)| *last <= now), "time went back");
        inlet.records += records;
        inlet.bytes += bytes;
        inlet.batches.push_back((now, batch));
        merge.let_out(&mut inlets);
    }
}

impl Merge {
    /// Hands on what nothing can come before any more. The lock is kept
    /// meanwhile: it is what makes the order one.
    fn let_out(&self, inlets: &mut MutexGuard<'_, Vec<Waiting>>) {
        while let Some(batch) = next(inlets) {
            self.handoff.send(batch);
        }
        self.room_made.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Waiting>> {
        self.inlets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    /// An empty inlet takes any batch, so that none can be too large to pass.
    fn is_full(&self, more: (usize, usize), room: (usize, usize)) -> bool {
        !self.batches.is_empty() && (self.records + more.0 > room.0 || self.bytes + more.1 > room.1)
    }
}

/// The next batch of all, where it is known which that is.
fn next(inlets: &mut [Waiting]) -> Option<Batch> {
    if inlets.iter().any(|inlet| inlet.batches.is_empty() && !inlet.is_closed) {
        return None;
    }
    // Of several at an instant, the first inlet's.
    let firsts = inlets.iter_mut().filter_map(|inlet| Some((inlet.batches.front()?.0, inlet)));
    let (_, inlet) = firsts.min_by_key(|(instant, _)| *instant)?;
    let (_, batch) = inlet.batches.pop_front()?;
    inlet.records -= batch.len();
    inlet.bytes -= batch.weight();
    Some(batch)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::memory::Memory;
    use crate::telemetry::pipeline::{Batching, Pace, Pipeline};
    use crate::telemetry::record::{LogRecord, ResourceId, Scope, Severity, Text};

    /// Log records that a world has made at an instant.
    fn batch(inlet: usize, instant: Nanos, records: usize) -> Batch {
        let log = |_| LogRecord {
            time: instant,
            severity: Severity::Info,
            event_name: None,
            body: Text::Owned(format!("{instant} {inlet}")),
            attributes: Vec::new(),
            resource: ResourceId(0),
            scope: Scope::Guest,
            span: None,
        };
        (0..records).map(log).collect::<Vec<_>>().into()
    }

    /// What comes out when `worlds` send from threads of their own: all bodies, in order.
    fn merged(worlds: &[Vec<(Nanos, usize)>], room: usize) -> Vec<String> {
        let (memory, kept) = Memory::new();
        let resources = Arc::new([]);
        let batching = Batching::default();
        let (handoff, pipeline) =
            Pipeline::start(resources, vec![Box::new(memory)], None, Pace::Virtual, batching).unwrap();
        let inlets = inlets_with(handoff, worlds.len(), room);
        std::thread::scope(|scope| {
            for ((index, inlet), world) in inlets.into_iter().enumerate().zip(worlds) {
                scope.spawn(move || {
                    let entrance = inlet.entrance();
                    world.iter().for_each(|&(now, records)| entrance.send(now, batch(index, now, records)));
                });
            }
        });
        pipeline.shutdown(batching.timeout);
        kept.take().logs.iter().map(|log| log.body.to_string()).collect()
    }

    #[test]
    fn batches_leave_in_the_order_of_instants_and_inlets_whichever_thread_is_ahead() {
        // One that says much, one that says little, one that says nothing, and one in bursts.
        let worlds = [
            (0..3_000).map(|n| (n * 3, 2)).collect::<Vec<_>>(),
            (0..10).map(|n| (n * 900, 7)).collect(),
            Vec::new(),
            (0..1_500).map(|n| (n / 50 * 300, 1)).collect(),
        ];
        let mut expected = Vec::new();
        for (index, world) in worlds.iter().enumerate() {
            expected.extend(world.iter().map(|&(now, records)| (now, index, records)));
        }
        // Stable: what an inlet has sent at one instant stays in its order.
        expected.sort_by_key(|&(now, index, _)| (now, index));
        let expected: Vec<_> = expected
            .into_iter()
            .flat_map(|(now, index, records)| std::iter::repeat_n(format!("{now} {index}"), records))
            .collect();
        for room in [1, 10, ROOM] {
            assert!(merged(&worlds, room) == expected, "with room for {room}");
        }
    }

    #[test]
    fn a_batch_larger_than_an_inlet_passes() {
        assert_eq!(merged(&[vec![(1, 5), (2, 5)], vec![(0, 3)]], 2).len(), 13);
    }

    #[test]
    fn nothing_leaves_while_an_open_inlet_may_bring_something_earlier() {
        let inlet = |instants: &[Nanos], is_closed| Waiting {
            batches: instants.iter().map(|instant| (*instant, batch(0, *instant, 1))).collect(),
            records: instants.len(),
            bytes: instants.iter().map(|instant| batch(0, *instant, 1).weight()).sum(),
            is_closed,
        };
        let instant = |batch: Option<Batch>| batch.map(|batch| batch.logs[0].time);
        assert_eq!(instant(next(&mut [inlet(&[5], false), inlet(&[], false)])), None);
        assert_eq!(instant(next(&mut [inlet(&[5], false), inlet(&[], true)])), Some(5));
        let mut inlets = [inlet(&[5, 9], false), inlet(&[7], false)];
        assert_eq!([(); 3].map(|()| instant(next(&mut inlets))), [Some(5), Some(7), None]);
    }
}
