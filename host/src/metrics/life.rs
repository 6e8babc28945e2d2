//! The life of a process, as far as its metrics depend on it.

use crate::model::Nanos;

/// Where a process is in its life. Instants are nanoseconds since the Unix epoch.
///
/// What happens to it is a [`Change`]. An empty cell is a change that changes nothing:
///
/// | | `Died(back)` | `Returns(back)` | `Deployed(back)` | `Replaced` | `Ended` |
/// |---|---|---|---|---|---|
/// | `Up` | `Down(back)` | | | `Retiring`; `Gone` if it came up at this instant | |
/// | `Down` | `Down(back)` | `Down(back)` | | `Gone` | |
/// | `Retiring` | `Gone` | | `Up` | | `Gone` |
/// | `Gone` | | | `Down(back)` | | |
///
/// `Down(back)` is `Up(back)` as soon as that instant has come. What was counted is kept where `Up` becomes
/// `Retiring` or the reverse, and is lost with every other change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Life {
    /// It is there since this instant.
    Up(Nanos),
    /// Nobody is there, and a process comes up at this instant: [`Nanos::MAX`] if that is not known.
    Down(Nanos),
    /// It is there since this instant, and ends as soon as it is done with what it has.
    Retiring(Nanos),
    /// It is not deployed.
    Gone,
}

/// What happens to a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It has died, and another comes up at this instant, as it now seems.
    Died(Nanos),
    /// Something has ended that kept its address empty: a process comes up at this instant, as it now seems.
    Returns(Nanos),
    /// A deployment has put it here: it comes up at this instant, as it now seems.
    Deployed(Nanos),
    /// A deployment has put another in its place, or has ended.
    Replaced,
    /// It is done with what it had, and has left its points.
    Ended,
}

impl Life {
    /// What it is at an instant, without a change.
    pub const fn at(self, now: Nanos) -> Self {
        match self {
            Self::Down(back) if back <= now => Self::Up(back),
            life => life,
        }
    }

    /// What it is after a change, as the table says.
    pub fn after(self, change: Change, now: Nanos) -> Self {
        match (self.at(now), change) {
            (Self::Up(_) | Self::Down(_), Change::Died(back))
            | (Self::Down(_), Change::Returns(back))
            | (Self::Gone, Change::Deployed(back)) => Self::Down(back),
            (Self::Up(since), Change::Replaced) if since < now => Self::Retiring(since),
            (Self::Retiring(since), Change::Deployed(_)) => Self::Up(since),
            (Self::Up(_) | Self::Down(_), Change::Replaced)
            | (Self::Retiring(_), Change::Died(_) | Change::Ended) => Self::Gone,
            (life, _) => life,
        }
    }

    /// Since when a process is there; none where nobody is.
    pub const fn since(self) -> Option<Nanos> {
        match self {
            Self::Up(since) | Self::Retiring(since) => Some(since),
            Self::Down(_) | Self::Gone => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_state_takes_each_change_as_the_table_says() {
        use Change::{Deployed, Died, Ended, Replaced, Returns};
        use Life::{Down, Gone, Retiring, Up};
        let changes = [Died(30), Returns(30), Deployed(30), Replaced, Ended];
        for (before, expected) in [
            (Up(10), [Down(30), Up(10), Up(10), Retiring(10), Up(10)]),
            (Up(20), [Down(30), Up(20), Up(20), Gone, Up(20)]),
            (Down(40), [Down(30), Down(30), Down(40), Gone, Down(40)]),
            // Its instant has come.
            (Down(15), [Down(30), Up(15), Up(15), Retiring(15), Up(15)]),
            (Retiring(10), [Gone, Retiring(10), Up(10), Retiring(10), Gone]),
            (Gone, [Gone, Gone, Down(30), Gone, Gone]),
        ] {
            assert_eq!(changes.map(|change| before.after(change, 20)), expected, "{before:?}");
        }
    }

    #[test]
    fn somebody_is_there_while_it_is_up_or_retires() {
        let lives = [Life::Up(10), Life::Retiring(10), Life::Down(30), Life::Down(20), Life::Gone];
        assert_eq!(lives.map(|life| life.at(20).since()), [Some(10), Some(10), None, Some(20), None]);
    }
}
