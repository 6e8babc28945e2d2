//! What lies between services: `[ingress]`, `[network]` and `[[links]]`.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};

use super::address;
use super::distribution::distribution;
use super::names::Names;
use super::reader::{Table, Value};
use super::units::positive_duration;
use crate::error::Problem;
use crate::model::{Distribution, Ingress, Link, ServiceId};

/// One way between two services, where the file does not say: 300 µs, as within a data centre.
const LATENCY: Distribution = Distribution::Fixed(300_000);

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

/// `[network]`: the latency where no link says otherwise, and the hosts outside that guests may call.
pub(super) fn network(network: Option<Value<'_>>) -> (Distribution, Vec<String>) {
    let table = network.and_then(|value| value.table("[network]"));
    let [latency, allow] = table.map(|table| table.keys(["latency", "allow"])).unwrap_or_default();
    let latency = latency.and_then(|value| distribution(&value)).unwrap_or(LATENCY);
    let allowed = allow.and_then(|value| value.list()).unwrap_or_default();
    (latency, allowed.iter().filter_map(|host| host.read(address::host_and_port)).collect())
}

/// `[[links]]`.
pub(super) fn links(links: Option<Value<'_>>, names: &Names) -> Vec<Link> {
    let mut seen = BTreeSet::new();
    let tables = links.map(|value| value.tables("this link")).unwrap_or_default();
    tables.iter().filter_map(|table| link(table, names, &mut seen)).collect()
}

fn link(table: &Table<'_>, names: &Names, seen: &mut BTreeSet<(ServiceId, ServiceId)>) -> Option<Link> {
    let [from, to, latency, timeout] = table.keys(["from", "to", "latency", "timeout"]);
    let from = table.need("from", from, "name the calling service: from = \"…\"");
    let to = table.need("to", to, "name the called service: to = \"…\"");
    let latency = latency.and_then(|value| distribution(&value));
    let timeout = timeout.and_then(|value| positive_duration(&value));
    let (from, to_id) =
        (from.and_then(|value| names.find(&value)), to.as_ref().and_then(|value| names.find(value)));
    let (from, to_id) = (from?, to_id?);
    if !seen.insert((from, to_id)) {
        let (from, to) = (names.name(from), names.name(to_id));
        table.note(
            Problem::new(format!("there are two links from {from} to {to}"))
                .label("the second one")
                .help("write everything about the two services into one link"),
        );
    }
    Some(Link { from, to: to_id, latency, timeout })
}
