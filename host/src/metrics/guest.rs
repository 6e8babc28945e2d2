//! Instruments of guests: what a service measures of its own accord.

use std::sync::Arc;

use crate::telemetry::record::{Instrument, KeyValue, NumberPoint, Points, Scope};

use super::catalogue::Kind;
use super::collecting::{Collecting, Counter};
use super::exemplars::{Exemplars, OF_NUMBER, Origin, Rule};
use super::histogram::{Histogram, Shape};
use super::series::{AttributeSet, Series};
use super::value::Measured;

/// Instruments that a replica's guest has at most.
pub const INSTRUMENTS: usize = 100;

/// What an instrument of a guest is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GuestKind {
    Counter,
    UpDownCounter,
    Gauge,
    Histogram,
}

/// An instrument, as a guest asks for it.
#[derive(Clone, Debug, PartialEq)]
pub struct Described {
    pub instrument: Instrument,
    pub kind: GuestKind,
    /// The upper bounds of a histogram's buckets, in ascending order; empty for another.
    pub bounds: Vec<f64>,
}

/// Which instrument of its replica it is, for as long as the process lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InstrumentId(u32);

/// Why a guest gets no instrument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// It has [`INSTRUMENTS`] already.
    TooMany,
    /// It has another of this name, which differs in kind, unit, description or bounds.
    Conflict,
}

/// Why a measurement counts for nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rejected {
    NotFinite,
    /// A counter only grows.
    Negative,
    /// The process that had the instrument has died.
    Gone,
}

/// The instruments of a replica's guest.
#[derive(Clone, Debug, Default)]
pub struct GuestInstruments(Vec<GuestInstrument>);

#[derive(Clone, Debug)]
struct GuestInstrument {
    instrument: Arc<Instrument>,
    kind: GuestKind,
    bounds: Arc<[f64]>,
    series: Series<AttributeSet, State>,
}

#[derive(Clone, Debug)]
enum State {
    Sum(Counter),
    /// The last value.
    Gauge(Measured, Exemplars),
    Histogram(Box<Histogram>),
}

impl GuestInstruments {
    /// The instrument of this description: one is made, or is there already.
    ///
    /// # Errors
    /// There are too many, or one of the same name is another.
    pub fn get(&mut self, described: Described) -> Result<InstrumentId, Refused> {
        let Described { instrument, kind, bounds } = described;
        if let Some(at) = self.0.iter().position(|known| known.instrument.name == instrument.name) {
            let known = &self.0[at];
            let is_same = *known.instrument == instrument && known.kind == kind && *known.bounds == *bounds;
            return if is_same { Ok(InstrumentId(at as u32)) } else { Err(Refused::Conflict) };
        }
        if self.0.len() >= INSTRUMENTS {
            return Err(Refused::TooMany);
        }
        let (instrument, bounds) = (Arc::new(instrument), bounds.into());
        self.0.push(GuestInstrument { instrument, kind, bounds, series: Series::default() });
        Ok(InstrumentId(self.0.len() as u32 - 1))
    }

    /// Notes a value; `origin` is the span that is current in the guest, if there is one.
    ///
    /// # Errors
    /// The value is none that the instrument can take.
    pub fn record(
        &mut self,
        (shape, rule): (Shape, &Rule),
        id: InstrumentId,
        value: f64,
        attributes: Vec<KeyValue>,
        origin: Option<Origin>,
    ) -> Result<(), Rejected> {
        let Some(instrument) = self.0.get_mut(id.0 as usize) else { return Err(Rejected::Gone) };
        let GuestInstrument { kind, bounds, series, .. } = instrument;
        if !value.is_finite() {
            return Err(Rejected::NotFinite);
        }
        if *kind == GuestKind::Counter && value < 0.0 {
            return Err(Rejected::Negative);
        }
        let value = Measured::Float(value);
        let candidate = origin.and_then(|origin| rule.candidate(value, origin));
        let set = AttributeSet::new(attributes);
        let attributes = Arc::clone(&set.0);
        let new = || match kind {
            GuestKind::Counter | GuestKind::UpDownCounter => State::Sum(Counter::new(value)),
            GuestKind::Gauge => State::Gauge(value, Exemplars::default()),
            GuestKind::Histogram => State::Histogram(Box::new(Histogram::new(shape, bounds, value))),
        };
        match series.at(set, || attributes, new) {
            State::Sum(counter) => {
                counter.add(value);
                candidate.into_iter().for_each(|candidate| counter.exemplars.offer(OF_NUMBER, candidate));
            }
            State::Gauge(last, exemplars) => {
                *last = value;
                candidate.into_iter().for_each(|candidate| exemplars.offer(OF_NUMBER, candidate));
            }
            State::Histogram(histogram) => histogram.record(value, bounds, candidate),
        }
        Ok(())
    }

    /// Leaves what there is, in the order in which the instruments came.
    pub fn collect(&mut self, collecting: &mut Collecting<'_>) {
        for GuestInstrument { instrument, kind, bounds, series } in &mut self.0 {
            let all = series.iter_mut().map(|one| (&one.attributes, &mut one.state));
            let points = match kind {
                GuestKind::Counter | GuestKind::UpDownCounter => {
                    let all = all.filter_map(|(attributes, state)| match state {
                        State::Sum(counter) => Some((attributes, counter)),
                        _ => None,
                    });
                    let kind = if *kind == GuestKind::Counter { Kind::Counter } else { Kind::UpDownCounter };
                    collecting.sum_points(kind, all)
                }
                GuestKind::Gauge => Points::Gauge(all.filter_map(gauge_point).collect()),
                GuestKind::Histogram => {
                    let all = all.filter_map(|(attributes, state)| match state {
                        State::Histogram(histogram) => Some((attributes, &mut **histogram)),
                        _ => None,
                    });
                    collecting.histogram_points(bounds, all)
                }
            };
            collecting.leave(instrument, Scope::Guest, points);
        }
    }
}

fn gauge_point((attributes, state): (&Arc<[KeyValue]>, &mut State)) -> Option<NumberPoint> {
    let State::Gauge(value, exemplars) = state else { return None };
    let (attributes, value, exemplars) = (Arc::clone(attributes), value.number(), exemplars.take());
    Some(NumberPoint { attributes, value, exemplars })
}
