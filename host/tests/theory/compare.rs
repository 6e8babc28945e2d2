//! Measures a queue while it runs, and holds it against theory.

use std::fmt;

use simhost::bus::stats::{Accounts, ServiceAccount};
use simhost::model::Nanos;

use crate::formulas::Steady;
use crate::stats::Estimate;

/// Stretches whose means give the intervals.
pub const BATCHES: usize = 30;

/// Stretches at the beginning that are left out, while an empty system fills.
pub const WARM_UP: usize = 2;

/// A share by which work that takes longer, or arrivals that are more, must be
/// noticed. Optimised builds run longer, and so are held to more.
pub const NOTICED: f64 = if cfg!(debug_assertions) { 0.06 } else { 0.0125 };

/// How many times as long optimised builds run: an interval shrinks with the root of it.
pub const LENGTH: f64 = if cfg!(debug_assertions) { 1.0 } else { 25.0 };

/// What theory says of a queue, by the rate of arrivals and the mean time of
/// service: per second, and in seconds.
pub type Theory<'a> = &'a dyn Fn(f64, f64) -> Steady;

/// A queue of a run beside what theory says of it.
pub struct Comparison {
    case: String,
    rows: Vec<Row>,
}

struct Row {
    quantity: &'static str,
    expected: f64,
    estimate: Estimate,
    /// What it would be if work, or arrivals, were more by [`NOTICED`].
    others: [f64; 2],
}

impl Comparison {
    /// Of the service at `index`, from the accounts at the ends of the stretches
    /// of a run, `every` nanoseconds long.
    pub fn new(
        case: &str,
        accounts: &[Accounts],
        index: usize,
        every: Nanos,
        (rate, service): (f64, f64),
        theory: Theory<'_>,
    ) -> Self {
        let ends: Vec<_> = accounts.iter().map(|accounts| &accounts.services[index]).collect();
        let ends = &ends[WARM_UP..=WARM_UP + BATCHES];
        let batches: Vec<_> = ends.windows(2).map(|pair| measured(pair[0], pair[1], every)).collect();
        let expected = theory(rate, service);
        let others = [theory(rate, service * (1.0 + NOTICED)), theory(rate * (1.0 + NOTICED), service)];
        let row = |(quantity, of): Quantity| {
            let means: Vec<_> = batches.iter().map(of).collect();
            let estimate = Estimate::of_batches(&means);
            Row { quantity, expected: of(&expected), estimate, others: others.each_ref().map(of) }
        };
        Self { case: case.to_owned(), rows: QUANTITIES.into_iter().map(row).collect() }
    }

    /// Fails where theory and run disagree, or where they could not.
    #[track_caller]
    pub fn hold(&self) {
        // On a line of its own, also where libtest has begun one.
        println!("\n{self}");
        let findings = self.findings();
        assert!(findings.is_empty(), "{}:\n{}", self.case, findings.join("\n"));
    }

    /// What is wrong, one line for each quantity.
    pub fn findings(&self) -> Vec<String> {
        self.rows.iter().filter_map(Row::finding).collect()
    }
}

/// What is compared: its name for people, and where it stands.
type Quantity = (&'static str, fn(&Steady) -> f64);

const QUANTITIES: [Quantity; 6] = [
    ("throughput", |steady| steady.throughput),
    ("utilisation", |steady| steady.utilisation),
    ("share that waits", |steady| steady.delayed),
    ("mean wait", |steady| steady.wait),
    ("mean queue", |steady| steady.waiting),
    ("loss", |steady| steady.loss),
];

/// What happened at a service between two looks at it, `every` nanoseconds apart.
fn measured(before: &ServiceAccount, after: &ServiceAccount, every: Nanos) -> Steady {
    let between = |of: fn(&ServiceAccount) -> u128| (of(after) - of(before)) as f64;
    let served = between(|service| service.busy.entered().into());
    let arrived = between(|service| service.inside.entered().into());
    let refused = between(|service| service.all().failed().into());
    let waits = between(|service| service.waits.as_ref().map_or(0, |waits| waits.count.into()));
    let waited = between(|service| service.waits.as_ref().map_or(0, |waits| waits.total));
    let capacity = after.capacity.expect("a service with a guest");
    let workers = f64::from(capacity.replicas * capacity.workers);
    let every = every as f64;
    Steady {
        wait: waited / served / 1e9,
        waiting: between(|service| service.waiting.integral()) / every,
        utilisation: between(|service| service.busy.integral()) / every / workers,
        delayed: waits / served,
        loss: refused / arrived,
        throughput: served / every * 1e9,
    }
}

impl Row {
    fn finding(&self) -> Option<String> {
        let Self { quantity, expected, estimate, .. } = self;
        if !estimate.covers(*expected) {
            return Some(format!("{quantity}: {estimate} does not cover {expected:.5}"));
        }
        let noticed = self.others.map(|other| (other - expected).abs()).into_iter().fold(0.0, f64::max);
        let too_wide = estimate.half_width >= noticed && noticed > 0.0;
        too_wide.then(|| {
            let share = NOTICED * 100.0;
            format!("{quantity}: {estimate} would not notice {share} % more, a change by {noticed:.5}")
        })
    }
}

/// The row of the table in BENCHMARKS.md: for three of the quantities, what theory
/// says, what the run gave, and half of its interval.
impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "| {} |", self.case)?;
        for (quantity, scale) in [("utilisation", 1.0), ("mean wait", 1e3), ("loss", 1.0)] {
            let row = self.rows.iter().find(|row| row.quantity == quantity).expect("it is compared");
            if row.expected == 0.0 {
                write!(f, " | |")?;
                continue;
            }
            let Estimate { mean, half_width } = row.estimate;
            let [expected, mean, half_width] = [row.expected, mean, half_width].map(|value| value * scale);
            write!(f, " {expected:.4} | {mean:.4} ± {half_width:.4} |")?;
        }
        Ok(())
    }
}
