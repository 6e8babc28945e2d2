//! What requests, runs of jobs and messages lead to: a graph of topics, of the groups that consume them, and
//! of what services do.

use std::collections::BTreeMap;

use indexmap::IndexMap;
use simhost_notation::OneCall;

use crate::model::{Place, ServiceId, Subscription};

use super::super::calls::{Meets, deployments, of_topic, sendings};
use super::Run;

/// Steps of a way that a message shows.
const STEPS_AT_MOST: usize = 12;

/// Calls and messages of routes, jobs and topics that are followed: what stands beside the tables of a
/// configuration holds for each of them, so that a short text may have millions.
pub const FOLLOWED_AT_MOST: usize = 200_000;

/// What leads to others.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Node {
    Topic(usize),
    /// The group of a subscription, by its place among them.
    Group(usize),
    /// A route, a job or the messages of a topic, as a service works on it: `GET /stock/{item}`.
    Work(ServiceId, String),
}

/// One leads to another.
#[derive(Clone, Debug)]
pub struct Edge {
    pub to: usize,
    /// How often, for each time that it is there.
    pub factor: f64,
    /// A message that is given up.
    pub is_dead_letter: bool,
    /// The configuration or the subscription that says so.
    pub place: Option<Place>,
    /// Only by a guest that a fault deploys.
    pub is_of_fault: bool,
}

/// What is known of a graph, by the built-in guests and their configurations.
pub struct Flow<'a> {
    pub run: &'a Run<'a>,
    /// The topics come first, in the order of the model, and then the groups.
    pub nodes: Vec<Node>,
    /// By where they begin.
    pub edges: Vec<Vec<Edge>>,
    /// There are more calls and messages than are followed.
    pub is_cut_off: bool,
}

/// A guest of a service: that of the topology, or one that a fault deploys.
type Variant = Option<String>;

/// Edges before it is known which guest leads to most.
#[derive(Default)]
struct Draft<'a> {
    works: BTreeMap<(ServiceId, String), usize>,
    nodes: Vec<Node>,
    edges: IndexMap<(usize, usize), Vec<(Variant, Edge)>>,
    topics: BTreeMap<&'a str, usize>,
    /// Calls and messages so far.
    followed: usize,
    /// The shares of requests, messages and runs that come to what they call and send.
    reached: BTreeMap<(usize, Variant), f64>,
    /// The shares of messages that fail, by the node of their work.
    errors: BTreeMap<usize, f64>,
}

impl<'a> Draft<'a> {
    fn work(&mut self, service: ServiceId, route: &str) -> usize {
        let key = (service, route.to_owned());
        if let Some(node) = self.works.get(&key) {
            return *node;
        }
        self.nodes.push(Node::Work(service, route.to_owned()));
        self.works.insert(key, self.nodes.len() - 1);
        self.nodes.len() - 1
    }

    /// Two of one guest add up.
    fn add(&mut self, from: usize, variant: Variant, edge: Edge) {
        let of = self.edges.entry((from, edge.to)).or_default();
        match of.iter_mut().find(|(known, _)| *known == variant) {
            Some((_, known)) => known.factor += edge.factor,
            None => of.push((variant, edge)),
        }
    }

    /// Whether one more call or message is followed.
    const fn is_followed(&mut self) -> bool {
        self.followed += 1;
        self.followed <= FOLLOWED_AT_MOST
    }

    /// What a service sends.
    fn send(&mut self, run: &Run<'a>, id: ServiceId) {
        let service = run.model.service(id);
        let own = |key: &str| service.config_places.get(service.config.get_index_of(key)?).cloned();
        let mut guests = vec![(None, sendings(&service.code, &service.config))];
        let deployed = deployments(run.model, id).filter(|deployment| deployment.fault.enabled);
        guests.extend(deployed.map(|one| (Some(one.fault.name.clone()), sendings(one.code, &one.config))));
        for (variant, sendings) in guests {
            for sending in sendings.into_iter().flatten() {
                let work = self.work(id, &sending.route);
                let is_of_topic = sending.route.starts_with("topic ");
                // A message that fails comes again: its group says how many are given up.
                let reached = match (sending.is_cached, is_of_topic) {
                    (_, true) => 1.0,
                    (true, false) => 0.0,
                    (false, false) => 1.0 - sending.errors,
                };
                self.reached.insert((work, variant.clone()), reached);
                if is_of_topic && variant.is_none() {
                    self.errors.insert(work, sending.errors);
                }
                let place = sending.key.as_deref().and_then(own).filter(|_| variant.is_none());
                for one in sending.messages.0.iter().flatten() {
                    let Some(to) = self.topics.get(one.service.as_str()).copied() else { continue };
                    if !self.is_followed() {
                        return;
                    }
                    let (factor, place, is_of_fault) =
                        (often(one) * reached, place.clone(), variant.is_some());
                    let edge = Edge { to, factor, is_dead_letter: false, place, is_of_fault };
                    self.add(work, variant.clone(), edge);
                }
            }
        }
    }

    /// What services call, as far as it is known which route that meets.
    fn call(&mut self, run: &Run<'_>) {
        let calls = run.calls.all.iter().filter(|call| call.is_on && !run.is_swapped(call.from));
        for call in calls {
            let (Some(to), Meets::Route(Some(route))) = (call.to, &call.meets) else { continue };
            if !self.is_followed() {
                return;
            }
            let (from, to) = (self.work(call.from, &call.route), self.work(to, route));
            let variant = call.deployed_by.clone();
            let reached = self.reached.get(&(from, variant.clone())).copied().unwrap_or(1.0);
            let edge = Edge {
                to,
                factor: often(&call.what) * reached,
                is_dead_letter: false,
                place: call.place.clone(),
                is_of_fault: variant.is_some(),
            };
            self.add(from, variant, edge);
        }
    }

    /// Groups take the messages of their topic, and give some of them up.
    fn consume(&mut self, run: &Run<'_>, (place, one): (usize, &Subscription)) {
        let group = run.model.topics.len() + place;
        let edge = |to, factor, is_dead_letter| {
            let place = Some(one.place.clone());
            Edge { to, factor, is_dead_letter, place, is_of_fault: false }
        };
        let topic = &run.model.topics[one.topic].name;
        let works =
            [of_topic(topic), of_topic("*")].map(|route| self.works.get(&(one.service, route)).copied());
        let work = works.into_iter().flatten().next();
        let errors = work.and_then(|work| self.errors.get(&work).copied()).unwrap_or(0.0);
        let given_up = libm::pow(errors, one.retry.attempts.into());
        self.add(one.topic, None, edge(group, 1.0, false));
        if let Some(to) = one.dead_letter {
            self.add(group, None, edge(to, given_up, true));
        }
        if let Some(work) = work {
            self.add(group, None, edge(work, 1.0 - given_up, false));
        }
    }
}

/// How often a call is made, or a message sent.
fn often(one: &OneCall) -> f64 {
    one.share * f64::from(one.times)
}

impl<'a> Flow<'a> {
    pub fn of(run: &'a Run<'a>) -> Self {
        let (topics, groups) = (run.model.topics.len(), run.model.subscriptions.len());
        let nodes = (0..topics).map(Node::Topic).chain((0..groups).map(Node::Group)).collect();
        let names = run.model.topics.iter().map(|topic| topic.name.as_str()).zip(0..);
        let mut draft = Draft { nodes, topics: names.collect(), ..Draft::default() };
        // Without topics nothing is sent.
        if topics > 0 {
            let services = (0..run.model.services.len() as u32).map(ServiceId);
            services.filter(|id| !run.is_swapped(*id)).for_each(|id| draft.send(run, id));
            draft.call(run);
            run.model.subscriptions.iter().enumerate().for_each(|one| draft.consume(run, one));
        }
        let mut edges: Vec<Vec<Edge>> = vec![Vec::new(); draft.nodes.len()];
        for ((from, _), variants) in draft.edges {
            // One guest is there at a time. Of those that lead to as many, that of the topology.
            let variants = variants.into_iter().map(|(_, edge)| edge);
            edges[from]
                .extend(variants.reduce(|most, one| if one.factor > most.factor { one } else { most }));
        }
        Self { run, nodes: draft.nodes, edges, is_cut_off: draft.followed > FOLLOWED_AT_MOST }
    }

    /// Where a call, a message or a subscription is written.
    pub fn place(&self, edge: &Edge) -> Option<Place> {
        let model = self.run.model;
        let name = match &self.nodes[edge.to] {
            Node::Topic(topic) if !edge.is_dead_letter => &model.topics[*topic].name,
            Node::Work(service, route) if !route.starts_with("topic ") => &model.service(*service).name,
            Node::Topic(_) | Node::Group(_) | Node::Work(..) => return edge.place.clone(),
        };
        edge.place.as_ref().map(|place| self.run.within(place, name))
    }

    pub fn is_topic(&self, node: usize) -> bool {
        matches!(self.nodes[node], Node::Topic(_))
    }

    /// Whether an edge is a call or a message, which is one deeper than what it comes from.
    pub fn is_deeper(&self, from: usize, edge: &Edge) -> bool {
        matches!(self.nodes[from], Node::Work(..)) || edge.is_dead_letter
    }

    /// Nodes one after the other: `orders -> mailer -> shop GET /x -> orders`.
    pub fn steps(&self, nodes: impl IntoIterator<Item = usize>) -> String {
        let model = self.run.model;
        let name = |node: usize| match &self.nodes[node] {
            Node::Topic(topic) => Some(model.topics[*topic].name.clone()),
            Node::Group(place) => Some(model.service(model.subscriptions[*place].service).name.clone()),
            // Its group has the name of the service.
            Node::Work(_, route) if route.starts_with("topic ") => None,
            Node::Work(service, route) => Some(format!("{} {route}", model.service(*service).name)),
        };
        let mut steps: Vec<_> = nodes.into_iter().filter_map(name).collect();
        if steps.len() > STEPS_AT_MOST + 1 {
            let more = steps.len() - STEPS_AT_MOST;
            steps.splice(STEPS_AT_MOST / 2..STEPS_AT_MOST / 2 + more, [format!("({more} more)")]);
        }
        steps.join(" -> ")
    }
}
