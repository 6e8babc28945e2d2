//! One signal's way to its receiver: a bounded queue, and tasks that empty it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use bytes::Bytes;
use tokio::runtime::Handle;
use tokio::task::AbortHandle;
use tokio::time::{self, Instant};

use super::retry::{Backoff, RetryPolicy};
use super::{Again, Failure, Options, QUEUE_BYTES, Sender, decode_answer};
use crate::clock;
use crate::rng::Key;
use crate::telemetry::exporter::{Account, Count, Reason, Signal};
use crate::telemetry::pipeline::Pace;
use crate::telemetry::queue::{CloseOnDrop, Load, Queue};

/// The pipeline's end of it.
#[derive(Debug)]
pub struct Lane {
    shared: Arc<Shared>,
    pace: Pace,
    tasks: Vec<AbortHandle>,
    /// Ends when all tasks have.
    done: mpsc::Receiver<()>,
}

/// What the pipeline and the tasks share.
#[derive(Debug)]
struct Shared {
    signal: Signal,
    sender: Sender,
    timeout: Duration,
    retry: RetryPolicy,
    jitter: Key,
    queue: Arc<Queue<Request>>,
    /// The last attempt has failed in a way that another may mend.
    failing: AtomicBool,
    /// Requests taken from the queue so far: each has its own jitter.
    taken: AtomicU64,
    account: Arc<Account>,
}

/// An encoded request and its number of records.
#[derive(Debug)]
struct Request {
    bytes: Bytes,
    count: Count,
}

impl Lane {
    pub fn start(
        signal: Signal,
        sender: Sender,
        timeout: Duration,
        options: &Options,
        account: Arc<Account>,
        runtime: &Handle,
    ) -> Self {
        let shared = Arc::new(Shared {
            signal,
            sender,
            timeout,
            retry: options.retry,
            jitter: options.jitter.with_name("otlp").with(signal as u64),
            queue: Arc::new(Queue::new(Load { records: options.batching.queue, bytes: QUEUE_BYTES })),
            failing: AtomicBool::new(false),
            taken: AtomicU64::new(0),
            account,
        });
        let (alive, done) = mpsc::channel();
        let tasks = (0..options.concurrency.max(1))
            .map(|_| {
                let (shared, alive) = (Arc::clone(&shared), alive.clone());
                // Out here, so that it works even if the runtime never runs the task.
                let guard = CloseOnDrop(Arc::clone(&shared.queue));
                let task = async move {
                    let _guard = guard;
                    while let Some(request) = shared.queue.pop().await {
                        shared.deliver(request).await;
                    }
                    drop(alive);
                };
                runtime.spawn(task).abort_handle()
            })
            .collect();
        Self { shared, pace: options.pace, tasks, done }
    }

    /// Queues an encoded request of `records`. In virtual time it waits for
    /// room while the receiver is well; it drops and counts while it fails, so
    /// that a dead receiver does not stop the run.
    pub fn push(&self, bytes: Bytes, records: usize) {
        let shared = &self.shared;
        let count = Count::of(shared.signal, records);
        let load = Load { records, bytes: bytes.len() };
        let patient = || self.pace != Pace::Real && !shared.failing.load(Ordering::SeqCst);
        if shared.queue.push(Request { bytes, count }, load, patient).is_err() {
            let trouble = shared.failing.load(Ordering::SeqCst).then(|| shared.account.totals().trouble);
            shared.account.dropped(Reason::QueueFull, count, trouble.flatten());
        }
    }

    /// Lets nothing in any more; what is queued is still sent.
    pub fn close(&self) {
        self.shared.queue.close();
    }

    /// Waits until everything is sent, or ends it at `deadline`.
    pub fn finish(self, deadline: Instant) {
        self.close();
        let left = deadline.saturating_duration_since(Instant::now());
        // Nothing is ever sent: the channel ends when the last task does.
        if self.done.recv_timeout(left) == Err(mpsc::RecvTimeoutError::Timeout) {
            self.tasks.iter().for_each(AbortHandle::abort);
        }
    }
}

impl Shared {
    /// Sends one request until it is accepted, refused, or not worth another attempt.
    async fn deliver(&self, request: Request) {
        let Request { bytes, count } = request;
        let number = self.taken.fetch_add(1, Ordering::Relaxed);
        let mut backoff = Backoff::new(self.retry, self.jitter.with(number));
        let prepared = self.sender.prepare(bytes);
        let began = Instant::now();
        loop {
            let failure = match self.attempt(prepared.clone()).await {
                Ok(answer) => return self.accept(count, answer),
                Err(failure) => failure,
            };
            let asked = match failure.again {
                Again::Accepted => return self.accept_garbled(count, failure.message),
                Again::Never => return self.give_up(count, failure.message),
                Again::Later => None,
                Again::After(delay) => Some(delay),
            };
            self.failing.store(true, Ordering::SeqCst);
            self.queue.wake();
            let Some(wait) = backoff.next(began.elapsed(), asked) else {
                let attempts = backoff.attempts();
                return self.give_up(count, format!("{} (attempt {attempts}, the last)", failure.message));
            };
            self.account.retried(failure.message);
            time::sleep(wait).await;
        }
    }

    async fn attempt(&self, prepared: Bytes) -> Result<Bytes, Failure> {
        time::timeout(self.timeout, self.sender.send(prepared)).await.unwrap_or_else(|_late| {
            let timeout = clock::show(u64::try_from(self.timeout.as_nanos()).unwrap_or(u64::MAX));
            Err(Failure { again: Again::Later, message: format!("no answer within {timeout}") })
        })
    }

    fn accept(&self, count: Count, answer: Bytes) {
        let partial = match decode_answer(self.signal, answer) {
            Ok(partial) => partial,
            Err(error) => return self.accept_garbled(count, format!("the answer is not OTLP: {error}")),
        };
        self.failing.store(false, Ordering::SeqCst);
        // A receiver cannot have rejected more than it was sent.
        let rejected = partial.rejected.min(count.records());
        let rejected = Count::of(self.signal, usize::try_from(rejected).unwrap_or(usize::MAX));
        if rejected.records() > 0 || partial.message.is_some() {
            let message = partial.message.as_deref().map(super::shorten);
            self.account.rejected(rejected, message);
        }
        self.account.exported(count.without(rejected));
    }

    /// The receiver has said yes, and then something that makes no sense.
    fn accept_garbled(&self, count: Count, trouble: String) {
        self.failing.store(false, Ordering::SeqCst);
        self.account.garbled(trouble);
        self.account.exported(count);
    }

    fn give_up(&self, count: Count, message: String) {
        self.account.trouble(message.clone());
        self.account.dropped(Reason::Failed, count, Some(message));
    }
}
