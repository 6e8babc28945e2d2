//! wasmtime, set up for guests: compiled once, cached on disk, deterministic.

mod cache;
mod inspect;

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use sha2::{Digest, Sha256};
use simhost_notation::did_you_mean;
use tracing::{debug, info};
use wasmtime::component::{Component, Linker};
use wasmtime::{Cache, Config, InstanceAllocationStrategy, PoolingAllocationConfig, WasmBacktraceDetails};

use crate::guest::contract::{self, Contract, Export, GuestCode, PACKAGE};
use crate::guest::{EPOCH_TICK, GuestState};
use crate::wasi;

use inspect::{Inspected, Interface, Needs, inspect};

/// A guest's own stack. Deeper recursion traps.
const WASM_STACK: usize = 512 << 10;

/// A fiber's stack: the guest's, and room for the host functions that it calls.
const FIBER_STACK: usize = 1 << 20;

/// Address space that each memory reserves: all that 32 bits can address, so
/// that compiled code needs no bounds checks. It costs no memory.
const MEMORY_RESERVATION: u64 = 4 << 30;

/// The guests that are part of this program: a name for a topology, a component.
///
/// `service` does what its configuration says, for systems without code of their
/// own. `hop` passes a request on to the service that its configuration names as
/// `next`, and `noop` answers at once: to measure what everything else costs.
pub const EMBEDDED: [(&str, &[u8]); 15] = [
    ("orders", include_bytes!("../assets/guests/orders.wasm")),
    ("inventory", include_bytes!("../assets/guests/inventory.wasm")),
    ("payment", include_bytes!("../assets/guests/payment.wasm")),
    ("notification", include_bytes!("../assets/guests/notification.wasm")),
    ("gateway", include_bytes!("../assets/guests/gateway.wasm")),
    ("checkout", include_bytes!("../assets/guests/checkout.wasm")),
    ("stock", include_bytes!("../assets/guests/stock.wasm")),
    ("items", include_bytes!("../assets/guests/items.wasm")),
    ("storefront", include_bytes!("../assets/guests/storefront.wasm")),
    ("mailer", include_bytes!("../assets/guests/mailer.wasm")),
    ("dispatch", include_bytes!("../assets/guests/dispatch.wasm")),
    ("command", include_bytes!("../assets/guests/command.wasm")),
    ("service", include_bytes!("../assets/guests/service.wasm")),
    ("hop", include_bytes!("../assets/guests/tests/hop.wasm")),
    ("noop", include_bytes!("../assets/guests/tests/noop.wasm")),
];

/// How guests are set up for a run.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Count fuel, so that a runaway guest is stopped at the same instruction in
    /// every run; else interrupt it by the wall clock, which is faster.
    pub fuel: bool,
    /// Workers that may exist at a time.
    pub workers: u32,
    /// Spans of guests may be delayed.
    pub delays_spans: bool,
    /// The largest linear memory of any service, in bytes.
    pub memory: u64,
}

/// A wasmtime engine and a linker for native guests.
pub struct Engine {
    engine: wasmtime::Engine,
    linker: Linker<GuestState>,
    fuel: bool,
    ticker: Option<Ticker>,
    /// Where compiled guests are kept for the next run.
    cache: Option<Cache>,
    /// Why compiled guests are not kept for the next run.
    uncached: Option<String>,
}

impl Engine {
    /// Fails where the operating system grants too little address space.
    pub fn new(settings: Settings) -> wasmtime::Result<Self> {
        let (cache, uncached) = cache::open();
        let engine = wasmtime::Engine::new(&config(settings, cache.clone()))?;
        let mut linker = Linker::new(&engine);
        wasi::add_to_linker(&mut linker)?;
        contract::link(&mut linker, settings.delays_spans)?;
        debug!(fuel = settings.fuel, uncached, "engine made");
        let ticker = if settings.fuel { None } else { Some(Ticker::start(engine.clone())?) };
        Ok(Self { engine, linker, fuel: settings.fuel, ticker, cache, uncached })
    }

    /// Why compiled guests are not kept for the next run; none where they are, or where
    /// there is no place for it.
    pub fn uncached(&self) -> Option<&str> {
        self.uncached.as_deref()
    }

    /// Compiles a guest, or takes it from the cache, and links it. `name` is what people call it.
    ///
    /// # Errors
    /// What is wrong with the bytes.
    pub fn load(&self, name: &str, bytes: &[u8]) -> Result<CompiledGuest, LoadError> {
        match bytes {
            [b'\0', b'a', b's', b'm', 1, 0, 0, 0, ..] => return Err(LoadError::CoreModule),
            [b'\0', b'a', b's', b'm', ..] => {}
            _ => return Err(LoadError::NotWasm),
        }
        let Inspected { contract, exports, later } = inspect(bytes)?;
        let before = self.cached();
        let component = Component::new(&self.engine, bytes)
            .map_err(|error| LoadError::Invalid(error.root_cause().to_string()))?;
        let from = self.origin(before);
        let pre = self.linker.instantiate_pre(&component).map_err(|error| unlinked(&error, &later))?;
        let pre =
            GuestCode::new(contract, &exports, pre).map_err(|error| LoadError::Mismatch(chain(&error)))?;
        let digest = digest(bytes);
        info!(guest = name, from, digest, bytes = bytes.len(), "guest loaded");
        Ok(CompiledGuest { pre, digest })
    }

    /// Guests that the cache had, and those that it had not.
    fn cached(&self) -> (usize, usize) {
        self.cache.as_ref().map_or((0, 0), |cache| (cache.cache_hits(), cache.cache_misses()))
    }

    /// Where a guest came from that was loaded since the cache had these counts. Others may be loaded at the
    /// same time.
    fn origin(&self, (hits, misses): (usize, usize)) -> &'static str {
        let (hits_now, misses_now) = self.cached();
        match (hits_now > hits, misses_now > misses) {
            (true, false) => "the cache",
            (true, true) => "the cache or the compiler",
            (false, _) => "the compiler",
        }
    }
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("fuel", &self.fuel).field("ticks", &self.ticker.is_some()).finish()
    }
}

/// A guest, compiled and linked, ready to be instantiated.
#[derive(Clone)]
pub struct CompiledGuest {
    pub pre: GuestCode,
    /// SHA-256 of the component, in hexadecimal.
    pub digest: String,
}

impl std::fmt::Debug for CompiledGuest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CompiledGuest").field("digest", &self.digest).finish_non_exhaustive()
    }
}

/// Why a file is not a guest.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    #[error("it is not WebAssembly")]
    NotWasm,
    #[error("it is a core WebAssembly module, not a component")]
    CoreModule,
    #[error("it is not a valid component: {0}")]
    Invalid(String),
    #[error("it is too large to be compiled: it has {0}")]
    TooLarge(String),
    #[error("it exports neither {}; it exports {}", entries(), list(exports))]
    NoExport { exports: Vec<String> },
    #[error("it exports {} without a version", list(_0))]
    NoVersion(BTreeSet<String>),
    #[error("it was built for a version that was not released: {}", list(_0))]
    PreRelease(BTreeSet<String>),
    #[error("it is too old: it exports {}; this simhost has {}", list(_0), versions("and"))]
    TooOld(BTreeSet<String>),
    #[error("{0}")]
    Newer(Needs),
    #[error("it imports what simhost does not offer: {}", list(_0))]
    UnknownImports(BTreeSet<String>),
    #[error("it does not fit the contract: {0}")]
    Mismatch(String),
}

impl LoadError {
    /// What is wrong with the guest of this name.
    pub fn of(&self, name: &str) -> String {
        match self {
            Self::Newer(needs) => format!("the guest {name} {needs}"),
            _ => format!("{name} is not a guest: {self}"),
        }
    }

    /// What to do about it.
    pub fn remedy(&self) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            Self::Newer(_) => "update simhost, or build the guest for a version of the contract that it has",
            Self::TooOld(_) | Self::PreRelease(_) => {
                return format!("build the guest for {}", versions("or")).into();
            }
            Self::NoVersion(_) => {
                let [.., newest] = Contract::ALL.map(Contract::version);
                return format!("write `package {PACKAGE}@{newest};` in its WIT file, and build it again")
                    .into();
            }
            Self::NotWasm => {
                "give the path of a built component, usually target/wasm32-wasip2/release/NAME.wasm"
            }
            Self::CoreModule => {
                "build for the target wasm32-wasip2, which makes components, or wrap it with `wasm-tools component new`"
            }
            Self::Invalid(_) => "build it again; this simhost runs components of WASI 0.2",
            Self::TooLarge(_) => "build it for size, and leave out what the service does not use",
            Self::NoExport { .. } | Self::Mismatch(_) => {
                "implement one of the worlds `service`, `jobs` and `consumers` of guests/wit/service.wit; the SDK's macro service! does"
            }
            Self::UnknownImports(names) => match names.iter().find_map(|name| known_interfaces(name)) {
                Some(known) => return known.into(),
                None => {
                    "a guest may import simhost:service and WASI 0.2; other services are called through simhost:service/bus"
                }
            },
        })
    }
}

/// The interfaces of the contract, for an import that is not one of them.
fn known_interfaces(import: &str) -> Option<String> {
    let Interface { package, name, version } = Interface::parse(import)?;
    let contract = Contract::of(&version).filter(|_| package == PACKAGE)?;
    let what = format!("interfaces of {PACKAGE} {}", contract.version());
    Some(did_you_mean(name, &what, contract.interfaces()))
}

/// The versions of the contract that guests may have, with a word between them: `simhost:service 0.1.0 and
/// 0.2.0`.
fn versions(between: &str) -> String {
    let versions = Contract::ALL.map(|contract| contract.version().to_string());
    format!("{PACKAGE} {}", versions.join(&format!(" {between} ")))
}

/// The interfaces of which a guest exports one: `simhost:service/handler nor simhost:service/job`.
fn entries() -> String {
    Export::ALL.map(|export| format!("{PACKAGE}/{}", export.name())).join(" nor ")
}

fn list<'a>(names: impl IntoIterator<Item = &'a String>) -> String {
    let names: Vec<_> = names.into_iter().map(String::as_str).collect();
    if names.is_empty() { "nothing".to_owned() } else { names.join(", ") }
}

/// Why a component does not link. What is missing from an interface of a `later` version, that version has
/// added.
fn unlinked(error: &wasmtime::Error, later: &BTreeSet<String>) -> LoadError {
    let causes: Vec<_> = error.chain().map(ToString::to_string).collect();
    // wasmtime has no types for these errors.
    let quoted = |text: &str| text.split('`').nth(1).map(str::to_owned);
    let (interface, missing) = (quoted(&causes[0]), causes.get(1).and_then(|cause| quoted(cause)));
    let is_missing = causes.last().is_some_and(|cause| cause.ends_with("implementation is missing"));
    match (interface, missing) {
        (Some(interface), Some(missing)) if is_missing && later.contains(&interface) => {
            LoadError::Newer(Needs::of(format!("`{missing}` of {interface}")))
        }
        _ => LoadError::Mismatch(chain(error)),
    }
}

/// The causes of an error, which wasmtime nests.
fn chain(error: &wasmtime::Error) -> String {
    error.chain().map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::with_capacity(64), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a String takes every write");
        text
    })
}

fn config(settings: Settings, cache: Option<Cache>) -> Config {
    let mut config = Config::new();
    config
        .wasm_component_model(true)
        .cranelift_nan_canonicalization(true)
        .relaxed_simd_deterministic(true)
        .wasm_backtrace_details(WasmBacktraceDetails::Disable)
        .max_wasm_stack(WASM_STACK)
        .async_stack_size(FIBER_STACK)
        .memory_reservation(MEMORY_RESERVATION)
        .consume_fuel(settings.fuel)
        .epoch_interruption(!settings.fuel)
        .allocation_strategy(InstanceAllocationStrategy::Pooling(pool(settings)))
        .cache(cache);
    config
}

fn pool(settings: Settings) -> PoolingAllocationConfig {
    // A component brings a few core instances: its module, and shims to link it.
    const CORE_INSTANCES: u32 = 8;
    // What a worker touched once and will likely touch again is not given back.
    const KEEP_RESIDENT: usize = 64 << 10;
    let workers = settings.workers.max(1);
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(workers)
        .total_core_instances(workers.saturating_mul(CORE_INSTANCES))
        .total_memories(workers)
        .total_tables(workers.saturating_mul(CORE_INSTANCES))
        .total_stacks(workers)
        .max_memories_per_component(1)
        .max_component_instance_size(1 << 20)
        .max_core_instance_size(1 << 20)
        .max_memory_size(settings.memory as usize)
        .linear_memory_keep_resident(KEEP_RESIDENT)
        .max_unused_warm_slots(workers);
    pool
}

/// Advances the engine's epoch until it is dropped.
struct Ticker {
    stop: Option<SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Ticker {
    fn start(engine: wasmtime::Engine) -> std::io::Result<Self> {
        let (stop, stopped) = sync_channel(0);
        let thread = std::thread::Builder::new().name("simhost-epoch".to_owned()).spawn(move || {
            while stopped.recv_timeout(Duration::from_nanos(EPOCH_TICK)) == Err(RecvTimeoutError::Timeout) {
                engine.increment_epoch();
            }
        });
        Ok(Self { stop: Some(stop), thread: Some(thread?) })
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

#[cfg(test)]
mod tests;
