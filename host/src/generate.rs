//! `simhost generate`: a topology of as many services as wanted, on the guest
//! `service`, drawn from a seed.
//!
//! What is known of large systems shapes it: requests spread like trees, their
//! sizes have a heavy tail, and some services are shared by most of them (Luo
//! et al., Characterizing Microservice Dependency and Performance: Alibaba
//! Trace Analysis, `SoCC` 2021). Services lie in layers and call only what lies
//! deeper, so there are no cycles, and no chain is longer than the layers.
//!
//! [`shape`] draws services and calls, [`backing`] caches and topics, [`databases`] tables and statements,
//! [`sizing`] works out how busy each will be and gives it workers, [`write`](mod@write) makes TOML of it.
//! Whole numbers and the
//! functions of `libm` do it all: a seed gives the same file on every platform.

mod backing;
mod databases;
mod dice;
mod names;
mod shape;
mod sizing;
mod write;

use crate::error::Problem;
use crate::topology::{FILE_AT_MOST, WORKERS_AT_MOST, show_size};

/// Services of a generated topology: enough for a caller and a callee, and no
/// more than a topology's file has room for.
pub const SERVICES: std::ops::RangeInclusive<u32> = 2..=2_000;

/// Layers, the edge and the data among them.
pub const LAYERS: std::ops::RangeInclusive<u32> = 2..=12;

/// Caches, and topics.
pub const BACKING: std::ops::RangeInclusive<u32> = 0..=500;

/// Databases: each holds its tables in memory.
pub const DATABASES: std::ops::RangeInclusive<u32> = 0..=100;

/// Services for each cache, each topic and each database, where nothing else is wanted.
const SERVICES_FOR_EACH: u32 = 10;

/// Requests per second that come in.
pub const RATE: std::ops::RangeInclusive<u32> = 1..=100_000;

/// What is wanted; the ranges are those of the constants above.
#[derive(Clone, Debug)]
pub struct Wanted {
    pub services: u32,
    pub seed: u64,
    /// As many as suit the number of services, when none.
    pub layers: Option<u32>,
    /// The name of the topology: `services-100`.
    pub name: Option<String>,
    /// Requests per second that come in, for which workers are chosen.
    pub rate: u32,
    /// At most: fewer where fewer services can use one, which [`Generated::fewer`] says. One for ten services
    /// when none.
    pub caches: Option<u32>,
    pub topics: Option<u32>,
    /// The same, up to the most that there may be.
    pub databases: Option<u32>,
    /// The name of the file, for its first line; the topology's when none.
    pub file: Option<String>,
}

impl Wanted {
    fn caches(&self) -> u32 {
        self.caches.unwrap_or(self.services / SERVICES_FOR_EACH)
    }

    fn topics(&self) -> u32 {
        self.topics.unwrap_or(self.services / SERVICES_FOR_EACH)
    }

    fn databases(&self) -> u32 {
        self.databases.unwrap_or((self.services / SERVICES_FOR_EACH).min(*DATABASES.end()))
    }
}

/// A topology, as it was drawn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Generated {
    pub text: String,
    /// What it has fewer of than was wanted, and why: a line each.
    pub fewer: Vec<String>,
}

/// What it has fewer of than the command line asks for.
fn fewer(wanted: &Wanted, system: &shape::System) -> Vec<String> {
    let all = [
        (
            "caches",
            wanted.caches,
            system.caches.len(),
            "a cache needs a service that reads one thing by calls",
        ),
        (
            "topics",
            wanted.topics,
            system.topics.len(),
            "a topic needs a kind of thing of its own, a service that changes it, and a service that lies deeper",
        ),
        (
            "databases",
            wanted.databases,
            system.databases.len(),
            "a database needs a service of its own, one that keeps data or lies between the edge and the data",
        ),
    ];
    let is_short = |wanted: &Option<u32>, drawn: usize| wanted.is_some_and(|wanted| drawn < wanted as usize);
    let short = all.into_iter().filter(|(_, wanted, drawn, _)| is_short(wanted, *drawn));
    let said = |(flag, wanted, drawn, why): (&str, Option<u32>, usize, &str)| {
        let wanted = wanted.unwrap_or_default();
        format!("--{flag} {wanted} gives {drawn}: {why}; --services {} has no more", system.services.len())
    };
    short.map(said).collect()
}

/// Draws a topology and writes it down. Its first line is the command that makes that very
/// file, with all flags.
///
/// # Errors
/// When there are more layers than services, more workers than a run can have, or more text than a file can
/// have.
pub fn generate(wanted: &Wanted) -> Result<Generated, Vec<Problem>> {
    let layers = wanted.layers.unwrap_or_else(|| usual_layers(wanted.services));
    if layers > wanted.services {
        let message = format!("{} services cannot lie in {layers} layers", wanted.services);
        return Err(vec![Problem::new(message).help("lower --layers, or raise --services")]);
    }
    let mut system = shape::draw(wanted.seed, wanted.services as usize, layers as usize);
    backing::add_caches(&mut system, wanted.seed, wanted.caches() as usize);
    backing::add_topics(&mut system, wanted.seed, wanted.topics() as usize);
    databases::add_databases(&mut system, wanted.seed, wanted.databases() as usize);
    let load = sizing::size(&mut system, f64::from(wanted.rate));
    if load.workers > u64::from(WORKERS_AT_MOST) {
        let message = format!(
            "at {} requests per second the services need {} workers in all; simhost runs at most {WORKERS_AT_MOST}",
            wanted.rate, load.workers
        );
        return Err(vec![Problem::new(message).help("lower --rate")]);
    }
    let text = write::write(wanted, &system, &load);
    if text.len() as u64 > FILE_AT_MOST {
        let (long, most) = (text.len() >> 10, show_size(FILE_AT_MOST));
        let message = format!("the topology would have {long} KiB; simhost reads at most {most}");
        let help = "lower --services, --caches, --topics or --databases";
        return Err(vec![Problem::new(message).help(help)]);
    }
    Ok(Generated { text, fewer: fewer(wanted, &system) })
}

/// The edge and the data, and a layer more each time that the services become
/// about four times as many.
fn usual_layers(services: u32) -> u32 {
    (2 + services.ilog2() / 2).min(services)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topology;

    fn wanted(services: u32) -> Wanted {
        Wanted {
            services,
            seed: 1,
            layers: None,
            name: None,
            rate: 50,
            caches: None,
            topics: None,
            databases: None,
            file: None,
        }
    }

    #[test]
    fn every_number_of_services_and_layers_gives_a_topology_that_is_valid() {
        for (services, layers) in
            [(2, None), (3, None), (2, Some(2)), (12, Some(12)), (40, Some(2)), (2_000, None)]
        {
            let text = generate(&Wanted { layers, ..wanted(services) }).expect("a topology").text;
            let read = topology::parse("generated.toml", &text, std::path::Path::new(""), &["service"]);
            let model = read.expect("it is valid").model;
            assert_eq!(model.services.len(), services as usize, "{services} in {layers:?}");
        }
    }

    #[test]
    fn a_run_may_have_all_the_workers_that_a_topology_asks_for() {
        for rate in [50, 5_000] {
            let text = generate(&Wanted { rate, ..wanted(2_000) }).expect("a topology").text;
            let read = topology::parse("generated.toml", &text, std::path::Path::new(""), &["service"]);
            let model = read.expect("it is valid").model;
            let each = model.services.iter().map(|service| u64::from(service.replicas * service.workers));
            assert_eq!(model.workers(), each.sum::<u64>(), "at {rate} requests per second");
        }
    }

    #[test]
    fn databases_change_nothing_but_who_asks_them() {
        let names = |text: &str| {
            let model = topology::parse("generated.toml", text, std::path::Path::new(""), &["service"]);
            let model = model.expect("it is valid").model;
            (
                model.databases.len(),
                model.services.into_iter().map(|service| service.name).collect::<Vec<_>>(),
            )
        };
        for (services, databases) in [(2, 5), (40, 12), (2_000, 100)] {
            let without =
                generate(&Wanted { databases: Some(0), ..wanted(services) }).expect("a topology").text;
            let with = generate(&Wanted { databases: Some(databases), ..wanted(services) })
                .expect("a topology")
                .text;
            let ((none, plain), (some, same)) = (names(&without), names(&with));
            assert_eq!((none, &plain), (0, &same));
            assert!(
                without.contains(" --databases 0 ") && with.contains(&format!(" --databases {databases} "))
            );
            assert!(some == databases as usize || services == 2, "{some} of {services}");
        }
    }

    #[test]
    fn a_seed_gives_one_topology_and_another_seed_another() {
        let text = generate(&wanted(30)).expect("a topology").text;
        assert_eq!(generate(&wanted(30)).expect("a topology").text, text);
        assert_ne!(generate(&Wanted { seed: 2, ..wanted(30) }).expect("a topology").text, text);
    }

    #[test]
    fn what_cannot_be_is_refused_with_a_remedy() {
        let more_layers = generate(&Wanted { layers: Some(4), ..wanted(3) }).expect_err("too few services");
        assert_eq!(more_layers[0].message, "3 services cannot lie in 4 layers");
        let too_fast = generate(&Wanted { rate: 100_000, ..wanted(2_000) }).map(|made| made.text.len());
        let too_fast = too_fast.expect_err("too many workers");
        assert!(too_fast[0].message.contains("workers in all"), "{too_fast:?}");
    }
}
