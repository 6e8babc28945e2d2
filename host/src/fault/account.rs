//! What a fault did, in numbers: what it matched, struck and spared.

use crate::model::Effect;

/// Why a fault that matched did not strike. In the order in which it is asked: what
/// the first spares, the next does not see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum Suppression {
    /// The request does not ask for it, as it has to with `by-caller`.
    NotAsked,
    /// It is none of the first that `fail-first` allows.
    FailFirst,
    /// It is between those that `every-nth` picks.
    EveryNth,
    /// The draw was not below its probability.
    Probability,
    /// `max-total` is reached.
    MaxTotal,
    /// `max-active` is reached.
    MaxActive,
    /// Another fault answered already, or what it was to change never came.
    Overridden,
    /// The body is no JSON, or has no such place.
    NotJson,
    /// There is no body to change.
    NoBody,
    /// The limit is not reached.
    WithinLimit,
    /// As many spans are held back as may be.
    NoRoom,
}

impl Suppression {
    pub const ALL: [Self; 11] = [
        Self::NotAsked,
        Self::FailFirst,
        Self::EveryNth,
        Self::Probability,
        Self::MaxTotal,
        Self::MaxActive,
        Self::Overridden,
        Self::NotJson,
        Self::NoBody,
        Self::WithinLimit,
        Self::NoRoom,
    ];

    /// As reports write it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NotAsked => "not-asked",
            Self::FailFirst => "fail-first",
            Self::EveryNth => "every-nth",
            Self::Probability => "probability",
            Self::MaxTotal => "max-total",
            Self::MaxActive => "max-active",
            Self::Overridden => "overridden",
            Self::NotJson => "not-json",
            Self::NoBody => "no-body",
            Self::WithinLimit => "within-limit",
            Self::NoRoom => "no-room",
        }
    }
}

/// What a fault did during a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Account {
    pub name: String,
    /// What it may match: `request or message`.
    pub of: &'static str,
    /// Requests, messages and runs of jobs that met target and conditions while the fault was active; of a
    /// fault that strikes none of these: what it strikes.
    pub matched: u64,
    /// Of those, the ones that it struck.
    pub injected: u64,
    /// And the ones that it spared, by reason.
    pub suppressed: [u64; Suppression::ALL.len()],
    /// How often it has become active.
    pub windows: u64,
    /// Processes of replicas that it has ended.
    pub deaths: u64,
    /// The natural logarithm of the chance that its draws spare all that they have spared:
    /// of n requests with probability p it is n ln(1 - p).
    pub luck: f64,
}

impl Effect {
    /// What a fault with this effect may match.
    pub(super) const fn matches(&self) -> &'static str {
        match self {
            Self::Network(_) | Self::Door(_) => "request",
            Self::Worker(_) => "request or message",
            Self::Replica(_) => "request, message or run of a job",
            Self::Span(_) => "span",
            Self::Record(_) | Self::Export(_) => "record",
            Self::Database { .. } => "statement",
            Self::Cache(_) => "command",
            Self::Topic { .. } => "message",
        }
    }
}

impl Account {
    /// Whether anything is other by it.
    pub const fn has_done_anything(&self) -> bool {
        self.injected > 0 || self.deaths > 0
    }

    /// Adds what the same fault has done in another world.
    pub fn merge(&mut self, other: &Self) {
        self.matched += other.matched;
        self.injected += other.injected;
        self.windows += other.windows;
        self.deaths += other.deaths;
        self.luck += other.luck;
        for (mine, theirs) in self.suppressed.iter_mut().zip(other.suppressed) {
            *mine += theirs;
        }
    }
}
