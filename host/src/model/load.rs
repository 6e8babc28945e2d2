//! `[[load]]` after validation: who asks, how often, and for what.

use std::path::PathBuf;
use std::sync::Arc;

use super::{Distribution, Nanos, Place, ServiceId};

/// Requests that are made for a service while a run goes on.
#[derive(Clone, Debug, PartialEq)]
pub struct Load {
    /// Unique.
    pub name: String,
    pub to: ServiceId,
    /// What it may ask for: at least one request, of a weight above 0.
    pub requests: Vec<RequestTemplate>,
    /// What templates refer to, by index.
    pub values: Vec<Value>,
    pub traffic: Traffic,
    /// After the run's start.
    pub start: Nanos,
    /// After the load's start; none: as long as the run.
    pub lasts: Option<Nanos>,
    /// The number of requests after which it ends.
    pub max_requests: Option<u64>,
    /// Requests under way; one more is not sent and counts as an error.
    pub max_in_flight: u32,
    /// The client gives up after this long; who serves the request works on.
    pub timeout: Option<Nanos>,
    /// Whether it is a service of its own in the traces, with a CLIENT span for each request.
    pub span: bool,
    /// Whether it makes requests in real time too, and not only in virtual time.
    pub real_time: bool,
    /// Whether it makes requests in this run.
    pub enabled: bool,
    /// The load's name in the file.
    pub place: Place,
}

impl Load {
    /// Whether it comes to an end without being told to.
    pub fn ends(&self) -> bool {
        let traffic_ends = match &self.traffic {
            Traffic::Open(Arrivals::Curve { curve: Curve::Lines { after, .. }, .. }) => *after == After::End,
            Traffic::Open(Arrivals::Curve { curve: Curve::Wave { .. }, .. }) => false,
            Traffic::Open(Arrivals::Replay(_)) => true,
            Traffic::Closed(users) => users.iterations.is_some(),
        };
        traffic_ends || self.lasts.is_some() || self.max_requests.is_some()
    }
}

/// How requests follow one another.
#[derive(Clone, Debug, PartialEq)]
pub enum Traffic {
    /// Requests come whether or not those before them are answered.
    Open(Arrivals),
    /// Users wait for an answer before they ask again.
    Closed(Users),
}

/// The users of a closed loop.
#[derive(Clone, Debug, PartialEq)]
pub struct Users {
    /// At least 1.
    pub count: u32,
    /// Between an answer and the next request.
    pub think: Distribution,
    /// The time over which the users come, one after the other.
    pub ramp_up: Nanos,
    /// Requests of each user; none: as many as time allows.
    pub iterations: Option<u64>,
}

/// When the requests of an open loop come. All times count from the load's start.
#[derive(Clone, Debug, PartialEq)]
pub enum Arrivals {
    /// By a rate that may change with time.
    Curve { curve: Curve, spacing: Spacing },
    /// At recorded instants.
    Replay(Replay),
}

/// Requests per second, 0 or more.
pub type Rate = f64;

/// How a rate changes with time.
#[derive(Clone, Debug, PartialEq)]
pub enum Curve {
    /// Straight lines between points `(time, rate)`. The first is at 0, times never
    /// fall; two points at one time are a jump.
    Lines { points: Vec<(Nanos, Rate)>, after: After },
    /// A cosine between two rates, highest at `peak` and whole periods around it.
    Wave { min: Rate, max: Rate, period: Nanos, peak: Nanos },
}

/// What comes behind the last point of [`Curve::Lines`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum After {
    /// The last rate goes on.
    Hold,
    /// Nothing.
    End,
    /// The lines from their beginning.
    Repeat,
}

/// How arrivals lie around their rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spacing {
    /// Evenly.
    Even,
    /// Each independent of all others: a Poisson process.
    Poisson,
}

/// Recorded instants of arrivals.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Replay {
    /// In a file, one a line, resolved against the topology's folder.
    File { path: PathBuf, place: Place },
    /// As they were read, in order.
    Read(Arc<[Nanos]>),
}

/// One kind of request.
#[derive(Clone, Debug, PartialEq)]
pub struct RequestTemplate {
    /// Its share is this by the sum of all weights.
    pub weight: f64,
    /// Upper-case.
    pub method: String,
    /// Path and query.
    pub target: Template,
    /// Names are lower-case.
    pub headers: Vec<(String, Template)>,
    pub body: Template,
    /// Its path in the file.
    pub place: Place,
}

/// Text that is put together anew for each request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Template(pub Vec<Piece>);

/// A part of a [`Template`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    Fixed(String),
    /// The value at `index` of [`Load::values`].
    Value {
        index: usize,
        form: Form,
    },
}

/// How a value is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// As it is.
    Plain,
    /// Percent-encoded, for a part of a path.
    Percent,
    /// As JSON: text in quotes.
    Json,
    /// Within the quotes of a JSON string.
    JsonText,
}

/// A value that each request draws for itself.
#[derive(Clone, Debug, PartialEq)]
pub struct Value {
    /// Unique within the load; it names the value's chance.
    pub name: String,
    pub draw: Draw,
}

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq)]
pub enum Draw {
    /// One of these, by weight: `(sum of the weights up to here, value)`.
    Pick(Vec<(f64, Literal)>),
    /// Any whole number of a range, its ends included.
    Int { min: i64, max: i64 },
    /// Any number of a range, rounded to `digits` behind the point.
    Float { min: f64, max: f64, digits: Option<u8> },
    /// Requests count: `from`, `from + step`, …
    Sequence { from: i64, step: i64 },
    /// A UUID, version 4.
    Uuid,
    /// One of a list, each as likely as the others.
    Names(Names),
}

/// A value as it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Literal {
    /// As JSON.
    pub json: String,
    /// As plain text: without the quotes of JSON.
    pub text: String,
}

/// A list of texts, never empty once it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Names {
    /// In a file, one a line, resolved against the topology's folder.
    File {
        path: PathBuf,
        place: Place,
    },
    Read(Arc<[String]>),
}
