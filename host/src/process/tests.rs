//! Waits in processes, on a scheduler of their own.

use std::cell::RefCell;
use std::rc::Rc;

use crate::clock::Clock;
use crate::sched::Sched;

use super::Process;

/// A world, and a process in it that anything may befall.
fn process() -> (Sched, Rc<Process>) {
    let sched = Sched::new(Clock::virtual_from(0));
    let process = Process::new(&sched, true);
    (sched, process)
}

/// Has `what` happen at an instant.
fn at(sched: &Sched, due: u64, what: impl FnOnce() + 'static) {
    let later = sched.clone();
    sched.spawn(async move {
        later.sleep_until(due).await;
        what();
    });
}

#[test]
fn work_takes_as_many_times_as_long_as_it_is_slow_when_it_begins() {
    let (sched, process) = process();
    let now = || sched.now();
    sched
        .block_on(
            async {
                process.work(10).await;
                assert_eq!(now(), 10);
                process.slow_down(Some(Box::new(|begun| if begun < 40 { 2.5 } else { 0.1 })));
                process.work(10).await;
                assert_eq!(now(), 35);
                process.work(2).await;
                assert_eq!(now(), 40);
                // Nothing makes work quicker.
                process.work(10).await;
                assert_eq!(now(), 50);
                process.slow_down(None);
                process.work(10).await;
                assert_eq!(now(), 60);
            },
            || {},
        )
        .expect("time passes");
}

#[test]
fn what_ends_while_a_process_is_paused_is_noticed_when_it_goes_on_in_order() {
    let (sched, process) = process();
    let noticed = Rc::new(RefCell::new(Vec::new()));
    for due in [30, 10, 20, 90] {
        let (process, noticed) = (Rc::clone(&process), Rc::clone(&noticed));
        sched.spawn(async move {
            process.wait(due).await;
            noticed.borrow_mut().push((due, process.sched.now()));
        });
    }
    for (due, act) in [(5, Process::pause as fn(&Process)), (15, Process::pause)] {
        let process = Rc::clone(&process);
        at(&sched, due, move || act(&process));
    }
    for due in [40, 50] {
        let process = Rc::clone(&process);
        at(&sched, due, move || process.resume());
    }
    sched.block_on(sched.drained(), || {}).expect("time passes");
    assert_eq!(*noticed.borrow(), [(10, 50), (20, 50), (30, 50), (90, 90)]);
}

#[test]
fn a_death_reaches_who_waits_for_it_then_and_nobody_later() {
    let (sched, process) = process();
    let died = Rc::new(RefCell::new(Vec::new()));
    for number in 0..3 {
        let (process, died) = (Rc::clone(&process), Rc::clone(&died));
        sched.spawn(async move {
            process.sched.sleep(number * 10).await;
            let death = process.death();
            // The first gives up, and leaves its place to another.
            if number > 0 {
                death.await;
                died.borrow_mut().push((number, process.sched.now()));
            }
        });
    }
    for due in [15, 25] {
        let process = Rc::clone(&process);
        at(&sched, due, move || process.die());
    }
    sched.block_on(sched.drained(), || {}).expect("time passes");
    assert_eq!((died.borrow().as_slice(), process.life()), (&[(1, 15), (2, 25)][..], 2));
    assert!(process.mortals.borrow().is_empty());
}

#[test]
fn a_process_is_down_until_the_last_that_keeps_it_down_lets_go() {
    let (sched, process) = process();
    sched
        .block_on(
            async {
                process.stay_down_for(20);
                process.stay_down_for(10);
                process.stay_down();
                process.sched.sleep_until(15).await;
                process.come_up();
                assert!(process.is_down());
                process.sched.sleep_until(20).await;
                assert!(!process.is_down());
            },
            || {},
        )
        .expect("time passes");
}
