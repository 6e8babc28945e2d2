//! The configurations that ship, as they ship: the blocks of the book with the mark `collector` are run,
//! and the Collector of the compose stack hands on what it gets.
//!
//! Ports are free ones in place of those that the files name, in the files and in the commands. A command
//! that looks at what a Collector has is asked again until it prints what the page shows.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use crate::docs::stage::{Stage, marks, steps};
use crate::docs::transcripts::pages;
use crate::docs::{Block, blocks, text};
use crate::support::program::Program;
use crate::support::{METRICS, at_once, finish, simhost};
use crate::telemetry::receiver::{Got, Receiver};

use super::root;
use super::running::binary;

/// What a page starts.
const OTELCOL: &str = "target/otelcol/otelcol";

/// Health, OTLP over gRPC and HTTP, zPages, the Collector's own metrics, those of the services.
const PORTS: [u16; 6] = [13133, 4317, 4318, 55679, 8888, 8889];

/// Free addresses in place of those that files and commands name.
type Places = [SocketAddr; PORTS.len()];

fn placed(text: &str, places: &Places) -> String {
    PORTS.iter().zip(places).fold(text.to_owned(), |text, (port, place)| {
        ["localhost", "0.0.0.0"]
            .iter()
            .fold(text, |text, host| text.replace(&format!("{host}:{port}"), &place.to_string()))
            .replace(&format!("port: {port}\n"), &format!("port: {}\n", place.port()))
    })
}

/// Writes the configurations that ship into the folder, each as `change` has it.
fn configure(folder: &Stage, change: impl Fn(String) -> String) {
    let files = fs::read_dir(root().join("collector")).expect("a folder");
    for file in files.map(|entry| entry.expect("an entry").path()) {
        if file.extension().is_some_and(|end| end == "yaml") {
            let text = fs::read_to_string(&file).expect("a configuration");
            let name = Path::new("collector").join(file.file_name().expect("a name"));
            fs::write(folder.path().join(name), change(text)).expect("a configuration");
        }
    }
}

/// Starts a Collector with a command of a page, in a folder with `collector/`. `others` are parts of its
/// configurations, and what stands there instead.
fn start(folder: &Stage, command: &str, others: &[(&str, &str)]) -> (Program, Places) {
    Program::start("/", |_, places| {
        configure(folder, |text| {
            placed(&others.iter().fold(text, |text, (from, to)| text.replace(from, to)), places)
        });
        folder.shell(&format!("exec {command}"))
    })
}

/// A folder as a reader has it who has built a Collector.
fn stage(binary: &Path) -> Stage {
    let stage = Stage::new();
    let [configurations, built] = ["collector", "target/otelcol"].map(|folder| stage.path().join(folder));
    fs::create_dir_all(&configurations).expect("a folder");
    fs::create_dir_all(&built).expect("a folder");
    std::os::unix::fs::symlink(binary, built.join("otelcol")).expect("a link");
    configure(&stage, |text| text);
    stage
}

fn is_played(block: &Block) -> bool {
    marks(block).is_some_and(|marks| marks.contains(&"collector"))
}

/// Plays the blocks of a page. A Collector runs until a further one is started.
fn play(page: &str, binary: &Path) {
    let stage = stage(binary);
    let mut running: Option<(Program, Places)> = None;
    for block in blocks(&text(page)).iter().filter(|block| is_played(block)) {
        for step in steps(block) {
            if step.command.starts_with(OTELCOL) {
                running = Some(start(&stage, &step.command, &[]));
                continue;
            }
            let places = running.as_ref().map(|(_, places)| places);
            let command = places.map_or_else(|| step.command.clone(), |places| placed(&step.command, places));
            let ask = || {
                let problem = step.problem(&finish(&mut stage.shell(&command)));
                problem.map_or(Ok(()), |problem| {
                    Err(format!("{page}:{}: $ {}\n{problem}", block.line, step.command))
                })
            };
            match &running {
                Some((collector, _)) if !step.command.contains("simhost run ") => collector.until(ask),
                _ => ask().unwrap_or_else(|problem| panic!("{problem}")),
            }
        }
    }
}

#[test]
fn what_the_book_says_of_a_collector_is_what_one_prints() {
    let Some(binary) = binary() else { return };
    let pages: Vec<_> =
        pages("docs").into_iter().filter(|page| blocks(&text(page)).iter().any(is_played)).collect();
    assert!(pages.len() >= 3, "{pages:?}");
    at_once(&pages, |page| play(page, &binary));
}

/// With the variants for Jaeger and for logs in a file, which are merged over it.
#[tokio::test(flavor = "multi_thread")]
async fn the_collector_of_the_compose_stack_hands_on_every_signal() {
    let Some(binary) = binary() else { return };
    let (mut tempo, mut jaeger) = (Receiver::grpc([]).await, Receiver::grpc([]).await);
    let mut prometheus = Receiver::http([]).await;
    let stage = stage(&binary);
    let [trace_store, other_store] = [&tempo, &jaeger].map(|receiver| receiver.url());
    let without_scheme = |url: &str| url.trim_start_matches("http://").to_owned();
    let [trace_store, other_store] = [trace_store, other_store].map(|url| without_scheme(&url));
    let metric_store = prometheus.url();
    let others = [
        ("tempo:4317", trace_store.as_str()),
        ("jaeger:4317", other_store.as_str()),
        ("http://prometheus:9090", metric_store.as_str()),
    ];
    let files = ["otelcol", "otelcol-jaeger", "otelcol-logs-file"];
    let files = files.map(|file| format!(" --config collector/{file}.yaml"));
    let (collector, places) = start(&stage, &format!("{OTELCOL}{}", files.concat()), &others);
    let order = r#"POST /orders {"items":[{"sku":"SKU-001","qty":2}],"tier":"gold"}"#;
    let mut run = simhost();
    run.current_dir(root()).env_remove(METRICS).args(["run", "topologies/checkout.toml", "--virtual"]);
    run.args(["--request", order, "--otlp"]).arg(format!("http://{}", places[1]));
    finish(&mut run).success();
    for store in [&mut tempo, &mut jaeger] {
        let mut names = Vec::new();
        while names.len() < 10 {
            names.extend(store.next().await.span_names());
        }
        names.sort();
        let count = |name: &str| names.iter().filter(|found| *found == name).count();
        let expected = [("db.reserve-stock", 1), ("POST /orders", 2), ("UPDATE stock", 1)];
        assert_eq!(expected.map(|(name, _)| count(name)), expected.map(|(_, times)| times), "{names:?}");
        assert_eq!(names.len(), 10, "{names:?}");
    }
    let Got::Http(path, ..) = prometheus.next().await else { panic!("metrics over HTTP") };
    assert_eq!(path, "/api/v1/otlp/v1/metrics");
    collector.until(|| {
        let logs = fs::read_to_string(stage.path().join("logs.jsonl")).unwrap_or_default();
        let has_record = logs.contains("order confirmed") && logs.ends_with('\n');
        if has_record { Ok(()) } else { Err(format!("no record in {logs:?}")) }
    });
}
