//! What is wrong or doubtful between the parts of a topology: names of routes that
//! no guest has, calls that go round in circles, links and faults that never apply.
//!
//! What can only be a mistake is an error, what may be one a warning. A part that
//! is switched off, or a guest that the command line put in, gives no errors.

mod calls;
mod cycles;
mod exports;
mod fan_out;
mod faults;
mod flow;
mod links;
mod rings;
mod routes;
mod settings;
mod statements;
mod stores;
mod subscriptions;
mod traffic;
mod ways;

use crate::error::{Problem, Severity, did_you_mean, quote};
use crate::model::{Model, Place, ServiceId};

use super::Options;
use super::calls::{Calls, Found, Meets};

pub use statements::refused;

/// Problems of one kind that say what may have been meant, and where in a text it stands. A report shows
/// fewer ([`SHOWN_AT_MOST`](crate::error::SHOWN_AT_MOST)), and comparing names is slow.
const DETAILED_AT_MOST: usize = 100;

/// A run before it begins.
#[derive(Clone, Copy, Debug)]
struct Run<'a> {
    options: &'a Options,
    /// The topology's file, to narrow places.
    text: &'a str,
    model: &'a Model,
    found: Found<'a>,
    calls: &'a Calls,
}

/// Every such problem.
pub fn problems(options: &Options, text: &str, found: &Found<'_>) -> Vec<Problem> {
    let calls = Calls::of(found);
    let run = Run { options, text, model: found.model, found: *found, calls: &calls };
    let mut problems = exports::problems(&run);
    problems.extend(routes::problems(&run));
    problems.extend(statements::problems(&run));
    problems.extend(calls::problems(&run));
    problems.extend(cycles::problems(&run));
    problems.extend(links::problems(&run));
    problems.extend(traffic::problems(&run));
    problems.extend(faults::problems(&run));
    problems.extend(subscriptions::problems(&run));
    problems.extend(messages(&run));
    problems.extend(stores::problems(&run));
    problems.extend(settings::problems(&run));
    problems
}

/// Messages that go round, or become a great many.
fn messages(run: &Run<'_>) -> Vec<Problem> {
    let flow = flow::Flow::of(run);
    let rings = rings::Rings::of(&flow);
    let mut problems = rings.problems(&flow);
    problems.extend(fan_out::problems(&flow, &rings));
    problems
}

impl Run<'_> {
    fn name(&self, service: ServiceId) -> String {
        quote(&self.model.service(service).name)
    }

    /// Whether the command line put another guest in the place of the topology's.
    fn is_swapped(&self, service: ServiceId) -> bool {
        let name = &self.model.service(service).name;
        self.options.guests.iter().any(|(swapped, _)| swapped == name)
    }

    /// The names of the services that a service calls, each once.
    fn callees(&self, from: ServiceId) -> Vec<&str> {
        let mut names: Vec<&str> = Vec::new();
        for call in self.calls.made_by(from) {
            if !names.contains(&call.what.service.as_str()) {
                names.push(&call.what.service);
            }
        }
        names
    }

    /// The names of a service's routes.
    fn routes(&self, service: ServiceId) -> Vec<&str> {
        let mut names: Vec<&str> = Vec::new();
        for name in self.found.routes(service).flat_map(|routes| routes.names()) {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        names
    }

    /// The help for a request that meets no route.
    fn instead(&self, service: ServiceId, asked: &str, meets: &Meets) -> String {
        match meets {
            Meets::OtherMethods(methods) => format!("the path exists for {}", methods.join(", ")),
            _ => did_you_mean(asked, "routes", self.routes(service)),
        }
    }

    /// The first place of `part` within a place of the file; the whole, where it is not there.
    fn within(&self, place: &Place, part: &str) -> Place {
        let at = self.text.get(place.clone()).and_then(|text| text.find(part));
        at.map_or(place.clone(), |at| place.start + at..place.start + at + part.len())
    }
}

/// The problem as an error, or as a warning where a mistake does no harm.
fn graded(mut problem: Problem, is_error: bool) -> Problem {
    problem.severity = if is_error { Severity::Error } else { Severity::Warning };
    problem
}
