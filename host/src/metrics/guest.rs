//! Instruments of guests: what a service measures of its own accord.

mod bounds;
mod definition;
mod misuse;
mod sets;

use std::sync::Arc;

use crate::model::Nanos;
use crate::telemetry::record::{Instrument, KeyValue, NumberPoint, Points, Scope};

use super::catalogue::Kind;
use super::collecting::{Collecting, Counter};
use super::exemplars::{Candidate, ExemplarRule, Exemplars, OF_NUMBER, Origin};
use super::histogram::{Histogram, Shape};
use super::series::ATTRIBUTE_SETS;
use super::value::Measured;
pub use bounds::INSTRUMENTS;
use bounds::{ATTRIBUTES, SERIES_BYTES};
pub use definition::{Definition, GuestKind};
pub use misuse::{Misuse, Misused, Misuses, OTHERS};
use sets::{AttributeSet, Sets};

/// Which instrument of its replica it is, for as long as the process lives; or which misuse, where it is
/// none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InstrumentId(u32);

/// Ids from here on stand for misuses.
const REFUSED: u32 = 1 << 31;

impl InstrumentId {
    /// What stands for no instrument, but for the misuse at this place.
    pub const fn of_misuse(place: usize) -> Self {
        Self(REFUSED + place as u32)
    }

    /// The place of its misuse, where it is no instrument.
    pub const fn misuse(self) -> Option<usize> {
        if self.0 >= REFUSED { Some((self.0 - REFUSED) as usize) } else { None }
    }

    /// As a number, which a guest's handle stands for.
    pub const fn number(self) -> u32 {
        self.0
    }

    /// That of such a number.
    pub const fn of_number(number: u32) -> Self {
        Self(number)
    }
}

/// The instruments of a replica's guest.
#[derive(Debug, Default)]
pub struct GuestInstruments {
    all: Vec<GuestInstrument>,
    /// What their series take.
    bytes: usize,
}

#[derive(Debug)]
struct GuestInstrument {
    instrument: Arc<Instrument>,
    kind: GuestKind,
    is_whole: bool,
    bounds: Arc<[f64]>,
    series: Sets<State>,
}

#[derive(Debug)]
enum State {
    Sum(Counter),
    /// The last value.
    Gauge(Measured, Exemplars),
    Histogram(Box<Histogram>),
}

impl State {
    /// Without a value yet: the first will be of the kind of `value`.
    fn new(kind: GuestKind, shape: Shape, bounds: &[f64], value: Measured) -> Self {
        match kind {
            GuestKind::Counter | GuestKind::UpDownCounter => Self::Sum(Counter::new(value)),
            GuestKind::Gauge => Self::Gauge(value, Exemplars::default()),
            GuestKind::Histogram => Self::Histogram(Box::new(Histogram::new(shape, bounds, value))),
        }
    }

    fn record(&mut self, value: Measured, bounds: &[f64], candidate: Option<Candidate>) {
        let exemplars = match self {
            Self::Sum(counter) => {
                counter.add(value);
                &mut counter.exemplars
            }
            Self::Gauge(last, exemplars) => {
                *last = value;
                exemplars
            }
            Self::Histogram(histogram) => return histogram.record(value, bounds, candidate),
        };
        candidate.into_iter().for_each(|candidate| exemplars.offer(OF_NUMBER, candidate));
    }
}

impl GuestInstrument {
    /// Bytes that a series takes at most, besides its attributes.
    fn series_bytes(&self, shape: Shape) -> usize {
        size_of::<State>()
            + match self.kind {
                GuestKind::Histogram => Histogram::bytes(shape, self.bounds.len()),
                _ => Exemplars::bytes(OF_NUMBER),
            }
    }

    /// Whether it can take the value.
    fn check(&self, value: Measured) -> Result<(), Misuse> {
        let number = value.as_f64();
        if !number.is_finite() {
            return Err(Misuse::NotFinite);
        }
        if self.kind == GuestKind::Counter && number < 0.0 { Err(Misuse::Negative) } else { Ok(()) }
    }
}

impl GuestInstruments {
    /// The instrument of this definition: one is made, or is there already. Of two descriptions, the first
    /// stands.
    ///
    /// # Errors
    /// The definition is none, there are too many, or one of the same name is another.
    pub fn get(&mut self, definition: &Definition) -> Result<InstrumentId, Misuse> {
        definition.check()?;
        let Definition { instrument, kind, is_whole, bounds } = definition;
        let is_named = |known: &GuestInstrument| known.instrument.name.eq_ignore_ascii_case(&instrument.name);
        if let Some(at) = self.all.iter().position(is_named) {
            let known = &self.all[at];
            let is_same = known.instrument.unit == instrument.unit
                && (known.kind, known.is_whole) == (*kind, *is_whole)
                && *known.bounds == *bounds;
            return if is_same { Ok(InstrumentId(at as u32)) } else { Err(Misuse::Conflict) };
        }
        if self.all.len() >= INSTRUMENTS {
            return Err(Misuse::TooMany);
        }
        self.all.push(GuestInstrument {
            instrument: Arc::new(instrument.clone()),
            kind: *kind,
            is_whole: *is_whole,
            bounds: bounds.as_slice().into(),
            series: Sets::default(),
        });
        Ok(InstrumentId(self.all.len() as u32 - 1))
    }

    /// What an instrument was described as; none if it has died with its process.
    pub fn described(&self, id: InstrumentId) -> Option<&Instrument> {
        Some(&self.all.get(id.0 as usize)?.instrument)
    }

    /// Notes a value; `origin` is the span that is current in the guest, if there is one. That of an
    /// instrument which has died with its process is lost, as all that the process had counted is.
    ///
    /// # Errors
    /// The value is none that the instrument can take; or it is beyond the bounds of attribute sets, and
    /// counts for the series of all that are.
    pub fn record(
        &mut self,
        (shape, rule): (Shape, &ExemplarRule),
        id: InstrumentId,
        value: Measured,
        attributes: Vec<KeyValue>,
        origin: Option<Origin>,
    ) -> Result<(), Misuse> {
        let Some(instrument) = self.all.get_mut(id.0 as usize) else { return Ok(()) };
        instrument.check(value)?;
        if attributes.len() > ATTRIBUTES || attributes.iter().any(|attribute| attribute.key.is_empty()) {
            return Err(Misuse::Attributes);
        }
        let set = AttributeSet::new(attributes);
        let candidate = origin.and_then(|origin| rule.candidate(value, origin));
        let state_bytes = instrument.series_bytes(shape);
        let GuestInstrument { kind, bounds, series, .. } = instrument;
        let new = || State::new(*kind, shape, bounds, value);
        let (state, fits) = match series.find(&set) {
            Some(state) => (state, Ok(())),
            None => {
                let bytes = self.bytes + set.bytes() + state_bytes;
                let fits = match () {
                    () if series.len() >= ATTRIBUTE_SETS => Err(Misuse::Sets),
                    () if bytes > SERIES_BYTES => Err(Misuse::Bytes),
                    () => Ok(()),
                };
                if fits.is_ok() {
                    self.bytes = bytes;
                    (series.insert(set, new()), fits)
                } else {
                    (series.overflow(new), fits)
                }
            }
        };
        state.record(value, bounds, candidate);
        fits
    }

    /// Leaves what there is, in the order in which the instruments came.
    pub fn leave(&self, collecting: &mut Collecting<'_>) {
        for GuestInstrument { instrument, kind, bounds, series, .. } in &self.all {
            let all = series.iter().map(|one| (&one.attributes, &one.state));
            let points = match kind {
                GuestKind::Counter | GuestKind::UpDownCounter => {
                    let all = all.filter_map(|(attributes, state)| match state {
                        State::Sum(counter) => Some((attributes, counter)),
                        _ => None,
                    });
                    let kind = if *kind == GuestKind::Counter { Kind::Counter } else { Kind::UpDownCounter };
                    collecting.sum_points(kind, all)
                }
                GuestKind::Gauge => {
                    let now = collecting.now;
                    Points::Gauge(all.filter_map(|one| gauge_point(one, now)).collect())
                }
                GuestKind::Histogram => {
                    let all = all.filter_map(|(attributes, state)| match state {
                        State::Histogram(histogram) => Some((attributes, &**histogram)),
                        _ => None,
                    });
                    collecting.histogram_points(bounds, all)
                }
            };
            collecting.leave(instrument, Scope::Guest, points);
        }
    }

    /// It has left: another interval begins at this instant.
    pub fn collected(&mut self, now: Nanos) {
        for one in self.all.iter_mut().flat_map(|instrument| instrument.series.iter_mut()) {
            match &mut one.state {
                State::Sum(counter) => counter.collected(now),
                State::Gauge(_, exemplars) => exemplars.clear(now),
                State::Histogram(histogram) => histogram.collected(now),
            }
        }
    }
}

fn gauge_point((attributes, state): (&Arc<[KeyValue]>, &State), now: Nanos) -> Option<NumberPoint> {
    let State::Gauge(value, exemplars) = state else { return None };
    let (attributes, value, exemplars) = (Arc::clone(attributes), value.number(), exemplars.sorted(now));
    Some(NumberPoint { attributes, value, exemplars })
}
