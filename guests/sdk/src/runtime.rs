//! What [`service!`](crate::service) expands to calls: one router, one set of jobs and of consumers for each worker,
//! built when first needed.

use crate::bindings::consumers::exports::simhost::service::consumer;
use crate::bindings::exports::simhost::service::handler::Route;
use crate::bindings::jobs::exports::simhost::service::job;
use crate::bindings::simhost::service::http;
use crate::extract::Context;
use crate::problem::Problem;
use crate::{Consumers, Jobs, Router, config};
use std::cell::OnceCell;

/// What a service exports: the functions that build it.
#[derive(Clone, Copy)]
pub struct Parts {
    pub routes: Option<fn() -> Router>,
    pub jobs: Option<fn() -> Jobs>,
    pub consumers: Option<fn() -> Consumers>,
}

impl Parts {
    pub const NONE: Self = Self { routes: None, jobs: None, consumers: None };
}

struct Service {
    router: Router,
    jobs: Jobs,
    consumers: Consumers,
    problems: Vec<Problem>,
}

thread_local! {
    static SERVICE: OnceCell<Service> = const { OnceCell::new() };
}

/// Builds all parts, and finds all that is wrong with them and with the configuration, which they share.
#[inline(never)]
fn build(Parts { routes, jobs, consumers }: Parts) -> Service {
    let ((router, jobs, consumers), mut problems) = config::collect(|| {
        (routes.map(|make| make()), jobs.map(|make| make()), consumers.map(|make| make()))
    });
    let (jobs, consumers) = (jobs.unwrap_or_default(), consumers.unwrap_or_default());
    problems.extend(router.iter().flat_map(|router| router.problems()));
    problems.extend(jobs.problems());
    problems.extend(consumers.problems());
    Service { router: router.unwrap_or_default(), jobs, consumers, problems }
}

/// Asks the service something before it runs.
fn ask<T>(parts: Parts, answer: impl FnOnce(&Service) -> T) -> Result<T, Vec<Problem>> {
    SERVICE.with(|service| {
        let service = service.get_or_init(|| build(parts));
        if service.problems.is_empty() { Ok(answer(service)) } else { Err(service.problems.clone()) }
    })
}

/// Lets the service do something. The simulator has asked before, with the same configuration.
fn run<T>(parts: Parts, work: impl FnOnce(&Service) -> T) -> T {
    SERVICE.with(|service| {
        let service = service.get_or_init(|| build(parts));
        if let Some(problem) = service.problems.first() {
            panic!("{}", config::described(problem));
        }
        work(service)
    })
}

/// The routes of the service, or what is wrong with it.
pub fn routes(parts: Parts) -> Result<Vec<Route>, Vec<Problem>> {
    ask(parts, |service| service.router.describe())
}

/// Serves one request.
pub fn handle(parts: Parts, route: Option<u32>) -> http::Response {
    run(parts, |Service { router, .. }| router.dispatch(route, &Context::incoming(router.states())).into())
}

/// The names of the service's jobs, or what is wrong with it.
pub fn job_names(parts: Parts) -> Result<Vec<String>, Vec<job::Problem>> {
    let problem = |Problem { key, message, remedy }| job::Problem { key, message, remedy };
    ask(parts, |service| service.jobs.names().map(str::to_owned).collect())
        .map_err(|problems| problems.into_iter().map(problem).collect())
}

/// Runs one job.
pub fn run_job(parts: Parts, name: &str) -> Result<(), String> {
    run(parts, |service| service.jobs.run(name))
}

/// The topics whose messages the service takes, or what is wrong with it.
pub fn topics(parts: Parts) -> Result<Vec<String>, Vec<consumer::Problem>> {
    let problem = |Problem { key, message, remedy }| consumer::Problem { key, message, remedy };
    ask(parts, |service| service.consumers.topics())
        .map_err(|problems| problems.into_iter().map(problem).collect())
}

/// Processes the messages of one delivery.
pub fn receive(parts: Parts) -> consumer::Outcome {
    run(parts, |service| service.consumers.receive())
}
