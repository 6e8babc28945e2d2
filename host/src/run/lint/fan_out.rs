//! Requests and runs of jobs that lead to a great many messages, as consumers send many for each one that
//! they get.

use std::collections::BTreeSet;

use crate::error::Problem;
use crate::report::words::count;
use crate::topic::LED_FOR_EACH_CAUSE;

use super::flow::{Edge, Flow, Node};
use super::rings::Rings;

/// Requests and runs that are named. Of the others it is said how many there are.
const NAMED_AT_MOST: usize = 10;

/// A node may lead to as many as numbers do not hold. These are a great many: as many as a share is exact.
const A_GREAT_MANY: f64 = 1e15;

/// Edges that are followed to count messages, all depths together. Deeper ones are left out.
const STEPS_AT_MOST: usize = 5_000_000;

/// How many messages each node leads to, by how deep calls and messages below it may be: of 0, of 1, and so
/// on, up to the depth from which on it makes no difference.
#[derive(Default)]
struct Counts {
    /// Of a node that a message has led to: consumers send all of them.
    led: Vec<Vec<f32>>,
    /// Of work for a request or a job: without what this sends itself, which no bound of a run counts.
    of_cause: Vec<Vec<f32>>,
    /// The deepest of these, unrounded.
    most: Vec<f64>,
    /// Deeper ones were left out.
    is_cut_off: bool,
}

/// Those that lead to more messages than a run may send for each of them, on average. What goes round is said
/// of the ring.
pub fn problems(flow: &Flow<'_>, rings: &Rings<'_>) -> Vec<Problem> {
    let counts = counts(flow);
    let most = LED_FOR_EACH_CAUSE as f64;
    let goes_round = leading_to(flow, &rings.nodes);
    let starts = starts(flow).into_iter().filter(|start| counts.most[*start] > most);
    let starts: Vec<_> = starts.filter(|start| !goes_round[*start]).collect();
    let named = starts.iter().take(NAMED_AT_MOST).map(|start| problem(flow, &counts, *start));
    let more = starts.len().saturating_sub(NAMED_AT_MOST);
    let others = (more > 0).then(|| {
        let what = format!(
            "{more} other requests and runs of jobs lead to more than {} messages that consumers send",
            count(LED_FOR_EACH_CAUSE)
        );
        Problem::warning(what).help("mend those above, and check again")
    });
    named.chain(others).collect()
}

/// Routes that are asked from outside and jobs: what nothing in the topology leads to, and what the services
/// of the ingress and of loads have.
fn starts(flow: &Flow<'_>) -> Vec<usize> {
    let model = flow.run.model;
    let led: BTreeSet<usize> = flow.edges.iter().flatten().map(|edge| edge.to).collect();
    let asked = model.ingress.iter().map(|ingress| ingress.to).chain(model.loads.iter().map(|load| load.to));
    let asked: BTreeSet<_> = asked.collect();
    let is_start = |node: &usize| match &flow.nodes[*node] {
        Node::Topic(_) | Node::Group(_) => false,
        Node::Work(service, route) => {
            !route.starts_with("topic ") && (!led.contains(node) || asked.contains(service))
        }
    };
    (0..flow.nodes.len()).filter(is_start).collect()
}

fn counts(flow: &Flow<'_>) -> Counts {
    let (nodes, topics) = (flow.nodes.len(), flow.run.model.topics.len());
    let groups = topics + flow.run.model.subscriptions.len();
    let edges: usize = flow.edges.iter().map(Vec::len).sum();
    let (depth, most) = (flow.run.model.bounds.call_depth as usize, STEPS_AT_MOST / edges.max(nodes).max(1));
    let mut below = [vec![0.0; nodes], vec![0.0; nodes]];
    let [led, of_cause] = [vec![vec![0.0; nodes]], vec![vec![0.0; nodes]]];
    let mut counts = Counts { led, of_cause, most: Vec::new(), is_cut_off: most < depth };
    for _ in 0..depth.min(most) {
        let [mut led, mut of_cause] = [vec![0.0; nodes], vec![0.0; nodes]];
        // Work leads to what is deeper, groups to work, and topics to groups.
        for node in (groups..nodes).chain(topics..groups).chain(0..topics) {
            let edges = flow.edges[node].iter();
            let all = edges.clone().map(|edge| led_by(flow, (node, edge), &led, &below[0]));
            led[node] = all.sum::<f64>().min(A_GREAT_MANY);
            if node >= groups {
                let all = edges.map(|edge| led_by_cause(flow, edge, &below[0], &below[1]));
                of_cause[node] = all.sum::<f64>().min(A_GREAT_MANY);
            }
        }
        let now = [led, of_cause];
        if below == now {
            counts.is_cut_off = false;
            break;
        }
        let rounded = |counts: &[f64]| counts.iter().map(|count| *count as f32).collect();
        counts.led.push(rounded(&now[0]));
        counts.of_cause.push(rounded(&now[1]));
        below = now;
    }
    let [_, of_cause] = below;
    Counts { most: of_cause, ..counts }
}

/// The messages that an edge leads to, from work that a message has led to, a group or a topic. `now` is what
/// nodes lead to from its depth on, and `below` from the next; nothing if there is no next.
fn led_by<N: Copy + Into<f64>>(flow: &Flow<'_>, (from, edge): (usize, &Edge), now: &[N], below: &[N]) -> f64 {
    if !flow.is_deeper(from, edge) {
        return edge.factor * now[edge.to].into();
    }
    let own = if flow.is_topic(edge.to) { 1.0 } else { 0.0 };
    below.get(edge.to).map_or(0.0, |below| edge.factor * (own + (*below).into()))
}

/// The messages that consumers send because of an edge from work for a request or a job. `led` and `of_cause`
/// are what nodes lead to from the next depth on; nothing if there is none.
fn led_by_cause<N: Copy + Into<f64>>(flow: &Flow<'_>, edge: &Edge, led: &[N], of_cause: &[N]) -> f64 {
    let below = if flow.is_topic(edge.to) { led } else { of_cause };
    below.get(edge.to).map_or(0.0, |below| edge.factor * (*below).into())
}

/// What nodes lead to at a depth; nothing at none.
fn row(rows: &[Vec<f32>], depth: Option<usize>) -> &[f32] {
    depth.map_or(&[], |depth| &rows[depth])
}

/// Of each node whether it leads to any of these.
fn leading_to(flow: &Flow<'_>, these: &BTreeSet<usize>) -> Vec<bool> {
    let mut above: Vec<Vec<usize>> = vec![Vec::new(); flow.nodes.len()];
    for (from, edges) in flow.edges.iter().enumerate() {
        edges.iter().for_each(|edge| above[edge.to].push(from));
    }
    let (mut leads, mut open) = (vec![false; flow.nodes.len()], Vec::from_iter(these.iter().copied()));
    these.iter().for_each(|node| leads[*node] = true);
    while let Some(node) = open.pop() {
        open.extend(above[node].iter().filter(|from| !std::mem::replace(&mut leads[**from], true)));
    }
    leads
}

/// The way to most messages that consumers send, and the edge from a consumer that leads to most for each.
fn way<'f>(flow: &'f Flow<'_>, counts: &Counts, start: usize) -> (Vec<usize>, Option<&'f Edge>) {
    let (mut depth, mut nodes, mut steepest): (_, _, Option<&Edge>) =
        (counts.led.len() - 1, vec![start], None);
    // Behind the first topic.
    let mut is_led = false;
    while let Some(node) = nodes.last().copied() {
        let [led, of_cause] = [&counts.led, &counts.of_cause].map(|rows| row(rows, depth.checked_sub(1)));
        let leads = |edge: &Edge| match is_led {
            true => led_by(flow, (node, edge), &counts.led[depth], led),
            false => led_by_cause(flow, edge, led, of_cause),
        };
        let edges = flow.edges[node].iter().map(|edge| (edge, leads(edge)));
        let best =
            edges.filter(|(_, led)| *led > 0.0).reduce(|best, one| if one.1 > best.1 { one } else { best });
        let Some((edge, _)) = best.filter(|(edge, _)| !nodes.contains(&edge.to)) else { break };
        if flow.is_deeper(node, edge) {
            depth -= 1;
        }
        if is_led && edge.place.is_some() && steepest.is_none_or(|steepest| edge.factor > steepest.factor) {
            steepest = Some(edge);
        }
        is_led |= flow.is_topic(edge.to);
        nodes.push(edge.to);
    }
    // Who takes the messages of the last topic sends none.
    let end = nodes.iter().rposition(|node| flow.is_topic(*node)).unwrap_or(0);
    nodes.truncate(end + 1);
    (nodes, steepest)
}

fn problem(flow: &Flow<'_>, counts: &Counts, start: usize) -> Problem {
    let (nodes, steepest) = way(flow, counts, start);
    let led = counts.most[start];
    let led = if led < A_GREAT_MANY { count(led.round() as u64) } else { "a great many".to_owned() };
    let led = if counts.is_cut_off { format!("at least {led}") } else { led };
    let is_job = matches!(&flow.nodes[start], Node::Work(_, route) if route.starts_with("job "));
    let what = if is_job { "one run of a job" } else { "one request" };
    let most = count(LED_FOR_EACH_CAUSE);
    let message = format!("{what} leads to {led} messages that consumers send: {}", flow.steps(nodes));
    let problem = Problem::warning(message).help(format!(
        "a run ends with an error when consumers have sent more than {most} messages for each request and each run of \
         a job: let them send fewer for each one that they take"
    ));
    match steepest.and_then(|edge| Some((flow.place(edge)?, edge))) {
        Some((place, edge)) if edge.is_of_fault => problem.at(place, "the most of them").of_fault(),
        Some((place, _)) => problem.at(place, "the most of them"),
        None => problem,
    }
}
