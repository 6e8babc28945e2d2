//! Rows of the report by instance: the replicas and releases of services that have several.

use opentelemetry_semantic_conventions::attribute;
use schemars::JsonSchema;
use serde::Serialize;

use crate::bus::stats::Accounts;
use crate::model::Nanos;
use crate::telemetry::record::{Resource, ResourceId, Value};

use super::rows::Numbers;
use super::symptoms::{ENOUGH, MORE_ERRORS, SLOWER};

/// The requests of one instance of a service, from their arrival to their answer.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct InstanceRow {
    pub service: String,
    /// Its `service.version`; null for a service without one.
    pub version: Option<String>,
    /// Its `service.instance.id`.
    pub instance: String,
    #[serde(flatten)]
    pub numbers: Numbers,
}

/// The instances of all services that have several.
pub fn rows(accounts: &Accounts, resources: &[Resource], time: Nanos) -> Vec<InstanceRow> {
    let services = accounts.services.iter();
    let instances = services.flat_map(|service| service.instances().map(move |one| (service, one)));
    let rows = instances.map(|(service, (ResourceId(id), tally))| {
        let resource = resources.get(id as usize);
        let text = |key| resource.and_then(|resource| text(resource, key));
        InstanceRow {
            service: service.name.to_string(),
            version: text(attribute::SERVICE_VERSION),
            instance: text(attribute::SERVICE_INSTANCE_ID).unwrap_or_default(),
            numbers: Numbers::new(tally, time),
        }
    });
    rows.collect()
}

/// The instances of services of which one is notably slower, or fails more often, than another: by
/// the thresholds of symptoms.
pub fn apart(rows: &[InstanceRow]) -> Vec<InstanceRow> {
    let services = rows.chunk_by(|one, next| one.service == next.service);
    services.filter(|instances| differ(instances)).flatten().cloned().collect()
}

fn differ(instances: &[InstanceRow]) -> bool {
    let compared = || instances.iter().map(|row| &row.numbers).filter(|numbers| numbers.count >= ENOUGH);
    let share = |numbers: &Numbers| numbers.errors as f64 / numbers.count as f64;
    let (slowest, quickest) = (
        compared().map(|numbers| numbers.p95_ns).max().unwrap_or(0),
        compared().map(|numbers| numbers.p95_ns).min().unwrap_or(0),
    );
    let (worst, best) =
        (compared().map(share).fold(0.0, f64::max), compared().map(share).fold(1.0, f64::min));
    slowest > quickest * SLOWER || worst > best + MORE_ERRORS
}

fn text(resource: &Resource, key: &str) -> Option<String> {
    let attribute = resource.attributes.iter().find(|attribute| *attribute.key == *key)?;
    match &attribute.value {
        Value::Text(text) => Some(text.to_string()),
        _ => None,
    }
}
