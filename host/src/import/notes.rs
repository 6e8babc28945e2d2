//! What an import leaves out, or had to guess, in one style.

use std::fmt::Write as _;

use crate::clock;
use crate::error::INFALLIBLE;
use crate::report::words::{count, counted};

use super::bounds::{
    MAX_CALLS, MAX_KNOWN_ROUTES, MAX_KNOWN_TOPICS, MAX_NAMES, MAX_SERVICE_ROUTES, MAX_SERVICES,
    MAX_SPAN_TIME, MAX_SPANS, MAX_STATEMENT_BYTES,
};

/// Why something of the file is in no part of the topology.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    WithoutIds,
    WithoutStart,
    WithoutEnd,
    TooLong,
    Twice,
    TooManyServices,
    TooManyRoutes,
    TooManyCallees,
    TooManyNames,
    TooManyTopics,
    Sampled,
    Messages,
    CalleeUnnamed,
    RouteUnknown,
    Cycle,
    RouteUnwritten,
    FurtherStatements,
    FurtherDatabases,
    FurtherCommands,
    Unreadable,
    Refused,
    Unwritten,
    Unsent,
    ClientErrors,
    MissingParent,
}

/// In the order in which they are said.
const REASONS: [Reason; 25] = [
    Reason::WithoutIds,
    Reason::WithoutStart,
    Reason::WithoutEnd,
    Reason::TooLong,
    Reason::Twice,
    Reason::Sampled,
    Reason::TooManyServices,
    Reason::TooManyRoutes,
    Reason::TooManyNames,
    Reason::TooManyTopics,
    Reason::TooManyCallees,
    Reason::Messages,
    Reason::CalleeUnnamed,
    Reason::RouteUnknown,
    Reason::Cycle,
    Reason::RouteUnwritten,
    Reason::Unreadable,
    Reason::Refused,
    Reason::Unwritten,
    Reason::FurtherStatements,
    Reason::FurtherDatabases,
    Reason::FurtherCommands,
    Reason::Unsent,
    Reason::ClientErrors,
    Reason::MissingParent,
];

impl Reason {
    /// What is left out, in the singular.
    const fn what(self) -> &'static str {
        match self {
            Self::WithoutIds | Self::TooLong | Self::Twice | Self::Sampled => "span",
            Self::TooManyServices | Self::TooManyRoutes | Self::TooManyNames => "span",
            Self::WithoutStart | Self::WithoutEnd => "span",
            Self::Messages | Self::TooManyTopics => "span",
            Self::FurtherCommands => "command",
            Self::Unreadable | Self::Refused => "statement",
            Self::Unwritten => "database, cache or topic",
            Self::Unsent => "message",
            Self::TooManyCallees | Self::CalleeUnnamed | Self::RouteUnknown | Self::Cycle => "call",
            Self::RouteUnwritten => "route",
            Self::FurtherStatements | Self::FurtherDatabases => "database span",
            Self::ClientErrors => "4xx answer",
            Self::MissingParent => "request",
        }
    }

    /// What became of it, and why.
    fn why(self) -> String {
        let number = |bound: usize| count(bound as u64);
        match self {
            Self::WithoutIds => "left out: no trace id or span id".to_owned(),
            Self::WithoutStart => "left out: no start".to_owned(),
            Self::WithoutEnd => "counted as taking no time: no end, or one before the start".to_owned(),
            Self::TooLong => format!("left out: longer than {}", clock::show(MAX_SPAN_TIME)),
            Self::Twice => "left out: in the file before".to_owned(),
            Self::Sampled => {
                let most = number(MAX_SPANS);
                format!("left out with their whole traces: {most} spans are held, and rates are scaled")
            }
            Self::TooManyServices => {
                format!("left out: there are more than {} services", number(MAX_SERVICES))
            }
            Self::TooManyRoutes => {
                format!("left out: there are more than {} routes", number(MAX_KNOWN_ROUTES))
            }
            Self::TooManyNames => {
                format!("without instance or statement: more than {} are named", number(MAX_NAMES))
            }
            Self::TooManyTopics => {
                format!("left out: there are more than {} topics", number(MAX_KNOWN_TOPICS))
            }
            Self::FurtherCommands => {
                "not drawn by themselves: a route keeps its whole answer, or nothing; their time is in its work"
                    .to_owned()
            }
            Self::Unreadable => format!(
                "without SQL that can be drawn: several at once, not closed, or more than {} KiB",
                MAX_STATEMENT_BYTES >> 10
            ),
            Self::Refused => "without SQL that can be drawn: the tables that it names do not take it".to_owned(),
            Self::Unwritten => "left out: there is a bound on their number".to_owned(),
            Self::Unsent => "drawn as requests: no span sends them".to_owned(),
            Self::TooManyCallees => format!("left out: a route has more than {MAX_CALLS} callees or topics"),
            Self::Messages => {
                "of messages left out: their time is part of the request around them".to_owned()
            }
            Self::CalleeUnnamed => "left out: no attribute names the callee".to_owned(),
            Self::RouteUnknown => "left out: the callee has no such route that is written".to_owned(),
            Self::Cycle => "left out: with them, routes would call themselves without end".to_owned(),
            Self::RouteUnwritten => {
                format!(
                    "left out, those with the fewest requests: a service has {MAX_SERVICE_ROUTES} at most"
                )
            }
            Self::FurtherStatements => {
                "not drawn by themselves: their time is in the work of their route".to_owned()
            }
            Self::FurtherDatabases => {
                "of a second database not drawn: a route asks one; their time is in its work".to_owned()
            }
            Self::ClientErrors => "drawn as successes: the guest fails with 5xx alone".to_owned(),
            Self::MissingParent => "drawn as from outside: the file does not have their parents".to_owned(),
        }
    }
}

/// How much was left out, by reason.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LeftOut([u64; REASONS.len()]);

impl LeftOut {
    pub fn add(&mut self, reason: Reason) {
        self.add_many(reason, 1);
    }

    pub fn add_many(&mut self, reason: Reason, count: u64) {
        self.0[reason as usize] += count;
    }

    /// A sentence for each reason that there was.
    pub fn notes(&self) -> Vec<String> {
        let there = REASONS.iter().filter(|reason| self.0[**reason as usize] > 0);
        there
            .map(|reason| format!("{} {}", counted(self.0[*reason as usize], reason.what()), reason.why()))
            .collect()
    }
}

/// Columns of a comment.
const WIDTH: usize = 100;

/// A comment, in lines that are not too long.
pub fn comment(text: &mut String, words: &str) {
    let mut line = String::from("#");
    for word in words.split(' ') {
        if line.len() + 1 + word.len() > WIDTH && line.len() > 1 {
            writeln!(text, "{line}").expect(INFALLIBLE);
            line = String::from("#");
        }
        write!(line, " {word}").expect(INFALLIBLE);
    }
    writeln!(text, "{line}").expect(INFALLIBLE);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_its_sentence_in_its_place() {
        for (at, reason) in REASONS.iter().enumerate() {
            let mut left_out = LeftOut::default();
            left_out.add(*reason);
            assert_eq!(left_out.notes().len(), 1, "{at}");
        }
        let mut left_out = LeftOut::default();
        left_out.add_many(Reason::Twice, 1_200);
        assert_eq!(left_out.notes(), ["1,200 spans left out: in the file before"]);
    }
}
