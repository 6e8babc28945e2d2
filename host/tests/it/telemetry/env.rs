//! The variables, one by one.

use std::time::Duration;

use indexmap::IndexMap;
use simhost::error::Problem;
use simhost::model::{Otlp, Protocol};
use simhost::telemetry::env::{
    ExemplarFilter, Flags, HistogramAggregation, MetricSettings, Prometheus, Settings, SpanLimits,
    TemporalityPreference,
};
use simhost::telemetry::otlp::Endpoint;
use simhost::telemetry::pipeline::Batching;
use simhost::telemetry::signal::{Signal, Signals};

type Variables<'a> = &'a [(&'a str, &'a str)];

fn read(
    variables: Variables<'_>,
    topology: Option<&Otlp>,
    flag: Option<&str>,
) -> Result<Settings, Vec<Problem>> {
    let get = |name: &str| {
        variables.iter().find(|(variable, _)| *variable == name).map(|(_, value)| (*value).to_owned())
    };
    Settings::from_env(get, topology, Flags { otlp: flag, ..Flags::default() })
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

fn traces_end(settings: &Settings) -> Endpoint {
    settings.otlp.clone().unwrap()[Signal::Traces].take().unwrap()
}

fn topology() -> Otlp {
    Otlp {
        endpoint: "http://collector:4318".to_owned(),
        protocol: Protocol::HttpProtobuf,
        headers: IndexMap::from([("x-tenant".to_owned(), "lab%20".to_owned())]),
        gzip: true,
    }
}

use crate::support::{ORDER, Topology};

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
fn endpoints_follow_the_specification() {
    let grpc = |end: &str| Some(format!("Grpc {end}"));
    let http = |end: &str| Some(format!("HttpProtobuf {end}"));
    let localhost = "http://localhost:4317";
    let everywhere = |end: &str| [grpc(end), grpc(end), grpc(end)];
    let table: [(Variables<'_>, [Option<String>; 3]); 13] = [
        (&[(ENDPOINT, localhost)], everywhere(localhost)),
        (&[(TRACES_ENDPOINT, localhost)], [grpc(localhost), None, None]),
        (
            &[(ENDPOINT, "http://c:9/base/"), (PROTOCOL, "http/protobuf")],
            ["traces", "logs", "metrics"].map(|signal| http(&format!("http://c:9/base/v1/{signal}"))),
        ),
        (
            &[(ENDPOINT, "http://c:4318"), (TRACES_ENDPOINT, "http://t:4318/here")],
            [http("http://t:4318/here"), http("http://c:4318/v1/logs"), http("http://c:4318/v1/metrics")],
        ),
        (&[(ENDPOINT, "http://c:4318"), (PROTOCOL, "grpc")], everywhere("http://c:4318")),
        (
            &[(ENDPOINT, "http://c:9"), ("OTEL_EXPORTER_OTLP_LOGS_PROTOCOL", "http/protobuf")],
            [grpc("http://c:9"), http("http://c:9/v1/logs"), grpc("http://c:9")],
        ),
        (&[(ENDPOINT, "c:9")], everywhere("https://c:9")),
        (&[(ENDPOINT, "c:9"), ("OTEL_EXPORTER_OTLP_INSECURE", "True")], everywhere("http://c:9")),
        (&[(ENDPOINT, localhost), ("OTEL_LOGS_EXPORTER", "none")], [grpc(localhost), None, grpc(localhost)]),
        (
            &[("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", localhost), ("OTEL_TRACES_EXPORTER", "none")],
            [None, None, grpc(localhost)],
        ),
        (&[("OTEL_TRACES_EXPORTER", "otlp")], [grpc(localhost), None, None]),
        (
            &[("OTEL_TRACES_EXPORTER", "otlp"), (PROTOCOL, "http/protobuf")],
            [http("http://localhost:4318/v1/traces"), None, None],
        ),
        (&[(TRACES_ENDPOINT, "http://me:secret@c:4318/t")], [http("http://c:4318/t"), None, None]),
    ];
    for (variables, expected) in table {
        assert_eq!(ends(&settings(variables)), expected, "{variables:?}");
    }
}

#[test]
fn the_command_line_wins_over_the_environment_and_that_over_the_topology() {
    let topology = topology();
    let from_topology = read(&[], Some(&topology), None).unwrap();
    let end = traces_end(&from_topology);
    assert_eq!(end.to_string(), "http://collector:4318/v1/traces");
    assert_eq!((&end.headers["x-tenant"], end.gzip), (&"lab%20".parse().unwrap(), true));

    let variables = [(ENDPOINT, "http://env:4317")];
    let from_env = traces_end(&read(&variables, Some(&topology), None).unwrap());
    assert_eq!((from_env.to_string().as_str(), from_env.protocol), ("http://env:4317", Protocol::Grpc));
    assert!(from_env.headers.is_empty() && !from_env.gzip, "the topology's are for its receiver");

    let variables =
        [(ENDPOINT, "http://env:4317"), (TRACES_ENDPOINT, "http://env:1"), ("OTEL_TRACES_EXPORTER", "none")];
    let from_flag = read(&variables, Some(&topology), Some("http://flag:4318")).unwrap();
    let expected =
        ["traces", "logs", "metrics"].map(|end| Some(format!("HttpProtobuf http://flag:4318/v1/{end}")));
    assert_eq!(ends(&from_flag), expected);

    let variables = [(PROTOCOL, "grpc"), ("OTEL_EXPORTER_OTLP_COMPRESSION", "none")];
    let mixed = traces_end(&read(&variables, Some(&topology), None).unwrap());
    assert_eq!((mixed.protocol, mixed.gzip), (Protocol::Grpc, false));
}

#[test]
fn the_rest_of_an_endpoint_is_read() {
    let end = traces_end(&settings(&[
        (ENDPOINT, "http://c:9"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "api-key=ignored"),
        ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", " Authorization = Bearer%20123 ,x=a%2Cb,"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "2500"),
    ]));
    assert_eq!(end.headers.len(), 2);
    assert_eq!(
        (&end.headers["authorization"], &end.headers["x"]),
        (&"Bearer 123".parse().unwrap(), &"a,b".parse().unwrap())
    );
    assert_eq!((end.gzip, end.timeout.as_millis()), (true, 2_500));
    assert!(!format!("{end:?}").contains("123"), "secrets are not shown");
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
fn logs_and_metrics_can_be_kept_from_a_receiver_on_the_command_line() {
    let url = "http://localhost:4317";
    let grpc = || Some(format!("Grpc {url}"));
    for (exporter, end) in [("none", None), ("console", grpc()), ("otlp", grpc()), ("", grpc())] {
        let settings = read(&[("OTEL_LOGS_EXPORTER", exporter)], None, Some(url)).unwrap();
        assert_eq!(ends(&settings), [grpc(), end.clone(), grpc()], "{exporter:?}");
        assert_eq!(settings.console[Signal::Logs], exporter == "console");
        let settings = read(&[("OTEL_METRICS_EXPORTER", exporter)], None, Some(url)).unwrap();
        assert_eq!(ends(&settings), [grpc(), grpc(), end], "{exporter:?}");
    }
}

#[test]
fn metrics_have_settings_of_their_own() {
    let all = settings(&[
        (ENDPOINT, "http://c:4317"),
        ("OTEL_METRICS_EXPORTER", "otlp, console,prometheus"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "10000"),
        ("OTEL_METRIC_EXPORT_TIMEOUT", "5000"),
        ("OTEL_METRICS_EXEMPLAR_FILTER", "always_off"),
        ("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "LowMemory"),
        ("OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION", "base2_exponential_bucket_histogram"),
        ("OTEL_EXPORTER_PROMETHEUS_HOST", "0.0.0.0"),
        ("OTEL_EXPORTER_PROMETHEUS_PORT", "0"),
    ]);
    let expected = MetricSettings {
        is_on: true,
        interval: Duration::from_secs(10),
        temporality: TemporalityPreference::LowMemory,
        aggregation: HistogramAggregation::Exponential,
        exemplars: ExemplarFilter::AlwaysOff,
        prometheus: Some(Prometheus { host: "0.0.0.0".to_owned(), port: 0 }),
    };
    assert_eq!(all.metrics, expected);
    assert!(all.console[Signal::Metrics] && ends(&all)[2].is_some());
    assert_eq!(
        (all.batching[Signal::Metrics].timeout, all.patience().as_millis()),
        (Duration::from_secs(5), 30_000)
    );
    assert_eq!(all.notes, [""; 0]);
}

#[test]
fn log_records_are_gathered_by_variables_of_their_own() {
    let all = settings(&[
        ("OTEL_BSP_SCHEDULE_DELAY", "7"),
        ("OTEL_BLRP_MAX_QUEUE_SIZE", "100"),
        ("OTEL_BLRP_EXPORT_TIMEOUT", "60000"),
    ]);
    let Batching { delay, queue, batch, timeout } = all.batching[Signal::Logs];
    assert_eq!((delay.as_millis(), queue, batch, timeout.as_millis()), (7, 100, 100, 60_000));
    assert_eq!(all.batching[Signal::Traces].queue, 65_536);
    assert_eq!(all.patience().as_millis(), 60_000);
}

#[test]
fn prometheus_alone_leaves_metrics_out_of_a_receiver_on_the_command_line() {
    let all = read(&[("OTEL_METRICS_EXPORTER", "prometheus")], None, Some("http://c:4317")).unwrap();
    let prometheus = Prometheus { host: "localhost".to_owned(), port: 9464 };
    assert_eq!(
        (all.metrics.is_on, &all.metrics.prometheus, &ends(&all)[2]),
        (true, &Some(prometheus), &None)
    );
    assert!(ends(&all)[0].is_some());
}

#[test]
fn metrics_that_are_off_make_their_other_variables_pointless_and_a_note_says_so() {
    let off = ("OTEL_METRICS_EXPORTER", "none");
    let all =
        settings(&[off, ("OTEL_METRIC_EXPORT_INTERVAL", "1000"), ("OTEL_EXPORTER_PROMETHEUS_PORT", "1")]);
    assert!(!all.metrics.is_on);
    let said = [
        "OTEL_EXPORTER_PROMETHEUS_PORT has no effect: OTEL_METRICS_EXPORTER does not name prometheus",
        "OTEL_METRIC_EXPORT_INTERVAL has no effect: OTEL_METRICS_EXPORTER is none",
    ];
    assert_eq!(all.notes, said);
    let variable = ("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "delta");
    let all = settings(&[("OTEL_METRICS_EXPORTER", "prometheus"), variable]);
    let said = "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE is not for Prometheus, which gets cumulative values";
    assert_eq!(all.notes, [said]);
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

#[test]
fn every_variable_refuses_what_it_does_not_know() {
    let endpoint = (ENDPOINT, "https://c:9");
    let table = [
        (ENDPOINT, "ftp://c"),
        (ENDPOINT, "http://"),
        (ENDPOINT, "http://c:9/path"),
        (ENDPOINT, "http://me:secret@c:9"),
        (TRACES_ENDPOINT, "http://c:99999"),
        (PROTOCOL, "http/json"),
        ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "GRPC"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "zstd"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "0"),
        ("OTEL_EXPORTER_OTLP_LOGS_TIMEOUT", "10s"),
        ("OTEL_EXPORTER_OTLP_INSECURE", "yes"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "no-equals-sign"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "a b=c"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "a=%00"),
        ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/does/not/exist.pem"),
        ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/dev/null"),
        ("OTEL_EXPORTER_OTLP_CLIENT_KEY", "/dev/null"),
        ("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", "/dev/null"),
        ("OTEL_TRACES_EXPORTER", "zipkin"),
        ("OTEL_TRACES_EXPORTER", "none,otlp"),
        ("OTEL_LOGS_EXPORTER", "Otlp"),
        ("OTEL_SDK_DISABLED", "1"),
        ("OTEL_TRACES_SAMPLER", "jaeger_remote"),
        ("OTEL_BSP_SCHEDULE_DELAY", "-1"),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "0"),
        ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "65537"),
        ("OTEL_BSP_EXPORT_TIMEOUT", "0"),
        ("OTEL_BLRP_SCHEDULE_DELAY", "soon"),
        ("OTEL_BLRP_MAX_QUEUE_SIZE", "0"),
        ("OTEL_BLRP_MAX_EXPORT_BATCH_SIZE", "65537"),
        ("OTEL_METRICS_EXPORTER", "statsd"),
        ("OTEL_METRICS_EXPORTER", "none,prometheus"),
        ("OTEL_TRACES_EXPORTER", "prometheus"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "0"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "10s"),
        ("OTEL_METRIC_EXPORT_TIMEOUT", "0"),
        ("OTEL_METRICS_EXEMPLAR_FILTER", "all"),
        ("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "both"),
        ("OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION", "exponential"),
        ("OTEL_EXPORTER_PROMETHEUS_PORT", "65536"),
        ("OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", "http/json"),
        ("OTEL_ENABLED", "no"),
        ("OTEL_ATTRIBUTE_COUNT_LIMIT", "many"),
        ("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "1.5"),
        ("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "4294967296"),
        ("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", "x"),
        ("OTEL_SPAN_EVENT_COUNT_LIMIT", "x"),
        ("OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT", "x"),
        ("OTEL_RESOURCE_ATTRIBUTES", "team"),
        ("OTEL_RESOURCE_ATTRIBUTES", "team=%ff"),
        ("OTEL_RESOURCE_ATTRIBUTES", "a=1,team=50%"),
        ("OTEL_RESOURCE_ATTRIBUTES", "te%zzam=50"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%2"),
    ];
    for (name, value) in table {
        let found = problems(&[(name, value), endpoint]);
        assert_eq!(found.len(), 1, "{name}={value}: {found:?}");
        assert!(found[0].message.contains(name) && found[0].help.is_some(), "{:?}", found[0]);
    }
    for ratio in ["1.1", "-0.1", "NaN", "half"] {
        let found = problems(&[("OTEL_TRACES_SAMPLER", "traceidratio"), ("OTEL_TRACES_SAMPLER_ARG", ratio)]);
        assert!(found[0].message.contains(ratio), "{found:?}");
    }
}

#[test]
fn all_problems_come_at_once_and_none_shows_a_secret() {
    let found = problems(&[
        (ENDPOINT, "http://c:9"),
        (PROTOCOL, "carrier pigeon"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "Bearer s3cret"),
        ("OTEL_TRACES_SAMPLER", "sometimes"),
    ]);
    assert_eq!(found.len(), 3, "{found:?}");
    assert!(!format!("{found:?}").contains("s3cret"));
    let found = problems(&[(ENDPOINT, "http://me:s3cret@c:9"), (TRACES_ENDPOINT, "me:s3cret@c:x")]);
    assert!(found.len() == 2 && !format!("{found:?}").contains("s3cret"), "{found:?}");
    let url = settings(&[(ENDPOINT, "http://me:s3cret@c:4318")]);
    assert!(!format!("{url:?}").contains("s3cret"));
    let wrong = read(&[], None, Some("localhost:4317")).unwrap_err();
    insta::assert_snapshot!(wrong[0].message, @"--otlp is not a URL: `localhost:4317`");
    insta::assert_snapshot!(wrong[0].help.as_ref().unwrap(), @"write http://localhost:4317");
}
