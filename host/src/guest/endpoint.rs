//! One end of a simulated connection, as the spans at the other end show it.

use std::net::Ipv4Addr;
use std::sync::Arc;

use opentelemetry_semantic_conventions::attribute;
use rustc_hash::FxHashSet;

use crate::rng::{Key, Purpose};
use crate::telemetry::record::{KeyValue, Text};

/// The port of every simulated service.
pub const SIMULATED_PORT: i64 = 80;

/// The version of HTTP between simulated services.
pub const HTTP_VERSION: &str = "1.1";

/// The ports that a system gives to clients: IANA's dynamic ports (RFC 6335, section 6).
const DYNAMIC_PORTS: (u64, u64) = (49_152, 65_535);

/// A replica, or a client outside of the topology: its address, and the attributes
/// that its peers' spans share, interned, so that a span costs no texts.
#[derive(Debug)]
pub struct Endpoint {
    pub address: Ipv4Addr,
    /// The `User-Agent` of its requests, unless they say otherwise.
    pub agent: Arc<str>,
    /// On SERVER spans of its requests: `client.address` and `network.peer.*`.
    pub as_client: Arc<[KeyValue]>,
    /// The same attributes with `user_agent.original`, for requests without a `User-Agent` of their own.
    pub as_client_with_agent: Arc<[KeyValue]>,
    /// On CLIENT spans of requests to it: `network.peer.*` and `network.protocol.version`.
    pub as_server: Arc<[KeyValue]>,
}

impl Endpoint {
    /// An endpoint that listens at [`SIMULATED_PORT`]. Its own requests come from a port that
    /// follows from its address, as over one connection that is kept.
    pub fn new(address: Ipv4Addr, agent: Arc<str>) -> Self {
        let text: Arc<str> = address.to_string().into();
        let of_address = |key| KeyValue::new(key, Text::Shared(Arc::clone(&text)));
        let (first, last) = DYNAMIC_PORTS;
        let drawn = Key::new(address.to_bits().into(), Purpose::Address).draw() % (last - first + 1);
        let as_client = vec![
            of_address(attribute::CLIENT_ADDRESS),
            of_address(attribute::NETWORK_PEER_ADDRESS),
            KeyValue::new(attribute::NETWORK_PEER_PORT, (first + drawn) as i64),
        ];
        let mut with_agent = as_client.clone();
        with_agent.push(KeyValue::new(attribute::USER_AGENT_ORIGINAL, Text::Shared(Arc::clone(&agent))));
        let as_server = vec![
            KeyValue::new(attribute::NETWORK_PROTOCOL_VERSION, HTTP_VERSION),
            of_address(attribute::NETWORK_PEER_ADDRESS),
            KeyValue::new(attribute::NETWORK_PEER_PORT, SIMULATED_PORT),
        ];
        Self {
            address,
            agent,
            as_client: as_client.into(),
            as_client_with_agent: with_agent.into(),
            as_server: as_server.into(),
        }
    }
}

/// The addresses of a topology: private ones (RFC 1918, 10.0.0.0/8), each given to one
/// holder. An address follows from the names of topology and holder and the replica's
/// number, so that another service moves none; only who meets an address that is
/// taken moves on to the next.
#[derive(Debug)]
pub struct Addresses {
    key: Key,
    taken: FxHashSet<u32>,
}

impl Addresses {
    /// Those of the topology of this name.
    pub fn new(topology: &str) -> Self {
        Self { key: Key::new(0, Purpose::Address).with_name(topology), taken: FxHashSet::default() }
    }

    /// The address of a replica of the service `name`, or of the client `name`.
    pub fn give(&mut self, name: &str, replica: u32) -> Ipv4Addr {
        const HOSTS: u32 = 0xff_ffff;
        let mut host = self.key.with_name(name).with(replica.into()).draw() as u32 & HOSTS;
        // Networks of 256 addresses have the first and the last for themselves. There are
        // far more addresses than a topology has replicas.
        while matches!(host & 0xff, 0 | 0xff) || !self.taken.insert(host) {
            host = (host + 1) & HOSTS;
        }
        Ipv4Addr::from_bits(10 << 24 | host)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_one_holders_and_other_holders_do_not_move_it() {
        let mut all = Addresses::new("shop");
        let given: Vec<_> = (0..20_000).map(|replica| all.give("stock", replica)).collect();
        let different: FxHashSet<_> = given.iter().collect();
        assert_eq!(different.len(), given.len());
        assert!(given.iter().all(|address| address.is_private() && ![0, 255].contains(&address.octets()[3])));
        let mut few = Addresses::new("shop");
        few.give("prices", 0);
        assert_eq!(few.give("stock", 7), given[7]);
        assert_ne!(Addresses::new("other").give("stock", 7), given[7]);
    }

    #[test]
    fn both_ends_show_the_same_address() {
        let endpoint = Endpoint::new(Ipv4Addr::new(10, 1, 2, 3), "stock/1.0".into());
        let get = |list: &[KeyValue], key: &str| {
            list.iter().find(|attribute| *attribute.key == *key).map(|attribute| attribute.value.clone())
        };
        let address = Some("10.1.2.3".into());
        let lists = [&endpoint.as_client, &endpoint.as_client_with_agent, &endpoint.as_server];
        assert!(lists.iter().all(|list| get(list, "network.peer.address") == address));
        assert_eq!(get(&endpoint.as_client, "client.address"), address);
        assert_eq!(get(&endpoint.as_client, "user_agent.original"), None);
    }
}
