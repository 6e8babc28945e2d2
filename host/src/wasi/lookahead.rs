//! How far a worker is ahead of its world: by what its guest has computed.
//!
//! In virtual time the world's clock stands still while a guest computes. The guest's own clock
//! goes on with the fuel that it uses, so that what it does one after the other has instants one
//! after the other, without a timer for each. Before the guest meets the world again (it sleeps,
//! starts a call, answers), the world's clock comes to the same instant.
//!
//! What the guest executes takes the time that the topology says. What the host does for it takes
//! its price (see [`bill`](super::bill)), of which a unit is a nanosecond already.

use std::cell::Cell;
use std::rc::Rc;

use crate::model::{Compute, Femtos, Nanos};
use crate::process::Process;

use super::bill::Bill;

/// The clock of one worker. For the core thread only.
pub struct Lookahead {
    pub process: Rc<Process>,
    bill: Bill,
    /// None: computing takes no time, and the clock is the world's.
    compute: Option<Compute>,
    /// The instant of the last reading.
    at: Cell<Nanos>,
    /// What the bill noted then: the fuel that was left, and what the host's work had cost.
    noted: Cell<(u64, u64)>,
    /// What of a nanosecond was computed by then.
    rest: Cell<Femtos>,
    /// Computed for this request by then.
    computed: Cell<Nanos>,
    /// The instant at which the request is given up.
    until: Cell<Nanos>,
    /// How much longer this request's work takes than it would in a process like any other.
    stretched: Cell<Nanos>,
}

impl Lookahead {
    /// That of a worker of this process. In real time computing takes real time.
    pub fn new(process: &Rc<Process>, compute: Compute, bill: Bill) -> Self {
        let takes_time = process.sched.is_virtual() && compute != Compute::NONE;
        Self {
            process: Rc::clone(process),
            bill,
            compute: takes_time.then_some(compute),
            at: Cell::new(0),
            noted: Cell::default(),
            rest: Cell::new(0),
            computed: Cell::new(0),
            until: Cell::new(Nanos::MAX),
            stretched: Cell::new(0),
        }
    }

    /// Whether computing takes simulated time.
    pub const fn is_on(&self) -> bool {
        self.compute.is_some()
    }

    /// From now on the guest computes, with the fuel that was [noted](Bill::note_left), and is given up
    /// `patience` nanoseconds from now.
    pub fn begin(&self, patience: Nanos) {
        self.at.set(0);
        self.noted.set(self.bill.noted());
        self.rest.set(0);
        self.until.set(self.process.sched.now().saturating_add(patience));
    }

    /// Another request begins: nothing was computed for it.
    pub fn forget(&self) {
        self.stretched.set(0);
        self.computed.set(0);
    }

    /// How much longer the request's work took so far than it would in a process like any other:
    /// nanoseconds.
    pub const fn stretched(&self) -> Nanos {
        self.stretched.get()
    }

    /// What the guest has computed for the request until the last reading, in a process like any other.
    pub const fn computed(&self) -> Nanos {
        self.computed.get()
    }

    /// The instant to which the guest has computed, later than that of the last reading. The
    /// instants of the world begin there again when the guest waits, so read before it does.
    pub fn reach(&self) -> Nanos {
        let world = self.process.sched.now();
        let Some(compute) = self.compute else { return world };
        let (left, cost) = self.bill.noted();
        let (left_before, cost_before) = self.noted.replace((left, cost));
        let host = cost.wrapping_sub(cost_before);
        let instructions = left_before.saturating_sub(left).saturating_sub(host);
        let femtos = instructions
            .saturating_mul(compute.instruction)
            .saturating_add(host.saturating_mul(compute.host))
            .saturating_add(self.rest.get());
        self.rest.set(femtos % 1_000_000);
        let nanos = femtos / 1_000_000;
        self.computed.set(self.computed.get() + nanos);
        // However little it computes, one thing comes after the other.
        let length = self.take(nanos).max(1);
        self.at.set(self.at.get().max(world).saturating_add(length));
        self.at.get()
    }

    /// [`reach`](Self::reach) as records and the guest's clocks show it: nothing of a request is later
    /// than its end.
    pub fn now(&self) -> Nanos {
        self.reach().min(self.until())
    }

    /// The instant of the last reading, or the world's if that is later.
    pub fn last(&self) -> Nanos {
        self.at.get().max(self.process.sched.now()).min(self.until())
    }

    /// What the guest's wall clock shows: nanoseconds since the Unix epoch.
    pub fn wall(&self) -> Nanos {
        self.process.wall_at(self.now())
    }

    /// Whether an instant is over for the guest, although its world may not have come as far.
    pub fn is_past(&self, due: Nanos) -> bool {
        self.at.get() >= due
    }

    /// When work is done that begins now and would take `nanos`.
    pub fn work(&self, nanos: Nanos) -> Nanos {
        self.now().saturating_add(self.take(nanos))
    }

    /// How long work takes that would take `nanos`.
    fn take(&self, nanos: Nanos) -> Nanos {
        let length = self.process.length(nanos);
        self.stretched.set(self.stretched.get().saturating_add(length.saturating_sub(nanos)));
        length
    }

    fn until(&self) -> Nanos {
        if self.is_on() { self.until.get() } else { Nanos::MAX }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Clock, VIRTUAL_START};
    use crate::sched::Sched;

    /// A worker with a million units of fuel, where an instruction takes 0.25 ns.
    fn worker(clock: Clock) -> (Lookahead, Bill) {
        let bill = Bill::default();
        let compute = Compute { instruction: 250_000, host: 1_000_000 };
        let ahead = Lookahead::new(&Process::new(&Sched::new(clock), false), compute, bill.clone());
        bill.note_left(1_000_000);
        ahead.begin(1_000_000);
        (ahead, bill)
    }

    #[test]
    fn the_clock_goes_on_with_what_is_executed_and_with_the_prices_of_the_hosts_work() {
        let (ahead, bill) = worker(Clock::virtual_from(VIRTUAL_START));
        bill.note_left(1_000_000 - 4_000);
        assert_eq!(ahead.now() - VIRTUAL_START, 1_000, "4,000 instructions");
        bill.charge(300);
        assert_eq!(ahead.now() - VIRTUAL_START, 1_300, "and what is owed for a function of the host");
        bill.note_paid(bill.settle() + 50);
        bill.note_left(1_000_000 - 4_000 - 350 - 2);
        assert_eq!(ahead.now() - VIRTUAL_START, 1_350, "a crossing, and half a nanosecond");
        bill.note_left(1_000_000 - 4_000 - 350 - 4);
        assert_eq!(ahead.now() - VIRTUAL_START, 1_351, "whose other half follows");
        assert_eq!((ahead.computed(), ahead.last() - VIRTUAL_START), (1_351, 1_351));
    }

    #[test]
    fn one_thing_comes_after_the_other_however_little_is_computed_between_them() {
        let (ahead, _) = worker(Clock::virtual_from(VIRTUAL_START));
        let instants = [ahead.now(), ahead.now(), ahead.now()].map(|at| at - VIRTUAL_START);
        assert_eq!((instants, ahead.computed()), ([1, 2, 3], 0));
    }

    #[test]
    fn a_wait_ends_where_the_world_is_and_not_before_the_worker_is_there() {
        let (ahead, bill) = worker(Clock::virtual_from(VIRTUAL_START));
        bill.note_left(1_000_000 - 8_000);
        assert_eq!(ahead.reach() - VIRTUAL_START, 2_000);
        let sched = ahead.process.sched.clone();
        sched.block_on(sched.sleep(1_500), || {}).unwrap();
        bill.note_left(1_000_000 - 12_000);
        assert_eq!(ahead.now() - VIRTUAL_START, 3_000, "what it waited for was there before it");
        sched.block_on(sched.sleep(3_500), || {}).unwrap();
        bill.note_left(1_000_000 - 16_000);
        assert_eq!(ahead.now() - VIRTUAL_START, 6_000, "it waited until 5,000");
        assert!(ahead.is_past(VIRTUAL_START + 6_000) && !ahead.is_past(VIRTUAL_START + 6_001));
    }

    #[test]
    fn no_record_is_later_than_the_end_of_the_request_although_the_guest_computes_on() {
        let (ahead, bill) = worker(Clock::virtual_from(VIRTUAL_START));
        bill.charge(1_000_001);
        assert_eq!((ahead.now(), ahead.last()), (VIRTUAL_START + 1_000_000, VIRTUAL_START + 1_000_000));
        assert!(ahead.reach() > VIRTUAL_START + 1_000_000);
    }

    #[test]
    fn a_slow_process_takes_longer_to_compute() {
        let (ahead, bill) = worker(Clock::virtual_from(VIRTUAL_START));
        ahead.process.slow_down(Some(Box::new(|_| 3.0)));
        bill.note_left(1_000_000 - 4_000);
        assert_eq!(ahead.now() - VIRTUAL_START, 3_000);
        assert_eq!((ahead.computed(), ahead.stretched()), (1_000, 2_000));
        assert_eq!(ahead.work(500) - VIRTUAL_START, 4_501);
    }

    #[test]
    fn in_real_time_computing_takes_real_time() {
        let (ahead, bill) = worker(Clock::real(1.0));
        let before = ahead.now();
        bill.note_left(0);
        assert!(!ahead.is_on() && ahead.now() - before < 60_000_000_000 && ahead.computed() == 0);
    }
}
