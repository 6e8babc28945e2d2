//! A request from outside that shows what a fault does, as the truth writes it.

use schemars::JsonSchema;
use serde::Serialize;

use crate::fault::impact::OutsideRequest as Request;
use crate::model::Nanos;

use super::Names;
use super::units::{instant, seconds};

/// A request from outside that shows what a fault does; a message or a run of a job, where `kind` says so.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Symptom {
    /// Null if it was never sent, and of a run of a job.
    pub trace_id: Option<String>,
    /// Its SERVER span; null if that was not recorded. Of a message the PRODUCER span in which it was sent.
    pub span_id: Option<String>,
    /// Of a message the service that consumes it, of a run of a job the one that has the job.
    pub service: String,
    /// Null for what met no route.
    pub route: Option<String>,
    /// When its load had to make it; of one that no load makes, when it arrived. Of a message when it was due
    /// in its topic.
    pub at: f64,
    pub time: String,
    /// Null if it had no answer.
    pub status: Option<u16>,
    /// What kept the answer away; null if there was one, and if the run ended before.
    pub error_type: Option<String>,
    /// From `at` to its end, as its client sees it; null if that was never seen. Of a message or a run of a
    /// job until it was done.
    pub took_ms: Option<f64>,
    /// By how much longer it took than without the fault: milliseconds. Null where that is not
    /// known.
    pub slower_by_ms: Option<f64>,
    /// As what its client notices it, of a message or a run of a job in what way it is worse off; null where
    /// nobody notices it, or where that is not known.
    pub visible_as: Option<Visible>,
    /// Only of what is no request.
    #[serde(flatten)]
    pub of: Option<WorkSymptom>,
}

/// A message or a run of a job that is worse off with a fault.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct WorkSymptom {
    pub kind: WorkKind,
    /// Of a message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub topic: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Of a run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub job: Option<String>,
}

impl WorkSymptom {
    pub const fn new(kind: WorkKind) -> Self {
        Self { kind, topic: None, group: None, job: None }
    }
}

/// What shows a fault, if it is no request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WorkKind {
    Message,
    /// A run of a job.
    Run,
}

impl Symptom {
    pub fn new(request: &Request, names: &Names, start: Nanos) -> Self {
        let place = names.place(request.to);
        let answer = request.end.map(|end| end.answer);
        Self {
            trace_id: request.is_sent.then(|| request.trace.to_string()),
            span_id: request.is_recorded.then(|| request.span.to_string()),
            service: place.service,
            route: place.route,
            at: seconds(request.due.saturating_sub(start)),
            time: instant(request.due),
            status: answer.and_then(Result::ok),
            error_type: answer.and_then(Result::err).map(ToOwned::to_owned),
            took_ms: request.end.map(|end| end.took as f64 / 1e6),
            slower_by_ms: None,
            visible_as: None,
            of: None,
        }
    }
}

/// As what it is noticed that a request has changed: the first two. In what way a message or a run of a job
/// is worse off: the first of the others that applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Visible {
    /// A request fails, and without the fault it would not.
    Error,
    /// A request takes longer by 10 ms and by a fifth, both at least.
    Slower,
    /// The group never got the message.
    Lost,
    /// The message was given up; the run of a job has failed.
    GivenUp,
    /// Neither done nor given up at the end of the run.
    Undone,
    /// Done more often than without the fault.
    Repeated,
    /// Failed more often.
    Failed,
    /// Done later by 10 ms and by a fifth, both at least.
    Late,
}

impl Visible {
    /// Those of messages and runs of jobs, the worst first.
    pub const OF_WORK: [Self; 6] =
        [Self::Lost, Self::GivenUp, Self::Undone, Self::Repeated, Self::Failed, Self::Late];
}

/// How a request has ended.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Answer {
    /// Null if it had no answer.
    pub status: Option<u16>,
    /// What kept the answer away.
    pub error_type: Option<String>,
    pub took_ms: Option<f64>,
}
