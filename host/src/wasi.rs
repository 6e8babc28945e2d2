//! WASI 0.2 as a guest sees it: one clock, one seed, no files, no sockets.
//!
//! Clocks, sleeps and polls run on the scheduler, randomness comes from the
//! run's seed, standard output becomes log records. The rest is
//! `wasmtime-wasi`'s own, given nothing to work with: no preopened directory
//! and an empty standard input.

pub mod bill;
mod lookahead;
mod metered;
mod output;

use std::rc::Rc;

use fragile::Fragile;
use rand::Rng;
use wasmtime::component::{HasData, Linker, Resource, ResourceTable};
use wasmtime_wasi::cli::{WasiCli, WasiCliView};
use wasmtime_wasi::filesystem::{WasiFilesystem, WasiFilesystemView};
use wasmtime_wasi::p2::bindings::clocks::{monotonic_clock, wall_clock};
use wasmtime_wasi::p2::bindings::random::{insecure, insecure_seed, random};
use wasmtime_wasi::p2::bindings::{cli, filesystem, sockets};
use wasmtime_wasi::p2::{DynPollable, Pollable, subscribe};
use wasmtime_wasi::sockets::{WasiSockets, WasiSocketsView};
use wasmtime_wasi::{WasiCtx, WasiCtxBuilder, WasiView, async_trait};
use wasmtime_wasi_io::bindings::wasi::io;

use crate::model::Nanos;
use crate::rng::{Key, Stream};
use crate::sched;
use crate::telemetry::record::Severity;

pub use bill::Bill;
pub use lookahead::Lookahead;
use output::Stdio;
pub use output::{Current, Output};

/// A guest may ask for this many random bytes at once.
const RANDOM_BYTES: u64 = 1 << 20;

/// What a guest's clocks and dice are made of.
pub struct GuestEnv {
    /// The worker's clock.
    pub ahead: Fragile<Rc<Lookahead>>,
    pub random: Chance,
    /// For the guest's hash maps; fixed for the life of a worker.
    pub hash_seed: u64,
    /// What the guest owes for the host's work.
    pub bill: Bill,
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
pub trait WithGuestEnv: WasiView + 'static {
    fn env(&mut self) -> (&mut GuestEnv, &mut ResourceTable);
}

/// Links the interfaces of WASI 0.2 that a guest may use.
pub fn add_to_linker<T: WithGuestEnv>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    io::error::add_to_linker::<T, HasTable>(linker, |data| data.ctx().table)?;
    io::poll::add_to_linker::<T, HasGuestEnv>(linker, view)?;
    io::streams::add_to_linker::<T, HasTable>(linker, |data| data.ctx().table)?;

    wall_clock::add_to_linker::<T, HasGuestEnv>(linker, view)?;
    monotonic_clock::add_to_linker::<T, HasGuestEnv>(linker, view)?;
    random::add_to_linker::<T, HasGuestEnv>(linker, view)?;
    insecure::add_to_linker::<T, HasGuestEnv>(linker, view)?;
    insecure_seed::add_to_linker::<T, HasGuestEnv>(linker, view)?;

    metered::add_to_linker(linker)?;
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

struct HasGuestEnv;

impl HasData for HasGuestEnv {
    type Data<'a> = GuestEnvView<'a>;
}

struct GuestEnvView<'a> {
    env: &'a mut GuestEnv,
    table: &'a mut ResourceTable,
}

fn view<T: WithGuestEnv>(data: &mut T) -> GuestEnvView<'_> {
    let (env, table) = data.env();
    GuestEnvView { env, table }
}

impl GuestEnvView<'_> {
    fn charge(&self, fuel: u64) {
        self.env.bill.charge(fuel);
    }

    fn bytes(&mut self, len: u64) -> wasmtime::Result<Vec<u8>> {
        if len > RANDOM_BYTES {
            wasmtime::bail!("{len} random bytes at once are over the bound of {RANDOM_BYTES}");
        }
        self.charge(bill::FUNCTION + bill::bytes(len as usize));
        let mut bytes = vec![0; len as usize];
        self.env.random.stream().fill_bytes(&mut bytes);
        Ok(bytes)
    }

    fn number(&mut self) -> u64 {
        self.charge(bill::FUNCTION);
        self.env.random.stream().next_u64()
    }

    fn instant(&self) -> Nanos {
        self.charge(bill::FUNCTION);
        self.env.ahead.get().now()
    }

    /// A wait for an instant; who waits notices it when the process goes on.
    fn wait(&mut self, due: Nanos) -> wasmtime::Result<Resource<DynPollable>> {
        self.charge(bill::TIMER);
        let timer = Timer { ahead: self.env.ahead.clone(), due };
        let timer = self.table.push(timer)?;
        subscribe(self.table, timer)
    }
}

impl wall_clock::Host for GuestEnvView<'_> {
    fn now(&mut self) -> wasmtime::Result<wall_clock::Datetime> {
        self.charge(bill::FUNCTION);
        let now = self.env.ahead.get().wall();
        let (seconds, nanoseconds) = (now / 1_000_000_000, (now % 1_000_000_000) as u32);
        Ok(wall_clock::Datetime { seconds, nanoseconds })
    }

    fn resolution(&mut self) -> wasmtime::Result<wall_clock::Datetime> {
        Ok(wall_clock::Datetime { seconds: 0, nanoseconds: 1 })
    }
}

impl monotonic_clock::Host for GuestEnvView<'_> {
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
        let due = self.env.ahead.get().work(duration);
        self.wait(due)
    }
}

impl random::Host for GuestEnvView<'_> {
    fn get_random_bytes(&mut self, len: u64) -> wasmtime::Result<Vec<u8>> {
        self.bytes(len)
    }

    fn get_random_u64(&mut self) -> wasmtime::Result<u64> {
        Ok(self.number())
    }
}

impl insecure::Host for GuestEnvView<'_> {
    fn get_insecure_random_bytes(&mut self, len: u64) -> wasmtime::Result<Vec<u8>> {
        self.bytes(len)
    }

    fn get_insecure_random_u64(&mut self) -> wasmtime::Result<u64> {
        Ok(self.number())
    }
}

impl insecure_seed::Host for GuestEnvView<'_> {
    fn insecure_seed(&mut self) -> wasmtime::Result<(u64, u64)> {
        Ok((self.env.hash_seed, self.env.hash_seed.rotate_left(32)))
    }
}

/// A wait that a guest may poll among others.
struct Timer {
    ahead: Fragile<Rc<Lookahead>>,
    due: Nanos,
}

#[async_trait]
impl Pollable for Timer {
    async fn ready(&mut self) {
        let ahead = self.ahead.get();
        if !ahead.is_past(self.due) {
            sched::here(ahead.process.wait(self.due)).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Clock, VIRTUAL_START};
    use crate::model::Compute;
    use crate::process::Process;
    use crate::rng::Purpose;
    use crate::sched::Sched;
    use random::Host as _;

    #[test]
    fn random_bytes_are_paid_for_by_their_number() {
        let process = Process::new(&Sched::new(Clock::virtual_from(VIRTUAL_START)), false);
        let mut env = GuestEnv {
            ahead: Fragile::new(Rc::new(Lookahead::new(&process, Compute::NONE, Bill::default()))),
            random: Chance::of(Key::new(1, Purpose::GuestStart)),
            hash_seed: 1,
            bill: Bill::default(),
        };
        let bill = env.bill.clone();
        let mut view = GuestEnvView { env: &mut env, table: &mut ResourceTable::new() };
        assert_eq!(view.get_random_bytes(RANDOM_BYTES).unwrap().len() as u64, RANDOM_BYTES);
        assert_eq!(bill.settle(), bill::FUNCTION + RANDOM_BYTES);
        insecure::Host::get_insecure_random_bytes(&mut view, 1_000).unwrap();
        assert_eq!(bill.settle(), bill::FUNCTION + 1_000);
        view.get_random_u64().unwrap();
        assert_eq!(bill.settle(), bill::FUNCTION);
        assert!(view.get_random_bytes(RANDOM_BYTES + 1).is_err(), "nothing of it is made");
    }
}
