//! Guests that run away are stopped at the same instruction in every run.

use std::process::Command;

use crate::determinism::left::{Left, assert_same};
use crate::support::{Topology, guest, simhost};

/// A guest that spins, hoards, recurses, floods and traps, asked for all of it by
/// loads, with callers that wait for its two workers meanwhile.
pub fn runaway() -> Topology {
    let load = |(number, path): (usize, &str)| {
        format!(
            "[[load]]\nname = \"load-{number}\"\nto = \"trouble\"\nrequest = {{ path = \"{path}\" }}\n\
             arrivals = {{ poisson = \"3/s\" }}\n"
        )
    };
    let paths = ["/loop", "/loop-sleep", "/loop-log", "/allocate", "/recurse", "/panic", "/exit", "/counter"];
    let loads: String = paths.into_iter().enumerate().map(load).collect();
    let text = format!(
        "[topology]\nname = \"runaway\"\nseed = 7\n[services.trouble]\nguest = {:?}\nworkers = 2\n\
         limits = {{ cpu-time = \"3ms\", request-time = \"20ms\", memory = \"4MiB\", spans = 50 }}\n{loads}",
        guest("tests/trouble")
    );
    Topology::new("runaway", text)
}

pub fn command(topology: &Topology) -> Command {
    let mut command = simhost();
    command.arg("run").arg(topology.path()).args(["--virtual", "--for", "3s"]);
    command
}

#[test]
fn a_guest_that_runs_away_is_stopped_at_the_same_instruction_in_every_run() {
    // The same text in two folders.
    let (topology, copy) = (runaway(), runaway());
    let one = Left::by(&mut command(&topology));
    let mut other = command(&copy);
    // What asks the libraries below for more words when a guest traps.
    other.env("RUST_BACKTRACE", "full").env("WASMTIME_BACKTRACE_DETAILS", "1");
    assert_same("runaway guests", &one, &Left::by(&mut other));
    let report = one.json();
    let errors = &report["services"][0]["errors_by_type"];
    for kind in ["cpu_time_exceeded", "request_time_exceeded", "memory_exceeded", "guest_trap", "guest_exit"]
    {
        assert!(errors[kind].as_u64() > Some(0), "no {kind}: {errors}");
    }
    // What a guest wrote before it was stopped shows how far it came.
    assert!(report["telemetry"]["logs"].as_u64() > Some(0), "{}", report["telemetry"]);
}
