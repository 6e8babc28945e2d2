//! The clock of the simulated world. `Instant`, `SystemTime` and `thread::sleep` show and use the same one.

use crate::bindings::simhost::service::clock;
use std::time::Duration;

/// The time since 1970-01-01T00:00:00Z. The difference of two is how long something took.
pub fn now() -> Duration {
    Duration::from_nanos(clock::now())
}

/// Waits without occupying anything but this worker.
pub fn sleep(duration: Duration) {
    clock::sleep(nanoseconds(duration));
}

/// What is too long for the contract, some 584 years, is cut there.
pub(crate) fn nanoseconds(duration: Duration) -> u64 {
    duration.as_nanos().try_into().unwrap_or(u64::MAX)
}
