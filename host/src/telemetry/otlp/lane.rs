//! One signal's way to its receiver: a bounded queue, and tasks that empty it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use bytes::Bytes;
use tokio::runtime::Handle;
use tokio::task::AbortHandle;
use tokio::time::{self, Instant};
use tracing::info;

use super::halves::halve;
use super::patience::Patience;
use super::retry::{Backoff, RetryPolicy};
use super::{Again, Failure, Options, QUEUE_BYTES, Sender};
use crate::clock;
use crate::rng::Key;
use crate::telemetry::exporter::{Account, Held, Operation, REJECTED, Reason, Trouble};
use crate::telemetry::pipeline::{LOOK, Pace};
use crate::telemetry::queue::{Amount, CloseOnDrop, Queue, Wait};
use crate::telemetry::signal::{Count, Signal, Spec};

/// The pipeline's end of it.
#[derive(Debug)]
pub struct Lane {
    shared: Arc<Shared>,
    tasks: Vec<AbortHandle>,
    /// Ends when all tasks have.
    done: mpsc::Receiver<()>,
}

/// What the pipeline and the tasks share.
#[derive(Debug)]
struct Shared {
    signal: Signal,
    sender: Sender,
    pace: Pace,
    timeout: Duration,
    retry: RetryPolicy,
    jitter: Key,
    queue: Arc<Queue<(Request, Held)>>,
    patience: Patience,
    /// Bytes of the smallest request that was too large for the receiver.
    too_large: AtomicUsize,
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
        let batching = options.batching[signal];
        let shared = Arc::new(Shared {
            signal,
            sender,
            pace: options.pace,
            timeout,
            retry: options.retry,
            jitter: options.jitter.with_name("otlp").with(signal as u64),
            queue: Arc::new(Queue::new(Amount { records: batching.queue, bytes: QUEUE_BYTES })),
            patience: Patience::new(batching.timeout),
            too_large: AtomicUsize::new(usize::MAX),
            taken: AtomicU64::new(0),
            account,
        });
        let (alive, done) = mpsc::channel();
        let concurrency = if signal == Signal::Metrics { 1 } else { options.concurrency.max(1) };
        let tasks = (0..concurrency)
            .map(|_| {
                let (shared, alive) = (Arc::clone(&shared), alive.clone());
                // Out here, so that it works even if the runtime never runs the task.
                let guard = CloseOnDrop(Arc::clone(&shared.queue));
                let task = async move {
                    let _guard = guard;
                    while let Some((request, waiting)) = shared.queue.pop().await {
                        shared.deliver(request, waiting.set_out()).await;
                    }
                    drop(alive);
                };
                runtime.spawn(task).abort_handle()
            })
            .collect();
        Self { shared, tasks, done }
    }

    /// Queues an encoded request of `records`. In real time what finds no room is
    /// dropped and counted. In virtual time it waits for room while the receiver
    /// takes records, and is dropped when that has taken none for a while.
    pub fn push(&self, bytes: Bytes, records: usize) {
        let shared = &self.shared;
        let count = Count::of(shared.signal, records);
        let amount = Amount { records, bytes: bytes.len() };
        let began = Instant::now();
        let wait = || match shared.pace {
            Pace::Real => Wait::Never,
            Pace::Virtual | Pace::Paced => Wait::Until(shared.patience.due(began, Duration::MAX)),
        };
        let waiting = Held::waiting(&shared.account, shared.signal, records);
        if shared.queue.push((Request { bytes, count }, waiting), amount, wait).is_err() {
            let message = shared.why_full();
            if shared.pace != Pace::Real {
                shared.patience.give_up();
            }
            shared.account.dropped(Reason::QueueFull, count, message);
        }
    }

    /// Lets nothing in any more; what is queued is still sent.
    pub fn close(&self) {
        self.shared.queue.close();
    }

    /// Waits until everything is sent. It ends what is left when the receiver has taken
    /// nothing for `longest`, counted from `began` or from when it last took something.
    pub fn finish(self, began: Instant, longest: Duration) {
        self.close();
        loop {
            let due = self.shared.patience.due(began, longest);
            let left = due.saturating_duration_since(Instant::now());
            // Nothing is ever sent: the channel ends when the last task does. That nobody is there may
            // show only while it is waited for.
            if self.done.recv_timeout(left.min(LOOK)) != Err(mpsc::RecvTimeoutError::Timeout) {
                return;
            }
            if left.is_zero() {
                return self.tasks.iter().for_each(AbortHandle::abort);
            }
        }
    }
}

impl Shared {
    /// Sends one request, in parts if the receiver wants it smaller, until each is
    /// accepted, refused, or not worth another attempt; what is not yet counts as `in_flight`.
    async fn deliver(&self, request: Request, mut in_flight: Held) {
        let mut parts = vec![request];
        while let Some(part) = parts.pop() {
            if part.bytes.len() >= self.too_large.load(Ordering::Relaxed)
                && let Some(halves) = self.halve(&part)
            {
                parts.extend(halves);
                continue;
            }
            let began = Instant::now();
            let sent = self.send(&part).await;
            if sent.is_ok() {
                in_flight.settle(part.count.records());
            }
            self.account.traffic.ended(|| Operation {
                signal: self.signal,
                took: began.elapsed(),
                error: *sent.as_ref().unwrap_or(&Some(Reason::TooLarge.error_type())),
            });
            let Err(refusal) = sent else { continue };
            self.too_large.fetch_min(part.bytes.len(), Ordering::Relaxed);
            if let Some(halves) = self.halve(&part) {
                self.account.retried(refusal);
                parts.extend(halves);
            } else {
                self.patience.moved();
                self.account.rejected(part.count, Some(refusal));
                in_flight.settle(part.count.records());
            }
        }
    }

    /// The latter half first, as the last of a list is taken first.
    fn halve(&self, request: &Request) -> Option<[Request; 2]> {
        let [first, second] = halve(request.bytes.clone(), self.signal.spec().items)?;
        let request = |(bytes, items)| Request { bytes, count: Count::of(self.signal, items) };
        Some([request(second), request(first)])
    }

    /// Sends one request until it is accepted, refused, or not worth another attempt. It tells the
    /// `error.type` of how that ended; none if all was accepted.
    ///
    /// # Errors
    /// What the receiver said, if the request is larger than it takes.
    async fn send(&self, request: &Request) -> Result<Option<&'static str>, String> {
        let count = request.count;
        let number = self.taken.fetch_add(1, Ordering::Relaxed);
        let mut backoff = Backoff::new(self.retry, self.jitter.with(number));
        let prepared = self.sender.prepare(request.bytes.clone());
        let began = Instant::now();
        loop {
            let failure = match self.attempt(prepared.clone()).await {
                Ok(answer) => {
                    return Ok(self.accept(count, answer));
                }
                Err(failure) => failure,
            };
            let asked = match failure.again {
                Again::Accepted => {
                    self.accept_garbled(count, &failure.message);
                    return Ok(None);
                }
                Again::Smaller => return Err(failure.message),
                Again::Never => {
                    self.refused(count, failure.message);
                    return Ok(Some(Reason::Refused.error_type()));
                }
                Again::Untaken => {
                    self.refused(count, failure.message + &self.leave_out());
                    return Ok(Some(Reason::Refused.error_type()));
                }
                Again::Later => None,
                Again::After(delay) => Some(delay),
            };
            self.patience.failed(failure.is_answer);
            self.queue.wake();
            let elapsed = match self.pace {
                Pace::Real => began.elapsed(),
                // As long as others get through, this one may.
                Pace::Virtual | Pace::Paced => self.patience.since_moved(began),
            };
            let attempts = backoff.attempts();
            let Some(wait) = backoff.next(elapsed, asked) else {
                let most = self.retry.max_elapsed;
                let asks = asked.filter(|asked| *asked > most).map(|_| clock::show(clock::nanos(most)));
                let asks = asks.map(|most| format!("; it asks for a wait of over {most}"));
                let asks = asks.unwrap_or_default();
                let message = format!("{} (attempt {attempts}, the last{asks})", failure.message);
                self.account.trouble(Trouble::passing(message.clone()));
                self.account.dropped(Reason::Failed, count, Some(message));
                return Ok(Some(Reason::Failed.error_type()));
            };
            let (signal, records) = (self.signal, count.records());
            info!(
                ?signal,
                records,
                attempts,
                ?wait,
                error = failure.message,
                "export failed, tried again after the wait"
            );
            self.account.retried(failure.message);
            time::sleep(wait).await;
        }
    }

    async fn attempt(&self, prepared: Bytes) -> Result<Bytes, Failure> {
        self.patience.asks();
        let answer = time::timeout(self.timeout, self.sender.send(prepared)).await;
        answer.unwrap_or_else(|_late| Err(Failure::late(self.timeout)))
    }

    /// The receiver has said yes: the `error.type`, if it did not take all records.
    fn accept(&self, count: Count, answer: Bytes) -> Option<&'static str> {
        let partial = match (self.signal.spec().answer)(answer) {
            Ok(partial) => partial,
            Err(error) => {
                self.accept_garbled(count, &format!("the answer is not OTLP: {error}"));
                return None;
            }
        };
        self.patience.moved();
        // A receiver cannot have rejected more than it was sent.
        let rejected = u64::try_from(partial.rejected).unwrap_or(0).min(count.records());
        let rejected = Count::of(self.signal, usize::try_from(rejected).unwrap_or(usize::MAX));
        let message = Some(super::shorten(&partial.message)).filter(|_| !partial.message.is_empty());
        if rejected.records() > 0 {
            self.account.rejected(rejected, message);
        } else if let Some(warning) = message {
            self.account.warned(format!("the receiver says: {warning}"));
        }
        self.account.exported(count.without(rejected));
        (rejected.records() > 0).then_some(REJECTED)
    }

    /// The receiver has said yes, and then something that makes no sense.
    fn accept_garbled(&self, count: Count, how: &str) {
        self.patience.moved();
        self.account.garbled(how);
        self.account.exported(count);
    }

    /// The receiver has said no for good.
    fn refused(&self, count: Count, message: String) {
        self.patience.moved();
        self.account.trouble(Trouble::permanent(message.clone()));
        self.account.dropped(Reason::Refused, count, Some(message));
    }

    /// What to do where the receiver takes other signals only. Spans are what a run is about.
    fn leave_out(&self) -> String {
        let Spec { noun, variable, .. } = self.signal.spec();
        match self.signal {
            Signal::Traces => String::new(),
            _ => format!(" (OTEL_{variable}_EXPORTER=none leaves {noun}s out)"),
        }
    }

    /// Why there is no room, for a person.
    fn why_full(&self) -> Option<String> {
        let trouble = self.account.totals().trouble.filter(|_| self.patience.is_failing());
        let trouble = trouble.map(|trouble| trouble.message);
        if self.pace == Pace::Real {
            return trouble;
        }
        let waited = self.patience.reason();
        Some(trouble.map_or_else(|| waited.clone(), |trouble| format!("{waited}: {trouble}")))
    }
}
