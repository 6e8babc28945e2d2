//! Rings of topics: messages that lead to at least as many messages of the same topic, by way of the services
//! that consume them and of those that these call, and dead letters that come back.

use std::collections::BTreeSet;

use crate::error::{Problem, quote};
use crate::report::words::{count, number};

use super::flow::Flow;
use super::ways::{A_GREAT_MANY, ROUNDING, Ring, Ways, factor};

/// Rings that are named, of messages and of dead letters each. Of the others it is said how many there are.
const RINGS_AT_MOST: usize = 10;

/// Edges that are followed in search of rings of messages, and as many for dead letters: there may be as many
/// rings as there are orders of topics. Topics that lead to each other have the same share as others.
const STEPS_AT_MOST: usize = 2_000_000;

/// Rings that a message about several shows.
const TOGETHER_AT_MOST: usize = 3;

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
    /// Topics of rings that are too many to be found, in all of which together messages do not become fewer.
    unknown: Vec<usize>,
}

/// What is looked for.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Messages,
    DeadLetters,
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
    /// There may be further ones.
    is_cut_off: bool,
}

impl<'f> Found<'f> {
    fn add(&mut self, ring: Ring<'f>) {
        if self.first.len() < RINGS_AT_MOST { self.first.push(ring) } else { self.more += 1 }
    }
}

impl<'f> Rings<'f> {
    /// Those in which no node is twice. Each begins at its first topic in the order of the topology, by which
    /// they are ordered too.
    pub fn of(flow: &'f Flow<'_>) -> Self {
        let mut rings = Self::default();
        rings.find(&Ways::of(flow, |_, edge| edge.factor > 0.0), Kind::Messages);
        let dead = Ways::of(flow, |from, edge| edge.is_dead_letter || flow.is_topic(from));
        rings.find(&dead, Kind::DeadLetters);
        for found in [&mut rings.growing, &mut rings.dead] {
            found.first.sort_by_key(|ring| ring[0].0);
        }
        rings
    }

    fn find(&mut self, ways: &Ways<'f>, kind: Kind) {
        let components = ways.components();
        let mut left = STEPS_AT_MOST;
        for (at, component) in components.iter().enumerate() {
            let mut share = left / (components.len() - at);
            left -= share;
            self.find_within(ways, kind, component, &mut share);
            left += share;
        }
    }

    /// Those between nodes that lead to each other.
    fn find_within(&mut self, ways: &Ways<'f>, kind: Kind, component: &BTreeSet<usize>, left: &mut usize) {
        for start in component.iter().copied().take_while(|node| ways.is_topic(*node)) {
            let back = ways.leads_to(start, start);
            let mut fewer = Vec::new();
            let is_cut_off = self.search(ways, kind, (start, &back), left, &mut fewer).is_none();
            // One alone has been looked at, unless there are others that were not found.
            let are_several = fewer.len() > 1 || is_cut_off && !fewer.is_empty();
            let mut is_told = false;
            if are_several && !self.nodes.contains(&start) {
                let factor = ways.returns(start, &back);
                if factor >= 1.0 - ROUNDING {
                    self.nodes.extend(fewer.iter().flatten().map(|(node, _)| *node));
                    self.together.push(Together { rings: fewer, factor });
                    is_told = true;
                }
            }
            if is_cut_off && kind == Kind::DeadLetters {
                self.dead.is_cut_off = true;
                if !self.dead.first.iter().any(|ring| component.contains(&ring[0].0)) {
                    ways.shortest(component).into_iter().for_each(|ring| self.dead.add(ring));
                }
            } else if is_cut_off {
                self.look_at_rest(ways, component, start, is_told);
            }
            if is_cut_off {
                return;
            }
        }
    }

    /// Looks whether messages become fewer in the rings that were not found: by no topic before `start`.
    /// What goes by nodes of rings that are named is mended with them.
    fn look_at_rest(&mut self, ways: &Ways<'f>, component: &BTreeSet<usize>, start: usize, is_told: bool) {
        let mut rest: BTreeSet<usize> = component.range(start..).copied().collect();
        if ways.become_fewer(&rest) {
            return;
        }
        self.growing.is_cut_off = true;
        for _ in 0..=RINGS_AT_MOST {
            rest.retain(|node| !self.nodes.contains(node));
            if ways.become_fewer(&rest) {
                return;
            }
            let Some(ring) = ways.growing(&rest) else { break };
            self.nodes.extend(ring.iter().map(|(node, _)| *node));
            self.growing.add(ring);
        }
        if !is_told {
            self.unknown.extend(rest.first().filter(|node| ways.is_topic(**node)));
            self.nodes.extend(rest);
        }
    }

    /// Adds the rings of `start` that go by no topic before it, and to `fewer` some of those in which
    /// messages become fewer. `back` are the nodes from which it can be reached so. None: they are too many
    /// to be found.
    fn search(
        &mut self,
        ways: &Ways<'f>,
        kind: Kind,
        (start, back): (usize, &BTreeSet<usize>),
        left: &mut usize,
        fewer: &mut Vec<Ring<'f>>,
    ) -> Option<()> {
        // The nodes on the way, and the next edge of each. No recursion: ways may be long.
        let mut way: Vec<(usize, usize)> = vec![(start, 0)];
        let mut on_way: BTreeSet<usize> = [start].into();
        while let Some((node, next)) = way.last_mut() {
            let Some(edge) = ways.edges[*node].get(*next) else {
                on_way.remove(node);
                way.pop();
                continue;
            };
            *next += 1;
            *left = left.checked_sub(1)?;
            if edge.to == start {
                let ring = way.iter().map(|(node, next)| (*node, ways.edges[*node][next - 1])).collect();
                fewer.extend(self.add(ring, kind).filter(|_| fewer.len() < TOGETHER_AT_MOST));
            } else if back.contains(&edge.to) && on_way.insert(edge.to) {
                way.push((edge.to, 0));
            }
        }
        Some(())
    }

    /// Keeps a ring that nothing ends but bounds; another one of messages is returned.
    fn add(&mut self, ring: Ring<'f>, kind: Kind) -> Option<Ring<'f>> {
        // From a topic to a group there is nothing but that.
        let is_dead = ring.iter().skip(1).step_by(2).all(|(_, edge)| edge.is_dead_letter);
        match kind {
            Kind::DeadLetters => self.dead.add(ring),
            Kind::Messages if is_dead => {}
            Kind::Messages if factor(&ring) < 1.0 - ROUNDING => return Some(ring),
            Kind::Messages => {
                self.nodes.extend(ring.iter().map(|(node, _)| *node));
                self.growing.add(ring);
            }
        }
        None
    }

    pub fn problems(&self, flow: &Flow<'_>) -> Vec<Problem> {
        let growing = self.growing.first.iter().map(|ring| growth(flow, ring));
        let growing = growing.chain(others("messages", &self.growing));
        let dead = self.dead.first.iter().map(|ring| return_of_dead(flow, ring));
        let together = self.together.iter().take(RINGS_AT_MOST).map(|together| growth_of(flow, together));
        let unknown = self.unknown.iter().take(RINGS_AT_MOST).map(|topic| growth_of_unknown(flow, *topic));
        growing.chain(together).chain(unknown).chain(dead).chain(others("dead letters", &self.dead)).collect()
    }
}

/// Those that are not named.
fn others(what: &str, found: &Found<'_>) -> Option<Problem> {
    let bound = if found.is_cut_off { "at least " } else { "" };
    let ways = if found.more == 1 { "way" } else { "ways" };
    let message = match found.more {
        0 if found.is_cut_off && !found.first.is_empty() => {
            format!("{what} may go round in further ways, which are too many to be followed")
        }
        0 => return None,
        more => format!("{what} go round in {bound}{} more {ways}", count(more)),
    };
    Some(Problem::warning(message).help("they have topics of those above: mend these, and check again"))
}

fn growth(flow: &Flow<'_>, ring: &Ring<'_>) -> Problem {
    let (factor, first) = (factor(ring), &flow.run.model.topics[ring[0].0].name);
    let more = match factor {
        _ if factor < 1.5 => "1 further message".to_owned(),
        _ if factor > A_GREAT_MANY => "a great many further messages".to_owned(),
        _ => format!("{} further messages", number(factor)),
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

fn growth_of_unknown(flow: &Flow<'_>, topic: usize) -> Problem {
    let topic = &flow.run.model.topics[topic];
    let message = format!(
        "messages go round by more ways than can be followed, and do not become fewer: {} is one of their topics",
        quote(&topic.name)
    );
    let help =
        "send to topics outside of these rings, or for smaller shares of the messages, and check again";
    Problem::warning(message).help(help).at(topic.place.clone(), "one of their topics")
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
