//! What befalls traces on their way to whoever looks at them.

use super::super::super::distribution::{positive_distribution, show_distribution};
use super::{Declaration, Keys, Read};
use crate::error::{Problem, quote};
use crate::model::{ContextDamage, Effect, ExportFault, NetworkFault, RecordFault};

/// The name of a service that was not given one, as OpenTelemetry's SDKs begin it.
const UNKNOWN: &str = "unknown_service";

/// Values of an attribute, if it has a bound at all.
const VALUES_AT_MOST: u64 = 1_000_000_000;

pub(super) static KINDS: [Declaration; 7] = [
    Declaration::requests(
        "drop-context",
        "a proxy or a library without trace context",
        &["how"],
        drop_context,
    ),
    Declaration::requests("unsample", "somebody on the way who decides otherwise", &[], |_| {
        Read::plain(Effect::Network(NetworkFault::Unsample))
    }),
    Declaration::spans("lose-spans", "a full export queue", &[], |_| {
        Read::plain(Effect::Record(RecordFault::LoseSpans))
    }),
    Declaration::spans("late-spans", "batches that wait, a slow pipeline", &["by"], late_spans),
    Declaration::replicas(
        "wrong-service-name",
        "a process started without its environment",
        &["service-name"],
        wrong_service_name,
    ),
    Declaration::spans(
        "cardinality",
        "a raw path or an id in an attribute",
        &["attribute", "values"],
        cardinality,
    ),
    Declaration::receivers("collector-down", "a collector that restarts", &[], |_| {
        Read::plain(Effect::Export(ExportFault::CollectorDown))
    }),
];

fn drop_context(keys: &Keys<'_, '_>) -> Option<Read> {
    const STATES: [(&str, ContextDamage); 2] =
        [("missing", ContextDamage::Missing), ("broken", ContextDamage::Broken)];
    let how = keys.get("how").map_or(Some(ContextDamage::Missing), |value| value.choice("state", &STATES))?;
    Read::plain(Effect::Network(NetworkFault::DropContext { how }))
}

fn late_spans(keys: &Keys<'_, '_>) -> Option<Read> {
    let by = keys.need("by", "say how late they are: by = { uniform = { min = \"5s\", max = \"60s\" } }")?;
    let by = positive_distribution(&by)?;
    let detail = format!(" by {}", show_distribution(&by));
    Read::detailed(Effect::Record(RecordFault::LateSpans { by }), detail)
}

fn wrong_service_name(keys: &Keys<'_, '_>) -> Option<Read> {
    let named = |name: &str| {
        let effect = Effect::Record(RecordFault::WrongServiceName { name: name.to_owned() });
        Read::detailed(effect, format!(" {name}"))
    };
    let Some(value) = keys.get("service-name") else { return named(UNKNOWN) };
    let name = value.filled()?;
    if keys.targets.iter().any(|target| keys.around.services[target.service.index()].name == name) {
        return value.refuse(
            Problem::new(format!("{} is the right name of the service", quote(name)))
                .label("nothing is wrong with it")
                .help("leave service-name out for \"unknown_service\", or write another name"),
        );
    }
    named(name)
}

fn cardinality(keys: &Keys<'_, '_>) -> Option<Read> {
    let attribute = keys.need("attribute", "name the attribute: attribute = \"session.id\"");
    let attribute = attribute.and_then(|value| value.filled());
    let values = match keys.get("values") {
        Some(value) => value.whole(1..=VALUES_AT_MOST).map(Some),
        None => Some(None),
    };
    let attribute = attribute?;
    let cardinality = RecordFault::Cardinality { attribute: attribute.to_owned(), values: values? };
    Read::detailed(Effect::Record(cardinality), format!(" of {attribute}"))
}
