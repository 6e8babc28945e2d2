//! Two faults of one kind at a time: each does its part until its own end.

use super::*;

const AT: std::ops::Range<usize> = 0..0;

const BY_N: &str = "SELECT id FROM stock WHERE n = 7";

fn lock(mode: TableLock) -> DatabaseFault {
    DatabaseFault::LockTable { table: ("stock".to_owned(), AT), mode }
}

/// Ends a fault after so many seconds.
fn end_after(sched: &Sched, live: &Rc<Live>, fault: usize, seconds: u64) {
    let (live, ender) = (Rc::clone(live), sched.clone());
    sched.spawn(async move {
        ender.sleep(seconds * 1_000_000_000).await;
        live.end_fault(fault);
    });
}

/// The faults that strike a statement.
fn struck(sched: &Sched, live: &Rc<Live>, text: &str) -> Vec<usize> {
    let noted = Noted::default();
    ask(sched, live, text, &noted).0.expect("it runs");
    noted.0.take().into_iter().map(|(fault, _)| fault).collect()
}

#[test]
fn an_index_is_gone_until_the_last_fault_that_drops_it_is_over() {
    let drop_index = DatabaseFault::DropIndex { index: ("stock_n".to_owned(), AT) };
    for (first, second) in [(1, 2), (2, 1)] {
        let (sched, live) = live(|_| {});
        let before = ask(&sched, &live, BY_N, &NOBODY);
        begin(&live, 1, &drop_index);
        begin(&live, 2, &drop_index);
        assert_eq!(struck(&sched, &live, BY_N), [1, 2]);
        live.end_fault(first);
        assert_eq!(struck(&sched, &live, BY_N), [second]);
        live.end_fault(second);
        assert_eq!(ask(&sched, &live, BY_N, &NOBODY), before);
    }
}

#[test]
fn a_table_is_locked_until_the_last_fault_that_locks_it_is_over() {
    use TableLock::{AccessExclusive, Share};
    let (read, write) = ("SELECT n FROM stock WHERE id = 7", "UPDATE stock SET n = 1 WHERE id = 7");
    for (modes, text, ends, expected) in [
        ([AccessExclusive, AccessExclusive], read, [1, 3], 3),
        ([AccessExclusive, AccessExclusive], read, [3, 1], 3),
        // The second waits for the first, and who comes later waits for it.
        ([Share, AccessExclusive], read, [1, 3], 3),
        ([Share, AccessExclusive], read, [3, 1], 1),
        ([AccessExclusive, Share], read, [1, 3], 1),
        ([AccessExclusive, Share], write, [1, 3], 3),
        ([Share, Share], read, [1, 3], 0),
        ([Share, Share], write, [1, 3], 3),
        ([Share, Share], write, [3, 1], 3),
    ] {
        let (sched, live) = live(|_| {});
        for (fault, (mode, seconds)) in modes.into_iter().zip(ends).enumerate() {
            begin(&live, fault, &lock(mode));
            end_after(&sched, &live, fault, seconds);
        }
        let (result, took) = ask(&sched, &live, text, &Noted::default());
        assert_eq!((result, took / 1_000_000_000), (Ok(1), expected), "{text} within {modes:?}, {ends:?}");
    }
}

#[test]
fn two_slow_disks_are_slower_than_one() {
    let update = "UPDATE stock SET n = n WHERE id = 7";
    let (sched, live) = live(|settings| settings.cost.step = 0);
    let commit = 500_000;
    let (_, before) = ask(&sched, &live, update, &NOBODY);
    begin(&live, 1, &DatabaseFault::SlowDisk { times: 2.0 });
    begin(&live, 2, &DatabaseFault::SlowDisk { times: 3.0 });
    for (times, over) in [(6, 1), (3, 2), (1, 3)] {
        let (_, took) = ask(&sched, &live, update, &Noted::default());
        assert_eq!(took, before + (times - 1) * commit);
        live.end_fault(over);
    }
}

#[test]
fn connections_are_as_few_as_the_stronger_of_two_faults_leaves() {
    let (sched, live) = live(|settings| settings.connections = 4);
    begin(&live, 1, &DatabaseFault::TooManyConnections { left: 1 });
    begin(&live, 2, &DatabaseFault::TooManyConnections { left: 2 });
    let noted = Noted::default();
    let connect = || {
        let result = sched.block_on(live.connect(&noted), || {}).expect("it ends");
        (result.is_ok(), noted.0.take().into_iter().map(|(fault, _)| fault).collect::<Vec<_>>())
    };
    assert_eq!([connect(), connect()], [(true, vec![]), (false, vec![1])]);
    live.end_fault(1);
    assert_eq!([connect(), connect()], [(true, vec![]), (false, vec![2])]);
    live.end_fault(2);
    assert_eq!([connect(), connect()], [(true, vec![]), (true, vec![])]);
}

#[test]
fn no_server_is_there_until_the_last_of_two_failovers_is_over() {
    let (sched, live) = live(|_| {});
    begin(&live, 1, &DatabaseFault::Failover);
    begin(&live, 2, &DatabaseFault::Failover);
    let noted = Noted::default();
    let connect = || {
        let result = sched.block_on(live.connect(&noted), || {}).expect("it ends");
        let faults: Vec<usize> = noted.0.take().into_iter().map(|(fault, _)| fault).collect();
        (result.err().map(|failure| failure.sqlstate), faults)
    };
    assert_eq!(connect(), (Some("57P03"), vec![1, 2]));
    live.end_fault(1);
    assert_eq!(connect(), (Some("57P03"), vec![2]));
    live.end_fault(2);
    assert_eq!(connect(), (None, vec![]));
}

#[test]
fn a_failover_ends_the_lock_of_a_table_with_the_session_that_has_it() {
    let (sched, live) = live(|_| {});
    let read = "SELECT n FROM stock WHERE id = 7";
    let (_, before) = ask(&sched, &live, read, &NOBODY);
    begin(&live, 1, &lock(TableLock::AccessExclusive));
    begin(&live, 2, &DatabaseFault::Failover);
    live.end_fault(2);
    assert_eq!(ask(&sched, &live, read, &NOBODY), (Ok(1), before), "the lock is gone with its session");
    live.end_fault(1);
    assert_eq!(ask(&sched, &live, read, &NOBODY), (Ok(1), before));
}
