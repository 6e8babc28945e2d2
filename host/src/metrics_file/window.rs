//! The part of a file that is asked for: the collections of an interval.

use crate::telemetry::choice::Instant;

use super::line::OfResource;

/// Collections after the first instant, up to the second: what has come between the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Nanoseconds since the Unix epoch.
    from: u64,
    to: u64,
}

/// Where a point lies to a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// What it says is what points in the window count from.
    Before,
    Within,
    After,
}

impl Default for Window {
    /// All of a file.
    fn default() -> Self {
        Self { from: 0, to: u64::MAX }
    }
}

impl Window {
    /// Between these instants of a file whose first series begins at `origin`.
    pub fn between((from, to): (Instant, Instant), origin: u64) -> Self {
        Self { from: from.of(origin), to: to.of(origin) }
    }

    /// Where a point of this time lies. One whose time is not known is in a window that has all.
    pub const fn place(self, time: u64) -> Place {
        match time {
            _ if time > self.to => Place::After,
            _ if time <= self.from && self.from > 0 => Place::Before,
            _ => Place::Within,
        }
    }
}

/// When the first series of a file begins, while it is read for that alone: nanoseconds since the Unix epoch.
#[derive(Debug, Default)]
pub struct Origin {
    start: Option<u64>,
    first: Option<u64>,
}

impl Origin {
    pub fn add(&mut self, resources: &[OfResource]) {
        let scopes = resources.iter().flat_map(|resource| &resource.scope_metrics);
        for point in scopes.flat_map(|scope| &scope.metrics).flat_map(|metric| metric.points()) {
            let earlier = |known: Option<u64>, at: u64| Some(known.map_or(at, |known| known.min(at)));
            if point.time() > 0 {
                self.first = earlier(self.first, point.time());
            }
            if (1..=point.time()).contains(&point.start()) {
                self.start = earlier(self.start, point.start());
            }
        }
    }

    /// That of its first point where no start is known; 0 without any.
    pub fn found(self) -> u64 {
        self.start.or(self.first).unwrap_or(0)
    }
}
