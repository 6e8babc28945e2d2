//! When the requests of an open loop are due.
//!
//! Arrivals are made in a time of their own, in which one comes in each unit of
//! time: evenly, or as a Poisson process of rate 1. The curve then says at which
//! instant the sum of its rate, counted from the start, has come to that time.
//! This keeps the process exact for any curve, and the n-th arrival hangs on
//! nothing but the seed and those before it.

use std::f64::consts::TAU;
use std::sync::Arc;

use crate::model::{After, Arrivals, Curve, Nanos, Rate, Replay, Spacing};
use crate::rng::Key;

/// Nanoseconds in a second.
const SECOND: f64 = 1e9;

/// The instants of a load's requests, one after the other.
#[derive(Debug)]
pub enum Due {
    Curve {
        curve: Sum,
        spacing: Spacing,
        /// The load's own.
        chance: Key,
        /// Arrivals so far.
        number: u64,
        /// The last of them, in the time of the unit process.
        passed: f64,
    },
    Replay {
        instants: Arc<[Nanos]>,
        next: usize,
    },
}

impl Due {
    /// `chance` is the load's own.
    pub fn new(arrivals: &Arrivals, chance: Key) -> Self {
        match arrivals {
            Arrivals::Curve { curve, spacing } => {
                Self::Curve { curve: Sum::new(curve), spacing: *spacing, chance, number: 0, passed: 0.0 }
            }
            Arrivals::Replay(Replay::Read(instants)) => {
                Self::Replay { instants: Arc::clone(instants), next: 0 }
            }
            // A run begins when its files are read.
            Arrivals::Replay(Replay::File { .. }) => Self::Replay { instants: Arc::default(), next: 0 },
        }
    }

    /// Nanoseconds from the load's start until no more requests can come, where that is so.
    pub fn lasts(&self) -> Nanos {
        match self {
            Self::Replay { instants, .. } => instants.last().copied().unwrap_or_default(),
            Self::Curve { curve: Sum::Lines { lasts, .. }, .. } => libm::round(lasts * SECOND) as Nanos,
            Self::Curve { curve: Sum::Wave { .. }, .. } => Nanos::MAX,
        }
    }

    /// Nanoseconds from the load's start to the next request; none when no more come.
    pub fn next(&mut self) -> Option<Nanos> {
        match self {
            Self::Replay { instants, next } => {
                let due = instants.get(*next).copied();
                *next += 1;
                due
            }
            Self::Curve { curve, spacing, chance, number, passed } => {
                match spacing {
                    Spacing::Even => *passed = *number as f64,
                    // A unit draw is below 1, so the logarithm is finite.
                    Spacing::Poisson => *passed -= libm::log1p(-chance.with(*number).unit()),
                }
                *number += 1;
                let seconds = curve.reaches(*passed)?;
                // To the nearest: the hundredth of 100/m is due after a minute, and not a
                // nanosecond before.
                Some(libm::round(seconds * SECOND) as Nanos)
            }
        }
    }
}

/// A curve, summed up: how many arrivals are expected until when. Times are seconds.
#[derive(Debug)]
pub enum Sum {
    Lines { lines: Vec<Line>, after: After, total: f64, lasts: f64, last_rate: Rate },
    Wave { mean: Rate, swing: Rate, period: f64, peak: f64 },
}

/// A straight line of a curve.
#[derive(Debug)]
pub struct Line {
    start: f64,
    lasts: f64,
    from: Rate,
    to: Rate,
    /// Expected before it, and in it.
    before: f64,
    within: f64,
}

impl Sum {
    pub fn new(curve: &Curve) -> Self {
        let points = match curve {
            Curve::Lines { points, .. } => points,
            Curve::Wave { min, max, period, peak } => {
                let (mean, swing) = (f64::midpoint(*min, *max), (max - min) / 2.0);
                return Self::Wave { mean, swing, period: seconds(*period), peak: seconds(*peak) };
            }
        };
        let mut before = 0.0;
        let mut lines = Vec::new();
        for pair in points.windows(2) {
            let [(start, from), (end, to)] = [pair[0], pair[1]];
            let lasts = seconds(end - start);
            let within = f64::midpoint(from, to) * lasts;
            lines.push(Line { start: seconds(start), lasts, from, to, before, within });
            before += within;
        }
        let (lasts, last_rate) = points.last().map_or((0.0, 0.0), |(end, rate)| (seconds(*end), *rate));
        let after = if let Curve::Lines { after, .. } = curve { *after } else { After::End };
        Self::Lines { lines, after, total: before, lasts, last_rate }
    }

    /// When this number of arrivals is expected: seconds after the start; none if never.
    pub fn reaches(&self, expected: f64) -> Option<f64> {
        match self {
            Self::Wave { mean, swing, period, peak } => {
                Some(wave_reaches(*mean, *swing, *period, *peak, expected))
            }
            Self::Lines { lines, after: After::Repeat, total, lasts, .. } => {
                let rounds = libm::floor(expected / total);
                // A rounding error must not lead behind the last line.
                let left = (expected - rounds * total).clamp(0.0, *total);
                Some(rounds * lasts + in_lines(lines, left).unwrap_or(*lasts))
            }
            Self::Lines { lines, after, total, lasts, last_rate } => {
                if expected < *total {
                    return in_lines(lines, expected);
                }
                let holds = *after == After::Hold && *last_rate > 0.0;
                holds.then(|| lasts + (expected - total) / last_rate)
            }
        }
    }
}

fn seconds(nanos: Nanos) -> f64 {
    nanos as f64 / SECOND
}

/// When this number is expected, of lines that expect as many.
fn in_lines(lines: &[Line], expected: f64) -> Option<f64> {
    // The last line that begins at or before it and expects any.
    let at = lines.partition_point(|line| line.before + line.within <= expected);
    let line = lines.get(at)?;
    let left = (expected - line.before).clamp(0.0, line.within);
    let slope = (line.to - line.from) / line.lasts;
    // from · t + slope · t² / 2 = left, solved so that a slope of 0 needs no case of its own.
    let root = libm::sqrt((line.from * line.from + 2.0 * slope * left).max(0.0));
    let after = if left > 0.0 { 2.0 * left / (line.from + root) } else { 0.0 };
    Some(line.start + after.min(line.lasts))
}

/// When this number is expected of `mean + swing · cos(TAU · (t - peak) / period)`.
fn wave_reaches(mean: Rate, swing: Rate, period: f64, peak: f64, expected: f64) -> f64 {
    let rounds = libm::floor(expected / (mean * period));
    let left = expected - rounds * mean * period;
    let phase = |time: f64| libm::sin(TAU * (time - peak) / period);
    let sum = |time: f64| mean * time + swing * period / TAU * (phase(time) - phase(0.0));
    // The sum never falls: halving finds its place, to below a nanosecond in a
    // year of 2^55 nanoseconds.
    let (mut low, mut high) = (0.0, period);
    for _ in 0..60 {
        let middle = f64::midpoint(low, high);
        if sum(middle) < left { low = middle } else { high = middle }
    }
    rounds * period + high
}

#[cfg(test)]
mod tests;
