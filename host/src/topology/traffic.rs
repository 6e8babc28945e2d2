//! What lies between clients and services: `[ingress]` and `[network]`.

use std::net::{Ipv4Addr, SocketAddr};

use super::address;
use super::distribution::distribution;
use super::names::Names;
use super::reader::Value;
use crate::model::{Distribution, Ingress};

/// One way between two services, where the file does not say: as within a data centre,
/// half of the messages within 300 µs and one in a hundred beyond 600 µs.
const LATENCY: Distribution = Distribution::Lognormal { median: 300_000, sigma: 0.3 };

/// How late a caller notices that a timeout is over, where the file does not say: timers tick
/// by the millisecond, and the thread that waits has to get a processor.
const TIMER_SLACK: Distribution = Distribution::Lognormal { median: 400_000, sigma: 0.7 };

/// `[network]`.
#[derive(Debug)]
pub(super) struct Network {
    /// Where no link says otherwise.
    pub latency: Distribution,
    pub timer_slack: Distribution,
    /// The hosts outside that guests may call.
    pub allowed_hosts: Vec<String>,
}

/// Where the ingress listens when the file does not say.
const LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 8080);

/// `[ingress]`.
pub(super) fn ingress(ingress: Option<Value<'_>>, names: &Names) -> Option<Ingress> {
    let table = ingress?.table("[ingress]")?;
    let [listen, to] = table.keys(["listen", "to"]);
    let listen = match listen {
        Some(listen) => match listen.item() {
            // 8001 alone: the reader would suggest "8001" in quotes, which is no better.
            toml::de::DeValue::Integer(port) => listen.refuse_kind(
                "a string",
                format!("write an IP address and a port, such as \"127.0.0.1:{port}\""),
            ),
            _ => listen.read(address::listen),
        },
        None => Some(LISTEN),
    };
    let to = table.need("to", to, "name the service that requests go to: to = \"…\"");
    let to = to.and_then(|value| names.find(&value));
    Some(Ingress { listen: listen?, to: to? })
}

/// What lies between services, and between them and the outside.
pub(super) fn network(network: Option<Value<'_>>) -> Network {
    let table = network.and_then(|value| value.table("[network]"));
    let keys = table.map(|table| table.keys(["latency", "timer-slack", "allow"]));
    let [latency, timer_slack, allow] = keys.unwrap_or_default();
    let allowed = allow.and_then(|value| value.list()).unwrap_or_default();
    Network {
        latency: latency.and_then(|value| distribution(&value)).unwrap_or(LATENCY),
        timer_slack: timer_slack.and_then(|value| distribution(&value)).unwrap_or(TIMER_SLACK),
        allowed_hosts: allowed.iter().filter_map(|host| host.read(address::host_and_port)).collect(),
    }
}
