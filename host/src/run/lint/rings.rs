//! Rings of topics: messages that lead to at least as many messages of the same topic, by way of the services
//! that consume them and of those that these call, and dead letters that come back.

use std::collections::{BTreeMap, BTreeSet};

use crate::error::{Problem, quote};
use crate::report::words::{count, number};

use super::flow::{Edge, Flow};

/// Rings that are named, of messages and of dead letters each. Of the others it is said how many there are.
const RINGS_AT_MOST: usize = 10;

/// Edges that are followed in search of rings: there may be as many rings as there are orders of topics.
const STEPS_AT_MOST: usize = 2_000_000;

/// Ways that go round together are followed for this many edges each: what is left of a message then counts
/// for nothing.
const FOLLOWED_AT_MOST: usize = 1_000;

/// Of more messages for each one it is not said how many they are.
const A_GREAT_MANY: f64 = 1e6;

/// Rings that a message about several shows.
const TOGETHER_AT_MOST: usize = 3;

/// What a product of shares, or a sum, may lack to count as 1.
const ROUNDING: f64 = 1e-9;

/// Nodes in the order of the edges between them: each with the edge that leads to the next one, and the last
/// with the edge to the first, which is a topic.
type Ring<'f> = Vec<(usize, &'f Edge)>;

/// Rings that nothing ends but bounds.
#[derive(Default)]
pub struct Rings<'f> {
    /// Their messages do not become fewer.
    growing: Found<'f>,
    /// Those that have the same first topic: in each of them messages become fewer, and in all together not.
    together: Vec<Together<'f>>,
    /// They have dead letters alone.
    dead: Found<'f>,
    /// What messages of growing ones pass.
    pub nodes: BTreeSet<usize>,
    /// There may be more of both.
    is_cut_off: bool,
}

/// Rings by the same first topic, each message of which leads to this many in all of them.
struct Together<'f> {
    rings: Vec<Ring<'f>>,
    factor: f64,
}

/// The first rings, and how many there are beside them.
#[derive(Default)]
struct Found<'f> {
    first: Vec<Ring<'f>>,
    more: u64,
}

impl<'f> Found<'f> {
    fn add(&mut self, ring: Ring<'f>) {
        if self.first.len() < RINGS_AT_MOST { self.first.push(ring) } else { self.more += 1 }
    }
}

/// How many messages of its first topic each of them leads to.
fn factor(ring: &Ring<'_>) -> f64 {
    ring.iter().map(|(_, edge)| edge.factor).product()
}

impl<'f> Rings<'f> {
    /// Those in which no node is twice. Each begins at its first topic in the order of the topology, by which
    /// they are ordered too.
    pub fn of(flow: &'f Flow<'_>) -> Self {
        let mut rings = Self::default();
        let mut left = STEPS_AT_MOST;
        let mut above: Vec<Vec<usize>> = vec![Vec::new(); flow.nodes.len()];
        for (from, edges) in flow.edges.iter().enumerate() {
            edges.iter().for_each(|edge| above[edge.to].push(from));
        }
        for start in 0..flow.run.model.topics.len() {
            let back = leads_to(flow, &above, start);
            let mut fewer = Vec::new();
            rings.is_cut_off = rings.search(flow, (start, &back), &mut left, &mut fewer).is_none();
            // One alone has been looked at, unless there are others that were not found.
            let are_several = fewer.len() > 1 || rings.is_cut_off && !fewer.is_empty();
            if are_several && !rings.nodes.contains(&start) {
                let factor = returns(flow, start, &back);
                if factor >= 1.0 - ROUNDING {
                    rings.nodes.extend(fewer.iter().flatten().map(|(node, _)| *node));
                    rings.together.push(Together { rings: fewer, factor });
                }
            }
            if rings.is_cut_off {
                break;
            }
        }
        rings
    }

    /// Adds the rings of `start` that go by no topic before it, and to `fewer` some of those in which
    /// messages become fewer. `back` are the nodes from which it can be reached so. None: they are too many
    /// to be found.
    fn search(
        &mut self,
        flow: &'f Flow<'_>,
        (start, back): (usize, &BTreeSet<usize>),
        left: &mut usize,
        fewer: &mut Vec<Ring<'f>>,
    ) -> Option<()> {
        // The nodes on the way, and the next edge of each. No recursion: ways may be long.
        let mut way: Vec<(usize, usize)> = vec![(start, 0)];
        let mut on_way: BTreeSet<usize> = [start].into();
        while let Some((node, next)) = way.last_mut() {
            let Some(edge) = flow.edges[*node].get(*next) else {
                on_way.remove(node);
                way.pop();
                continue;
            };
            *next += 1;
            *left = left.checked_sub(1)?;
            if edge.to == start {
                let ring = way.iter().map(|(node, next)| (*node, &flow.edges[*node][next - 1])).collect();
                fewer.extend(self.add(ring).filter(|_| fewer.len() < TOGETHER_AT_MOST));
            } else if back.contains(&edge.to) && on_way.insert(edge.to) {
                way.push((edge.to, 0));
            }
        }
        Some(())
    }

    /// Keeps a ring that nothing ends but bounds; another one is returned, if it has any messages.
    fn add(&mut self, ring: Ring<'f>) -> Option<Ring<'f>> {
        // From a topic to a group there is nothing but that.
        if ring.iter().skip(1).step_by(2).all(|(_, edge)| edge.is_dead_letter) {
            self.dead.add(ring);
        } else if factor(&ring) >= 1.0 - ROUNDING {
            self.nodes.extend(ring.iter().map(|(node, _)| *node));
            self.growing.add(ring);
        } else {
            return Some(ring).filter(|ring| factor(ring) > 0.0);
        }
        None
    }

    pub fn problems(&self, flow: &Flow<'_>) -> Vec<Problem> {
        let growing = self.growing.first.iter().map(|ring| growth(flow, ring));
        let growing = growing.chain(self.others("messages", &self.growing));
        let dead = self.dead.first.iter().map(|ring| return_of_dead(flow, ring));
        let together = self.together.iter().take(RINGS_AT_MOST).map(|together| growth_of(flow, together));
        growing.chain(together).chain(dead).chain(self.others("dead letters", &self.dead)).collect()
    }

    /// Those that are not named.
    fn others(&self, what: &str, found: &Found<'_>) -> Option<Problem> {
        let bound = if self.is_cut_off { "at least " } else { "" };
        let ways = if found.more == 1 { "way" } else { "ways" };
        let problem =
            Problem::warning(format!("{what} go round in {bound}{} more {ways}", count(found.more)));
        (found.more > 0).then(|| problem.help("they have topics of those above: mend these, and check again"))
    }
}

/// The nodes from which a topic can be reached by no topic before it, itself among them. `above` are those
/// from which edges lead to each node.
fn leads_to(flow: &Flow<'_>, above: &[Vec<usize>], start: usize) -> BTreeSet<usize> {
    let (mut back, mut open): (BTreeSet<usize>, _) = ([start].into(), vec![start]);
    while let Some(node) = open.pop() {
        let from = above[node].iter().filter(|from| **from >= start || !flow.is_topic(**from));
        open.extend(from.filter(|from| back.insert(**from)));
    }
    back
}

/// How many messages of a topic each of its messages leads to, until they come back to it for the first time.
fn returns(flow: &Flow<'_>, start: usize, back: &BTreeSet<usize>) -> f64 {
    let (mut returned, mut at) = (0.0, BTreeMap::from([(start, 1.0)]));
    for _ in 0..FOLLOWED_AT_MOST {
        let mut next: BTreeMap<usize, f64> = BTreeMap::new();
        for (node, share) in at {
            for edge in flow.edges[node].iter().filter(|edge| back.contains(&edge.to)) {
                let share = share * edge.factor;
                if edge.to == start { returned += share } else { *next.entry(edge.to).or_default() += share }
            }
        }
        at = next;
        if at.values().sum::<f64>() < ROUNDING || returned > A_GREAT_MANY {
            break;
        }
    }
    returned
}

fn growth(flow: &Flow<'_>, ring: &Ring<'_>) -> Problem {
    let (factor, first) = (factor(ring), &flow.run.model.topics[ring[0].0].name);
    let more = if factor < 1.5 {
        "1 further message".to_owned()
    } else {
        format!("{} further messages", number(factor))
    };
    let message =
        format!("messages go round: {}, and each leads to {more} of {}", steps(flow, ring), quote(first));
    let depth = flow.run.model.bounds.call_depth;
    let help = format!(
        "only limits.call-depth of {depth} and the bounds of a run end it: send to a topic outside of the ring, or \
         for a share of the messages, as in publish = \"10% {first}\""
    );
    closed(Problem::warning(message).help(help), ring, "the message that closes it")
}

fn growth_of(flow: &Flow<'_>, Together { rings, factor }: &Together<'_>) -> Problem {
    let first = &flow.run.model.topics[rings[0][0].0].name;
    let ways: Vec<_> = rings.iter().map(|ring| steps(flow, ring)).collect();
    let led = if *factor > A_GREAT_MANY { "a great many".to_owned() } else { number(*factor) };
    let message = format!(
        "messages go round by several ways, and each leads to {led} further messages of {} by all of them: {}",
        quote(first),
        ways.join("; ")
    );
    let help = "in each way they become fewer, and together not: send to a topic outside of these rings, or for \
                smaller shares of the messages";
    closed(Problem::warning(message).help(help), &rings[0], "the message that closes the first")
}

fn return_of_dead(flow: &Flow<'_>, ring: &Ring<'_>) -> Problem {
    let depth = flow.run.model.bounds.call_depth;
    let message = format!("dead letters go round: {}", steps(flow, ring));
    let help = format!(
        "a message that nobody processes goes round until limits.call-depth of {depth} ends it, and is lost: leave \
         out the dead-letter of one of these subscriptions"
    );
    closed(Problem::warning(message).help(help), ring, "its dead letters close the ring")
}

/// At what leads back to the first topic of a ring, or to what does.
fn closed(problem: Problem, ring: &Ring<'_>, label: &str) -> Problem {
    let is_of_fault = ring.iter().any(|(_, edge)| edge.is_of_fault);
    let problem = if is_of_fault { problem.of_fault() } else { problem };
    match ring.iter().rev().find_map(|(_, edge)| edge.place.clone()) {
        Some(place) => problem.at(place, label),
        None => problem,
    }
}

fn steps(flow: &Flow<'_>, ring: &Ring<'_>) -> String {
    flow.steps(ring.iter().chain(ring.first()).map(|(node, _)| *node))
}
