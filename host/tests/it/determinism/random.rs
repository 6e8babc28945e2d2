//! The same of systems that nobody thought of.

use proptest::prelude::*;

use crate::determinism::left::{Left, assert_same};
use crate::support::{EXACT_RUN, Topology};

/// A service of a random system. It calls services that come after it, so there are no cycles.
#[derive(Clone, Debug)]
struct Drawn {
    work: &'static str,
    workers: u32,
    replicas: u32,
    /// Percent of the requests that fail.
    errors: u32,
    /// How many services further down, how often of a hundred, how many times, and
    /// whether at the same time as the one before.
    calls: Vec<(usize, u32, u32, bool)>,
}

/// A random system of a few services, its seed, and how many requests there are in a second.
#[derive(Clone, Debug)]
struct System {
    seed: u32,
    services: Vec<Drawn>,
    rate: u32,
    struck: usize,
}

const WORK: [&str; 6] = [
    "'0ms'",
    "'2ms'",
    "'3ms +/- 1ms'",
    "{ exponential = { mean = '5ms' } }",
    "{ lognormal = { median = '2ms', sigma = 1.0 } }",
    "{ pareto = { min = '1ms', shape = 1.2 } }",
];

fn service() -> impl Strategy<Value = Drawn> {
    let calls = prop::collection::vec((1..3_usize, 1..=100_u32, 1..=3_u32, any::<bool>()), 0..4);
    (prop::sample::select(&WORK[..]), 1..4_u32, 1..3_u32, 0..20_u32, calls)
        .prop_map(|(work, workers, replicas, errors, calls)| Drawn { work, workers, replicas, errors, calls })
}

fn system() -> impl Strategy<Value = System> {
    (any::<u32>(), prop::collection::vec(service(), 2..6), 20..200_u32, any::<prop::sample::Index>())
        .prop_map(|(seed, services, rate, struck)| System {
            seed,
            struck: struck.index(services.len()),
            services,
            rate,
        })
}

impl System {
    /// The topology, with `more` services and sections. With `ample` workers no request waits for another.
    fn topology(&self, ample: bool, services: &str, sections: &str) -> Topology {
        let mut text = format!("[topology]\nname = \"drawn\"\nseed = {}\n{services}", self.seed);
        for (at, drawn) in self.services.iter().enumerate() {
            let Drawn { work, workers, replicas, errors, .. } = drawn;
            let workers = if ample { 500 } else { *workers };
            let (calls, errors) = (self.calls(at), f64::from(*errors) / 100.0);
            text += &format!(
                "[services.s{at}]\nguest = \"service\"\nworkers = {workers}\nreplicas = {replicas}\nqueue = 2\n\
                 config = {{ work = {work}, calls = '{calls}', errors = {errors} }}\n"
            );
        }
        if ample {
            // Nor does a request find a cold worker that another would have found.
            text += EXACT_RUN;
        }
        let Self { rate, .. } = self;
        text += &format!(
            "[[load]]\nname = \"load\"\nto = \"s0\"\nrequest = {{ path = \"/\" }}\n\
             arrivals = {{ poisson = \"{rate}/s\" }}\nmax-requests = 100\n{sections}"
        );
        Topology::as_written("drawn", text)
    }

    fn calls(&self, at: usize) -> String {
        let mut text = String::new();
        for (further, percent, times, together) in &self.services[at].calls {
            let to = at + further;
            if to < self.services.len() {
                let between = if text.is_empty() {
                    ""
                } else if *together {
                    " & "
                } else {
                    ", "
                };
                text += &format!("{between}{percent}% {times}x s{to}?");
            }
        }
        text
    }
}

const NOTHING: &str = "[services.idle]\nguest = \"service\"\nreplicas = 2\n";

fn run(topology: &Topology) -> Left {
    Left::of(&topology.path(), &["--virtual", "--for", "3s"])
}

proptest! {
    // Each case is a few runs of the program.
    #![proptest_config(ProptestConfig { cases: 6, max_shrink_iters: 30, ..ProptestConfig::default() })]

    #[test]
    fn any_system_runs_twice_the_same_with_and_without_what_has_no_effect(system in system()) {
        let one = run(&system.topology(false, "", ""));
        assert_same("a random system", &one, &run(&system.topology(false, "", "")));
        let fault = format!(
            "[[faults]]\nname = \"none\"\nkind = \"error\"\nstatus = 500\nprobability = 0\n\
             target = {{ service = \"s{}\" }}\n",
            system.struck
        );
        assert_same("a random system and nothing", &one, &run(&system.topology(false, NOTHING, &fault)));
    }

    #[test]
    fn a_fault_in_any_system_changes_those_traces_that_it_strikes_and_no_other(system in system()) {
        let before = run(&system.topology(true, "", "")).traces();
        let fault = format!(
            "[[faults]]\nname = \"some\"\nkind = \"error\"\nstatus = 599\nprobability = 0.2\n\
             target = {{ service = \"s{}\" }}\n",
            system.struck
        );
        let after = run(&system.topology(true, "", &fault)).traces();
        prop_assert!(before.keys().eq(after.keys()), "the same traces, by their ids");
        for (id, trace) in &after {
            let struck = trace.contains("\"599\"");
            prop_assert_eq!(struck, before[id] != *trace, "trace {}", id);
        }
    }
}
