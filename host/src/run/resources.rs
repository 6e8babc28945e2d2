//! The Resources of a run: who its records are from.

use std::sync::Arc;

use opentelemetry_semantic_conventions::attribute;

use crate::cache;
use crate::fault;
use crate::model::{Load, Model, Scalar, ServiceId};
use crate::telemetry::digest::GUEST_DIGEST;
use crate::telemetry::env::Settings;
use crate::telemetry::record::{KeyValue, Resource, ResourceId, Text, Value};
use crate::topic::brokers;

use super::identity::instance_id;
use super::loaded::{Loaded, LoadedService};

/// The Resources of all worlds of a run.
#[derive(Debug)]
pub struct WorldResources {
    /// Those of one world behind those of the other.
    pub all: Arc<[Resource]>,
    /// The first of each world. Worlds may have unequally many: a fault that renames replicas
    /// may strike another service in each.
    pub firsts: Vec<ResourceId>,
}

impl WorldResources {
    pub fn new(models: &[Model], telemetry: &Settings, loaded: &Loaded) -> Self {
        let (mut all, mut firsts) = (Vec::new(), Vec::new());
        for model in models {
            firsts.push(ResourceId(all.len() as u32));
            all.extend(resources(model, telemetry, loaded).iter().cloned());
        }
        Self { all: all.into(), firsts }
    }
}

/// All Resources of a world: of the replicas, of the loads, of what faults deploy, of brokers and caches, and
/// those that faults ask for.
pub fn resources(model: &Model, telemetry: &Settings, loaded: &Loaded) -> Arc<[Resource]> {
    // With the service and the replica, if it is one's.
    let mut all: Vec<(_, Resource)> = Vec::new();
    let of_replicas = |index: usize, service: &LoadedService, release: Option<&str>| -> Vec<_> {
        let one = |replica| {
            let instance = instance_id(model.root(), &service.name, replica, release);
            let resource = resource(model, telemetry, (index, replica), service, instance);
            (Some((ServiceId(index as u32), replica)), resource)
        };
        (0..model.services[index].replicas).map(one).collect()
    };
    for (index, service) in loaded.services.iter().enumerate().filter(|(_, service)| service.guest.is_some())
    {
        all.extend(of_replicas(index, service, None));
    }
    all.extend(traced_loads(model).map(|load| (None, own_resource(model, telemetry, &load.name))));
    for release in loaded.releases.iter().filter(|release| release.service.guest.is_some()) {
        all.extend(of_replicas(release.target.index(), &release.service, Some(&release.name)));
    }
    let servers = brokers(model).into_iter().chain(cache::servers(model));
    all.extend(servers.map(|name| (None, own_resource(model, telemetry, name))));
    let (origins, mut resources): (Vec<_>, Vec<_>) = all.into_iter().unzip();
    for (_, at, name) in fault::aliases(model, &origins) {
        resources.push(resources[at].clone().named(name));
    }
    resources.into()
}

/// The loads that have a Resource: behind those of the services, and before those of
/// deployments.
pub fn traced_loads(model: &Model) -> impl Iterator<Item = &Load> {
    model.loads.iter().filter(|load| load.enabled && load.span)
}

/// Stands in a text of `resource` for the number of the replica, from 0.
const REPLICA: &str = "{replica}";

/// The Resource of one replica (semantic conventions, "Resource").
fn resource(
    model: &Model,
    settings: &Settings,
    (index, replica): (usize, u32),
    service: &LoadedService,
    instance: String,
) -> Resource {
    let described = &model.services[index];
    let mut attributes = common(model, settings, &service.name, instance);
    let version = service.version.clone();
    attributes.extend(version.map(|version| KeyValue::new(attribute::SERVICE_VERSION, version)));
    let digest = service.guest.as_ref().map(|guest| guest.code.digest.clone());
    attributes.extend(digest.map(|digest| KeyValue::new(GUEST_DIGEST, digest)));
    for (key, value) in &described.resource {
        let value = match value {
            Scalar::Text(text) => Value::from(&Scalar::Text(text.replace(REPLICA, &replica.to_string()))),
            value => Value::from(value),
        };
        attributes.push(KeyValue { key: Text::Owned(key.clone()), value });
    }
    add_environment(&mut attributes, settings);
    Resource { service: Arc::clone(&service.name), attributes }
}

/// The Resource of a load that has spans, of a broker or of a cache: a service of its own.
fn own_resource(model: &Model, settings: &Settings, name: &str) -> Resource {
    let name: Arc<str> = name.into();
    let mut attributes = common(model, settings, &name, instance_id(model.root(), &name, 0, None));
    add_environment(&mut attributes, settings);
    Resource { service: name, attributes }
}

/// `deployment.environment.name` where neither the topology nor the environment says.
pub const ENVIRONMENT: &str = "local";

/// What all Resources of a topology say.
fn common(model: &Model, settings: &Settings, name: &Arc<str>, instance: String) -> Vec<KeyValue> {
    // What the topology says, else what the environment does.
    let key = attribute::DEPLOYMENT_ENVIRONMENT_NAME;
    let said = || settings.resource.iter().find(|(known, _)| known == key).map(|(_, value)| value.clone());
    let environment = model.environment.clone().or_else(said).unwrap_or_else(|| ENVIRONMENT.to_owned());
    vec![
        KeyValue::new(attribute::SERVICE_NAME, Text::Shared(Arc::clone(name))),
        KeyValue::new(attribute::SERVICE_NAMESPACE, model.namespace.clone()),
        KeyValue::new(attribute::SERVICE_INSTANCE_ID, instance),
        KeyValue::new(attribute::DEPLOYMENT_ENVIRONMENT_NAME, environment),
        KeyValue::new(attribute::TELEMETRY_SDK_NAME, "simhost"),
        KeyValue::new(attribute::TELEMETRY_SDK_LANGUAGE, "rust"),
        KeyValue::new(attribute::TELEMETRY_SDK_VERSION, env!("CARGO_PKG_VERSION")),
    ]
}

/// Adds the attributes of the environment, which give way to all others.
fn add_environment(attributes: &mut Vec<KeyValue>, settings: &Settings) {
    for (key, value) in &settings.resource {
        if !attributes.iter().any(|known| *known.key == **key) {
            attributes.push(KeyValue::new(key.clone(), value.clone()));
        }
    }
}
