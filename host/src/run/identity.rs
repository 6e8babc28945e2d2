//! Who a replica is: what its workers are told, its instance id, its environment.

use std::net::Ipv4Addr;
use std::rc::Rc;
use std::sync::Arc;

use indexmap::IndexMap;

use crate::guest::Identity;
use crate::guest::budget::UnderWay;
use crate::guest::endpoint::Endpoint;
use crate::message::is_token;
use crate::model::{Model, Nanos, ServiceId};
use crate::process::Process;
use crate::rng::{Key, Purpose};
use crate::telemetry::record::ResourceId;

/// What a replica's workers are told.
#[derive(Clone, Copy, Debug)]
pub struct Setup<'a> {
    pub version: Option<&'a str>,
    pub config: &'a IndexMap<String, String>,
    /// The name of the deployment that it is; none of the service as the topology has it.
    pub release: Option<&'a str>,
    /// What its guest has computed to tell what it has.
    pub preparing: Nanos,
}

impl<'a> Setup<'a> {
    /// The topology's.
    pub fn of(service: &'a crate::model::Service) -> Self {
        Self { version: service.version.as_deref(), config: &service.config, release: None, preparing: 0 }
    }
}

/// Where a replica's workers are.
#[derive(Clone, Debug)]
pub struct ReplicaInfo {
    pub replica: u32,
    pub resource: ResourceId,
    pub address: Ipv4Addr,
    pub process: Rc<Process>,
}

/// One replica of a service, as its workers see it.
pub fn identity(model: &Model, id: ServiceId, info: ReplicaInfo, setup: &Setup<'_>) -> Identity {
    let ReplicaInfo { replica, resource, address, process } = info;
    let service = model.service(id);
    let config = setup.config.iter().map(|(key, value)| (key.clone(), value.clone())).collect();
    let instance = instance_id(model.root(), &service.name, replica, setup.release);
    // As clients call themselves (RFC 9110, section 10.1.5), where the version can stand there.
    let agent = match setup.version.filter(|version| is_token(version)) {
        Some(version) => format!("{}/{version}", service.name),
        None => service.name.clone(),
    };
    Identity {
        service: id,
        name: service.name.clone(),
        replica,
        process,
        resource,
        endpoint: Rc::new(Endpoint::new(address, agent.into())),
        environment: environment(model, &service.name, setup.version, setup.config, &instance),
        config,
        compute: model.compute(id),
        under_way: UnderWay::new(service.limits.host_memory(), service.workers),
        limits: service.limits.clone(),
        preparing: setup.preparing,
        memory: Arc::default(),
        pool: Rc::default(),
    }
}

/// `service.instance.id`: a UUID, as the conventions recommend, made of the
/// run's root so that a replica has the same one in every run, and another in each
/// topology and each deployment that has a name.
pub fn instance_id(root: u64, service: &str, replica: u32, release: Option<&str>) -> String {
    let key = Key::new(root, Purpose::Instance).with_name(service).with(u64::from(replica));
    let key = release.map_or(key, |release| key.with_name(release));
    let (high, low) = (key.with(0).draw(), key.with(1).draw());
    // RFC 9562, section 5.8: version 8 leaves the other bits to us; variant 10.
    let high = high & !0xf000 | 0x8000;
    let low = low & !(0b11 << 62) | 0b10 << 62;
    format!(
        "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
        high >> 32,
        high >> 16 & 0xffff,
        high & 0xffff,
        low >> 48,
        low & 0xffff_ffff_ffff
    )
}

/// A guest's environment: who it is, and its configuration in upper case.
fn environment(
    model: &Model,
    service: &str,
    version: Option<&str>,
    config: &IndexMap<String, String>,
    instance: &str,
) -> Vec<(String, String)> {
    let mut variables = vec![
        ("SERVICE_NAME".to_owned(), service.to_owned()),
        ("SERVICE_NAMESPACE".to_owned(), model.namespace.clone()),
        ("SERVICE_INSTANCE_ID".to_owned(), instance.to_owned()),
    ];
    variables.extend(version.map(|version| ("SERVICE_VERSION".to_owned(), version.to_owned())));
    let config = config.iter();
    variables.extend(config.map(|(key, value)| (key.to_uppercase().replace(['-', '.'], "_"), value.clone())));
    variables
}
