//! A link in a line that a person reads.

use crate::clock::show;
use crate::model::{Code, Link, Model};
use crate::topology::{policy_lines, show_distribution};

/// What lies between two services, and what the caller does about failures, from the
/// message's way to what is done in its place.
pub fn line(link: &Link, model: &Model) -> String {
    let (from, to) = (&model.service(link.from).name, &model.service(link.to).name);
    let latency = of_latency(link, model);
    let timeout = link.timeout.map(|timeout| format!("timeout {}", show(timeout)));
    let policies = link.policies.iter().flat_map(policy_lines);
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
