//! Which receivers there are, and how to talk to them.

use std::path::{Path, PathBuf};

use http::{HeaderMap, HeaderName, HeaderValue};
use reqwest::Url;

use super::metric_variables;
use super::reader::{Keys, Reader};
use crate::error::Problem;
use crate::files;
use crate::model::{self, Protocol};
use crate::telemetry::otlp::tls::{ClientIdentity, Tls, certificates};
use crate::telemetry::otlp::{Endpoint, Endpoints};
use crate::telemetry::signal::{Signal, Signals};

/// The largest certificate or key that is read: bytes.
const PEM_AT_MOST: u64 = 1 << 20;

/// Where the signals go.
pub struct Selected {
    pub otlp: Option<Endpoints>,
    pub console: Signals,
    pub metrics: metric_variables::Selected,
}

/// The variables of one signal, each with the one for all signals behind it.
struct Names {
    exporter: String,
    endpoint: String,
    protocol: [String; 2],
    headers: [String; 2],
    compression: [String; 2],
    timeout: [String; 2],
    insecure: [String; 2],
    certificate: [String; 2],
    client_key: [String; 2],
    client_certificate: [String; 2],
}

impl Names {
    fn of(signal: Signal) -> Self {
        let signal = signal.spec().variable;
        let both =
            |name| [format!("OTEL_EXPORTER_OTLP_{signal}_{name}"), format!("OTEL_EXPORTER_OTLP_{name}")];
        Self {
            exporter: format!("OTEL_{signal}_EXPORTER"),
            endpoint: format!("OTEL_EXPORTER_OTLP_{signal}_ENDPOINT"),
            protocol: both("PROTOCOL"),
            headers: both("HEADERS"),
            compression: both("COMPRESSION"),
            timeout: both("TIMEOUT"),
            insecure: both("INSECURE"),
            certificate: both("CERTIFICATE"),
            client_key: both("CLIENT_KEY"),
            client_certificate: both("CLIENT_CERTIFICATE"),
        }
    }
}

/// The endpoint for all signals.
const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";

/// The files of certificates and keys that are named, each with its variable.
pub fn files(get: impl Fn(&str) -> Option<String>) -> Vec<(String, PathBuf)> {
    let names = Signal::ALL.map(Names::of).into_iter().flat_map(|names| {
        [names.certificate, names.client_key, names.client_certificate].into_iter().flatten()
    });
    let named = |name: String| {
        let path = PathBuf::from(get(&name).filter(|path| !path.is_empty())?);
        Some((name, path))
    };
    names.filter_map(named).collect()
}

/// Reads everything about exporters.
pub fn select(reader: &mut Reader<'_>, topology: Option<&model::Otlp>, flag: Option<&str>) -> Selected {
    let mut console = Signals::default();
    let mut metrics = metric_variables::Selected::default();
    let otlp = Endpoints::from_fn(|signal| {
        let names = Names::of(signal);
        let wanted = wanted(reader, signal, &names);
        console[signal] = wanted.console;
        if signal == Signal::Metrics {
            let Wanted { otlp, console, prometheus, .. } = wanted;
            metrics = metric_variables::Selected {
                is_off: !otlp && !console && !prometheus,
                otlp,
                console,
                prometheus,
            };
        }
        // There are receivers that take one signal alone.
        let is_left_out = !wanted.otlp && !wanted.console;
        if flag.is_some() && is_left_out && signal == Signal::Traces {
            reader.note(format!("{} leaves the spans out, also with --otlp", names.exporter));
        }
        let source = match flag.filter(|_| !is_left_out) {
            Some(url) => Some(Source { name: "--otlp".to_owned(), url: url.to_owned(), whole: false }),
            None if wanted.otlp => source(reader, &names, topology, wanted.named),
            None => None,
        };
        let topology = topology.filter(|_| source.as_ref().is_some_and(|source| source.name == TOPOLOGY));
        match source {
            Some(source) => endpoint(reader, signal, &names, &source, topology),
            None => {
                check(reader, &names);
                None
            }
        }
    });
    let is_exported = otlp.iter().any(|(_, endpoint)| endpoint.is_some());
    if !is_exported && reader.is_well() {
        Signal::ALL.map(Names::of).iter().for_each(|names| unused(reader, names));
    }
    Selected { otlp: is_exported.then_some(otlp), console, metrics }
}

/// Which exporters a signal goes to.
#[derive(Default)]
struct Wanted {
    otlp: bool,
    /// `otlp` was asked for by name, so that it goes somewhere even if no endpoint is given.
    named: bool,
    console: bool,
    /// For metrics only.
    prometheus: bool,
}

/// `OTEL_TRACES_EXPORTER`, `OTEL_LOGS_EXPORTER`, `OTEL_METRICS_EXPORTER`: a list of exporters.
fn wanted(reader: &mut Reader<'_>, signal: Signal, names: &Names) -> Wanted {
    let Some(list) = reader.text(&names.exporter) else {
        return Wanted { otlp: true, ..Wanted::default() };
    };
    let mut wanted = Wanted::default();
    let listed: Vec<&str> = list.split(',').map(str::trim).collect();
    for exporter in &listed {
        match *exporter {
            "otlp" => (wanted.otlp, wanted.named) = (true, true),
            "console" => wanted.console = true,
            "prometheus" if signal == Signal::Metrics => wanted.prometheus = true,
            "none" if listed.len() == 1 => {}
            _ if signal == Signal::Metrics => {
                let accepted = "otlp, console, prometheus, several of them with commas, or none";
                reader.refuse(&names.exporter, &list, accepted);
            }
            _ => reader.refuse(&names.exporter, &list, "otlp, console, otlp,console or none"),
        }
    }
    wanted
}

/// An endpoint as it was written, and where.
struct Source {
    name: String,
    url: String,
    /// It is used as it is, over HTTP too.
    whole: bool,
}

impl Source {
    /// The URL without user name and password.
    fn shown(&self) -> String {
        match (self.url.split_once("://"), self.url.rsplit_once('@')) {
            (Some((scheme, _)), Some((_, rest))) => format!("{scheme}://{rest}"),
            (None, Some((_, rest))) => rest.to_owned(),
            (_, None) => self.url.clone(),
        }
    }
}

const TOPOLOGY: &str = "telemetry.otlp.endpoint";

fn source(reader: &Reader<'_>, names: &Names, topology: Option<&model::Otlp>, named: bool) -> Option<Source> {
    if let Some(url) = reader.text(&names.endpoint) {
        return Some(Source { name: names.endpoint.clone(), url, whole: true });
    }
    if let Some(url) = reader.text(ENDPOINT) {
        return Some(Source { name: ENDPOINT.to_owned(), url, whole: false });
    }
    if let Some(otlp) = topology {
        return Some(Source { name: TOPOLOGY.to_owned(), url: otlp.endpoint.clone(), whole: false });
    }
    // The specification's defaults.
    let http = reader.first(&names.protocol).is_some_and(|(_, protocol)| protocol == "http/protobuf");
    let url = if http { "http://localhost:4318" } else { "http://localhost:4317" };
    named.then(|| Source { name: ENDPOINT.to_owned(), url: url.to_owned(), whole: false })
}

/// Looks at the variables of a signal that goes to no receiver: what is wrong is wrong anyway.
fn check(reader: &mut Reader<'_>, names: &Names) {
    protocol(reader, names);
    headers(reader, names, None);
    compression(reader, names);
    names.timeout.iter().for_each(|name| _ = reader.milliseconds(name, 1));
    names.insecure.iter().for_each(|name| _ = reader.boolean(name));
}

/// Notes what is set for receivers, where none is named.
fn unused(reader: &mut Reader<'_>, names: &Names) {
    let all = [&names.protocol, &names.headers, &names.compression, &names.timeout, &names.insecure];
    for name in all.into_iter().flatten() {
        if reader.text(name).is_some() {
            reader.note(format!("{name} has no effect: no OTLP receiver is named"));
        }
    }
}

/// The endpoint of one signal; `topology` only if it is the topology's.
fn endpoint(
    reader: &mut Reader<'_>,
    signal: Signal,
    names: &Names,
    source: &Source,
    topology: Option<&model::Otlp>,
) -> Option<Endpoint> {
    let protocol = protocol(reader, names);
    let headers = headers(reader, names, topology);
    let gzip = compression(reader, names).unwrap_or_else(|| topology.is_some_and(|otlp| otlp.gzip));
    let timeout =
        names.timeout.each_ref().map(|name| reader.milliseconds(name, 1)).into_iter().flatten().next();
    let insecure = names.insecure.each_ref().map(|name| reader.boolean(name)).into_iter().flatten().next();
    let named = protocol.or_else(|| topology.map(|otlp| otlp.protocol));
    let url = url(reader, source, named, insecure)?;
    let protocol = named.unwrap_or_else(|| default_protocol(&url));
    let url = match protocol {
        Protocol::Grpc => origin(reader, source, url)?,
        Protocol::HttpProtobuf if source.whole => url,
        Protocol::HttpProtobuf => under(url, signal.spec().path),
    };
    let tls = if url.scheme() == "https" { tls(reader, names) } else { Tls::default() };
    let defaults = Endpoint::new(url, protocol);
    let timeout = timeout.unwrap_or(defaults.timeout);
    Some(Endpoint { headers, gzip, timeout, tls, ..defaults })
}

/// The protocol of an endpoint for which none is named anywhere: gRPC, but
/// HTTP on port 4318, which OTLP reserves for it. The specification leaves the
/// default open; a gRPC request to that port could only fail.
fn default_protocol(url: &Url) -> Protocol {
    if url.port() == Some(4318) { Protocol::HttpProtobuf } else { Protocol::Grpc }
}

fn protocol(reader: &mut Reader<'_>, names: &Names) -> Option<Protocol> {
    let (name, value) = reader.first(&names.protocol)?;
    match value.as_str() {
        "grpc" => Some(Protocol::Grpc),
        "http/protobuf" => Some(Protocol::HttpProtobuf),
        _ => {
            reader.refuse(name, &value, "grpc or http/protobuf");
            None
        }
    }
}

fn compression(reader: &mut Reader<'_>, names: &Names) -> Option<bool> {
    let (name, value) = reader.first(&names.compression)?;
    match value.as_str() {
        "gzip" => Some(true),
        "none" => Some(false),
        _ => {
            reader.refuse(name, &value, "gzip or none");
            None
        }
    }
}

fn headers(reader: &mut Reader<'_>, names: &Names, topology: Option<&model::Otlp>) -> HeaderMap {
    let (name, pairs) = match reader.first(&names.headers) {
        Some((name, _)) => (name, reader.pairs(name, Keys::Plain).unwrap_or_default()),
        None => {
            let headers = topology.map(|otlp| otlp.headers.clone()).unwrap_or_default();
            ("telemetry.otlp.headers", headers.into_iter().collect())
        }
    };
    let mut headers = HeaderMap::new();
    for (key, value) in pairs {
        let parsed = HeaderName::try_from(&key).ok().zip(HeaderValue::try_from(value).ok());
        if let Some((key, mut value)) = parsed {
            value.set_sensitive(true);
            headers.append(key, value);
        } else {
            let problem = format!("{name}: `{key}` is not a header, or its value cannot be one");
            reader.problem(Problem::new(problem).help("header names and values are visible ASCII"));
        }
    }
    headers
}

/// Parses an endpoint. Only variables may leave out the scheme, and only over
/// gRPC: it is then `https`, unless `OTEL_EXPORTER_OTLP_INSECURE` is true.
fn url(
    reader: &mut Reader<'_>,
    source: &Source,
    protocol: Option<Protocol>,
    insecure: Option<bool>,
) -> Option<Url> {
    let mut text = source.url.clone();
    let from_variable = source.name.starts_with("OTEL_");
    if !text.contains("://") && from_variable && protocol != Some(Protocol::HttpProtobuf) {
        let scheme = if insecure == Some(true) { "http" } else { "https" };
        text = format!("{scheme}://{text}");
    }
    let url = Url::parse(&text).ok();
    let url = url.filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    if url.is_none() {
        refuse_url(reader, source);
    }
    url
}

/// Says what to write in place of an address without its scheme, if that is all that it lacks.
fn refuse_url(reader: &mut Reader<'_>, source: &Source) {
    let shown = source.shown();
    let whole = format!("http://{shown}");
    let lacks_scheme = !source.url.contains("://") && !source.url.contains('@') && Url::parse(&whole).is_ok();
    let write = if lacks_scheme { whole } else { "a URL such as http://localhost:4317".to_owned() };
    let problem = Problem::new(format!("{} is not a URL: `{shown}`", source.name));
    reader.problem(problem.help(format!("write {write}")));
}

/// gRPC has no place for a path, nor for a user name.
fn origin(reader: &mut Reader<'_>, source: &Source, url: Url) -> Option<Url> {
    if !url.username().is_empty() || url.password().is_some() {
        let problem = format!("{} has a user name, and gRPC sends none", source.name);
        let help = "send it as a header: OTEL_EXPORTER_OTLP_HEADERS=authorization=Basic%20...";
        reader.problem(Problem::new(problem).help(help));
        return None;
    }
    if url.path() == "/" && url.query().is_none() {
        return Some(url);
    }
    let problem = format!("{} is `{}`, and gRPC has no paths", source.name, source.shown());
    let help = "leave out the path, or set the protocol: OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf";
    reader.problem(Problem::new(problem).help(help));
    None
}

/// Appends a signal's path to that of an endpoint for all signals.
fn under(mut url: Url, path: &str) -> Url {
    let base = url.path().trim_end_matches('/').to_owned();
    url.set_path(&format!("{base}/{path}"));
    url
}

fn tls(reader: &mut Reader<'_>, names: &Names) -> Tls {
    let authorities = pem(reader, &names.certificate);
    if let Some((name, Err(why))) = authorities.as_ref().map(|(name, pem)| (*name, certificates(pem))) {
        reader.problem(Problem::new(format!("{name}: {why}")).help("it names a file of PEM certificates"));
    }
    let certificate = pem(reader, &names.client_certificate);
    let key = pem(reader, &names.client_key);
    let identity = match (certificate, key) {
        (Some((_, certificate)), Some((_, key))) => Some(ClientIdentity { certificate, key }),
        (None, None) => None,
        (Some((name, _)), None) => {
            alone(reader, name, &names.client_key);
            None
        }
        (None, Some((name, _))) => {
            alone(reader, name, &names.client_certificate);
            None
        }
    };
    Tls { authorities: authorities.map(|(_, pem)| pem), identity }
}

fn alone(reader: &mut Reader<'_>, name: &str, others: &[String; 2]) {
    // A file that could not be read has been reported, and is not missing.
    if reader.first(others).is_none() {
        let help = format!("set {} too: a certificate and its key belong together", others[1]);
        reader.problem(Problem::new(format!("{name} stands alone")).help(help));
    }
}

/// The file that a variable names, read now: nothing may fail once a run has started.
fn pem<'n>(reader: &mut Reader<'_>, names: &'n [String; 2]) -> Option<(&'n str, Vec<u8>)> {
    let (name, path) = reader.first(names)?;
    match files::read(Path::new(&path), PEM_AT_MOST) {
        Ok(pem) => Some((name, pem)),
        Err(reason) => {
            let problem = format!("{name}: cannot read {path}: {reason}");
            reader.problem(Problem::new(problem).help("it names a PEM file"));
            None
        }
    }
}
