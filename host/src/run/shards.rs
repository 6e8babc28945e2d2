//! Several worlds of one topology beside one another, each on a thread of its own:
//! `--shards`.
//!
//! A world knows nothing of the others. Its seed follows from the run's and from
//! its number, and with the seed everything that tells it apart: its traces, its
//! chance, its instances. The first has the run's own seed: it is the run without
//! the flag, and every world is the same whatever their number.

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use tokio::runtime::Runtime;
use tokio::sync::watch;
use tracing::info;

use crate::error::Problem;
use crate::fault;
use crate::model::Model;
use crate::rng::{Key, Purpose};
use crate::telemetry::merge::{self, Inlet};
use crate::telemetry::pipeline::Handoff;

use super::event::RunEvent;
use super::world::{Simulated, World};
use super::{Failure, Options, RunError};

/// Worlds of one run.
pub const SHARDS: RangeInclusive<u32> = 1..=64;

/// What the system gives to a program's first thread, on which a single world runs.
const STACK: usize = 8 << 20;

/// What is wrong with the worlds that were asked for.
pub fn problems(options: &Options) -> Vec<Problem> {
    if options.shards.is_none() || options.virtual_time {
        return Vec::new();
    }
    let problem = Problem::new("--shards was given, but time is real: there is one world, with one ingress");
    vec![problem.help("add --virtual, or leave --shards out")]
}

/// What a person should know of the worlds that were asked for.
pub fn note(options: &Options) -> Option<String> {
    let (worlds, cores) = (options.worlds(), thread::available_parallelism().map_or(1, usize::from));
    (worlds > 1 && worlds as usize > cores).then(|| {
        format!("--shards {worlds} is more than this machine's {cores} processors: more worlds go no faster")
    })
}

/// The topology as each world has it.
pub fn models(options: &Options, model: &Model) -> Vec<Model> {
    let seed = |world| match world {
        0 => model.seed,
        _ => Key::new(model.seed, Purpose::Shard).with(u64::from(world)).draw(),
    };
    let of_world = |world| {
        let mut model = Model { seed: seed(world), ..model.clone() };
        fault::draw_targets(&mut model);
        model
    };
    (0..options.worlds()).map(of_world).collect()
}

/// What tells each world to stop: it does when the run is told to. One that cannot
/// go on stops alone, or what the others do would depend on when it did.
pub fn stops(
    options: &Options,
    run: &Arc<watch::Sender<bool>>,
    network: &Runtime,
) -> Vec<Arc<watch::Sender<bool>>> {
    match options.worlds() {
        1 => vec![Arc::clone(run)],
        worlds => followers(worlds, run, network),
    }
}

/// What tells each of `worlds` to stop when the run is told to, and nobody else
/// when it stops by itself.
pub fn followers(
    worlds: u32,
    run: &Arc<watch::Sender<bool>>,
    network: &Runtime,
) -> Vec<Arc<watch::Sender<bool>>> {
    let stop = |_| {
        let (stop, mut told) = (Arc::new(watch::Sender::new(false)), run.subscribe());
        let world = Arc::clone(&stop);
        network.spawn(async move {
            if told.wait_for(|stop| *stop).await.is_ok() {
                world.send_replace(true);
            }
        });
        stop
    };
    (0..worlds).map(stop).collect()
}

/// Simulates all worlds, the first on this thread, and adds up what they have done.
/// Without a `handoff` nobody gets their records.
///
/// # Errors
/// Those of a world, and the system's that gives no thread.
pub fn simulate(
    worlds: Vec<World<'_>>,
    handoff: Option<Handoff>,
    on_event: impl Fn(RunEvent) + Clone + Send,
) -> Result<Simulated, RunError> {
    let stops: Vec<_> = worlds.iter().map(|world| world.stop).collect();
    let several = worlds.len() > 1;
    let is_draining = AtomicBool::new(false);
    thread::scope(|scope| {
        let inlets: Vec<_> = match handoff {
            Some(handoff) => merge::inlets(handoff, worlds.len()).into_iter().map(Some).collect(),
            None => worlds.iter().map(|_| None).collect(),
        };
        let mut tasks = worlds.into_iter().zip(inlets).map(|(world, inlet)| {
            let (on_event, is_draining) = (on_event.clone(), &is_draining);
            move || {
                one(world, inlet.as_ref(), |event| {
                    // All are told to stop, and one says so.
                    if event != RunEvent::Draining || !is_draining.swap(true, Ordering::Relaxed) {
                        on_event(event);
                    }
                })
            }
        });
        let first = tasks.next().expect("a run has a world");
        let spawn = |(number, task)| {
            let thread = thread::Builder::new().name(format!("simhost-{number}")).stack_size(STACK);
            thread.spawn_scoped(scope, task)
        };
        let others: Result<Vec<_>, _> = (1..).zip(tasks).map(spawn).collect();
        // The scope waits for those that have begun.
        let others = others.inspect_err(|_| {
            for stop in &stops {
                stop.send_replace(true);
            }
        })?;
        let mut all = first()?;
        let name = |number: usize, done: &mut Simulated| {
            for Failure { what, .. } in done.halted.iter_mut().filter(|_| several) {
                *what = format!("shard {number}: {what}");
            }
        };
        name(0, &mut all);
        for (number, other) in (1..).zip(others) {
            let mut done = other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
            name(number, &mut done);
            all.merge(done);
        }
        Ok(all)
    })
}

/// Simulates one world; nothing comes through its inlet afterwards.
fn one(world: World<'_>, inlet: Option<&Inlet>, on_event: impl Fn(RunEvent)) -> Result<Simulated, RunError> {
    let entrance = inlet.map(Inlet::entrance);
    let hand_over = move |now, batch| {
        if let Some(entrance) = &entrance {
            entrance.send(now, batch);
        }
    };
    info!(seed = world.model.seed, is_virtual = world.options.virtual_time, "simulation begins");
    let done = world.simulate(hand_over, on_event)?;
    info!(simulated_ns = done.simulated, "simulation is over");
    Ok(done)
}
