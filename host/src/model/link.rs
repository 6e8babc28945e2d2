//! What lies between two services, and what a caller does about a callee that
//! fails or is slow: the policies of a link.

use super::{Distribution, Nanos, Place, Rate, ServiceId};

/// What lies between two services.
#[derive(Clone, Debug, PartialEq)]
pub struct Link {
    pub from: ServiceId,
    pub to: ServiceId,
    /// One way; the network's when none.
    pub latency: Option<Distribution>,
    /// The caller gives an attempt up after this long.
    pub timeout: Option<Nanos>,
    /// None where it has no policy at all.
    pub policies: Option<Policies>,
    /// The callee's name in the file.
    pub place: Place,
}

/// What a calling service does about its calls over a link, as a library in its
/// process would. They nest: a fallback stands for what is left of retries or
/// hedges, each of whose attempts takes a place in the bulkhead, is admitted by
/// the breaker, and has the link's timeout.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Policies {
    /// This or [`hedge`](Self::hedge), not both.
    pub retry: Option<Retry>,
    pub breaker: Option<Breaker>,
    pub hedge: Option<Hedge>,
    pub bulkhead: Option<Bulkhead>,
    pub fallback: Option<Fallback>,
    /// The callee is told how long its caller will wait, and a caller that was
    /// told so itself waits no longer.
    pub deadline: bool,
}

/// Attempts after one that failed.
#[derive(Clone, Debug, PartialEq)]
pub struct Retry {
    /// The first one included: `2..=10`.
    pub attempts: u32,
    /// The wait before the second attempt.
    pub backoff: Nanos,
    /// Each further wait is the one before times this.
    pub factor: f64,
    /// No wait is longer, but for its jitter.
    pub max_backoff: Nanos,
    /// A wait is drawn evenly from `1 - jitter` to `1 + jitter` times its length: `0.0..=1.0`.
    pub jitter: f64,
    /// What is tried again.
    pub on: Failures,
    pub methods: Methods,
    pub budget: Option<Budget>,
    /// A response's `Retry-After` is heeded.
    pub retry_after: bool,
}

/// How many retries a caller may make, of all its calls together.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Budget {
    /// Retries for each call: `0.0..=1.0`.
    pub share: f64,
    /// Retries per second that are allowed besides.
    pub min: Rate,
    /// Calls and retries of this last while count.
    pub window: Nanos,
}

/// When a caller stops calling.
#[derive(Clone, Debug, PartialEq)]
pub struct Breaker {
    pub trip: Trip,
    /// Failures of this last while count.
    pub window: Nanos,
    /// How long no attempt is made.
    pub open_for: Nanos,
    /// How many attempts are made then; when all succeed, the circuit closes.
    pub half_open: u32,
    /// What counts as a failure.
    pub on: Failures,
}

/// What opens a breaker.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Trip {
    /// This number of failures one after the other.
    InARow(u32),
    /// A share of the attempts, `0.0..=1.0`, once there were `least`.
    Share { rate: f64, least: u32 },
}

/// A second request where the first has no answer yet; the first answer counts.
#[derive(Clone, Debug, PartialEq)]
pub struct Hedge {
    /// How long after the request before.
    pub after: Nanos,
    /// The first one included: `2..=5`.
    pub attempts: u32,
    /// What is no answer: the next request goes at once.
    pub on: Failures,
    pub methods: Methods,
}

/// How many attempts of a caller may be under way at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bulkhead {
    pub max_concurrent: u32,
    /// Attempts that wait for a place; one more is refused.
    pub queue: u32,
}

/// What the caller gets in place of a failure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fallback {
    pub status: u16,
    /// Names are lower-case.
    pub headers: Vec<(String, String)>,
    pub body: String,
    /// What it stands for, besides attempts that the caller's own side refused.
    pub on: Failures,
}

/// Kinds of failure.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Failures {
    /// From and to, both included.
    pub statuses: Vec<(u16, u16)>,
    /// No response in time.
    pub timeout: bool,
    /// The connection broke.
    pub reset: bool,
    /// Nobody accepted a connection.
    pub refused: bool,
}

impl Failures {
    /// Whether an answer of this status is one of them.
    pub fn has_status(&self, status: u16) -> bool {
        self.statuses.iter().any(|(from, to)| (*from..=*to).contains(&status))
    }
}

/// Requests that may be sent more than once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Methods {
    /// Those that are idempotent by definition (RFC 9110, section 9.2.2).
    #[default]
    Idempotent,
    All,
    These(Vec<String>),
}

impl Methods {
    /// The methods of [`Idempotent`](Self::Idempotent).
    pub const IDEMPOTENT: [&str; 6] = ["GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"];

    pub fn has(&self, method: &str) -> bool {
        match self {
            Self::Idempotent => Self::IDEMPOTENT.contains(&method),
            Self::All => true,
            Self::These(methods) => methods.iter().any(|known| known == method),
        }
    }
}
