//! Topics and their subscriptions.

use std::collections::BTreeSet;

use crate::model::{MessagingSystem, Nanos};

use super::super::bounds::{MAX_BATCH, MAX_PARTITIONS};
use super::super::fit;
use super::super::names::Names;
use super::super::system::{Route, System};
use super::super::trace::{Came, Of};
use super::callees::Callees;
use super::services::{self, Sizes};
use super::{RouteSketch, Service, seconds};

/// Characters of the name of a topic or a group: see `topology/address.rs`.
const NAME_AT_MOST: usize = 100;

/// Attempts of a delivery: see `topology/subscription.rs`.
const MOST_ATTEMPTS: u16 = 1_000;

#[derive(Debug)]
pub struct Topic {
    pub name: String,
    /// The name in the traces, where it is another.
    pub recorded: Option<String>,
    /// The system in the traces, and whether a topology has it.
    pub system: Option<(String, bool)>,
    pub broker: Option<String>,
    pub partitions: usize,
    /// No span tells a partition.
    pub is_guessed: bool,
    /// As TOML; none where no span shows it.
    pub publish: Option<String>,
}

#[derive(Debug)]
pub struct Subscription {
    pub topic: String,
    pub service: String,
    /// None is the service's name.
    pub group: Option<String>,
    /// Messages at a time, and how long a batch waits for them; none is one.
    pub batch: Option<(u16, Nanos)>,
    pub context: Came,
    /// None where it is not known.
    pub attempts: Option<u16>,
    pub dead_letter: Option<String>,
}

#[derive(Debug, Default)]
pub struct Topics {
    pub topics: Vec<Topic>,
    pub subscriptions: Vec<Subscription>,
    /// By number of a topic, its name in the topology; empty of one that is not written.
    names: Vec<String>,
}

impl Topics {
    pub fn of(system: &System, names: &Names, callees: &Callees, sizes: &Sizes, scale: f64) -> Self {
        let mut taken = BTreeSet::new();
        let mut topics = Self { names: vec![String::new(); names.topics.len()], ..Self::default() };
        for number in callees.topics() {
            topics.names[number as usize] = unique(names.topics.get(number), "topic", &mut taken);
        }
        for number in callees.topics() {
            let topic = topics.topic(number, system, names, callees);
            let partitions = topic.partitions;
            topics.topics.push(topic);
            let mut groups = BTreeSet::new();
            for route in callees.consumers(number) {
                let service = sizes.name(callees.service(names.routes.get(*route).service));
                let mut known: Vec<&str> = names.groups(*route).collect();
                if known.is_empty() {
                    known.push(service);
                }
                for group in known {
                    let group = unique(group, service, &mut groups);
                    let of = subscription(&system.routes[*route as usize], system, partitions, scale);
                    topics.subscriptions.push(Subscription {
                        topic: topics.names[number as usize].clone(),
                        service: service.to_owned(),
                        group: (group != service).then_some(group),
                        dead_letter: callees
                            .dead_letters(*route)
                            .map(|letters| topics.name(letters).to_owned()),
                        ..of
                    });
                }
            }
        }
        topics
    }

    /// The name of a topic that is written.
    pub fn name(&self, topic: u32) -> &str {
        &self.names[topic as usize]
    }

    /// Services for the topics that no span consumes: each has somebody who takes its messages.
    pub fn add_consumers(&mut self, callees: &Callees, taken: &mut BTreeSet<String>) -> Vec<Service> {
        let letters: BTreeSet<&str> =
            self.subscriptions.iter().filter_map(|one| one.dead_letter.as_deref()).collect();
        let unheard = callees.topics().filter(|topic| callees.consumers(*topic).is_empty());
        let unheard: Vec<String> = unheard
            .map(|topic| self.name(topic).to_owned())
            .filter(|name| !letters.contains(name.as_str()))
            .collect();
        unheard
            .into_iter()
            .map(|topic| {
                let name = services::unique(&format!("{topic}-consumer"), "consumer", taken);
                self.subscriptions.push(Subscription {
                    topic: topic.clone(),
                    service: name.clone(),
                    group: None,
                    batch: None,
                    context: Came::Parent,
                    attempts: None,
                    dead_letter: None,
                });
                Service::of_unheard(name, RouteSketch::of_topic(topic))
            })
            .collect()
    }

    fn topic(&self, number: u32, system: &System, names: &Names, callees: &Callees) -> Topic {
        let (recorded, name) = (names.topics.get(number), self.name(number));
        let seen = &names.seen[number as usize];
        let known = |name: &str| MessagingSystem::ALL.iter().any(|(word, _)| *word == name);
        let broker = seen.broker.as_ref().map(|broker| unique(broker, "broker", &mut BTreeSet::new()));
        let told = seen.partitions.iter().max().map(|most| (*most as usize + 1).clamp(1, MAX_PARTITIONS));
        let consumers = callees.consumers(number).iter();
        let at_once = consumers.map(|route| {
            services::most(&mut system.routes[*route as usize].messages.moments.clone()) as usize
        });
        let at_once = at_once.max().unwrap_or(1).clamp(1, MAX_PARTITIONS);
        let mut times: Vec<Nanos> = Vec::new();
        for route in callees.written() {
            if callees.publishes(route).iter().any(|(topic, _)| *topic == number) {
                let parts = system.routes[route as usize].parts().iter();
                let of_topic = parts.filter(|part| part.of == Of::Topic(number) && part.spread > 0);
                times.extend(of_topic.flat_map(|part| {
                    std::iter::repeat_n(part.took / u64::from(part.spread), usize::from(part.spread))
                }));
            }
        }
        Topic {
            recorded: (recorded != name).then(|| recorded.clone()),
            name: name.to_owned(),
            system: seen.system.as_ref().map(|system| (system.clone(), known(system))),
            broker: broker.filter(|broker| Some(broker) != seen.system.as_ref()),
            partitions: told.unwrap_or(at_once),
            is_guessed: told.is_none(),
            publish: times.iter().any(|time| *time > 0).then(|| fit::distribution(&mut times)),
        }
    }
}

/// What the spans of a route tell of how messages come to it.
fn subscription(route: &Route, system: &System, partitions: usize, scale: f64) -> Subscription {
    let messages = &route.messages;
    let came = messages.came.iter().max_by_key(|(came, count)| (**count, std::cmp::Reverse(**came)));
    let window = seconds(system.last - system.first.unwrap_or(system.last)).max(1e-3);
    let mean = route.served.count as f64 / messages.requests.max(1) as f64;
    let rate = route.served.count as f64 * scale / window / partitions as f64;
    // A batch is open from its first message on until `poll` has passed.
    let poll = ((mean - 1.0) / rate * 1e9) as Nanos;
    let poll = poll.clamp(1_000_000, 60_000_000_000) / 1_000_000 * 1_000_000;
    let has_failed = route.served.failed > 0 || route.failed_for_callee > 0;
    Subscription {
        topic: String::new(),
        service: String::new(),
        group: None,
        batch: (messages.batches > 0).then(|| (messages.batch_most.clamp(2, MAX_BATCH), poll)),
        context: came.map_or(Came::Parent, |(came, _)| *came),
        attempts: match messages.deliveries {
            2.. => Some(messages.deliveries.min(MOST_ATTEMPTS)),
            _ if has_failed => Some(1),
            _ => None,
        },
        dead_letter: None,
    }
}

/// A name of a topic or a group that is not taken yet.
fn unique(recorded: &str, what: &str, taken: &mut BTreeSet<String>) -> String {
    let kept = |c: char| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '-' };
    let name: String = recorded.chars().map(kept).take(NAME_AT_MOST - 5).collect();
    let name = if name.is_empty() { what.to_owned() } else { name };
    let (mut unique, mut number) = (name.clone(), 2);
    while !taken.insert(unique.clone()) {
        unique = format!("{name}-{number}");
        number += 1;
    }
    unique
}
