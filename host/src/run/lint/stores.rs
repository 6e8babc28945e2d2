//! Databases and caches that no service uses, databases with fewer connections than the pools of their
//! services have, and timeouts of databases that never end anything.

use crate::clock;
use crate::error::{Problem, list, quote};
use crate::model::{Database, Place};

use super::super::check::store::{Client, clients};
use super::Run;

pub fn problems(run: &Run<'_>) -> Vec<Problem> {
    let databases = run.model.databases.iter().enumerate().filter_map(|(at, database)| {
        let clients = clients(run.model, at);
        let help = format!("give it to a service: databases.{} = {{}}; or leave it out", database.name);
        match &clients[..] {
            [] => Some(unused("database", &database.name, &database.place, &help)),
            clients => crowded(database, clients),
        }
    });
    let is_used = |cache: usize| run.model.services.iter().any(|service| service.caches.contains(&cache));
    let caches = run.model.caches.iter().enumerate().filter(|(at, _)| !is_used(*at)).map(|(_, cache)| {
        let help = format!("give it to a service: caches = [{}]; or leave it out", quote(&cache.name));
        unused("cache", &cache.name, &cache.place, &help)
    });
    let timeouts = run.model.databases.iter().filter_map(idle_timeout);
    databases.chain(caches).chain(timeouts).collect()
}

fn unused(what: &str, name: &str, place: &Place, help: &str) -> Problem {
    let problem = Problem::warning(format!("no service uses the {what} {}", quote(name)));
    problem.at(place.clone(), "not used").help(help)
}

/// A timeout for locks that ends nothing, as that for whole statements ends all before.
fn idle_timeout(database: &Database) -> Option<Problem> {
    let (lock, statement) = (database.lock_timeout?, database.statement_timeout?);
    if lock < statement {
        return None;
    }
    let (name, lock, most) = (quote(&database.name), clock::show(lock), clock::show(statement));
    let message = format!(
        "lock-timeout = {lock} of the database {name} never ends a wait: statement-timeout = {most} ends the statement before"
    );
    let help = "set lock-timeout below statement-timeout, or leave it out";
    Some(Problem::warning(message).at(database.place.clone(), "this database").help(help))
}

/// A database that refuses connections which its pools may have.
fn crowded(database: &Database, clients: &[Client<'_>]) -> Option<Problem> {
    let wanted: u64 = clients.iter().map(Client::connections).sum();
    if wanted <= u64::from(database.connections) {
        return None;
    }
    let (name, most) = (quote(&database.name), database.connections);
    let message = format!("the database {name} has {most} connections, and its pools have {wanted} together");
    let pools = list(clients.iter().map(|client| client.service));
    let help = format!(
        "set connections = {wanted}, or lower pool.max of {pools}: one connection more fails with SQLSTATE 53300"
    );
    Some(Problem::warning(message).at(database.place.clone(), "too few connections").help(help))
}
