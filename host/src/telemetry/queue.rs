//! A queue that is bounded by what its items weigh, not by their number.
//!
//! `OTEL_BSP_MAX_QUEUE_SIZE` counts records, while a batch holds from one to
//! thousands of them and a record from a hundred bytes to megabytes; a channel
//! bounded by its number of messages would bound neither.

use std::collections::VecDeque;
use std::ops::{AddAssign, SubAssign};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio::time::Instant;

/// What an item weighs, and what a queue may hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Amount {
    pub records: usize,
    pub bytes: usize,
}

impl AddAssign for Amount {
    fn add_assign(&mut self, other: Self) {
        self.records += other.records;
        self.bytes += other.bytes;
    }
}

impl SubAssign for Amount {
    fn sub_assign(&mut self, other: Self) {
        self.records -= other.records;
        self.bytes -= other.bytes;
    }
}

/// What came of waiting for an item.
#[derive(Debug, PartialEq, Eq)]
pub enum Popped<T> {
    Item(T),
    /// Nothing came in time.
    Late,
    /// The queue is closed and empty.
    Closed,
}

/// Whether a producer waits for room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    Never,
    /// Until then; it is asked again at that instant, and whenever something changes.
    Until(Instant),
    Forever,
}

/// The queue. Producers are threads; consumers are threads ([`Queue::pop_until`])
/// or tasks ([`Queue::pop`]).
#[derive(Debug)]
pub struct Queue<T> {
    bound: Amount,
    state: Mutex<State<T>>,
    /// Wakes threads, on either side, when the state has changed.
    changed: Condvar,
    /// Wakes tasks when there is an item or the end.
    ready: Notify,
}

#[derive(Debug)]
struct State<T> {
    items: VecDeque<(T, Amount)>,
    amount: Amount,
    closed: bool,
}

impl<T> Queue<T> {
    pub fn new(bound: Amount) -> Self {
        let state = State { items: VecDeque::new(), amount: Amount::default(), closed: false };
        Self { bound, state: Mutex::new(state), changed: Condvar::new(), ready: Notify::new() }
    }

    /// Appends an item, waiting for room for as long as `wait` says so.
    /// An empty queue takes any item, so that none can be too heavy to pass.
    ///
    /// # Errors
    /// The item itself, when there is no room or the queue is closed.
    pub fn push(&self, item: T, amount: Amount, wait: impl Fn() -> Wait) -> Result<(), T> {
        let mut state = self.lock();
        loop {
            if state.closed {
                return Err(item);
            }
            let fits = state.amount.records + amount.records <= self.bound.records
                && state.amount.bytes + amount.bytes <= self.bound.bytes;
            if fits || state.items.is_empty() {
                break;
            }
            state = match wait() {
                Wait::Never => return Err(item),
                Wait::Forever => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
                Wait::Until(due) => {
                    let left = due.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        return Err(item);
                    }
                    self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
        state.items.push_back((item, amount));
        state.amount += amount;
        drop(state);
        self.changed.notify_all();
        self.ready.notify_one();
        Ok(())
    }

    /// The next item, waiting for it until `due`, or for good when there is none.
    pub fn pop_until(&self, due: Option<Instant>) -> Popped<T> {
        let mut state = self.lock();
        loop {
            if let Some(item) = self.take(&mut state) {
                return Popped::Item(item);
            }
            if state.closed {
                return Popped::Closed;
            }
            state = match due.map(|due| due.saturating_duration_since(Instant::now())) {
                Some(left) if left.is_zero() => return Popped::Late,
                Some(left) => {
                    self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0
                }
                None => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
            };
        }
    }

    /// The next item; none when the queue is closed and empty.
    pub async fn pop(&self) -> Option<T> {
        loop {
            // Before the look at the queue, or what happens in between would be missed.
            let ready = self.ready.notified();
            {
                let mut state = self.lock();
                if let Some(item) = self.take(&mut state) {
                    if !state.items.is_empty() {
                        self.ready.notify_one();
                    }
                    return Some(item);
                }
                if state.closed {
                    return None;
                }
            }
            ready.await;
        }
    }

    /// Lets nothing in any more. What is inside can still be taken.
    pub fn close(&self) {
        self.lock().closed = true;
        self.wake();
        self.ready.notify_waiters();
    }

    /// Makes producers that wait ask again for how long.
    pub fn wake(&self) {
        // Under the lock, or a producer between its question and its sleep would miss it.
        let _state = self.lock();
        self.changed.notify_all();
    }

    /// What the queue may hold.
    pub const fn bound(&self) -> Amount {
        self.bound
    }

    /// What the queue holds now.
    pub fn amount(&self) -> Amount {
        self.lock().amount
    }

    fn take(&self, state: &mut State<T>) -> Option<T> {
        let (item, amount) = state.items.pop_front()?;
        state.amount -= amount;
        self.changed.notify_all();
        Some(item)
    }

    /// No code panics while it holds the lock, so a poisoned one is whole.
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Closes a queue when its consumer is gone, however it went: a producer would
/// wait for good for one that has panicked, or whose runtime has ended.
#[derive(Debug)]
pub struct CloseOnDrop<T>(pub Arc<Queue<T>>);

impl<T> Drop for CloseOnDrop<T> {
    fn drop(&mut self) {
        self.0.close();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::Duration;

    use super::*;

    const fn amount(records: usize, bytes: usize) -> Amount {
        Amount { records, bytes }
    }

    #[test]
    fn a_queue_is_full_by_records_or_by_bytes() {
        let queue = Queue::new(amount(10, 100));
        assert_eq!(queue.push('a', amount(6, 10), || Wait::Never), Ok(()));
        assert_eq!(queue.push('b', amount(5, 10), || Wait::Never), Err('b'), "too many records");
        assert_eq!(queue.push('c', amount(1, 91), || Wait::Never), Err('c'), "too many bytes");
        assert_eq!(queue.push('d', amount(4, 90), || Wait::Never), Ok(()));
        assert_eq!(queue.amount(), amount(10, 100));
        assert_eq!(queue.pop_until(None), Popped::Item('a'));
        assert_eq!(queue.amount(), amount(4, 90));
    }

    #[test]
    fn an_item_heavier_than_the_bound_passes_alone() {
        let queue = Queue::new(amount(10, 100));
        assert_eq!(queue.push('a', amount(11, 1), || Wait::Never), Ok(()));
        assert_eq!(queue.push('b', amount(1, 1), || Wait::Never), Err('b'));
    }

    #[test]
    fn a_closed_queue_gives_what_it_holds_and_takes_nothing() {
        let queue = Queue::new(amount(10, 100));
        queue.push('a', amount(1, 1), || Wait::Never).unwrap();
        queue.close();
        assert_eq!(queue.push('b', amount(1, 1), || Wait::Forever), Err('b'));
        assert_eq!(queue.pop_until(None), Popped::Item('a'));
        assert_eq!(queue.pop_until(None), Popped::Closed);
    }

    #[test]
    fn an_empty_queue_is_late() {
        let queue = Queue::<char>::new(amount(1, 1));
        assert_eq!(queue.pop_until(Some(Instant::now() + Duration::from_millis(1))), Popped::Late);
    }

    #[test]
    fn a_waiting_producer_goes_on_when_there_is_room() {
        let queue = Arc::new(Queue::new(amount(1, 1)));
        queue.push(0, amount(1, 1), || Wait::Never).unwrap();
        let producer = std::thread::spawn({
            let queue = Arc::clone(&queue);
            move || (1..100).try_for_each(|item| queue.push(item, amount(1, 1), || Wait::Forever))
        });
        let items: Vec<_> = (0..100)
            .map(|_| match queue.pop_until(None) {
                Popped::Item(item) => item,
                other => panic!("{other:?}"),
            })
            .collect();
        assert!(items.into_iter().eq(0..100));
        assert_eq!(producer.join().unwrap(), Ok(()));
    }

    #[test]
    fn a_waiting_producer_gives_up_when_its_patience_ends() {
        let queue = Arc::new(Queue::new(amount(1, 1)));
        queue.push('a', amount(1, 1), || Wait::Never).unwrap();
        let patient = Arc::new(AtomicBool::new(true));
        let producer = std::thread::spawn({
            let (queue, patient) = (Arc::clone(&queue), Arc::clone(&patient));
            let wait = move || if patient.load(Ordering::SeqCst) { Wait::Forever } else { Wait::Never };
            move || queue.push('b', amount(1, 1), wait)
        });
        patient.store(false, Ordering::SeqCst);
        queue.wake();
        assert_eq!(producer.join().unwrap(), Err('b'));
        let soon = Instant::now() + Duration::from_millis(1);
        assert_eq!(queue.push('c', amount(1, 1), || Wait::Until(soon)), Err('c'));
    }

    #[tokio::test]
    async fn several_tasks_share_the_items_and_all_see_the_end() {
        let queue = Arc::new(Queue::new(amount(1_000, 1_000)));
        let tasks: Vec<_> = (0..4)
            .map(|_| {
                let queue = Arc::clone(&queue);
                tokio::spawn(async move {
                    let mut taken = 0;
                    while queue.pop().await.is_some() {
                        taken += 1;
                    }
                    taken
                })
            })
            .collect();
        for item in 0..500 {
            queue.push(item, amount(1, 1), || Wait::Never).unwrap();
            tokio::task::yield_now().await;
        }
        queue.close();
        let mut total = 0;
        for task in tasks {
            total += task.await.unwrap();
        }
        assert_eq!(total, 500);
    }
}
