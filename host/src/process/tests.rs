//! Waits in processes, on a scheduler of their own.

use std::cell::RefCell;
use std::rc::Rc;

use crate::clock::Clock;
use crate::sched::Sched;

use super::Process;

/// A world, and a process in it.
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
    assert_eq!(process.length(10), 10);
    process.slow_down(Some(Box::new(|begun| if begun < 40 { 2.5 } else { 0.1 })));
    assert_eq!((process.length(10), process.length(0)), (25, 0));
    sched.block_on(sched.sleep(40), || {}).expect("time passes");
    // Nothing makes work quicker.
    assert_eq!(process.length(10), 10);
    process.slow_down(None);
    assert_eq!(process.length(10), 10);
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
