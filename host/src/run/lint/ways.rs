//! Ways over some of the edges of a [`Flow`]: what can be reached, rings, and how many messages come back.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::flow::{Edge, Flow};

/// Ways that go round together are followed for this many edges each: what is left of a message then counts
/// for nothing.
const FOLLOWED_AT_MOST: usize = 1_000;

/// Of more messages for each one it is not said how many they are.
pub const A_GREAT_MANY: f64 = 1e6;

/// What a product of shares, or a sum, may lack to count as 1.
pub const ROUNDING: f64 = 1e-9;

/// What an edge counts more than it is when a ring is looked for: its logarithm.
const MORE: f64 = 1e-10;

/// Nodes in the order of the edges between them: each with the edge that leads to the next one, and the last
/// with the edge to the first, which is a topic.
pub type Ring<'f> = Vec<(usize, &'f Edge)>;

/// How many messages of its first topic each of them leads to.
pub fn factor(ring: &Ring<'_>) -> f64 {
    ring.iter().map(|(_, edge)| edge.factor).product()
}

/// Some of the edges.
pub struct Ways<'f> {
    /// The nodes before this one are topics.
    topics: usize,
    /// By where they begin.
    pub edges: Vec<Vec<&'f Edge>>,
    /// From where edges lead to each node.
    above: Vec<Vec<usize>>,
}

impl<'f> Ways<'f> {
    /// Over the edges for which this holds, by the node from which they lead.
    pub fn of(flow: &'f Flow<'_>, is_way: impl Fn(usize, &Edge) -> bool) -> Self {
        let mut above: Vec<Vec<usize>> = vec![Vec::new(); flow.nodes.len()];
        let mut edges: Vec<Vec<&Edge>> = vec![Vec::new(); flow.nodes.len()];
        for (from, all) in flow.edges.iter().enumerate() {
            for edge in all.iter().filter(|edge| is_way(from, edge)) {
                edges[from].push(edge);
                above[edge.to].push(from);
            }
        }
        Self { topics: flow.run.model.topics.len(), edges, above }
    }

    pub const fn is_topic(&self, node: usize) -> bool {
        node < self.topics
    }

    /// Sets of nodes, each of which can be reached from each other one of its set; every ring with a topic
    /// lies in one of them. They are ordered by their first topics.
    pub fn components(&self) -> Vec<BTreeSet<usize>> {
        let (mut components, mut known): (Vec<BTreeSet<usize>>, BTreeSet<usize>) = Default::default();
        for topic in 0..self.topics {
            if known.contains(&topic) {
                continue;
            }
            let back = self.leads_to(topic, 0);
            let (mut component, mut open): (BTreeSet<usize>, _) = ([topic].into(), vec![topic]);
            while let Some(node) = open.pop() {
                let to = self.edges[node].iter().map(|edge| edge.to).filter(|to| back.contains(to));
                open.extend(to.filter(|to| component.insert(*to)));
            }
            known.extend(&component);
            // Topics lead to groups, and never to themselves at once.
            components.extend(Some(component).filter(|component| component.len() > 1));
        }
        components
    }

    /// The nodes from which a topic can be reached by no topic before the first one, itself among them.
    pub fn leads_to(&self, topic: usize, first: usize) -> BTreeSet<usize> {
        let (mut back, mut open): (BTreeSet<usize>, _) = ([topic].into(), vec![topic]);
        while let Some(node) = open.pop() {
            let from = self.above[node].iter().filter(|from| **from >= first);
            open.extend(from.filter(|from| back.insert(**from)));
        }
        back
    }

    /// How many messages of a topic each of its messages leads to, until they come back to it for the first
    /// time. `back` are the nodes from which it can be reached.
    pub fn returns(&self, start: usize, back: &BTreeSet<usize>) -> f64 {
        let (mut returned, mut at) = (0.0, BTreeMap::from([(start, 1.0)]));
        for _ in 0..FOLLOWED_AT_MOST {
            let mut next: BTreeMap<usize, f64> = BTreeMap::new();
            for (node, share) in at {
                for edge in self.edges[node].iter().filter(|edge| back.contains(&edge.to)) {
                    let share = share * edge.factor;
                    if edge.to == start {
                        returned += share;
                    } else {
                        *next.entry(edge.to).or_default() += share;
                    }
                }
            }
            at = next;
            if at.values().sum::<f64>() < ROUNDING || returned > A_GREAT_MANY {
                break;
            }
        }
        returned
    }

    /// Whether less than one message is left of a message at each of these nodes, however it has gone on
    /// between them.
    pub fn become_fewer(&self, nodes: &BTreeSet<usize>) -> bool {
        let mut left = vec![0.0; self.edges.len()];
        nodes.iter().for_each(|node| left[*node] = 1.0);
        (0..FOLLOWED_AT_MOST).any(|_| {
            let mut now = vec![0.0; left.len()];
            for node in nodes {
                let edges = self.edges[*node].iter().filter(|edge| left[edge.to] > 0.0);
                now[*node] = edges.map(|edge| edge.factor * left[edge.to]).sum();
            }
            left = now;
            left.iter().all(|left| *left < 1.0 - ROUNDING)
        })
    }

    /// A ring between these nodes in which messages do not become fewer, if there is one with a topic.
    pub fn growing(&self, nodes: &BTreeSet<usize>) -> Option<Ring<'f>> {
        let mut most = vec![0.0; self.edges.len()];
        let mut before: Vec<Option<(usize, &'f Edge)>> = vec![None; self.edges.len()];
        // As Bellman and Ford find a ring of a negative sum. Without one, nothing grows after as many rounds
        // as there are nodes.
        for _ in 0..=nodes.len() {
            let mut grown = None;
            for from in nodes {
                for edge in self.edges[*from].iter().copied().filter(|edge| nodes.contains(&edge.to)) {
                    let by_this = most[*from] + libm::log(edge.factor) + MORE;
                    if by_this > most[edge.to] {
                        most[edge.to] = by_this;
                        before[edge.to] = Some((*from, edge));
                        grown = Some(edge.to);
                    }
                }
            }
            if let Some(ring) = behind(&before, grown?) {
                return self.begun_first(ring).filter(|ring| factor(ring) >= 1.0 - ROUNDING);
            }
        }
        None
    }

    /// The shortest ring of the first topic of a component.
    pub fn shortest(&self, component: &BTreeSet<usize>) -> Option<Ring<'f>> {
        let start = *component.first()?;
        let mut before: BTreeMap<usize, (usize, &'f Edge)> = BTreeMap::new();
        let mut open = VecDeque::from([start]);
        while let Some(node) = open.pop_front() {
            for edge in self.edges[node].iter().copied().filter(|edge| component.contains(&edge.to)) {
                if before.contains_key(&edge.to) {
                    continue;
                }
                before.insert(edge.to, (node, edge));
                open.push_back(edge.to);
            }
            if before.contains_key(&start) {
                break;
            }
        }
        let mut ring = vec![*before.get(&start)?];
        while let Some((node, _)) = ring.last().filter(|(node, _)| *node != start) {
            ring.push(*before.get(node)?);
        }
        ring.reverse();
        Some(ring)
    }

    /// The same ring from its first topic on; none without any.
    fn begun_first(&self, mut ring: Ring<'f>) -> Option<Ring<'f>> {
        let topics = ring.iter().enumerate().filter(|(_, (node, _))| self.is_topic(*node));
        let (at, _) = topics.min_by_key(|(_, (node, _))| *node)?;
        ring.rotate_left(at);
        Some(ring)
    }
}

/// The ring on the way that leads to a node, if there is one.
fn behind<'f>(before: &[Option<(usize, &'f Edge)>], node: usize) -> Option<Ring<'f>> {
    // After as many steps as there are nodes, the way goes round.
    let mut within = node;
    for _ in 0..before.len() {
        within = before[within]?.0;
    }
    let mut ring = vec![before[within]?];
    while let Some((node, _)) = ring.last().filter(|(node, _)| *node != within) {
        ring.push(before[*node]?);
    }
    ring.reverse();
    Some(ring)
}
