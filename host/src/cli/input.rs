//! The flags that `run` and `check` have in common.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;

use crate::model::{Nanos, Picos};
use crate::run::{Destinations, Listed, Options, RequestFlag};

use super::tell::tell;
use super::{compute, guest, listen, seed, switch};

/// What `run` and `check` have in common.
#[derive(Debug, Args)]
pub struct Input {
    /// The topology file
    topology: PathBuf,

    /// Let time jump from event to event instead of passing: same seed, same bytes
    #[arg(long = "virtual")]
    virtual_time: bool,

    /// The seed of all chance [default: the topology's]
    #[arg(long, value_name = "N", value_parser = seed)]
    seed: Option<u64>,

    /// Let an instruction of a guest take this long in virtual time, for example 0.04ns; 0: computing
    /// takes no time [default: the topology's]
    #[arg(long, value_name = "TIME", value_parser = compute)]
    compute: Option<Picos>,

    /// Run another guest as this service: a component's file, or the name of a built-in one; may be repeated
    #[arg(long = "guest", value_name = "SERVICE=GUEST", value_parser = guest)]
    guests: Vec<(String, PathBuf)>,

    /// Switch a fault of the topology on or off; may be repeated
    #[arg(long = "fault", value_name = "NAME=on|off", value_parser = switch)]
    faults: Vec<(String, bool)>,

    /// Switch a load of the topology on or off; may be repeated
    #[arg(long = "load", conflicts_with = "requests", value_name = "NAME=on|off", value_parser = switch)]
    loads: Vec<(String, bool)>,

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

    /// Send this request and end, instead of listening; may be repeated
    #[arg(long = "request", value_name = "METHOD PATH [BODY]")]
    requests: Vec<RequestFlag>,

    /// Export over OTLP to this receiver [default: OTEL_EXPORTER_OTLP_ENDPOINT, or the topology's]
    #[arg(long, value_name = "URL")]
    otlp: Option<String>,
}

impl Input {
    /// The options of a run that these flags ask for.
    pub fn options(self, stop_after: Option<Nanos>, destinations: Destinations) -> Options {
        Options {
            topology: self.topology,
            virtual_time: self.virtual_time,
            seed: self.seed,
            key_name: None,
            remembers: false,
            listen: self.listen,
            guests: self.guests,
            faults: self.faults,
            loads: self.loads,
            through_ingress: self.through_ingress,
            requests: self.requests,
            stop_after,
            start: None,
            control: None,
            speed: None,
            shards: None,
            self_telemetry: false,
            compute: self.compute,
            strict: false,
            no_counterfactual: false,
            blind: self.blind,
            changed: Listed::default(),
            destinations: Destinations { otlp: self.otlp, ..destinations },
            tell: Some(tell),
        }
    }
}
