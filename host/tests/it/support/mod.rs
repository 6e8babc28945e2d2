//! Runs of the program for tests, on ports that the system chooses.
//!
//! [`Topology`] is a topology in a file, and starts any command with it; [`World`] puts one together
//! from test guests and reads back what its run answered and recorded. [`server::Server`] is a run
//! that listens.

pub mod client;
pub mod component;
pub mod cost;
mod golden;
pub mod http;
pub mod metrics;
mod process;
pub mod program;
pub mod schema;
pub mod server;
pub mod serving;
pub mod shipped;
pub mod telemetry;
pub mod terminal;
mod topology;
pub mod trace;
mod world;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

pub use golden::golden;
pub use process::{
    Finished, METRICS, finish, in_shell, interrupt, other_build, otherwise, read_all, refused, said, simhost,
};
pub use serving::Serving;
pub use telemetry::{Span, SpanKind};
pub use topology::{EXACT_RUN, Topology, guest};
pub use world::{OUT, Run, World, guests};

/// No run of a test takes longer; one that does is killed.
pub const PATIENCE: Duration = Duration::from_secs(180);

/// An order that succeeds.
pub const ORDER: &str = r#"POST /orders {"item":"book","quantity":2,"price":9.99}"#;

/// Does something with each item, with as many at a time as there are processors; what
/// came of it, in the order of the items.
pub fn at_once<T: Sync, R: Send>(items: &[T], one: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let work = || {
        let mut done = Vec::new();
        while let Some((at, item)) = {
            let at = next.fetch_add(1, Ordering::Relaxed);
            items.get(at).map(|item| (at, item))
        } {
            done.push((at, one(item)));
        }
        done
    };
    let mut done = thread::scope(|scope| {
        let workers = thread::available_parallelism().map_or(1, usize::from);
        let workers: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        let done = workers
            .into_iter()
            .flat_map(|worker| worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        done.collect::<Vec<_>>()
    });
    done.sort_by_key(|(at, _)| *at);
    done.into_iter().map(|(_, result)| result).collect()
}
