//! TLS, with an authority that nobody else knows.

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use simhost::telemetry::env::{Flags, Settings};
use simhost::telemetry::exporter::{Reason, Totals};
use tempfile::TempDir;
use tonic::transport::{Certificate, Identity, ServerTlsConfig};

use crate::support::{ORDER, Topology, finish};
use crate::telemetry::receiver::{Got, Receiver};
use crate::telemetry::records::spans;
use crate::telemetry::sending::{export, options, spans as count, unharmed};

/// A certificate and its key, as PEM.
struct Pair {
    certificate: String,
    key: String,
}

/// An authority, what it signed for `localhost` and for a client, and their files.
struct World {
    authority: String,
    server: Pair,
    folder: TempDir,
}

impl World {
    fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let sign = |name: &str| {
            let key = KeyPair::generate().unwrap();
            let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
            let certificate = params.signed_by(&key, &authority).unwrap();
            Pair { certificate: certificate.pem(), key: key.serialize_pem() }
        };
        let (server, client) = (sign("localhost"), sign("simhost"));
        let folder = tempfile::tempdir().unwrap();
        for (name, pem) in
            [("ca.pem", &authority.pem()), ("client.pem", &client.certificate), ("client.key", &client.key)]
        {
            std::fs::write(folder.path().join(name), pem).unwrap();
        }
        Self { authority: authority.pem(), server, folder }
    }

    fn server(&self) -> ServerTlsConfig {
        ServerTlsConfig::new().identity(Identity::from_pem(&self.server.certificate, &self.server.key))
    }

    /// A server that wants to see a certificate of this world.
    fn strict_server(&self) -> ServerTlsConfig {
        self.server().client_ca_root(Certificate::from_pem(&self.authority))
    }

    fn file(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    /// Exports three spans as the environment says.
    fn export(&self, receiver: &Receiver, protocol: &str, files: &[(&str, &str)]) -> Totals {
        let get = |name: &str| match name {
            "OTEL_EXPORTER_OTLP_ENDPOINT" => Some(format!("https://localhost:{}", receiver.address.port())),
            "OTEL_EXPORTER_OTLP_PROTOCOL" => Some(protocol.to_owned()),
            _ => files.iter().find(|(variable, _)| *variable == name).map(|(_, file)| self.file(file)),
        };
        let settings = Settings::from_env(get, &Default::default(), Flags::default()).unwrap();
        let mut options = options();
        options.retry.max_elapsed = std::time::Duration::ZERO;
        export(&settings.otlp.unwrap(), &options, &[spans(3)])
    }
}

const AUTHORITY: (&str, &str) = ("OTEL_EXPORTER_OTLP_CERTIFICATE", "ca.pem");
const CLIENT: [(&str, &str); 3] = [
    AUTHORITY,
    ("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", "client.pem"),
    ("OTEL_EXPORTER_OTLP_CLIENT_KEY", "client.key"),
];

#[tokio::test(flavor = "multi_thread")]
async fn the_named_authority_is_trusted() {
    let world = World::new();
    let receiver = Receiver::grpc_tls(world.server()).await;
    unharmed(&world.export(&receiver, "grpc", &[AUTHORITY]), count(3));
    let receiver = Receiver::http2([], Some(world.server())).await;
    unharmed(&world.export(&receiver, "http/protobuf", &[AUTHORITY]), count(3));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_authority_is_not_trusted() {
    let world = World::new();
    for protocol in ["grpc", "http/protobuf"] {
        let receiver = Receiver::grpc_tls(world.server()).await;
        let totals = world.export(&receiver, protocol, &[]);
        assert!(totals.trouble.as_ref().is_some_and(|trouble| trouble.is_permanent), "{totals:?}");
        let lost = totals.dropped.clone().remove(&Reason::Refused).unwrap();
        assert_eq!(lost.count, count(3));
        let message = lost.message.unwrap();
        assert!(message.contains("UnknownIssuer"), "{protocol}: {message}");
    }
}

/// Another attempt would meet the same, so there is none.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_speaks_no_tls_is_not_asked_again() {
    let world = World::new();
    for protocol in ["grpc", "http/protobuf"] {
        let receiver = Receiver::http([]).await;
        let totals = world.export(&receiver, protocol, &[AUTHORITY]);
        assert_eq!(totals.dropped[&Reason::Refused].count, count(3), "{protocol}: {totals:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_shows_its_certificate() {
    let world = World::new();
    let receiver = Receiver::grpc_tls(world.strict_server()).await;
    unharmed(&world.export(&receiver, "grpc", &CLIENT), count(3));
    let receiver = Receiver::http2([], Some(world.strict_server())).await;
    unharmed(&world.export(&receiver, "http/protobuf", &CLIENT), count(3));
    let without = world.export(&receiver, "http/protobuf", &[AUTHORITY]);
    // The server's word for it may come behind the end of the connection.
    assert_eq!((without.exported, without.dropped()), (count(0), count(3)), "{without:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_simulators_own_telemetry_has_the_certificates_of_the_run() {
    let world = World::new();
    for protocol in ["grpc", "http/protobuf"] {
        let mut receiver = match protocol {
            "grpc" => Receiver::grpc_tls(world.strict_server()).await,
            _ => Receiver::http2([], Some(world.strict_server())).await,
        };
        let topology = Topology::orders();
        let url = format!("https://localhost:{}", receiver.address.port());
        let mut command =
            topology.command(&["--virtual", "--request", ORDER, "--otlp", &url, "--self-telemetry"]);
        command.env("OTEL_EXPORTER_OTLP_PROTOCOL", protocol);
        command.envs(CLIENT.map(|(variable, file)| (variable, world.file(file))));
        let finished = tokio::task::block_in_place(|| finish(&mut command));
        finished.success();
        assert!(!finished.stderr.contains("own telemetry"), "{protocol}: {}", finished.stderr);
        let traces = receiver.rest().into_iter().filter(|got| match got {
            Got::Http(path, ..) => path.ends_with("/v1/traces"),
            got => matches!(got, Got::Traces(..)),
        });
        let names: Vec<_> = traces.flat_map(Got::span_names).collect();
        assert!(names.iter().any(|name| name == "simulate"), "{protocol}: {names:?}");
    }
}
