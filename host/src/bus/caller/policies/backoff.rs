//! How long a caller waits before it tries again.

use crate::model::{Nanos, Retry};
use crate::rng::Key;

/// The wait before attempt number `attempt`, which is 1 for the first retry: an
/// exponential backoff with jitter around it, as gRPC has it (proposal A6, as
/// amended in 2024): `backoff * factor^(attempt - 1)`, `max-backoff` at most,
/// times a number that is drawn evenly from `1 - jitter` to `1 + jitter`.
pub(super) fn backoff(retry: &Retry, attempt: u32, chance: Key) -> Nanos {
    let steps = f64::from(attempt.saturating_sub(1));
    let grown = retry.backoff as f64 * libm::pow(retry.factor, steps);
    let wait = grown.min(retry.max_backoff as f64);
    let spread = 1.0 + retry.jitter * (2.0 * chance.with(u64::from(attempt)).unit() - 1.0);
    (wait * spread).round() as Nanos
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Failures, Methods};
    use crate::rng::Purpose;

    const MS: Nanos = 1_000_000;

    fn retry(jitter: f64) -> Retry {
        Retry {
            attempts: 10,
            backoff: 50 * MS,
            factor: 2.0,
            max_backoff: 300 * MS,
            jitter,
            on: Failures::default(),
            methods: Methods::All,
            budget: None,
            retry_after: true,
        }
    }

    #[test]
    fn a_wait_doubles_until_it_is_the_longest() {
        let key = Key::new(1, Purpose::Retry);
        let waits: Vec<_> = (1..=5).map(|attempt| backoff(&retry(0.0), attempt, key) / MS).collect();
        assert_eq!(waits, [50, 100, 200, 300, 300]);
    }

    #[test]
    fn jitter_goes_both_ways_and_is_the_keys_own() {
        let waits = |jitter, seed| {
            let key = Key::new(seed, Purpose::Retry);
            (0..1_000).map(|span| backoff(&retry(jitter), 1, key.with(span))).collect::<Vec<_>>()
        };
        let mean = waits(0.2, 1).iter().sum::<Nanos>() / 1_000;
        assert!((49 * MS..51 * MS).contains(&mean), "{mean}");
        assert!(waits(0.2, 1).iter().all(|wait| (40 * MS..=60 * MS).contains(wait)));
        assert!(waits(1.0, 1).iter().any(|wait| *wait < 5 * MS));
        assert_eq!(waits(0.2, 1), waits(0.2, 1));
        assert_ne!(waits(0.2, 1), waits(0.2, 2));
    }
}
