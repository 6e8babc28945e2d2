//! Where a call goes: to a service by its name, or to a host outside by its URL.

use url::Url;

use crate::bus::{NodeCode, redact};
use crate::error::{did_you_mean, quote};
use crate::guest::CallError;
use crate::model::ServiceId;

use super::CallerSide;

/// Where a call goes.
#[derive(Clone, Debug)]
pub(super) enum Callee {
    /// A service of the topology.
    Known(ServiceId),
    /// A host that the topology allows: `http://host:port`.
    Foreign(String),
}

impl Callee {
    pub const fn id(&self) -> Option<ServiceId> {
        match self {
            Self::Known(id) => Some(*id),
            Self::Foreign(_) => None,
        }
    }
}

impl CallerSide {
    /// Finds the callee by name, or by an absolute URL where the topology allows its host.
    pub(super) fn resolve(&self, service: &str) -> Result<Callee, CallError> {
        if let Some(id) = self.names.get(service) {
            return Ok(Callee::Known(*id));
        }
        if service.starts_with("http://") || service.starts_with("https://") {
            return self.resolve_url(service);
        }
        let known = did_you_mean(service, "services", self.callee.nodes.iter().map(|node| &*node.name));
        let shown = redact::url(service);
        Err(CallError::UnknownService(format!("no service {} in this topology; {known}", quote(&shown))))
    }

    fn resolve_url(&self, url: &str) -> Result<Callee, CallError> {
        let Ok(parsed) = Url::parse(url) else {
            return Err(CallError::Invalid("this is not a URL".to_owned()));
        };
        // Without user name and password, which are nobody's business.
        let base = parsed.origin().ascii_serialization();
        let invalid = |why: &str| Err(CallError::Invalid(format!("{base} {why}")));
        let Some(host) = parsed.host_str() else { return invalid("names no host") };
        let has_user = !parsed.username().is_empty() || parsed.password().is_some();
        if parsed.path() != "/" || parsed.query().is_some() || has_user {
            return invalid("has more than scheme, host and port: the path goes into the request");
        }
        // A service's own name as a host is the service: http://inventory-service.
        if let Some(id) = self.names.get(host) {
            return Ok(Callee::Known(*id));
        }
        let known = self
            .callee
            .nodes
            .iter()
            .position(|node| matches!(node.code, NodeCode::External) && node.base == base);
        if let Some(index) = known {
            return Ok(Callee::Known(ServiceId(index as u32)));
        }
        let with_port = parsed.port_or_known_default().map(|port| format!("{host}:{port}"));
        let allowed = &self.allowed_hosts;
        if !allowed.iter().any(|name| name == host || Some(name) == with_port.as_ref()) {
            return invalid("is not among the hosts that the topology allows: add it to network.allow");
        }
        Ok(Callee::Foreign(base))
    }
}

/// Splits `http://host:port`.
pub fn address_of(base: &str) -> (String, i64) {
    let url = Url::parse(base).ok();
    let host = url.as_ref().and_then(|url| url.host_str()).unwrap_or(base).to_owned();
    let port = url.as_ref().and_then(Url::port_or_known_default).unwrap_or(80);
    (host, i64::from(port))
}
