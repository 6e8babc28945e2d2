//! How many bytes of requests and answers the ingress holds: by connection, and for
//! all of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;

use crate::message::{Headers, Response};
use crate::model::{Bounds, Limits};
use crate::socket::body::Budget;

/// One connection may hold this part of `limits.bodies`.
const PART: u64 = 4;

/// What all connections may hold together.
#[derive(Debug)]
pub struct Budgets {
    requests: Arc<Budget>,
    answers: Arc<Budget>,
    /// What one connection may hold of each.
    part: u64,
}

impl Budgets {
    /// The largest request and the largest answer always fit.
    pub fn new(limits: &Limits, bounds: &Bounds) -> Self {
        // A target may be as long as all fields.
        let largest = limits.body + limits.headers + Headers::largest_footprint(limits.headers);
        let most = bounds.bodies.max(largest);
        let part = (bounds.bodies / PART).max(largest);
        Self { requests: Budget::new(most), answers: Budget::new(most), part }
    }

    /// What a new connection may hold.
    pub fn of_connection(&self) -> Holdings {
        Holdings {
            requests: Purse { all: Arc::clone(&self.requests), own: Budget::new(self.part) },
            answers: Purse { all: Arc::clone(&self.answers), own: Budget::new(self.part) },
            turns: Arc::default(),
        }
    }
}

/// What one connection holds.
#[derive(Debug)]
pub struct Holdings {
    requests: Purse,
    answers: Purse,
    turns: Arc<Turns>,
}

impl Holdings {
    /// For a request that is about to be received.
    pub fn request(&self) -> Share {
        Share { purse: self.requests.clone(), bytes: 0 }
    }

    /// Counts an answer, its head and its body, until what comes with it is dropped: the client has
    /// taken it. Where the client has left too much untaken, the answer is a refusal.
    pub fn answer(&self, answer: Response) -> (Response, Arc<Untaken>) {
        let mut share = Share { purse: self.answers.clone(), bytes: 0 };
        let answer = match share.grow((answer.headers.footprint() + answer.body.len()) as u64) {
            Ok(()) => answer,
            Err(full) => full.refusal("answers that clients have not taken"),
        };
        let (turn, turns) = (self.turns.begin(), Arc::clone(&self.turns));
        (answer, Arc::new(Untaken { _share: share, turn, turns }))
    }

    /// Ends when an answer has been left untaken for `patience`, at the latest after
    /// twice that time.
    pub async fn left_lying(&self, patience: Duration) {
        loop {
            tokio::time::sleep(patience).await;
            if self.turns.is_overdue() {
                return;
            }
        }
    }
}

#[derive(Clone, Debug)]
struct Purse {
    all: Arc<Budget>,
    own: Arc<Budget>,
}

/// Which budget has no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Full {
    /// That of the connection: bytes.
    Connection(u64),
    /// That of all connections: bytes.
    All(u64),
}

impl Full {
    /// The answer to what would go beyond it; `what` is what it counts.
    pub fn refusal(self, what: &str) -> Response {
        let detail = match self {
            Self::Connection(most) => {
                format!("{what} exceed {most} bytes on this connection, its part of limits.bodies")
            }
            Self::All(most) => format!("{what} exceed limits.bodies = {most} bytes"),
        };
        let mut response = Response::bounded(503, "limits.bodies", detail);
        response.headers.push("retry-after", "1");
        response
    }
}

/// Bytes that something holds of its connection's budget and of that of all. Dropping
/// it gives them back.
#[derive(Debug)]
pub struct Share {
    purse: Purse,
    bytes: u64,
}

impl Share {
    /// Holds more bytes.
    ///
    /// # Errors
    /// There is no room for them; it holds what it did.
    pub fn grow(&mut self, bytes: u64) -> Result<(), Full> {
        let Purse { all, own } = &self.purse;
        if !own.take(bytes) {
            return Err(Full::Connection(own.most));
        }
        if !all.take(bytes) {
            own.give_back(bytes);
            return Err(Full::All(all.most));
        }
        self.bytes += bytes;
        Ok(())
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.purse.own.give_back(self.bytes);
        self.purse.all.give_back(self.bytes);
    }
}

/// An answer that the client has not taken.
#[derive(Debug)]
pub struct Untaken {
    _share: Share,
    turn: usize,
    turns: Arc<Turns>,
}

impl Untaken {
    /// The bytes of a part of the answer: it counts as long as anybody has them.
    pub fn part(self: &Arc<Self>, bytes: Vec<u8>) -> Bytes {
        Bytes::from_owner(Part { bytes, _of: Arc::clone(self) })
    }
}

impl Drop for Untaken {
    fn drop(&mut self) {
        self.turns.end(self.turn);
    }
}

struct Part {
    bytes: Vec<u8>,
    _of: Arc<Untaken>,
}

impl AsRef<[u8]> for Part {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// How many answers a client has not taken, by the turn of the clock in which they came:
/// those of this turn and those of the turn before.
#[derive(Debug, Default)]
struct Turns {
    turn: AtomicUsize,
    counts: [AtomicUsize; 2],
}

impl Turns {
    fn begin(&self) -> usize {
        let turn = self.turn.load(Ordering::Relaxed) % 2;
        self.counts[turn].fetch_add(1, Ordering::Relaxed);
        turn
    }

    fn end(&self, turn: usize) {
        self.counts[turn].fetch_sub(1, Ordering::Relaxed);
    }

    /// Begins the next turn. Whether an answer is left from the turn before the last.
    fn is_overdue(&self) -> bool {
        let next = (self.turn.load(Ordering::Relaxed) + 1) % 2;
        let is_overdue = self.counts[next].load(Ordering::Relaxed) > 0;
        self.turn.store(next, Ordering::Relaxed);
        is_overdue
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn budgets(bodies: u64, body: u64) -> Budgets {
        let limits = Limits { body, headers: 0, ..Limits::default() };
        Budgets::new(&limits, &Bounds { bodies, ..Bounds::default() })
    }

    #[test]
    fn a_connection_holds_its_part_and_all_together_hold_the_whole() {
        let budgets = budgets(400, 10);
        let connections: Vec<_> = (0..5).map(|_| budgets.of_connection()).collect();
        let mut shares: Vec<_> = connections.iter().map(Holdings::request).collect();
        assert_eq!(shares[0].grow(101), Err(Full::Connection(100)));
        for share in &mut shares[..4] {
            assert_eq!(share.grow(60), Ok(()));
            assert_eq!(share.grow(40), Ok(()));
        }
        assert_eq!(shares[4].grow(1), Err(Full::All(400)));
        shares.remove(0);
        assert_eq!(shares[3].grow(100), Ok(()), "what is dropped is given back");
    }

    fn answer(headers: usize, body: usize) -> Response {
        let headers = (0..headers).map(|_| (String::new(), String::new())).collect();
        Response { status: 200, headers: Headers(headers), body: vec![0; body] }
    }

    #[test]
    fn one_answer_always_fits() {
        let budgets = budgets(100, 1_000);
        let connection = budgets.of_connection();
        assert_eq!(connection.request().grow(1_000), Ok(()));
        let (first, untaken) = connection.answer(answer(0, 1_000));
        let (second, _) = connection.answer(answer(0, 1));
        assert_eq!((first.status, second.status), (200, 503));
        drop(untaken);
        assert_eq!(connection.answer(answer(0, 1)).0.status, 200);
    }

    #[test]
    fn the_fields_of_an_answer_count_whatever_its_body() {
        let connection = budgets(1_000, 10).of_connection();
        let (first, untaken) = connection.answer(answer(3, 0));
        assert_eq!((first.status, connection.answer(answer(3, 0)).0.status), (200, 503));
        let part = untaken.part(b"a value".to_vec());
        drop(untaken);
        assert_eq!(connection.answer(answer(3, 0)).0.status, 503, "a part of it is left");
        drop(part);
        assert_eq!(connection.answer(answer(3, 0)).0.status, 200);
    }

    #[test]
    fn an_answer_is_overdue_after_one_whole_turn() {
        let turns = Turns::default();
        let first = turns.begin();
        assert!(!turns.is_overdue(), "its turn need not have been a whole one");
        let second = turns.begin();
        turns.end(first);
        assert!(!turns.is_overdue());
        assert!(turns.is_overdue());
        turns.end(second);
        assert!(!turns.is_overdue());
    }

    #[test]
    fn a_refusal_is_overdue_like_any_answer() {
        let connection = budgets(4, 1).of_connection();
        let (_, first) = connection.answer(answer(0, 1));
        let (refusal, second) = connection.answer(answer(0, 1));
        assert_eq!(refusal.status, 503);
        drop(first);
        assert!(!connection.turns.is_overdue());
        assert!(connection.turns.is_overdue());
        drop(second);
    }
}
