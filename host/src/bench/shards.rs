//! Several worlds at a time, as `--shards` has them.

use std::sync::Barrier;
use std::thread;

use super::lab::{Lab, ORDER};
use super::{BenchError, Effort, orders_without_sleeps};

/// Spans in a second of wall time that `worlds` worlds record, each on a thread of
/// its own, and that as many threads beside them encode: the best round.
pub fn spans_a_second(effort: Effort, worlds: usize) -> Result<f64, BenchError> {
    let ready = Barrier::new(worlds);
    let rounds = || -> Result<Vec<f64>, BenchError> {
        let lab = Lab::encoding_beside(&orders_without_sleeps());
        // Also when there is no lab: the others wait for this one.
        ready.wait();
        let lab = lab?;
        Ok((0..effort.rounds).map(|_| lab.spans_a_second(ORDER, effort.each)).collect())
    };
    let each = thread::scope(|scope| {
        let threads: Vec<_> = (0..worlds).map(|_| scope.spawn(rounds)).collect();
        let rounds = threads.into_iter().map(|thread| thread.join().expect("no world panics"));
        rounds.collect::<Result<Vec<_>, _>>()
    })?;
    let together = |round: usize| each.iter().map(|rounds| rounds[round]).sum::<f64>();
    Ok((0..effort.rounds as usize).map(together).fold(0.0, f64::max))
}
