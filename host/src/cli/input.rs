//! The flags that commands have in common which simulate a topology.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;

use crate::model::{Nanos, Picos};
use crate::run::{Destinations, Options, RequestFlag};

use super::tell::tell;
use super::{compute, guest, listen, seed, switch};

/// What happens in a simulated world: the same for `run`, `check` and `sql`.
#[derive(Debug, Args)]
pub struct Scenario {
    /// The topology file
    pub topology: PathBuf,

    /// The seed of all chance [default: the topology's]
    #[arg(long, value_name = "N", value_parser = seed)]
    pub seed: Option<u64>,

    /// Let an instruction of a guest take this long in virtual time, for example 0.04ns; 0: computing
    /// takes no time [default: the topology's]
    #[arg(long, value_name = "TIME", value_parser = compute)]
    pub compute: Option<Picos>,

    /// Run another guest as this service: a component's file, or the name of a built-in one; may be repeated
    #[arg(long = "guest", value_name = "SERVICE=GUEST", value_parser = guest)]
    pub guests: Vec<(String, PathBuf)>,

    /// Switch a fault of the topology on or off; may be repeated
    #[arg(long = "fault", value_name = "NAME=on|off", value_parser = switch)]
    pub faults: Vec<(String, bool)>,

    /// Switch a load of the topology on or off; may be repeated
    #[arg(long = "load", conflicts_with = "requests", value_name = "NAME=on|off", value_parser = switch)]
    pub loads: Vec<(String, bool)>,

    /// Send this request and end, instead of listening; may be repeated
    #[arg(long = "request", value_name = "METHOD PATH [BODY]")]
    pub requests: Vec<RequestFlag>,
}

impl Scenario {
    /// The options of a run in which this happens, in real time.
    pub fn options(self, stop_after: Option<Nanos>) -> Options {
        let Self { topology, seed, compute, guests, faults, loads, requests } = self;
        Options {
            topology,
            seed,
            compute,
            guests,
            faults,
            loads,
            requests,
            stop_after,
            tell: Some(tell),
            ..Options::default()
        }
    }
}

/// What `run` and `check` have in common.
#[derive(Debug, Args)]
pub struct Input {
    #[command(flatten)]
    scenario: Scenario,

    /// Let time jump from event to event instead of passing: same seed, same bytes
    #[arg(long = "virtual")]
    virtual_time: bool,

    /// Leave the faults out of all that is said, shown and exported, for an exercise: only --truth and
    /// the control API name them
    #[arg(long)]
    blind: bool,

    /// Let the loads go over HTTP, through the ingress, and not straight to their services
    #[arg(long, conflicts_with_all = ["requests", "virtual_time"])]
    through_ingress: bool,

    /// Where to listen [default: the topology's ingress]; port 0 takes any free port
    #[arg(long, conflicts_with = "requests", value_name = "ADDRESS:PORT", value_parser = listen)]
    listen: Option<SocketAddr>,

    /// Export over OTLP to this receiver [default: OTEL_EXPORTER_OTLP_ENDPOINT, or the topology's]
    #[arg(long, value_name = "URL")]
    otlp: Option<String>,
}

impl Input {
    /// The options of a run that these flags ask for.
    pub fn options(self, stop_after: Option<Nanos>, destinations: Destinations) -> Options {
        let Self { scenario, virtual_time, blind, through_ingress, listen, otlp } = self;
        Options {
            virtual_time,
            blind,
            through_ingress,
            listen,
            destinations: Destinations { otlp, ..destinations },
            ..scenario.options(stop_after)
        }
    }
}
