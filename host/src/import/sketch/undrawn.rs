//! What is not drawn of a route: the guest `service` keeps whole answers and asks one database. What a
//! request does beyond that is named in a comment, and its time stays in the route's work.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use crate::error::quote;

use super::super::names::{Asks, Statement, Store};
use super::super::notes::{LeftOut, Reason};
use super::super::system::{Asked, Kept, Route};
use super::Drawing;
use super::stores::{Plan, Server};

#[derive(Debug, Default)]
pub struct Undrawn {
    /// The statement or the command that took the most time: it names the route's span.
    pub shown: Option<(Statement, Store)>,
    /// A comment each.
    pub words: Vec<String>,
}

impl Drawing<'_> {
    /// The statements and commands of a route that are not drawn; those that nothing names are counted.
    pub fn undrawn(&self, number: u32, route: &Route, plan: &Plan, left_out: &mut LeftOut) -> Undrawn {
        let (names, reached) = (self.names, (route.served.count - route.served.failed).max(1));
        let others: Vec<(u32, &Asked)> = route
            .statements
            .iter()
            .filter(|(statement, _)| !self.stores.draws(names, number, **statement))
            .map(|(statement, asked)| (*statement, asked))
            .collect();
        // Beside what is drawn, a span for each request would be too many.
        let is_alone = plan.asking.is_none() && plan.keeping.is_none();
        let most = others.iter().max_by_key(|(number, asked)| (asked.time, Reverse(*number)));
        let most = most.filter(|(_, asked)| is_alone || asked.made * 2 > reached).map(|(number, _)| *number);
        for (statement, asked) in others.iter().filter(|(statement, _)| Some(*statement) != most) {
            left_out.add_many(self.reason(*statement, plan), asked.spans);
        }
        let mut words = self.unkept(number, route, &others);
        words.extend(self.unasked(&others, plan, reached));
        let shown = most.map(|most| {
            let statement = names.statements.get(most);
            (statement.clone(), names.stores.get(statement.store).clone())
        });
        Undrawn { shown, words }
    }

    fn reason(&self, statement: u32, plan: &Plan) -> Reason {
        match (&self.names.statements.get(statement).asks, &plan.asking) {
            (Asks::Get | Asks::Set, _) => Reason::FurtherCommands,
            (_, Some(asking)) if self.further(statement, asking.database).is_some() => {
                Reason::FurtherDatabases
            }
            _ => Reason::FurtherStatements,
        }
    }

    /// The database of a statement, where it is another one.
    fn further(&self, statement: u32, own: usize) -> Option<usize> {
        match self.stores.server(self.names, statement)? {
            Server::Database(database) if database != own => Some(database),
            _ => None,
        }
    }

    /// The caches that a route looks something up in, and that do not keep its answers.
    fn unkept(&self, number: u32, route: &Route, others: &[(u32, &Asked)]) -> Vec<String> {
        let mut kept: BTreeMap<usize, Kept> = BTreeMap::new();
        for (statement, _) in others {
            let of = self.names.statements.get(*statement);
            if let (Asks::Get, Some(Server::Cache(cache))) =
                (&of.asks, self.stores.server(self.names, *statement))
                && let Some(seen) = route.kept.get(&of.store)
            {
                let sum = kept.entry(cache).or_default();
                (sum.requests, sum.misses) = (seen.requests.max(sum.requests), seen.misses.max(sum.misses));
            }
        }
        let words = |(cache, kept): (usize, Kept)| {
            let why = if self.callees.heard(number, self.names).is_some() {
                "the guest keeps nothing of messages"
            } else if kept.misses == 0 {
                "no request sets an entry that it has not found"
            } else {
                "the guest keeps whole answers, and this route does more for each request"
            };
            let found = 100.0 - 100.0 * kept.misses as f64 / kept.requests.max(1) as f64;
            format!(
                "not drawn: the cache {}, in which {found:.1} % of the requests find what they look up: {why}",
                quote(&self.stores.caches[cache].name)
            )
        };
        kept.into_iter().map(words).collect()
    }

    /// The databases that a route asks beside its own.
    fn unasked(&self, others: &[(u32, &Asked)], plan: &Plan, reached: u64) -> Vec<String> {
        let Some(asking) = &plan.asking else { return Vec::new() };
        let mut made: BTreeMap<usize, u64> = BTreeMap::new();
        for (statement, asked) in others {
            if let Some(database) = self.further(*statement, asking.database) {
                *made.entry(database).or_default() += asked.made;
            }
        }
        let words = |(database, made): (usize, u64)| {
            format!(
                "not drawn: the database {}, asked {:.2} times a request: a route asks one database",
                quote(&self.stores.databases[database].name),
                made as f64 / reached as f64
            )
        };
        made.into_iter().map(words).collect()
    }
}
