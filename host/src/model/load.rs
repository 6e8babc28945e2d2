//! `[[load]]` after validation: who asks, how often, and for what.

use super::{Nanos, Place, ServiceId};

/// Requests that are made for a service while a run goes on.
#[derive(Clone, Debug, PartialEq)]
pub struct Load {
    /// Unique.
    pub name: String,
    pub to: ServiceId,
    /// What it may ask for, at least one.
    pub requests: Vec<RequestTemplate>,
    /// What templates refer to, by index.
    pub values: Vec<Value>,
    pub traffic: Traffic,
    /// After the run's start.
    pub start: Nanos,
    /// After the load's start; none: as long as the run.
    pub lasts: Option<Nanos>,
    /// It makes so many requests and ends.
    pub max_requests: Option<u64>,
    /// Requests under way; one more is not sent and counts as an error.
    pub max_in_flight: u32,
    /// Whether it makes requests in real time too, and not only in virtual time.
    pub real_time: bool,
    /// The load's name in the file.
    pub place: Place,
}

/// How requests follow one another.
#[derive(Clone, Debug, PartialEq)]
pub enum Traffic {
    /// Requests come whether or not those before them are answered.
    Open(Arrivals),
}

/// When requests come.
#[derive(Clone, Debug, PartialEq)]
pub enum Arrivals {
    /// At this rate.
    Steady { rate: Rate, spacing: Spacing },
}

/// Requests per second, above 0.
pub type Rate = f64;

/// How arrivals lie around their rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spacing {
    /// Evenly.
    Even,
    /// Each independent of all others: a Poisson process.
    Poisson,
}

/// One kind of request.
#[derive(Clone, Debug, PartialEq)]
pub struct RequestTemplate {
    /// Its share is this by the sum of all weights.
    pub weight: f64,
    pub method: String,
    /// Path and query.
    pub target: Template,
    /// Names are lower-case.
    pub headers: Vec<(String, Template)>,
    pub body: Template,
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
    /// As JSON: text in quotes.
    Json,
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
}

/// A value as it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Literal {
    /// As JSON.
    pub json: String,
    /// As plain text: without the quotes of JSON.
    pub text: String,
}
