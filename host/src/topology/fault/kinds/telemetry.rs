//! What strikes traces on their way to whoever looks at them.

use super::super::super::distribution::show_distribution;
use super::super::super::key::{Key, Optional, Required, Usual};
use super::super::super::shapes::{By, Choice, Whole};
use super::super::super::types::{POSITIVE_DISTRIBUTION, TEXT};
use super::LooksAt::{Receivers, Replicas, Requests, Spans};
use super::{Declaration, Keys, Read};
use crate::error::{Problem, quote};
use crate::model::{ContextDamage, Distribution, Effect, ExportFault, NetworkFault, RecordFault};

pub(super) static KINDS: [Declaration; 7] = [
    Declaration::new(
        Requests,
        "drop-context",
        "a proxy or a library without trace context",
        &[&HOW],
        drop_context,
    ),
    Declaration::new(Requests, "unsample", "a gateway with a sampling decision of its own", &[], |_| {
        Read::plain(Effect::Network(NetworkFault::Unsample))
    }),
    Declaration::new(Spans, "lose-spans", "a full export queue", &[], |_| {
        Read::plain(Effect::Record(RecordFault::LoseSpans))
    }),
    Declaration::new(Spans, "late-spans", "batches that wait, a slow pipeline", &[&LATE], late_spans),
    Declaration::new(
        Replicas,
        "wrong-service-name",
        "a process started without its environment",
        &[&NAME],
        wrong_service_name,
    ),
    Declaration::new(
        Spans,
        "cardinality",
        "a raw path or an id in an attribute",
        &[&ATTRIBUTE, &VALUES],
        cardinality,
    ),
    Declaration::new(Receivers, "collector-down", "a collector that restarts", &[], |_| {
        Read::plain(Effect::Export(ExportFault::CollectorDown))
    }),
];

static HOW: Key<Choice<ContextDamage>, Usual> = Key {
    name: "how",
    of: Choice {
        what: "state",
        words: &[("missing", ContextDamage::Missing), ("broken", ContextDamage::Broken)],
    },
    absent: Usual("\"missing\""),
    says: "`\"missing\"`: without `traceparent`, `tracestate` and baggage; `\"broken\"`: with a `traceparent` that \
           is not valid",
};

fn drop_context(keys: &Keys<'_, '_>) -> Option<Read> {
    let how = keys.read(&HOW)?;
    Read::plain(Effect::Network(NetworkFault::DropContext { how }))
}

static LATE: Key<By<Distribution>, Required> = Key {
    name: "by",
    of: POSITIVE_DISTRIBUTION,
    absent: Required("say how late they are: by = { uniform = { min = \"5s\", max = \"60s\" } }"),
    says: "how much later; spans that are still held at the end of the run leave then",
};

fn late_spans(keys: &Keys<'_, '_>) -> Option<Read> {
    let by = keys.read(&LATE)?;
    let detail = format!(" by {}", show_distribution(&by));
    Read::detailed(Effect::Record(RecordFault::LateSpans { by }), detail)
}

/// Without a name, OpenTelemetry's SDKs begin one as the default is.
static NAME: Key<By<String>, Usual> = Key {
    name: "service-name",
    of: TEXT,
    absent: Usual("\"unknown_service\""),
    says: "may be another service's",
};

fn wrong_service_name(keys: &Keys<'_, '_>) -> Option<Read> {
    let name = keys.read(&NAME)?;
    let mut targets = keys.targets.iter();
    if let Some(value) = keys.get(&NAME)
        && targets.any(|target| keys.around.services[target.service.index()].name == name)
    {
        return value.refuse(
            Problem::new(format!("{} is the right name of the service", quote(&name)))
                .label("nothing is wrong with it")
                .help("leave service-name out for \"unknown_service\", or write another name"),
        );
    }
    let detail = format!(" {name}");
    Read::detailed(Effect::Record(RecordFault::WrongServiceName { name }), detail)
}

static ATTRIBUTE: Key<By<String>, Required> = Key {
    name: "attribute",
    of: TEXT,
    absent: Required("name the attribute: attribute = \"session.id\""),
    says: "a new attribute, or an existing one whose values are replaced",
};

static VALUES: Key<Whole, Optional> = Key {
    name: "values",
    of: Whole(1, 1_000_000_000),
    absent: Optional("no bound"),
    says: "the number of different values",
};

fn cardinality(keys: &Keys<'_, '_>) -> Option<Read> {
    let (attribute, values) = (keys.read(&ATTRIBUTE), keys.read(&VALUES));
    let (attribute, values) = (attribute?, values?);
    let detail = format!(" of {attribute}");
    Read::detailed(Effect::Record(RecordFault::Cardinality { attribute, values }), detail)
}
