//! Where records go: the command line, the environment and the topology.

use indexmap::IndexMap;
use simhost::model::{Otlp, Protocol};
use simhost::telemetry::env::Settings;
use simhost::telemetry::otlp::Endpoint;
use simhost::telemetry::signal::Signal;

use super::{ENDPOINT, PROTOCOL, TRACES_ENDPOINT, Variables, ends, read, settings};

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
        [(ENDPOINT, "http://env:4317"), (TRACES_ENDPOINT, "http://env:1"), ("OTEL_TRACES_EXPORTER", "otlp")];
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
