//! What an exporter is, and how it accounts for every record it was given.

mod traffic;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio::time::Instant;

use super::record::Resource;
use super::signal::{Batch, Count, Signals};

use traffic::Traffic;
pub use traffic::{Held, Operation};

/// A place that records go to. It lives on the pipeline's thread.
pub trait Exporter: Send {
    /// As the report shows it: `otlp http://localhost:4317`, `file spans.jsonl`.
    fn name(&self) -> &str;

    /// Which records it wants. It is handed all of them and skips the others.
    fn takes(&self) -> Signals;

    /// Takes in a batch. [`ResourceId`](super::record::ResourceId)s are indices
    /// into `resources`. Trouble is counted, never returned: the caller could not act on it.
    fn export(&mut self, batch: &Batch, resources: &[Resource]);

    /// Whether it wants records as they come; most rather take many at a time.
    fn wants_at_once(&self) -> bool {
        false
    }

    /// Whether it stands for a receiver that can be down, so that nothing is taken.
    fn is_receiver(&self) -> bool {
        false
    }

    /// Whether the run has failed if it has not taken a record: receivers and files.
    fn must_be_whole(&self) -> bool {
        self.is_receiver()
    }

    /// Nothing has come for a while, in real time: an exporter that waits for more records
    /// may stop waiting.
    fn quiet(&mut self) {}

    /// Sees everything it took in through to its end, until `deadline`, which moves on
    /// while records get through, and counts as dropped what is left then. Nothing is
    /// exported after it.
    fn flush(&mut self, deadline: Instant);

    /// The exporter's account, to be read from any thread at any time.
    fn account(&self) -> Arc<Account>;
}

/// Why records were given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reason {
    /// They came faster than they could be sent or written.
    QueueFull,
    /// Refused for good: another attempt could not help.
    Refused,
    /// Not accepted after all retries; a file: not written.
    Failed,
    /// The reader of the output has closed it.
    Unread,
    /// One record alone was larger than a request may be.
    TooLarge,
    /// Still under way when the time to flush was over.
    Deadline,
    /// The receivers were down, as a fault has it, and no more could wait for them.
    Down,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::QueueFull => "queue full",
            Self::Refused => "refused for good",
            Self::Failed => "failed",
            Self::Unread => "unread",
            Self::TooLarge => "too large",
            Self::Deadline => "out of time",
            Self::Down => "the receivers were down",
        })
    }
}

impl Reason {
    /// As `error.type` of an attribute has it.
    pub const fn error_type(self) -> &'static str {
        match self {
            Self::QueueFull => "queue_full",
            Self::Refused => "refused",
            Self::Failed => "failed",
            Self::Unread => "unread",
            Self::TooLarge => "too_large",
            Self::Deadline => "timeout",
            Self::Down => "down",
        }
    }

    /// Whether it was asked for: by a fault of the topology, or by a reader that closed the
    /// output. Any other reason is a loss.
    pub const fn is_meant(self) -> bool {
        matches!(self, Self::Unread | Self::Down)
    }
}

/// `error.type` of records that a receiver has taken out of a request that it accepted.
pub const REJECTED: &str = "rejected";

/// What goes wrong with an exporter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    pub message: String,
    /// No retry mends it: a receiver that refuses the credentials, a disk that is full.
    pub is_permanent: bool,
}

impl Trouble {
    pub fn permanent(message: impl Into<String>) -> Self {
        Self { message: message.into(), is_permanent: true }
    }

    pub fn passing(message: impl Into<String>) -> Self {
        Self { message: message.into(), is_permanent: false }
    }
}

/// Records that were given up for the same reason, and the last message about it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lost {
    pub count: Count,
    /// The last error or answer that says why.
    pub message: Option<String>,
}

impl Lost {
    fn add(&mut self, count: Count, message: Option<String>) {
        self.count += count;
        if message.is_some() {
            self.message = message;
        }
    }
}

/// What became of the records of one exporter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    pub name: String,
    /// Its losses are a failure of the run (see [`Exporter::must_be_whole`]).
    pub must_be_whole: bool,
    /// Which records it wants.
    pub takes: Signals,
    /// Accepted by the receiver, or written.
    pub exported: Count,
    /// Left out, as they were not asked for.
    pub skipped: Count,
    /// Requests that were sent once more.
    pub retried: u64,
    /// Accepted requests whose answer was not OTLP; the records count as exported.
    pub garbled: u64,
    /// Taken out of accepted requests by the receiver (OTLP's `partial_success`), or
    /// too large for it one by one.
    pub rejected: Lost,
    /// What is to be known of records that are not lost, such as the receiver's text for
    /// a request that it accepted whole (OTLP's `partial_success` with 0 rejected).
    pub warning: Option<String>,
    pub dropped: BTreeMap<Reason, Lost>,
    /// The last thing that went wrong, even if a retry mended it.
    pub trouble: Option<Trouble>,
}

impl Totals {
    /// All that was given up, whatever the reason.
    pub fn dropped(&self) -> Count {
        self.dropped.values().fold(Count::default(), |sum, lost| sum + lost.count)
    }

    /// All records that were exported, skipped, rejected or dropped.
    pub fn settled(&self) -> Count {
        self.exported + self.skipped + self.rejected.count + self.dropped()
    }

    /// What a receiver or file should have and has not: rejected, or dropped for a reason
    /// that [was not asked for](Reason::is_meant).
    pub fn lost(&self) -> Count {
        if !self.must_be_whole {
            return Count::default();
        }
        let dropped = self.dropped.iter().filter(|(reason, _)| !reason.is_meant());
        dropped.fold(self.rejected.count, |sum, (_, lost)| sum + lost.count)
    }
}

/// The running account of one exporter. It is touched once for each request,
/// not for each record, so that a lock costs nothing that could be measured.
#[derive(Debug)]
pub struct Account {
    totals: Mutex<Totals>,
    /// Notified when the reader of the output has closed it.
    unread: Notify,
    /// What is on its way to an OTLP receiver; other exporters have nothing there.
    pub traffic: Traffic,
}

impl Account {
    pub fn new(name: impl Into<String>) -> Arc<Self> {
        let totals = Totals { name: name.into(), ..Totals::default() };
        Arc::new(Self { totals: Mutex::new(totals), unread: Notify::new(), traffic: Traffic::default() })
    }

    /// A copy of the account as it stands.
    pub fn totals(&self) -> Totals {
        self.lock().clone()
    }

    pub fn exported(&self, count: Count) {
        self.lock().exported += count;
    }

    pub fn skipped(&self, count: Count) {
        self.lock().skipped += count;
    }

    pub fn rejected(&self, count: Count, message: Option<String>) {
        self.lock().rejected.add(count, message);
    }

    pub fn dropped(&self, reason: Reason, count: Count, message: Option<String>) {
        self.lock().dropped.entry(reason).or_default().add(count, message);
        if reason == Reason::Unread {
            self.read_no_more();
        }
    }

    /// Notes that the reader of the output has closed it.
    pub fn read_no_more(&self) {
        self.unread.notify_one();
    }

    /// Ends when the reader of the output has closed it.
    pub async fn unread(&self) {
        self.unread.notified().await;
    }

    pub fn retried(&self, trouble: String) {
        let mut totals = self.lock();
        totals.retried += 1;
        totals.trouble = Some(Trouble::passing(trouble));
    }

    /// A request was accepted, and the answer is not OTLP: `how`. Somebody else may listen at the address.
    pub fn garbled(&self, how: &str) {
        let mut totals = self.lock();
        totals.garbled += 1;
        totals.warning = Some(format!("accepted, but {how}; check that it is an OTLP receiver"));
    }

    pub fn trouble(&self, trouble: Trouble) {
        self.lock().trouble = Some(trouble);
    }

    pub fn warned(&self, warning: String) {
        self.lock().warning = Some(warning);
    }

    /// The final account of an exporter that was given `given`. Records that are neither
    /// exported, rejected nor dropped are counted as dropped, so that none is missing.
    pub(super) fn settle(&self, given: Count, takes: Signals) -> Totals {
        let mut totals = self.lock();
        totals.takes = takes;
        let missing = given.only(takes).without(totals.settled());
        if missing.records() > 0 {
            let message = totals.trouble.as_ref().map(|trouble| trouble.message.clone());
            totals.dropped.entry(Reason::Deadline).or_default().add(missing, message);
        }
        totals.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Totals> {
        self.totals.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::signal::Signal;

    fn count(spans: usize, logs: usize) -> Count {
        Count::of(Signal::Traces, spans) + Count::of(Signal::Logs, logs)
    }

    #[test]
    fn a_settled_account_adds_up_to_what_was_given() {
        let account = Account::new("otlp");
        account.exported(count(10, 1));
        account.rejected(count(2, 0), Some("too old".to_owned()));
        account.dropped(Reason::QueueFull, count(3, 1), None);
        account.trouble(Trouble::passing("unavailable"));
        let totals = account.settle(count(20, 2), Signals::ALL);
        assert_eq!(totals.settled(), count(20, 2));
        let late = &totals.dropped[&Reason::Deadline];
        assert_eq!(late.count, count(5, 0));
        assert_eq!(late.message.as_deref(), Some("unavailable"));
    }

    #[test]
    fn records_that_an_exporter_does_not_take_are_not_missed() {
        let account = Account::new("traces only");
        account.exported(count(10, 0));
        let totals = account.settle(count(10, 99), Signals::of(&[Signal::Traces]));
        assert_eq!(totals.dropped(), Count::default());
    }

    #[test]
    fn a_loss_is_what_a_receiver_has_not_and_nobody_asked_for() {
        let account = Account::new("otlp");
        account.rejected(count(1, 0), None);
        for (records, reason) in [(2, Reason::Refused), (4, Reason::Down), (8, Reason::Unread)] {
            account.dropped(reason, count(records, 0), None);
        }
        let totals = account.settle(count(15, 0), Signals::ALL);
        assert_eq!(totals.lost(), Count::default(), "a console loses nothing");
        let totals = Totals { must_be_whole: true, ..totals };
        assert_eq!(totals.lost(), count(3, 0));
    }
}
