//! What the last line of the truth says: what each fault has done, whom it has touched, and what it has
//! caused.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use super::causes::Causes;
use super::symptom::Symptom;
use super::units::Where;

/// What one fault did.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct FaultRow {
    pub fault: String,
    pub kind: String,
    /// How often it became active.
    pub windows: u64,
    /// Requests, messages, runs of jobs or records that met target and conditions while it was active.
    pub matched: u64,
    /// Of those, the ones that it struck.
    pub injected: u64,
    /// And the ones that it spared, by reason.
    pub suppressed: BTreeMap<String, u64>,
    /// Processes of replicas that it has ended; only of a fault that has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deaths: Option<u64>,
    /// When it first struck, or first kept a message that it has struck; null if it never did.
    pub first_firing_at: Option<f64>,
    /// Where it struck.
    pub struck: Vec<Where>,
    /// Whose requests had a struck one below them.
    pub upstream: Vec<Where>,
    /// Requests from outside that it struck, themselves or in a call below.
    pub requests: u64,
    /// Of those, the ones that were answered 5xx, or not at all.
    pub requests_failed: u64,
    /// The first of them; null if none was struck.
    pub first_struck: Option<Symptom>,
    /// What shows the fault first, by when it was due and by the run without the fault: a request from
    /// outside that a client notices, struck or not; or, with a `kind`, a message or a run of a job that is
    /// worse off. Where there was no such run, the first struck request that failed. Null if there is none.
    pub first_symptom: Option<Symptom>,
    /// What it has caused, by a run of the same seed without it; null where there was none.
    pub causes: Option<Causes>,
    /// Why it is not known what it has caused; null where it is.
    pub causes_skipped: Option<Skipped>,
}

/// Why no run without the fault was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Skipped {
    /// The fault has struck nothing.
    NeverFired,
    /// What it does to records, no request notices.
    ChangesNoRequest,
    /// Real time cannot be repeated.
    RealTime,
    /// The command line says so.
    NotWanted,
    /// Somebody has stopped the run, or could not wait.
    Interrupted,
    /// A hand has changed faults while the run went on.
    ChangedByHand,
    /// The run without the fault did not come to its end.
    Failed,
}

/// All faults together.
#[derive(Clone, Debug, Default, PartialEq, Serialize, JsonSchema)]
pub struct Total {
    pub windows: u64,
    pub matched: u64,
    pub injected: u64,
    pub suppressed: u64,
    /// Requests from outside, with those that a load could not send.
    pub requests: u64,
    /// Of those, the ones that were answered 5xx, or not at all, as their clients see it.
    pub errors: u64,
    /// Those by their `error.type`: the status, or what kept the answer away.
    pub errors_by_type: BTreeMap<String, u64>,
}
