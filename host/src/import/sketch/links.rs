//! The network, and the links that differ from it.

use std::collections::BTreeSet;

use crate::model::Nanos;

use super::super::fit;
use super::super::names::Names;
use super::super::system::System;
use super::callees::Callees;
use super::services::Sizes;

/// Ways from which on a link may have a latency of its own.
const LINK_WAYS: usize = 60;

/// What a link's median or 90th percentile differs from the network's before it is written.
const LINK_DIFFERS: f64 = 0.15;

/// A link that is written.
#[derive(Debug)]
pub struct Link {
    pub from: String,
    pub to: String,
    pub latency: Latency,
    /// Attempts, the first included; none where no request was repeated.
    pub attempts: Option<u8>,
}

#[derive(Debug)]
pub enum Latency {
    OfNetwork,
    /// As TOML.
    Own(String),
    /// The callee's times have it in them.
    InCallee,
}

/// The latency of the network, none where no call has both spans; and the links that differ from it.
pub fn links(
    system: &mut System,
    names: &Names,
    callees: &Callees,
    sizes: &Sizes,
) -> (Option<String>, Vec<Link>) {
    system.gaps.values_mut().for_each(|gaps| gaps.sort_unstable());
    let usual = usual(system);
    let differs = |gaps: &[Nanos]| {
        let differs = |permille: u32, usual: Nanos| {
            (fit::quantile(gaps, permille) as f64 - usual as f64).abs()
                > LINK_DIFFERS * (usual as f64).max(1.0)
        };
        gaps.len() >= LINK_WAYS && usual.is_some_and(|(half, most)| differs(500, half) || differs(900, most))
    };
    let of_network = system.gaps.values().filter(|gaps| !differs(gaps)).flatten();
    let mut of_network: Vec<Nanos> = of_network.copied().collect();
    let latency = usual.map(|_| fit::distribution(&mut of_network));
    let service = |route: u32| callees.service(names.routes.get(route).service);
    let pairs: BTreeSet<(u32, u32)> = callees
        .written()
        .flat_map(|from| callees.calls(from).iter().map(move |(_, to, _)| (from, *to)))
        .map(|(from, to)| (service(from), service(to)))
        .collect();
    let mut links = Vec::new();
    for (from, to) in pairs {
        let mut retries = system
            .retries
            .iter()
            .filter(|((one, other), _)| (callees.service(*one), callees.service(*other)) == (from, to));
        let attempts = retries.next().map(|(_, resent)| resent + 1);
        let gaps = system.gaps.get(&(from, to)).filter(|gaps| differs(gaps));
        let own = match gaps {
            _ if latency.is_some() && !callees.has_spans(to) => Latency::InCallee,
            Some(gaps) => Latency::Own(fit::distribution(&mut gaps.clone())),
            None => Latency::OfNetwork,
        };
        if attempts.is_some() || !matches!(own, Latency::OfNetwork) {
            let (from, to) = (sizes.name(from).to_owned(), sizes.name(to).to_owned());
            links.push(Link { from, to, latency: own, attempts });
        }
    }
    links.sort_by(|one, other| (&one.from, &one.to).cmp(&(&other.from, &other.to)));
    (latency, links)
}

/// Median and 90th percentile of the link in the middle of all, by its median: one that is far away does not
/// count for more because it is called often.
fn usual(system: &System) -> Option<(Nanos, Nanos)> {
    let many = |least: usize| {
        let gaps = system.gaps.values().filter(move |gaps| gaps.len() >= least);
        let mut links: Vec<_> =
            gaps.map(|gaps| (fit::quantile(gaps, 500), fit::quantile(gaps, 900))).collect();
        links.sort_unstable();
        links.get(links.len() / 2).copied()
    };
    many(LINK_WAYS).or_else(|| many(1))
}
