//! An exporter that keeps the records, for tests.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::time::Instant;

use super::exporter::{Account, Exporter};
use super::record::Resource;
use super::signal::{Batch, Signals};

/// Keeps every record it is given, without a bound.
#[derive(Debug)]
pub struct Memory {
    kept: Kept,
    account: Arc<Account>,
}

/// What a [`Memory`] has kept, shared with it.
#[derive(Clone, Debug, Default)]
pub struct Kept(Arc<Mutex<Batch>>);

impl Kept {
    /// The records so far, in the order in which they came; they are kept no longer.
    pub fn take(&self) -> Batch {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Memory {
    /// An exporter, and the handle through which its records are read.
    pub fn new() -> (Self, Kept) {
        let kept = Kept::default();
        (Self { kept: kept.clone(), account: Account::new("memory") }, kept)
    }
}

impl Exporter for Memory {
    fn name(&self) -> &str {
        "memory"
    }

    fn takes(&self) -> Signals {
        Signals::ALL
    }

    fn export(&mut self, batch: &Batch, _resources: &[Resource]) {
        let mut kept = self.kept.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.extend(batch);
        self.account.exported(batch.count());
    }

    fn flush(&mut self, _deadline: Instant) {}

    fn account(&self) -> Arc<Account> {
        Arc::clone(&self.account)
    }
}
