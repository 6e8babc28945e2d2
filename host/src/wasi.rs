//! WASI 0.2 as a guest sees it: one clock, one seed, no files, no sockets.
//!
//! Clocks, sleeps and polls run on the scheduler, randomness comes from the
//! run's seed, standard output becomes log records. The rest is
//! `wasmtime-wasi`'s own, given nothing to work with: no preopened directory
//! and an empty standard input.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::Bytes;
use fragile::Fragile;
use rand::Rng;
use tokio::io::AsyncWrite;
use wasmtime::component::{HasData, Linker, Resource, ResourceTable};
use wasmtime_wasi::cli::{IsTerminal, StdoutStream, WasiCli, WasiCliView};
use wasmtime_wasi::filesystem::{WasiFilesystem, WasiFilesystemView};
use wasmtime_wasi::p2::bindings::clocks::{monotonic_clock, wall_clock};
use wasmtime_wasi::p2::bindings::random::{insecure, insecure_seed, random};
use wasmtime_wasi::p2::bindings::{cli, filesystem, sockets};
use wasmtime_wasi::p2::{DynPollable, OutputStream, Pollable, StreamResult, subscribe};
use wasmtime_wasi::sockets::{WasiSockets, WasiSocketsView};
use wasmtime_wasi::{WasiCtx, WasiCtxBuilder, WasiView, async_trait};
use wasmtime_wasi_io::bindings::wasi::io;

use crate::context::{SpanId, TraceFlags, TraceId};
use crate::model::Nanos;
use crate::process::Process;
use crate::rng::{Key, Stream};
use crate::sched::{self, Sched};
use crate::telemetry::record::{LogRecord, ResourceId, Severity, Text};
use crate::telemetry::recorder::Recorder;

/// A guest may ask for this many random bytes at once.
const RANDOM_BYTES: u64 = 1 << 20;

/// A line of output is cut here: a guest that never ends one costs no more.
const LINE_BYTES: usize = 16 << 10;

/// Lines of standard error that explain a trap, and characters of each.
const COMPLAINTS: usize = 3;
const COMPLAINT_LENGTH: usize = 300;

/// What a guest's clocks and dice are made of.
pub struct Nature {
    pub process: Fragile<Rc<Process>>,
    /// How much longer this request's work takes than it would in a process like any
    /// other: nanoseconds.
    pub stretched: Nanos,
    pub random: Chance,
    /// For the guest's hash maps; fixed for the life of a worker.
    pub hash_seed: u64,
}

impl Nature {
    /// When work is done that begins now and would take `nanos`.
    pub fn work(&mut self, nanos: Nanos) -> Nanos {
        let process = self.process.get();
        let length = process.length(nanos);
        let due = process.sched.now().saturating_add(length);
        self.stretched = self.stretched.saturating_add(length.saturating_sub(nanos));
        due
    }
}

/// The stream of a guest's draws: another for each request, so that requests do
/// not depend on their worker's past. Most draw nothing, and pay for nothing.
pub struct Chance {
    key: Key,
    stream: Option<Stream>,
}

impl Chance {
    /// From here on the draws are those of `key`, from the first.
    pub const fn of(key: Key) -> Self {
        Self { key, stream: None }
    }

    fn stream(&mut self) -> &mut Stream {
        self.stream.get_or_insert_with(|| self.key.stream())
    }
}

/// A store's data that WASI can work on.
pub trait Natural: WasiView + 'static {
    fn nature(&mut self) -> (&mut Nature, &mut ResourceTable);
}

/// Links the interfaces of WASI 0.2 that a guest may use.
pub fn add_to_linker<T: Natural>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    io::error::add_to_linker::<T, HasTable>(linker, |data| data.ctx().table)?;
    io::poll::add_to_linker::<T, HasTable>(linker, |data| data.ctx().table)?;
    io::streams::add_to_linker::<T, HasTable>(linker, |data| data.ctx().table)?;

    wall_clock::add_to_linker::<T, HasNature>(linker, view)?;
    monotonic_clock::add_to_linker::<T, HasNature>(linker, view)?;
    random::add_to_linker::<T, HasNature>(linker, view)?;
    insecure::add_to_linker::<T, HasNature>(linker, view)?;
    insecure_seed::add_to_linker::<T, HasNature>(linker, view)?;

    cli::environment::add_to_linker::<T, WasiCli>(linker, T::cli)?;
    cli::exit::add_to_linker::<T, WasiCli>(linker, T::cli)?;
    cli::stdin::add_to_linker::<T, WasiCli>(linker, T::cli)?;
    cli::stdout::add_to_linker::<T, WasiCli>(linker, T::cli)?;
    cli::stderr::add_to_linker::<T, WasiCli>(linker, T::cli)?;
    cli::terminal_input::add_to_linker::<T, WasiCli>(linker, T::cli)?;
    cli::terminal_output::add_to_linker::<T, WasiCli>(linker, T::cli)?;
    cli::terminal_stdin::add_to_linker::<T, WasiCli>(linker, T::cli)?;
    cli::terminal_stdout::add_to_linker::<T, WasiCli>(linker, T::cli)?;
    cli::terminal_stderr::add_to_linker::<T, WasiCli>(linker, T::cli)?;

    // Toolchains import files and sockets whether a guest uses them or not. They
    // are there, and refuse everything: no folder is open, no network is allowed.
    filesystem::types::add_to_linker::<T, WasiFilesystem>(linker, T::filesystem)?;
    filesystem::preopens::add_to_linker::<T, WasiFilesystem>(linker, T::filesystem)?;
    sockets::instance_network::add_to_linker::<T, WasiSockets>(linker, T::sockets)?;
    let options = sockets::network::LinkOptions::default();
    sockets::network::add_to_linker::<T, WasiSockets>(linker, &options, T::sockets)?;
    sockets::ip_name_lookup::add_to_linker::<T, WasiSockets>(linker, T::sockets)?;
    sockets::tcp::add_to_linker::<T, WasiSockets>(linker, T::sockets)?;
    sockets::tcp_create_socket::add_to_linker::<T, WasiSockets>(linker, T::sockets)?;
    sockets::udp::add_to_linker::<T, WasiSockets>(linker, T::sockets)?;
    sockets::udp_create_socket::add_to_linker::<T, WasiSockets>(linker, T::sockets)?;
    Ok(())
}

/// The rest of WASI for one worker: its environment, and where its output goes.
pub fn context(environment: &[(String, String)], output: &Rc<Output>) -> WasiCtx {
    WasiCtxBuilder::new()
        .envs(environment)
        .allow_tcp(false)
        .allow_udp(false)
        .allow_ip_name_lookup(false)
        .stdout(Stdio::new(output, Severity::Info))
        .stderr(Stdio::new(output, Severity::Error))
        .build()
}

struct HasTable;

impl HasData for HasTable {
    type Data<'a> = &'a mut ResourceTable;
}

struct HasNature;

impl HasData for HasNature {
    type Data<'a> = NatureView<'a>;
}

struct NatureView<'a> {
    nature: &'a mut Nature,
    table: &'a mut ResourceTable,
}

fn view<T: Natural>(data: &mut T) -> NatureView<'_> {
    let (nature, table) = data.nature();
    NatureView { nature, table }
}

impl NatureView<'_> {
    fn bytes(&mut self, len: u64) -> wasmtime::Result<Vec<u8>> {
        if len > RANDOM_BYTES {
            wasmtime::bail!("{len} random bytes at once are over the bound of {RANDOM_BYTES}");
        }
        let mut bytes = vec![0; len as usize];
        self.nature.random.stream().fill_bytes(&mut bytes);
        Ok(bytes)
    }

    fn instant(&self) -> Nanos {
        self.nature.process.get().sched.now()
    }

    /// A wait for an instant; who waits notices it when the process goes on.
    fn wait(&mut self, due: Nanos) -> wasmtime::Result<Resource<DynPollable>> {
        let timer = Timer { process: self.nature.process.clone(), due };
        let timer = self.table.push(timer)?;
        subscribe(self.table, timer)
    }
}

impl wall_clock::Host for NatureView<'_> {
    fn now(&mut self) -> wasmtime::Result<wall_clock::Datetime> {
        let now = self.nature.process.get().wall();
        let (seconds, nanoseconds) = (now / 1_000_000_000, (now % 1_000_000_000) as u32);
        Ok(wall_clock::Datetime { seconds, nanoseconds })
    }

    fn resolution(&mut self) -> wasmtime::Result<wall_clock::Datetime> {
        Ok(wall_clock::Datetime { seconds: 0, nanoseconds: 1 })
    }
}

impl monotonic_clock::Host for NatureView<'_> {
    fn now(&mut self) -> wasmtime::Result<Nanos> {
        Ok(self.instant())
    }

    fn resolution(&mut self) -> wasmtime::Result<Nanos> {
        Ok(1)
    }

    fn subscribe_instant(&mut self, when: Nanos) -> wasmtime::Result<Resource<DynPollable>> {
        self.wait(when)
    }

    fn subscribe_duration(&mut self, duration: Nanos) -> wasmtime::Result<Resource<DynPollable>> {
        // To sleep for a while is how guests work; an instant comes when it comes.
        let due = self.nature.work(duration);
        self.wait(due)
    }
}

impl random::Host for NatureView<'_> {
    fn get_random_bytes(&mut self, len: u64) -> wasmtime::Result<Vec<u8>> {
        self.bytes(len)
    }

    fn get_random_u64(&mut self) -> wasmtime::Result<u64> {
        Ok(self.nature.random.stream().next_u64())
    }
}

impl insecure::Host for NatureView<'_> {
    fn get_insecure_random_bytes(&mut self, len: u64) -> wasmtime::Result<Vec<u8>> {
        self.bytes(len)
    }

    fn get_insecure_random_u64(&mut self) -> wasmtime::Result<u64> {
        Ok(self.nature.random.stream().next_u64())
    }
}

impl insecure_seed::Host for NatureView<'_> {
    fn insecure_seed(&mut self) -> wasmtime::Result<(u64, u64)> {
        Ok((self.nature.hash_seed, self.nature.hash_seed.rotate_left(32)))
    }
}

/// A wait that a guest may poll among others.
struct Timer {
    process: Fragile<Rc<Process>>,
    due: Nanos,
}

#[async_trait]
impl Pollable for Timer {
    async fn ready(&mut self) {
        sched::here(self.process.get().wait(self.due)).await;
    }
}

/// The span that a guest's output belongs to.
pub type Current = Option<(TraceId, SpanId, TraceFlags)>;

/// Where one worker's standard output and error go: log records, one a line.
pub struct Output {
    pub sched: Sched,
    pub recorder: Rc<Recorder>,
    pub resource: ResourceId,
    /// The span that is current in the worker.
    pub current: Cell<Current>,
    /// Records that this request may still leave.
    pub left: Cell<u32>,
    lines: RefCell<[Vec<u8>; 2]>,
    /// The last lines of standard error in this request: what a guest says before it traps.
    complaints: RefCell<VecDeque<String>>,
}

impl Output {
    pub fn new(sched: Sched, recorder: Rc<Recorder>, resource: ResourceId) -> Self {
        let (current, left, lines) = (Cell::new(None), Cell::new(0), RefCell::default());
        Self { sched, recorder, resource, current, left, lines, complaints: RefCell::default() }
    }

    /// Takes what the guest wrote and records the lines that it completes.
    fn write(&self, severity: Severity, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let end = bytes.iter().position(|byte| *byte == b'\n');
            let (part, rest) = match end {
                Some(end) => (&bytes[..end], &bytes[end + 1..]),
                None => (bytes, &[][..]),
            };
            let mut lines = self.lines.borrow_mut();
            let line = &mut lines[Self::stream(severity)];
            let room = LINE_BYTES.saturating_sub(line.len());
            line.extend_from_slice(&part[..part.len().min(room)]);
            if end.is_some() {
                let line = std::mem::take(line);
                drop(lines);
                self.record(severity, &line);
            }
            bytes = rest;
        }
    }

    /// Forgets what earlier requests complained of.
    pub fn begin(&self, records: u32) {
        self.left.set(records);
        self.complaints.borrow_mut().clear();
    }

    /// What the guest last wrote to standard error, its lines on one; empty for nothing.
    pub fn complaint(&self) -> String {
        self.finish();
        let complaints = self.complaints.borrow();
        complaints.iter().map(String::as_str).collect::<Vec<_>>().join(" ")
    }

    fn complain(&self, line: &str) {
        // What Rust's standard library says below each panic helps nobody here.
        if line.is_empty() || line.starts_with("note: run with `RUST_BACKTRACE") {
            return;
        }
        let mut complaints = self.complaints.borrow_mut();
        if complaints.len() == COMPLAINTS {
            complaints.pop_front();
        }
        complaints.push_back(line.chars().take(COMPLAINT_LENGTH).collect());
    }

    /// Records lines that were never ended: the request is over.
    pub fn finish(&self) {
        for severity in [Severity::Info, Severity::Error] {
            let line = std::mem::take(&mut self.lines.borrow_mut()[Self::stream(severity)]);
            if !line.is_empty() {
                self.record(severity, &line);
            }
        }
    }

    fn record(&self, severity: Severity, line: &[u8]) {
        if severity == Severity::Error {
            self.complain(&String::from_utf8_lossy(line));
        }
        let Some(left) = self.left.get().checked_sub(1) else { return self.recorder.cut_log() };
        self.left.set(left);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        self.recorder.log(LogRecord {
            time: self.sched.now(),
            severity,
            body: Text::Owned(String::from_utf8_lossy(line).into_owned()),
            attributes: Vec::new(),
            resource: self.resource,
            span: self.current.get(),
        });
    }

    const fn stream(severity: Severity) -> usize {
        match severity {
            Severity::Error => 1,
            _ => 0,
        }
    }
}

/// Standard output or standard error of one worker.
#[derive(Clone)]
struct Stdio {
    output: Fragile<Rc<Output>>,
    severity: Severity,
}

impl Stdio {
    fn new(output: &Rc<Output>, severity: Severity) -> Self {
        Self { output: Fragile::new(Rc::clone(output)), severity }
    }
}

impl IsTerminal for Stdio {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Stdio {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

#[async_trait]
impl Pollable for Stdio {
    async fn ready(&mut self) {}
}

impl OutputStream for Stdio {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.output.get().write(self.severity, &bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(64 << 10)
    }
}

impl AsyncWrite for Stdio {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<std::io::Result<usize>> {
        self.output.get().write(self.severity, bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
