//! What the host may hold for a guest: bytes, within `limits.host-memory`.
//!
//! A worker has a [`Budget`]. Each of its calls has a [`Hold`] on it from the moment at
//! which the guest makes it until nobody needs its messages any more: neither the guest,
//! which may collect the answer late or never, nor the callee, which works on when the
//! guest has given up. What a request records counts too, until the next request begins.
//!
//! What a worker leaves under way outlives it. So its replica is charged as well, for as
//! many workers as it may have: a guest that makes calls and traps gains nothing.

use std::cell::Cell;
use std::fmt;
use std::rc::Rc;

use crate::message::{Headers, Request, Response};

/// What a call takes besides its messages, roughly: its tasks, its spans, its timers.
const CALL_BYTES: u64 = 4 << 10;

/// What the calls of all workers of a replica hold, of those too that are gone.
#[derive(Debug)]
pub struct UnderWay {
    most: u64,
    bytes: Cell<u64>,
}

impl UnderWay {
    /// `workers` of them may hold `bytes` each.
    pub fn new(bytes: u64, workers: u32) -> Rc<Self> {
        Rc::new(Self { most: bytes.saturating_mul(u64::from(workers)), bytes: Cell::new(0) })
    }
}

/// What the host holds for one worker.
#[derive(Debug)]
pub struct Budget {
    limit: u64,
    /// By its calls, those of earlier requests included.
    calls: Cell<u64>,
    /// By what the present request has recorded.
    recorded: Cell<u64>,
    replica: Rc<UnderWay>,
}

impl Budget {
    pub fn new(limit: u64, replica: &Rc<UnderWay>) -> Rc<Self> {
        let (calls, recorded) = (Cell::new(0), Cell::new(0));
        Rc::new(Self { limit, calls, recorded, replica: Rc::clone(replica) })
    }

    /// Another request begins: what the one before has recorded is the pipeline's, which
    /// has bounds of its own.
    pub fn begin(&self) {
        self.recorded.set(0);
    }

    /// Keeps `bytes` of what the guest records; false if there is no room.
    pub fn record(&self, bytes: usize) -> bool {
        let has_room = self.has_room(bytes as u64);
        if has_room {
            self.recorded.set(self.recorded.get() + bytes as u64);
        }
        has_room
    }

    /// Keeps `bytes` of a call; false if there is no room.
    fn hold(&self, bytes: u64) -> bool {
        let all = self.replica.bytes.get().saturating_add(bytes);
        if !self.has_room(bytes) || all > self.replica.most {
            return false;
        }
        self.calls.set(self.calls.get() + bytes);
        self.replica.bytes.set(all);
        true
    }

    fn has_room(&self, bytes: u64) -> bool {
        let used = self.calls.get() + self.recorded.get();
        used.saturating_add(bytes) <= self.limit
    }

    fn give_back(&self, bytes: u64) {
        self.calls.set(self.calls.get() - bytes);
        self.replica.bytes.set(self.replica.bytes.get() - bytes);
    }
}

impl fmt::Display for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "limits.host-memory = {} KiB", self.limit >> 10)
    }
}

/// What one call holds of its worker's budget, until the last who needs it drops it.
#[derive(Debug)]
pub struct Hold {
    budget: Rc<Budget>,
    bytes: Cell<u64>,
    /// There was no room for the call from the beginning.
    refused: bool,
}

impl Hold {
    /// A hold for a call with `request`; if there is no room, one that is
    /// [refused](Self::is_refused), and the messages are not to be kept.
    pub fn new(budget: &Rc<Budget>, request: &Request) -> Rc<Self> {
        let bytes = CALL_BYTES + request_size(request);
        let refused = !budget.hold(bytes);
        let bytes = Cell::new(if refused { 0 } else { bytes });
        Rc::new(Self { budget: Rc::clone(budget), bytes, refused })
    }

    pub const fn is_refused(&self) -> bool {
        self.refused
    }

    /// Keeps an answer as well; false where there is no room.
    pub fn answer(&self, response: &Response) -> bool {
        self.more(size(&response.headers, response.body.len()))
    }

    /// Keeps a copy of the request for another attempt, as long as the share is there.
    /// None where there is no room.
    pub fn copy(self: &Rc<Self>, request: &Request) -> Option<Share> {
        let bytes = request_size(request);
        self.more(bytes).then(|| Share { hold: Rc::clone(self), bytes })
    }

    /// Keeps what is held already until the share is gone too.
    pub fn share(self: &Rc<Self>) -> Share {
        Share { hold: Rc::clone(self), bytes: 0 }
    }

    fn more(&self, bytes: u64) -> bool {
        let has_room = self.budget.hold(bytes);
        if has_room {
            self.bytes.set(self.bytes.get() + bytes);
        }
        has_room
    }
}

impl fmt::Display for Hold {
    /// The bound that it meets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.budget.fmt(f)
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.budget.give_back(self.bytes.get());
    }
}

/// One attempt's part of what its call holds.
#[derive(Debug)]
pub struct Share {
    hold: Rc<Hold>,
    /// Its own: what is given back with it.
    bytes: u64,
}

impl Share {
    pub const fn hold(&self) -> &Rc<Hold> {
        &self.hold
    }
}

impl Clone for Share {
    /// A second arrival of a request, which the faults of a topology make: it is a copy,
    /// and there is one of them at the most.
    fn clone(&self) -> Self {
        Self { hold: Rc::clone(&self.hold), bytes: 0 }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.hold.bytes.set(self.hold.bytes.get() - self.bytes);
        self.hold.budget.give_back(self.bytes);
    }
}

fn request_size(request: &Request) -> u64 {
    (request.method.len() + request.target.len()) as u64 + size(&request.headers, request.body.len())
}

fn size(headers: &Headers, body: usize) -> u64 {
    (headers.footprint() + body) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(body: usize) -> Request {
        Request { body: vec![0; body], ..Request::default() }
    }

    fn held(budget: &Budget) -> (u64, u64) {
        (budget.calls.get(), budget.replica.bytes.get())
    }

    #[test]
    fn a_call_holds_its_messages_until_the_last_who_needs_them_is_gone() {
        let budget = Budget::new(100 << 10, &UnderWay::new(100 << 10, 1));
        let hold = Hold::new(&budget, &request(1_000));
        let callee = hold.share();
        assert!(hold.answer(&Response { status: 200, headers: Headers::default(), body: vec![0; 500] }));
        assert_eq!(held(&budget), (CALL_BYTES + 1_500, CALL_BYTES + 1_500));
        drop(hold);
        assert_eq!(held(&budget).0, CALL_BYTES + 1_500, "the callee works on");
        drop(callee);
        assert_eq!(held(&budget), (0, 0));
    }

    #[test]
    fn a_copy_of_a_request_is_given_back_with_its_attempt() {
        let budget = Budget::new(100 << 10, &UnderWay::new(100 << 10, 1));
        let hold = Hold::new(&budget, &request(40_000));
        let copy = hold.copy(&request(40_000)).expect("there is room for two");
        assert!(hold.copy(&request(40_000)).is_none(), "and not for three");
        drop(copy);
        assert!(hold.copy(&request(40_000)).is_some());
        drop(hold);
        assert_eq!(held(&budget), (0, 0));
    }

    #[test]
    fn what_is_recorded_counts_until_the_next_request() {
        let budget = Budget::new(20 << 10, &UnderWay::new(20 << 10, 1));
        assert!(budget.record(15 << 10));
        assert!(!budget.record(6 << 10));
        assert!(Hold::new(&budget, &request(2 << 10)).is_refused());
        budget.begin();
        assert!(!Hold::new(&budget, &request(2 << 10)).is_refused());
    }

    #[test]
    fn what_gone_workers_left_under_way_counts_for_their_replica() {
        let replica = UnderWay::new(10 << 10, 2);
        let holds: Vec<_> =
            (0..3).map(|_| Hold::new(&Budget::new(10 << 10, &replica), &request(5 << 10))).collect();
        assert_eq!(holds.iter().map(|hold| hold.is_refused()).collect::<Vec<_>>(), [false, false, true]);
        drop(holds);
        assert_eq!(replica.bytes.get(), 0);
    }
}
