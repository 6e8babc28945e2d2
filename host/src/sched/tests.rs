use std::time::Duration;

use super::timers::STALE_TIMERS;
use super::*;
use crate::clock::Stopwatch;

const START: Nanos = 1_000;

fn virtual_world() -> (Sched, Rc<RefCell<Vec<String>>>) {
    (Sched::new(Clock::virtual_from(START)), Rc::default())
}

/// A task that waits and then notes its name and the time.
fn note(sched: &Sched, seen: &Rc<RefCell<Vec<String>>>, name: &'static str, wait: Nanos) {
    let (sched, seen) = (sched.clone(), Rc::clone(seen));
    sched.clone().spawn(async move {
        sched.sleep(wait).await;
        seen.borrow_mut().push(format!("{name}@{}", sched.now() - START));
    });
}

#[test]
fn timers_fire_in_the_order_of_their_due_times_and_ties_in_the_order_they_were_set() {
    let (sched, seen) = virtual_world();
    note(&sched, &seen, "late", 500);
    note(&sched, &seen, "first-of-two", 100);
    note(&sched, &seen, "second-of-two", 100);
    note(&sched, &seen, "now", 0);
    sched.block_on(sched.sleep(1_000), || {}).unwrap();
    assert_eq!(*seen.borrow(), ["now@0", "first-of-two@100", "second-of-two@100", "late@500"]);
}

#[test]
fn virtual_time_jumps_to_the_next_timer_without_waiting() {
    let (sched, _) = virtual_world();
    let year = 365 * 24 * 3_600 * 1_000_000_000;
    sched.block_on(sched.sleep(year), || {}).unwrap();
    assert_eq!(sched.now(), START + year);
}

#[test]
fn a_world_in_which_nothing_can_happen_says_so_instead_of_hanging() {
    let (sched, _) = virtual_world();
    assert_eq!(sched.block_on(std::future::pending::<()>(), || {}), Err(Halt::Stalled));
}

#[test]
fn a_wait_that_was_given_up_leaves_no_timer_behind() {
    let (sched, _) = virtual_world();
    let world = sched.clone();
    sched
        .block_on(
            async move {
                for _ in 0..10_000 {
                    let mut wait = pin!(world.sleep(1_000_000));
                    std::future::poll_fn(|context| {
                        assert!(wait.as_mut().poll(context).is_pending());
                        Poll::Ready(())
                    })
                    .await;
                }
            },
            || {},
        )
        .unwrap();
    let mut timers = sched.0.timers.borrow_mut();
    assert_eq!(timers.slots.len(), 0);
    assert!(timers.heap.len() <= 2 * STALE_TIMERS + 2, "{}", timers.heap.len());
    assert_eq!(timers.next_due(), None);
}

#[test]
fn a_finished_wait_does_not_cancel_the_timer_that_took_its_place() {
    let (sched, seen) = virtual_world();
    let world = sched.clone();
    let noted = Rc::clone(&seen);
    sched
        .block_on(
            async move {
                let mut first = Box::pin(world.sleep(10));
                first.as_mut().await;
                note(&world, &noted, "heir", 10);
                world.sleep(0).await;
                let yielding = world.sleep(1);
                yielding.await;
                drop(first);
                world.sleep(100).await;
            },
            || {},
        )
        .unwrap();
    assert_eq!(*seen.borrow(), ["heir@20"]);
}

#[test]
fn a_wake_up_from_another_thread_ends_a_real_wait() {
    let sched = Sched::new(Clock::real(1.0));
    let (send, receive) = tokio::sync::oneshot::channel();
    let other = std::thread::spawn(move || send.send(7).unwrap());
    assert_eq!(sched.block_on(receive, || {}).unwrap(), Ok(7));
    other.join().unwrap();
}

#[test]
fn a_poll_has_one_instant_of_real_time_save_where_it_computes() {
    let sched = Sched::new(Clock::real(1.0));
    let computed = async {
        let (begun, watch) = (sched.now(), Stopwatch::start());
        while watch.elapsed() < Duration::from_micros(10) {}
        let (same, later) = (sched.now(), sched.computing(|| sched.now()));
        assert_eq!(same, begun);
        assert!(later >= begun + 10_000, "{later}");
        assert!(sched.now() >= later);
    };
    sched.block_on(computed, || {}).expect("it ends");
}

#[test]
fn real_time_waits_at_least_as_long_as_asked() {
    let sched = Sched::new(Clock::real(1.0));
    let before = sched.now();
    sched.block_on(sched.sleep(2_000_000), || {}).unwrap();
    assert!(sched.now() >= before + 2_000_000);
}

#[test]
fn a_task_that_never_rests_does_not_keep_real_timers_from_firing() {
    let sched = Sched::new(Clock::real(1.0));
    sched.spawn(async {
        loop {
            let mut yielded = false;
            std::future::poll_fn(|context| {
                if std::mem::replace(&mut yielded, true) {
                    return Poll::Ready(());
                }
                context.waker().wake_by_ref();
                Poll::Pending
            })
            .await;
        }
    });
    sched.block_on(sched.sleep(1_000_000), || {}).unwrap();
}

#[test]
fn a_task_that_is_woken_twice_runs_once() {
    let (sched, _) = virtual_world();
    let polls = Rc::new(std::cell::Cell::new(0));
    let (count, slot) = (Rc::clone(&polls), Rc::new(RefCell::new(None::<Waker>)));
    let place = Rc::clone(&slot);
    sched.spawn(std::future::poll_fn(move |context| {
        count.set(count.get() + 1);
        *place.borrow_mut() = Some(context.waker().clone());
        Poll::Pending
    }));
    let world = sched.clone();
    sched
        .block_on(
            async move {
                world.sleep(1).await;
                let waker = slot.borrow().clone().unwrap();
                waker.wake_by_ref();
                waker.wake();
                world.sleep(1).await;
            },
            || {},
        )
        .unwrap();
    assert_eq!(polls.get(), 2);
}

/// Lets others go first, without waiting.
fn yielded() -> impl Future<Output = ()> {
    let mut yielded = false;
    std::future::poll_fn(move |context| {
        if std::mem::replace(&mut yielded, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
}

#[test]
fn an_instant_without_end_is_given_up_after_an_alarm() {
    let (sched, _) = virtual_world();
    let steps = Rc::new(std::cell::Cell::new(0_u64));
    let (at_alarm, counted) = (Rc::new(std::cell::Cell::new(0)), Rc::clone(&steps));
    let noted = Rc::clone(&at_alarm);
    sched.when_in_doubt(move || noted.set(counted.get()));
    let (world, counted) = (sched.clone(), Rc::clone(&steps));
    sched.spawn(async move {
        world.sleep(500).await;
        loop {
            yielded().await;
            counted.set(counted.get() + 1);
        }
    });
    let halted = sched.block_on(sched.sleep(1_000), || {}).unwrap_err();
    let Halt::Endless { polls } = halted else { panic!("{halted:?}") };
    assert_eq!(polls, POLLS_AT_ONCE + POLLS_AT_ONCE / 2, "one task more is allowed for");
    assert_eq!(sched.now(), START + 500);
    assert!(at_alarm.get() > 0 && at_alarm.get() <= steps.get() / 2, "{} of {}", at_alarm.get(), steps.get());
}

#[test]
fn each_instant_that_seems_endless_raises_the_alarm_anew() {
    let (sched, _) = virtual_world();
    let raised: Rc<RefCell<Vec<Nanos>>> = Rc::default();
    let (noted, world) = (Rc::clone(&raised), sched.clone());
    sched.when_in_doubt(move || noted.borrow_mut().push(world.now() - START));
    let world = sched.clone();
    let busy_twice = async move {
        for _ in 0..2 {
            world.sleep(500).await;
            for _ in 0..POLLS_AT_ONCE / 2 + 1 {
                yielded().await;
            }
        }
    };
    assert_eq!(sched.block_on(busy_twice, || {}), Ok(()));
    assert_eq!(*raised.borrow(), [500, 1_000]);
}

#[test]
fn a_world_that_is_cleared_goes_with_its_last_handle() {
    let (sched, _) = virtual_world();
    let (alarm, task) = (sched.clone(), sched.clone());
    sched.when_in_doubt(move || assert!(alarm.is_virtual()));
    sched.spawn(async move { task.sleep(1_000).await });
    sched.block_on(sched.sleep(1), || {}).unwrap();
    let world = Rc::downgrade(&sched.0);
    sched.clear();
    drop(sched);
    assert!(world.upgrade().is_none(), "its task or its alarm holds it");
}

#[test]
fn many_polls_are_no_endless_instant_as_long_as_time_passes() {
    let (sched, _) = virtual_world();
    let world = sched.clone();
    let busy = async move {
        for _ in 0..100 {
            for _ in 0..POLLS_AT_ONCE / 10 {
                yielded().await;
            }
            world.sleep(1).await;
        }
    };
    assert_eq!(sched.block_on(busy, || {}), Ok(()));
}

#[test]
fn a_wait_beyond_the_end_of_time_ends_the_world_and_wraps_nothing() {
    let (sched, seen) = virtual_world();
    note(&sched, &seen, "soon", 10);
    note(&sched, &seen, "never", Nanos::MAX);
    note(&sched, &seen, "hardly", Nanos::MAX - START - 1);
    assert_eq!(sched.block_on(sched.sleep(Nanos::MAX), || {}), Err(Halt::Over));
    assert_eq!(*seen.borrow(), ["soon@10".to_owned(), format!("hardly@{}", Nanos::MAX - START - 1)]);
    assert_eq!(sched.block_on(sched.sleep(1), || {}), Err(Halt::Over));
    assert_eq!(sched.now(), Nanos::MAX - 1);
}

#[test]
fn what_cannot_come_before_the_end_of_time_holds_nothing_up() {
    let (sched, _) = virtual_world();
    let first = futures_util::future::select(sched.sleep(Nanos::MAX), sched.sleep(5));
    assert!(matches!(sched.block_on(first, || {}), Ok(futures_util::future::Either::Right(_))));
    assert_eq!(sched.now(), START + 5);
}

#[test]
fn paced_time_never_runs_ahead_of_its_pace_and_has_the_same_events() {
    let (unpaced, expected) = virtual_world();
    let seen = Rc::default();
    let sched = Sched::new(Clock::paced(START, 2.0));
    for (world, notes) in [(&unpaced, &expected), (&sched, &seen)] {
        note(world, notes, "late", 3_000_000);
        note(world, notes, "soon", 1_000_000);
        note(world, notes, "soon-too", 1_000_000);
    }
    unpaced.block_on(unpaced.sleep(4_000_000), || {}).unwrap();
    let watch = crate::clock::Stopwatch::start();
    sched.block_on(sched.sleep(4_000_000), || {}).unwrap();
    assert!(
        watch.elapsed() >= std::time::Duration::from_micros(2_000) - std::time::Duration::from_micros(100)
    );
    assert_eq!(sched.now(), START + 4_000_000);
    assert_eq!(*seen.borrow(), *expected.borrow());
}

#[test]
fn a_wake_up_from_another_thread_ends_a_wait_of_paced_time_and_moves_no_clock() {
    // An hour of simulated time would take over a century.
    let sched = Sched::new(Clock::paced(START, 1e-6));
    let (send, receive) = tokio::sync::oneshot::channel();
    let other = std::thread::spawn(move || send.send(7).unwrap());
    let first = futures_util::future::select(receive, sched.sleep(3_600_000_000_000));
    let first = sched.block_on(first, || {}).unwrap();
    assert!(matches!(first, futures_util::future::Either::Left((Ok(7), _))));
    assert_eq!(sched.now(), START);
    other.join().unwrap();
}

#[test]
fn real_time_can_be_made_to_run_faster() {
    let sched = Sched::new(Clock::real(1e6));
    let before = sched.now();
    // A quarter of an hour, in a millisecond.
    sched.block_on(sched.sleep(1_000_000_000_000), || {}).unwrap();
    assert!(sched.now() >= before + 1_000_000_000_000);
}

#[test]
fn a_value_wakes_the_task_that_waits_for_it() {
    let (sched, seen) = virtual_world();
    let (send, receive) = oneshot();
    let got = Rc::clone(&seen);
    sched.spawn(async move {
        let value = receive.await.unwrap_or("nothing");
        got.borrow_mut().push(value.to_owned());
    });
    let world = sched.clone();
    let late = async move {
        world.sleep(5).await;
        send.send("a value").expect("somebody waits");
        world.drained().await;
    };
    sched.block_on(late, || {}).unwrap();
    assert_eq!(*seen.borrow(), ["a value"]);
}

#[test]
fn each_end_of_a_channel_learns_that_the_other_is_gone() {
    let (sched, _) = virtual_world();
    let (send, receive) = oneshot::<u8>();
    drop(send);
    assert_eq!(sched.block_on(receive, || {}), Ok(Err(Gone)));
    let (send, receive) = oneshot();
    drop(receive);
    assert_eq!(send.send(7), Err(7));
}

#[test]
fn a_waker_that_outlives_its_task_does_not_wake_the_next_one_at_its_place() {
    let (sched, _) = virtual_world();
    let kept: Rc<RefCell<Option<Waker>>> = Rc::default();
    let keep = Rc::clone(&kept);
    sched.spawn(std::future::poll_fn(move |context| {
        *keep.borrow_mut() = Some(context.waker().clone());
        Poll::Ready(())
    }));
    sched.block_on(sched.drained(), || {}).unwrap();
    let polls: Rc<RefCell<u32>> = Rc::default();
    let count = Rc::clone(&polls);
    sched.spawn(std::future::poll_fn(move |_| {
        *count.borrow_mut() += 1;
        Poll::<()>::Pending
    }));
    sched.block_on(sched.sleep(1), || {}).unwrap();
    kept.take().expect("a waker").wake();
    sched.block_on(sched.sleep(1), || {}).unwrap();
    assert_eq!(*polls.borrow(), 1);
}

#[test]
fn nobody_waits_for_a_task_in_the_background() {
    let (sched, seen) = virtual_world();
    let world = sched.clone();
    sched.spawn_background(async move {
        loop {
            world.sleep(10).await;
        }
    });
    assert_eq!(sched.tasks(), 0);
    note(&sched, &seen, "a task", 25);
    assert_eq!(sched.tasks(), 1);
    sched.block_on(sched.drained(), || {}).unwrap();
    assert_eq!(*seen.borrow(), ["a task@25"]);
    // One that ends leaves the count of the others as it was.
    sched.spawn_background(async {});
    sched.block_on(sched.sleep(100), || {}).unwrap();
    assert_eq!(sched.tasks(), 0);
    sched.clear();
}

#[test]
fn at_an_instant_a_task_in_the_background_is_first() {
    let (sched, seen) = virtual_world();
    note(&sched, &seen, "before", 100);
    let (world, heard) = (sched.clone(), Rc::clone(&seen));
    sched.spawn_background(async move {
        world.sleep_until(START + 100).await;
        heard.borrow_mut().push(format!("beside@{}", world.now() - START));
    });
    note(&sched, &seen, "after", 100);
    sched.block_on(sched.sleep(100), || {}).unwrap();
    assert_eq!(*seen.borrow(), ["beside@100", "before@100", "after@100"]);
}

#[test]
fn a_world_is_still_when_only_tasks_in_the_background_have_timers() {
    let (sched, seen) = virtual_world();
    note(&sched, &seen, "a task", 50);
    let (world, heard) = (sched.clone(), Rc::clone(&seen));
    sched.spawn_background(async move {
        while !world.is_still() {
            let polls = world.polls();
            world.sleep(20).await;
            heard.borrow_mut().push(format!("{}: {} polls", world.now() - START, world.polls() - polls));
        }
    });
    // When it has ended, nothing is left that could go on.
    assert_eq!(sched.block_on(std::future::pending::<()>(), || {}), Err(Halt::Stalled));
    assert_eq!(*seen.borrow(), ["20: 0 polls", "40: 0 polls", "a task@50", "60: 1 polls"]);
}
