//! What the scheduler costs, in virtual time: a task, a timer, a value from one
//! task to another.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use simhost::clock::Clock;
use simhost::sched::{Sched, oneshot};

/// Of each in one turn, so that the turn itself does not count.
const MANY: u64 = 1_000;

fn sched(criterion: &mut Criterion) {
    let sched = Sched::new(Clock::virtual_from(0));
    let mut group = criterion.benchmark_group("sched");
    group.throughput(Throughput::Elements(MANY));
    group.bench_function("start a task and end it", |bencher| {
        bencher.iter(|| {
            (0..MANY).for_each(|_| sched.spawn(std::future::ready(())));
            sched.block_on(sched.drained(), || {}).expect("they end");
        });
    });
    group.bench_function("set a timer and let it fire", |bencher| {
        let wait = async || {
            for nanos in 1..=MANY {
                sched.sleep(nanos).await;
            }
        };
        bencher.iter(|| sched.block_on(wait(), || {}).expect("time passes"));
    });
    group.bench_function("hand a value to another task", |bencher| {
        let hand = async || {
            for value in 0..MANY {
                let (send, receive) = oneshot();
                sched.spawn(async move {
                    send.send(value).ok();
                });
                assert_eq!(receive.await, Ok(value));
            }
        };
        bencher.iter(|| sched.block_on(hand(), || {}).expect("it arrives"));
    });
    group.finish();
}

criterion_group!(benches, sched);
criterion_main!(benches);
