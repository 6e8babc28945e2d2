//! A link in a line that a person reads.

use crate::clock::show;
use crate::model::{
    Breaker, Budget, Bulkhead, Code, Failures, Fallback, Hedge, Link, Methods, Model, Policies, Retry, Trip,
};
use crate::report::words;
use crate::topology::show_distribution;

/// What lies between two services, and what the caller does about failures, from the
/// message's way to what is done in its place.
pub fn line(link: &Link, model: &Model) -> String {
    let (from, to) = (&model.service(link.from).name, &model.service(link.to).name);
    let latency = of_latency(link, model);
    let timeout = link.timeout.map(|timeout| format!("timeout {}", show(timeout)));
    let policies = link.policies.iter().flat_map(of_policies);
    let parts: Vec<_> = latency.into_iter().chain(timeout).chain(policies).collect();
    let what = if parts.is_empty() { "as it comes".to_owned() } else { parts.join("; ") };
    format!("link {from} -> {to}: {what}")
}

/// Towards a real server nothing is added to what the real network takes.
fn of_latency(link: &Link, model: &Model) -> Option<String> {
    match (&link.latency, &model.service(link.to).code) {
        (Some(own), _) => Some(format!("latency of {} each way", show_distribution(own))),
        (None, Code::External(_)) => None,
        (None, _) => {
            Some(format!("latency of {} each way, the network's", show_distribution(&model.latency)))
        }
    }
}

fn of_policies(policies: &Policies) -> Vec<String> {
    let Policies { retry, breaker, hedge, bulkhead, fallback, deadline } = policies;
    let parts = [
        deadline.then(|| "tells the callee its deadline".to_owned()),
        retry.as_ref().map(of_retry),
        hedge.as_ref().map(of_hedge),
        bulkhead.map(of_bulkhead),
        breaker.as_ref().map(of_breaker),
        fallback.as_ref().map(of_fallback),
    ];
    parts.into_iter().flatten().collect()
}

fn of_retry(retry: &Retry) -> String {
    let Retry { attempts, backoff, factor, max_backoff, jitter, on, methods, budget, retry_after } = retry;
    let mut text = format!("up to {attempts} attempts{} on {}", of_methods(methods), of_failures(on));
    text.push_str(&format!(", after {}", show(*backoff)));
    if *factor != 1.0 && *attempts > 2 {
        text.push_str(&format!(" times {factor} each, {} at most", show(*max_backoff)));
    }
    if *jitter > 0.0 {
        text.push_str(&format!(", +/- {}", words::share(*jitter)));
    }
    if let Some(Budget { share, min, window }) = budget {
        let (share, window) = (words::share(*share), show(*window));
        text.push_str(&format!(", a budget of {share} of the calls of {window} and {min}/s besides"));
    }
    if *retry_after {
        text.push_str(", heeds Retry-After");
    }
    text
}

fn of_hedge(hedge: &Hedge) -> String {
    let Hedge { after, attempts, on, methods } = hedge;
    let (after, methods) = (show(*after), of_methods(methods));
    // Where the file names no failure, every answer counts.
    let at_once =
        if *on == Failures::default() { String::new() } else { format!(" or on {}", of_failures(on)) };
    format!("up to {attempts} requests at a time{methods}, another one after {after}{at_once}")
}

fn of_breaker(breaker: &Breaker) -> String {
    let Breaker { trip, window, open_for, half_open, on } = breaker;
    let (window, on, open_for) = (show(*window), of_failures(on), show(*open_for));
    let trip = match trip {
        Trip::InARow(failures) => format!("{failures} failures in a row within {window}"),
        Trip::Share { rate, least } => {
            format!("{} failures of {least} attempts or more within {window}", words::share(*rate))
        }
    };
    let trials = if *half_open == 1 { "one trial".to_owned() } else { format!("{half_open} trials") };
    format!("breaker: opens for {open_for} at {trip} ({on}), then {trials}")
}

fn of_bulkhead(Bulkhead { max_concurrent, queue }: Bulkhead) -> String {
    let waiting = if queue == 0 { String::new() } else { format!(", {queue} more wait") };
    format!("bulkhead: {max_concurrent} at a time{waiting}")
}

fn of_fallback(Fallback { status, on, .. }: &Fallback) -> String {
    format!("fallback: {status} for {} and what the caller refuses itself", of_failures(on))
}

fn of_methods(methods: &Methods) -> String {
    match methods {
        Methods::Idempotent => " of idempotent methods".to_owned(),
        Methods::All => String::new(),
        Methods::These(methods) => format!(" of {}", methods.join(", ")),
    }
}

fn of_failures(of: &Failures) -> String {
    failures(of).join(", ")
}

/// `5xx`, `502 to 504`, `timeout`: each kind of failure as a topology has it.
pub fn failures(failures: &Failures) -> Vec<String> {
    let Failures { statuses, timeout, reset, refused } = failures;
    let statuses = statuses.iter().map(|(from, to)| match (from, to) {
        (from, to) if from == to => from.to_string(),
        // As the topology has it.
        (from, to) if from % 100 == 0 && *to == from + 99 => format!("{}xx", from / 100),
        (from, to) => format!("{from} to {to}"),
    });
    let others = [(timeout, "timeout"), (reset, "reset"), (refused, "refused")];
    let others = others.into_iter().filter(|(is_one, _)| **is_one).map(|(_, name)| name.to_owned());
    statuses.chain(others).collect()
}
