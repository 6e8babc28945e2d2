//! What an import leaves out, or had to guess, in one style.

use std::fmt::Write as _;

use crate::error::INFALLIBLE;
use crate::report::words::counted;

/// Why something of the file is in no part of the topology.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    WithoutIds,
    Twice,
    TooManyServices,
    TooManyRoutes,
    TooManyCallees,
    TooManyNames,
    Sampled,
    Messages,
    Resent,
    CalleeUnnamed,
    RouteUnknown,
    Cycle,
    RouteUnwritten,
    FurtherStatements,
    ClientErrors,
    MissingParent,
}

/// In the order in which they are said.
const REASONS: [(Reason, &str, &str); 16] = [
    (Reason::WithoutIds, "span", "left out: no trace id or span id"),
    (Reason::Twice, "span", "left out: in the file before"),
    (Reason::Sampled, "span", "left out with their whole traces: simhost holds 2,000,000 spans; rates are scaled"),
    (Reason::TooManyServices, "span", "left out: of services beyond the 2,000th"),
    (Reason::TooManyRoutes, "span", "left out: of routes beyond the 100,000th"),
    (Reason::TooManyNames, "span", "without their instance or statement: beyond the 100,000th"),
    (Reason::TooManyCallees, "call", "left out: a route has more than 50 callees"),
    (Reason::Messages, "span", "of messages left out: their time is part of the request around them"),
    (Reason::Resent, "repeated attempt", "left out: add a retry to the link"),
    (Reason::CalleeUnnamed, "call", "left out: no attribute names the callee"),
    (Reason::RouteUnknown, "call", "left out: the callee's spans have no such route"),
    (Reason::Cycle, "call", "left out: they close a cycle of routes"),
    (Reason::RouteUnwritten, "route", "left out: the file would be too long"),
    (
        Reason::FurtherStatements,
        "database span",
        "not drawn by themselves: a route has one, and their time is in it",
    ),
    (Reason::ClientErrors, "4xx answer", "drawn as successes: the scripted service fails with 5xx"),
    (Reason::MissingParent, "request", "drawn as from outside: the file does not have their parents"),
];

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
        let of = |(reason, what, why): &(Reason, &str, &str)| {
            let count = self.0[*reason as usize];
            (count > 0).then(|| format!("{} {why}", counted(count, what)))
        };
        REASONS.iter().filter_map(of).collect()
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
        for (at, (reason, ..)) in REASONS.iter().enumerate() {
            let mut left_out = LeftOut::default();
            left_out.add(*reason);
            assert_eq!(left_out.notes().len(), 1, "{at}");
        }
        let mut left_out = LeftOut::default();
        left_out.add_many(Reason::Twice, 1_200);
        assert_eq!(left_out.notes(), ["1,200 spans left out: in the file before"]);
    }
}
