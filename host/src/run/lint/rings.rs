//! Rings of topics: messages that lead to at least as many messages of the same topic, by way of the services
//! that consume them and of those that these call, and dead letters that come back.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use crate::error::{Problem, quote};
use crate::report::words::{count, number};

use super::flow::{FOLLOWED_AT_MOST, Flow};
use super::ways::{A_GREAT_MANY, ROUNDING, Ring, Steps, Tendency, Ways, factor};

/// Rings that are named, of messages and of dead letters each. Of the others it is said how many there are.
const RINGS_AT_MOST: usize = 10;

/// Edges that are followed in search of rings of messages, and to tell what these do together; and as many
/// for dead letters. There may be as many rings as there are orders of topics. Topics that lead to each other
/// have the same share as others.
const STEPS_AT_MOST: usize = 4_000_000;

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
    /// Topics of rings that are too many to be found, in all of which together messages do not become fewer,
    /// or may not.
    unknown: Vec<(usize, Tendency)>,
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
        rings.unknown.sort_unstable_by_key(|(topic, _)| *topic);
        rings
    }

    fn find(&mut self, ways: &Ways<'f>, kind: Kind) {
        let parts = ways.parts(|_| true);
        let mut steps = Steps::new(STEPS_AT_MOST);
        for (at, part) in parts.iter().enumerate() {
            steps.within(parts.len() - at, |steps| match kind {
                Kind::Messages => self.find_growing(part, steps),
                Kind::DeadLetters => self.find_dead(part, steps),
            });
        }
    }

    /// The rings of messages of a part.
    fn find_growing(&mut self, part: &Ways<'f>, steps: &mut Steps) {
        // Then they do in each of its rings.
        let tendency = steps.within(4, |steps| part.tendency(steps));
        if tendency == Tendency::Fewer {
            return;
        }
        let (told, mut all) = (self.nodes.len(), Vec::new());
        for start in 0..part.topics {
            let mut fewer = Vec::new();
            let back = steps.within(2, |steps| part.leads_to(start, steps));
            let found = back.as_ref().and_then(|back| {
                steps.within(2, |steps| self.search(part, Kind::Messages, (start, back), steps, &mut fewer))
            });
            let mut is_cut_off = found.is_none();
            // One alone has been looked at, unless there are others that were not found.
            let are_several = fewer.len() > 1 || is_cut_off && !fewer.is_empty();
            let mut is_told = false;
            if let Some(back) = back.filter(|_| are_several && !self.nodes.contains(&part.nodes[start])) {
                let factor = steps.within(2, |steps| part.returns(start, &back, steps));
                is_cut_off |= factor.is_none();
                if let Some(factor) = factor.filter(|factor| *factor >= 1.0 - ROUNDING) {
                    self.tell(std::mem::take(&mut fewer), factor);
                    is_told = true;
                }
            }
            if is_cut_off {
                return self.look_at_rest(part, start, is_told, steps);
            }
            all.extend(fewer);
        }
        // Two rings of a topic that share another one may grow where no topic has two of its own.
        if tendency == Tendency::NotFewer && self.nodes.len() == told {
            match steps.within(2, |steps| sharing(part, all, steps)) {
                Some((rings, factor)) => self.tell(rings, factor),
                None => self.leave(part, false, tendency),
            }
        }
    }

    /// Keeps rings that have the same first topic, and in all of which together messages do not become fewer.
    fn tell(&mut self, rings: Vec<Ring<'f>>, factor: f64) {
        self.nodes.extend(rings.iter().flatten().map(|(node, _)| *node));
        self.together.push(Together { rings, factor });
    }

    /// Looks whether messages become fewer in the rings that were not found: by no topic before `start`.
    /// What goes by nodes of rings that are named is mended with them.
    fn look_at_rest(&mut self, part: &Ways<'f>, start: usize, is_told: bool, steps: &mut Steps) {
        let Some(rest) = part.parts_within(steps, |node| node >= start) else {
            self.growing.is_cut_off = true;
            return self.leave(part, is_told, Tendency::Unknown);
        };
        let mut is_settled =
            |part: &Ways<'_>| steps.within(4, |steps| part.tendency(steps)) == Tendency::Fewer;
        if rest.iter().all(&mut is_settled) {
            return;
        }
        self.growing.is_cut_off = true;
        let mut rest = self.beside_named(rest, steps);
        let mut named = 0;
        while let Some(part) = rest.pop() {
            let tendency = steps.within(4, |steps| part.tendency(steps));
            if tendency == Tendency::Fewer {
                continue;
            }
            let Some(ring) = part.growing(steps).filter(|_| named <= RINGS_AT_MOST) else {
                self.leave(&part, is_told, tendency);
                continue;
            };
            named += 1;
            self.nodes.extend(ring.iter().map(|(node, _)| *node));
            self.growing.add(ring);
            rest.extend(self.beside_named(vec![part], steps));
        }
    }

    /// What these parts are without the nodes of rings that are named; the same, where that takes more steps.
    fn beside_named(&self, parts: Vec<Ways<'f>>, steps: &mut Steps) -> Vec<Ways<'f>> {
        let beside = |part: Ways<'f>| {
            let is_kept = |node: usize| !self.nodes.contains(&part.nodes[node]);
            part.parts_within(steps, is_kept).unwrap_or_else(|| vec![part])
        };
        parts.into_iter().flat_map(beside).collect()
    }

    /// Leaves a part whose rings are too many to be found.
    fn leave(&mut self, part: &Ways<'f>, is_told: bool, tendency: Tendency) {
        if !is_told {
            self.unknown.push((part.nodes[0], tendency));
            self.nodes.extend(&part.nodes);
        }
    }

    /// The rings of dead letters of a part.
    fn find_dead(&mut self, part: &Ways<'f>, steps: &mut Steps) {
        let mut find = |start| {
            let back = part.leads_to(start, steps)?;
            self.search(part, Kind::DeadLetters, (start, &back), steps, &mut Vec::new())
        };
        if (0..part.topics).all(|start| find(start).is_some()) {
            return;
        }
        self.dead.is_cut_off = true;
        if !self.dead.first.iter().any(|ring| part.nodes.binary_search(&ring[0].0).is_ok()) {
            part.shortest().into_iter().for_each(|ring| self.dead.add(ring));
        }
    }

    /// Adds the rings of `start` that go by no topic before it, and to `fewer` some of those in which
    /// messages become fewer. `back` are the nodes from which it can be reached so. None: they are too many
    /// to be found.
    fn search(
        &mut self,
        part: &Ways<'f>,
        kind: Kind,
        (start, back): (usize, &[bool]),
        steps: &mut Steps,
        fewer: &mut Vec<Ring<'f>>,
    ) -> Option<()> {
        // The nodes on the way, and the next edge of each. No recursion: ways may be long.
        let mut way: Vec<(usize, usize)> = vec![(start, 0)];
        let mut is_on_way = vec![false; part.nodes.len()];
        while let Some((node, next)) = way.last_mut() {
            let Some((to, _)) = part.edges[*node].get(*next).copied() else {
                is_on_way[*node] = false;
                way.pop();
                continue;
            };
            *next += 1;
            steps.take(1)?;
            if to == start {
                let ring = way.iter().map(|(node, next)| (*node, part.edges[*node][next - 1].1)).collect();
                steps.take(way.len())?;
                fewer.extend(self.add(part.ring(ring), kind).filter(|_| fewer.len() < TOGETHER_AT_MOST));
            } else if back[to] && !std::mem::replace(&mut is_on_way[to], true) {
                way.push((to, 0));
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
        let cut_off = flow.is_cut_off.then(|| {
            let most = count(FOLLOWED_AT_MOST as u64);
            let what = "the configurations of all services together have more than";
            let message = format!("{what} {most} calls and messages: rings by further ones are not found");
            Problem::warning(message)
                .help("write calls and publish in the tables that need them, and not beside the tables")
        });
        let growing = self.growing.first.iter().map(|ring| growth(flow, ring));
        let growing = growing.chain(others("messages", &self.growing));
        let dead = self.dead.first.iter().map(|ring| return_of_dead(flow, ring));
        let together = self.together.iter().take(RINGS_AT_MOST).map(|together| growth_of(flow, together));
        let is_known = |one: &&(usize, Tendency)| one.1 == Tendency::NotFewer;
        // That there may be further ones is said beside those that are named.
        let is_said = !self.growing.first.is_empty();
        let unknown = self.unknown.iter().filter(|one| is_known(one) || !is_said).take(RINGS_AT_MOST);
        let unknown = unknown.map(|one| growth_of_unknown(flow, one.0, is_known(&one)));
        let dead = dead.chain(others("dead letters", &self.dead));
        growing.chain(together).chain(unknown).chain(dead).chain(cut_off).collect()
    }
}

/// The first of those rings of a part that pass the topic that most of them pass, from there on, and to how
/// many messages each of that topic leads. None: they do not grow together there, or it would take more steps
/// to tell.
fn sharing<'f>(part: &Ways<'f>, rings: Vec<Ring<'f>>, steps: &mut Steps) -> Option<(Vec<Ring<'f>>, f64)> {
    let place = |ring: &Ring<'_>, topic: usize| ring.iter().position(|(node, _)| *node == topic);
    let mut passes = vec![0_usize; part.topics];
    for (node, _) in rings.iter().flatten() {
        if let Some(passes) = passes.get_mut(part.nodes.binary_search(node).ok()?) {
            *passes += 1;
        }
    }
    let start = (0..part.topics).max_by_key(|topic| (passes[*topic], Reverse(*topic)))?;
    let factor = part.returns(start, &vec![true; part.nodes.len()], steps)?;
    let from_there = |mut ring: Ring<'f>| {
        let at = place(&ring, part.nodes[start])?;
        ring.rotate_left(at);
        Some(ring)
    };
    let rings: Vec<_> = rings.into_iter().filter_map(from_there).take(TOGETHER_AT_MOST).collect();
    (rings.len() > 1 && factor >= 1.0 - ROUNDING).then_some((rings, factor))
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
    closed(flow, Problem::warning(message).help(help), ring, "the message that closes it")
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
    closed(flow, Problem::warning(message).help(help), &rings[0], "the message that closes the first")
}

fn growth_of_unknown(flow: &Flow<'_>, topic: usize, is_known: bool) -> Problem {
    let topic = &flow.run.model.topics[topic];
    let fewer = if is_known { "do not become fewer" } else { "may not become fewer" };
    let message = format!(
        "messages go round by more ways than can be followed, and {fewer}: {} is one of their topics",
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
    closed(flow, Problem::warning(message).help(help), ring, "its dead letters close the ring")
}

/// At what leads back to the first topic of a ring, or to what does.
fn closed(flow: &Flow<'_>, problem: Problem, ring: &Ring<'_>, label: &str) -> Problem {
    let is_of_fault = ring.iter().any(|(_, edge)| edge.is_of_fault);
    let problem = if is_of_fault { problem.of_fault() } else { problem };
    match ring.iter().rev().find_map(|(_, edge)| flow.place(edge)) {
        Some(place) => problem.at(place, label),
        None => problem,
    }
}

fn steps(flow: &Flow<'_>, ring: &Ring<'_>) -> String {
    flow.steps(ring.iter().chain(ring.first()).map(|(node, _)| *node))
}
