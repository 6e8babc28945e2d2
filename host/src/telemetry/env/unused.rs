//! Variables of the OpenTelemetry specification that have no effect here, and why.

use super::reader::Reader;

/// A variable, the reason, and the values that ask for nothing
/// else than what simhost does.
struct Unused {
    name: &'static str,
    why: &'static str,
    harmless: &'static [&'static str],
}

const OTHER_EXPORTERS: &str = "records go out over OTLP";

const fn unused(name: &'static str, why: &'static str) -> Unused {
    Unused { name, why, harmless: &[] }
}

/// "Environment Variable Specification", "OTLP Exporter Configuration", and those of
/// exporters of other kinds.
const UNUSED: [Unused; 14] = [
    unused("OTEL_SERVICE_NAME", "every service of a topology has its own"),
    Unused {
        name: "OTEL_PROPAGATORS",
        why: "services pass on W3C Trace Context and Baggage",
        harmless: &["tracecontext,baggage", "baggage,tracecontext"],
    },
    unused("OTEL_ENTITIES", "OTEL_RESOURCE_ATTRIBUTES adds attributes"),
    unused("OTEL_LOG_LEVEL", "simhost has no log of its own"),
    unused("OTEL_CONFIG_FILE", "the topology and these variables say all"),
    unused("OTEL_EXPERIMENTAL_CONFIG_FILE", "the topology and these variables say all"),
    unused(
        "OTEL_SPAN_LINK_COUNT_LIMIT",
        "a span has a link for each message of its batch, which are at most 128",
    ),
    unused("OTEL_LINK_ATTRIBUTE_COUNT_LIMIT", "links of simulated spans have no attributes"),
    unused("OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT", "the limits of a guest hold for its log records"),
    unused("OTEL_LOGRECORD_ATTRIBUTE_VALUE_LENGTH_LIMIT", "the limits of a guest hold for its log records"),
    unused("OTEL_EXPORTER_ZIPKIN_ENDPOINT", OTHER_EXPORTERS),
    unused("OTEL_EXPORTER_ZIPKIN_TIMEOUT", OTHER_EXPORTERS),
    unused("OTEL_EXPORTER_JAEGER_ENDPOINT", OTHER_EXPORTERS),
    unused("OTEL_EXPORTER_JAEGER_AGENT_HOST", OTHER_EXPORTERS),
];

/// Whether it is one of them.
pub fn is_known(name: &str) -> bool {
    UNUSED.iter().any(|unused| unused.name == name)
}

/// Notes each that is set.
pub fn note(reader: &mut Reader<'_>) {
    for Unused { name, why, harmless } in &UNUSED {
        let Some(value) = reader.undeclared(name) else { continue };
        let value = value.replace(' ', "");
        if !harmless.contains(&value.as_str()) {
            reader.note(format!("{name} has no effect: {why}"));
        }
    }
}
