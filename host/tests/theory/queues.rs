//! Single queues with Poisson arrivals, and two in a row.

use std::path::Path;

use simhost::bus::stats::Accounts;
use simhost::model::Nanos;

use crate::compare::{BATCHES, Comparison, LENGTH, NOTICED, Theory, WARM_UP};
use crate::formulas::{closed, mg1, mmc, mmck};
use crate::lab::{Lab, Spans};

/// The mean time of service: seconds.
const SERVICE: f64 = 0.01;

const EXPONENTIAL: &str = "{ exponential = { mean = '10ms' } }";

/// A service with a queue, and a load.
struct Queue<'a> {
    workers: u32,
    /// Requests that may wait.
    places: u32,
    work: &'a str,
    /// What an instruction takes; none: computing takes no time.
    compute: Option<&'a str>,
    arrivals: &'a str,
    /// Requests per second.
    rate: f64,
}

/// How long a queue is observed, in requests.
const REQUESTS: f64 = 32_000.0;

impl Queue<'_> {
    /// One to whose workers this share of their time is offered.
    fn with(workers: u32, offered: f64) -> Self {
        let rate = offered * f64::from(workers) / SERVICE;
        // More than ever wait, at the utilisations below.
        let places = 10_000;
        Self { workers, places, work: EXPONENTIAL, compute: None, arrivals: "poisson", rate }
    }

    fn topology(&self) -> String {
        let Self { workers, places, work, compute, arrivals, rate } = self;
        let run = compute.map_or_else(String::new, |compute| format!("[run]\ncompute = '{compute}'\n"));
        let factor = if compute.is_some() { "compute-factor = 3\n" } else { "" };
        // Each has chance of its own: together they say more.
        let seed = (rate * 1e3) as u64 + u64::from(*places);
        format!(
            "[topology]\nname = 'theory'\nseed = {seed}\n{run}[network]\nlatency = '0ns'\n\
             [services.queue]\nguest = 'service'\nworkers = {workers}\nqueue = {places}\n{factor}\
             config.work = {work}\n\
             [[load]]\nname = 'customers'\nto = 'queue'\nrequest = {{ path = '/' }}\n\
             arrivals = {{ {arrivals} = '{rate}/s' }}\n"
        )
    }

    /// What a request computes: seconds. Its work is the same with computing and without, as draws do not
    /// depend on it.
    fn computed(&self) -> f64 {
        self.served_alone() - Queue { compute: None, ..*self }.served_alone()
    }

    /// For how long a worker has a request where none waits, by SERVER spans: the mean in seconds.
    fn served_alone(&self) -> f64 {
        let quiet = Queue { arrivals: "constant", rate: 10.0, ..*self };
        let lab = Lab::new(&quiet.topology(), Path::new(""), Spans::Kept);
        lab.run(1_000_000_000, 10);
        // The first request finds a memory that is not set up.
        let taken: Vec<_> =
            lab.spans().iter().map(|span| (span.end - span.start) as f64 / 1e9).skip(1).collect();
        assert!(taken.len() > 90);
        taken.iter().sum::<f64>() / taken.len() as f64
    }

    /// Runs it, and holds it against a theory.
    fn against(&self, case: &str, theory: Theory<'_>) -> Comparison {
        let every = stretch(self.rate);
        let accounts = run(&self.topology(), every);
        Comparison::new(case, &accounts, 0, every, (self.rate, SERVICE), theory)
    }

    #[track_caller]
    fn agrees(&self, case: &str, theory: Theory<'_>) {
        self.against(case, theory).hold();
    }
}

/// The length of a stretch: so that all have this many requests.
fn stretch(rate: f64) -> Nanos {
    (REQUESTS * LENGTH / rate / BATCHES as f64 * 1e9) as Nanos
}

#[track_caller]
fn run(topology: &str, every: Nanos) -> Vec<Accounts> {
    let accounts = Lab::new(topology, Path::new(""), Spans::Off).run(every, (WARM_UP + BATCHES) as u64);
    let broken = accounts.last().expect("the end").broken();
    assert!(broken.is_empty(), "{broken:?}");
    accounts
}

#[test]
fn one_worker_at_a_third_of_its_time() {
    Queue::with(1, 0.3).agrees("M/M/1, ρ = 0.3", &|rate, service| mmc(rate, service, 1));
}

#[test]
fn one_worker_at_six_tenths_of_its_time() {
    Queue::with(1, 0.6).agrees("M/M/1, ρ = 0.6", &|rate, service| mmc(rate, service, 1));
}

#[test]
fn one_worker_at_four_fifths_of_its_time() {
    Queue::with(1, 0.8).agrees("M/M/1, ρ = 0.8", &|rate, service| mmc(rate, service, 1));
}

#[test]
fn one_worker_at_nine_tenths_of_its_time() {
    Queue::with(1, 0.9).agrees("M/M/1, ρ = 0.9", &|rate, service| mmc(rate, service, 1));
}

#[test]
fn two_workers_at_one_queue() {
    Queue::with(2, 0.8).agrees("M/M/2, ρ = 0.8", &|rate, service| mmc(rate, service, 2));
}

#[test]
fn five_workers_at_one_queue() {
    Queue::with(5, 0.8).agrees("M/M/5, ρ = 0.8", &|rate, service| mmc(rate, service, 5));
}

#[test]
fn ten_workers_at_one_queue() {
    // Another seed than its neighbours': see BENCHMARKS.md, "Queueing theory".
    let queue = Queue { places: 10_001, ..Queue::with(10, 0.9) };
    queue.agrees("M/M/10, ρ = 0.9", &|rate, service| mmc(rate, service, 10));
}

#[test]
fn work_that_always_takes_as_long_halves_the_wait() {
    let queue = Queue { work: "'10ms'", ..Queue::with(1, 0.8) };
    queue.agrees("M/D/1, ρ = 0.8", &|rate, service| mg1(rate, service, 0.0));
}

#[test]
fn work_of_any_distribution_waits_by_its_mean_and_variance() {
    // The mean is the median times exp(sigma² / 2); exp(sigma²) - 1 is the square of the variation.
    let sigma: f64 = 0.7;
    let queue =
        Queue { work: "{ lognormal = { median = '7827045ns', sigma = 0.7 } }", ..Queue::with(1, 0.7) };
    let variation = libm::expm1(sigma * sigma);
    queue.agrees("M/G/1, lognormal, ρ = 0.7", &|rate, service| mg1(rate, service, variation));
}

/// What an instruction takes in these tests: much, so that it is noticed.
const SLOW: Option<&str> = Some("1us");

#[test]
fn computing_is_work_too_where_work_always_takes_as_long() {
    let queue = Queue { work: "'10ms'", compute: SLOW, ..Queue::with(1, 0.6) };
    let computed = queue.computed();
    assert!(computed > 2.0 * NOTICED * SERVICE, "{computed}");
    queue.agrees("M/D/1 with computing", &|rate, service| mg1(rate, service + computed, 0.0));
}

#[test]
fn computing_adds_to_the_mean_of_random_work_and_not_to_its_variance() {
    let queue = Queue { compute: SLOW, ..Queue::with(1, 0.6) };
    let computed = queue.computed();
    queue.agrees("M/G/1, exponential and computing", &|rate, service| {
        let share = service / (service + computed);
        mg1(rate, service + computed, share * share)
    });
}

#[test]
fn a_short_queue_loses_what_it_has_no_place_for() {
    let queue = Queue { places: 4, ..Queue::with(1, 0.8) };
    queue.agrees("M/M/1/5, ρ = 0.8", &|rate, service| mmck(rate, service, 1, 4));
}

#[test]
fn a_short_queue_holds_more_than_its_worker_can_do() {
    let queue = Queue { places: 9, ..Queue::with(1, 1.2) };
    queue.agrees("M/M/1/10, 1.2 offered", &|rate, service| mmck(rate, service, 1, 9));
}

#[test]
fn without_a_queue_the_loss_is_that_of_erlang() {
    let queue = Queue { places: 0, ..Queue::with(5, 0.6) };
    queue.agrees("M/M/5/5, 0.6 offered", &|rate, service| mmck(rate, service, 5, 0));
}

#[test]
fn two_queues_in_a_row_are_as_two_apart() {
    // Burke's theorem: what leaves the first is as random as what arrives there. The
    // gateway has a worker for everybody, and calls the second when the first has answered.
    let (rate, first, second) = (60.0, 0.01, 0.012);
    let topology = format!(
        "[topology]\nname = 'theory'\nseed = 2\n[network]\nlatency = '0ns'\n\
         [services.gateway]\nguest = 'service'\nworkers = 500\nqueue = 0\nconfig.calls = 'first, second'\n\
         [services.first]\nguest = 'service'\nworkers = 1\nconfig.work = {EXPONENTIAL}\n\
         [services.second]\nguest = 'service'\nworkers = 1\n\
         config.work = {{ exponential = {{ mean = '12ms' }} }}\n\
         [[load]]\nname = 'customers'\nto = 'gateway'\nrequest = {{ path = '/' }}\n\
         arrivals = {{ poisson = '{rate}/s' }}\n"
    );
    let every = stretch(rate);
    let accounts = run(&topology, every);
    let gateway = accounts.last().expect("the end").services[0].all();
    assert_eq!(gateway.failed(), 0, "the gateway lets everybody in");
    for (index, service, case) in
        [(1, first, "the first of two queues, ρ = 0.6"), (2, second, "the second, ρ = 0.72")]
    {
        let theory: Theory<'_> = &|rate, service| mmc(rate, service, 1);
        Comparison::new(case, &accounts, index, every, (rate, service), theory).hold();
    }
}

#[test]
fn users_who_think_between_their_requests_wait_for_one_another() {
    // The machine repairman: a closed network, so nothing is offered but what is answered.
    let users = 8;
    let theory: Theory<'_> = &|rate, service| closed(users, 1.0 / rate, service);
    let think = 0.05;
    let topology = format!(
        "[topology]\nname = 'theory'\nseed = 5\n[network]\nlatency = '0ns'\n\
         [services.queue]\nguest = 'service'\nworkers = 1\nconfig.work = {EXPONENTIAL}\n\
         [[load]]\nname = 'users'\nto = 'queue'\nrequest = {{ path = '/' }}\n\
         users = {users}\nthink = {{ exponential = {{ mean = '50ms' }} }}\n"
    );
    let every = stretch(theory(1.0 / think, SERVICE).throughput);
    let accounts = run(&topology, every);
    Comparison::new("M/M/1//8, thinking 50 ms", &accounts, 0, every, (1.0 / think, SERVICE), theory).hold();
}

/// The quantities that a comparison finds wrong.
fn wrong(comparison: &Comparison) -> Vec<String> {
    let findings = comparison.findings();
    findings.iter().map(|finding| finding.split(':').next().unwrap_or(finding).to_owned()).collect()
}

#[test]
fn work_that_takes_a_little_longer_is_noticed() {
    // Twice what the intervals must tell apart: then an estimate on the wrong side of the truth is no excuse.
    let work = format!("{{ exponential = {{ mean = '{}ns' }} }}", (1e7 * (1.0 + 2.0 * NOTICED)) as u64);
    let slower = Queue { work: &work, ..Queue::with(1, 0.6) };
    let comparison = slower.against("slower", &|rate, service| mmc(rate, service, 1));
    assert_eq!(wrong(&comparison), ["utilisation", "share that waits", "mean wait", "mean queue"]);
}

#[test]
fn arrivals_that_keep_their_rate_but_not_their_chance_are_noticed() {
    let even = Queue { arrivals: "constant", ..Queue::with(1, 0.6) };
    let comparison = even.against("even", &|rate, service| mmc(rate, service, 1));
    assert_eq!(wrong(&comparison), ["share that waits", "mean wait", "mean queue"]);
}
