//! What went wrong in a run that still has a report.

use crate::bus::stats::Accounts;
use crate::clock;
use crate::model::Nanos;
use crate::sched::Halt;

use super::Failure;

/// The world could not go on, after `simulated` nanoseconds. `before` is what was
/// counted when the scheduler first doubted that the instant would end, `after`
/// what is counted now: between them lies nothing but what does not end.
pub fn halted(halt: Halt, simulated: Nanos, before: Option<&Accounts>, after: &Accounts) -> Failure {
    let mut what = format!("after {}: {halt}", clock::show(simulated));
    if let (Halt::Endless { .. }, Some(before)) = (halt, before) {
        what.push_str(&match busiest(before, after) {
            Some((who, times)) => format!("; in the later part of them {who} {times} times"),
            None => "; in the later part of them no service was called".to_owned(),
        });
    }
    Failure { what, help: halt.remedy() }
}

/// The thread that exports has panicked.
pub fn telemetry() -> Failure {
    Failure {
        what: "the telemetry thread ended early: records and the digest are missing".to_owned(),
        help: "this is a defect of simhost, or of an exporter that was added to it: report it with the text of the panic",
    }
}

/// Who did most between two counts, and how often: a route that answered, or
/// else a service that was called and got no request.
fn busiest(before: &Accounts, after: &Accounts) -> Option<(String, u64)> {
    let answered = before.services.iter().zip(&after.services).flat_map(|(before, after)| {
        after.routes().map(move |(route, tally)| {
            let earlier = before.routes().find(|(other, _)| *other == route);
            let times = tally.count - earlier.map_or(0, |(_, tally)| tally.count);
            let route = route.map_or("(no route)", |route| &**route);
            (format!("{} answered {route:?}", after.name), times)
        })
    });
    let calls = |accounts: &Accounts| -> Vec<_> {
        let name = |to: usize| accounts.services[to].name.clone();
        let known = accounts.links().filter_map(|(_, link)| Some((link.to?.index(), link.calls.count)));
        known.map(|(to, count)| (name(to), count)).collect()
    };
    let (earlier, now) = (calls(before), calls(after));
    let sum = |calls: &[(std::sync::Arc<str>, u64)], name: &str| -> u64 {
        calls.iter().filter(|(other, _)| &**other == name).map(|(_, count)| count).sum()
    };
    let called = after.services.iter().map(|service| {
        let times = sum(&now, &service.name) - sum(&earlier, &service.name);
        (format!("{} was called", service.name), times)
    });
    let most = |(_, times): &(String, u64)| *times;
    answered
        .max_by_key(most)
        .filter(|found| found.1 > 0)
        .or_else(|| called.max_by_key(most))
        .filter(|found| found.1 > 0)
}
