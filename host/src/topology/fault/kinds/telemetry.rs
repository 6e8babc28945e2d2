//! What befalls traces on their way to whoever looks at them.

use super::super::super::distribution::positive_distribution;
use super::Keys;
use crate::error::{Problem, quote};
use crate::model::{FaultKind, Spoil};

/// The name of a service that was not given one, as OpenTelemetry's SDKs begin it.
const UNKNOWN: &str = "unknown_service";

/// Values of an attribute, if it has a bound at all.
const VALUES_AT_MOST: u64 = 1_000_000_000;

pub(super) fn drop_context(keys: &Keys<'_, '_>) -> Option<FaultKind> {
    const WAYS: [(&str, Spoil); 2] = [("missing", Spoil::Missing), ("broken", Spoil::Broken)];
    let how = keys.get("how").map_or(Some(Spoil::Missing), |value| value.choice("state", &WAYS));
    Some(FaultKind::DropContext { how: how? })
}

pub(super) fn late_spans(keys: &Keys<'_, '_>) -> Option<FaultKind> {
    let by = keys.need("by", "say how late they are: by = { uniform = { min = \"5s\", max = \"60s\" } }")?;
    Some(FaultKind::LateSpans { by: positive_distribution(&by)? })
}

pub(super) fn wrong_service_name(keys: &Keys<'_, '_>) -> Option<FaultKind> {
    let Some(value) = keys.get("service-name") else {
        return Some(FaultKind::WrongServiceName { name: UNKNOWN.to_owned() });
    };
    let name = value.filled()?;
    if keys.targets.iter().any(|target| keys.around.services[target.service.index()].name == name) {
        return value.refuse(
            Problem::new(format!("{} is the right name of the service", quote(name)))
                .label("nothing is wrong with it")
                .help("leave service-name out for \"unknown_service\", or write another name"),
        );
    }
    Some(FaultKind::WrongServiceName { name: name.to_owned() })
}

pub(super) fn cardinality(keys: &Keys<'_, '_>) -> Option<FaultKind> {
    let attribute = keys.need("attribute", "name the attribute: attribute = \"session.id\"");
    let attribute = attribute.and_then(|value| value.filled());
    let values = match keys.get("values") {
        Some(value) => value.whole(1..=VALUES_AT_MOST).map(Some),
        None => Some(None),
    };
    Some(FaultKind::Cardinality { attribute: attribute?.to_owned(), values: values? })
}
