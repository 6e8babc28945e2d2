//! Ways over some of the edges of a [`Flow`]: parts whose nodes lead to each other, rings in them, and how
//! many messages come back.

use std::collections::VecDeque;

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

/// Edges that may still be followed.
#[derive(Debug)]
pub struct Steps(usize);

impl Steps {
    pub const fn new(at_most: usize) -> Self {
        Self(at_most)
    }

    /// Takes this many. None: fewer are left.
    pub fn take(&mut self, steps: usize) -> Option<()> {
        self.0 = self.0.checked_sub(steps)?;
        Some(())
    }

    /// Does something that may take one of `shares` of them.
    pub fn within<T>(&mut self, shares: usize, something: impl FnOnce(&mut Self) -> T) -> T {
        let mut share = Self(self.0 / shares);
        self.0 -= share.0;
        let done = something(&mut share);
        self.0 += share.0;
        done
    }
}

/// What becomes of messages that go on between the nodes of a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tendency {
    Fewer,
    /// At least as many.
    NotFewer,
    /// It would take more steps to tell.
    Unknown,
}

/// Some of the nodes, and some of the edges between them. Nodes have numbers here: their places in `nodes`.
pub struct Ways<'f> {
    /// As the flow numbers them, in its order: topics first.
    pub nodes: Vec<usize>,
    /// The nodes before this one are topics.
    pub topics: usize,
    /// By where they begin: the node to which each leads.
    pub edges: Vec<Vec<(usize, &'f Edge)>>,
    /// From where edges lead to each node.
    above: Vec<Vec<usize>>,
    /// How many edges there are.
    size: usize,
}

impl<'f> Ways<'f> {
    /// Over all nodes, and the edges for which this holds, by the node from which they lead.
    pub fn of(flow: &'f Flow<'_>, is_way: impl Fn(usize, &Edge) -> bool) -> Self {
        let of_node = |(from, all): (usize, &'f Vec<Edge>)| {
            let ways = all.iter().filter(|edge| is_way(from, edge));
            ways.map(|edge| (edge.to, edge)).collect()
        };
        let edges = flow.edges.iter().enumerate().map(of_node).collect();
        Self::new((0..flow.nodes.len()).collect(), flow.run.model.topics.len(), edges)
    }

    fn new(nodes: Vec<usize>, topics: usize, edges: Vec<Vec<(usize, &'f Edge)>>) -> Self {
        let mut above: Vec<Vec<usize>> = vec![Vec::new(); nodes.len()];
        for (from, edges) in edges.iter().enumerate() {
            edges.iter().for_each(|(to, _)| above[*to].push(from));
        }
        let size = edges.iter().map(Vec::len).sum();
        Self { nodes, topics, edges, above, size }
    }

    /// The parts of those nodes for which this holds: in each of them every node leads to every other one,
    /// and one is a topic. They are ordered by their first topics.
    pub fn parts(&self, is_kept: impl Fn(usize) -> bool) -> Vec<Self> {
        let part_of = self.components(is_kept);
        let count = part_of.iter().flatten().max().map_or(0, |last| last + 1);
        let (mut members, mut place) = (vec![Vec::new(); count], vec![0; self.nodes.len()]);
        for (node, part) in part_of.iter().enumerate() {
            let Some(part) = part else { continue };
            place[node] = members[*part].len();
            members[*part].push(node);
        }
        // Topics lead to groups, and never to themselves at once.
        members.retain(|members: &Vec<usize>| members.len() > 1 && members[0] < self.topics);
        members.sort_unstable_by_key(|members| members[0]);
        let part = |members: Vec<usize>| {
            let within = |node: &usize| {
                let edges = self.edges[*node].iter().filter(|(to, _)| part_of[*to] == part_of[*node]);
                edges.map(|(to, edge)| (place[*to], *edge)).collect()
            };
            let topics = members.partition_point(|node| *node < self.topics);
            let edges = members.iter().map(within).collect();
            Self::new(members.into_iter().map(|node| self.nodes[node]).collect(), topics, edges)
        };
        members.into_iter().map(part).collect()
    }

    /// The same, where so many steps are left.
    pub fn parts_within(&self, steps: &mut Steps, is_kept: impl Fn(usize) -> bool) -> Option<Vec<Self>> {
        steps.take(self.size)?;
        Some(self.parts(is_kept))
    }

    /// Of each node that is kept, the number of the nodes that lead to it and to which it leads, as Tarjan
    /// finds them.
    fn components(&self, is_kept: impl Fn(usize) -> bool) -> Vec<Option<usize>> {
        let count = self.nodes.len();
        let mut of: Vec<Option<usize>> = vec![None; count];
        // When each node was met, and when the first one was that it leads to.
        let (mut met, mut least): (Vec<Option<usize>>, _) = (vec![None; count], vec![0; count]);
        let (mut time, mut number, mut open, mut way) = (0, 0, Vec::new(), Vec::new());
        for start in (0..count).filter(|node| is_kept(*node)) {
            if met[start].is_none() {
                way.push((start, 0));
            }
            // The nodes on the way, and the next edge of each. No recursion: ways may be long.
            while let Some((node, next)) = way.last_mut() {
                let node = *node;
                if *next == 0 {
                    (met[node], least[node]) = (Some(time), time);
                    time += 1;
                    open.push(node);
                }
                if let Some((to, _)) = self.edges[node].get(*next) {
                    *next += 1;
                    match met[*to] {
                        _ if !is_kept(*to) => {}
                        None => way.push((*to, 0)),
                        Some(then) if of[*to].is_none() => least[node] = then.min(least[node]),
                        Some(_) => {}
                    }
                    continue;
                }
                way.pop();
                if let Some((above, _)) = way.last() {
                    least[*above] = least[node].min(least[*above]);
                }
                if met[node] == Some(least[node]) {
                    let first = open.iter().rposition(|one| *one == node).unwrap_or(0);
                    open.drain(first..).for_each(|one| of[one] = Some(number));
                    number += 1;
                }
            }
        }
        of
    }

    /// The nodes from which a topic can be reached by no topic before it, itself among them.
    pub fn leads_to(&self, topic: usize, steps: &mut Steps) -> Option<Vec<bool>> {
        let (mut back, mut open) = (vec![false; self.nodes.len()], vec![topic]);
        back[topic] = true;
        while let Some(node) = open.pop() {
            steps.take(self.above[node].len())?;
            for from in self.above[node].iter().copied().filter(|from| *from >= topic) {
                if !std::mem::replace(&mut back[from], true) {
                    open.push(from);
                }
            }
        }
        Some(back)
    }

    /// How many messages of a topic each of its messages leads to, until they come back to it for the first
    /// time. `back` are the nodes from which it can be reached. None: it would take more steps.
    pub fn returns(&self, start: usize, back: &[bool], steps: &mut Steps) -> Option<f64> {
        let (mut returned, mut at, mut now) = (0.0, vec![0.0; self.nodes.len()], vec![start]);
        at[start] = 1.0;
        for _ in 0..FOLLOWED_AT_MOST {
            let (mut next, mut sum): (Vec<(usize, f64)>, f64) = (Vec::new(), 0.0);
            for node in now.drain(..) {
                steps.take(self.edges[node].len())?;
                let share = std::mem::take(&mut at[node]);
                let edges = self.edges[node].iter().filter(|(to, _)| back[*to]);
                next.extend(edges.map(|(to, edge)| (*to, share * edge.factor)));
            }
            for (to, share) in next.into_iter().filter(|(_, share)| *share > 0.0) {
                if to == start {
                    returned += share;
                    continue;
                }
                if at[to] == 0.0 {
                    now.push(to);
                }
                at[to] += share;
                sum += share;
            }
            if sum < ROUNDING || returned > A_GREAT_MANY {
                break;
            }
        }
        Some(returned)
    }

    /// What becomes of messages between all nodes of a part, each of which begins with one message.
    pub fn tendency(&self, steps: &mut Steps) -> Tendency {
        let mut left = vec![1.0; self.nodes.len()];
        for round in 1..=FOLLOWED_AT_MOST {
            if steps.take(self.size).is_none() {
                return Tendency::Unknown;
            }
            let of_node = |edges: &Vec<(usize, &Edge)>| {
                edges.iter().map(|(to, edge)| edge.factor * left[*to]).sum::<f64>()
            };
            left = self.edges.iter().map(of_node).collect();
            // In each ring they are fewer by one rounding then.
            if left.iter().all(|left| *left < 1.0 - ROUNDING * round as f64) {
                return Tendency::Fewer;
            }
            if left.iter().all(|left| *left >= 1.0 - ROUNDING) {
                return Tendency::NotFewer;
            }
        }
        Tendency::Unknown
    }

    /// A ring of a part in which messages do not become fewer, if there is one with a topic, and it takes no
    /// more steps to find it.
    pub fn growing(&self, steps: &mut Steps) -> Option<Ring<'f>> {
        let mut most = vec![0.0; self.nodes.len()];
        let mut before: Vec<Option<(usize, &'f Edge)>> = vec![None; self.nodes.len()];
        // As Bellman and Ford find a ring of a negative sum. Without one, nothing grows after as many rounds
        // as there are nodes.
        for _ in 0..=self.nodes.len() {
            steps.take(self.size)?;
            let mut grown = None;
            for (from, edges) in self.edges.iter().enumerate() {
                for (to, edge) in edges {
                    let by_this = most[from] + libm::log(edge.factor) + MORE;
                    if by_this > most[*to] {
                        most[*to] = by_this;
                        before[*to] = Some((from, *edge));
                        grown = Some(*to);
                    }
                }
            }
            if let Some(ring) = behind(&before, grown?) {
                return self.begun_first(ring).filter(|ring| factor(ring) >= 1.0 - ROUNDING);
            }
        }
        None
    }

    /// The shortest ring of the first topic of a part.
    pub fn shortest(&self) -> Option<Ring<'f>> {
        let mut before: Vec<Option<(usize, &'f Edge)>> = vec![None; self.nodes.len()];
        let mut open = VecDeque::from([0]);
        while let Some(node) = open.pop_front().filter(|_| before[0].is_none()) {
            for (to, edge) in &self.edges[node] {
                if before[*to].is_none() {
                    before[*to] = Some((node, *edge));
                    open.push_back(*to);
                }
            }
        }
        let mut ring = vec![before[0]?];
        while let Some((node, _)) = ring.last().filter(|(node, _)| *node != 0) {
            ring.push(before[*node]?);
        }
        ring.reverse();
        Some(self.ring(ring))
    }

    /// With the numbers of the flow in place of those here.
    pub fn ring(&self, ring: Ring<'f>) -> Ring<'f> {
        ring.into_iter().map(|(node, edge)| (self.nodes[node], edge)).collect()
    }

    /// The same ring from its first topic on; none without any.
    fn begun_first(&self, mut ring: Ring<'f>) -> Option<Ring<'f>> {
        let topics = ring.iter().enumerate().filter(|(_, (node, _))| *node < self.topics);
        let (at, _) = topics.min_by_key(|(_, (node, _))| *node)?;
        ring.rotate_left(at);
        Some(self.ring(ring))
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Each of these topics leads to each by one edge: what a dense part of a flow comes to.
    fn complete(topics: usize, edge: &Edge) -> Ways<'_> {
        let edges = (0..topics).map(|_| (0..topics).map(|to| (to, edge)).collect()).collect();
        Ways::new((0..topics).collect(), topics, edges)
    }

    fn edge(factor: f64) -> Edge {
        Edge { to: 0, factor, is_dead_letter: false, place: None, is_of_fault: false }
    }

    #[test]
    fn every_edge_that_is_followed_is_a_step() {
        let edge = edge(0.009_999);
        let ways = complete(100, &edge);
        let back = vec![true; 100];
        let mut steps = Steps::new(30_000);
        assert_eq!(ways.parts_within(&mut steps, |_| true).map(|parts| parts.len()), Some(1));
        assert_eq!(steps.0, 20_000);
        assert_eq!(ways.leads_to(0, &mut steps).map(|back| back.len()), Some(100));
        assert_eq!(steps.0, 10_000);
        // A hundredth comes back at each step of 10,000 edges: it takes a hundred of them.
        assert_eq!(ways.returns(0, &back, &mut steps), None);
        assert!(steps.0 < 100, "{steps:?}");
        assert!(ways.leads_to(0, &mut steps).is_none() && ways.growing(&mut steps).is_none());
        assert_eq!(ways.tendency(&mut steps), Tendency::Unknown);
        let mut more = Steps::new(1_000_000);
        assert!(more.within(2, |steps| ways.growing(steps)).is_none());
        assert_eq!(ways.tendency(&mut more), Tendency::Fewer);
    }

    #[test]
    fn messages_become_fewer_or_not_by_all_ways_together() {
        for (factor, tendency) in
            [(0.2, Tendency::Fewer), (0.5, Tendency::NotFewer), (0.6, Tendency::NotFewer)]
        {
            let edge = edge(factor);
            assert_eq!(complete(2, &edge).tendency(&mut Steps::new(1_000)), tendency, "{factor}");
        }
    }
}
