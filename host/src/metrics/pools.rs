//! The metrics of a process's pools of connections to databases.

use std::sync::Arc;

use opentelemetry_semantic_conventions::attribute;

use crate::database::PoolEvent;
use crate::model::Nanos;
use crate::telemetry::record::KeyValue;

use super::catalogue::Own;
use super::collecting::{Collecting, Counter};
use super::histogram::{Histogram, Shape};
use super::value::Measured;

/// Which pool it is.
#[derive(Clone, Copy, Debug)]
pub struct PoolOf<'a> {
    /// Its database, by its place in the topology.
    pub database: u32,
    /// What it is called.
    pub name: &'a str,
    /// Connections that it may have.
    pub most: u32,
}

/// The pools that a process has used, in the order in which they came: no more than there are databases.
#[derive(Debug, Default)]
pub struct Pools(Vec<Pool>);

#[derive(Debug)]
struct Pool {
    database: u32,
    /// Those of the pool, and with the state `idle` or `used`.
    attributes: Arc<[KeyValue]>,
    idle_attributes: Arc<[KeyValue]>,
    used_attributes: Arc<[KeyValue]>,
    most: u32,
    /// Connections, and requests that wait for one.
    idle: u32,
    used: u32,
    pending: u32,
    timeouts: Counter,
    creates: Option<Box<Histogram>>,
    waits: Option<Box<Histogram>>,
    uses: Option<Box<Histogram>>,
}

impl Pool {
    fn new(of: PoolOf<'_>) -> Self {
        let name = || KeyValue::new(attribute::DB_CLIENT_CONNECTION_POOL_NAME, of.name.to_owned());
        let with = |state| [name(), KeyValue::new(attribute::DB_CLIENT_CONNECTION_STATE, state)].into();
        Self {
            database: of.database,
            attributes: [name()].into(),
            idle_attributes: with("idle"),
            used_attributes: with("used"),
            most: of.most,
            idle: 0,
            used: 0,
            pending: 0,
            timeouts: Counter::new(Measured::Whole(0)),
            creates: None,
            waits: None,
            uses: None,
        }
    }
}

impl Pools {
    /// Something has happened in a pool.
    pub fn note(&mut self, shape: Shape, of: PoolOf<'_>, event: PoolEvent) {
        let known = self.0.iter().position(|pool| pool.database == of.database);
        let at = known.unwrap_or_else(|| {
            self.0.push(Pool::new(of));
            self.0.len() - 1
        });
        let pool = &mut self.0[at];
        match event {
            PoolEvent::Has { idle, used, pending } => {
                (pool.idle, pool.used, pool.pending) = (idle, used, pending);
            }
            PoolEvent::TimedOut => pool.timeouts.add(Measured::Whole(1)),
            PoolEvent::Created(took) => record(&mut pool.creates, shape, Own::ConnectionCreateTime, took),
            PoolEvent::Waited(took) => record(&mut pool.waits, shape, Own::ConnectionWaitTime, took),
            PoolEvent::Used(took) => record(&mut pool.uses, shape, Own::ConnectionUseTime, took),
        }
    }

    /// Leaves what there is.
    pub fn leave(&self, collecting: &mut Collecting<'_>) {
        let whole = |attributes: &Arc<[KeyValue]>, count: u32| {
            (Arc::clone(attributes), Measured::Whole(i64::from(count)))
        };
        let states = self.0.iter().flat_map(|pool| {
            [whole(&pool.idle_attributes, pool.idle), whole(&pool.used_attributes, pool.used)]
        });
        collecting.observed(Own::ConnectionCount, states);
        let all = self.0.iter().map(|pool| whole(&pool.attributes, pool.most));
        collecting.observed(Own::ConnectionMax, all);
        let all = self.0.iter().map(|pool| whole(&pool.attributes, pool.pending));
        collecting.observed(Own::ConnectionPending, all);
        let timeouts = self.0.iter().map(|pool| (&pool.attributes, &pool.timeouts));
        let timeouts = timeouts.filter(|(_, counter)| counter.sum().as_f64() > 0.0);
        collecting.counters(Own::ConnectionTimeouts, timeouts);
        self.leave_times(Own::ConnectionCreateTime, |pool| pool.creates.as_deref(), collecting);
        self.leave_times(Own::ConnectionWaitTime, |pool| pool.waits.as_deref(), collecting);
        self.leave_times(Own::ConnectionUseTime, |pool| pool.uses.as_deref(), collecting);
    }

    fn leave_times(&self, own: Own, of: fn(&Pool) -> Option<&Histogram>, collecting: &mut Collecting<'_>) {
        collecting.histograms(own, self.0.iter().filter_map(|pool| Some((&pool.attributes, of(pool)?))));
    }

    /// It has left: another interval begins at this instant.
    pub fn collected(&mut self, now: Nanos) {
        for pool in &mut self.0 {
            pool.timeouts.collected(now);
            let times = [&mut pool.creates, &mut pool.waits, &mut pool.uses];
            times.into_iter().flatten().for_each(|times| times.collected(now));
        }
    }
}

fn record(times: &mut Option<Box<Histogram>>, shape: Shape, own: Own, took: Nanos) {
    let (took, bounds) = (Measured::Time(took), own.bounds());
    let times = times.get_or_insert_with(|| Box::new(Histogram::new(shape, bounds, took)));
    times.record(took, bounds, None);
}
