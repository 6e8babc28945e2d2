//! An exporter on a thread of its own: when it stands still, the others go on.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use tokio::time::Instant;

use super::exporter::{Account, Exporter, Reason};
use super::queue::{Amount, CloseOnDrop, Popped, Queue, Wait};
use super::record::Resource;
use super::signal::{Batch, Signals};

/// What waits for it; one batch more is dropped and counted.
const BOUND: Amount = Amount { records: 131_072, bytes: 64 << 20 };

/// Hands everything on to another exporter, on that one's thread.
#[derive(Debug)]
pub struct Threaded {
    name: String,
    takes: Signals,
    at_once: bool,
    must_be_whole: bool,
    account: Arc<Account>,
    /// Closed once it is flushed. An empty batch says that it is quiet.
    queue: Arc<Queue<Batch>>,
    /// Ends when the thread has flushed.
    done: Receiver<()>,
}

impl Threaded {
    /// Starts the thread.
    ///
    /// # Errors
    /// The system gives no thread.
    pub fn start(mut exporter: impl Exporter + 'static, resources: Arc<[Resource]>) -> std::io::Result<Self> {
        let (name, takes) = (exporter.name().to_owned(), exporter.takes());
        let (at_once, must_be_whole) = (exporter.wants_at_once(), exporter.must_be_whole());
        let account = exporter.account();
        let queue = Arc::new(Queue::<Batch>::new(BOUND));
        let waiting = CloseOnDrop(Arc::clone(&queue));
        let (alive, done) = channel();
        thread::Builder::new().name(format!("simhost-{name}")).spawn(move || {
            while let Popped::Item(batch) = waiting.0.pop_until(None) {
                match batch.is_empty() {
                    true => exporter.quiet(),
                    false => exporter.export(&batch, &resources),
                }
            }
            exporter.flush(Instant::now());
            drop(alive);
        })?;
        Ok(Self { name, takes, at_once, must_be_whole, account, queue, done })
    }
}

impl Exporter for Threaded {
    fn name(&self) -> &str {
        &self.name
    }

    fn takes(&self) -> Signals {
        self.takes
    }

    fn export(&mut self, batch: &Batch, _: &[Resource]) {
        let amount = Amount { records: batch.len(), bytes: batch.weight() };
        let taken = self.queue.push(batch.clone(), amount, || Wait::Never).is_ok();
        if !taken {
            self.account.dropped(Reason::QueueFull, batch.count(), None);
        }
    }

    fn wants_at_once(&self) -> bool {
        self.at_once
    }

    fn must_be_whole(&self) -> bool {
        self.must_be_whole
    }

    fn quiet(&mut self) {
        // One that has no room for this is not idle.
        self.queue.push(Batch::default(), Amount { records: 1, bytes: 0 }, || Wait::Never).ok();
    }

    fn flush(&mut self, deadline: Instant) {
        self.queue.close();
        // Nothing is ever sent: the channel ends with the thread, or the deadline passes.
        self.done.recv_timeout(deadline.saturating_duration_since(Instant::now())).ok();
    }

    fn account(&self) -> Arc<Account> {
        Arc::clone(&self.account)
    }
}

impl Drop for Threaded {
    /// Lets the thread end.
    fn drop(&mut self) {
        self.queue.close();
    }
}

#[cfg(test)]
mod tests {
    use std::io::{self, Write};
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;
    use crate::telemetry::console::{Console, Style};
    use crate::telemetry::record::{LogRecord, ResourceId, Scope, Severity};
    use crate::telemetry::signal::Signal;

    /// A terminal on which somebody has pressed ctrl-s.
    struct Stuck(mpsc::Receiver<()>);

    impl Write for Stuck {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.recv().ok();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn line() -> Batch {
        let log = LogRecord {
            time: 1,
            severity: Severity::Info,
            event_name: None,
            body: "hello".into(),
            attributes: Vec::new(),
            resource: ResourceId(0),
            scope: Scope::Guest,
            span: None,
        };
        vec![log].into()
    }

    #[test]
    fn an_exporter_that_stands_still_holds_nobody_up_and_what_it_misses_is_counted() {
        let resources: Arc<[Resource]> = Arc::new([Resource { service: "a".into(), attributes: Vec::new() }]);
        let (go_on, stuck) = mpsc::channel();
        let console = Console::new(Stuck(stuck), Arc::clone(&resources), Style::default());
        let mut threaded = Threaded::start(console, Arc::clone(&resources)).expect("a thread");
        let batches = BOUND.records as u64 + 100;
        for _ in 0..batches {
            threaded.export(&line(), &resources);
        }
        let dropped = threaded.account().totals().dropped()[Signal::Logs];
        assert!((99..=100).contains(&dropped), "{dropped}");
        // It goes on: everything else is written.
        drop(go_on);
        threaded.flush(Instant::now() + Duration::from_secs(60));
        assert_eq!(threaded.account().totals().exported[Signal::Logs] + dropped, batches);
    }
}
