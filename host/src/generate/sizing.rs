//! How busy each service will be, and the workers that takes.

use super::shape::{Call, Route, Service, System, Work};

/// One way between two services: the median, in microseconds, and the sigma, in hundredths.
pub const LATENCY: Work = Work { median: 300, sigma: 50 };

/// Until a broker has a message, and until its consumer has it.
pub const PUBLISH: Work = Work { median: 2_000, sigma: 40 };

/// The largest share of its workers' time that a service may be busy, on average.
const BUSY_AT_MOST: f64 = 0.6;

/// Requests that one replica has in hand, on average, before there is a second one.
const PER_REPLICA: f64 = 16.0;

/// What the system does with its load.
#[derive(Debug)]
pub struct Load {
    /// How often each route at the edge is asked for: weights.
    pub mix: Vec<u32>,
    /// Workers of all services.
    pub workers: u64,
    /// Services that a request visits, on average, again and again among them.
    pub visits: f64,
    /// Spans of a request, on average.
    pub spans: f64,
}

/// Gives every service replicas and workers for `rate` requests per second.
///
/// A worker is busy while it waits for those that it calls, so what counts is
/// how long a request takes in all. Calls at the same time are counted as if
/// they came one after the other, and answers that a cache has as if it had not, which
/// errs on the side of too many workers.
pub fn size(system: &mut System, rate: f64) -> Load {
    let mix = mix(system.services[0].routes.len());
    let rates = rates(system, &mix, rate);
    let times = times(system);
    let mut workers = 0;
    for (service, (rates, times)) in system.services.iter_mut().zip(rates.iter().zip(&times)) {
        let in_hand: f64 = rates.iter().zip(times).map(|(rate, time)| rate * time).sum();
        staff(service, in_hand);
        workers += u64::from(service.replicas) * u64::from(service.workers);
    }
    let behind = rates.iter().skip(1).flatten().sum::<f64>() / rate;
    let databases = system.services.iter().zip(&rates).filter(|(service, _)| service.database.is_some());
    let spans = databases.flat_map(|(_, rates)| rates).sum::<f64>();
    let statements = connect(system, &rates);
    let statements = (spans + statements) / rate;
    // A call has a CLIENT and a SERVER span, the edge a SERVER span, a statement its own.
    Load { mix, workers, visits: 1.0 + behind, spans: 1.0 + 2.0 * behind + statements }
}

/// Zipf's law: the second is asked for half as often as the first, the third a third as often.
fn mix(routes: usize) -> Vec<u32> {
    (1..=routes as u32).map(|rank| (1_000 / rank).max(1)).collect()
}

/// Requests per second of every route, from the edge inwards.
fn rates(system: &System, mix: &[u32], rate: f64) -> Vec<Vec<f64>> {
    let mut rates: Vec<_> = system.services.iter().map(|service| vec![0.0; service.routes.len()]).collect();
    let all = f64::from(mix.iter().sum::<u32>());
    rates[0] = mix.iter().map(|weight| rate * f64::from(*weight) / all).collect();
    for (at, service) in system.services.iter().enumerate() {
        for (number, route) in service.routes.iter().enumerate() {
            let rate = rates[at][number];
            if let Some(topic) = route.sends_to {
                let consumer = system.topics[topic].consumer;
                let routes = &system.services[consumer].routes;
                let consumes = routes.iter().position(|route| route.consumes == Some(topic));
                rates[consumer][consumes.expect("who consumes a topic has a route for it")] += rate;
            }
            for call in calls(route) {
                rates[call.service][call.route] += rate * times_called(call);
            }
        }
    }
    rates
}

/// Seconds that a request takes at every route, from the data outwards.
fn times(system: &System) -> Vec<Vec<f64>> {
    let mut times: Vec<Vec<f64>> = vec![Vec::new(); system.services.len()];
    for (at, service) in system.services.iter().enumerate().rev() {
        let time = |route| {
            let calls = calls(route);
            let waits = calls
                .map(|call| times_called(call) * (2.0 * mean(LATENCY) + times[call.service][call.route]))
                .sum::<f64>();
            let asks = route.statements.as_ref().map_or(0.0, |asks| f64::from(asks.micros) * 1e-6);
            mean(service.work) + asks + waits
        };
        times[at] = service.routes.iter().map(time).collect();
    }
    times
}

fn calls(route: &Route) -> impl Iterator<Item = &Call> {
    route.calls.iter().flatten()
}

fn times_called(call: &Call) -> f64 {
    f64::from(call.percent) / 100.0 * f64::from(call.times)
}

/// The mean of the lognormal distribution, in seconds.
fn mean(work: Work) -> f64 {
    let sigma = f64::from(work.sigma) / 100.0;
    f64::from(work.median) * 1e-6 * libm::exp(sigma * sigma / 2.0)
}

/// Gives a service workers for as many requests in hand, on average: a share
/// above the mean, and three deviations of what comes by chance.
fn staff(service: &mut Service, in_hand: f64) {
    service.replicas = (in_hand / PER_REPLICA).ceil().max(1.0) as u32;
    let each = in_hand / f64::from(service.replicas);
    let workers = (each / BUSY_AT_MOST).max(each + 3.0 * each.sqrt());
    service.workers = workers.ceil().max(2.0) as u32;
}

/// Gives services connections, and databases cores and connections, for these rates of the routes. Gives the
/// statements per second.
fn connect(system: &mut System, rates: &[Vec<f64>]) -> f64 {
    let mut statements = 0.0;
    let mut computing = vec![0.0; system.databases.len()];
    for (service, rates) in system.services.iter_mut().zip(rates) {
        let Some(pool) = &mut service.pool else { continue };
        let mut in_hand = 0.0;
        for (route, rate) in service.routes.iter().zip(rates) {
            let Some(asks) = &route.statements else { continue };
            statements += rate * f64::from(asks.count);
            in_hand += rate * f64::from(asks.micros) * 1e-6 / f64::from(service.replicas);
            computing[pool.database] += rate * f64::from(asks.computing) * 1e-6;
        }
        pool.max = pool.max.max((in_hand + 3.0 * in_hand.sqrt()).ceil() as u32 + 2);
        system.databases[pool.database].connections += service.replicas * pool.max;
    }
    for (database, computing) in system.databases.iter_mut().zip(computing) {
        database.cores = database.cores.max((computing / BUSY_AT_MOST).ceil() as u32);
    }
    statements
}

#[cfg(test)]
mod tests {
    use super::super::shape::draw;
    use super::*;

    #[test]
    fn no_service_is_busier_than_it_may_be() {
        for (services, layers, rate) in [(10, 3, 2_000.0), (100, 5, 50.0), (1_000, 6, 300.0)] {
            let mut system = draw(3, services, layers);
            let load = size(&mut system, rate);
            let (rates, times) = (rates(&system, &load.mix, rate), times(&system));
            for (at, service) in system.services.iter().enumerate() {
                let in_hand: f64 = rates[at].iter().zip(&times[at]).map(|(rate, time)| rate * time).sum();
                let busy = in_hand / f64::from(service.replicas * service.workers);
                assert!(busy <= BUSY_AT_MOST + 1e-9, "{}: {busy}", service.name);
            }
        }
    }

    #[test]
    fn requests_stay_small_however_many_services_there_are() {
        for seed in 1..=5 {
            for (services, layers) in [(10, 3), (100, 5), (1_000, 6), (2_000, 7)] {
                let load = size(&mut draw(seed, services, layers), 50.0);
                assert!((4.0..150.0).contains(&load.spans), "{services} of seed {seed}: {load:?}");
                assert!(load.visits * 2.0 - 1.0 <= load.spans, "{load:?}");
            }
        }
    }

    #[test]
    fn rates_and_times_add_up_along_the_calls() {
        // The edge calls the one service behind it; that is all there is.
        let mut system = draw(1, 2, 2);
        system.services.iter_mut().for_each(|service| service.work = Work { median: 1_000, sigma: 0 });
        let load = size(&mut system, 100.0);
        let times = times(&system);
        // Twice the work, and the mean of the latency there and back.
        let expected = 2e-3 + 2.0 * 300e-6 * libm::exp(0.125);
        assert!(times[0].iter().all(|time| (time - expected).abs() < 1e-9), "{times:?}");
        let rates = rates(&system, &load.mix, 100.0);
        let sums = rates.iter().map(|rates| rates.iter().sum::<f64>());
        assert!(sums.into_iter().all(|sum| (sum - 100.0).abs() < 1e-9), "{rates:?}");
        assert!((load.visits - 2.0).abs() < 1e-9 && (load.spans - 4.0).abs() < 1e-9, "{load:?}");
    }
}
