//! A pool from which a fault keeps connections.

use simhost_sql::{Database, Options};

use super::*;
use crate::clock::{Clock, VIRTUAL_START};
use crate::model::{self, Cost, DatabaseFault, Distribution};
use crate::rng::{Key, Purpose};
use crate::sched::Sched;

/// Notes the faults that strike it.
#[derive(Default)]
struct Noted(RefCell<Vec<usize>>);

impl Client for Noted {
    fn struck(&self, fault: usize, _: Option<Nanos>) {
        self.0.borrow_mut().push(fault);
    }

    fn chance(&self) -> Key {
        Key::new(1, Purpose::Statement)
    }
}

/// Notes how many connections are idle, and how many are used.
struct Numbers(Rc<Cell<(u32, u32)>>);

impl PoolObserver for Numbers {
    fn noted(&self, event: PoolEvent) {
        if let PoolEvent::Has { idle, used, .. } = event {
            self.0.set((idle, used));
        }
    }
}

const SECOND: Nanos = 1_000_000_000;

/// Connections that are idle, and that are used.
type Idle = Rc<Cell<(u32, u32)>>;

/// A pool of three connections, for which a request waits a second, and what it tells of itself.
fn pool() -> (Sched, Rc<Pool>, Idle) {
    let sched = Sched::new(Clock::virtual_from(VIRTUAL_START));
    let settings = model::Database {
        name: "inventory".to_owned(),
        schema: model::Schema::File { path: "inventory.sql".into(), place: 0..0 },
        text: None,
        rows: Vec::new(),
        cores: 1,
        connections: 10,
        latency: Distribution::Fixed(1_000),
        cost: Cost { statement: 0, step: 0, row: 0, commit: Distribution::Fixed(0) },
        statement_timeout: None,
        lock_timeout: None,
        place: 0..0,
    };
    let engine = Database::open("", Options::default()).expect("a schema");
    let live = Live::new((0, settings), engine, &sched, false);
    let numbers = Rc::new(Cell::new((0, 0)));
    let observer = Box::new(Numbers(Rc::clone(&numbers)));
    let settings = ConnectionPool { database: 0, max: 3, wait: SECOND };
    let pool =
        Pool::new(live, (&settings, &Distribution::Fixed(0)), &Process::new(&sched, false), Some(observer));
    (sched, pool, numbers)
}

/// A connection, or nothing after a second.
fn take(sched: &Sched, pool: &Rc<Pool>, client: &Noted) -> Option<Connection> {
    let began = sched.now();
    let taken = sched.block_on(pool.take(client), || {}).expect("it ends");
    match taken {
        Ok(connection) => Some(connection),
        Err(NoConnection::Timeout) => {
            assert_eq!(sched.now() - began, SECOND);
            None
        }
        Err(NoConnection::Refused(failure, _)) => panic!("{failure:?}"),
    }
}

fn hold(pool: &Rc<Pool>, connections: u32, strength: impl Fn(Nanos) -> f64 + 'static) {
    hold_by(6, pool, connections, strength);
}

fn hold_by(fault: usize, pool: &Rc<Pool>, connections: u32, strength: impl Fn(Nanos) -> f64 + 'static) {
    pool.live.begin_fault(fault, &DatabaseFault::HoldConnections { connections }, Box::new(strength));
    pool.settle();
}

#[test]
fn requests_have_the_connections_that_a_fault_does_not_hold_and_all_of_them_when_it_ends() {
    let (sched, pool, numbers) = pool();
    let noted = Noted::default();
    drop(take(&sched, &pool, &noted).expect("three are free"));
    hold(&pool, 2, |_| 1.0);
    assert_eq!(numbers.get(), (0, 2), "one that was idle, and another one");
    let first = take(&sched, &pool, &noted).expect("one is left");
    assert!(noted.0.borrow().is_empty(), "it has not waited");
    assert!(take(&sched, &pool, &noted).is_none());
    assert_eq!((noted.0.take(), numbers.get()), (vec![6], (0, 3)));
    pool.live.end_fault(6);
    pool.settle();
    assert_eq!(numbers.get(), (2, 1));
    let others = [take(&sched, &pool, &noted), take(&sched, &pool, &noted)];
    assert!(others.iter().all(Option::is_some) && noted.0.borrow().is_empty());
    drop((first, others));
    assert_eq!(numbers.get(), (3, 0));
}

#[test]
fn a_connection_that_a_request_has_is_held_when_it_comes_back() {
    let (sched, pool, numbers) = pool();
    let noted = Noted::default();
    let all = [0; 3].map(|_| take(&sched, &pool, &noted).expect("three are free"));
    hold(&pool, 2, |_| 1.0);
    let [first, second, third] = all;
    drop((first, second));
    assert_eq!(numbers.get(), (0, 3));
    assert!(take(&sched, &pool, &noted).is_none(), "none is left");
    drop(third);
    assert_eq!(numbers.get(), (1, 2));
}

#[test]
fn two_faults_hold_the_sum_of_their_connections_and_each_gives_its_own_back() {
    let (sched, pool, numbers) = pool();
    let noted = Noted::default();
    hold_by(6, &pool, 2, |_| 1.0);
    hold_by(7, &pool, 2, |_| 1.0);
    assert_eq!(numbers.get(), (0, 3), "there are no more than three");
    assert!(take(&sched, &pool, &noted).is_none());
    assert_eq!(noted.0.take(), [6, 7]);
    for (fault, held) in [(6, 2), (7, 0)] {
        pool.live.end_fault(fault);
        pool.settle();
        assert_eq!(numbers.get(), (3 - held, held));
        let free: Vec<_> = (held..3).filter_map(|_| take(&sched, &pool, &noted)).collect();
        assert!(free.len() == (3 - held) as usize && noted.0.borrow().is_empty());
    }
}

#[test]
fn connections_go_one_after_the_other_while_the_fault_grows() {
    let (sched, pool, _) = pool();
    let noted = Noted::default();
    let began = sched.now();
    hold(&pool, 3, move |now| ((now - began) as f64 / (30 * SECOND) as f64).min(1.0));
    for left in [3, 2, 1, 0] {
        let taken: Vec<_> = (0..left).filter_map(|_| take(&sched, &pool, &noted)).collect();
        assert!(taken.len() == left && take(&sched, &pool, &noted).is_none(), "{left}");
        drop(taken);
        sched.block_on(sched.sleep(10 * SECOND), || {}).expect("it ends");
    }
}
