//! This program as a user starts it: how soon it answers, how much it answers,
//! how much memory it takes.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use crate::clock::Stopwatch;
use crate::files::Temporary;

use super::{BenchError, Effort, ORDERS, Row, at_least, at_most, client, orders_without_sleeps};

/// What `simhost generate --services 1000` writes.
const THOUSAND_SERVICES: &str = include_str!("../../assets/topologies/services-1000.toml");

/// Connections that the client keeps busy.
const CONNECTIONS: usize = 32;

pub fn rows(effort: Effort) -> Result<Vec<Row>, BenchError> {
    let network = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut first_answer = f64::INFINITY;
    let mut memory = f64::INFINITY;
    for _ in 0..effort.rounds.max(2) {
        let (seconds, megabytes) = start(&network)?;
        first_answer = first_answer.min(seconds);
        memory = memory.min(megabytes);
    }
    let mut rate = 0.0_f64;
    for _ in 0..effort.rounds {
        rate = rate.max(throughput(&network, effort.each)?);
    }
    Ok(vec![
        at_least(
            "orders over real HTTP, sleeps off, spans exported over OTLP",
            rate,
            "orders/s",
            Some(20_000.0),
        ),
        at_most(
            "exec to first answered order, compiled guests cached",
            first_answer * 1e3,
            "ms",
            Some(150.0),
        ),
        at_most("resident memory after that order", memory, "MB", Some(60.0)),
        at_most("resident memory of 1,000 services that wait", idle(effort)?, "MB", Some(300.0)),
    ])
}

/// Starts the program on `topology`; it ends by itself.
fn spawn(
    topology: &str,
    time: Duration,
    receiver: Option<SocketAddr>,
) -> Result<(Child, SocketAddr), BenchError> {
    // On standard input there is no file to name, so it lies in a file of its own.
    let named = || tempfile::Builder::new().prefix("simhost-bench-").suffix(".toml").tempfile();
    let mut file = Temporary::make(named)?;
    file.write_all(topology.as_bytes())?;
    let mut command = Command::new(std::env::current_exe()?);
    command
        .args(["run", "--listen", "127.0.0.1:0", "--json", "--for"])
        .arg(format!("{}ms", time.as_millis()))
        .arg(file.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    if let Some(receiver) = receiver {
        command.env("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://{receiver}"));
        command.env("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf");
    }
    let mut child = command.spawn()?;
    let address = child.stderr.take().and_then(|stderr| listening(&mut BufReader::new(stderr)));
    drop(file);
    match address {
        Some(address) => Ok((child, address)),
        None => {
            child.kill().ok();
            Err(BenchError::Child("it did not say where it listens".to_owned()))
        }
    }
}

/// Reads what the program says until it says where it listens.
fn listening(stderr: &mut impl BufRead) -> Option<SocketAddr> {
    let mut line = String::new();
    while stderr.read_line(&mut line).ok()? > 0 {
        let address = line.split_once("http://").and_then(|(_, rest)| rest.split([' ', '/', '\n']).next());
        if let Some(address) = address.and_then(|address| address.parse().ok()) {
            return Some(address);
        }
        line.clear();
    }
    None
}

/// Seconds from exec to the first answered order, and megabytes in use then.
fn start(network: &tokio::runtime::Runtime) -> Result<(f64, f64), BenchError> {
    let watch = Stopwatch::start();
    let (mut child, address) = spawn(ORDERS, Duration::from_secs(30), None)?;
    let answered = network.block_on(async {
        let mut connection = client::connect(address).await?;
        client::order(&mut connection, address).await.map_err(std::io::Error::other)
    });
    let seconds = watch.elapsed().as_secs_f64();
    let memory = resident(child.id());
    child.kill().ok();
    child.wait()?;
    match answered {
        Ok(true) => Ok((seconds, memory)),
        Ok(false) => Err(BenchError::Child("it refused an order".to_owned())),
        Err(error) => Err(error.into()),
    }
}

/// Megabytes in use when a thousand services could be asked.
fn idle(effort: Effort) -> Result<f64, BenchError> {
    let mut least = f64::INFINITY;
    for _ in 0..effort.rounds {
        let (mut child, _) = spawn(THOUSAND_SERVICES, Duration::from_secs(30), None)?;
        least = least.min(resident(child.id()));
        child.kill().ok();
        child.wait()?;
    }
    Ok(least)
}

/// Megabytes that a process has in memory; not a number where the system does not tell.
fn resident(process: u32) -> f64 {
    let path = format!("/proc/{process}/status");
    let status = std::fs::read_to_string(Path::new(&path)).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse::<f64>().ok());
    kilobytes.map_or(f64::NAN, |kilobytes| kilobytes * 1_024.0 / 1e6)
}

/// Orders a second, every span of which reached the receiver.
fn throughput(network: &tokio::runtime::Runtime, time: Duration) -> Result<f64, BenchError> {
    let receiver = network.block_on(client::receiver())?;
    let life = time + Duration::from_millis(1_500);
    let (mut child, address) = spawn(&orders_without_sleeps(), life, Some(receiver))?;
    let rate = network.block_on(client::orders(address, CONNECTIONS, time));
    // It flushes its spans to the receiver, which lives on this runtime.
    let stdout = child.stdout.take();
    let report = network.block_on(async {
        tokio::task::spawn_blocking(move || read_all(stdout)).await.map_err(std::io::Error::other)?
    });
    child.wait()?;
    let report: serde_json::Value = serde_json::from_str(&report?)
        .map_err(|error| BenchError::Child(format!("its report is no JSON: {error}")))?;
    let telemetry = &report["telemetry"];
    let exported = &telemetry["exporters"][0]["exported_spans"];
    if *exported != telemetry["spans"] {
        let spans = &telemetry["spans"];
        return Err(BenchError::Child(format!("only {exported} of {spans} spans were exported")));
    }
    Ok(rate?)
}

fn read_all(stdout: Option<ChildStdout>) -> std::io::Result<String> {
    let mut text = String::new();
    if let Some(mut stdout) = stdout {
        stdout.read_to_string(&mut text)?;
    }
    Ok(text)
}
