//! What queueing theory says: closed formulas, each held against another way to
//! the same number.
//!
//! Times are in any one unit, rates in its inverse. Kendall's names: arrivals /
//! service times / workers / requests in the system at most.

/// The steady state of a queue, as theory has it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Steady {
    /// Mean time in the queue, of those who get a worker.
    pub wait: f64,
    /// Mean number in the queue.
    pub waiting: f64,
    /// The share of the workers' time in which they work.
    pub utilisation: f64,
    /// The share of those who get a worker that wait for it.
    pub delayed: f64,
    /// The share that is turned away.
    pub loss: f64,
    /// Requests served in a unit of time.
    pub throughput: f64,
}

/// M/M/c: Poisson arrivals at `rate`, exponential service times with the mean
/// `service`, any number in the queue. Erlang's second formula.
pub fn mmc(rate: f64, service: f64, workers: u32) -> Steady {
    let offered = rate * service;
    let utilisation = offered / f64::from(workers);
    assert!(utilisation < 1.0, "a utilisation of {utilisation} has no steady state");
    let delayed = erlang_c(workers, offered);
    let wait = delayed * service / (f64::from(workers) * (1.0 - utilisation));
    Steady { wait, waiting: rate * wait, utilisation, delayed, loss: 0.0, throughput: rate }
}

/// M/G/1: service times with the mean `service` and the given square of the
/// coefficient of variation (0: all alike; 1: as exponential ones). The formula
/// of Pollaczek and Khinchine.
pub fn mg1(rate: f64, service: f64, variation: f64) -> Steady {
    let utilisation = rate * service;
    assert!(utilisation < 1.0, "a utilisation of {utilisation} has no steady state");
    let wait = utilisation * service * (1.0 + variation) / (2.0 * (1.0 - utilisation));
    // Poisson arrivals see what an observer at any time would (PASTA).
    Steady { wait, waiting: rate * wait, utilisation, delayed: utilisation, loss: 0.0, throughput: rate }
}

/// M/M/c/K: M/M/c with only `places` in the queue. Requests that find them taken are lost.
pub fn mmck(rate: f64, service: f64, workers: u32, places: u32) -> Steady {
    let most = workers + places;
    let shares = birth_and_death(most, |_| rate, |number| f64::from(number.min(workers)) / service);
    let loss = shares[most as usize];
    let (waiting, busy) = queue_and_busy(&shares, workers);
    let throughput = rate * (1.0 - loss);
    let all_busy: f64 = shares[workers as usize..most as usize].iter().sum();
    Steady {
        wait: waiting / throughput,
        waiting,
        utilisation: busy / f64::from(workers),
        delayed: all_busy / (1.0 - loss),
        loss,
        throughput,
    }
}

/// M/M/1//N, the machine repairman: `users` who each think for a time and then
/// wait for their one request; exponential both. Exact mean value analysis
/// (Reiser and Lavenberg, 1980): who arrives finds what the same system without
/// him has on average.
pub fn closed(users: u32, think: f64, service: f64) -> Steady {
    let (mut inside, mut throughput, mut response, mut delayed) = (0.0, 0.0, 0.0, 0.0);
    for number in 1..=users {
        delayed = throughput * service;
        response = service * (1.0 + inside);
        throughput = f64::from(number) / (think + response);
        inside = throughput * response;
    }
    Steady {
        wait: response - service,
        waiting: inside - throughput * service,
        utilisation: throughput * service,
        delayed,
        loss: 0.0,
        throughput,
    }
}

/// The time that a share `share` of the requests of M/M/1 does not exceed, from
/// arrival to answer: it is distributed exponentially.
pub fn mm1_sojourn_quantile(rate: f64, service: f64, share: f64) -> f64 {
    -service / (1.0 - rate * service) * libm::log(1.0 - share)
}

/// The share of requests of M/M/c that wait longer than `time`.
pub fn mmc_waits_longer(rate: f64, service: f64, workers: u32, time: f64) -> f64 {
    mmc(rate, service, workers).delayed * libm::exp(-(f64::from(workers) / service - rate) * time)
}

/// Erlang's first formula: the share that is lost where nobody waits.
fn erlang_b(workers: u32, offered: f64) -> f64 {
    (1..=workers).fold(1.0, |loss, number| offered * loss / (f64::from(number) + offered * loss))
}

/// Erlang's second formula: the share that waits.
fn erlang_c(workers: u32, offered: f64) -> f64 {
    let loss = erlang_b(workers, offered);
    let utilisation = offered / f64::from(workers);
    loss / (1.0 - utilisation * (1.0 - loss))
}

/// The share of time with 0 to `most` requests, by the rates of one more and one less.
fn birth_and_death(most: u32, more: impl Fn(u32) -> f64, less: impl Fn(u32) -> f64) -> Vec<f64> {
    let mut shares = vec![1.0];
    for number in 1..=most {
        shares.push(shares[number as usize - 1] * more(number - 1) / less(number));
    }
    let sum: f64 = shares.iter().sum();
    shares.iter().map(|share| share / sum).collect()
}

/// The mean numbers in the queue and in the workers.
fn queue_and_busy(shares: &[f64], workers: u32) -> (f64, f64) {
    let mean = |of: fn(u32, u32) -> u32| {
        let numbers = (0_u32..).zip(shares);
        numbers.map(|(number, share)| f64::from(of(number, workers)) * share).sum()
    };
    (mean(u32::saturating_sub), mean(u32::min))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn close(found: f64, expected: f64) {
        assert!((found - expected).abs() <= 1e-9 * expected.abs().max(1.0), "{found}, not {expected}");
    }

    #[track_caller]
    fn same(found: &Steady, expected: &Steady) {
        close(found.wait, expected.wait);
        close(found.waiting, expected.waiting);
        close(found.utilisation, expected.utilisation);
        close(found.delayed, expected.delayed);
        close(found.loss, expected.loss);
        close(found.throughput, expected.throughput);
    }

    #[test]
    fn one_worker_is_the_textbook_case() {
        let queue = mmc(0.8, 1.0, 1);
        close(queue.wait, 4.0);
        close(queue.waiting, 3.2);
        close(queue.delayed, 0.8);
    }

    #[test]
    fn several_workers_have_the_published_chances_to_wait() {
        // Two workers: 2ρ² / (1 + ρ).
        close(mmc(1.6, 1.0, 2).delayed, 2.0 * 0.64 / 1.8);
        // Tables of Erlang's formulas.
        assert!((erlang_b(5, 3.0) - 0.110_05).abs() < 5e-6, "{}", erlang_b(5, 3.0));
        assert!((erlang_c(10, 8.0) - 0.409_18).abs() < 5e-6, "{}", erlang_c(10, 8.0));
    }

    #[test]
    fn a_queue_without_end_is_the_limit_of_one_with_places() {
        for workers in [1, 2, 5, 10] {
            let rate = 0.8 * f64::from(workers);
            same(&mmck(rate, 1.0, workers, 400), &mmc(rate, 1.0, workers));
        }
    }

    #[test]
    fn no_place_to_wait_is_the_loss_of_erlang() {
        let queue = mmck(3.0, 1.0, 5, 0);
        close(queue.loss, erlang_b(5, 3.0));
        assert_eq!((queue.wait, queue.waiting, queue.delayed), (0.0, 0.0, 0.0));
    }

    #[test]
    fn one_worker_with_places_loses_what_the_geometric_series_says() {
        let (load, most) = (0.8_f64, 5.0);
        let loss = (1.0 - load) * libm::pow(load, most) / (1.0 - libm::pow(load, most + 1.0));
        close(mmck(load, 1.0, 1, 4).loss, loss);
    }

    #[test]
    fn exponential_service_is_the_general_one_with_a_variation_of_one() {
        same(&mg1(0.7, 1.0, 1.0), &mmc(0.7, 1.0, 1));
        // All alike: half the wait.
        close(mg1(0.7, 1.0, 0.0).wait, mmc(0.7, 1.0, 1).wait / 2.0);
    }

    #[test]
    fn mean_values_agree_with_the_shares_of_time() {
        let (think, service) = (5.0, 1.0);
        for users in [1_u32, 2, 5, 12] {
            let thinking = |number| f64::from(users - number) / think;
            let shares = birth_and_death(users, thinking, |_| 1.0 / service);
            let (waiting, busy) = queue_and_busy(&shares, 1);
            let throughput = busy / service;
            // Who arrives is weighed by how many think.
            let arrivals: Vec<_> = (0..=users).zip(&shares).map(|(n, share)| share * thinking(n)).collect();
            let delayed = 1.0 - arrivals[0] / arrivals.iter().sum::<f64>();
            let wait = waiting / throughput;
            let expected = Steady { wait, waiting, utilisation: busy, delayed, loss: 0.0, throughput };
            same(&closed(users, think, service), &expected);
        }
    }

    #[test]
    fn tails_meet_their_means() {
        // The mean of an exponential time is where all but 1 / e have ended.
        let median = mm1_sojourn_quantile(0.6, 1.0, 0.5);
        close(median, libm::log(2.0) / 0.4);
        close(mmc_waits_longer(1.6, 1.0, 2, 0.0), mmc(1.6, 1.0, 2).delayed);
        // Integrated over all times it is the mean wait.
        let step = 1e-3;
        let integral: f64 =
            (0..100_000).map(|at| mmc_waits_longer(1.6, 1.0, 2, (f64::from(at) + 0.5) * step) * step).sum();
        assert!((integral / mmc(1.6, 1.0, 2).wait - 1.0).abs() < 1e-6, "{integral}");
    }
}
