//! Caches in front of calls, and messages that nobody waits for.

use super::dice::Dice;
use super::names::{NOUNS, VERBS};
use super::shape::{Cache, Call, Route, System, Topic};

/// Times to live: seconds.
const TTLS: [u32; 4] = [30, 60, 120, 300];

/// Entries of caches.
const ENTRIES: [u32; 4] = [500, 800, 2_000, 5_000];

const PARTITIONS: [u32; 4] = [1, 3, 6, 12];

/// Gives services caches for what they make of the answers of others: `wanted`, or fewer where fewer can use
/// one. What else a system has does not depend on them.
pub fn add_caches(system: &mut System, seed: u64, wanted: usize) {
    let mut dice = Dice::new(seed, "caches");
    let is_cached = |route: &Route| route.verb.is_single && route.verb.only_reads && !route.calls.is_empty();
    let mut candidates: Vec<usize> =
        between(system).filter(|service| system.services[*service].routes.iter().any(is_cached)).collect();
    dice.shuffle(&mut candidates);
    candidates.truncate(wanted);
    candidates.sort_unstable();
    for service in candidates {
        let described = &mut system.services[service];
        system
            .caches
            .push(Cache { name: format!("{}-cache", described.name), entries: dice.one_of(&ENTRIES) });
        described.cache = Some(system.caches.len() - 1);
        for route in described.routes.iter_mut().filter(|route| is_cached(route)) {
            route.kept_for = Some(dice.one_of(&TTLS));
        }
    }
}

/// Lets services tell others of what they have changed: over `wanted` topics, or fewer where fewer change
/// anything. Who consumes a topic lies behind who sends to it.
pub fn add_topics(system: &mut System, seed: u64, wanted: usize) {
    let mut dice = Dice::new(seed, "topics");
    let mut senders: Vec<(usize, usize)> = Vec::new();
    for service in between(system) {
        let routes = system.services[service].routes.iter();
        senders.extend(
            routes.enumerate().filter(|(_, route)| !route.verb.only_reads).map(|(at, _)| (service, at)),
        );
    }
    dice.shuffle(&mut senders);
    let inner: Vec<usize> = between(system).collect();
    for (sender, route) in senders {
        if system.topics.len() >= wanted {
            break;
        }
        let things = system.services[sender].routes[route].things;
        let noun = NOUNS.iter().find(|(_, several)| *several == things).map_or(things, |(one, _)| *one);
        let name = format!("{noun}-events");
        let behind: Vec<usize> = inner.iter().copied().filter(|service| *service > sender).collect();
        if behind.is_empty() || system.topics.iter().any(|topic| topic.name == name) {
            continue;
        }
        let consumer = dice.one_of(&behind);
        let topic = system.topics.len();
        system.topics.push(Topic { name, partitions: dice.one_of(&PARTITIONS), consumer });
        system.services[sender].routes[route].sends_to = Some(topic);
        let calls = a_call(system, &mut dice).into_iter().map(|call| vec![call]).collect();
        let consumes = Route { consumes: Some(topic), ..Route::new(&VERBS[0], things, calls) };
        system.services[consumer].routes.push(consumes);
    }
}

/// The services that are neither at the edge nor with the data.
pub(super) fn between(system: &System) -> std::ops::Range<usize> {
    let last = system.layers.last().map_or(0, |data| data.start);
    1..last.max(1)
}

/// A call of a service with data, for two messages in three.
fn a_call(system: &System, dice: &mut Dice) -> Option<Call> {
    let data = system.layers.last()?.clone();
    let service = data.start + dice.below(data.len());
    let route = dice.below(system.services[service].routes.len());
    dice.chance(0.67).then_some(Call { service, route, percent: 100, times: 1, is_optional: false })
}

#[cfg(test)]
mod tests {
    use super::super::shape::draw;
    use super::*;

    #[test]
    fn caches_are_for_what_is_read_of_others_and_topics_for_what_changes() {
        let mut system = draw(7, 100, 5);
        let before: Vec<_> = system.services.iter().map(|service| service.routes.len()).collect();
        add_caches(&mut system, 7, 12);
        add_topics(&mut system, 7, 9);
        assert_eq!((system.caches.len(), system.topics.len()), (12, 9));
        let cached = system.services.iter().filter(|service| service.cache.is_some());
        for service in cached {
            assert!(service.routes.iter().any(|route| route.kept_for.is_some()), "{}", service.name);
        }
        for (topic, described) in system.topics.iter().enumerate() {
            let sender = system.services.iter().position(|service| {
                service.routes.iter().any(|route| route.sends_to == Some(topic) && !route.verb.only_reads)
            });
            assert!(sender < Some(described.consumer), "{}", described.name);
            let consumer = &system.services[described.consumer];
            assert!(consumer.routes.iter().any(|route| route.consumes == Some(topic)));
        }
        let after: usize = system.services.iter().map(|service| service.routes.len()).sum();
        assert_eq!(after, before.iter().sum::<usize>() + 9);
    }

    #[test]
    fn a_system_that_cannot_use_them_has_fewer() {
        let mut system = draw(1, 2, 2);
        add_caches(&mut system, 1, 5);
        add_topics(&mut system, 1, 5);
        assert!(system.caches.is_empty() && system.topics.is_empty());
    }
}
