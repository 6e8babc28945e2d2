//! The variables, one by one.

mod endpoints;
mod metrics;
mod refusals;

use simhost::error::Problem;
use simhost::model::{Otlp, SAMPLERS, Sampling, Telemetry};
use simhost::telemetry::env::{Flags, MetricSettings, Settings, SpanLimits};
use simhost::telemetry::otlp::Endpoint;
use simhost::telemetry::pipeline::Batching;
use simhost::telemetry::signal::{Signal, Signals};

use crate::support::{ORDER, Topology};

type Variables<'a> = &'a [(&'a str, &'a str)];

fn read(
    variables: Variables<'_>,
    topology: Option<&Otlp>,
    flag: Option<&str>,
) -> Result<Settings, Vec<Problem>> {
    let get = |name: &str| {
        variables.iter().find(|(variable, _)| *variable == name).map(|(_, value)| (*value).to_owned())
    };
    let topology = Telemetry { otlp: topology.cloned(), ..Telemetry::default() };
    Settings::from_env(get, &topology, Flags { otlp: flag, ..Flags::default() })
}

fn settings(variables: Variables<'_>) -> Settings {
    read(variables, None, None).unwrap()
}

fn problems(variables: Variables<'_>) -> Vec<Problem> {
    read(variables, None, None).unwrap_err()
}

/// Where the signals go: `http/protobuf http://localhost:4318/v1/traces`.
fn ends(settings: &Settings) -> [Option<String>; 3] {
    let show = |endpoint: &Endpoint| format!("{:?} {endpoint}", endpoint.protocol);
    let of = |signal| settings.otlp.as_ref().and_then(|endpoints| endpoints[signal].as_ref().map(show));
    [of(Signal::Traces), of(Signal::Logs), of(Signal::Metrics)]
}

const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
const PROTOCOL: &str = "OTEL_EXPORTER_OTLP_PROTOCOL";
const TRACES_ENDPOINT: &str = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";

#[test]
fn nothing_said_is_nothing_sent() {
    let settings = settings(&[("OTEL_TRACES_EXPORTER", ""), (ENDPOINT, " ")]);
    assert!(settings.otlp.is_none());
    assert!(!settings.disabled);
    assert_eq!(settings.console, Signals::default());
    assert_eq!(settings.limits, SpanLimits::default());
    assert_eq!(format!("{:?}", settings.sampler), "ParentBased(AlwaysOn)");
    for signal in [Signal::Traces, Signal::Logs] {
        assert_eq!(settings.batching[signal], Batching::default());
    }
    assert_eq!(settings.batching[Signal::Metrics].timeout.as_millis(), 30_000);
    assert_eq!(settings.metrics, MetricSettings::default());
    assert!(settings.resource.is_empty() && settings.notes.is_empty());
}

#[test]
fn samplers_follow_the_specification() {
    let table = [
        ("always_on", "AlwaysOn"),
        ("always_off", "AlwaysOff"),
        ("traceidratio", "TraceIdRatioBased(0.25)"),
        ("parentbased_always_on", "ParentBased(AlwaysOn)"),
        ("parentbased_always_off", "ParentBased(AlwaysOff)"),
        ("parentbased_traceidratio", "ParentBased(TraceIdRatioBased(0.25))"),
        ("probability", "Probability(th:c)"),
        ("parentbased_probability", "ParentBased(Probability(th:c))"),
    ];
    for (name, expected) in table {
        let variables = [("OTEL_TRACES_SAMPLER", name), ("OTEL_TRACES_SAMPLER_ARG", "0.25")];
        assert_eq!(format!("{:?}", settings(&variables).sampler), expected);
    }
    let without = settings(&[("OTEL_TRACES_SAMPLER", "traceidratio")]);
    assert_eq!(format!("{:?}", without.sampler), "TraceIdRatioBased(1.0)");
}

#[test]
fn the_sampler_of_the_topology_gives_way_to_that_of_the_environment() {
    let sampler = |name: &str, share: Option<f64>, variables: Variables<'_>| {
        let (_, sampler) = SAMPLERS.into_iter().find(|(known, _)| *known == name).expect("a sampler");
        let telemetry = Telemetry { sampling: Some(Sampling { sampler, share }), ..Telemetry::default() };
        let get = |name: &str| {
            let found = variables.iter().find(|(variable, _)| *variable == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        format!("{:?}", Settings::from_env(get, &telemetry, Flags::default()).unwrap().sampler)
    };
    let [name, argument] = ["OTEL_TRACES_SAMPLER", "OTEL_TRACES_SAMPLER_ARG"];
    let quarter = "parentbased_probability";
    assert_eq!(sampler(quarter, Some(0.25), &[]), "ParentBased(Probability(th:c))");
    assert_eq!(sampler(quarter, None, &[]), "ParentBased(Probability(th:0))");
    assert_eq!(sampler(quarter, Some(0.25), &[(argument, "0.5")]), "ParentBased(Probability(th:8))");
    assert_eq!(sampler(quarter, Some(0.25), &[(name, "traceidratio")]), "TraceIdRatioBased(1.0)");
    assert_eq!(sampler("always_off", None, &[(name, "always_on")]), "AlwaysOn");
}

#[test]
fn numbers_switches_and_attributes_are_read() {
    let all = settings(&[
        ("OTEL_SDK_DISABLED", "TRUE"),
        ("OTEL_TRACES_EXPORTER", "otlp, console"),
        ("OTEL_LOGS_EXPORTER", "console"),
        ("OTEL_BSP_SCHEDULE_DELAY", "0"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "100"),
        ("OTEL_BSP_EXPORT_TIMEOUT", "250"),
        ("OTEL_ATTRIBUTE_COUNT_LIMIT", "5"),
        ("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "6"),
        ("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "80"),
        ("OTEL_SPAN_EVENT_COUNT_LIMIT", "0"),
        ("OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT", "7"),
        ("OTEL_RESOURCE_ATTRIBUTES", "team=a%20b,service.name=me"),
        ("OTEL_SERVICE_NAME", "me"),
    ]);
    assert!(all.disabled);
    assert_eq!(all.console, Signals::of(&[Signal::Traces, Signal::Logs]));
    assert_eq!(ends(&all), [Some("Grpc http://localhost:4317".to_owned()), None, None]);
    let batching = all.batching[Signal::Traces];
    assert_eq!((batching.queue, batching.batch, batching.timeout.as_millis()), (100, 100, 250));
    assert!(batching.delay.is_zero());
    assert_eq!(all.batching[Signal::Logs], batching, "they are gathered together");
    let limits = SpanLimits { attributes: 6, events: 0, event_attributes: 7, value_length: Some(80) };
    assert_eq!(all.limits, limits);
    assert_eq!(all.resource, [("team".to_owned(), "a b".to_owned())]);
    assert_eq!(all.notes.len(), 2, "{:?}", all.notes);
}

#[test]
fn keys_and_values_of_resource_attributes_are_percent_decoded() {
    let read = settings(&[("OTEL_RESOURCE_ATTRIBUTES", " a%2Cb = 1%3D2 ,%C3%BC=%25,,c=")]);
    let expected = [("a,b", "1=2"), ("\u{fc}", "%"), ("c", "")];
    let read: Vec<_> = read.resource.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    assert_eq!(read, expected);
    let told = |text| problems(&[("OTEL_RESOURCE_ATTRIBUTES", text)]).remove(0).message;
    let place = "OTEL_RESOURCE_ATTRIBUTES is not a list of key=value: `%` without two hexadecimal digits at \
                 character 8, in the value of `b`";
    assert_eq!(told("a=1,b=50%"), place.replace("character 8", "character 9"));
    assert!(told("a=1,x%4=2").ends_with("hexadecimal digits at character 6"), "{}", told("a=1,x%4=2"));
    assert!(told("a=1,b").ends_with("there is no `=` in what begins at character 5"));
    let both = problems(&[("OTEL_RESOURCE_ATTRIBUTES", "a%,b=%")]);
    assert_eq!(both.len(), 2, "{both:?}");
    let secret = problems(&[(ENDPOINT, "http://c:9"), ("OTEL_EXPORTER_OTLP_HEADERS", "key=s3cret%")]);
    assert!(!format!("{secret:?}").contains("s3cret"));
}

#[test]
fn variables_without_effect_say_so_and_why() {
    let notes = |variables: &[(&'static str, &'static str)]| settings(variables).notes;
    for name in ["OTEL_LOG_LEVEL", "OTEL_SPAN_LINK_COUNT_LIMIT"] {
        let said = notes(&[(name, "1")]);
        assert!(said.len() == 1 && said[0].starts_with(&format!("{name} has no effect: ")), "{said:?}");
    }
    let said = notes(&[("OTEL_PROPAGATORS", "b3")]);
    assert_eq!(said, ["OTEL_PROPAGATORS has no effect: services pass on W3C Trace Context and Baggage"]);
    // What simhost does anyway needs no word.
    assert_eq!(notes(&[("OTEL_PROPAGATORS", "tracecontext, baggage")]), [""; 0]);
    let said = notes(&[("OTEL_TRACES_SAMPLER_ARG", "0.5")]);
    assert!(said.len() == 1 && said[0].starts_with("OTEL_TRACES_SAMPLER_ARG has no effect"), "{said:?}");
    let own = "service.instance.id=1,service.namespace=2,telemetry.sdk.name=3,team=4";
    let all = settings(&[("OTEL_RESOURCE_ATTRIBUTES", own)]);
    assert_eq!((all.resource.len(), all.notes.len()), (1, 3), "{:?}", all.notes);
}

/// As a whole run: what the topology says wins, what nobody has said does not.
#[test]
fn a_default_that_nobody_wrote_gives_way_to_a_resource_attribute() {
    let environment = |topology: &Topology, variable: &str| {
        let mut command = topology.command(&["--request", ORDER]);
        command.env("OTEL_RESOURCE_ATTRIBUTES", variable);
        let (finished, records) = topology.records_of(&mut command);
        finished.success();
        let names = records.split("\"deployment.environment.name\",\"value\":{\"stringValue\":\"").skip(1);
        let mut names: Vec<_> = names.map(|rest| rest.split('"').next().unwrap().to_owned()).collect();
        names.dedup();
        names
    };
    let topology = Topology::orders();
    assert_eq!(environment(&topology, ""), ["local"]);
    assert_eq!(environment(&topology, "deployment%2Eenvironment.name=lab"), ["lab"]);
    let topology = Topology::orders().with("name = \"orders\"", "environment = \"staging\"");
    assert_eq!(environment(&topology, "deployment.environment.name=lab"), ["staging"]);
}

#[test]
fn an_sdk_that_is_not_enabled_is_disabled() {
    let disabled = |variables: Variables<'_>| settings(variables).disabled;
    assert!(disabled(&[("OTEL_ENABLED", "false")]));
    assert!(!disabled(&[("OTEL_ENABLED", "true")]));
    assert!(disabled(&[("OTEL_ENABLED", "False"), ("OTEL_SDK_DISABLED", "true")]));
    let both = problems(&[("OTEL_ENABLED", "true"), ("OTEL_SDK_DISABLED", "true")]);
    insta::assert_snapshot!(both[0].message, @"OTEL_SDK_DISABLED and OTEL_ENABLED are both `true`");
    let help = both[0].help.as_ref().unwrap();
    insta::assert_snapshot!(help, @"set one of them: OTEL_SDK_DISABLED=true and OTEL_ENABLED=false mean the same");
    let overridden = read(&[("OTEL_ENABLED", "false")], None, Some("http://localhost:4317")).unwrap();
    assert!(!overridden.disabled);
    assert_eq!(overridden.notes, ["OTEL_ENABLED has no effect: --otlp was given"]);
}

#[test]
fn a_receiver_on_the_command_line_undoes_a_disabled_sdk() {
    let settings = read(&[("OTEL_SDK_DISABLED", "true")], None, Some("http://localhost:4317")).unwrap();
    assert!(!settings.disabled && settings.otlp.is_some());
    assert_eq!(settings.notes.len(), 1);
}
