//! The spans around what a fault strikes, of which one shows it.

use smallvec::SmallVec;

use crate::context::SpanId;

/// One of the spans around what a fault strikes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The SERVER span of the struck request.
    Server,
    /// The CLIENT span of the call that brings it.
    Client,
    /// The struck span itself, or the SERVER span of a request that arrives once more.
    Own,
}

/// The spans that show the end of a process, the best first: one that dies records nothing.
pub const DEATH_SIGNS: &[Side] = &[Side::Client];

/// The spans around what a fault strikes, recorded or not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spans {
    pub server: Option<SpanId>,
    pub client: Option<SpanId>,
    pub own: Option<SpanId>,
}

impl Spans {
    /// Those of these sides that there are.
    pub fn of(self, sides: &[Side]) -> SmallVec<[SpanId; 2]> {
        let side = |side: &Side| match side {
            Side::Server => self.server,
            Side::Client => self.client,
            Side::Own => self.own,
        };
        sides.iter().filter_map(side).collect()
    }
}
