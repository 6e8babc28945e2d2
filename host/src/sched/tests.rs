use super::*;

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
    assert_eq!(sched.block_on(std::future::pending::<()>(), || {}), Err(Stalled));
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
    let sched = Sched::new(Clock::real());
    let (send, receive) = tokio::sync::oneshot::channel();
    let other = std::thread::spawn(move || send.send(7).unwrap());
    assert_eq!(sched.block_on(receive, || {}).unwrap(), Ok(7));
    other.join().unwrap();
}

#[test]
fn real_time_waits_at_least_as_long_as_asked() {
    let sched = Sched::new(Clock::real());
    let before = sched.now();
    sched.block_on(sched.sleep(2_000_000), || {}).unwrap();
    assert!(sched.now() >= before + 2_000_000);
}

#[test]
fn a_task_that_never_rests_does_not_keep_real_timers_from_firing() {
    let sched = Sched::new(Clock::real());
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
